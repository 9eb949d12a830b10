"""The laws of a run, judged by what images were and what became of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Image
from tests.histories.deletions import why_not
from tests.histories.order import (
    HIDDEN_SINCE,
    PINNED_OVER,
    VERIFIED,
    WIDTH,
    Cloud,
    Order,
    ahead,
    better,
    current,
    evidence,
    is_behind,
    members,
    pending,
    unheard,
    usable,
)


def law(holds: object, sentence: str, *evidence: object) -> None:
    """Raise an AssertionError with the sentence that is broken."""
    if not holds:
        raise AssertionError("\n".join([f"law broken: {sentence}", *map(str, evidence)]))


def judge(
    order: Order,
    before: Cloud,
    after: Cloud,
    failed: frozenset[str] = frozenset(),
    group: str | None = None,
    meddled: bool = False,
) -> list[str]:
    """Judge one step of a run, or several at once; what happened, in a word each. `failed`: definitions that had a
    failure before; `group`: the definition whose step it is, if that is known. `meddled`: someone changed images since
    the plan was made, so that it can't know who has the plain name and whether the current build is still there."""
    events: list[str] = []
    for image_id, was in before.items():
        now = after.get(image_id)
        if now is was or (now is not None and _same(was, now)):
            continue
        key = order.key(was)
        law(order.ours(was) or (order.offered(was) and now), "only managed images are touched", was)
        if key is not None:
            law(not order.left_alone(key[0]), "what is disabled or wrong stays as it is", was, now)
        if group is not None:
            mine = key[0] if key else was.properties.get("image_name") or was.name
            law(mine == group, f"the steps of {group} touch nothing else", was)
        events += (
            _deletion(order, was, None if meddled else before, failed) if now is None else _change(order, was, now)
        )
    for image_id, now in after.items():
        if image_id not in before:
            events.append("imported")
            key = order.key(now)
            law(key and not order.left_alone(key[0]), "images are made for enabled definitions only", now)
            if group is not None:
                alone = now.visibility == "private" or (now.visibility == "shared" and not now.members)
                law(alone and now.properties[VERIFIED].startswith("pending "), "what is new is seen by no one", now)
    for name, definition in order.definitions.items():
        if definition.multi and not order.left_alone(name) and not meddled:
            _plain_name(order, definition, before, after)
    return events


def _same(was: Image, now: Image) -> bool:
    """True when no one but Glance changed it."""
    fields = ("name", "visibility", "hidden", "min_disk", "min_ram", "protected", "tags", "properties", "owner")
    whole = {was.status, now.status} <= {"active", "deactivated"}
    same = all(getattr(was, each) == getattr(now, each) for each in fields) and members(was) == members(now)
    return same and (not whole or was.status == now.status)


def _change(order: Order, was: Image, now: Image) -> Iterator[str]:
    key = order.key(was)
    law(key or not is_behind(order), "a run that is behind the cloud changes nothing without a definition", was, now)
    version = order.versions(key[0]).get(key[1]) if key else None
    # What was ours when the plan was made has right bytes and properties, and may be shared after it was given away.
    if (there := order.found.get(was.id)) and there.owner != order.project:
        _of_others(order, there, now)
    # What a rollback chose is as good as defined.
    wanted = key and (version or key[1] == current(order, key[0]))
    if WIDTH[now.visibility] > WIDTH[was.visibility]:
        law(wanted and not better(order, was), "only a defined version is shown to more people", was, now)
        assert key
        says = (version and version.visibility) or order.definitions[key[0]].visibility
        law(WIDTH[now.visibility] <= WIDTH[says], "no one sees more than the definition says", was, now, says)
        law(pending(was) or now.visibility == says, "hiding shows an image to no one else", was, now, says)
    if was.hidden and not now.hidden:
        law(wanted and not (version and version.hidden), "only what the definition shows leaves os_hidden", was, now)
    if (was.status, now.status) == ("deactivated", "active"):
        law(key and wanted and order.definitions[key[0]].status == "active", "no one activates it but the definition")
    since = now.properties.get(HIDDEN_SINCE)
    if since != was.properties.get(HIDDEN_SINCE):
        law(since in (None, order.day.isoformat()), "waiting counts from the day of hiding", was, now)
    if not pending(now):
        _bytes(order, was, now, version)
    if since and (pending(was) or not was.properties.get(HIDDEN_SINCE)):
        yield "hidden"
    if key and was.name != now.name and now.name == order.definitions[key[0]].name:
        yield "rotated"
    if key and was.name == order.definitions[key[0]].name != now.name and better(order, was):
        yield "twin renamed"
    if was.owner != now.owner:
        yield "taken" if now.owner == order.project else "given away"
    if (was.status, now.status) == ("active", "deactivated"):
        yield "deactivated"
    if pending(was) and not pending(now):
        yield "published"
    if now.properties.get(PINNED_OVER, "") > was.properties.get(PINNED_OVER, ""):
        yield "rolled back"
    yield from _sharing(order, was, now)


