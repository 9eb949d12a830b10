"""Turn a newer build of an upstream into edits of its definition file, and into words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any

from openstack_image_manager import humanize
from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.editing.edit import AddVersion, Edit, RemoveVersion, SetVersionField, Value
from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.errors import Error, Interrupted
from openstack_image_manager.humanize import count
from openstack_image_manager.plan import retention
from openstack_image_manager.upstreams.build import (
    EVIDENCE,
    Build,
    has_moving_url,
    has_same_bytes,
    is_same,
    newest_recorded,
)


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What became of one definition: a `build` that its file has (now), or the `error` because of which nothing is
    known. `before`: the newest version until now; `edits`: what changes in the file, `dropped` versions included;
    `warning`: what could not be seen."""

    name: str
    file: str
    before: str | None = None
    build: Build | None = None
    edits: tuple[Edit, ...] = ()
    error: Error | None = None
    warning: str | None = None
    signed_days: int | None = None  # how old the signature is

    @property
    def dropped(self) -> tuple[str, ...]:
        """The versions that leave the file."""
        return tuple(each.version for each in self.edits if isinstance(each, RemoveVersion))

    @property
    def is_newer(self) -> bool:
        """True for a build that the file did not have."""
        return any(isinstance(each, AddVersion) for each in self.edits)

    @property
    def state(self) -> str:
        """updated (a newer build), completed (evidence of the same build), current, failed or interrupted."""
        if self.error is not None:
            return "interrupted" if isinstance(self.error, Interrupted) else "failed"
        if self.is_newer:
            return "updated"
        return "completed" if self.edits else "current"


def update_result(definition: Definition, file: str, build: Build, keep: int | None, today: date) -> UpdateResult:
    """What the build changes. `keep`: how many versions stay; None: as many as retention still needs."""
    newest = newest_recorded(definition)
    before = newest.version if newest else None
    same = [version for version in definition.versions if is_same(definition, version, build)]
    if same:
        version = next((each for each in same if each.version == build.version), same[0])
        if has_moving_url(
            definition, version
        ):  # it was recorded before the build had a name of its own, and keeps that name
            build = replace(build, version=version.version)
        edits = tuple(_missing_fields(definition, version, build)) if version.version == build.version else ()
        days = _days_since(build.signed_at, today)
        warning = "; ".join(filter(None, (_incomparable_digest(version, build), build.stale_warning))) or None
        return UpdateResult(definition.name, file, before, build, edits, warning=warning, signed_days=days)
    fields: dict[str, Value] = {"version": build.version, "url": build.url, **_evidence(build)}
    added = AddVersion(definition.name, fields)
    edits = (added, *_obsolete_versions(definition, build, keep, today))
    days = _days_since(build.signed_at, today)
    return UpdateResult(definition.name, file, before, build, edits, warning=build.stale_warning, signed_days=days)


def _days_since(signed_at: str | None, today: date) -> int | None:
    return (today - date.fromisoformat(signed_at[:10])).days if signed_at else None


def _evidence(build: Build) -> dict[str, Value]:
    found: dict[str, Value] = {}
    for name in EVIDENCE:
        value = getattr(build, name)
        if value is not None:
            found[name] = value if isinstance(value, int) else str(value)
    return found


def _missing_fields(definition: Definition, version: Version, build: Build) -> Iterable[Edit]:
    """What is missing at a version that the file has already; nothing that is there is changed but a moving URL."""
    if version.url != build.url:
        if not has_moving_url(definition, version) or (version.checksum and not has_same_bytes(version, build)):
            return
        yield SetVersionField(definition.name, version.version, "url", build.url)
    if version.checksum and version.checksum != str(build.checksum):
        return
    there = {name for name in EVIDENCE if getattr(version, name) is not None}
    there |= {"checksums_url"} if version.checksum_file else set()
    for name, value in _evidence(build).items():
        if name not in there:
            yield SetVersionField(definition.name, version.version, name, value)


