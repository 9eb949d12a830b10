"""Nobody's word but ours: what users of other projects write in Glance moves nothing of ours, and blocks nothing."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule
from tests.support.strangers import bytes_of, claims, sha512, stranger_of, upload

from openstack_image_manager.apply.image_record import record_id
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox import Sandbox

pytestmark = pytest.mark.timeout(300)
DELETE = ("--outdated", "delete", "--unknown-usage", "delete", "--max-deletes", "99")
NONE = {"os_distro": "ubuntu", "uuid_validity": "none"}
WIDEST_FIRST = ("public", "community", "shared", "private")


@pytest.fixture
def stranger(bench: Bench, sandbox: Sandbox, clouds_yaml: Path) -> Iterator[Connection]:
    with stranger_of(bench, sandbox, clouds_yaml) as connected:
        yield connected


def marks(bench: Bench) -> dict[str, str]:
    """Every property that the tool reads from an image, with a value that would serve a forger."""
    promise = bench.version("2")["checksum"]
    found = {
        markers.RECORD: '{"properties":["os_distro","image_name"],"tags":["os:ubuntu"]}',
        markers.VERIFIED: f"{promise} before import",
        markers.BYTES: sha512(bench, "2")["checksum"],
        markers.HIDDEN_SINCE: "2020-01-01",
        markers.PINNED_OVER: "99",
        markers.ROLLED_BACK: "2020-01-01",
        markers.RUN: "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f",
        markers.SIGNED_BY: "0123456789ABCDEF 2020-01-01",
        markers.CHECKSUMS_URL: f"{bench.site.url}/SHA256SUMS",
        "upstream_checksum": promise,
        "uuid_validity": "none",
        "provided_until": "2020-01-01",
        "replace_frequency": "never",
    }
    assert found.keys() >= {*markers.OWN}
    return found


def forge(bench: Bench, user: Connection) -> list[str]:
    """Images of a user that claim to be versions of ours: with each mark by itself, and with all of them; private,
    shared and community."""
    evil, every = bytes_of(bench, "evil"), marks(bench)
    bodies = [
        claims(bench, "1.5", visibility=WIDEST_FIRST[1 + number % 3], **{mark: every[mark]})
        for number, mark in enumerate(every)
    ]
    for visibility in WIDEST_FIRST[1:]:
        unpublished = {**every, markers.VERIFIED: markers.PENDING + every[markers.VERIFIED]}
        bodies += [claims(bench, version, visibility=visibility, **every) for version in ("2", "9")]
        bodies.append(claims(bench, "2", visibility=visibility, **unpublished))
    return [upload(user, evil, **body) for body in bodies]


def state(images: list[Image]) -> dict[str, tuple[str, str, bool]]:
    return {image.properties["internal_version"]: (image.name, image.visibility, image.hidden) for image in images}


@pytest.mark.parametrize("owner", [None, "member"])
def test_what_another_project_forges(bench: Bench, member: Connection, owner: str | None) -> None:
    """Before our first import and beside our images: they come in, rotate and go as without it."""
    given = {"owner": owner} if owner else {}
    forged = forge(bench, member)
    before = {image.id: image for image in bench.images()}

    def ours() -> list[Image]:
        return [image for image in bench.images() if image.id not in forged]

    def theirs_are_as_they_were() -> None:
        there = {image.id: image for image in bench.images() if image.id in forged}
        # What the owner's project has is ours to look after: what is older than our builds is outdated.
        newer = {image_id for image_id, image in before.items() if image.properties["internal_version"] == "9"}
        assert there.keys() >= newer if owner else there.keys() == before.keys()
        for image_id, image in there.items():
            was = before[image_id]
            assert WIDEST_FIRST.index(image.visibility) >= WIDEST_FIRST.index(was.visibility)
            assert (image.status, image.owner, image.members) == (was.status, was.owner, was.members)
            assert owner or image == was

    name = bench.ubuntu()["name"]
    meta = {"os_distro": "ubuntu", "uuid_validity": "last-2"}
    bench.define(bench.ubuntu("1", sha512(bench, "2"), meta=meta, **given))
    outcome = bench.run(*DELETE)
    assert outcome.code == 0, outcome.text
    healthy = {image.id: image for image in ours()}
    assert state(ours()) == {"1": (f"{name} (1)", "public", False), "2": (name, "public", False)}
    theirs_are_as_they_were()
    assert "no changes" in bench.run("plan", *DELETE).out
    bench.define(bench.ubuntu("2", "3", meta=meta, **given))
    outcome = bench.run(*DELETE)
    assert outcome.code == 0, outcome.text
    assert state(ours()) == {"2": (f"{name} (2)", "public", False), "3": (name, "public", False)}
    assert len([image for image in ours() if image.id in healthy]) == 1
    theirs_are_as_they_were()
    assert "no changes" in bench.run("plan", *DELETE).out
    if owner:
        assert f"of project {member.current_project_id} claims to be version 9: not trusted" in outcome.out


def test_images_to_be_deleted_of_another_project_do_not_stop_a_run(bench: Bench, member: Connection) -> None:
    """More outdated images of the owner's project than --max-deletes allows: they stay, and all else is done."""
    bench.define(bench.ubuntu("1", owner="member", meta=NONE))
    assert bench.run().code == 0
    old, evil = bench.image("1").id, bytes_of(bench, "evil")
    forged = {upload(member, evil, **claims(bench, f"0.{number}", visibility="private")) for number in range(2)}
    mine = f"Mine {bench.tag}"
    bench.define(bench.ubuntu("1", owner="member", meta=NONE), bench.ubuntu("1", "2", name=mine, meta=NONE))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", owner="member", meta=NONE), bench.ubuntu("2", "3", name=mine, meta=NONE))
    outcome = bench.run("--outdated", "delete", "--unknown-usage", "delete", "--max-deletes", "1")
    assert outcome.code == 0, outcome.text
    assert (
        f"2 images of project {member.current_project_id} would be deleted, and --max-deletes allows 1" in outcome.out
    )
    there = {image.id: image.properties["internal_version"] for image in bench.images()}
    assert there.keys() >= {old, *forged}
    assert sorted(there[image_id] for image_id in there.keys() - {old, *forged}) == ["2", "3"]


