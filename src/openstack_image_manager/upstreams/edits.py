"""Turn a newer build into edits of its definition file, and into messages."""

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
    days_since,
    has_moving_url,
    has_same_bytes,
    is_same,
    newest_recorded,
)


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """The result of one definition: the `build` in its file (after the edits), or an `error`.

    `before`: the newest version before the update. `edits`: the changes of the file, including `dropped` versions.
    `warning`: facts that could not be verified.
    """

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
        """Return the versions that are removed from the file."""
        return tuple(edit.version for edit in self.edits if isinstance(edit, RemoveVersion))

    @property
    def is_newer(self) -> bool:
        """Return True for a build that the file did not have."""
        return any(isinstance(edit, AddVersion) for edit in self.edits)

    @property
    def state(self) -> str:
        """Return updated (a newer build), completed (evidence for the same build), current, failed or interrupted."""
        if self.error is not None:
            return "interrupted" if isinstance(self.error, Interrupted) else "failed"
        if self.is_newer:
            return "updated"
        return "completed" if self.edits else "current"


def update_result(definition: Definition, file: str, build: Build, keep: int | None, today: date) -> UpdateResult:
    """Return the changes for a build. `keep`: the number of versions to keep; None: as many as retention needs."""
    newest = newest_recorded(definition)
    before = newest.version if newest else None
    same = [version for version in definition.versions if is_same(definition, version, build)]
    if same:
        version = next((version for version in same if version.version == build.version), same[0])
        if has_moving_url(definition, version):  # recorded before the build had its own name
            build = replace(build, version=version.version)
        edits = tuple(_missing_fields(definition, version, build)) if version.version == build.version else ()
        days = days_since(build.signed_at, today) if build.signed_at else None
        warning = "; ".join(filter(None, (_incomparable_digest(version, build), build.warning))) or None
        return UpdateResult(definition.name, file, before, build, edits, warning=warning, signed_days=days)
    fields: dict[str, Value] = {"version": build.version, "url": build.url, **_evidence(build)}
    added = AddVersion(definition.name, fields)
    edits = (added, *_obsolete_versions(definition, build, keep, today))
    days = days_since(build.signed_at, today) if build.signed_at else None
    return UpdateResult(definition.name, file, before, build, edits, warning=build.warning, signed_days=days)


def _evidence(build: Build) -> dict[str, Value]:
    evidence: dict[str, Value] = {}
    for name in EVIDENCE:
        value = getattr(build, name)
        if value is not None:
            evidence[name] = value if isinstance(value, int) else str(value)
    return evidence


def _missing_fields(definition: Definition, version: Version, build: Build) -> Iterable[Edit]:
    """Yield the fields that a recorded version lacks; existing fields stay, except a moving URL."""
    if version.url != build.url:
        if not has_moving_url(definition, version) or (version.checksum and not has_same_bytes(version, build)):
            return
        yield SetVersionField(definition.name, version.version, "url", build.url)
    if version.checksum and version.checksum != str(build.checksum):
        return
    present = {name for name in EVIDENCE if getattr(version, name) is not None}
    present |= {"checksums_url"} if version.checksum_file else set()
    for name, value in _evidence(build).items():
        if name not in present:
            yield SetVersionField(definition.name, version.version, name, value)


def _incomparable_digest(version: Version, build: Build) -> str | None:
    """Return a warning if the recorded and the published digest cannot be compared."""
    if not version.checksum or build.checksum is None or has_same_bytes(version, build) is not None:
        return None
    return (
        f"{version.version} is recorded with {version.checksum}, but the upstream publishes only {build.checksum}: "
        "a replaced file cannot be detected; verify it, and record the published checksum"
    )


def _obsolete_versions(definition: Definition, build: Build, keep: int | None, today: date) -> Iterable[Edit]:
    """Yield versions beyond the number to keep, the new one included.

    A version with its own visibility is never outdated. Side-by-side releases are images of their own: they stay unless
    `keep` is given.
    """
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


def data(result: UpdateResult) -> dict[str, Any]:
    """Return the result as plain values without secrets."""
    build = result.build
    known: dict[str, Any] = {"image": result.name, "file": result.file, "state": result.state, "from": result.before}
    if build is not None:
        evidence = {**_evidence(build), "checksums_url": public_url(build.checksums_url or "") or None}
        known |= {"to": build.version, "url": public_url(build.url), **evidence, "dropped": list(result.dropped)}
    known |= {"signed_days": result.signed_days} if result.signed_days is not None else {}
    known |= {"warning": result.warning} if result.warning else {}
    return known | ({"error": str(result.error)} if result.error else {})


def counts(results: Sequence[UpdateResult]) -> str:
    """Count the states in a fixed order, without zeros: `3 updated, 8 current, 1 failed`."""
    states = ("updated", "completed", "current", "failed", "interrupted")
    numbers = {state: sum(result.state == state for result in results) for state in states}
    return ", ".join(f"{number} {state}" for state, number in numbers.items() if number) or "nothing to ask about"


def line(result: UpdateResult) -> str:
    """One line for people."""
    if result.error is not None:
        return f"{result.name}: {result.state}: {result.error}"
    build = result.build
    warning = f"; warning: {result.warning}" if result.warning else ""
    if build is None or not result.edits:
        return f"{result.name}: {build.version if build else result.before} is the newest build{_age(result)}{warning}"
    what = f"{result.before or 'nothing'} → {build.version}" if result.is_newer else f"{build.version}, completed"
    drops = f"; {', '.join(result.dropped)} dropped" if result.dropped else ""
    return f"{result.name}: {what} ({', '.join(_facts(build))}{_age(result, ', ')}){drops}{warning}"


def _age(result: UpdateResult, before: str = "; ") -> str:
    """How old the signature is: a site that shows the same signed file for ever shows nothing newer either."""
    if not result.signed_days or result.signed_days < 1:
        return ""
    return f"{before}signed {count(result.signed_days, 'day')} ago"


def _facts(build: Build) -> list[str]:
    return [
        *([f"built {build.build_date}"] if build.build_date else []),
        *([humanize.size(build.size)] if build.size else []),
        str(build.checksum) if build.checksum else "no checksum is published",
        f"signed by {build.signed_by}" if build.signed_by else "not signed",
    ]


def markdown(results: Sequence[UpdateResult]) -> list[list[str]]:
    """Rows of a table for a merge request: what is new, below its head."""
    rows = [["Image", "From", "To", "Built", "Size", "Checksum", "Signed by"]]
    for result in results:
        if (build := result.build) is not None and result.edits:
            cells = [
                build.build_date or "",
                humanize.size(build.size) if build.size else "",
                str(build.checksum or "none"),
            ]
            rows.append([result.name, result.before or "", build.version, *cells, build.signed_by or "not signed"])
    return rows
