"""For all tests."""

from __future__ import annotations

import signal

import pytest

# Helpers hold assertions, too.
pytest.register_assert_rewrite("tests.support", "tests.histories")


def pytest_configure() -> None:
    """Let the programs of the tests be interrupted, also after `script/test &`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
