"""Describe the desired image of a version: its name, its properties, its tags.

The rules of naming and of metadata stand here and nowhere else. Properties follow SCS-0102 (image metadata).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from math import ceil

from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.definitions.naming import image_name
from openstack_image_manager.model import Image
from openstack_image_manager.plan import origin
from openstack_image_manager.plan.markers import (
    AFTER,
    BYTES,
    CHECKSUMS_URL,
    MARKS,
    PENDING,
    RECORD,
    RUN,
    SIGNED_BY,
    VERIFIED,
    digest,
    is_pending,
    kept_on_image,
    recorded,
    verified_checksum,
)
from openstack_image_manager.plan.model import Role, Stage
from openstack_image_manager.plan.retention import narrower

GIB = 1024**3


def is_superseded(definition: Definition, version: Version, newest: Version) -> bool:
    """True when another version is the same system: only one of them may be os_purpose generic (SCS-0102)."""
    if version.version == newest.version:
        return False
    same = os_version(definition, version) == os_version(definition, newest)
    return definition.multi or (same and _meta(definition, version).get("os_purpose") == "generic")


def os_version(definition: Definition, version: Version) -> str | None:
    """The version of the operating system: the version's own word, then meta's, then (no multi) the version itself."""
    if version.os_version is not None:
        return version.os_version
    meta = _meta(definition, version)
    if "os_version" in meta:
        return meta["os_version"]
    return None if definition.multi else version.version


def _meta(definition: Definition, version: Version) -> dict[str, str | None]:
    return {**definition.meta, **version.meta}


def properties(definition: Definition, version: Version, superseded: bool) -> dict[str, str | None]:
    """All properties that the definition speaks of; None: the image must not have it."""
    wanted: dict[str, str | None] = {"image_description": definition.name}
    wanted.update(_meta(definition, version))
    if version.image_description is not None:
        wanted["image_description"] = version.image_description
    if definition.login is not None:
        wanted["image_original_user"] = definition.login
    if version.build_date is not None:
        wanted["image_build_date"] = version.build_date
    if (system := os_version(definition, version)) is not None:
        wanted["os_version"] = system
    wanted[origin.SOURCE] = origin.source_of(version)
    wanted["image_name"] = definition.name
    wanted["internal_version"] = version.version
    if version.checksums_url is not None:
        wanted[CHECKSUMS_URL] = public_url(version.checksums_url)
    if version.is_signed:
        wanted[SIGNED_BY] = f"{version.signed_by} {version.signed_at or ''}".strip()
    if superseded and wanted.get("os_purpose") == "generic":
        wanted["os_purpose"] = "oldgeneric"
    return wanted


def tags(definition: Definition, version: Version, managed_tag: str) -> frozenset[str]:
    """The managed tag, `os:` and the definition's own."""
    distro = _meta(definition, version).get("os_distro")
    return frozenset({managed_tag, *definition.tags, *([f"os:{distro}"] if distro else [])})


def min_disk(definition: Definition, found: Image | None) -> int:
    """The definition's min_disk in GiB, raised to what the image needs once that is known."""
    if found is None:
        return definition.min_disk
    size = found.virtual_size or (found.size if found.disk_format in ("raw", "iso") else None) or 0
    return max(definition.min_disk, ceil(size / GIB))


def visibility(definition: Definition, version: Version | None) -> str:
    """The visibility of a version while it is not outdated; None: of one that is not defined."""
    return (version.visibility if version else None) or definition.visibility


def members(definition: Definition) -> frozenset[str] | None:
    """The projects (ids) that see a shared image; None: the definition does not say."""
    if definition.members is None:
        return None
    return frozenset(member.project for member in definition.members if member.project is not None)


def wanted_image(
    definition: Definition,
    version: Version,
    role: Role,
    managed_tag: str,
    found: Image | None = None,
    carried: frozenset[str] | None = None,
) -> Image:
    """The desired image; properties that others set on the `found` one stay. `carried`: members of the build before,
    for a new one whose definition names none."""
    set_properties = properties(definition, version, role.superseded)
    if found is not None:
        if SIGNED_BY in set_properties and not _has_signed_bytes(found, version):
            set_properties[SIGNED_BY] = None
        set_properties |= origin.kept_properties(version, found)
    our_tags = tags(definition, version, managed_tag)
    set_by_us = {key: value for key, value in set_properties.items() if value is not None}
    shared = role.visibility == "shared"
    came_from = origin.origin_of(definition, version) if found is None else origin.recorded_origin(found)
    record = _record(set_by_us, our_tags, came_from)
    wanted = Image(
        name=image_name(definition, version.version, role.newest),
        visibility=role.visibility,
        status="deactivated" if role.stage >= Stage.DEACTIVATE else definition.status,
        hidden=role.hidden,
        min_disk=min_disk(definition, found),
        min_ram=definition.min_ram,
        tags=our_tags,
        properties={**set_by_us, RECORD: record, **kept_on_image(role)},
        protected=bool(definition.protected),
        owner=definition.owner,
        members=(carried if definition.members is None else members(definition)) if shared else None,
        stores=frozenset(definition.stores) if definition.stores else None,
        disk_format=definition.format,
    )
    if found is None:
        return wanted
    old_properties, old_tags = recorded(found)
    gone = (old_properties | set(set_properties)) - set(set_by_us)
    kept = {key: value for key, value in found.properties.items() if key not in {*gone, *MARKS, RUN}}
    merged = {**kept, **wanted.properties}
    # An unpublished image is private only for now.
    narrow = role.outdated and not is_pending(found)
    visibility = narrower(wanted.visibility, found.visibility) if narrow else wanted.visibility
    merged |= _evidence(version, found)
    return replace(
        found,
        name=wanted.name,
        visibility=visibility,
        status=wanted.status,
        hidden=wanted.hidden or (narrow and found.hidden),
        min_disk=wanted.min_disk,
        min_ram=wanted.min_ram,
        tags=(found.tags - (old_tags - our_tags)) | our_tags,
        properties=merged,
        protected=found.protected if definition.protected is None else definition.protected,
        owner=wanted.owner or found.owner,
        members=wanted.members if visibility == "shared" else None,
        stores=wanted.stores or found.stores,
    )


def _record(properties: Iterable[str], tags: Iterable[str], came_from: Mapping[str, str]) -> str:
    record = {"properties": sorted(properties), "tags": sorted(tags)}
    return json.dumps({**record, **({"origin": came_from} if came_from else {})}, separators=(",", ":"))


def _evidence(version: Version, found: Image) -> dict[str, str]:
    """The properties of a published image about the verification of its bytes."""
    verified = found.properties.get(VERIFIED)
    if not verified:
        return {}
    if origin.proves_later(version, found):
        return {VERIFIED: f"{version.checksum}{AFTER}", BYTES: digest(found)}
    compared = is_pending(found) and found.hash_value and ":" in verified
    return {VERIFIED: verified.removeprefix(PENDING), **({BYTES: digest(found)} if compared else {})}


def _has_signed_bytes(found: Image, version: Version) -> bool:
    """True if the image has the bytes of the version's checksum; the import of an unpublished one checks that."""
    return is_pending(found) or version.checksum in (verified_checksum(found), digest(found))
