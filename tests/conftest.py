"""For all tests."""

from __future__ import annotations

import signal


def pytest_configure() -> None:
    """Let the programs of the tests be interrupted, also after `script/test &`."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
