"""Sites for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support import newest_builds
from tests.support.distribution import Distribution
from tests.support.downloads import CONTENT
from tests.support.linux_site import HOST
from tests.support.signers import made
from tests.support.site import TestSite
from tests.support.upstreams import World

from openstack_image_manager.sandbox.site import serving


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TestSite]:
    """An upstream site of this test alone."""
    (tmp_path / "site").mkdir()
    with serving(TestSite(tmp_path / "site")) as running:
        yield running


@pytest.fixture
def url(site: TestSite) -> str:
    """Where the site has an image."""
    return site.put("/a.img", CONTENT)


@pytest.fixture
def distribution(site: TestSite, tmp_path: Path) -> Distribution:
    """A distribution that signs, and definitions that follow it."""
    return Distribution(site, tmp_path, made())


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
