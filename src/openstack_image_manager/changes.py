"""PURE: changes as differences of images, with a reason for each field, and as plain values."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from openstack_image_manager import desired
from openstack_image_manager.format import Definition, public_url
from openstack_image_manager.model import Change, Create, Delete, FieldChange, Image, Plan, Role, Update
from openstack_image_manager.redaction import public_urls

FIELDS = (
    *("name", "visibility", "status", "hidden", "min_disk", "min_ram", "tags", "protected"),
    *("owner", "members", "stores"),
)
OPTIONAL = ("owner", "members", "stores")  # None: no one asked for them


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
        and not (name in OPTIONAL and (before.get(name) is None or after.get(name) is None))
    )


def reasons_for(definition: Definition, current: str, role: Role, found: Image, wanted: Image) -> dict[str, str]:
    """Why each field differs, where there is more to say than that the definition says so."""
    reasons = {key: "no longer in the definition" for key in desired.recorded(found)[0] if key not in wanted.properties}
    for key, value in definition.meta.items():
        if value is None:
            reasons[key] = "null in the definition"
    if wanted.min_disk > definition.min_disk:
        reasons["min_disk"] = "raised to the virtual size of the image"
    reasons[desired.RECORD] = "record of what is managed"
    reasons[desired.VERIFIED] = "the import is complete"
    if role.pinned_over and role.newest:
        reasons["name"] = reasons["visibility"] = reasons[desired.PINNED_OVER] = f"rolled back from {role.pinned_over}"
    elif role.newest:
        reasons["name"] = "the newest build has the plain name" if definition.multi else "as defined"
    else:
        reasons["name"] = reasons["os_purpose"] = f"superseded by {current}"
    if role.outdated:
        for key in ("visibility", "hidden", "status", desired.HIDDEN_SINCE):
            reasons[key] = role.why
    return reasons


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
            **({"id": version.id} if version.id else {}),
            "reason": change.reason,
            "url": public_url(version.url),
            "mirror_url": public_url(version.mirror_url) if version.mirror_url else None,
            "checksum": version.checksum,
            # Only where they are set, so that plans without them keep their checksums.
            **({"mirror_checksum": version.mirror_checksum} if version.mirror_checksum else {}),
            **({"checksums_url": public_url(file)} if not version.checksum and (file := version.checksum_file) else {}),
            "disk_format": wanted.disk_format,
            **{name: plain(value) for name in FIELDS if (value := getattr(wanted, name)) is not None},
            "properties": {key: plain(value) for key, value in sorted(wanted.properties.items())},
        }
    if isinstance(change, Delete):
        return {
            "action": "delete",
            "definition": change.group,
            "image": change.subject,
            "id": change.found.id,
            "reason": change.reason,
            "junk": change.junk,
        }
    return {
        "action": "change",
        "definition": change.group,
        "image": change.subject,
        "id": change.found.id,
        "reason": change.reason,
        **({"proof": change.proof} if change.proof else {}),
        "fields": [
            {"field": f.field, "before": plain(f.before), "after": plain(f.after), "reason": f.reason}
            for f in change.fields
        ],
    }


def plain(value: Any) -> Any:
    """A value fit for JSON, sets in order, URLs without secrets."""
    if isinstance(value, frozenset):
        return sorted(value)
    return public_urls(value) if isinstance(value, str) else value


def checksum(plan: Plan) -> str:
    """A short digest of all changes: equal plans, and only those, have equal ones."""
    text = json.dumps([change_data(change) for change in plan.changes], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def without_copies(updates: Iterable[Update]) -> tuple[list[Change], list[Change]]:
    """The updates without what has to be copied between stores, and those copies as updates of their own."""
    kept: list[Change] = []
    copies: list[Change] = []
    for update in updates:
        stores = tuple(field for field in update.fields if field.field == "stores")
        others = tuple(field for field in update.fields if field.field != "stores")
        between = replace(update.wanted, stores=update.found.stores)
        if others:
            kept.append(replace(update, wanted=between, fields=others))
        if stores:
            copies.append(replace(update, found=between, fields=stores, reason="its stores differ"))
    return kept, copies
