"""Order the builds of one definition: which is current, and which are missing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers, retention
from openstack_image_manager.plan.model import Policy


@dataclass(frozen=True, slots=True)
class BuildOrder:
    """`builds`: all of them, the current one first. `newest`: the newest defined version. `bad`: builds that were
    rolled back from; `pins`: builds that a rollback made current → the newest version that each is current in place of.
    `withdrawn`: builds that the definition withdraws; `newer`: builds that are newer than all it knows, `ahead`: those
    that were not rolled back from; `withheld`: the newest defined version, if it is not imported for these.
    `places`: builds that users can use, which are what `uuid_validity` counts; those that are `lesser`, too, count for
    each other only. `undone`: all rollbacks end."""

    defined: Mapping[str, Version]
    newest: Version
    current: str
    builds: tuple[str, ...]
    missing: tuple[Version, ...]
    bad: frozenset[str]
    pins: Mapping[str, str]
    withdrawn: frozenset[str]
    newer: frozenset[str]
    ahead: frozenset[str]
    withheld: Version | None
    places: frozenset[str]
    lesser: frozenset[str]
    undone: bool

    def rank(self, build: str, with_missing: bool = True) -> int:
        """How many builds that users can use come before it. `with_missing`: those to be imported are there already."""
        missing = {version.version for version in self.missing if version.version != self.current}
        places = self.places if with_missing else self.places - missing
        if build not in self.lesser:
            places -= self.lesser
        return sum(earlier in places for earlier in self.builds[: self.builds.index(build)])


def build_key(build: str) -> Any:
    """The sort key of builds; versions that compare equal have an order, too."""
    return naming.version_key(build), build


def order_builds(
    definition: Definition,
    usable: Mapping[str, Image],
    policy: Policy,
    to: str | None = None,
    weak: frozenset[str] = frozenset(),
    lesser: frozenset[str] = frozenset(),
    imports: bool = True,
) -> BuildOrder | None:
    """Put the builds in line; None: every build there is was rolled back from. `usable`: the images of the definition
    by version; `weak`: those of them that take no place of another one, `lesser`: those that take one only of
    each other. `to`: make this version current, '': the one before the current one; raises Error when the cloud does
    not have it. `imports`: missing versions are imported."""
    defined = {version.version: version for version in definition.offered}
    newest = max(definition.offered, key=lambda version: build_key(version.version))
    withdrawn = frozenset(version.version for version in definition.versions if version.withdrawn)
    multi = definition.multi
    good = {build: image for build, image in usable.items() if build not in withdrawn}
    pins, bad = _rollbacks(good, newest.version, {*defined, *good}) if multi else ({}, frozenset())
    newer = frozenset(build for build in good if build not in defined and build_key(build) > build_key(newest.version))
    trusted = {build: image for build, image in good.items() if build not in lesser}
    current = _current(definition, trusted, pins, bad, newer - bad - weak - lesser)
    if not imports and current not in usable:
        current = max(trusted.keys() - bad, key=build_key, default=current)
    undone = False
    if multi and to is not None:
        served = _served(good, current or newest.version, bad)
        current = _chosen(definition, good, to, served, bad)
        pins, bad, undone = _rolled_back(good, {*defined, *good}, current, served, newest.version, bad)
    if current is None:
        return None
    # Older builds are imported by a run that knows the current one. With `newer` ones, this run knows less.
    is_current_only = multi and (policy.latest or bool(newer))
    wanted = defined.keys() - usable.keys() - bad if imports else set()
    missing = [
        defined[build]
        for build in sorted(wanted, key=build_key, reverse=True)
        if build == current or not is_current_only
    ]
    withheld = None if newest.version in {*usable, *bad, *(version.version for version in missing)} else newest
    present = {*usable, *(version.version for version in missing)}
    # Withdrawn builds come last: they are hidden before the others.
    rest = sorted(present - {current}, key=lambda build: (build not in withdrawn, build_key(build)), reverse=True)
    out = {*bad, *withdrawn, *weak, *_kept_from_users(definition)} - {current}
    places = frozenset({current, *rest} - out)
    if not imports:
        places &= usable.keys()
    return BuildOrder(
        defined=defined,
        newest=newest,
        current=current,
        builds=(current, *rest),
        missing=tuple(missing),
        bad=bad - {current},
        pins=pins,
        withdrawn=withdrawn,
        newer=newer,
        ahead=newer - bad,
        withheld=withheld,
        places=places,
        lesser=lesser,
        undone=undone,
    )


def _rolled_back(
    good: Mapping[str, Image], builds: Iterable[str], current: str, served: str, newest: str, bad: frozenset[str]
) -> tuple[dict[str, str], frozenset[str], bool]:
    """The pins and the bad builds after a rollback from the `served` build to the `current` one, and whether it undoes
    all rollbacks."""
    # A build that is not in the cloud yet is not bad, and ends the rollback once it exists.
    over = max(served, newest, key=build_key) if newest in {*good, *bad} else served
    pins = {current: over} if build_key(current) < build_key(over) else {}
    later = {build for build in builds if build_key(current) < build_key(build) <= build_key(over)}
    latest = max(served, newest, key=build_key)
    # The newest one undoes all rollbacks, however many steps they were.
    undone = current == max((build for build in good if build_key(build) <= build_key(latest)), key=build_key)
    return pins, frozenset() if undone else (bad | later) - {current}, undone


def _kept_from_users(definition: Definition) -> set[str]:
    """The versions that the definition shows to fewer people than the image."""
    return {
        version.version
        for version in definition.offered
        if version.hidden or _visibility(definition, version) != definition.visibility
    }


def _visibility(definition: Definition, version: Version) -> str:
    return retention.narrower(version.visibility or definition.visibility, definition.visibility)


def _rollbacks(
    usable: Mapping[str, Image], newest: str, builds: Iterable[str]
) -> tuple[dict[str, str], frozenset[str]]:
    """The marks of earlier rollbacks on images: builds that are current in place of a newer version, and the bad ones.
    A pin lasts until a version is defined that is newer than the one it was made over; what was bad stays bad."""
    marks = {build: image.properties.get(markers.PINNED_OVER, "") for build, image in usable.items()}
    pins = {build: over for build, over in marks.items() if over and build_key(over) >= build_key(newest)}
    bad = {build for build, image in usable.items() if markers.ROLLED_BACK in image.properties}
    bad |= {
        build for build in builds for pin, over in pins.items() if build_key(pin) < build_key(build) <= build_key(over)
    }
    # Of two rollbacks the later one counts, which took the build of the earlier one back.
    return {build: over for build, over in pins.items() if build not in bad}, frozenset(bad)


def _current(
    definition: Definition,
    usable: Mapping[str, Image],
    pins: Mapping[str, str],
    bad: frozenset[str],
    ahead: frozenset[str],
) -> str | None:
    """The newest version that is not bad. A build that a rollback chose counts though it is no longer defined; so does
    one that has the plain name and is newer than all that are defined, for a run that knows less must not undo what
    another one did. Where all of them are bad, the newest good build there is; None: there is none either."""
    defined = {version.version for version in definition.offered}
    newest = max(defined, key=build_key)
    chosen = {pin for pin in pins if build_key(pin) < build_key(newest)}
    named = {build for build in ahead if definition.multi and usable[build].name in definition.names}
    candidates = {*defined, *chosen, *named} - bad or {build for build in usable if build not in {*bad, *ahead}}
    return max(candidates, key=build_key, default=None)


def _served(usable: Mapping[str, Image], current: str, bad: frozenset[str]) -> str:
    """The build that users have: the current one, or the newest before it while the cloud does not have that yet."""
    candidates = [build for build in usable if build_key(build) <= build_key(current) and build not in bad]
    return current if current in usable else max(candidates, key=build_key, default=current)


def _chosen(definition: Definition, usable: Mapping[str, Image], to: str, current: str, bad: frozenset[str]) -> str:
    """The version to roll back to. Raises UsageError when the cloud does not have `to`, Error when there is none, or
    when nobody would find it."""
    newest = max((version.version for version in definition.offered), key=build_key)
    usable = {
        build: image
        for build, image in usable.items()
        if build_key(build) <= max(build_key(newest), build_key(current))
    }
    before = sorted(
        (build for build in usable if build_key(build) < build_key(current) and build not in bad), key=build_key
    )
    choice = ", ".join(sorted(usable, key=build_key, reverse=True)) or "none"
    if to and to not in usable:
        raise UsageError(f"{definition.name}: version {to} is not in the cloud; it has: {choice}")
    if not to and not before:
        raise Error(f"{definition.name}: no good build is before {current} to go back to; the cloud has: {choice}")
    chosen = to or before[-1]
    for version in definition.offered:
        if version.version == chosen and chosen in _kept_from_users(definition):
            how = "hidden: true" if version.hidden else f"visibility: {version.visibility}"
            raise Error(
                f"{definition.name}: version {chosen} is defined with {how}, so it would not be found in place of "
                f"{current}; take that out of the definition, or choose another version with --to"
            )
    return chosen
