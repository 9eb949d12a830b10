"""Random histories on a real Glance: the program runs after every step, and the laws are judged after every call of it.

A few histories at every test run; `OIM_REAL_HISTORIES=100` runs as many others as it says. What is drawn, and the laws,
are those of tests/unit/plan/test_histories.py.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import run_state_machine_as_test
from openstack.connection import Connection
from tests.histories.machine import Histories
from tests.real.conftest import delete_images
from tests.support.bench import Bench, elsewhere
from tests.support.consumers import Consumers
from tests.support.proxy import Proxy
from tests.support.real_histories import Real

from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.sandbox.site import serving

WANTED = int(os.environ.get("OIM_REAL_HISTORIES", "0"))
BATCH = 3
BATCHES = -(-WANTED // BATCH) or 2
EVENTS = {"imported", "published", "hidden"}
PROFILE = settings(
    max_examples=BATCH,
    print_blob=True,
    database=None,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    stateful_step_count=6,
    phases=[Phase.generate],  # to find a shorter history takes longer than a person to read a long one
)


@pytest.fixture
def consumers() -> Iterator[Consumers]:
    with serving(Consumers()) as running:
        yield running


class RealHistories(Histories):
    """Histories that leave nothing behind."""

    def teardown(self) -> None:
        assert isinstance(self.world, Real)
        delete_images(self.world.bench.admin, self.world.tag)


@pytest.mark.timeout(900 + 60 * WANTED)
def test_random_histories_keep_the_laws(
    watched: Bench,
    proxy: Proxy,
    sandbox: Sandbox,
    consumers: Consumers,
    connections: dict[str, Connection],
    tmp_path: Path,
) -> None:
    use = {"compute": f"{consumers.url}/v2.1", "block_storage": f"{consumers.url}/v3"}
    direct = tmp_path / "direct.yaml"
    direct.write_text(elsewhere(sandbox.clouds_yaml.read_text(), **use))
    watched.clouds.write_text(elsewhere(watched.clouds.read_text(), **use))
    others = connections["member"].current_project_id
    seen: Counter[str] = Counter()

    def history() -> RealHistories:
        return RealHistories(Real(watched, proxy, consumers, sandbox, others, direct, seen))

    for number in range(BATCHES):
        run_state_machine_as_test(history if WANTED else seed(number)(history), settings=PROFILE)
    print(seen)
    assert seen.keys() >= EVENTS, seen
