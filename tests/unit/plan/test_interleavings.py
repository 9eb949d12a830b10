"""Two and three runs at the same moment, interleaved at every call to Glance; the laws are judged after each call.

The program is the real one, threads and all; what is modelled is Glance, behind its HTTP API, and the clock. A normal
test run takes those in which a run acts late, all interleavings of the smallest situations and a few of the others, and
the same long histories each time. `script/test-long` takes as many as `OIM_INTERLEAVINGS` (for each situation, 0: all)
and `OIM_HISTORIES` say; with 5000 or more, those of `WHOLE_WITH_5000` must be all there are.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from tests.histories.explore import Numbers, exhaustive, stops, turns
from tests.histories.meetings import History
from tests.histories.schedule import Schedule
from tests.histories.situations import SITUATIONS, Situation, Upstream
from tests.histories.together import Order, Together, first

WANTED = os.environ.get("OIM_INTERLEAVINGS")
MOST = 5 if WANTED is None else int(WANTED) or None
HISTORIES = int(os.environ.get("OIM_HISTORIES", "100"))
SEED = int(os.environ.get("OIM_SEED", "0"))
LONG = 300 if WANTED is None and "OIM_HISTORIES" not in os.environ else 24 * 3600
# Situations where runs meet whose interleavings are all tried in each test run, as are those of one run alone: it takes
# less than two seconds.
WHOLE = {"a public rollback meets one that deletes"}
# The same with `script/test-long`: fewer than 5000 each, with those cut short. The others have more.
WHOLE_WITH_5000 = {
    "a rotation that is half done meets one that deletes",
    "a rollback meets a run",
    "a rollback meets one that deletes",
    "a rollback that ends meets one that deletes",
    "a rollback meets one with os hidden",
    "a run meets one that is behind",
    "users rotate while one rolls back",
    "a shared build is rolled back",
}


@pytest.fixture(scope="session")
def upstream(tmp_path_factory: pytest.TempPathFactory) -> Upstream:
    folder: Path = tmp_path_factory.mktemp("upstream")
    return Upstream(folder)


@pytest.mark.no_cover
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_laws_hold_for_who_acts_late(name: str, upstream: Upstream) -> None:
    situation = SITUATIONS[name](upstream)
    numbers = stops(situation.make, situation.end())
    print(f"{name}: {numbers}")
    assert numbers.interleavings >= len(situation.orders)


@pytest.mark.no_cover
@pytest.mark.timeout(LONG)
@pytest.mark.parametrize("name", SITUATIONS)
def test_the_laws_hold_whatever_comes_first(name: str, upstream: Upstream) -> None:
    situation = SITUATIONS[name](upstream)
    whole = name in WHOLE or len(situation.orders) == 1
    numbers, all_of_them = exhaustive(situation.make, situation.end(), None if whole else MOST)
    print(f"{name}: {numbers}{', which are all' if all_of_them else ''}")
    assert numbers.interleavings
    assert all_of_them or not (whole or (name in WHOLE_WITH_5000 and (MOST is None or MOST >= 5000)))


def one_after_the_other(situation: Situation, orders: list[Order]) -> tuple[int, list[str]]:
    """How many changes the runs of the situation make in this order, and what they do."""
    changes: list[int] = []
    together = Together(situation.service.copy(), orders, lambda _, step: changes.append(step.run is not None))
    together.go(Schedule(first))
    return sum(changes), together.trace


@pytest.mark.no_cover
def test_runs_that_meet_have_something_to_do(upstream: Upstream) -> None:
    """Runs that only look could meet in any way."""
    idle, single = [], []
    for name, make in SITUATIONS.items():
        situation = make(upstream)
        if len(situation.orders) == 1:
            continue
        for orders in (situation.orders, situation.orders[::-1]):
            changes, trace = one_after_the_other(situation, orders)
            idle += [name] * (changes == 0)
            single += [name] * (situation.service.page == 1 and not any("marker=" in line for line in trace))
    assert (idle, single) == ([], [])
    assert SITUATIONS.keys() >= WHOLE | WHOLE_WITH_5000


@pytest.mark.no_cover
def test_a_build_is_deleted_only_while_the_current_one_is_there(upstream: Upstream) -> None:
    """The one that knows what is withdrawn shows 1 again and hides 2; the other one hides 1 and then shows 2 again."""
    situation = SITUATIONS["a withdrawn build meets one that does not know"](upstream)
    together = situation.make()
    order = ((0, 1, True), (1, 0, True), (1, 1, False), (0, 2, True), (1, 2, True))
    together.go(Schedule(turns(*order)))
    situation.end()(together)
    knows, behind = together.outcomes
    assert [result.state for result in knows.results] == ["failed"]
    assert "is no longer the image that the plan keeps in its place; plan again" in knows.results[0].message
    assert behind.went_well


@pytest.mark.no_cover
@pytest.mark.timeout(LONG)
def test_the_laws_hold_in_long_histories(upstream: Upstream) -> None:
    numbers, seen = Numbers(), Counter[str]()
    for seed in range(SEED, SEED + HISTORIES):
        history = History(upstream, seed, seen)
        history.go()
        numbers.add(history.numbers)
    print(f"{HISTORIES} histories: {numbers}; {dict(seen)}")
    kinds = ("plain", "delete", "rollback", "behind", "filtered", "killed", "faults", "withdrawn")
    assert all(seen[kind] for kind in kinds)
