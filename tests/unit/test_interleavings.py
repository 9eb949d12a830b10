"""Two and three runs at the same moment, interleaved at every call to Glance; the laws are judged after each call.

The program is the real one, threads and all; what is modelled is Glance, behind its HTTP API, and the clock. A normal
test run takes those in which a run acts late, a few others, and the same long histories each time. `script/test-long`
takes as many as `OIM_INTERLEAVINGS` (for each situation, 0: all) and `OIM_HISTORIES` say.
"""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from tests.histories.explore import Numbers, exhaustive, stops
from tests.histories.meetings import History
from tests.histories.situations import SITUATIONS, Upstream

WANTED = os.environ.get("OIM_INTERLEAVINGS")
MOST = 5 if WANTED is None else int(WANTED) or None
HISTORIES = int(os.environ.get("OIM_HISTORIES", "100"))
SEED = int(os.environ.get("OIM_SEED", "0"))
LONG = 300 if WANTED is None and "OIM_HISTORIES" not in os.environ else 24 * 3600


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
    numbers, all_of_them = exhaustive(situation.make, situation.end(), MOST)
    print(f"{name}: {numbers}{', which are all' if all_of_them else ''}")
    assert numbers.interleavings


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
