"""Keep where the bytes of an image came from: they never change, whatever its definition says later."""

from __future__ import annotations

import json

from openstack_image_manager.definitions.model import Definition, Version, public_url
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.redaction import public_urls
from openstack_image_manager.transfer.unpack import is_packed

SOURCE = "image_source"
KEYS = ("url", "checksums_url", "format")


def origin_of(definition: Definition, version: Version) -> dict[str, str]:
    """The record of the import on a new image (KEYS): nothing that its properties would not show as well."""
    origin = {} if version.source is not None else {"url": source_of(version)}
    if version.checksums_url is not None:
        origin["checksums_url"] = public_url(version.checksums_url)
    return {**origin, "format": definition.format}


def source_of(version: Version) -> str:
    """The value of image_source: the upstream's address, never the mirror's; a local file is "private"."""
    if version.source is not None:
        return public_urls(version.source)
    return "private" if version.url.lower().startswith("file:") else public_urls(version.url)


def source_of_image(image: Image) -> str | None:
    """Where the bytes of an image came from: its record, or else image_source; None: unknown."""
    return recorded_origin(image).get("url", image.properties.get(SOURCE))


def recorded_origin(image: Image) -> dict[str, str]:
    """The record of the import on an image; empty for one without such a record."""
    try:
        origin = json.loads(image.properties.get(markers.RECORD, "{}")).get("origin", {})
        return {key: origin[key] for key in KEYS if isinstance(origin.get(key), str)}
    except (ValueError, AttributeError, TypeError, RecursionError):
        return {}


def kept_properties(version: Version, image: Image) -> dict[str, str | None]:
    """The properties that speak of the image's bytes and stay, though the definition says something else by now."""
    if not markers.is_imported(image) or has_bytes_of(version, image):
        return {}
    kept: dict[str, str | None] = {markers.CHECKSUMS_URL: image.properties.get(markers.CHECKSUMS_URL)}
    if version.source is None and (source := source_of_image(image)) is not None:
        kept[SOURCE] = source
    if markers.verified_checksum(image) and markers.SIGNED_BY in image.properties:
        kept[markers.SIGNED_BY] = image.properties[markers.SIGNED_BY]
    return kept


def comparable(definition: Definition, version: Version, image: Image) -> bool:
    """True if Glance's digest of the image and the version's checksum are of the same kind and of the same bytes."""
    same = version.checksum is not None and version.checksum.partition(":")[0] == image.hash_algorithm
    return same and image.disk_format == definition.format and not is_packed(version.url)


def differences(definition: Definition, version: Version, image: Image) -> list[str]:
    """How the definition differs by now from what the bytes of the image are, in words."""
    if not markers.is_imported(image) or has_bytes_of(version, image):
        return []
    words = []
    stored = markers.verified_checksum(image)
    if version.checksum and stored:
        words.append(f"its checksum is {version.checksum}, but {image.id} was verified with {stored}")
    elif version.checksum and comparable(definition, version, image):
        words.append(f"its checksum is {version.checksum}, but {image.id} has {markers.digest(image)}")
    source, wanted = source_of_image(image), source_of(version)
    if version.source is None and source not in (None, wanted):
        words.append(f"its URL is {wanted}, but {image.id} came from {source}")
    was = recorded_origin(image).get("format", definition.format)
    if was != definition.format:
        words.append(f"its format is {definition.format}, but {image.id} was imported as {was}")
    return words


def proves_later(version: Version, image: Image) -> bool:
    """True for an image that was not verified at its import, and Glance's own digest is the version's checksum by
    now."""
    unverified = image.properties.get(markers.VERIFIED) == markers.UNVERIFIED
    return unverified and markers.digest(image) == version.checksum


def has_bytes_of(version: Version, image: Image) -> bool:
    """True if the image is known to have the bytes of the version's checksum."""
    return version.checksum is not None and version.checksum in (
        markers.verified_checksum(image),
        markers.digest(image),
    )
