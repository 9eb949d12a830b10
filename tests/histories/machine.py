"""The machine that draws histories; the world that it drives is given to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Policy
from tests.histories.order import number
from tests.histories.world import (
    BUILD_EDITS,
    BUILDS,
    FIELD_EDITS,
    HAND_EDITS,
    LEFT,
    MADE,
    POLICY_EDITS,
    Build,
    Spec,
    another,
    by_hand,
)

AGED = Policy(outdated="delete", unknown_usage="delete")
STARTS = (Policy(), AGED, AGED, replace(AGED, grace=2), replace(AGED, max_deletes=0), replace(AGED, orphans="delete"))
STARTS = (*STARTS, Policy(outdated="deactivate"))
TROUBLES = ("refuse", "refuse", "forbid", "busy", "kill", "kill", "other run", "by hand")


@dataclass(frozen=True)
class Told:
    """What the next run is told. `uses`: None where use can't be seen; `only`: what a filter leaves."""

    specs: Mapping[str, Spec]
    policy: Policy
    uses: Mapping[str, int] | None = field(default_factory=dict)
    only: str | None = None
    wrong: str | None = None
    roll_back: Mapping[str, str] = field(default_factory=dict)


class World(Protocol):
    """A cloud, and a program that is run against it; the laws are judged there at every step of a run."""

    def images(self) -> list[Image]:
        """All images in the order of their creation, whoever's."""
        ...

    def put(self, old: Image, new: Image | None) -> None:
        """Somebody changes or deletes an image."""
        ...

    def make(self, image: Image, kind: str) -> None:
        """Somebody makes an image."""
        ...

    def spoil(self, name: str, version: str, how: str | None) -> None:
        """The upstream's bytes are "gone" or "wrong", or (None) right again."""
        ...

    def pass_days(self, days: int) -> None:
        """Days pass."""
        ...

    def run(self, told: Told, troubles: Mapping[int, str], at: int) -> None:
        """Run the program; `troubles` by the number of the call that meets them, `at` tells them apart."""
        ...

    def settles(self, told: Told) -> None:
        """Assert that a run without troubles would leave nothing to do."""
        ...


def all_say_whose(images: list[Image]) -> bool:
    """True when every image says which definition it is; else only all definitions together can tell."""
    return all("image_name" in image.properties for image in images)


specs, picks = st.sampled_from(tuple(BUILDS)), st.integers(0, 15)
troubles = st.dictionaries(st.integers(1, 8), st.sampled_from(TROUBLES), min_size=1, max_size=3)


