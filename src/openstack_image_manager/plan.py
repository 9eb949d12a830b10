"""PURE: the plan is the difference between the images wanted and the images found, with a reason for each change."""

from __future__ import annotations

import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

from openstack_image_manager import desired, identity, retention
from openstack_image_manager.format import Definition, Version, public_url
from openstack_image_manager.model import Change, Create, FieldChange, Finding, Image, Plan, Policy, Role, Update

FIELDS = ("name", "visibility", "status", "hidden", "min_disk", "min_ram", "tags")
WHOLE = ("active", "deactivated")
GONE = ("deleted", "pending_delete")


def diff(found: Image, wanted: Image, reasons: Mapping[str, str] | None = None) -> tuple[FieldChange, ...]:
    """Everything that differs, fields first, then properties by name; an absent property is None."""
    why = reasons or {}
    before = {**found.properties, **{name: getattr(found, name) for name in FIELDS}}
    after = {**wanted.properties, **{name: getattr(wanted, name) for name in FIELDS}}
    names = [*FIELDS, *sorted((found.properties.keys() | wanted.properties.keys()) - set(FIELDS))]
    return tuple(
        FieldChange(name, before.get(name), after.get(name), why.get(name, "as defined"))
        for name in names
        if before.get(name) != after.get(name)
    )


def plan(
    definitions: Iterable[Definition],
    found: Iterable[Image],
    policy: Policy,
    today: date,
    findings: Sequence[Finding] = (),
) -> Plan:
    """The plan for all definitions. `findings` of the level error name definitions that must be left alone."""
    known = {definition.name: definition for definition in definitions}
    broken = {finding.subject for finding in findings if finding.level == "error"}
    by_definition: dict[str, list[tuple[str, Image]]] = defaultdict(list)
    images = 0
    for image in found:
        key = identity.identify(image, known) if image.status not in GONE else None
        if key is not None:
            by_definition[key[0]].append((key[1], image))
            images += 1
    changes: list[Change] = []
    told = list(findings)
    for name, definition in known.items():
        if not definition.enable and not policy.force:
            told.append(Finding("note", name, "enable is false: left exactly as it is (--force includes it)"))
        elif name not in broken and definition.versions:
            more, remarks = _plan_definition(definition, by_definition[name], policy, today)
            changes += more
            told += remarks
    converts = _converts((known[name].format, image) for name, found in by_definition.items() for _, image in found)
    return Plan(tuple(changes), tuple(told), len(known), images, converts)


def _converts(images: Iterable[tuple[str, Image]]) -> bool | None:
    """Whether the cloud converts imports, as its newest image that can tell shows; None: none can."""
    telling = [
        (i.created_at, i.disk_format != defined) for defined, i in images if defined != "raw" and i.status in WHOLE
    ]
    return max(telling)[1] if telling else None


def _plan_definition(
    definition: Definition, found: Sequence[tuple[str, Image]], policy: Policy, today: date
) -> tuple[list[Change], list[Finding]]:
    images, findings = _one_per_version(definition, found)
    defined = {version.version: version for version in definition.versions}
    newest = max(definition.versions, key=lambda version: desired.version_key(version.version))
    missing = [
        version
        for version in definition.versions
        if (version is newest or not (policy.latest and definition.multi))
        and (version.version not in images or not _is_usable(images[version.version]))
    ]
    present = set(images) | {version.version for version in missing}
    # The newest defined one is the current build, even when the cloud has a later one that was withdrawn.
    builds = sorted(present - {newest.version}, key=desired.version_key, reverse=True)
    roles = _roles(definition, newest, [newest.version, *builds], policy, today)

    creates = [_create(definition, version, roles[version.version], policy, images) for version in missing]
    creates.sort(key=lambda change: desired.version_key(change.version.version), reverse=True)
    updates: list[Change] = []
    for build in [newest.version, *builds]:
        image = images.get(build)
        if image is None or not _is_usable(image):
            continue
        change = _update(definition, defined.get(build), newest, roles[build], policy, image)
        if change is not None:
            updates.append(change)
        findings += _byte_findings(definition, defined.get(build), image)
    # The newest first, then the names of the others, and what is older and missing last: its upstream is the
    # likeliest to be gone, and must not stand in the way of the rotation.
    first = [change for change in creates if change.version is newest]
    later = [change for change in creates if change.version is not newest]
    return [*first, *updates, *later], findings


