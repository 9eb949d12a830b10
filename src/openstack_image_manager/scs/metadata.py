"""Check one image against the properties of scs-0102."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from math import ceil

from openstack_image_manager.dates import instant
from openstack_image_manager.definitions.image_properties import unusual
from openstack_image_manager.model import Image
from openstack_image_manager.scs.rules import HASHES, HINTS, MIN_RAM, RULES, V1, V2, Level, Rule, test_of
from openstack_image_manager.scs.verdict import Verdict, about

GIB = 1024**3


def judge(image: Image, standards: Sequence[str], now: datetime) -> list[Verdict]:
    """Check an existing or a desired image against v1.1 and v2 of scs-0102, as far as `standards` name them. Values
    that only Glance knows (sizes, digest, day of creation) are not checked without an id."""
    versions = [standard for standard in (V1, V2) if standard in standards]
    return list(_all(image, versions, now)) if versions else []


def _all(image: Image, standards: Sequence[str], now: datetime) -> Iterator[Verdict]:
    for key, rule in RULES.items():
        yield from _property(image, standards, key, rule)
    yield from _needs(image, standards)
    yield from _build_date(image, standards, now)
    disk_bus, model = image.properties.get("hw_disk_bus"), image.properties.get("hw_scsi_model")
    if disk_bus == "scsi" and model != "virtio-scsi":
        message = "should be virtio-scsi if hw_disk_bus is scsi"
        yield from _verdicts(image, standards, "warning", "hw_scsi_model", message, HINTS)
    for key, message in unusual(image.properties):
        if key not in RULES:
            level: Level = "error" if key == "license_required" and "remove one" in message else "warning"
            yield from _verdicts(image, standards, level, key, message, HINTS)
    for prefix in ("managed_by_", "os:"):
        if not any(tag.startswith(prefix) for tag in image.tags):
            yield from _verdicts(
                image, standards, "note", "tags", f"a tag that begins with {prefix} is recommended", HINTS
            )


def _verdicts(
    image: Image, standards: Sequence[str], level: Level, key: str, message: str, test: str = ""
) -> Iterable[Verdict]:
    return about(image, test or test_of(key), key, message, dict.fromkeys(standards, level))


def _property(image: Image, standards: Sequence[str], key: str, rule: Rule) -> Iterable[Verdict]:
    value = image.properties.get(key, "")
    if not value:
        levels = {standard: rule.missing[(V1, V2).index(standard)] for standard in standards}
        aborts = key == "provided_until" and image.properties.get("replace_frequency") not in (None, "never")
        hint = "; without it the recency test can abort" if aborts else ""
        known = f"; allowed: {rule.allowed}" if rule.allowed else ""
        return about(image, test_of(key), key, f"is missing{known}{hint}", levels)
    if rule.allows(value):
        return ()
    message = (rule.hints or {}).get(value) or f"allowed: {rule.allowed}"
    return _verdicts(image, standards, "error", key, f"'{value}' is not accepted: {message}")


def _needs(image: Image, standards: Sequence[str]) -> Iterator[Verdict]:
    """Check min_disk, min_ram and the digest; a definition knows only some of them."""
    size = max(image.size or 0, image.virtual_size or 0)
    if image.id and not image.min_disk:
        yield from _verdicts(
            image, standards, "error", "min_disk", f"is not set; it needs {max(1, ceil(size / GIB))} GiB"
        )
    elif image.id and image.min_disk * GIB < size:
        message = f"{image.min_disk} GiB is less than the size of the image; it needs {ceil(size / GIB)} GiB"
        yield from _verdicts(image, standards, "error", "min_disk", message)
    if not image.min_ram:
        yield from _verdicts(image, standards, "error", "min_ram", "is not set; add the memory that it needs in MiB")
    elif image.min_ram < MIN_RAM:
        message = f"{image.min_ram} MiB is low; the conformance test warns below {MIN_RAM}"
        yield from _verdicts(image, standards, "warning", "min_ram", message)
    if image.id and image.size is not None and image.hash_algorithm not in HASHES:
        message = f"its digest in Glance is {image.hash_algorithm or 'none'}; {' or '.join(HASHES)} is recommended"
        yield from _verdicts(image, standards, "warning", "hash_algo", message)


def _build_date(image: Image, standards: Sequence[str], now: datetime) -> Iterable[Verdict]:
    value = image.properties.get("image_build_date", "")
    built, created = instant(value), instant(image.created_at)
    if built and built > now:
        return _verdicts(image, standards, "error", "image_build_date", f"{value} is in the future")
    if built and created and built > created:
        message = f"{value} is after the image was registered ({image.created_at})"
        return _verdicts(image, standards, "error", "image_build_date", message)
    return ()
