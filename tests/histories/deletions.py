"""What may be deleted: a second opinion, written from docs/life-cycle.md, that shares nothing with `retention`."""

from __future__ import annotations

from datetime import date

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Image
from tests.histories.order import (
    HIDDEN_SINCE,
    WIDTH,
    Cloud,
    Order,
    ahead,
    bad,
    better,
    current,
    evidence,
    is_behind,
    number,
    pending,
    standing_for,
    usable,
)


def why_not(order: Order, image: Image, before: Cloud | None) -> str:
    """What forbids to delete a healthy image; empty when nothing does. `before`: the cloud before, None: not known."""
    policy, key = order.policy, order.key(image)
    asked = policy.orphans if key is None else policy.outdated
    if asked != "delete":
        return "no one asked for it"
    if image.protected:
        return "it is protected"
    if image.owner not in (order.project, order.owner_of(image)):
        return "it is of another project"
    if order.uses is None and policy.unknown_usage != "delete":
        return "no one knows whether it is in use"
    if order.uses is not None and order.uses.get(image.id):
        return "it is in use"
    if policy.grace:
        since = _day(order.found[image.id].properties.get(HIDDEN_SINCE))
        if since is None or (order.day - since).days < policy.grace:
            return "its waiting time is not over"
    if key is None:
        return _promised(order, image) or ("a definition is behind the cloud" if is_behind(order) else "")
    if image.owner != order.project:
        return ""  # what becomes of images that were given away hurts nobody but their project
    if better(order, image) or _is_replaced(order, image, before):
        return ""
    return _still_wanted(order, key, before)


def _is_replaced(order: Order, image: Image, before: Cloud | None) -> bool:
    """True for known wrong bytes beside which the right ones have been imported and published."""
    key = order.key(image)
    return evidence(order, image) == "wrong" and any(
        order.key(other) == key and usable(other) and not pending(other) and evidence(order, other) == "right"
        for other in (before or {}).values()
    )


def _still_wanted(order: Order, key: tuple[str, str], before: Cloud | None) -> str:
    name, build = key
    definition, defined = order.definitions[name], order.versions(name)
    if build in defined:
        return "its version is defined"
    if definition.keep or order.policy.keep:
        return "it is to be kept"
    newest, now, passed = max(defined, key=number), current(order, name), bad(order, name)
    gone = build in order.withdrawn(name)
    validity = {**definition.meta, **defined[newest].meta}.get("uuid_validity")
    # Nothing rotates without multi: a release stays as long as it is defined, or promised.
    sight = in_sight(validity, order.day) if validity or definition.multi else 0
    if number(build) > number(newest) and not gone:
        return "it is newer than every defined version"
    if (build in passed or gone) and sight < float("inf"):
        return _no_current(order, (name, now), before)
    found = standing_for(order, name).keys()
    every = set(defined) if not ((order.policy.latest or ahead(order, name)) and definition.multi) else {now}
    # What was rolled back from, or is not for everybody, takes no place.
    narrow = {each for each, version in defined.items() if each != now and _is_narrow(definition, version)}
    before_it = sum(each == now or number(each) > number(build) for each in (found | every) - passed - narrow)
    if before_it < sight:
        return f"only {before_it} builds are before it, and {sight} are promised"
    return _no_current(order, (name, now), before)


def _is_narrow(definition: Definition, version: Version) -> bool:
    return bool(version.hidden) or WIDTH[version.visibility or definition.visibility] < WIDTH[definition.visibility]


def _no_current(order: Order, key: tuple[str, str], before: Cloud | None) -> str:
    if before is None:
        return ""
    there = [i for i in before.values() if order.key(i) == key and usable(i) and not pending(i)]
    return "" if there else "the current build is not in the cloud"


def _promised(order: Order, image: Image) -> str:
    if (image.properties.get("image_name") or image.name) in order.definitions or order.only is not None:
        return "its definition is there"
    for key in ("uuid_validity", "provided_until"):
        value = image.properties.get(key)
        until = _day(value)
        if value in ("notice", "forever") or (until and until >= order.day):
            return f"its {key} promises more"
    return ""


def in_sight(validity: str | None, day: date) -> float:
    """How many of the newest builds are promised to stay."""
    if validity in ("notice", "forever"):
        return float("inf")
    if validity is not None and validity.startswith("last-"):
        return max(1, int(validity[5:]))
    until = _day(validity)
    return float("inf") if until and until >= day else 1 if validity == "none" else 3


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None
