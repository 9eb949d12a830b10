"""For all unit tests: settings of hypothesis, and the fixtures that several files need.

The examples are the same at every run, whatever the machine is busy with. With EXAMPLES=10000 in the environment,
each property is tried that often.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, settings

if TYPE_CHECKING:
    from openstack_image_manager.site.model import Site

settings.register_profile(
    "unit",
    derandomize=True,
    deadline=None,
    max_examples=int(os.environ.get("EXAMPLES", "100")),
    database=None,
    suppress_health_check=[HealthCheck.too_slow],  # it judges the machine
)
settings.load_profile("unit")


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """The environment of a terminal with colours, about which nobody has said anything else."""
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return monkeypatch


@pytest.fixture(scope="session")
def site() -> Site:
    """The catalogue in two clouds, as tenants are offered it."""
    from tests.support import offered

    return offered.surveyed(offered.definitions(2), "north", "south", title="Images & more")


@pytest.fixture(scope="session")
def files(site: Site) -> dict[str, bytes]:
    """The files of that site."""
    from tests.support import offered

    return offered.files(site)
