"""For all unit tests: settings of hypothesis, and the fixtures that several files need.

The examples are the same at every run, whatever the machine is busy with. With EXAMPLES=10000 in the environment,
each property is tried that often.
"""

import os

import pytest
from hypothesis import settings

settings.register_profile(
    "unit", derandomize=True, deadline=None, max_examples=int(os.environ.get("EXAMPLES", "100")), database=None
)
settings.load_profile("unit")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a terminal with colours, about which nobody has said anything else."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return monkeypatch
