"""Plans, progress and results for people (text, Markdown) and programs (JSON)."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from openstack_image_manager import markers, serialize, sizes
from openstack_image_manager.format import Version, public_url
from openstack_image_manager.model import FieldChange, Finding, Image
from openstack_image_manager.plain import Plain
from openstack_image_manager.plan_model import Change, Create, Delete, Plan, Result, Update
from openstack_image_manager.redaction import printable, without_secrets

if TYPE_CHECKING:
    from rich.console import Console

    from openstack_image_manager.upstreams.news import News

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

    from openstack_image_manager.output import styled

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


def plan_text(plan: Plan, cloud: str, out: Out, with_heading: bool = False) -> None:
    """The plan as `+ ~ -` lines: before → after, with reasons; then counts and the checksum. `with_heading`: say first
    which cloud it is for."""
    if with_heading:
        heading(f"Cloud {cloud}", out)
    for each in plan.changes:
        change(each, out, plan.projects)
    findings(plan.findings, out)
    say(out, summary(plan, cloud))


def change(made: Change, out: Out, names: Mapping[str, str]) -> None:
    """One change, with all that it changes. `names` of projects by their ids."""
    if isinstance(made, Create):
        _create_text(made, names, out)
    elif isinstance(made, Update):
        _update_text(made, names, out)
    else:
        say(out, (f"- {made.subject}", "red"), f"  {made.found.id}: delete: {made.reason}")


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


def summary(plan: Plan, cloud: str) -> str:
    """One line: how much there is to do, and the checksum."""
    scope = f"{cloud}: {count(plan.definitions, 'definition')}, {count(plan.images, 'managed image')}"
    errors = sum(finding.level == "error" for finding in plan.findings)
    if not plan.changes:
        # What an error concerns was not compared, so that nobody can say that nothing would change.
        return f"{scope}; {count(errors, 'error')}, nothing else to do" if errors else f"{scope}; no changes"
    imports, updates, deletes = (sum(isinstance(c, kind) for c in plan.changes) for kind in (Create, Update, Delete))
    numbers = f"{imports} to import, {updates} to change, {deletes} to delete"
    return f"{scope}; {numbers}; plan {serialize.checksum(plan)}"


def count(number: int, thing: str) -> str:
    """`1 image`, `2 images`."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def _create_text(change: Create, names: Mapping[str, str], out: Out) -> None:
    version, wanted = change.version, change.wanted
    say(out, (f"+ {change.subject}", "green"), f"  import version {version.version}: {change.reason}")
    rows = [("from", public_url(version.url))]
    if version.mirror_url:
        rows.append(("mirror", public_url(version.mirror_url)))
    rows.append(("checksum", _checksum(version)))
    if version.mirror_checksum:
        rows.append(("mirror_checksum", version.mirror_checksum))
    rows += [
        ("format", wanted.disk_format or ""),
        ("visibility", wanted.visibility + (", hidden" if wanted.hidden else "")),
        ("needs", f"{wanted.min_disk} GiB disk, {wanted.min_ram} MiB memory"),
        ("tags", ", ".join(sorted(wanted.tags))),
    ]
    if wanted.status != "active":
        rows.append(("status", wanted.status))
    if wanted.protected:
        rows.append(("protected", "True"))
    for name in ("owner", "members", "stores"):
        if (value := getattr(wanted, name)) is not None:
            parts = value if isinstance(value, frozenset) else {value}
            rows.append((name, ", ".join(sorted(_project(part, names) for part in parts))))
    shown = {key: value for key, value in wanted.properties.items() if key != markers.RECORD}
    rows += sorted(shown.items())
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        say(out, f"    {key:{width}}  {value}")


def _checksum(version: Version) -> str:
    if version.checksum is None and version.checksum_file is not None:
        return f"the one in {public_url(version.checksum_file)}"
    return version.checksum or "none: the bytes can't be verified"


def _update_text(change: Update, names: Mapping[str, str], out: Out) -> None:
    say(out, (f"~ {change.subject}", "yellow"), f"  {change.found.id}: {change.reason}")
    width = max(len(field.field) for field in change.fields)
    for field in change.fields:
        say(out, f"    {field.field:{width}}  {shown(field, names)}  ", (field.reason, "dim"))


def shown(field: FieldChange, names: Mapping[str, str] | None = None) -> str:
    """before → after; of a set only what comes and goes. `names` of projects by their ids."""
    return " → ".join(side for side in _sides(field, names or {}) if side)


def _project(project: str, names: Mapping[str, str]) -> str:
    """A project by its name, where that is known, and its id."""
    return f"{names[project]} ({project})" if project in names else project