def _incomparable_digest(version: Version, build: Build) -> str | None:
    """What can't be known of a version that the file has already, and what to do about it."""
    if not version.checksum or build.checksum is None or has_same_bytes(version, build) is not None:
        return None
    return (
        f"{version.version} is recorded with {version.checksum}, but the upstream publishes only {build.checksum}: "
        "a replaced file cannot be detected; verify it, and record the published checksum"
    )


def _obsolete_versions(definition: Definition, build: Build, keep: int | None, today: date) -> Iterable[Edit]:
    """Versions that no promise keeps: beyond the last N, the new one counted. What has a visibility of its own is never
    outdated, and releases that stand side by side are each an image of their own: they stay unless `keep` is given."""
    if keep is None:
        if not definition.multi or definition.keep:
            return
        keep = retention.visible_builds(definition.meta.get("uuid_validity"), today)
        if keep is None:
            return
    dated = [version for version in definition.versions if version.visibility is None]
    names = sorted({build.version, *(version.version for version in dated)}, key=naming.version_key, reverse=True)
    for name in names[max(1, keep) :]:
        yield RemoveVersion(definition.name, name)


def data(each: UpdateResult) -> dict[str, Any]:
    """As plain values; without secrets."""
    build = each.build
    known: dict[str, Any] = {"image": each.name, "file": each.file, "state": each.state, "from": each.before}
    if build is not None:
        evidence = {**_evidence(build), "checksums_url": public_url(build.checksums_url or "") or None}
        known |= {"to": build.version, "url": public_url(build.url), **evidence, "dropped": list(each.dropped)}
    known |= {"signed_days": each.signed_days} if each.signed_days is not None else {}
    known |= {"warning": each.warning} if each.warning else {}
    return known | ({"error": str(each.error)} if each.error else {})


def counts(found: Sequence[UpdateResult]) -> str:
    """`3 updated, 8 current, 1 failed`, in that order, without what there is none of."""
    states = ("updated", "completed", "current", "failed", "interrupted")
    numbers = {state: sum(each.state == state for each in found) for state in states}
    return ", ".join(f"{number} {state}" for state, number in numbers.items() if number) or "nothing to ask about"


def line(each: UpdateResult) -> str:
    """One line for people."""
    if each.error is not None:
        return f"{each.name}: {each.state}: {each.error}"
    build = each.build
    warning = f"; warning: {each.warning}" if each.warning else ""
    if build is None or not each.edits:
        return f"{each.name}: {build.version if build else each.before} is the newest build{_age(each)}{warning}"
    what = f"{each.before or 'nothing'} → {build.version}" if each.is_newer else f"{build.version}, completed"
    drops = f"; {', '.join(each.dropped)} dropped" if each.dropped else ""
    return f"{each.name}: {what} ({', '.join(_facts(build))}{_age(each, ', ')}){drops}{warning}"


def _age(each: UpdateResult, before: str = "; ") -> str:
    """How old the signature is: a site that shows the same signed file for ever shows nothing newer either."""
    if not each.signed_days or each.signed_days < 1:
        return ""
    return f"{before}signed {count(each.signed_days, 'day')} ago"


def _facts(build: Build) -> list[str]:
    return [
        *([f"built {build.build_date}"] if build.build_date else []),
        *([humanize.size(build.size)] if build.size else []),
        str(build.checksum) if build.checksum else "no checksum is published",
        f"signed by {build.signed_by}" if build.signed_by else "not signed",
    ]


def markdown(found: Sequence[UpdateResult]) -> list[list[str]]:
    """Rows of a table for a merge request: what is new, below its head."""
    rows = [["Image", "From", "To", "Built", "Size", "Checksum", "Signed by"]]
    for each in found:
        if (build := each.build) is not None and each.edits:
            cells = [
                build.build_date or "",
                humanize.size(build.size) if build.size else "",
                str(build.checksum or "none"),
            ]
            rows.append([each.name, each.before or "", build.version, *cells, build.signed_by or "not signed"])
    return rows
