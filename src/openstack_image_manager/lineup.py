"""PURE: the builds of one definition in line: which is current, which are missing, which image stands for which."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from openstack_image_manager import desired, retention
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.format import Definition, Version
from openstack_image_manager.model import WHOLE, Image, Policy


@dataclass(frozen=True, slots=True)
class LineUp:
    """`order`: all builds, the current one first. `newest`: the newest defined version. `bad`: builds that were rolled
    back from; `pins`: builds that a rollback made current → the newest version that each is current in place of."""

    defined: Mapping[str, Version]
    newest: Version
    current: str
    order: tuple[str, ...]
    missing: tuple[Version, ...]
    bad: frozenset[str]
    pins: Mapping[str, str]

    def rank(self, build: str) -> int:
        """How many builds come before it; what was rolled back from takes no one's place."""
        before = self.order[: self.order.index(build)]
        return sum(other not in self.bad for other in before)


def line_up(definition: Definition, usable: Mapping[str, Image], policy: Policy, to: str | None = None) -> LineUp:
    """Put the builds in line. `usable`: the images of the definition by version. `to`: make this version current, '':
    the one before the current one; raises Error when the cloud does not have it."""
    key = desired.version_key
    defined = {version.version: version for version in definition.versions}
    newest = max(definition.versions, key=lambda version: key(version.version))
    pins, bad = _rollbacks(usable, newest.version, {*defined, *usable}) if definition.multi else ({}, frozenset())
    current = _current(defined, pins, bad)
    if definition.multi and to is not None:
        served = _served(usable, current, bad)
        current = _chosen(definition, usable, to, served, bad)
        # What is not in the cloud yet is no bad build, and ends the rollback once it is there.
        over = newest.version if newest.version in {*usable, *bad} else served
        pins = {current: over} if key(current) < key(over) else {}
        later = {build for build in {*defined, *usable} if key(current) < key(build) <= key(over)}
        bad = (bad | later) - {current}
    missing = [
        version
        for build, version in defined.items()
        if build not in usable and build not in bad and (build == current or not (policy.latest and definition.multi))
    ]
    present = {*usable, *(version.version for version in missing)}
    # The newest defined one is the current build, even when the cloud has a later one, which was withdrawn then. A
    # later one counts as the oldest of all: whoever withdrew it wants it out of sight before the others.
    rest = sorted(present - {current}, key=key, reverse=True)
    withdrawn = [build for build in rest if key(build) > key(current)]
    order = [current, *(build for build in rest if build not in withdrawn), *withdrawn]
    missing.sort(key=lambda version: key(version.version), reverse=True)
    return LineUp(defined, newest, current, tuple(order), tuple(missing), bad - {current}, pins)


def _rollbacks(
    usable: Mapping[str, Image], newest: str, builds: Iterable[str]
) -> tuple[dict[str, str], frozenset[str]]:
    """What earlier rollbacks left on images: builds that are current in place of a newer version, and the bad ones. A
    pin lasts until a version is defined that is newer than the one it was made over; what was bad stays bad."""
    key = desired.version_key
    marks = {build: image.properties.get(desired.PINNED_OVER, "") for build, image in usable.items()}
    pins = {build: over for build, over in marks.items() if over and key(over) >= key(newest)}
    bad = {build for build, image in usable.items() if desired.ROLLED_BACK in image.properties}
    bad |= {build for build in builds for pin, over in pins.items() if key(pin) < key(build) <= key(over)}
    return pins, frozenset(bad)


def _current(defined: Mapping[str, Version], pins: Mapping[str, str], bad: frozenset[str]) -> str:
    """The newest version that is not bad; a build that a rollback chose counts though it is no longer defined, unless
    it is newer than all that are. Where all are bad, the newest is better than none."""
    key = desired.version_key
    newest = max(defined, key=key)
    candidates = [build for build in {*defined, *(pin for pin in pins if key(pin) < key(newest))} if build not in bad]
    return max(candidates, key=key, default=newest)


def _served(usable: Mapping[str, Image], current: str, bad: frozenset[str]) -> str:
    """The build that users have: the current one, or the newest before it while the cloud does not have that yet."""
    key = desired.version_key
    there = [build for build in usable if key(build) <= key(current) and build not in bad]
    return current if current in usable else max(there, key=key, default=current)


def _chosen(definition: Definition, usable: Mapping[str, Image], to: str, current: str, bad: frozenset[str]) -> str:
    """The version to roll back to. Raises UsageError when the cloud does not have `to`, Error when there is none, or
    when nobody would find it."""
    key = desired.version_key
    newest = max(key(version.version) for version in definition.versions)
    usable = {build: image for build, image in usable.items() if key(build) <= newest}  # later ones were withdrawn
    before = sorted((build for build in usable if key(build) < key(current) and build not in bad), key=key)
    choice = ", ".join(sorted(usable, key=key, reverse=True)) or "none"
    if to and to not in usable:
        raise UsageError(f"{definition.name}: version {to} is not in the cloud; it has: {choice}")
    if not to and not before:
        raise Error(f"{definition.name}: no good build is before {current} to go back to; the cloud has: {choice}")
    chosen = to or before[-1]
    for version in definition.versions:
        visibility = retention.narrower(version.visibility or definition.visibility, definition.visibility)
        if version.version == chosen and (version.hidden or visibility != definition.visibility):
            how = "hidden: true" if version.hidden else f"visibility: {version.visibility}"
            raise Error(
                f"{definition.name}: version {chosen} is defined with {how}, so it would not be found in place of "
                f"{current}; take that out of the definition, or choose another version with --to"
            )
    return chosen


def is_usable(image: Image | None, checksum: str | None = None) -> bool:
    """True for an image with bytes that may be published; `checksum` is that of its version."""
    return image is not None and image.status in WHOLE and not desired.has_wrong_bytes(image, checksum)


def one_per_version(
    found: Sequence[tuple[str, Image]], status: str = "active"
) -> tuple[dict[str, Image], list[tuple[str, Image]]]:
    """The image that stands for each version (whole, of the status that the definition wants, seen by most, oldest),
    and the others with their versions."""

    # One that has the status already, not the active one: what a run deactivates would not be the one of the next run.
    def standing(image: Image) -> tuple[bool, bool, int, bool, str, str]:
        wide, retired = retention.WIDEST_FIRST.index(image.visibility), desired.HIDDEN_SINCE in image.properties
        return not is_usable(image), image.status != status, wide, retired, image.created_at, image.id

    candidates: dict[str, list[Image]] = defaultdict(list)
    for version, image in found:
        candidates[version].append(image)
    for images in candidates.values():
        images.sort(key=standing)
    others = [(version, image) for version, images in candidates.items() for image in images[1:]]
    return {version: images[0] for version, images in candidates.items()}, others
