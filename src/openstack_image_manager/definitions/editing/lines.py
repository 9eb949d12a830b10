"""Split a YAML text into lines, and determine the entries that its comments belong to. Offsets count characters from
the beginning."""

from __future__ import annotations

import re
from bisect import bisect_right

# Where lines end in YAML 1.1.
_BREAK = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
_COMMENTED_OUT = re.compile(r"#\s*-\s")


class Lines:
    """The lines of a text."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._breaks = list(_BREAK.finditer(text))
        self._starts = [0, *(match.end() for match in self._breaks)]

    def position(self, offset: int) -> tuple[int, int]:
        """Line and column of an offset, which count from 1."""
        line = bisect_right(self._starts, offset)
        return line, offset - self._starts[line - 1] + 1

    def line_start(self, offset: int) -> int:
        """Where the line of an offset begins."""
        return self._starts[bisect_right(self._starts, offset) - 1]

    def line_end(self, offset: int) -> int:
        """Where the line of an offset ends, before its line break."""
        line = bisect_right(self._starts, offset) - 1
        return self._breaks[line].start() if line < len(self._breaks) else len(self.text)

    def next_line(self, offset: int) -> int | None:
        """Where the line after that of an offset begins; None for the last line."""
        line = bisect_right(self._starts, offset)
        return self._starts[line] if line < len(self._starts) else None

    def column(self, offset: int) -> int:
        """How many characters stand before an offset in its line."""
        return offset - self.line_start(offset)

    def indentation(self, offset: int) -> str:
        """The text before an offset in its line."""
        return self.text[self.line_start(offset) : offset]

    def line(self, offset: int) -> str:
        """The line of an offset, without its break."""
        return self.text[self.line_start(offset) : self.line_end(offset)]

    def count(self, start: int, end: int) -> int:
        """How many lines begin after one offset and up to another."""
        return bisect_right(self._starts, end) - bisect_right(self._starts, start)

    def line_break(self, offset: int) -> str:
        """How lines end around here: as this one does, or the first one of the file."""
        line = min(bisect_right(self._starts, offset), len(self._breaks)) - 1
        breaks = [self._breaks[line][0], self._breaks[0][0]] if self._breaks else []
        return next((text for text in breaks if text in ("\n", "\r\n", "\r")), "\n")

    def tail(self, offset: int, column: int) -> int:
        """The end of the line of an offset, or of the comments right below it, indented deeper than a column."""
        while (following := self.next_line(offset)) is not None:
            if not re.match(rf" {{{column + 1},}}#", self.line(following)):
                break
            offset = following
        return self.line_end(offset)

    def top(self, offset: int, column: int, named: str | None) -> int:
        """Where the lines of an item begin, from the one that holds an offset upwards: its comments are part of it.

        Its comments stand right above it, indented like it. They are left out when an item that was commented out is
        among them. The comments above the first item are the list's own up to the line that names its version: give
        that as `named`, None for other items.
        """
        start = bottom = self.line_start(offset)
        starts = []
        while start and re.match(rf" {{{column}}}#", self.line(start - 1)):
            start = self.line_start(start - 1)
            starts.append(start)
        if any(_COMMENTED_OUT.match(self.text, start + column) for start in starts):
            return bottom
        if named is not None:
            word = re.compile(rf"(?<!\w){re.escape(named)}(?!\w)")
            starts = [start for start in starts if word.search(self.line(start))]
        return min(starts, default=bottom)

    def blanks_above(self, offset: int) -> int:
        """Where the blank lines right above the line of an offset begin."""
        start = self.line_start(offset)
        while start and not self.line(start - 1).strip(" \t"):
            start = self.line_start(start - 1)
        return start

    def blanks_below(self, offset: int) -> int:
        """Where the blank lines that begin at an offset end."""
        while (following := self.next_line(offset)) is not None and not self.line(offset).strip(" \t"):
            offset = following
        return offset
