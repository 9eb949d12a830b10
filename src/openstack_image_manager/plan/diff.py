"""Compare images field by field, with a reason for each difference."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from openstack_image_manager.definitions.image_properties import BOOLEANS
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import FieldChange, Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Change, Role, Update

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
        if not _is_same(name, before.get(name), after.get(name))
        and not (name in OPTIONAL and (before.get(name) is None or after.get(name) is None))
    )


def _is_same(name: str, before: object, after: object) -> bool:
    """True for equal values; a boolean that OpenStack reads without case is equal without case."""
    if name in BOOLEANS and isinstance(before, str) and isinstance(after, str):
        return before.lower() == after.lower()
    return before == after


def reasons_for(definition: Definition, current: str, role: Role, found: Image, wanted: Image) -> dict[str, str]:
    """Why each field differs, where there is more to say than that the definition says so."""
    reasons = {key: "no longer in the definition" for key in markers.recorded(found)[0] if key not in wanted.properties}
    for key, value in definition.meta.items():
        if value is None:
            reasons[key] = "null in the definition"
    if wanted.min_disk > definition.min_disk:
        reasons["min_disk"] = "raised to the virtual size of the image"
    reasons[markers.RECORD] = "record of what is managed"
    unverified = found.properties.get(markers.VERIFIED) == markers.UNVERIFIED
    reasons[markers.VERIFIED] = "Glance has this digest of its bytes" if unverified else "the import is complete"
    if role.pinned_over and role.newest:
        reasons["name"] = reasons["visibility"] = reasons[markers.PINNED_OVER] = f"rolled back from {role.pinned_over}"
    elif role.newest:
        reasons["name"] = "the newest build has the plain name" if definition.multi else "as defined"
    else:
        reasons["os_purpose"] = f"superseded by {current}"
        reasons["name"] = reasons["os_purpose"] if definition.multi else "as defined"
    if (former := found.properties.get("image_name")) in definition.former_names:
        reasons["name"] = reasons["image_name"] = f"renamed from {former}"
    if role.outdated:
        for key in ("visibility", "hidden", "status", markers.HIDDEN_SINCE):
            reasons[key] = role.why if role.why.startswith(role.cause) else f"{role.cause}; only hidden: {role.why}"
    return reasons


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
