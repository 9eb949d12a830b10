"""What is recorded, and what the upstream says now: names that come later, digests of other algorithms, dates."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

import pytest
from tests.support.documents import coreutils, digest, image, pre_listing
from tests.support.linux_site import ALIAS, BASE, HOST, NAME, linux, moving, put, refused
from tests.support.site import Switches
from tests.support.upstreams import World, ask

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.editing.edit import SetVersionField
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.upstreams.edits import UpdateResult, update_result
from openstack_image_manager.upstreams.resolve import NothingFoundError

TODAY = datetime.now(UTC).date()
FUTURE = time.time() + 400 * 24 * 3600


def told(world: World, wanted: Definition) -> UpdateResult:
    return update_result(wanted, "a.yml", ask(world, wanted), None, TODAY)


def changed(each: UpdateResult) -> dict[str, object]:
    return {edit.field: edit.value for edit in each.edits if isinstance(edit, SetVersionField)}


def alias(version: str, **fields: str) -> dict[str, str]:
    """A version that was recorded with the moving address."""
    return {"version": version, "url": f"{BASE}/{ALIAS}", **fields}


def test_a_name_that_came_later_replaces_the_moving_one(world: World) -> None:
    """The build was recorded by the day on which its file was changed, which is after the day in its name."""
    put(world, {ALIAS: image("a")})
    first = ask(world, moving())
    assert first.url == f"{BASE}/{ALIAS}"
    had = alias(first.version, checksum=str(first.checksum))
    dated = "linux-20260701.qcow2"
    put(world, {dated: image("a"), ALIAS: image("a")})
    each = told(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", had))
    assert (each.state, each.build and each.build.version) == ("completed", first.version)
    assert changed(each)["url"] == f"{BASE}/{dated}"
    assert "checksum" not in changed(each)
    # It has its lasting address now, and that is all.
    lasting = {**had, "url": f"{BASE}/{dated}"}
    each = told(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", lasting))
    assert (each.state, each.edits) == ("current", ())


def test_a_moving_version_without_a_checksum_is_of_the_day_of_its_name(world: World) -> None:
    dated = "linux-20260701.qcow2"
    put(world, {dated: image("a"), ALIAS: image("a")})
    each = told(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", alias("20260703")))
    assert (each.state, each.dropped) == ("completed", ())
    assert (changed(each)["url"], changed(each)["checksum"]) == (
        f"{BASE}/{dated}",
        f"sha256:{digest(image('a'))}",
    )
    # An older name stands for what was there on that day.
    each = told(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", alias("20260601")))
    assert (each.state, each.before, each.build and each.build.version) == ("updated", "20260601", "20260701")


def test_a_moving_version_of_other_bytes_is_not_touched(world: World) -> None:
    dated = "linux-20260701.qcow2"
    put(world, {dated: image("a"), ALIAS: image("a")})
    other = alias("20260703", checksum=digest(image("b")))
    wanted = moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", other)
    assert "is older than 20260703" in refused(world, wanted, Error)
    unknown = alias("20260703", checksum=digest(image("b"), "sha512"))
    each = told(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", unknown))
    assert (each.state, each.edits) == ("current", ())
    assert each.warning
    assert each.warning.startswith("20260703 is recorded with sha512:")


@pytest.mark.parametrize(("recorded", "state"), [("new", "current"), ("old", "replaced")])
@pytest.mark.parametrize("sibling", ["same file", "beside"])
def test_a_digest_of_another_algorithm_is_looked_for(world: World, recorded: str, state: str, sibling: str) -> None:
    """In the same checksum file, or in the one beside it."""
    files = {NAME: image("new")}
    both = coreutils(files) + coreutils(files, "sha512")
    put(world, files, "/SHA512SUMS", both if sibling == "same file" else coreutils(files, "sha512"))
    put(world, files, "/SHA256SUMS", coreutils(files))
    name = "SHA512SUMS" if sibling == "same file" else "SHA256SUMS"
    algorithm = "sha256" if sibling == "same file" else "sha512"
    step = {"checksum-file": f"{BASE}/{name}", "match": r"linux-(?P<version>\d+)\.qcow2"}
    had = {"version": "20260701", "url": f"{BASE}/{NAME}", "checksum": digest(image(recorded), algorithm)}
    wanted = linux(had, steps=[step])
    if state == "replaced":
        assert refused(world, wanted).startswith(
            f"the upstream has replaced build 20260701: {BASE}/{NAME} has {algorithm}:"
            f"{digest(image('new'), algorithm)} now, the definition has {algorithm}:{digest(image('old'), algorithm)}"
        )
    else:
        each = told(world, wanted)
        assert (each.state, each.warning, each.edits) == ("current", None, ())
        assert each.build
        assert each.build.other_digests == (Checksum(algorithm, digest(image("new"), algorithm)),)


@pytest.mark.parametrize("version", ["20260701", "linux-20260801"])
@pytest.mark.parametrize("beside", [None, 404, 403])
def test_a_digest_that_can_t_be_compared_neither_blocks_nor_makes_a_change(
    world: World, version: str, beside: int | None
) -> None:
    """Under its own name, or under one that is newer: the address has the build in it."""
    put(world, {NAME: image("new")}, "/SUMS.sha256", coreutils({NAME: image("new")}))
    if beside:
        world.host(HOST).on("/SUMS.md5", Switches(status=beside))
    else:
        world.host(HOST).put("/SUMS.md5", coreutils({"else.qcow2": b""}, "md5").encode())
    step = {"checksum-file": f"{BASE}/SUMS.sha256", "match": r"linux-(?P<version>\d+)\.qcow2"}
    had = {"version": version, "url": f"{BASE}/{NAME}", "checksum": f"md5:{digest(image('new'), 'md5')}"}
    each = told(world, linux(had, steps=[step]))
    assert (each.state, each.edits) == ("current", ())
    assert each.warning == (
        f"{version} is recorded with {had['checksum']}, but the upstream publishes only sha256:{digest(image('new'))}: "
        "a replaced file cannot be detected; verify it, and record the published checksum"
    )


def test_an_address_without_the_build_in_it_proves_nothing(world: World) -> None:
    site = world.host(HOST)
    site.put("/current.qcow2", image("new"))
    site.put("/SUMS", coreutils({"current.qcow2": image("new")}).encode())
    site.put("/build", b"20260701\n")
    steps = [
        {"pointer": f"{BASE}/build", "match": r"(?P<version>\d+)"},
        {"checksum-file": f"{BASE}/SUMS", "match": r"current\.qcow2"},
    ]
    had = {"version": "20260601", "url": f"{BASE}/current.qcow2", "checksum": f"md5:{digest(b'', 'md5')}"}
    assert told(world, linux(had, steps=steps)).state == "updated"


def test_checksums_without_an_address_are_compared_with_nothing_else(world: World) -> None:
    put(world, {NAME: image("new")})
    entry = {"version": "20260701", "checksum": digest(image("new"))}
    had = {"version": "20260701", "url": f"{BASE}/{NAME}", "checksum": f"md5:{digest(b'', 'md5')}"}
    each = told(world, linux(had, steps=[{"static": entry}], url=f"{BASE}/{NAME}"))
    assert (each.state, bool(each.warning)) == ("current", True)
    assert [request.path for request in world.host(HOST).requests] == [f"/{NAME}"]


def test_no_site_builds_in_the_future(world: World) -> None:
    put(world, {NAME: image("new"), ALIAS: image("a")})
    for name in (NAME, ALIAS):
        os.utime(world.host(HOST).directory / name, (FUTURE, FUTURE))
    assert ask(world, linux()).build_date is None
    put(world, {ALIAS: image("a")})
    os.utime(world.host(HOST).directory / ALIAS, (FUTURE, FUTURE))
    build = ask(world, moving())
    assert build.version <= datetime.now(UTC).strftime("%Y%m%d")
    assert build.build_date == f"{build.version[:4]}-{build.version[4:6]}-{build.version[6:]}"


@pytest.mark.parametrize("text", ["linux-٢٠٢٦٠٧٠١.qcow2", "linux-２０２６０７０１.qcow2"])
def test_digits_are_those_of_ascii(world: World, text: str) -> None:
    """A version of other digits looks like a number, and sorts like none."""
    put(world, {NAME: image("new"), text: image("other")}, text=coreutils({NAME: image("new"), text: image("other")}))
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"}
    assert ask(world, linux(steps=[step])).version == "20260701"
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\w+)\.qcow2"}
    assert ask(world, linux(steps=[step])).version == "20260701"
    world.host(HOST).on("/", Switches(html=pre_listing([text])))
    step = {"listing": f"{BASE}/", "match": r"linux-(?P<version>\d+)\.qcow2"}
    assert "nothing matches" in refused(world, linux(steps=[step]), NothingFoundError)


def test_names_that_are_no_versions(world: World) -> None:
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-?(?P<version>.*)\.qcow2"}
    put(world, {NAME: image("new"), ALIAS: image("new")})
    assert ask(world, linux(steps=[step])).version == "20260701"
    put(world, {ALIAS: image("new")})
    assert "only builds that are never taken (pre-releases, `latest`, " in refused(
        world, linux(steps=[step]), NothingFoundError
    )
    put(world, {"linux.qcow2": image("new")})
    assert refused(world, linux(steps=[step]), VerificationError) == (
        f"{BASE}/linux.qcow2: its version is empty: '{{version}}' gives nothing for linux.qcow2; make match "
        "capture at least one character"
    )
