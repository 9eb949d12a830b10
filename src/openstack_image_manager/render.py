"""Plans, progress and results for people (text, Markdown) and programs (JSON)."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.text import Text

from openstack_image_manager import changes as values
from openstack_image_manager import desired
from openstack_image_manager.format import public_url
from openstack_image_manager.model import Create, Delete, FieldChange, Image, Plan, Result, Update

_LEVEL_STYLE = {"note": "dim", "warning": "yellow", "error": "red"}
_USERINFO = re.compile(r"(\w+://)[^/?#\s\"]+@")
# What Markdown gives a meaning; an underscore within a word has none.
_MARKS = re.compile(r"[\\`*\[\]<>|~&]|(?<![^\W_])_|_(?![^\W_])")


def console(stderr: bool = False) -> Console:
    """Colours on a terminal only, none with NO_COLOR; lines are never folded in logs."""
    made = Console(stderr=stderr, highlight=False, soft_wrap=True)
    made.no_color = made.no_color or not made.is_terminal
    return made


def _clean(text: str) -> str:
    """Fit to be shown: without user and password of URLs, control characters as Python writes them."""
    text = _USERINFO.sub(r"\1***@", text)
    return text if text.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _say(out: Console, *parts: str | tuple[str, str]) -> None:
    """A line of parts, some with a style. Never as markup: names may look like it."""
    styled = [(part, "") if isinstance(part, str) else part for part in parts]
    out.print(Text.assemble(*((_clean(text), style) for text, style in styled)))


def plan_text(plan: Plan, cloud: str, out: Console) -> None:
    """The plan as `+ ~ -` lines: before → after, with reasons; then counts and the checksum."""
    for change in plan.changes:
        if isinstance(change, Create):
            _create_text(change, out)
        elif isinstance(change, Update):
            _update_text(change, out)
        else:
            _say(out, (f"- {change.subject}", "red"), f"  {change.found.id}: delete: {change.reason}")
    for finding in plan.findings:
        _say(out, (f"{finding.level}: {finding.subject}: {finding.message}", _LEVEL_STYLE[finding.level]))
    _say(out, summary(plan, cloud))


def summary(plan: Plan, cloud: str) -> str:
    """One line: how much there is to do, and the checksum."""
    scope = f"{cloud}: {count(plan.definitions, 'definition')}, {count(plan.images, 'managed image')}"
    if not plan.changes:
        return f"{scope}; no changes"
    imports, updates, deletes = (sum(isinstance(c, kind) for c in plan.changes) for kind in (Create, Update, Delete))
    numbers = f"{imports} to import, {updates} to change, {deletes} to delete"
    return f"{scope}; {numbers}; plan {values.checksum(plan)}"


def count(number: int, thing: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _create_text(change: Create, out: Console) -> None:
    version, wanted = change.version, change.wanted
    _say(out, (f"+ {change.subject}", "green"), f"  import version {version.version}: {change.reason}")
    rows = [("from", public_url(version.url))]
    if version.mirror_url:
        rows.append(("mirror", public_url(version.mirror_url)))
    rows += [
        ("checksum", version.checksum or "none: the bytes can't be verified"),
        ("format", wanted.disk_format or ""),
        ("visibility", wanted.visibility + (", hidden" if wanted.hidden else "")),
        ("needs", f"{wanted.min_disk} GiB disk, {wanted.min_ram} MiB memory"),
        ("tags", ", ".join(sorted(wanted.tags))),
    ]
    if wanted.status != "active":
        rows.append(("status", wanted.status))
    shown = {key: value for key, value in wanted.properties.items() if key != desired.RECORD}
    rows += sorted(shown.items())
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        _say(out, f"    {key:{width}}  {value}")


def _update_text(change: Update, out: Console) -> None:
    _say(out, (f"~ {change.subject}", "yellow"), f"  {change.found.id}: {change.reason}")
    width = max(len(field.field) for field in change.fields)
    for field in change.fields:
        _say(out, f"    {field.field:{width}}  {shown(field)}  ", (field.reason, "dim"))


def shown(field: FieldChange) -> str:
    """before → after; of a set only what comes and goes."""
    return " → ".join(side for side in _sides(field) if side)


def _sides(field: FieldChange) -> tuple[str, str]:
    """What it is and what it shall be; the first is empty where only the second says something."""
    if field.field == desired.RECORD:
        return ("(none)", "(written)") if field.before is None else ("", "(rewritten)")
    if isinstance(field.before, frozenset) and isinstance(field.after, frozenset):
        gone = [f"-{tag}" for tag in sorted(field.before - field.after)]
        return "", " ".join(gone + [f"+{tag}" for tag in sorted(field.after - field.before)])
    before = "(none)" if field.before is None else str(field.before) or '""'
    return before, "(removed)" if field.after is None else str(field.after) or '""'


def plan_data(plan: Plan, cloud: str) -> dict[str, Any]:
    """The plan as plain values; without secrets."""
    return {
        "cloud": cloud,
        "checksum": values.checksum(plan),
        "definitions": plan.definitions,
        "images": plan.images,
        "changes": [values.change_data(change) for change in plan.changes],
        "findings": [{"level": f.level, "subject": f.subject, "message": f.message} for f in plan.findings],
    }


def plan_json(plan: Plan, cloud: str) -> str:
    """The plan as JSON, keys in a fixed order."""
    return _USERINFO.sub(r"\1***@", json.dumps(plan_data(plan, cloud), indent=2))


def plan_markdown(plan: Plan, cloud: str) -> str:
    """The plan as a Markdown note, fit for a merge request."""
    lines = [f"## Image plan for {_md(cloud)}", "", _md(summary(plan, cloud)), ""]
    if plan.changes:
        lines += ["| image | field | before | after | reason |", "| --- | --- | --- | --- | --- |"]
    for change in plan.changes:
        if isinstance(change, Create):
            cells = [change.subject, "import", "", change.version.version, change.reason]
            lines.append(_row(cells))
        elif isinstance(change, Delete):
            lines.append(_row([change.subject, "delete", change.found.id, "", change.reason]))
        else:
            for field in change.fields:
                lines.append(_row([change.subject, field.field, *_sides(field), field.reason]))
    lines += ["", *(f"- **{f.level}** {_md(f.subject)}: {_md(f.message)}" for f in plan.findings)]
    return "\n".join(lines).rstrip() + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(_md(cell) for cell in cells) + " |"


def _md(text: str) -> str:
    return _MARKS.sub(r"\\\g<0>", _clean(text))


def results_text(results: Sequence[Result], out: Console) -> None:
    """What became of each definition; then a line with the counts."""
    for result in results:
        if result.state != "ok":
            style = "red" if result.state == "failed" else "yellow"
            _say(out, (f"{result.state}: {result.definition}: {result.message}", style))
    counts = {state: sum(result.state == state for result in results) for state in ("ok", "failed", "skipped")}
    _say(out, ", ".join(f"{number} {state}" for state, number in counts.items()))


def images_table(images: Sequence[Image], out: Console) -> None:
    """Images in columns, none of them cut however narrow the terminal is: ids are there to be copied."""
    rows = [("Name", "ID", "Status", "Visibility", "Hidden", "Min disk", "Size")]
    for image in sorted(images, key=lambda each: each.name):
        size = "" if image.size is None else f"{image.size / 1024**2:.1f} MiB"
        name = _clean(image.name)
        rows.append((name, image.id, image.status, image.visibility, str(image.hidden), str(image.min_disk), size))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for number, row in enumerate(rows):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        _say(out, (line, "" if number else "bold"))


class Lines:
    """Progress for logs: a line per event, none for bytes."""

    live = False

    def __init__(self, out: Console) -> None:
        self._out = out

    def line(self, subject: str, message: str) -> None:
        """A line of its own."""
        _say(self._out, f"{subject}: {message}")

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Bytes are not told here."""

    def finished(self, subject: str) -> None:
        """Nothing to take away."""

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        """Nothing to close."""


