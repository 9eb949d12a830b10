"""Sites for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.services import newest_builds
from tests.services.linux_site import HOST
from tests.services.upstreams import World


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """Sites of this test alone: that of linux_site, and those that it adds."""
    with World(tmp_path / "world") as running:
        running.host(HOST)
        yield running


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All upstreams at once; tests only ask."""
    with World(tmp_path_factory.mktemp("world")) as world:
        newest_builds.publish(world)
        yield world
