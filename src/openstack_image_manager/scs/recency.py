"""Check that images are as recent as `replace_frequency` requires (scs-0102), and forecast when they will not be."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from openstack_image_manager.dates import instant
from openstack_image_manager.model import Image
from openstack_image_manager.plan import age
from openstack_image_manager.scs.rules import RECENCY, UNIQUENESS, V1, V2, Level
from openstack_image_manager.scs.verdict import Verdict

FOREVER = datetime.max.replace(tzinfo=UTC)
MARKERS = ("old", "prev")
_STAMPS = ("%Y-%m-%d", "%Y%m%d")


@dataclass(frozen=True, slots=True)
class Forecast:
    """The moment when the recency test will fail because of an image. `since`: the build date that counts;
    `replacement`: the image that replaces it until then."""

    name: str
    id: str
    since: datetime
    on: datetime
    replacement: str | None = None


def outdated_from(image: Image) -> datetime | None:
    """Return the moment after which the recency test calls the image outdated; None: never. An image whose
    provided_until is none, notice, or before that moment is never outdated."""
    built = _built(image)
    # Without a valid provided_until the test breaks off.
    if built is None or instant(image.properties.get("provided_until", "")) is None:
        return None
    return age.outdated_from(image.properties, built)


def _built(image: Image) -> datetime | None:
    return instant(image.properties.get("image_build_date", "")) or instant(image.created_at)


def _is_outdated(image: Image, now: datetime) -> bool:
    built = _built(image)
    return outdated_from(image) is not None and built is not None and age.is_outdated(image.properties, built, now)


def _plain(name: str) -> str | None:
    """Return the name without its last word, which the test takes as that of a replacement; None: it is one word."""
    before, blank, _ = name.rpartition(" ")
    return before.rstrip() if blank else None


def judge(images: Sequence[Image], standards: Sequence[str], now: datetime) -> Iterator[Verdict]:
    """Report outdated images without a replacement (errors) and with one (warnings if the name does not mark them as
    old), duplicate names, and several generic images of one system."""
    versions = tuple(standard for standard in (V1, V2) if standard in standards)
    if not versions:
        return

    def verdict(level: Level, test: str, image: Image, key: str, message: str) -> Verdict:
        return Verdict(level, test, image.name, image.id, key, message, versions)

    by_name = {image.name: image for image in images}
    for image in images:
        if not _is_outdated(image, now):
            continue
        due = f"outdated since {outdated_from(image):%Y-%m-%d} ({image.properties['replace_frequency']})"
        plain = _plain(image.name)
        replacement = by_name.get(plain) if plain else None
        if replacement is None:
            expected = f"an image '{plain}'" if plain else "none, as its name is one word"
            message = f"{due}, and there is no newer replacement (the test looks for {expected})"
            yield verdict("error", RECENCY, image, "image_build_date", message)
        elif _is_outdated(replacement, now):
            message = f"{due}, and its replacement '{plain}' is outdated too"
            yield verdict("error", RECENCY, image, "image_build_date", message)
        elif not _is_marked(image.name):
            message = f"{due}, visible, and its name does not end with a plain date; hide it (os_hidden)"
            yield verdict("warning", RECENCY, image, "name", message)
    for name, count in Counter(image.name for image in images).items():
        if count > 1:
            message = f"{count} images have this name; the name does not identify one of them"
            yield verdict("warning", RECENCY, by_name[name], "name", message)
    for key, duplicates in _generic(images).items():
        if len(duplicates) > 1:
            listed = ", ".join(sorted(f"{image.name} ({image.id})" for image in duplicates))
            message = f"only one public image may be generic for {' '.join(key)}; there are {listed}"
            yield from (verdict("error", UNIQUENESS, image, "os_purpose", message) for image in duplicates)


def _is_marked(name: str) -> bool:
    last = name.rpartition(" ")[2]
    if last in MARKERS:
        return True
    for stamp in _STAMPS:
        try:
            datetime.strptime(last, stamp)
        except ValueError:
            continue
        return True
    return False


def _generic(images: Sequence[Image]) -> dict[tuple[str, str, str], list[Image]]:
    groups: dict[tuple[str, str, str], list[Image]] = defaultdict(list)
    for image in images:
        values = image.properties
        distro, version = values.get("os_distro"), values.get("os_version")
        if image.visibility == "public" and values.get("os_purpose") == "generic" and distro and version:
            groups[distro, version, values.get("architecture", "")].append(image)
    return groups


def forecast(images: Sequence[Image], now: datetime) -> list[Forecast]:
    """Return the images that will fail the recency test later, in that order. An image with a replacement fails when
    the replacement does. An image that fails today has a verdict instead."""
    by_name = {image.name: image for image in images}
    forecasts = []
    for image in images:
        due = outdated_from(image)
        if due is None:
            continue
        plain = _plain(image.name)
        replacement = by_name.get(plain) if plain else None
        on = due if replacement is None else max(due, outdated_from(replacement) or FOREVER)
        until = instant(image.properties["provided_until"]) or FOREVER
        built = _built(image)
        if built and now < on <= until:
            forecasts.append(Forecast(image.name, image.id, built, on, replacement.name if replacement else None))
    return sorted(forecasts, key=lambda forecast: (forecast.on, forecast.name))
