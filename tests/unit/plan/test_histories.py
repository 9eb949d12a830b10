"""Random histories of a simulated cloud, with the laws checked at every step of every run.

Every test run takes a hundred histories, the same number from each policy, and more until what matters has happened in
them. With `OIM_HISTORIES=20000` in the environment it is as many others as that says; `OIM_FIRST` repeats them. What
fails is shown as a short history.
"""

from __future__ import annotations

import os
import secrets
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cache, partial

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from tests.histories.glance import Cloud, digest
from tests.histories.laws import law, lost_or_twins, settled
from tests.histories.machine import STARTS, Histories, Told, all_say_whose
from tests.histories.order import Order
from tests.histories.planning import planned
from tests.histories.simulation import Run, is_stuck
from tests.histories.world import HAND_EDITS, Spec, by_hand

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan.markers import is_pending

WANTED = int(os.environ.get("OIM_HISTORIES", "0"))
FIRST = int(os.environ["OIM_FIRST"]) if "OIM_FIRST" in os.environ else secrets.randbelow(2**40)
BATCH = 14
BATCHES = -(-WANTED // BATCH) or len(STARTS)
MORE = 16 * len(STARTS)
EVENTS = (
    *("imported", "published", "rotated", "hidden", "deactivated"),
    *("outdated deleted", "orphan deleted", "twin deleted", "twin renamed", "junk cleared"),
    *("rolled back", "shared", "unshared", "given away", "taken"),
    *("failed", "killed", "other run", "by hand", "too many"),
)
PROFILE = settings(
    deadline=None,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=15,
    max_examples=BATCH,
    database=None,
    print_blob=True,
)
ENOUGH = 10**6


def source(name: str, version: str, checksum: bool) -> dict[str, str]:
    url = f"https://example.org/{name.replace(' ', '_')}/{version}.img"
    return {"url": url, **({"checksum": f"sha512:{digest(url)}"} if checksum else {})}


@cache
def defined(spec: Spec) -> Definition:
    return spec.definition(source)


@dataclass
class Simulated:
    """The world of values."""

    cloud: Cloud = field(default_factory=Cloud)
    seen: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.cloud.events = self.seen

    def images(self) -> list[Image]:
        return list(self.cloud.images.values())

    def put(self, old: Image, new: Image | None) -> None:
        if new is None:
            del self.cloud.images[old.id]
        else:
            self.cloud.put(old.id, new)

    def make(self, image: Image, kind: str) -> None:
        made = self.cloud.add(replace(image, id=f"{kind} {len(self.cloud.used)}"))
        if kind == "importing":
            self.cloud.jobs[made.id] = None

    def spoil(self, name: str, version: str, how: str | None) -> None:
        url = source(name, version, True)["url"]
        self.cloud.upstream.pop(url, None)
        if how:
            self.cloud.upstream[url] = how

    def pass_days(self, days: int) -> None:
        self.cloud.pass_days(days)

    def run(self, told: Told, troubles: Mapping[int, str], at: int) -> None:
        others = {
            "other run": partial(self.run, replace(told, roll_back={}), {}, 0),
            "by hand": partial(self.meddle, at),
        }
        Run(self.cloud, order_of(told, self.cloud), troubles, others, side_by_side=at % 2 == 1).go()

    def meddle(self, at: int) -> None:
        images = [image for image in self.images() if not is_pending(image)]
        if images:
            image = images[at % len(images)]
            self.put(image, by_hand(image, *HAND_EDITS[at * 7 % len(HAND_EDITS)]))

    def settles(self, told: Told) -> None:
        """In a copy of the cloud."""
        cloud = self.cloud.copy()
        self.alone(told)
        told = replace(told, policy=replace(told.policy, max_deletes=ENOUGH))
        if any(map(is_stuck, cloud.images.values())):
            cloud.pass_days(2)  # until it is clear that no one is at it any more
        before = order_of(told, cloud)
        run = Run(cloud, before)
        run.go()
        assert not run.failed, "a run without troubles fails"
        if lost_or_twins(before, cloud.images):
            Run(cloud, order_of(told, cloud)).go()
        order = order_of(told, cloud)
        left = planned(order).changes
        law(not left, "after a run there is nothing left to do", left)
        settled(order, cloud.images)

    def alone(self, told: Told) -> None:
        """Assert that each definition on its own has the same plan."""
        if not all_say_whose(self.images()):
            return
        # How many images of others are deleted at most counts for all definitions together.
        order = order_of(replace(told, policy=replace(told.policy, max_deletes=ENOUGH)), self.cloud)
        together = planned(order).changes
        for name in told.specs:
            alone = planned(replace(order, only=frozenset({name}))).changes
            law(alone == tuple(each for each in together if each.group == name), f"{name} has a plan of its own", alone)


def order_of(told: Told, cloud: Cloud) -> Order:
    return Order(
        {name: defined(spec) for name, spec in told.specs.items()},
        replace(told.policy, project="ours"),
        cloud.day,
        told.uses,
        dict(cloud.images),
        only=None if told.only is None else frozenset({told.only}),
        wrong=frozenset({told.wrong} if told.wrong in told.specs else ()),
        roll_back=told.roll_back,
    )


def batch(number: int, seen: Counter[str]) -> None:
    """Run histories that begin with one policy."""

    def begun() -> Histories:
        return Histories(Simulated(seen=seen), (STARTS[number % len(STARTS)],))

    run_state_machine_as_test(seed(FIRST + number)(begun), settings=PROFILE)


@pytest.mark.no_cover
@pytest.mark.timeout(600 + WANTED)
def test_random_histories_keep_the_laws_and_get_to_where_it_matters() -> None:
    if WANTED:
        run_histories()
        return
    # Hypothesis draws constants of all loaded modules, too: in a process of its own it is the same every time.
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:randomly", "-p", "no:cacheprovider", __file__]
    same = {**os.environ, "OIM_HISTORIES": str(BATCH * len(STARTS)), "OIM_FIRST": "0"}
    for name in [name for name in same if name.startswith(("PYTEST_", "COV_"))]:
        del same[name]
    done = subprocess.run(
        [*command, "-k", "random"], env=same, capture_output=True, text=True, timeout=590, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def run_histories() -> None:
    print(f"OIM_FIRST={FIRST}")
    seen: Counter[str] = Counter()
    for number in range(BATCHES + MORE):
        if number >= BATCHES and all(seen[event] for event in EVENTS):
            break
        batch(number, seen)
    print(f"{(number + 1) * BATCH} histories, {seen}")
    assert not [event for event in EVENTS if not seen[event]]
