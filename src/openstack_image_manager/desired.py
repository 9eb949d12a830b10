"""PURE: what an image of a definition shall look like: its name, its properties, its tags.

The rules of naming and of metadata stand here and nowhere else. Properties follow SCS-0102 (image metadata).
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from math import ceil
from typing import Any

from openstack_image_manager.format import LONGEST, Definition, Version, public_url
from openstack_image_manager.model import Image, Role
from openstack_image_manager.redaction import public_urls
from openstack_image_manager.retention import narrower

GIB = 1024**3
# Properties of our own. RECORD keeps which properties and tags we set, so that those that leave a definition can be
# removed and those of others stay; VERIFIED says what was verified and how, HIDDEN_SINCE from when waiting counts,
# PINNED_OVER after a rollback which newer version this image stays current in place of, and ROLLED_BACK on the others
# the day.
RECORD = "image_manager_record"
VERIFIED = "image_manager_verified"
HIDDEN_SINCE = "image_manager_hidden_since"
PINNED_OVER = "image_manager_pinned_over"
ROLLED_BACK = "image_manager_rolled_back"
MARKS = (HIDDEN_SINCE, PINNED_OVER, ROLLED_BACK)
RUN = "image_manager_run"  # on unpublished images only: which run made the record
SIGNED_BY = "image_manager_signed_by"  # fingerprint of the key, and when
CHECKSUMS_URL = "image_manager_checksums_url"  # the file that told the checksum
# The digest that Glance had when VERIFIED was written. Nova copies properties to snapshots of servers, where VERIFIED
# would be false: it counts only beside the bytes that it is about.
BYTES = "image_manager_bytes"
OWN = (
    RECORD,
    VERIFIED,
    BYTES,
    *MARKS,
    RUN,
    SIGNED_BY,
    CHECKSUMS_URL,
)  # false on the snapshots that Nova copies them to
PENDING = "pending "
BEFORE, AFTER = " before import", " after import"


def version_key(version: str) -> tuple[Any, ...]:
    """What versions are compared by: the natural order of their first 255 characters, as natsort has it."""
    # Anybody's property may be a version, and Python makes no number of thousands of digits.
    version = version[:LONGEST]
    # Most are days. For them alone, loading the library would take as long as the plan.
    return ("", int(version)) if version.isascii() and version.isdecimal() else _natural()(version)


@cache
def _natural() -> Callable[[str], tuple[Any, ...]]:
    from natsort import natsort_keygen

    return natsort_keygen()


def image_name(definition: Definition, version: str, newest: bool) -> str:
    """The name in Glance: `NAME` or `NAME (VERSION)` with multi, else `NAME VERSION`."""
    if not definition.multi:
        return f"{definition.name}{definition.separator}{version}"
    return definition.name if newest else f"{definition.name}{definition.separator}({version})"


def is_superseded(definition: Definition, version: Version, newest: Version) -> bool:
    """True when another version stands for the same system: only one of them may be os_purpose generic (SCS-0102)."""
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
    # The upstream's address, never the mirror's; what can't be fetched by others is "private".
    is_local = version.url.lower().startswith("file:")
    source = version.source or ("private" if is_local else version.url)
    wanted["image_source"] = public_urls(source)
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
    """The image as it shall be; what others set on the `found` one stays. `carried`: members of the build before, for a
    new one whose definition names none."""
    ours = properties(definition, version, role.superseded)
    if found is not None and SIGNED_BY in ours and not _has_signed_bytes(found, version):
        ours[SIGNED_BY] = None
    our_tags = tags(definition, version, managed_tag)
    set_by_us = {key: value for key, value in ours.items() if value is not None}
    shared = role.visibility == "shared"
    record = json.dumps({"properties": sorted(set_by_us), "tags": sorted(our_tags)}, separators=(",", ":"))
    wanted = Image(
        name=image_name(definition, version.version, role.newest),
        visibility=role.visibility,
        status=definition.status,
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
    gone = (old_properties | set(ours)) - set(set_by_us)
    kept = {key: value for key, value in found.properties.items() if key not in {*gone, *MARKS, RUN}}
    merged = {**kept, **wanted.properties}
    # What is not published yet is private for now only.
    narrow = role.outdated and not is_pending(found)
    visibility = narrower(wanted.visibility, found.visibility) if narrow else wanted.visibility
    if verified := found.properties.get(VERIFIED):
        merged[VERIFIED] = verified.removeprefix(PENDING)
        if is_pending(found) and found.hash_value and ":" in verified:
            merged[BYTES] = digest(found)
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


def _has_signed_bytes(found: Image, version: Version) -> bool:
    """True if the image has the bytes of the version's checksum; the import of an unpublished one checks that."""
    return is_pending(found) or version.checksum in (verified_checksum(found), digest(found))


def kept_on_image(role: Role) -> dict[str, str]:
    """The properties that keep what no definition knows: since when the image is hidden, and what a rollback made."""
    kept = (role.hidden_since, role.pinned_over, role.rolled_back)
    return {name: value for name, value in zip(MARKS, kept, strict=True) if value}


def recorded(image: Image) -> tuple[frozenset[str], frozenset[str]]:
    """The names of properties and the tags that we once set on it; empty where there is no readable record."""
    try:
        record = json.loads(image.properties.get(RECORD, "{}"))
        return frozenset(map(str, record.get("properties", ()))), frozenset(map(str, record.get("tags", ())))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return frozenset(), frozenset()


def digest(image: Image) -> str:
    """Glance's own digest of the bytes as stored: algorithm:hex."""
    return f"{image.hash_algorithm}:{image.hash_value}"


def verified_checksum(image: Image) -> str:
    """The checksum that the image says it was verified with; empty where it says none, or says it of other bytes."""
    checksum = image.properties.get(VERIFIED, "").removeprefix(PENDING).partition(" ")[0]
    return checksum if ":" in checksum and is_imported(image) else ""


def is_imported(image: Image) -> bool:
    """True for an image that says that a run of ours brought its bytes in, verified or not."""
    return VERIFIED in image.properties and image.properties.get(BYTES) in (None, digest(image))


def signature(image: Image) -> tuple[str, str]:
    """Who signed the bytes that the image was verified with, and when; empty where it does not say."""
    signed_by, _, signed_at = image.properties.get(SIGNED_BY, "").partition(" ")
    return (signed_by, signed_at) if verified_checksum(image) else ("", "")


def is_pending(image: Image) -> bool:
    """True for an image that a run of ours has made but not yet published."""
    return image.properties.get(VERIFIED, "").startswith(PENDING)


def has_wrong_bytes(image: Image, checksum: str | None = None) -> bool:
    """True for an unpublished image whose stored bytes do not have the digest that was promised for them, or for which
    the `checksum` that its version has by now was not promised.

    `os_hash_value` is of the data as stored: a promise to be checked after the import is only made in that digest.
    """
    if not is_pending(image):
        return False
    promise = image.properties[VERIFIED].removeprefix(PENDING)
    stored = f"{digest(image)}{AFTER}"
    return (promise.endswith(AFTER) and promise != stored) or not promise.startswith(f"{checksum} " if checksum else "")
