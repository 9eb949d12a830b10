"""Which image is a version, on a real Glance: known right bytes first, never what is known to be wrong or bad."""

from __future__ import annotations

import uuid

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.other_clients import left_behind
from tests.support.strangers import bytes_of, claims, sha512

from openstack_image_manager.plan import markers

pytestmark = pytest.mark.timeout(300)
DELETE = ("--outdated", "delete", "--unknown-usage", "delete")


def state(bench: Bench) -> dict[str, tuple[str, str, bool]]:
    """Name, visibility and os_hidden of each image, by its id."""
    return {image.id: (image.name, image.visibility, image.hidden) for image in bench.images()}


def done(bench: Bench, *arguments: str) -> str:
    """Run: all is well; what it said."""
    outcome = bench.run(*arguments)
    assert outcome.code == 0, outcome.text
    return outcome.out


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_known_wrong_bytes_are_no_version(bench: Bench, visibility: str) -> None:
    """Older, and public already: the version is imported beside it, and stands."""
    name = bench.ubuntu()["name"]
    wrong = bench.make(bytes_of(bench, "evil"), **claims(bench, "1", visibility=visibility))
    bench.define(bench.ubuntu(sha512(bench, "1")))
    done(bench)
    (right,) = state(bench).keys() - {wrong}
    assert state(bench)[right] == (name, "public", False)
    assert state(bench)[wrong][:2] == (f"{name} (1)", "community" if visibility == "public" else "private")
    done(bench, *DELETE)
    assert state(bench).keys() == {right}
    bench.converged()


@pytest.mark.parametrize("there_already", [True, False])
def test_ours_stands_before_a_public_one_of_others(bench: Bench, member: Connection, there_already: bool) -> None:
    """Also where ours is still to be imported: a public one of others must not be made narrower."""
    name = bench.ubuntu()["name"]
    body = claims(bench, "1", visibility="public", owner=member.current_project_id)
    theirs = bench.make(bytes_of(bench, "1"), **body)
    wrong = bench.make(bytes_of(bench, "evil"), **body)
    made = bench.make(bytes_of(bench, "1"), **claims(bench, "1", visibility="community")) if there_already else ""
    bench.define(bench.ubuntu(sha512(bench, "1"), visibility="community"))
    done(bench, *DELETE)
    there = state(bench)
    (ours,) = there.keys() - {theirs, wrong}
    assert made in (ours, "")
    assert there[ours] == (name, "community", False)
    assert {there[theirs][1:], there[wrong][1:]} == {("public", True)}
    assert name not in {there[theirs][0], there[wrong][0]}
    bench.converged()


def test_an_orphan_of_others_is_hidden_and_stays_public(bench: Bench, member: Connection) -> None:
    body = claims(bench, "1", visibility="public", owner=member.current_project_id, image_name=f"Gone {bench.tag}")
    theirs = bench.make(bytes_of(bench, "1"), **body)
    bench.define(bench.ubuntu(enable=False))
    done(bench, "--orphans", "delete", "--unknown-usage", "delete")
    assert state(bench)[theirs][1:] == ("public", True)
    assert "no changes" in bench.run("plan", "--orphans", "delete", "--unknown-usage", "delete").out


def test_the_double_of_a_bad_build_stays_public_when_it_is_of_others(bench: Bench, member: Connection) -> None:
    two = sha512(bench, "2")
    bench.define(bench.ubuntu("1", two))
    done(bench)
    body = claims(bench, "2", visibility="public", owner=member.current_project_id)
    theirs = bench.make(bytes_of(bench, "2"), **body)
    done(bench, "rollback", bench.ubuntu()["name"], "--yes")
    assert state(bench)[theirs][1:] == ("public", True)
    public = [image.properties["internal_version"] for image in bench.images() if state(bench)[image.id][1:] == SEEN]
    assert public == ["1"]
    bench.converged()


SEEN = ("public", False)


def test_a_bad_build_does_not_come_back_with_older_definitions(bench: Bench) -> None:
    name = bench.ubuntu()["name"]
    one, two, three = (bench.version(version) for version in "123")
    bench.define(bench.ubuntu(one, two))
    done(bench)
    done(bench, "rollback", name, "--yes")
    bench.define(bench.ubuntu(two, three))
    done(bench)
    before = bench.images()
    bench.define(bench.ubuntu(two))
    said = done(bench, *DELETE)
    assert "the cloud is ahead of these definitions: 3 (" in said
    assert sorted(bench.images(), key=str) == sorted(before, key=str)
    assert bench.image("3").name == name
    assert (bench.image("2").visibility, markers.ROLLED_BACK in bench.image("2").properties) == ("community", True)


