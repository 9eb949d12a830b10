"""Small copies of all sites of the catalogue that answer late, and which chain of requests is the longest."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import catalogue_sites
from tests.support.upstreams import World, verify

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.upstreams.newest import newest
from openstack_image_manager.upstreams.sites import Sites


@dataclass(frozen=True, slots=True)
class Upstreams:
    """`job`: what benchmarks.check needs; `slowest`: the addresses of the definition that needs the most requests, in
    their order."""

    count: int
    slowest: list[str]
    requests: int
    job: dict[str, Any]


@contextmanager
def upstreams(directory: Path, latency: float) -> Iterator[Upstreams]:
    """All sites, each of which waits so many seconds before every answer."""
    with World(directory / "world") as world:
        catalogue_sites.publish(world)
        definitions = load("catalogue:").definitions
        chains: list[list[str]] = []
        for definition in definitions:
            _forget(world)
            newest(definition, Sites(mirrors=world.mirrors), verify)
            # One after another: a chain does not fan out at more than one host.
            chains.append([site.url + each.path for site in world.sites.values() for each in site.requests])
        _forget(world)
        for site in world.sites.values():
            site.latency = latency
        job = {"mirrors": world.mirrors}
        every = {url for chain in chains for url in chain}
        yield Upstreams(len(definitions), max(chains, key=len), len(every), job)


def _forget(world: World) -> None:
    for site in world.sites.values():
        site.requests.clear()
