"""Check that images are as new as they promise (scs-0102), and until when they stay so."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from openstack_image_manager.model import Image
from openstack_image_manager.plan.age import HOURS, SLACK
from openstack_image_manager.scs.rules import RECENCY, UNIQUENESS, V1, V2, Level, instant
from openstack_image_manager.scs.verdict import Verdict

FOREVER = datetime.max.replace(tzinfo=UTC)
MARKERS = ("old", "prev")
_STAMPS = ("%Y-%m-%d", "%Y%m%d")


@dataclass(frozen=True, slots=True)
class Forecast:
    """When the recency test will fail because of an image, if nothing is done about it. `since`: the build date that
    counts; `replacement`: the image that stands in for it until then."""

    name: str
    id: str
    since: datetime
    on: datetime
    replacement: str | None = None


def outdated_from(image: Image) -> datetime | None:
    """The moment after which the recency test calls the image outdated; None: never. Nothing is promised, and so
    nothing outdated, with provided_until none or notice or (by then) in the past."""
    hours = HOURS.get(image.properties.get("replace_frequency", ""))
    built = _built(image)
    if hours is None or built is None:
        return None
    try:
        due = built + timedelta(hours=hours * SLACK)
    except OverflowError:
        return None
    until = instant(image.properties.get("provided_until", ""))
    return None if until is None or until < due else due


def _built(image: Image) -> datetime | None:
    return instant(image.properties.get("image_build_date", "")) or instant(image.created_at)


def _is_outdated(image: Image, now: datetime) -> bool:
    due = outdated_from(image)
    if due is None or now <= due:
        return False
    until = instant(image.properties.get("provided_until", ""))
    return until is not None and now <= until


def _plain(name: str) -> str | None:
    """The name without its last word, under which the test looks for a replacement; None: it has one word only."""
    before, blank, _ = name.rpartition(" ")
    return before.rstrip() if blank else None


def judge(images: Sequence[Image], standards: Sequence[str], now: datetime) -> Iterator[Verdict]:
    """Outdated images without a replacement (errors) and with one (warnings where nothing marks them as old), names
    that are there twice, and generic images of the same system."""
    which = tuple(standard for standard in (V1, V2) if standard in standards)
    if not which:
        return

    def say(level: Level, test: str, image: Image, key: str, message: str) -> Verdict:
        return Verdict(level, test, image.name, image.id, key, message, which)

    by_name = {image.name: image for image in images}
    for image in images:
        if not _is_outdated(image, now):
            continue
        due = f"outdated since {outdated_from(image):%Y-%m-%d} ({image.properties['replace_frequency']})"
        plain = _plain(image.name)
        replacement = by_name.get(plain) if plain else None
        if replacement is None:
            looked = f"an image '{plain}'" if plain else "none, as its name is one word"
            message = f"{due}, and nothing newer stands in for it (the test looks for {looked})"
            yield say("error", RECENCY, image, "image_build_date", message)
        elif _is_outdated(replacement, now):
            message = f"{due}, and its replacement '{plain}' is outdated too"
            yield say("error", RECENCY, image, "image_build_date", message)
        elif not _is_marked(image.name):
            message = f"{due}, in sight, and its name ends with no plain date; hide it (os_hidden)"
            yield say("warning", RECENCY, image, "name", message)
    for name, count in Counter(image.name for image in images).items():
        if count > 1:
            message = f"{count} images have this name; only one of them can be found by it"
            yield say("warning", RECENCY, by_name[name], "name", message)
    for key, its in _generic(images).items():
        if len(its) > 1:
            others = ", ".join(sorted(f"{image.name} ({image.id})" for image in its))
            message = f"only one public image may be generic for {' '.join(key)}; there are {others}"
            yield from (say("error", UNIQUENESS, image, "os_purpose", message) for image in its)


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
    found: dict[tuple[str, str, str], list[Image]] = defaultdict(list)
    for image in images:
        values = image.properties
        distro, version = values.get("os_distro"), values.get("os_version")
        if image.visibility == "public" and values.get("os_purpose") == "generic" and distro and version:
            found[distro, version, values.get("architecture", "")].append(image)
    return found


def forecast(images: Sequence[Image], now: datetime) -> list[Forecast]:
    """Images that the recency test will fail for some day, the first one first. An image with a replacement fails when
    that one does; what fails today is a verdict and no forecast."""
    by_name = {image.name: image for image in images}
    found = []
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
            found.append(Forecast(image.name, image.id, built, on, replacement.name if replacement else None))
    return sorted(found, key=lambda each: (each.on, each.name))
