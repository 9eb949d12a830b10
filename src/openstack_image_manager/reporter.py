"""Define the protocol for showing the progress of a run."""

from __future__ import annotations

from typing import Protocol


class Reporter(Protocol):
    """Where progress goes: a terminal (`live`), or lines of a log."""

    live: bool

    def line(self, subject: str, message: str) -> None:
        """Something happened that is worth a line of its own."""

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Bytes moved, or Glance's own words; as often as it likes."""

    def finished(self, subject: str) -> None:
        """No more progress of this one."""

    def expect(self, count: int) -> None:
        """So many will make progress: there is a total."""
