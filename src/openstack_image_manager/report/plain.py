"""Output that no terminal shows: files, pipes, logs."""

from __future__ import annotations

import sys


class Plain:
    """Standard output or error that is no terminal: text alone, for which Rich need not be loaded."""

    def __init__(self, name: str) -> None:
        self._name = name

    def line(self, text: str) -> None:
        """A line, in one piece since several threads write, and at once since somebody may follow it."""
        stream = getattr(sys, self._name)
        stream.write(f"{text}\n")
        stream.flush()
