"""Print lines, tables and Markdown: to a terminal with colours, to files and pipes without."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, TypeAlias

from openstack_image_manager.model import Finding
from openstack_image_manager.redaction import printable, without_secrets

if TYPE_CHECKING:
    from rich.console import Console

Out: TypeAlias = "Console | PlainOutput"


_LIKE_TERMINALS = {"FORCE_COLOR", "TTY_COMPATIBLE"}  # with these variables, Rich treats any stream as a terminal


_LEVEL_STYLE = {"note": "dim", "warning": "yellow", "error": "red"}


# Characters with a meaning in Markdown; an underscore inside a word has none.
_MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")


class PlainOutput:
    """Standard output or error without a terminal, which does not need Rich."""

    def __init__(self, name: str) -> None:
        self._name = name

    def line(self, text: str) -> None:
        """Print a line in one piece, because several threads write, and flush it."""
        stream = getattr(sys, self._name)
        stream.write(f"{text}\n")
        stream.flush()


def console(stderr: bool = False) -> Out:
    """Return the output: with colours on a terminal unless NO_COLOR is set, and without folded lines in logs."""
    name = "stderr" if stderr else "stdout"
    if not getattr(sys, name).isatty() and not _LIKE_TERMINALS & os.environ.keys():
        return PlainOutput(name)
    from rich.console import Console

    from openstack_image_manager.report.output import styled

    terminal = Console(file=styled(getattr(sys, name)), highlight=False, soft_wrap=True)
    terminal.no_color = terminal.no_color or not terminal.is_terminal
    return terminal


def clean(text: str) -> str:
    """Remove secrets and escape control characters, for one line of output."""
    return printable(without_secrets(text))


def say(out: Out, *parts: str | tuple[str, str]) -> None:
    """Print a line of parts, some with a style. Names that look like markup are printed as they are."""
    styled = [(part, "") if isinstance(part, str) else part for part in parts]
    if isinstance(out, PlainOutput):
        out.line("".join(clean(text) for text, _ in styled))
        return
    from rich.text import Text

    out.print(Text.assemble(*((clean(text), style) for text, style in styled)))


def pairs(rows: Iterable[tuple[str, str]], out: Out) -> None:
    """Print names and values in two columns below a heading."""
    items = list(rows)
    width = max((len(name) for name, _ in items), default=0)
    for name, value in items:
        say(out, (f"  {name:{width}}", "dim"), f"  {value}")


def heading(text: str, out: Out) -> None:
    """Print a bold line."""
    say(out, (text, "bold"))


def findings(listed: Iterable[Finding], out: Out) -> None:
    """Print a line for each finding."""
    for finding in listed:
        say(out, (f"{finding.level}: {finding.subject}: {finding.message}", _LEVEL_STYLE[finding.level]))


def table_markdown(title: str, summary: str, rows: Sequence[Sequence[str]]) -> str:
    """Return a table as a Markdown note. The first row is the head."""
    head, *rest = rows
    lines = [f"## {markdown(title)}", "", markdown(summary), ""]
    return "\n".join([*lines, row_markdown(head), "|" + " --- |" * len(head), *map(row_markdown, rest)]) + "\n"


def findings_markdown(title: str, summary: str, listed: Iterable[Finding]) -> str:
    """Return findings as a Markdown note for an issue."""
    lines = [f"- **{finding.level}** {markdown(finding.subject)}: {markdown(finding.message)}" for finding in listed]
    return "\n".join([f"## {markdown(title)}", "", markdown(summary), *([""] if lines else []), *lines]) + "\n"


def row_markdown(cells: Iterable[str]) -> str:
    """Return a row of a Markdown table."""
    return "| " + " | ".join(markdown(cell) for cell in cells) + " |"


def markdown(text: str) -> str:
    """Escape a text for Markdown."""
    return _MARKS.sub(r"\\\g<0>", clean(text))


def table(rows: Sequence[Sequence[str]], out: Out) -> None:
    """Print rows in columns without cutting them, so that ids can be copied. The first row is the head."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        say(out, (line, "" if number else "bold"))
