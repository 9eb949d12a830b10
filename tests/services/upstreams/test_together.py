"""Many upstreams are asked at once: hosts side by side, and none that fails or takes its time stops another."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from tests.support import newest_builds
from tests.support.documents import coreutils, image
from tests.support.linux_site import BASE, DETACHED, HOST, LISTING, NAME, linux, put
from tests.support.newest_builds import NEWEST
from tests.support.site import Gate, Switches
from tests.support.upstreams import World, definition, verify

from openstack_image_manager.errors import FetchError, Interrupted, UsageError
from openstack_image_manager.upstreams.build import Build, Fetch, Signature
from openstack_image_manager.upstreams.newest import check_all
from openstack_image_manager.upstreams.sites import Sites


def test_one_that_fails_stops_no_other(world: World) -> None:
    put(world, {NAME: image("new")})
    broken = linux(steps=[{**LISTING, "listing": f"{BASE}/gone/"}])
    answers = check_all([broken, linux(), definition("unheard-of", "1")], Sites(mirrors=world.mirrors), verify)
    assert [wanted.name for wanted, _ in answers] == ["linux 1", "linux 1", "unheard-of 1"]
    first, second, third = (answer for _, answer in answers)
    assert isinstance(first, FetchError)
    assert first.status == 404
    assert isinstance(second, Build)
    assert isinstance(third, UsageError)
    assert check_all([], Sites(), verify) == []


def test_interrupted(world: World) -> None:
    stop = threading.Event()
    stop.set()
    put(world, {NAME: image("new")})
    answers = check_all([linux(), linux()], Sites(mirrors=world.mirrors, stop=stop), verify)
    assert [type(answer) for _, answer in answers] == [Interrupted] * 2


def test_a_mistake_of_the_program_is_not_taken_for_a_site_that_fails(world: World) -> None:
    put(world, {NAME: image("new")})
    world.host(HOST).put("/SUMS.asc", b"x")

    def broken(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        check_all([linux(signature=DETACHED)], Sites(mirrors=world.mirrors), broken)


@pytest.mark.timeout(120)
def test_all_hosts_are_asked_at_the_same_time(world: World) -> None:
    """No host answers before each of them was asked."""
    hosts = [f"{number}.example.org" for number in range(20)]
    gate = Gate(len(hosts))
    wanted = []
    for host in hosts:
        site = world.host(host)
        site.put(f"/{NAME}", image("new"))
        site.put("/SUMS", coreutils({NAME: image("new")}).encode())
        site.on("/SUMS", Switches(gate=gate))
        step = {"checksum-file": f"https://{host}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"}
        wanted.append(linux(steps=[step]))
    answers = check_all(wanted, Sites(mirrors=world.mirrors), verify)
    assert all(isinstance(answer, Build) for _, answer in answers)
    assert gate.opened


@pytest.mark.timeout(120)
def test_a_host_is_asked_by_four_at_a_time(world: World) -> None:
    site = world.host(HOST)
    gate = Gate(4)
    wanted = []
    for number in range(12):
        site.put(f"/{number}/{NAME}", image("new"))
        site.put(f"/{number}/SUMS", coreutils({NAME: image("new")}).encode())
        site.on(f"/{number}/SUMS", Switches(gate=gate))
        step = {"checksum-file": f"{BASE}/{number}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"}
        wanted.append(linux(steps=[step]))
    answers = check_all(wanted, Sites(mirrors=world.mirrors), verify)
    assert all(isinstance(answer, Build) for _, answer in answers)
    assert gate.opened
    assert site.busiest == 4


def test_answers_that_take_their_time_are_waited_for_together(tmp_path: Path) -> None:
    """The whole catalogue takes about as long as its longest way, although every answer takes 300 ms."""
    with World(tmp_path / "world") as world:
        newest_builds.publish(world)
        for site in world.sites.values():
            site.latency = 0.3
        wanted = [each.wanted for each in NEWEST.values()]
        begin = time.monotonic()
        answers = check_all(wanted, Sites(mirrors=world.mirrors), verify)
        took = time.monotonic() - begin
        requests = sum(len(site.requests) for site in world.sites.values())
    assert all(isinstance(answer, Build) for _, answer in answers)
    # One after the other they would take longer than this by far; how much faster it is depends on the machine.
    assert took < requests * 0.3 / 2