def _of_others(order: Order, was: Image, now: Image) -> None:
    """What another project wrote is no reason to show its image to anybody else. `was`: when the plan was made."""
    definition = order.definitions[key[0]] if (key := order.key(was)) else None
    if definition and was.owner in definition.former_owners and was.owner != now.owner:
        law(_has_right_bytes(order, was), "only right bytes are taken", was)
        return
    wider = WIDTH[now.visibility] > WIDTH[was.visibility] or (was.hidden and not now.hidden)
    law(not wider or evidence(order, was) == "right, of others", "no image of others is shown to more people", was, now)
    seen_by_all = WIDTH[was.visibility] >= WIDTH["community"]
    law(seen_by_all or members(now) <= members(was), "no image of others is shared with more people", was, now)


def _has_right_bytes(order: Order, image: Image) -> bool:
    key = order.key(image)
    version = order.versions(key[0]).get(key[1]) if key else None
    return bool(version and version.checksum == f"{image.hash_algorithm}:{image.hash_value}")


def _rotated_in(was: Image, now: Image, name: str) -> bool:
    return pending(was) and not pending(now) and now.name == name


def _sharing(order: Order, was: Image, now: Image) -> Iterator[str]:
    """No one is given an image but whom the definition names, or who was given the build before by hand."""
    key = order.key(was)
    definition = order.definitions[key[0]] if key else None
    named = {each.project for each in (definition and definition.members) or ()}
    if members(now) - members(was) - named:
        heirs = {p for i in order.found.values() if key and i.name == key[0] for p in members(i)}
        law(definition and definition.members is None, "an image is shared with whom the definition says", was, now)
        law(pending(was), "what is published is shared by hand alone", was, now)
        law(members(now) <= heirs, "no one inherits an image who did not have the one before", was, now)
    elif definition and definition.multi and _rotated_in(was, now, definition.name) and now.visibility == "shared":
        plain = [
            i for i in order.found.values() if key and order.key(i) == (key[0], i.properties.get("internal_version"))
        ]
        plain = [i for i in plain if order.ours(i)]
        heirs = {
            p for i in plain if i.name == definition.name and usable(i) and i.visibility == "shared" for p in members(i)
        }
        law(definition.members is not None or heirs <= members(now), "who had the one before has the new one", was, now)
    if members(now) - members(was):
        yield "shared"
    if members(was) - members(now):
        yield "unshared"


def _bytes(order: Order, was: Image, now: Image, version: Version | None) -> None:
    promise = now.properties.get(VERIFIED, "").partition(" ")[0]
    if ":" in promise and now.hash_value:
        stored = f"{now.hash_algorithm}:{now.hash_value}"
        law(stored == order.digests.get(promise, promise), "no bytes are published that break their promise", now)
    if pending(was) and version and version.checksum:
        law(promise == version.checksum, "what has a checksum is published verified with it", was, version)


def _deletion(order: Order, image: Image, before: Cloud | None, failed: frozenset[str]) -> Iterator[str]:
    key = order.key(image)
    if not usable(image) or pending(image):
        yield "unpublished one deleted" if usable(image) else "junk cleared"
        if not usable(image):
            return
    law(not key or key[0] not in failed or pending(image), "nothing is deleted after a failure", image)
    if pending(image):
        return
    objection = why_not(order, image, before)
    law(not objection, f"deleted although {objection}", image)
    yield "orphan deleted" if key is None else "twin deleted" if better(order, image) else "outdated deleted"