class Bars:
    """Progress for a terminal: a bar per import, lines above the bars."""

    live = True

    def __init__(self, out: Console) -> None:
        subject, message = (TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("subject", "message"))
        columns = (subject, BarColumn(), message)
        self._progress = Progress(*columns, console=out, transient=True)
        self._tasks: dict[str, TaskID] = {}
        self._lock = threading.Lock()

    def line(self, subject: str, message: str) -> None:
        """A line above the bars."""
        _say(self._progress.console, f"{subject}: {message}")

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Move the subject's bar."""
        if done is not None:
            message = f"{message} {done / 1024**2:.0f} MiB" + (f" of {total / 1024**2:.0f} MiB" if total else "")
        with self._lock:
            if subject not in self._tasks:
                self._tasks[subject] = self._progress.add_task("", subject=_clean(subject), message="", total=None)
            self._progress.update(self._tasks[subject], completed=done or 0, total=total, message=_clean(message))

    def finished(self, subject: str) -> None:
        """Take the subject's bar away."""
        with self._lock:
            task = self._tasks.pop(subject, None)
        if task is not None:
            self._progress.remove_task(task)

    def __enter__(self) -> Bars:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


def reporter(out: Console) -> Lines | Bars:
    """Bars on a terminal, lines elsewhere."""
    return Bars(out) if out.is_terminal else Lines(out)