@pytest.mark.parametrize("named", [False, True], ids=["by its properties", "by the id"])
def test_what_another_project_has_hidden_is_not_shown_again(bench: Bench, member: Connection, named: bool) -> None:
    """A public image with the right bytes, which everybody could use until somebody took it out of the list."""
    body = claims(bench, "1", visibility="public", os_hidden=True, owner=member.current_project_id)
    theirs = upload(bench.admin, bytes_of(bench, "1"), **body)
    bench.define(bench.ubuntu(sha512(bench, "1", **({"id": theirs} if named else {}))))
    outcome = bench.run()
    (hidden,) = [image for image in bench.images() if image.id == theirs]
    assert (hidden.hidden, hidden.owner, hidden.visibility) == (True, member.current_project_id, "public")
    if named:
        message = f"its id {theirs} is taken by an image of project {member.current_project_id}; choose another id"
        assert (outcome.code, message in outcome.out) == (1, True), outcome.text
        return
    assert outcome.code == 0, outcome.text
    (ours,) = [image for image in bench.images() if image.id != theirs]
    assert (ours.name, ours.visibility, ours.hidden) == (bench.ubuntu()["name"], "public", False)
    bench.converged()


def test_an_owner_adds_nothing_to_what_is_published(bench: Bench, member: Connection) -> None:
    """It has the right bytes and uploads them first, with words of its own: they are imported anew."""
    one = sha512(bench, "1")
    content = bytes_of(bench, "1")
    evil = {"kernel_id": "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f", "os_command_line": "init=/evil"}
    body = claims(bench, "1", visibility="private", **evil)
    day = time.strftime("%Y%m%d", time.gmtime())
    agreed = record_id(bench.admin.current_project_id, bench.tag, bench.ubuntu()["name"], "1", day, "0")
    forged = [upload(member, content, **body), upload(member, content, **{**body, "id": agreed})]
    forged.append(upload(member, content, **{**body, "visibility": "community", "disk_format": "raw"}))
    bench.define(bench.ubuntu(one, owner="member"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    (public,) = [image for image in bench.images() if image.visibility == "public"]
    assert (public.name, public.id in forged) == (bench.ubuntu()["name"], False)
    assert not {*evil} & public.properties.keys()
    bench.converged()


def test_an_owner_does_not_keep_an_older_version_from_coming_in(bench: Bench, member: Connection) -> None:
    bench.define(bench.ubuntu("2", owner="member"))
    assert bench.run().code == 0
    forged = upload(member, bytes_of(bench, "evil"), **claims(bench, "1", visibility="private"))
    bench.define(bench.ubuntu("1", "2", owner="member"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    name = bench.ubuntu()["name"]
    assert state([image for image in bench.images() if image.id != forged]) == {
        "1": (f"{name} (1)", "public", False),
        "2": (name, "public", False),
    }
    bench.converged()


def test_an_owner_pushes_no_orphan_out(bench: Bench, member: Connection) -> None:
    """Whether an image is one of the last that it promises to keep depends on ours alone."""
    gone = f"Gone {bench.tag}"
    given = bench.ubuntu("1", owner="member")
    bench.define(given, bench.ubuntu("1", name=gone, meta={"uuid_validity": "last-1"}))
    assert bench.run().code == 0
    (ours,) = [image.id for image in bench.images() if image.name == gone]
    body = claims(bench, "999", visibility="private", uuid_validity="last-1", image_name=gone)
    forged = upload(member, bytes_of(bench, "evil"), **body)
    bench.define(given)
    outcome = bench.run("--orphans", "delete", "--unknown-usage", "delete")
    assert outcome.code == 0, outcome.text
    assert {image.id for image in bench.images()} >= {ours, forged}


def test_an_owner_does_not_keep_the_image_of_an_id_from_us(bench: Bench, member: Connection) -> None:
    hand = bench.make(bytes_of(bench, "1"), name="by hand", tags=[])
    upload(member, bytes_of(bench, "evil"), **claims(bench, "1", visibility="private"))
    bench.define(bench.ubuntu(bench.version("1", id=hand), owner="member"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    (public,) = [image for image in bench.images() if image.visibility == "public"]
    assert (public.id, public.name) == (hand, bench.ubuntu()["name"])
    bench.converged()


def test_odd_properties_of_others_end_no_run(bench: Bench, member: Connection) -> None:
    evil, given = bytes_of(bench, "evil"), bench.ubuntu("1", owner="member")
    odd = [
        {"internal_version": "9" * 5000},
        {markers.RECORD: '{"properties":' + "[" * 60000},
        {"uuid_validity": f"last-{'9' * 5000}"},
        {markers.HIDDEN_SINCE: "9999-99-99", markers.PINNED_OVER: "9" * 5000},
    ]
    forged = [upload(member, evil, **claims(bench, "1.5", **each)) for each in odd]
    gone = [upload(member, evil, **claims(bench, "1.5", **{**each, "image_name": "Gone"})) for each in odd]
    bench.define(given, bench.ubuntu("1", name=f"Other {bench.tag}"))
    for command in ([], ["plan", "--orphans", "delete"], ["status"], ["show", bench.ubuntu()["name"]]):
        outcome = bench.run(*command)
        assert (outcome.code, "Traceback" in outcome.text) == (0, False), outcome.text
    public = {image.name for image in bench.images() if image.visibility == "public"}
    assert public == {bench.ubuntu()["name"], f"Other {bench.tag}"}
    assert {image.id for image in bench.images()} >= {*forged, *gone}


def test_an_image_of_others_that_never_stands_still(watched: Bench, proxy: Proxy, member: Connection) -> None:
    """Its user changes it during each listing."""
    restless = upload(member, bytes_of(watched, "evil"), **claims(watched, "1", visibility="private"))
    numbers = count()

    def change() -> None:
        operation = {"op": "add", "path": "/number", "value": str(next(numbers))}
        headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
        assert member.image.patch(f"/images/{restless}", json=[operation], headers=headers).status_code == 200

    proxy.add(Rule("GET", "/v2/images", times=None, after=change))
    watched.define(watched.ubuntu("1"))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert [image.name for image in watched.images() if image.id != restless] == [watched.ubuntu()["name"]]


@pytest.mark.parametrize("cloud", ["member", "openstack"])
@pytest.mark.parametrize("answer", ["accepted", None])
def test_an_invitation_is_no_image_of_ours(
    bench: Bench, stranger: Connection, connections: dict[str, Connection], cloud: str, answer: str | None
) -> None:
    """An image with the right bytes that a stranger shares with us, whether somebody has accepted it or not."""
    us = connections[cloud]
    shared = upload(stranger, bytes_of(bench, "1"), **claims(bench, "1", visibility="shared", **marks(bench)))
    evil = upload(stranger, bytes_of(bench, "evil"), **claims(bench, "2", visibility="shared", **marks(bench)))
    for image_id in (shared, evil):
        path = f"/images/{image_id}/members"
        assert stranger.image.post(path, json={"member": us.current_project_id}).status_code == 200
        if answer:
            assert us.image.put(f"{path}/{us.current_project_id}", json={"status": answer}).status_code == 200
    before = {image.id: image for image in bench.images()}
    bench.cloud = cloud
    bench.define(bench.ubuntu(sha512(bench, "1"), visibility="shared"))
    outcome = bench.run(*DELETE)
    assert outcome.code == 0, outcome.text
    after = {image.id: image for image in bench.images()}
    assert {image_id: after.get(image_id) for image_id in before} == before
    (ours,) = [image for image in after.values() if image.id not in before]
    assert (ours.name, ours.owner) == (bench.ubuntu()["name"], us.current_project_id)
    assert us.image.get(f"/images/{ours.id}/members").json()["members"] == []
    bench.converged()


def test_the_same_ids_that_a_stranger_has_taken(bench: Bench, member: Connection) -> None:
    """They follow from known strings for all days: the version comes in under another one."""
    ids = [record_id(bench.tag, bench.ubuntu()["name"], "1", str(number)) for number in range(12)]
    for each in ids:
        body = {"id": each, "disk_format": "raw", "container_format": "bare"}
        assert member.image.post("/images", json=body).status_code == 201
    bench.define(bench.ubuntu("1", visibility="private"))
    outcome = bench.run("--same-ids")
    for each in ids:
        assert bench.admin.image.delete(f"/images/{each}").status_code == 204
    assert outcome.code == 0, outcome.text
    assert f"the id {ids[0]} is taken by an image of project {member.current_project_id}: another one" in outcome.out
    assert f"the id {ids[9]} is taken by an image of project {member.current_project_id}: a random one" in outcome.out
    (image,) = bench.images()
    assert (image.status, image.id in ids) == ("active", False)
    bench.converged()


def test_ids_that_nobody_can_see(bench: Bench, stranger: Connection) -> None:
    """An ordinary user does not see who has an id, and nobody sees who had it and deleted the record."""
    bench.cloud = "member"
    project = bench.admin.identity.find_project("member").id
    bench.define(bench.ubuntu("1", visibility="private"))
    day = time.strftime("%Y%m%d", time.gmtime())
    ids = [record_id(project, bench.tag, bench.ubuntu()["name"], "1", day, str(number)) for number in range(6)]
    for number, each in enumerate(ids):
        body = {"id": each, "disk_format": "raw", "container_format": "bare"}
        assert stranger.image.post("/images", json=body).status_code == 201
        if number % 2:
            assert stranger.image.delete(f"/images/{each}").status_code == 204
    outcome = bench.run()
    for each in ids[::2]:
        assert bench.admin.image.delete(f"/images/{each}").status_code == 204
    assert outcome.code == 0, outcome.text
    who = "by an image that is deleted, or that this user may not see"
    assert f"the id {ids[4]} is taken {who}: a random one" in outcome.out
    (image,) = bench.images()
    assert (image.status, image.id in ids) == ("active", False)
    bench.converged()
