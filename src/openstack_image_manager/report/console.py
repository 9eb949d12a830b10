"""Print lines, tables and Markdown: to a terminal with colours, to files and pipes without."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from rich.console import Console

from openstack_image_manager.model import Finding
from openstack_image_manager.redaction import printable, without_secrets
from openstack_image_manager.report.plain import Plain

Out: TypeAlias = "Console | Plain"


_LIKE_TERMINALS = {"FORCE_COLOR", "TTY_COMPATIBLE"}  # variables by which Rich takes anything for a terminal


_LEVEL_STYLE = {"note": "dim", "warning": "yellow", "error": "red"}


# What Markdown gives a meaning; an underscore within a word has none.
_MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")


def console(stderr: bool = False) -> Out:
    """Colours on a terminal only, none with NO_COLOR; lines are never folded in logs."""
    name = "stderr" if stderr else "stdout"
    if not getattr(sys, name).isatty() and not _LIKE_TERMINALS & os.environ.keys():
        return Plain(name)
    from rich.console import Console

    from openstack_image_manager.report.output import styled

    made = Console(file=styled(getattr(sys, name)), highlight=False, soft_wrap=True)
    made.no_color = made.no_color or not made.is_terminal
    return made


def clean(text: str) -> str:
    """Fit to be shown on one line: without secrets, control characters as Python writes them."""
    return printable(without_secrets(text))


def say(out: Out, *parts: str | tuple[str, str]) -> None:
    """A line of parts, some with a style. Never as markup: names may look like it."""
    styled = [(part, "") if isinstance(part, str) else part for part in parts]
    if isinstance(out, Plain):
        out.line("".join(clean(text) for text, _ in styled))
        return
    from rich.text import Text

    out.print(Text.assemble(*((clean(text), style) for text, style in styled)))


def pairs(rows: Iterable[tuple[str, str]], out: Out) -> None:
    """Names and values in two columns, below a heading."""
    listed = list(rows)
    width = max((len(name) for name, _ in listed), default=0)
    for name, value in listed:
        say(out, (f"  {name:{width}}", "dim"), f"  {value}")


def heading(text: str, out: Out) -> None:
    """A line that stands out."""
    say(out, (text, "bold"))


def findings(found: Iterable[Finding], out: Out) -> None:
    """A line for each."""
    for finding in found:
        say(out, (f"{finding.level}: {finding.subject}: {finding.message}", _LEVEL_STYLE[finding.level]))


def table_markdown(title: str, summary: str, rows: Sequence[Sequence[str]]) -> str:
    """A table below its first row as a Markdown note."""
    head, *rest = rows
    lines = [f"## {markdown(title)}", "", markdown(summary), ""]
    return "\n".join([*lines, _row(head), "|" + " --- |" * len(head), *map(_row, rest)]) + "\n"


def findings_markdown(title: str, summary: str, found: Iterable[Finding]) -> str:
    """Findings as a Markdown note, fit for an issue."""
    lines = [f"- **{each.level}** {markdown(each.subject)}: {markdown(each.message)}" for each in found]
    return "\n".join([f"## {markdown(title)}", "", markdown(summary), *([""] if lines else []), *lines]) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(markdown(cell) for cell in cells) + " |"


def markdown(text: str) -> str:
    """The text as Markdown that shows just that."""
    return _MARKS.sub(r"\\\g<0>", clean(text))


def table(rows: Sequence[Sequence[str]], out: Out) -> None:
    """Rows in columns, none of them cut however narrow the terminal is: ids are there to be copied. The first row is
    the head."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        say(out, (line, "" if number else "bold"))