def settled(order: Order, after: Cloud) -> None:
    """What must be after a run that went well: the newest build alone has the plain name, and no image is shown to more
    people than its definition says."""
    mine = [
        (key, image) for image in after.values() if order.ours(image) and usable(image) and (key := order.key(image))
    ]
    then = replace(order, found=after, roll_back={})
    later = {name: ahead(then, name) for name in order.definitions}
    for (name, build), image in mine:
        # A public image of others is hidden and never narrowed: as anything else it would be out of our hands.
        judged = image.owner == order.project and build not in later[name]
        if judged and not order.left_alone(name):
            version = order.versions(name).get(build)
            says = (version and version.visibility) or order.definitions[name].visibility
            law(WIDTH[image.visibility] <= WIDTH[says], "no image is shown to more people than is defined", image, says)
    for name, definition in order.definitions.items():
        if definition.multi and not order.left_alone(name):
            named = [(build, image) for (owner, build), image in mine if owner == name == image.name]
            plain = [build for build, image in named if not unheard(order, image)]
            now = current(then, name)
            # Of what is newer than all it knows a run changes nothing: neither second images, nor a rotation half done.
            alone = now in plain and set(plain) <= set(later[name]) if now in later[name] else plain == [now]
            # Where fewer see the newer one, who finds another by the name still does.
            seen = [image for (build, image) in named if build == now]
            alone = alone or (now in later[name] and all(i in seen or _more_find(i, seen) for _, i in named))
            law(alone or not now, f"{now} alone is called {name}", plain)
    for (name, build), image in mine:
        named = order.definitions[name].members
        touched = not order.left_alone(name) and build not in later[name]
        version = order.versions(name).get(build)
        says_shared = ((version and version.visibility) or order.definitions[name].visibility) in ("shared", "private")
        # Whom others share their own image with is their choice where no version of the definition is it.
        touched = touched and says_shared and not unheard(order, image)
        if named is not None and image.visibility == "shared" and touched:
            says = {each.project for each in named}
            law(members(image) <= says, "an image is shared with no one else than the definition says", image, says)
            wanted = (build in order.versions(name) or image.name == name) and not better(order, image)
            # Else it is only narrowed. So is what belongs to another project: it may have chosen the visibility itself.
            wanted = wanted and bool(current(then, name)) and image.owner == order.project
            law(members(image) == says or not wanted, "an image is shared with whom the definition says", image, says)


def lost_or_twins(order: Order, after: Cloud) -> bool:
    """True where one run is not enough: a public image of others is none of ours when it is made private, and which of
    two equal images stands for a version may turn once."""
    lost = any(order.ours(image) and not order.ours(after.get(image.id, image)) for image in order.found.values())
    keys = Counter(order.key(image) for image in after.values() if order.ours(image) and usable(image))
    del keys[None]
    return lost or any(number > 1 for number in keys.values())


def _plain_name(order: Order, definition: Definition, before: Cloud, after: Cloud) -> None:
    """Someone who boots from the plain name always finds an image, and sees it as far as the definition says."""
    name = definition.name
    had, has = _holders(order, name, before), _holders(order, name, after)
    law(has or not had, f"there is always an image {name}", had)
    now = order.versions(name).get(current(order, name))
    if (now and (now.visibility or now.hidden)) or definition.status != "active":
        return

    def width(image: Image) -> int:
        """How many see it, as far as its version may be seen."""
        key = order.key(image)
        version = order.versions(name).get(key[1]) if key else None
        return min(WIDTH[image.visibility], WIDTH[(version and version.visibility) or image.visibility])

    seen = max((width(image) for image in had if _in_sight(image)), default=-1)
    sees = max((WIDTH[image.visibility] for image in has if _in_sight(image)), default=-1)
    law(sees >= min(seen, WIDTH[definition.visibility]), f"{name} never goes out of sight", had, has)


def _holders(order: Order, name: str, cloud: Cloud) -> list[Image]:
    named = [image for image in cloud.values() if image.name == name and usable(image) and not pending(image)]
    tagged = [image for image in named if order.policy.tag in image.tags]
    return [image for image in tagged if (key := order.key(image)) and key[0] == name]


def _more_find(image: Image, others: list[Image]) -> bool:
    """True for an image in sight that more people see than any of the others."""
    widths = [WIDTH[other.visibility] for other in others if not other.hidden]
    return not image.hidden and WIDTH[image.visibility] > max(widths, default=-1)


def _in_sight(image: Image) -> bool:
    return image.status == "active" and not image.hidden
