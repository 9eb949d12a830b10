"""Present plans and results as text, Markdown and plain values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from openstack_image_manager import humanize
from openstack_image_manager.definitions.model import Version, public_url
from openstack_image_manager.humanize import count
from openstack_image_manager.model import FieldChange, Image
from openstack_image_manager.plan import markers, serialize
from openstack_image_manager.plan.model import NO_NAME, Change, Create, Delete, Plan, Result, Update
from openstack_image_manager.redaction import public_urls
from openstack_image_manager.report.console import Out, findings, heading, markdown, row_markdown, say, table


def plan_text(plan: Plan, cloud: str, out: Out, with_heading: bool = False) -> None:
    """Print the plan as `+ ~ -` lines with before → after and reasons, then counts and the checksum. `with_heading`:
    print the cloud first."""
    if with_heading:
        heading(f"Cloud {cloud}", out)
    for planned in plan.changes:
        change(planned, out, plan.projects)
    findings(plan.findings, out)
    say(out, summary(plan, cloud))


def change(planned: Change, out: Out, names: Mapping[str, str]) -> None:
    """Print one change with its fields. `names` of projects by their ids."""
    if isinstance(planned, Create):
        _create_text(planned, names, out)
    elif isinstance(planned, Update):
        _update_text(planned, names, out)
    else:
        say(out, (f"- {planned.subject}", "red"), f"  {planned.found.id}: delete: {planned.reason}")


def summary(plan: Plan, cloud: str) -> str:
    """Return one line with the number of changes and the checksum."""
    scope = f"{cloud}: {count(plan.definitions, 'definition')}, {count(plan.images, 'managed image')}"
    errors = sum(finding.level == "error" for finding in plan.findings)
    if not plan.changes:
        # Definitions with errors were not compared, so "no changes" is unknown.
        return f"{scope}; {count(errors, 'error')}, nothing else to do" if errors else f"{scope}; no changes"
    imports, updates, deletes = (sum(isinstance(c, kind) for c in plan.changes) for kind in (Create, Update, Delete))
    numbers = f"{imports} to import, {updates} to change, {deletes} to delete"
    return f"{scope}; {numbers}; plan {serialize.checksum(plan)}"


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
    properties = {key: value for key, value in wanted.properties.items() if key != markers.RECORD}
    rows += [(key, public_urls(value)) for key, value in sorted(properties.items())]
    width = max(len(key) for key, _ in rows)
    for key, value in rows:
        say(out, f"    {key:{width}}  {value}")


def _checksum(version: Version) -> str:
    if version.checksum is None and version.checksum_file is not None:
        return f"the one in {public_url(version.checksum_file)}"
    return version.checksum or "none: the data cannot be verified"


def _update_text(change: Update, names: Mapping[str, str], out: Out) -> None:
    say(out, (f"~ {change.subject}", "yellow"), f"  {change.found.id}: {change.reason}")
    width = max(len(field.field) for field in change.fields)
    for field in change.fields:
        say(out, f"    {field.field:{width}}  {shown(field, names)}  ", (field.reason, "dim"))


def shown(field: FieldChange, names: Mapping[str, str] | None = None) -> str:
    """Return before → after; for sets, only additions and removals. `names` of projects by their ids."""
    return " → ".join(side for side in _sides(field, names or {}) if side)


def _project(project: str, names: Mapping[str, str]) -> str:
    """Return the name of a project, if known, and its id."""
    return f"{names[project]} ({project})" if project in names else project


def _sides(field: FieldChange, names: Mapping[str, str]) -> tuple[str, str]:
    """Return the value before and after. The first is empty if it has no information."""
    if field.field not in ("owner", "members"):
        names = {}
    if field.field == markers.RECORD:
        return ("(none)", "(written)") if field.before is None else ("", "(rewritten)")
    if isinstance(field.before, frozenset) and isinstance(field.after, frozenset):
        removed = [f"-{_project(project, names)}" for project in sorted(field.before - field.after)]
        return "", " ".join(
            removed + [f"+{_project(project, names)}" for project in sorted(field.after - field.before)]
        )
    before = "(none)" if field.before is None else _value(field.before, names)
    after = "(removed)" if field.after is None else _value(field.after, names)
    return before + (" (with a query that is not shown)" if before == after else ""), after


def _value(value: object, names: Mapping[str, str]) -> str:
    return public_urls(_project(str(value), names)) or '""'


def plan_data(plan: Plan, cloud: str) -> dict[str, Any]:
    """Return the plan as plain values, without secrets."""
    return {
        "cloud": cloud,
        "checksum": serialize.checksum(plan),
        "definitions": plan.definitions,
        "images": plan.images,
        **({"projects": dict(sorted(plan.projects.items()))} if plan.projects else {}),
        "changes": [serialize.change_data(change) for change in plan.changes],
        "findings": [{"level": f.level, "subject": f.subject, "message": f.message} for f in plan.findings],
    }


def plan_markdown(plan: Plan, cloud: str) -> str:
    """Return the plan as a Markdown note for a merge request."""
    lines = [f"## Image plan for {markdown(cloud)}", "", markdown(summary(plan, cloud)), ""]
    if plan.changes:
        lines += ["| image | field | before | after | reason |", "| --- | --- | --- | --- | --- |"]
    for change in plan.changes:
        if isinstance(change, Create):
            cells = [change.subject, "import", "", change.version.version, change.reason]
            lines.append(row_markdown(cells))
        elif isinstance(change, Delete):
            lines.append(row_markdown([change.subject, "delete", change.found.id, "", change.reason]))
        else:
            for field in change.fields:
                lines.append(row_markdown([change.subject, field.field, *_sides(field, plan.projects), field.reason]))
    lines += ["", *(f"- **{f.level}** {markdown(f.subject)}: {markdown(f.message)}" for f in plan.findings)]
    return "\n".join(lines).rstrip() + "\n"


def results_text(results: Sequence[Result], out: Out, cloud: str | None = None) -> None:
    """Print failed and skipped definitions, then a line with counts."""
    where = f"{cloud}: " if cloud else ""
    for result in results:
        if result.state != "ok":
            style = "red" if result.state == "failed" else "yellow"
            say(out, (f"{result.state}: {where}{result.definition}: {result.message}", style))
    say(out, where + counts(results))


def counts(results: Sequence[Result]) -> str:
    """Return counts such as `4 ok, 1 failed, 0 skipped`."""
    states = ("ok", "failed", "skipped")
    return ", ".join(f"{sum(result.state == state for result in results)} {state}" for state in states)


def images_table(images: Sequence[Image], out: Out) -> None:
    """Print the images of a cloud in columns."""
    rows = [("Name", "ID", "Status", "Visibility", "Hidden", "Min disk", "Size")]
    for image in sorted(images, key=lambda each: each.name):
        size = "" if image.size is None else humanize.size(image.size)
        rows.append(
            (
                image.name or NO_NAME,
                image.id,
                image.status,
                image.visibility,
                str(image.hidden),
                str(image.min_disk),
                size,
            )
        )
    table(rows, out)