class Histories(RuleBasedStateMachine):
    """Definitions, policy and use change, people change images, days pass, and the program runs."""

    def __init__(self, world: World, starts: tuple[Policy, ...] = STARTS) -> None:
        super().__init__()
        self.world, self.starts = world, starts
        self.told = Told({}, Policy())
        self.removed: dict[str, Spec] = {}

    @initialize(
        start=picks,
        number=st.sampled_from([3, 1, 2, 5]),
        validity=st.sampled_from(["none", "last-2", None]),
    )
    def begin(self, start: int, number: int, validity: str | None) -> None:
        builds = {name: tuple(map(Build, pool[:number])) for name, pool in BUILDS.items()}
        specs = {name: Spec(name, pool, uuid_validity=validity) for name, pool in builds.items()}
        self.told = Told(specs, self.starts[start % len(self.starts)])
        self.world.run(self.told, {}, 0)

    def _tell(self, **fields: Any) -> None:
        self.told = replace(self.told, **fields)

    def _spec(self, name: str, spec: Spec) -> None:
        if name in self.told.specs:
            self._tell(specs={**self.told.specs, name: spec})

    @rule(name=specs, edit=st.sampled_from(FIELD_EDITS))
    def edit(self, name: str, edit: tuple[str, Any]) -> None:
        if name in self.told.specs:
            self._spec(name, replace(self.told.specs[name], **{edit[0]: edit[1]}))

    @rule(name=specs, members=st.sampled_from([None, (), ("shop",), ("shop", "cart")]))
    def share(self, name: str, members: tuple[str, ...] | None) -> None:
        """The definition is for some projects only, which it names or (None) does not."""
        if name in self.told.specs:
            self._spec(name, replace(self.told.specs[name], visibility="shared", members=members))

    @rule(name=specs, owner=st.sampled_from([None, "theirs"]), former=st.sampled_from([(), ("theirs",)]))
    def give_away(self, name: str, owner: str | None, former: tuple[str, ...]) -> None:
        """The images belong to another project from now on, or do no longer."""
        if name in self.told.specs:
            self._spec(name, replace(self.told.specs[name], owner=owner, former_owners=former))
            self.run()

    @rule(name=specs, number=picks, members=st.sampled_from([(), ("shop",), ("cart", "shop")]))
    def share_by_hand(self, name: str, number: int, members: tuple[str, ...]) -> None:
        """Somebody shares an image, often the one with the plain name."""
        plain = [image for image in self.world.images() if image.name == name]
        image = plain[0] if plain and number % 2 else self._pick(number)
        if image is not None and image.visibility == "shared":
            self.world.put(image, by_hand(image, "members", frozenset(members)))

    @rule(name=specs)
    def share_too_widely(self, name: str) -> None:
        """Somebody adds a project to those that the definition names."""
        self.share(name, ("shop",))
        self.run()
        self.share_by_hand(name, 1, ("cart", "shop"))
        self.run()

    @rule(name=specs, what=st.sampled_from(BUILD_EDITS), number=picks)
    def edit_builds(self, name: str, what: str, number: int) -> None:
        if name in self.told.specs:
            self._spec(name, self.told.specs[name].with_build(what, number))

    @rule(name=specs, troubles=st.just({}) | troubles)
    def retire(self, name: str, troubles: dict[int, str]) -> None:
        """Only the newest build is defined any more, and the others may go."""
        self._tell(policy=replace(self.told.policy, outdated="delete", unknown_usage="delete", grace=0))
        if name in self.told.specs and self.told.specs[name].builds:
            newest = max(self.told.specs[name].builds, key=lambda build: number(build.version))
            self._spec(name, replace(self.told.specs[name], builds=(newest,), uuid_validity="none", keep=False))
        self.world.run(self.told, troubles, 0)

    @rule(name=specs)
    def remove_or_restore(self, name: str) -> None:
        there = dict(self.told.specs)
        if name in there:
            self.removed[name] = there.pop(name)
        else:
            there[name] = self.removed.pop(name)
        self._tell(specs=there)

    @rule(edit=st.sampled_from(POLICY_EDITS))
    def edit_policy(self, edit: tuple[str, Any]) -> None:
        self._tell(policy=replace(self.told.policy, **{edit[0]: edit[1]}))

    @rule(number=picks, uses=st.sampled_from([0, 2, None]))
    def use(self, number: int, uses: int | None) -> None:
        """An image comes into use or out of it, or (None) use can't be seen any more until somebody uses one."""
        if uses is None:
            self._tell(uses=None)
        elif image := self._pick(number):
            self._tell(uses={**(self.told.uses or {}), image.id: uses})

    def _pick(self, number: int) -> Image | None:
        images = self.world.images()
        return images[number % len(images)] if images else None

    @rule(number=picks, edit=st.sampled_from(HAND_EDITS))
    def change_by_hand(self, number: int, edit: tuple[str, object]) -> None:
        if image := self._pick(number):
            self.world.put(image, by_hand(image, *edit))

    @rule(number=picks)
    def delete_by_hand(self, number: int) -> None:
        if image := self._pick(number):
            self.world.put(image, None)

    @rule(number=picks, kind=st.sampled_from(MADE + LEFT))
    def make_by_hand(self, number: int, kind: str) -> None:
        if image := self._pick(number):
            self.world.make(another(image, kind), kind)

    @rule(name=specs, number=picks, how=st.sampled_from(["gone", "wrong", None]))
    def spoil_upstream(self, name: str, number: int, how: str | None) -> None:
        self.world.spoil(name, BUILDS[name][number % len(BUILDS[name])], how)

    @rule(days=st.sampled_from([1, 3, 31]))
    def wait(self, days: int) -> None:
        self.world.pass_days(days)

    @rule()
    def run(self) -> None:
        self.world.run(self.told, {}, 0)

    @rule(troubles=troubles, at=picks)
    def run_in_trouble(self, troubles: dict[int, str], at: int) -> None:
        self.world.run(self.told, troubles, at)

    @rule(name=specs, what=st.sampled_from(BUILD_EDITS), number=picks, troubles=troubles, at=picks)
    def rotate_in_trouble(self, name: str, what: str, number: int, troubles: dict[int, str], at: int) -> None:
        self.edit_builds(name, what, number)
        self.world.run(self.told, troubles, at)

    @rule(name=specs, wrong=st.booleans())
    def run_partly(self, name: str, wrong: bool) -> None:
        """A definition is wrong, or a filter leaves nothing else."""
        if wrong or all_say_whose(self.world.images()):
            self.world.run(replace(self.told, **{"wrong" if wrong else "only": name}), {}, 0)

    @rule(name=specs, to=st.none() | picks, troubles=st.just({}) | troubles, at=picks)
    def roll_back(self, name: str, to: int | None, troubles: dict[int, str], at: int) -> None:
        """Somebody takes the build before, or a certain one, for the current one."""
        if name in self.told.specs and self.told.specs[name].multi and all_say_whose(self.world.images()):
            version = "" if to is None else BUILDS[name][to % len(BUILDS[name])]
            hiding = {key: getattr(self.told.policy, key) for key in ("hidden_visibility", "use_os_hidden")}
            policy = Policy(latest=True, **hiding)
            self.world.run(replace(self.told, policy=policy, only=name, roll_back={name: version}), troubles, at)

    @invariant()
    def settles(self) -> None:
        self.world.settles(self.told)
