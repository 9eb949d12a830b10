"""Long histories: definitions change, and each time two or three runs of different kinds meet; some are killed,
and Glance refuses some calls."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass, field

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.plan.model import Policy
from tests.histories.explore import Numbers, random_choice
from tests.histories.schedule import Schedule
from tests.histories.service import Service
from tests.histories.situations import WITHDRAWN, Upstream, back, delete, plain
from tests.histories.together import Broken, Order, Together
from tests.histories.watch import Watch

VISIBILITIES = ("public", "public", "community", "shared", "private")
VALIDITIES = (None, "none", "last-2")
ROUNDS = 5


@dataclass
class History:
    """One history; what it is follows from its seed."""

    upstream: Upstream
    seed: int
    seen: Counter[str] = field(default_factory=Counter)
    numbers: Numbers = field(default_factory=Numbers)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        validity = self.chance.choice(VALIDITIES)
        meta = {"meta": {"uuid_validity": validity}} if validity else {}
        self.fields = {"visibility": self.chance.choice(VISIBILITIES), **meta}
        self.service = Service(
            page=self.chance.choice((1, 2, 1000)), import_seconds=self.chance.choice((0.0, 0.0, 5.0))
        )
        self.at = 1000.0
        self.versions, self.withdrawn = ["1"], set[str]()
        self.commits = [self._definition()]
        self.other = upstream_of_another(self.upstream)

    def _definition(self) -> Definition:
        return self.upstream.definition(*self.versions, withdrawn=self.withdrawn, **self.fields)

    def go(self) -> None:
        """All rounds. Raises Broken, with what led to it."""
        for _ in range(ROUNDS):
            self._edit()
            orders = [self._order() for _ in range(self.chance.choice((1, 2, 2, 2, 3)))]
            self._meet(orders)

    def _edit(self) -> None:
        what = self.chance.random()
        if what < 0.6:
            self.versions.append(str(int(self.versions[-1]) + 1))
        elif what < 0.75 and {*self.versions[1:]} - self.withdrawn:
            del self.versions[0]
        elif what < 0.85 and WITHDRAWN and {*self.versions[:-1]} - self.withdrawn:
            self.withdrawn.add(self.versions[-1])
            self.seen["withdrawn"] += 1
        self.commits.append(self._definition())

    def _order(self) -> Order:
        now, kind = self.commits[-1], self.chance.choice(("plain", "plain", "delete", "rollback", "behind", "filtered"))
        self.seen[kind] += 1
        os_hidden = self.chance.random() < 0.2
        if kind == "rollback" and len(self.versions) > 1:
            return back(self.chance.choice(self.versions), now, self.other)
        if kind == "behind":
            return delete(self.chance.choice(self.commits[-3:]), self.other, word="behind")
        if kind == "filtered":
            return plain(now, self.other, word="filtered", only=now.name)
        if kind == "delete":
            return delete(now, self.other)
        return Order("plain", (now, self.other), Policy(use_os_hidden=os_hidden))

    def _meet(self, orders: list[Order]) -> None:
        watch = Watch((self.commits[-1], self.other))
        together = Together(self.service, orders, watch.step)
        choose = random_choice(self.chance)
        kill = self.chance.randrange(60) if self.chance.random() < 0.15 else None
        if kill is not None:
            self.seen["killed"] += 1
        elif self.chance.random() < 0.2:
            begin = self.service.calls + self.chance.randrange(60)
            many = self.chance.choice((1, 1, 2, 20))
            self.service.faults = {begin + n: self.chance.random() < 0.5 for n in range(many)}
            self.seen["faults"] += 1
        schedule = Schedule(choose, self.at, kill_at=kill)
        try:
            together.go(schedule)
            if kill is not None or self.service.faults:
                schedule.now += 3600
            self.service.faults = {}
            watch.end(together)
        except Broken as broken:
            broken.add_note(f"seed {self.seed}: {[str(order) for order in orders]} after {self.numbers}")
            raise
        self.numbers.add(Numbers(1, schedule.steps))
        self.at = schedule.now + 600


def upstream_of_another(upstream: Upstream) -> Definition:
    """A second definition, which the filter leaves out."""
    return upstream.definition("1", name="V")
