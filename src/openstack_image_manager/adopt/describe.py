"""Derive the fields of a definition that does not change its images."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, get_args
from urllib.parse import quote, urlsplit

from openstack_image_manager.adopt.groups import Group, is_secret
from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions import values
from openstack_image_manager.definitions.model import Format, public_url
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.transfer.unpack import PACKED

# Properties from fields of a version; properties that this tool, openstacksdk and Nova set.
FROM_FIELDS = ("image_name", "internal_version", "image_source", "image_description")
INTERNAL = ("image_manager_", "owner_specified.", "os_glance_", "base_image_ref", "instance_", "image_location")
ODD_VALIDITY = re.compile(r"last-(?![1-9][0-9]*\Z).*", re.DOTALL)


def describe(group: Group, tag: str, explicit: bool, named: Callable[[Image, str], bool]) -> dict[str, Any]:
    """Return the values of a definition for a group. `explicit`: every build except the newest has its own visibility,
    so that retention does not change it. `named`: whether the properties of an image identify it without its id."""
    images = [image for _, image in group.builds]
    properties = [_properties(image) for image in images]
    logins = {values.get("image_original_user") for values in properties}
    login: str | None = logins.pop() if len(logins) == 1 else None
    common = {key: value for key, value in properties[0].items() if all(p.get(key) == value for p in properties)}
    versions = []
    for number, (version, image) in enumerate(group.builds):
        own: dict[str, str | None] = {key: value for key, value in properties[number].items() if key not in common}
        if not group.multi and "os_version" not in image.properties:
            own["os_version"] = None
        if not group.multi and own.get("os_version") == version:
            own.pop("os_version")
        narrow = explicit and number > 0
        visibility = image.visibility if narrow or _differs(image, images[0]) else None
        versions.append(_version(group, version, image, own, visibility, known=named(image, version)))
    if login is not None:
        common.pop("image_original_user")
    first = images[0]
    result: dict[str, Any] = {
        "name": group.name,
        "format": _format(first),
        "login": login,
        "min_disk": min(image.min_disk for image in images) or None,
        "min_ram": first.min_ram or None,
        "status": first.status if first.status != "active" else None,
        "visibility": first.visibility,
        "protected": True if all(image.protected for image in images) else None,
        "multi": group.multi,
        "separator": group.separator if group.separator != " " else None,
        "tags": sorted(_tags(images, tag)) or None,
        "meta": dict(sorted(common.items())) or None,
        "versions": versions,
    }
    return {key: value for key, value in result.items() if value is not None}


def _differs(image: Image, first: Image) -> bool:
    """Return whether the visibility of a build differs from the newest one, although the build is not hidden."""
    return image.visibility != first.visibility and markers.HIDDEN_SINCE not in image.properties


def _properties(image: Image) -> dict[str, str]:
    """Return the properties for the definition: those in the record of the image, otherwise all that a user can set."""
    recorded = markers.recorded(image)[0]
    result = {}
    for key, value in image.properties.items():
        if key in FROM_FIELDS or key.startswith(INTERNAL) or (recorded and key not in recorded):
            continue
        if is_secret(key) or is_secret(value) or (key == "uuid_validity" and ODD_VALIDITY.fullmatch(value)):
            continue
        if key == "image_build_date" and _fits(values.build_date, value):
            continue
        if len(key) <= 255 and key and _fits(values.property_name, key):
            result[key] = value
    return result


def _fits(rule: Callable[[str], str], value: str) -> bool:
    try:
        return rule(value) == value
    except ValueError:
        return False


def _tags(images: Sequence[Image], tag: str) -> frozenset[str]:
    """Return the tags that all builds share, without those that a run sets."""
    sets = []
    for image in images:
        recorded = markers.recorded(image)[1]
        own = image.tags & recorded if recorded else image.tags
        sets.append(own - {tag, f"os:{image.properties.get('os_distro')}"})
    return frozenset(name for name in frozenset.intersection(*sets) if name and not is_secret(name))


def _version(
    group: Group, version: str, image: Image, own: Mapping[str, str | None], visibility: str | None, known: bool
) -> dict[str, Any]:
    properties = image.properties
    source = properties.get("image_source", "")
    is_url = _fits(values.url, source) and public_url(source) == source and not source.lower().startswith("file:")
    address = source if is_url else values.UNKNOWN_SOURCE + quote(f"{group.name}/{version}", safe="/")
    description = properties.get("image_description")
    date = properties.get("image_build_date", "")
    result: dict[str, Any] = {
        "version": version,
        "url": address,
        "checksum": _checksum(markers.verified_checksum(image)),
        "checksums_url": _url(properties.get(markers.CHECKSUMS_URL, "")),
        "build_date": date if _fits(values.build_date, date) and not values.is_future(date) else None,
        **_signed(*markers.signature(image)),
        "source": None if is_url else (source if source and not is_secret(source) else "private"),
        "image_description": description if description != group.name else None,
        "meta": dict(sorted(own.items())) or None,
        "visibility": visibility,
        "hidden": True if image.hidden and markers.HIDDEN_SINCE not in properties else None,
        "id": None if known else image.id,
    }
    if description is not None and is_secret(description):
        result["image_description"] = None
    return {key: value for key, value in result.items() if value is not None}


def _url(text: str) -> str | None:
    return text if text and _fits(values.url, text) else None


def _checksum(verified: str) -> str | None:
    """Parse the checksum that the image was verified with."""
    text = verified.partition(" ")[0]
    try:
        return str(Checksum.parse(text)) if ":" in text else None
    except ValueError:
        return None


def _signed(key: str, when: str) -> dict[str, str]:
    if not _fits(values.fingerprint, key) or (when and not _fits(values.build_date, when)):
        return {}
    return {"signed_by": key, **({"signed_at": when} if when else {})}


def _format(image: Image) -> str:
    """Return the format of the file by the suffix of its URL, because the cloud may have converted it; otherwise the
    format of the image."""
    try:
        path = urlsplit(image.properties.get("image_source", "")).path.lower()
    except ValueError:  # not a URL
        path = ""
    while (packed := next((end for end in PACKED if path.endswith(end)), None)) is not None:
        path = path.removesuffix(packed)
    end = path.rpartition(".")[2]
    return end if end in get_args(Format) else image.disk_format or ""