def test_a_rollback_to_a_build_that_only_its_name_tells_lasts(bench: Bench) -> None:
    name = bench.ubuntu()["name"]
    one = bench.make(bytes_of(bench, "1"), name=f"{name} (1)", image_description=name, visibility="public")
    bench.define(bench.ubuntu("2"))
    done(bench)
    done(bench, "rollback", name, "--yes")
    bench.converged()
    renamed = bench.image("1")
    assert (renamed.id, renamed.name, renamed.properties["image_name"]) == (one, name, name)
    assert bench.image("2").visibility == "community"


def test_only_what_users_can_use_takes_a_place(bench: Bench) -> None:
    """Neither a version that cannot be fetched, nor an image that was never published, nor one kept from users."""
    meta = {"os_distro": "ubuntu", "uuid_validity": "last-3"}
    name = bench.ubuntu()["name"]
    three = [bench.version(version) for version in "123"]
    bench.define(bench.ubuntu(*three, meta=meta))
    done(bench)
    pending = {markers.VERIFIED: "pending none"}
    bench.make(bytes_of(bench, "1"), **claims(bench, "2.5", visibility="private", **pending))
    gone = {"version": "4", "url": f"{bench.site.url}/gone.img", "checksum": f"sha256:{'0' * 64}"}
    bench.define(bench.ubuntu(*three, bench.version("3.5", visibility="private"), gone, "5", meta=meta))
    outcome = bench.run()
    assert (outcome.code, "404" in outcome.out) == (1, True), outcome.text
    seen = {i.properties["internal_version"]: i.name for i in bench.images() if state(bench)[i.id][1:] == SEEN}
    assert seen == {"5": name, "3": f"{name} (3)", "2": f"{name} (2)"}


def test_an_id_of_an_image_that_was_made_by_hand_beside_the_managed_one(bench: Bench) -> None:
    """Images without the tag are never hidden nor deleted: neither is touched, and both are told."""
    bench.define(bench.ubuntu("1", visibility="private"))
    done(bench)
    managed = bench.image("1")
    hand = bench.make(bytes_of(bench, "1"), name="by hand", tags=[], visibility="private")
    before = bench.admin.image.get(f"/images/{hand}").json()
    for named in (hand, str(uuid.uuid4())):
        bench.define(bench.ubuntu(bench.version("1", id=named), visibility="private"))
        said = done(bench, *DELETE)
        assert f"version 1 is defined with the id {named}, but {managed.id} is that version: neither is touched" in said
        assert bench.images() == [managed]
        assert bench.admin.image.get(f"/images/{hand}").json() == before
    assert bench.admin.image.delete(f"/images/{hand}").status_code == 204


def test_evidence_counts_beside_the_bytes_that_it_names(bench: Bench) -> None:
    """A copy with all properties, as of a server's snapshot, that more people see."""
    bench.define(bench.ubuntu("1"))
    done(bench)
    image = bench.image("1")
    copy = bench.make(bytes_of(bench, "evil"), name=image.name, visibility="public", **image.properties)
    bench.patch(image, {"op": "replace", "path": "/visibility", "value": "community"})
    said = done(bench)
    assert f"version 1 exists twice: {image.id} is kept, {copy} is a duplicate" in said
    assert (state(bench)[image.id][1], state(bench)[copy][1]) == ("public", "community")
    bench.admin.image.delete(f"/images/{image.id}")
    done(bench)
    assert "sha256:" not in bench.run("status").out


def test_what_is_left_of_a_version_that_nobody_imports_any_more_is_told(bench: Bench) -> None:
    left = left_behind(bench)
    bench.define(bench.ubuntu("1", "2", visibility="private"))
    said = done(bench, "--latest")
    assert f"{left} is queued and was left by an interrupted run; it is removed when it is two days old" in said
    assert "no changes" in bench.run("plan", "--latest").out


@pytest.mark.parametrize("name", ["location", "deleted", "deleted_at", "hidden", "file", "checksum"])
def test_properties_that_glance_has_for_itself_are_refused_before_anything_is_done(bench: Bench, name: str) -> None:
    answer = bench.admin.image.post("/images", json={"disk_format": "raw", "container_format": "bare", name: "x"})
    if answer.status_code == 201:  # Glance takes it, but the tool has the word for something else
        assert (name, bench.admin.image.delete(f"/images/{answer.json()['id']}").status_code) == ("hidden", 204)
    bench.define(bench.ubuntu("1", meta={name: "x"}))
    outcome = bench.run()
    assert outcome.code == 1
    assert "images.yml:" in outcome.text
    assert f"meta.{name}" in outcome.text
    assert bench.images() == []


def test_versions_that_are_equal_are_refused(bench: Bench) -> None:
    bench.define(bench.ubuntu(bench.version("1.0"), bench.version("1.00")))
    outcome = bench.run()
    assert (outcome.code, bench.images()) == (1, [])
    assert "write it so that it is one of the two" in outcome.text