def _is_usable(image: Image) -> bool:
    return image.status in WHOLE and not desired.has_wrong_bytes(image)


def _one_per_version(
    definition: Definition, found: Sequence[tuple[str, Image]]
) -> tuple[dict[str, Image], list[Finding]]:
    """The image that stands for each version: a whole one, the one most people use, the oldest."""
    candidates: dict[str, list[Image]] = defaultdict(list)
    for version, image in found:
        candidates[version].append(image)
    chosen: dict[str, Image] = {}
    findings: list[Finding] = []
    defined = {version.version for version in definition.versions}
    for version, images in candidates.items():
        images.sort(
            key=lambda i: (
                not _is_usable(i),
                i.status != "active",
                retention.WIDEST_FIRST.index(i.visibility),
                i.created_at,
                i.id,
            )
        )
        chosen[version] = images[0]
        for other in images[1:]:
            message = f"version {version} is there twice: {images[0].id} is managed, {other.id} is left alone"
            findings.append(Finding("warning", definition.name, message))
        if version not in defined and not _is_usable(images[0]):
            message = f"{images[0].id} is {images[0].status} and was left by an interrupted run for version {version}"
            findings.append(Finding("warning", definition.name, message + ", which is no longer defined; delete it"))
            del chosen[version]
    return chosen, findings


def _roles(
    definition: Definition, newest: Version, builds: Sequence[str], policy: Policy, today: date
) -> dict[str, Role]:
    defined = {version.version: version for version in definition.versions}
    meta = {**definition.meta, **newest.meta}
    visible = retention.visible_builds(meta.get("uuid_validity"), today) if definition.multi else None
    roles = {}
    for rank, build in enumerate(builds):
        version = defined.get(build)
        visibility: str = (version.visibility if version else None) or definition.visibility
        hidden = bool(version.hidden) if version else False
        explicit = version is not None and version.visibility is not None
        kept = version is None and (policy.keep or definition.keep)
        retired = visible is not None and rank >= visible and not explicit and not kept
        if retired:
            visibility, hidden = retention.out_of_sight(
                visibility, hidden, policy.hidden_visibility, policy.use_os_hidden
            )
        status = "deactivated" if retired and policy.deactivate else definition.status
        superseded = version is None or desired.is_superseded(definition, version, newest)
        roles[build] = Role(build == newest.version, superseded, retired, visibility, hidden, status)
    return roles


def _create(
    definition: Definition, version: Version, role: Role, policy: Policy, images: Mapping[str, Image]
) -> Create:
    left = images.get(version.version)
    if left is None:
        reason = f"version {version.version} is not in the cloud"
    elif desired.has_wrong_bytes(left):
        reason = f"{left.id} has other bytes than its checksum promises and was never published: replaced"
    else:
        reason = f"{left.id} is {left.status}: an interrupted run left it"
    wanted = desired.wanted_image(definition, version, role, policy.tag)
    return Create(definition, version, role, wanted, reason, left)


def _update(
    definition: Definition,
    version: Version | None,
    newest: Version,
    role: Role,
    policy: Policy,
    image: Image,
) -> Update | None:
    if version is None:
        wanted = _outdated(definition, role, image)
    else:
        wanted = desired.wanted_image(definition, version, role, policy.tag, image)
    fields = diff(image, wanted, _reasons(definition, newest, role, image, wanted))
    if not fields:
        return None
    if any(change.field == "name" and not role.newest for change in fields):
        reason = f"superseded by {newest.version}"
    elif desired.is_pending(image):
        reason = "an interrupted run left it unpublished"
    else:
        reason = "differs from its definition" if version else "its version is no longer defined"
    return Update(definition, image, wanted, fields, reason)


