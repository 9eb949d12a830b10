"""Which build of an upstream is taken: the newest one that is there and counts, and never an older one."""

from __future__ import annotations

from tests.support.documents import coreutils, digest, image, pre_listing
from tests.support.linux_site import BASE, HOST, NAME, linux, put, refused
from tests.support.site import Switches
from tests.support.upstreams import World, ask

from openstack_image_manager.errors import Error, FetchError
from openstack_image_manager.upstreams.build import is_new
from openstack_image_manager.upstreams.resolve import NothingFoundError


def test_two_files_of_one_version(world: World) -> None:
    put(world, {NAME: image("a"), "linux-20260701.raw.qcow2": image("b")})
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\d+)(\.raw)?\.qcow2"}
    message = refused(world, linux(steps=[step]))
    assert "two different builds are called 20260701: " in message
    assert f"{BASE}/{NAME}" in message
    assert f"{BASE}/linux-20260701.raw.qcow2" in message


def test_the_newest_one_that_is_there(world: World) -> None:
    """Uploads are not atomic: names stand in checksum files before their files are there."""
    names = [f"linux-2026070{day}.qcow2" for day in range(1, 6)]
    files = {name: image(name) for name in names}
    put(world, files)
    site = world.host(HOST)
    for name in names[3:]:
        (site.directory / name).unlink()
    assert ask(world, linux()).version == "20260703"
    (site.directory / names[2]).unlink()
    message = refused(world, linux(), NothingFoundError)
    assert message.count("404 Not Found") == 3


def test_directories_without_builds(world: World) -> None:
    site = world.host(HOST)
    steps = [
        {"listing": f"{BASE}/", "match": r"(?P<minor>\d+\.\d+)/"},
        {"checksum-file": f"{BASE}/{{minor}}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"},
    ]
    site.on("/", Switches(html=pre_listing(["9.9/", "9.10/", "9.11/", "9.12/", "latest/"])))
    site.put("/9.10/SUMS", coreutils({NAME: image("new")}).encode())
    site.put(f"/9.10/{NAME}", image("new"))
    site.put("/9.11/SUMS", coreutils({"readme.txt": b""}).encode())
    assert ask(world, linux(steps=steps)).url == f"{BASE}/9.10/{NAME}"
    # A site that is broken has no newest build; an older one is none.
    site.on("/9.12/SUMS", Switches(status=403))
    assert "/9.12/SUMS: 403" in refused(world, linux(steps=steps), FetchError)
    site.on("/9.12/SUMS", Switches())
    (site.directory / "9.10" / "SUMS").unlink()
    message = refused(world, linux(steps=steps), NothingFoundError)
    assert f"{BASE}/9.11/SUMS: nothing matches" in message
    site.on("/", Switches(status=404))
    assert "404" in refused(world, linux(steps=steps), FetchError)


def test_builds_that_do_not_count(world: World) -> None:
    names = ["1.9", "1.10", "1.11", "1.12-rc.1", "1.12-rc.2"]
    put(world, {f"linux-{name}.qcow2": image(name) for name in names})
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>.*)\.qcow2"}
    assert ask(world, linux(steps=[step])).version == "1.11"
    assert ask(world, linux(steps=[step], exclude=r"1\.11")).version == "1.10"
    assert ask(world, linux(steps=[step], prereleases=True)).version == "1.12-rc.2"
    message = refused(world, linux(steps=[step], exclude=".*"), NothingFoundError)
    assert (
        message == f"{BASE}/SUMS: only builds that are never taken (pre-releases, `latest`, and what exclude matches)"
    )


def test_no_way_back(world: World) -> None:
    put(world, {NAME: image("new")})
    old = {"version": "20260601", "url": f"{BASE}/1"}
    assert is_new(linux(old), ask(world, linux(old)))
    later = {"version": "20260801", "url": f"{BASE}/1"}
    message = refused(world, linux(old, later), Error)
    assert message.startswith(f"the upstream's newest build 20260701 ({BASE}/{NAME}) is older than 20260801, ")
    same = {"version": "20260701", "url": f"{BASE}/{NAME}"}
    assert not is_new(linux(old, same), ask(world, linux(old, same)))
    # Nor is it when the definition has the older one too; the same bytes under an older name are no way back, and
    # `latest` is no version.
    latest = {"version": "latest", "url": f"{BASE}/1", "checksums_url": f"{BASE}/SUMS"}
    assert "is older than 20260801" in refused(world, linux(same, later), Error)
    named = {"version": "20260801", "url": f"{BASE}/{NAME}", "checksum": digest(image("new"))}
    assert not is_new(linux(named), ask(world, linux(named)))
    assert is_new(linux(latest), ask(world, linux(latest)))


def test_a_build_that_was_replaced_under_its_name(world: World) -> None:
    put(world, {NAME: image("new")})
    had = {"version": "20260701", "url": f"{BASE}/{NAME}", "checksum": digest(image("old"))}
    message = refused(world, linux(had))
    assert message.startswith(
        f"the upstream has replaced build 20260701: {BASE}/{NAME} has sha256:{digest(image('new'))}"
    )
    assert "has replaced build 20260701" in refused(world, linux({**had, "url": f"{BASE}/else"}))
    for fine in ({"checksum": digest(image("new"))}, {"checksum": digest(b"", "md5")}):
        assert not is_new(linux({**had, **fine}), ask(world, linux({**had, **fine})))
