"""The laws of runs at the same moment, judged by what each call changed, and by what the next run finds.

Written from docs/life-cycle.md; nothing of the program decides here. What is true of an image (whose it is, which bytes
it has) the model knows; its properties say what somebody wrote on it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

from openstack_image_manager.definitions.model import Definition, Version
from tests.histories.order import PINNED_OVER, ROLLED_BACK, VERIFIED, WIDTH, number
from tests.histories.schedule import Schedule
from tests.histories.service import Json
from tests.histories.together import Broken, Images, Order, Step, Together, first

WHOLE = ("active", "deactivated")


@dataclass(frozen=True)
class Key:
    """A definition and a version, with what a run knows of them."""

    definition: Definition
    text: str

    @property
    def version(self) -> Version | None:
        """As the definition has it; None: not at all, or withdrawn."""
        return next((each for each in wanted(self.definition) if each.version == self.text), None)

    @property
    def visibility(self) -> str:
        """How far it is to be seen."""
        return (self.version and self.version.visibility) or self.definition.visibility

    @property
    def is_ahead(self) -> bool:
        """True for a version newer than all that the definition knows."""
        return all(number(self.text) > number(each.version) for each in self.definition.versions)


@dataclass(frozen=True)
class View:
    """What a run is entitled to think of images."""

    order: Order

    def key(self, image: Json) -> Key | None:
        """Which definition and version it says it is."""
        return key_of(image, {each.name: each for each in self.order.definitions})

    def ours(self, image: Json) -> bool:
        """True for a managed image that only we can write."""
        return self.order.policy.tag in image["tags"] and image["owner"] == self.order.user.project

    def genuine(self, image: Json) -> bool:
        """True for ours, and for one of others whose bytes are those of the version that it says it is."""
        return self.ours(image) or has_right_bytes(image, self.key(image)) is True

    def good(self, image: Json) -> bool:
        """True for an image that can stand for its version."""
        its = self.key(image)
        return (
            bool(its) and image["status"] in WHOLE and not pending(image) and self.genuine(image) and right(image, its)
        )

    def duplicates(self, image: Json, images: Images) -> list[Json]:
        """Other good images of the same version."""
        its = self.key(image)
        return [i for i in images.values() if i["id"] != image["id"] and self.good(i) and same(self.key(i), its)]

    def newer(self, image: Json, images: Images) -> set[str]:
        """The newer versions of the definition that the cloud has good images of."""
        its = self.key(image)
        assert its
        found = {
            k.text
            for i in images.values()
            if self.good(i) and ROLLED_BACK not in i and (k := self.key(i)) and k.definition.name == its.definition.name
        }
        return {text for text in found if number(text) > number(its.text)}


def wanted(definition: Definition) -> list[Version]:
    """The versions that are to be there; `withdrawn` are those that were taken back on purpose."""
    return [each for each in definition.versions if not getattr(each, "withdrawn", False)]


def key_of(image: Json, definitions: Mapping[str, Definition]) -> Key | None:
    """Which definition and version it says it is: by its properties, or by its name."""
    name, version = image.get("image_name"), image.get("internal_version")
    for each in definitions.values():
        dated = re.fullmatch(rf"{re.escape(each.name)} \((.+)\)", image["name"] or "")
        named = name or image.get("image_description") or (each.name if dated else None)
        if named == each.name and (text := version or (dated and dated.group(1))):
            return Key(each, text)
        for its in each.versions:
            if its.id == image["id"]:
                return Key(each, its.version)
    return None


def same(one: Key | None, other: Key | None) -> bool:
    if one is None or other is None:
        return False
    return (one.definition.name, one.text) == (other.definition.name, other.text)


def pending(image: Json) -> bool:
    return str(image.get(VERIFIED, "")).startswith("pending ")


def has_right_bytes(image: Json, its: Key | None) -> bool | None:
    """Whether the stored bytes are those of the defined checksum; None: nothing can tell."""
    wanted = its.version.checksum if its and its.version else None
    if not wanted or not wanted.startswith("sha512:") or not image["os_hash_value"]:
        return None
    return wanted == f"sha512:{image['os_hash_value']}"


def right(image: Json, its: Key | None) -> bool:
    return has_right_bytes(image, its) is not False


def published(image: Json, name: str, width: int = 0) -> bool:
    """True for what users find under the name."""
    there = image["name"] == name and image["status"] == "active" and not image["os_hidden"] and not pending(image)
    return there and WIDTH[image["visibility"]] >= width


def in_sight(image: Json) -> bool:
    return image["status"] == "active" and not image["os_hidden"] and not pending(image)


def law(holds: object, sentence: str, *evidence: object) -> None:
    """Raise Broken with the sentence that is broken."""
    if not holds:
        raise Broken("\n".join([f"law broken: {sentence}", *map(str, evidence)]))


@dataclass
class Watch:
    """Judges a history. `now`: the definitions as they are by now; runs may have older ones."""

    now: tuple[Definition, ...]
    settled: set[str] = field(default_factory=set)  # states that a further run has settled

    def step(self, together: Together, step: Step) -> None:
        """One call has changed something."""
        if step.run is not None:
            order = together.orders[step.run]
            for image_id, was in step.before.items():
                new = step.after.get(image_id)
                if new is None:
                    self._deleted(order, was, step)
                elif new is not was:
                    self._changed(order, was, new, step)
        for definition in self.now:
            self._plain_name(together, definition, step)

    def _deleted(self, order: Order, was: Json, step: Step) -> None:
        view = View(order)
        law(view.ours(was), "only managed images of our own are deleted", was)
        law(not was["protected"], "what is protected is not deleted", was)
        if was["status"] not in WHOLE or pending(was):
            return
        its, policy = view.key(was), order.policy
        if its is None or not its.definition.versions:
            law(policy.orphans == "delete", "what no definition describes is not deleted", was)
            return
        instead = view.duplicates(was, step.before)
        law(policy.outdated == "delete", "nothing is deleted without --outdated delete", was)
        if its.version is None and not instead:
            law(not its.is_ahead, "12: what is newer than all that a run knows is not deleted", was)
            many = len(view.newer(was, step.before)) >= _many(its.definition)
            law(many or ROLLED_BACK in was or _withdrawn(its), "2: only what is outdated is deleted", was)
        elif its.version is not None:
            law(instead, "2, 10: nothing that is defined is deleted, but a duplicate", was, *step.before.values())

    def _changed(self, order: Order, was: Json, new: Json, step: Step) -> None:
        view = View(order)
        named = next((d for d in order.definitions for v in d.versions if v.id == was["id"]), None)
        if order.policy.tag not in was["tags"]:
            law(named, "what has not the tag is not touched", was, new)
            return
        its = view.key(was)
        if its is None:
            self._of_others(order, was, new)
            law(WIDTH[new["visibility"]] <= WIDTH[was["visibility"]], "3: no orphan is shown to more people", was, new)
            return
        self._of_others(order, was, new)
        wider = WIDTH[new["visibility"]] > WIDTH[was["visibility"]] or (was["os_hidden"] and not new["os_hidden"])
        named_now = new["name"] == its.definition.name != was["name"]
        published = pending(was) and not pending(new) and view.genuine(was)
        if wider or named_now or published:
            self._promoted(view, its, was, new, step)
        if not view.good(was) or not in_sight(was) or not view.genuine(was):
            return
        if was["name"] == its.definition.name != new["name"]:
            law(self._may_lose_name(view, its, was, step), "2, 10: a healthy image loses the plain name", was, new)
        hidden = not in_sight(new) or WIDTH[new["visibility"]] < min(WIDTH[was["visibility"]], WIDTH[its.visibility])
        if hidden:
            law(self._may_be_hidden(view, its, was, step), "2, 10: a healthy image is hidden", was, new)

    def _of_others(self, order: Order, was: Json, new: Json) -> None:
        """A public image of others is hidden with os_hidden: as a community image it would be out of our hands."""
        if was["owner"] != order.user.project and was["visibility"] == "public":
            law(new["visibility"] == "public", "a public image of others stays one", was, new)

    def _promoted(self, view: View, its: Key, was: Json, new: Json, step: Step) -> None:
        law(view.genuine(was), "11: an image of others is shown to more people, or under the plain name", was, new)
        law(right(new, its), "5: bytes that are not those of the checksum are published", was, new)
        chosen = self._is_chosen(view, its, step)
        wider = WIDTH[new["visibility"]] > WIDTH[was["visibility"]] or (was["os_hidden"] and not new["os_hidden"])
        if wider:
            law(its.version or chosen, "3: only what is defined is shown to more people", was, new)
            law(WIDTH[new["visibility"]] <= WIDTH[its.visibility], "3: never wider than defined", was, new)
        if ROLLED_BACK in was and view.ours(was) and new["name"] == its.definition.name:
            law(chosen, "a build that was rolled back from is current again", was, new)

    def _is_chosen(self, view: View, its: Key, step: Step) -> bool:
        """A rollback by this run, or an earlier one, says that this version is current."""
        to = dict(view.order.roll_back).get(its.definition.name)
        if to is not None:
            return to in ("", its.text)
        return any(PINNED_OVER in i and same(view.key(i), its) and view.ours(i) for i in step.before.values())

    def _may_lose_name(self, view: View, its: Key, was: Json, step: Step) -> bool:
        name = its.definition.name
        if ROLLED_BACK in was:
            return True
        for other in (*step.after.values(), *step.looked.values()):
            key = view.key(other)
            if not key or other["id"] == was["id"] or not view.good(other) or not published(other, name):
                continue
            # What is newer than all that a run knows, and has the name, is the end of another run's rotation.
            rotation = number(key.text) > number(its.text) and (key.version is not None or key.is_ahead)
            if rotation or key.text == its.text or other.get(PINNED_OVER):
                return True
            if _withdrawn(its) or self._is_chosen(view, key, step):
                return True
        return False

    def _may_be_hidden(self, view: View, its: Key, was: Json, step: Step) -> bool:
        if ROLLED_BACK in was or _withdrawn(its):
            return True
        for images in (step.before, step.looked):
            if view.duplicates(was, images) or len(view.newer(was, images)) >= _many(its.definition):
                return True
        if its.version and (its.version.hidden or its.version.visibility):
            return True
        images = (*step.after.values(), *step.looked.values())
        pinned = [k for i in images if i.get(PINNED_OVER) and view.ours(i) and (k := view.key(i))]
        return any(k.definition.name == its.definition.name and number(k.text) < number(its.text) for k in pinned)

    def _plain_name(self, together: Together, definition: Definition, step: Step) -> None:
        if not definition.multi:
            return
        view = View(replace(together.orders[0], definitions=self.now))

        def holders(images: Images) -> list[Json]:
            return [i for i in images.values() if published(i, definition.name) and view.good(i)]

        had = holders(step.before)
        if had:
            has = holders(step.after) or [i for i in holders(step.looked) if i["id"] not in _changed(step)]
            law(has, f"4: there is always a visible image {definition.name}", *had)
            seen = min(max(WIDTH[i["visibility"]] for i in had), WIDTH[definition.visibility])
            law(max(WIDTH[i["visibility"]] for i in has) >= seen, f"4: {definition.name} is seen by fewer", *had, *has)

    def end(self, together: Together) -> None:
        """All runs have ended. A further one with the newest definitions settles everything."""
        after = Order("afterwards", self.now, user=together.orders[0].user)
        held = self._held(together)
        state = _state(together.service.images, held)
        if state in self.settled:
            return
        try:
            self._kept(after, together)
            later = run(together, after, self)
            law(later.outcomes[0].went_well, "a run alone goes well", later.outcomes[0], *later.reporters[0].lines)
            again = run(together, after, self)
            made = again.outcomes[0].plan
            law(
                made is not None and not made.changes,
                "1: after a run the plan is empty",
                *(made.changes if made else ()),
            )
            for definition in self.now:
                self._settled(after, definition, together, held)
        except Broken as broken:
            broken.add_note("\n".join(["before:", *together.trace]))
            raise
        self.settled.add(state)

    def _kept(self, after: Order, together: Together) -> None:
        """Where all went well, the plain names that were there are there."""
        view = View(after)
        if not all(outcome.went_well for outcome in together.outcomes):
            return
        for definition in self.now:
            name = definition.name
            had, has = (
                [image for image in images.values() if published(image, name) and view.good(image)]
                for images in (together.begun, together.service.images)
            )
            law(has or not had or not definition.multi, f"4: after runs that went well, {name} is there", *had)

    def _held(self, together: Together) -> dict[str, str]:
        """What the only rollback has chosen, if the newest build was there to be rolled back from."""
        backs = [i for i, order in enumerate(together.orders) if order.roll_back]
        if len(backs) != 1 or not together.outcomes[backs[0]].went_well:
            return {}
        order = together.orders[backs[0]]
        view, held = View(order), {}
        for definition in order.definitions:
            newest = max((v.version for v in wanted(definition)), key=number)
            there = [view.key(i) for i in together.begun.values() if view.good(i)]
            if any(k and k.definition.name == definition.name and k.text == newest for k in there):
                held[definition.name] = dict(order.roll_back).get(definition.name, "")
        return {name: to for name, to in held.items() if to}

    def _settled(self, after: Order, definition: Definition, together: Together, held: Mapping[str, str]) -> None:
        view, images = View(after), together.service.images
        mine = [(k, i) for i in images.values() if view.genuine(i) and (k := view.key(i)) and same_name(k, definition)]
        plain = [i for i in images.values() if published(i, definition.name) and after.policy.tag in i["tags"]]
        law(len(plain) == 1, f"exactly one visible image is called {definition.name}", *plain, "all:", *images.values())
        law(view.good(plain[0]), "the image of the plain name is the right one", *plain)
        law(WIDTH[plain[0]["visibility"]] == WIDTH[definition.visibility], "as visible as defined", *plain)
        now = view.key(plain[0])
        assert now
        bad = {k.text for k, i in mine if ROLLED_BACK in i}
        newest = max((v.version for v in wanted(definition) if v.version not in bad), key=number, default=now.text)
        if definition.name in held:
            target = held[definition.name]
            law(now.text == target, f"the rollback to {target} holds", *plain)
        pinned = {k.text for k, i in mine if i.get(PINNED_OVER)}
        law(now.text == newest or now.text in pinned or now.is_ahead, f"{newest} is current", *plain)
        law(now.text not in bad, "no build that was rolled back from is current", *plain)
        for version in wanted(definition):
            its = [i for k, i in mine if k.text == version.version and in_sight(i) and view.good(i)]
            seen = [i for i in its if WIDTH[i["visibility"]] >= WIDTH[definition.visibility]]
            law(len(seen) <= 1, f"version {version.version} is there once", *seen)
            there = [i for k, i in mine if k.text == version.version and view.good(i)]
            law(there, f"version {version.version} is there", *images.values())


def _state(images: Images, held: Mapping[str, str]) -> str:
    """All that matters for what a further run does: times only as far as one is before another."""
    by_age = sorted(images.values(), key=lambda image: (image["created_at"], image["id"]))
    timeless = [{key: value for key, value in i.items() if key not in ("created_at", "updated_at")} for i in by_age]
    return json.dumps([timeless, dict(held)], sort_keys=True)


def same_name(its: Key, definition: Definition) -> bool:
    return its.definition.name == definition.name


def run(together: Together, order: Order, watch: Watch) -> Together:
    """One more run, alone, in the same cloud."""
    later = Together(together.service, [order], watch.step)
    later.go(Schedule(first, together.schedule.now + 60))
    return later


def _changed(step: Step) -> set[str]:
    return {image_id for image_id, was in step.before.items() if step.after.get(image_id) is not was}


def _many(definition: Definition) -> int:
    """How many builds stay visible."""
    validity = definition.meta.get("uuid_validity") or ""
    return 1 if validity == "none" else int(validity[5:]) if validity.startswith("last-") else 3


def _withdrawn(its: Key) -> bool:
    """Withdrawn on purpose."""
    return any(each.version == its.text and getattr(each, "withdrawn", False) for each in its.definition.versions)


def sentences(broken: Broken) -> Iterator[str]:
    """What is to be shown."""
    yield str(broken)
    yield from getattr(broken, "__notes__", ())