def _outdated(definition: Definition, role: Role, image: Image) -> Image:
    """An image whose version left the definition: name, os_purpose and visibility only, and never wider."""
    version = image.properties.get("internal_version") or identity.version_in_name(image.name, definition)
    name = desired.image_name(definition, version, False) if definition.multi and version else image.name
    properties = dict(image.properties)
    if definition.multi and properties.get("os_purpose") == "generic":
        properties["os_purpose"] = "oldgeneric"
    visibility = retention.narrower(image.visibility, role.visibility)
    return replace(
        image,
        name=name,
        properties=properties,
        visibility=visibility,
        hidden=image.hidden or role.hidden,
        status=role.status if role.retired and role.status == "deactivated" else image.status,
    )


def _reasons(definition: Definition, newest: Version, role: Role, found: Image, wanted: Image) -> dict[str, str]:
    """Why each field differs, where there is more to say than that the definition says so."""
    reasons = {key: "no longer in the definition" for key in desired.recorded(found)[0] if key not in wanted.properties}
    for key, value in definition.meta.items():
        if value is None:
            reasons[key] = "null in the definition"
    if wanted.min_disk > definition.min_disk:
        reasons["min_disk"] = "raised to the virtual size of the image"
    reasons[desired.RECORD] = "record of what is managed"
    reasons[desired.VERIFIED] = "the import is complete"
    if role.newest:
        reasons["name"] = "the newest build has the plain name" if definition.multi else "as defined"
    else:
        reasons["name"] = reasons["os_purpose"] = f"superseded by {newest.version}"
        if role.retired:
            reasons["visibility"] = reasons["hidden"] = "older than the builds that stay visible"
    return reasons


def _byte_findings(definition: Definition, version: Version | None, image: Image) -> list[Finding]:
    """Bytes of an image never change: a checksum that was edited later can't be made true by a run."""
    stored = image.properties.get(desired.VERIFIED, "").removeprefix(desired.PENDING).partition(" ")[0]
    if version is None or not version.checksum or ":" not in stored or stored == version.checksum:
        return []
    message = (
        f"the definition's checksum of version {version.version} is {version.checksum}, but {image.id} was verified "
        f"with {stored}; an image's bytes can't change: define them as a new version"
    )
    return [Finding("warning", definition.name, message)]


def change_data(change: Change) -> dict[str, Any]:
    """A change as plain values, complete and without secrets: what the checksum, JSON and plan files are made of."""
    if isinstance(change, Create):
        wanted, version = change.wanted, change.version
        return {
            "action": "import",
            "definition": change.definition.name,
            "version": version.version,
            "image": change.subject,
            "left": change.left.id if change.left else None,
            "reason": change.reason,
            "url": public_url(version.url),
            "mirror_url": public_url(version.mirror_url) if version.mirror_url else None,
            "checksum": version.checksum,
            "disk_format": wanted.disk_format,
            **{name: _plain(getattr(wanted, name)) for name in FIELDS},
            "properties": {key: _plain(value) for key, value in sorted(wanted.properties.items())},
        }
    return {
        "action": "change",
        "definition": change.definition.name,
        "image": change.subject,
        "id": change.found.id,
        "reason": change.reason,
        "fields": [
            {"field": f.field, "before": _plain(f.before), "after": _plain(f.after), "reason": f.reason}
            for f in change.fields
        ],
    }


def _plain(value: Any) -> Any:
    if isinstance(value, frozenset):
        return sorted(value)
    return public_url(value) if isinstance(value, str) and "://" in value else value


def checksum(plan: Plan) -> str:
    """A short digest of all changes: equal plans, and only those, have equal ones."""
    text = json.dumps([change_data(change) for change in plan.changes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