def _sides(field: FieldChange, names: Mapping[str, str]) -> tuple[str, str]:
    """What it is and what it shall be; the first is empty where only the second says something."""
    if field.field not in ("owner", "members"):
        names = {}
    if field.field == markers.RECORD:
        return ("(none)", "(written)") if field.before is None else ("", "(rewritten)")
    if isinstance(field.before, frozenset) and isinstance(field.after, frozenset):
        gone = [f"-{_project(each, names)}" for each in sorted(field.before - field.after)]
        return "", " ".join(gone + [f"+{_project(each, names)}" for each in sorted(field.after - field.before)])
    before = "(none)" if field.before is None else _project(str(field.before), names) or '""'
    return before, "(removed)" if field.after is None else _project(str(field.after), names) or '""'


def plan_data(plan: Plan, cloud: str) -> dict[str, Any]:
    """The plan as plain values; without secrets."""
    return {
        "cloud": cloud,
        "checksum": serialize.checksum(plan),
        "definitions": plan.definitions,
        "images": plan.images,
        **({"projects": dict(sorted(plan.projects.items()))} if plan.projects else {}),
        "changes": [serialize.change_data(change) for change in plan.changes],
        "findings": [{"level": f.level, "subject": f.subject, "message": f.message} for f in plan.findings],
    }


def plan_json(plan: Plan, cloud: str) -> str:
    """The plan as JSON, keys in a fixed order."""
    return clean_json(plan_data(plan, cloud))


def clean_json(data: Any) -> str:
    """Plain values as JSON, without secrets."""
    return without_secrets(json.dumps(data, indent=2))


def plans_json(plans: Iterable[tuple[Plan, str]], failed: dict[str, str]) -> str:
    """The plans of several clouds as JSON; `failed`: the clouds that could not be looked at, and why."""
    return clean_json({"clouds": [plan_data(plan, cloud) for plan, cloud in plans], "failed": failed})


def plan_markdown(plan: Plan, cloud: str) -> str:
    """The plan as a Markdown note, fit for a merge request."""
    lines = [f"## Image plan for {markdown(cloud)}", "", markdown(summary(plan, cloud)), ""]
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
                lines.append(_row([change.subject, field.field, *_sides(field, plan.projects), field.reason]))
    lines += ["", *(f"- **{f.level}** {markdown(f.subject)}: {markdown(f.message)}" for f in plan.findings)]
    return "\n".join(lines).rstrip() + "\n"


def news_markdown(found: Sequence[News]) -> str:
    """What upstreams published, as a Markdown note fit for a merge request."""
    from openstack_image_manager.upstreams import news

    head, *rows = news.markdown(found)
    lines = ["## Image updates", "", markdown(news.counts(found)), ""]
    if rows:
        lines += [_row(head), _row(["---"] * len(head)).replace("\\", ""), *(_row(row) for row in rows), ""]
    lines += [f"- **warning** {markdown(each.name)}: {markdown(each.warning)}" for each in found if each.warning]
    lines += [f"- **{each.state}** {markdown(each.name)}: {markdown(str(each.error))}" for each in found if each.error]
    return "\n".join(lines).rstrip() + "\n"


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


def results_text(results: Sequence[Result], out: Out, cloud: str | None = None) -> None:
    """What became of each definition; then a line with the counts."""
    where = f"{cloud}: " if cloud else ""
    for result in results:
        if result.state != "ok":
            style = "red" if result.state == "failed" else "yellow"
            say(out, (f"{result.state}: {where}{result.definition}: {result.message}", style))
    say(out, where + counts(results))


def counts(results: Sequence[Result]) -> str:
    """`4 ok, 1 failed, 0 skipped`."""
    states = ("ok", "failed", "skipped")
    return ", ".join(f"{sum(result.state == state for result in results)} {state}" for state in states)


def images_table(images: Sequence[Image], out: Out) -> None:
    """Images in columns: what a cloud has."""
    rows = [("Name", "ID", "Status", "Visibility", "Hidden", "Min disk", "Size")]
    for image in sorted(images, key=lambda each: each.name):
        size = "" if image.size is None else sizes.words(image.size)
        rows.append(
            (image.name, image.id, image.status, image.visibility, str(image.hidden), str(image.min_disk), size)
        )
    table(rows, out)


def table(rows: Sequence[Sequence[str]], out: Out) -> None:
    """Rows in columns, none of them cut however narrow the terminal is: ids are there to be copied. The first row is
    the head."""
    cells = [[clean(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    for number, row in enumerate(cells):
        line = "  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip()
        say(out, (line, "" if number else "bold"))
