"""The laws of a run, judged by what images were and what became of them.

What may be deleted is a second opinion: it is written from docs/life-cycle.md and shares nothing with `retention`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date

from openstack_image_manager.format import Definition, Version
from openstack_image_manager.identity import identify
from openstack_image_manager.model import Image, Policy

WIDTH = {"private": 0, "shared": 1, "community": 2, "public": 3}
VERIFIED, HIDDEN_SINCE = "image_manager_verified", "image_manager_hidden_since"
PINNED_OVER, ROLLED_BACK = "image_manager_pinned_over", "image_manager_rolled_back"
Cloud = Mapping[str, Image]


@dataclass(frozen=True)
class Order:
    """What one run was told, and the cloud that its plan was made for. `uses`: None where use can't be seen. `only`:
    what a filter leaves. `digests`: what Glance must have stored for a checksum, where that is something else."""

    definitions: Mapping[str, Definition]
    policy: Policy
    day: date
    uses: Mapping[str, int] | None
    found: Cloud
    project: str = "ours"
    only: frozenset[str] | None = None
    wrong: frozenset[str] = frozenset()
    digests: Mapping[str, str] = field(default_factory=dict)
    roll_back: Mapping[str, str] = field(default_factory=dict)

    def key(self, image: Image) -> tuple[str, str] | None:
        """Which definition and version it is."""
        return identify(image, self.definitions)

    def left_alone(self, name: str) -> bool:
        """True for a definition whose images a run must not touch."""
        definition = self.definitions[name]
        disabled = not definition.enable and not self.policy.force
        filtered = self.only is not None and name not in self.only
        return disabled or filtered or name in self.wrong or not definition.versions

    def ours(self, image: Image) -> bool:
        """True for an image that a run may touch at all."""
        return self.policy.tag in image.tags and (image.owner == self.project or image.visibility == "public")

    def versions(self, name: str) -> dict[str, Version]:
        """The defined versions by their names."""
        return {version.version: version for version in self.definitions[name].versions}


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
        law(order.ours(was), "only managed images are touched", was)
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


def members(image: Image) -> frozenset[str]:
    """Whom it is shared with, where it is shared."""
    return image.members or frozenset()


def usable(image: Image) -> bool:
    """True for an image with bytes that nothing speaks against."""
    return image.status in ("active", "deactivated") and not (_pending(image) and _wrong_bytes(image))


def _pending(image: Image) -> bool:
    return image.properties.get(VERIFIED, "").startswith("pending ")


def _wrong_bytes(image: Image) -> bool:
    promise = image.properties.get(VERIFIED, "").removeprefix("pending ")
    return promise.endswith(" after import") and promise.split()[0] != f"{image.hash_algorithm}:{image.hash_value}"


def _change(order: Order, was: Image, now: Image) -> Iterator[str]:
    key = order.key(was)
    version = order.versions(key[0]).get(key[1]) if key else None
    # What a rollback chose is as good as defined.
    wanted = key and (version or key[1] == current(order, key[0]))
    if WIDTH[now.visibility] > WIDTH[was.visibility]:
        law(wanted and not _better(order, was), "only a defined version is shown to more people", was, now)
        assert key
        says = (version and version.visibility) or order.definitions[key[0]].visibility
        law(WIDTH[now.visibility] <= WIDTH[says], "no one sees more than the definition says", was, now, says)
        law(_pending(was) or now.visibility == says, "hiding shows an image to no one else", was, now, says)
    if was.hidden and not now.hidden:
        law(wanted and not (version and version.hidden), "only what the definition shows leaves os_hidden", was, now)
    if (was.status, now.status) == ("deactivated", "active"):
        law(key and wanted and order.definitions[key[0]].status == "active", "no one activates it but the definition")
    since = now.properties.get(HIDDEN_SINCE)
    if since != was.properties.get(HIDDEN_SINCE):
        law(since in (None, order.day.isoformat()), "waiting counts from the day of hiding", was, now)
    if not _pending(now):
        _bytes(order, was, now, version)
    if since and (_pending(was) or not was.properties.get(HIDDEN_SINCE)):
        yield "hidden"
    if key and was.name != now.name and now.name == order.definitions[key[0]].name:
        yield "rotated"
    if key and was.name == order.definitions[key[0]].name != now.name and _better(order, was):
        yield "twin renamed"
    if (was.status, now.status) == ("active", "deactivated"):
        yield "deactivated"
    if _pending(was) and not _pending(now):
        yield "published"
    if now.properties.get(PINNED_OVER, "") > was.properties.get(PINNED_OVER, ""):
        yield "rolled back"
    yield from _sharing(order, was, now)


def _rotated_in(was: Image, now: Image, name: str) -> bool:
    return _pending(was) and not _pending(now) and now.name == name


def _sharing(order: Order, was: Image, now: Image) -> Iterator[str]:
    """No one is given an image but whom the definition names, or who was given the build before by hand."""
    key = order.key(was)
    definition = order.definitions[key[0]] if key else None
    named = {each.project for each in (definition and definition.members) or ()}
    if members(now) - members(was) - named:
        heirs = {p for i in order.found.values() if key and i.name == key[0] for p in members(i)}
        law(definition and definition.members is None, "an image is shared with whom the definition says", was, now)
        law(_pending(was), "what is published is shared by hand alone", was, now)
        law(members(now) <= heirs, "no one inherits an image who did not have the one before", was, now)
    elif definition and definition.multi and _rotated_in(was, now, definition.name) and now.visibility == "shared":
        plain = [
            i for i in order.found.values() if key and order.key(i) == (key[0], i.properties.get("internal_version"))
        ]
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
    if _pending(was) and version and version.checksum:
        law(promise == version.checksum, "what has a checksum is published verified with it", was, version)


def _deletion(order: Order, image: Image, before: Cloud | None, failed: frozenset[str]) -> Iterator[str]:
    key = order.key(image)
    if not usable(image) or _pending(image):
        yield "unpublished one deleted" if usable(image) else "junk cleared"
        if not usable(image):
            return
    law(not key or key[0] not in failed or _pending(image), "nothing is deleted after a failure", image)
    if _pending(image):
        return
    objection = why_not(order, image, before)
    law(not objection, f"deleted although {objection}", image)
    yield "orphan deleted" if key is None else "twin deleted" if _better(order, image) else "outdated deleted"


def why_not(order: Order, image: Image, before: Cloud | None) -> str:
    """What forbids to delete a healthy image; empty when nothing does. `before`: the cloud before, None: not known."""
    policy, key = order.policy, order.key(image)
    asked = policy.orphans if key is None else policy.outdated
    if asked != "delete":
        return "no one asked for it"
    if image.protected:
        return "it is protected"
    if image.owner != order.project:
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
        return _promised(order, image)
    if _better(order, image):
        return ""
    return _still_wanted(order, key, before)


def _still_wanted(order: Order, key: tuple[str, str], before: Cloud | None) -> str:
    name, build = key
    definition, defined = order.definitions[name], order.versions(name)
    if build in defined:
        return "its version is defined"
    if definition.keep or order.policy.keep:
        return "it is to be kept"
    newest, now, passed = max(defined, key=number), current(order, name), bad(order, name)
    sight = in_sight({**definition.meta, **defined[newest].meta}.get("uuid_validity"), order.day)
    if build in passed and sight < float("inf"):
        return _no_current(order, (name, now), before)
    found = standing_for(order, name).keys()
    all_defined = set(defined) if not (order.policy.latest and definition.multi) else {now}
    # What was withdrawn from above the current build is the oldest of all; what was rolled back from takes no place.
    place = {each: (number(each) <= number(now), number(each)) for each in found | all_defined}
    ahead = sum(place[each] > place[build] for each in place.keys() - passed)
    if ahead < sight:
        return f"only {ahead} builds are before it, and {sight} are promised"
    return _no_current(order, (name, now), before)


def _no_current(order: Order, key: tuple[str, str], before: Cloud | None) -> str:
    if before is None:
        return ""
    there = [i for i in before.values() if order.key(i) == key and usable(i) and not _pending(i)]
    return "" if there else "the current build is not in the cloud"


def standing_for(order: Order, name: str) -> dict[str, Image]:
    """The builds of a definition that the cloud had, and the image that stands for each."""
    mine = [i for i in order.found.values() if order.ours(i) and _usable_as(order, i) and not _better(order, i)]
    return {key[1]: i for i in mine if (key := order.key(i)) and key[0] == name}


def bad(order: Order, name: str) -> frozenset[str]:
    """The builds that were rolled back from, or passed over by that."""
    return _rollback(order, name)[1]


def current(order: Order, name: str) -> str:
    """The build that shall have the plain name: the newest that is defined, unless a rollback says otherwise."""
    return _rollback(order, name)[0]


def _rollback(order: Order, name: str) -> tuple[str, frozenset[str]]:
    """From docs/life-cycle.md: a build that was rolled back to is current until the definition has a version newer than
    the one that it replaces; what was bad stays bad."""
    defined, there = order.versions(name), standing_for(order, name)
    newest = max(defined, key=number)
    if not order.definitions[name].multi:
        return newest, frozenset()
    over = {build: i.properties[PINNED_OVER] for build, i in there.items() if i.properties.get(PINNED_OVER)}
    pins = {build: pin for build, pin in over.items() if number(pin) >= number(newest)}
    passed = {build for build, image in there.items() if ROLLED_BACK in image.properties}
    for build, pin in pins.items():
        passed |= {each for each in {*defined, *there} if number(build) < number(each) <= number(pin)}
    good = {*defined, *(pin for pin in pins if number(pin) < number(newest))} - passed
    now = max(good, key=number, default=newest)
    if name in order.roll_back:
        back = {build for build in there if number(build) < number(now) and build not in passed}
        now = order.roll_back[name] or max(back, key=number, default=now)
        passed |= {each for each in {*defined, *there} if number(now) < number(each) <= number(newest)}
    return now, frozenset(passed - {now})


def _promised(order: Order, image: Image) -> str:
    if (image.properties.get("image_name") or image.name) in order.definitions or order.only is not None:
        return "its definition is there"
    for key in ("uuid_validity", "provided_until"):
        value = image.properties.get(key)
        until = _day(value)
        if value in ("notice", "forever") or (until and until >= order.day):
            return f"its {key} promises more"
    return ""


def _better(order: Order, image: Image) -> bool:
    """True when another image stood for its version: whole, active, seen by more, not retired, older."""
    key = order.key(image)

    def standing(i: Image) -> tuple[bool, bool, int, bool, str, str]:
        seen_by = -WIDTH[i.visibility]
        return not usable(i), i.status != "active", seen_by, HIDDEN_SINCE in i.properties, i.created_at, i.id

    me = order.found.get(image.id, image)
    return key is not None and any(
        order.key(other) == key and standing(other) < standing(me)
        for other in order.found.values()
        if order.ours(other) and _usable_as(order, other) and other.id != image.id
    )


def _usable_as(order: Order, image: Image) -> bool:
    """True for a usable image that was not left unpublished without the checksum that its version has by now."""
    key = order.key(image)
    version = order.versions(key[0]).get(key[1]) if key else None
    promise = image.properties.get(VERIFIED, "").removeprefix("pending ")
    broken = _pending(image) and version and version.checksum and promise.split()[0] != version.checksum
    return usable(image) and not broken


def in_sight(validity: str | None, day: date) -> float:
    """How many of the newest builds are promised to stay."""
    if validity in ("notice", "forever"):
        return float("inf")
    if validity is not None and validity.startswith("last-"):
        return max(1, int(validity[5:]))
    until = _day(validity)
    return float("inf") if until and until >= day else 1 if validity == "none" else 3


def number(version: str) -> tuple[int, ...]:
    """Versions of histories are numbers with dots."""
    return tuple(map(int, version.split(".")))


def _day(text: str | None) -> date | None:
    try:
        return date.fromisoformat((text or "")[:10])
    except ValueError:
        return None


def settled(order: Order, after: Cloud) -> None:
    """What must be after a run that went well: the newest build alone has the plain name, and no image is shown to more
    people than its definition says."""
    mine = [
        (key, image) for image in after.values() if order.ours(image) and usable(image) and (key := order.key(image))
    ]
    for (name, build), image in mine:
        if not order.left_alone(name):
            version = order.versions(name).get(build)
            says = (version and version.visibility) or order.definitions[name].visibility
            law(WIDTH[image.visibility] <= WIDTH[says], "no image is shown to more people than is defined", image, says)
    for name, definition in order.definitions.items():
        if definition.multi and not order.left_alone(name):
            plain = [build for (owner, build), image in mine if owner == name == image.name]
            now = current(replace(order, found=after, roll_back={}), name)
            law(plain == [now], f"{now} alone is called {name}", plain)
    for (name, build), image in mine:
        named = order.definitions[name].members
        if named is not None and image.visibility == "shared" and not order.left_alone(name):
            says = {each.project for each in named}
            law(members(image) <= says, "an image is shared with no one else than the definition says", image, says)
            wanted = (build in order.versions(name) or image.name == name) and not _better(order, image)
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
    seen, sees = (max((WIDTH[i.visibility] for i in each if _in_sight(i)), default=-1) for each in (had, has))
    law(sees >= min(seen, WIDTH[definition.visibility]), f"{name} never goes out of sight", had, has)


def _holders(order: Order, name: str, cloud: Cloud) -> list[Image]:
    named = [image for image in cloud.values() if image.name == name and usable(image) and not _pending(image)]
    tagged = [image for image in named if order.policy.tag in image.tags]
    return [image for image in tagged if (key := order.key(image)) and key[0] == name]


def _in_sight(image: Image) -> bool:
    return image.status == "active" and not image.hidden
