"""What changes between the plan and its steps, on images that the step itself does not touch."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.imports import content, define, failed, made
from tests.support.other_clients import is_whole, left_behind, order, stage, until
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers

pytestmark = pytest.mark.timeout(300)  # other runs are processes of their own
DELETE = ("--outdated", "delete", "--unknown-usage", "delete")
NONE = {"os_distro": "ubuntu", "uuid_validity": "none"}


def after_the_plan(watched: Bench, proxy: Proxy, action: Callable[[], object], *options: str) -> Rule:
    """Do this once the next run has made its plan: right before its next request."""
    proxy.clear()
    assert watched.run("plan", *options).code == 0
    requests = proxy.count()
    proxy.clear()
    return proxy.add(Rule(nth=requests + 1, before=action))


def another(bench: Bench, *arguments: str) -> None:
    """Another run, from its beginning to its end."""
    with bench.start(*arguments) as process:
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said


def rolled_back(bench: Bench) -> None:
    name = bench.ubuntu()["name"]
    with bench.start("rollback", name, "--yes") as process:
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said


def plain(bench: Bench) -> list[str]:
    """The versions of the images that users find under the plain name."""
    name = bench.ubuntu()["name"]
    found = [image for image in bench.images() if image.name == name and image.visibility == "public"]
    return sorted(image.properties["internal_version"] for image in found if not image.hidden)


def states(bench: Bench) -> dict[str, Image]:
    return {image.id: image for image in bench.images()}


def test_a_version_that_another_run_publishes_as_planned(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2"))
    rule = after_the_plan(watched, proxy, lambda: another(watched))
    outcome = watched.run()
    assert rule.seen
    assert (outcome.code, "already up to date" in outcome.out) == (0, True), outcome.text
    assert plain(watched) == ["2"]
    watched.converged()


def test_a_version_that_another_run_imports_and_rolls_back(watched: Bench, proxy: Proxy) -> None:
    """To publish it would undo the rollback."""
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2"))
    seen: list[dict[str, Image]] = []

    def meanwhile() -> None:
        another(watched)
        rolled_back(watched)
        seen.append(states(watched))

    after_the_plan(watched, proxy, meanwhile)
    said = failed(watched)
    assert f"{watched.ubuntu()['name']} was changed by another run; plan again" in said
    assert seen == [states(watched)]
    assert plain(watched) == ["1"]
    watched.converged()


def test_a_version_that_is_rolled_back_during_its_import(watched: Bench, proxy: Proxy) -> None:
    """The record is there, but someone published it and rolled it back before this run comes to publish it."""
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2"))

    def meanwhile() -> None:
        (image,) = [image for image in watched.images() if image.properties["internal_version"] == "2"]
        assert order(watched, image.id) == 202
        until(lambda: is_whole(watched, image.id))
        another(watched)
        rolled_back(watched)

    proxy.clear()
    proxy.add(Rule("POST", ".*/import", before=meanwhile))
    said = failed(watched)
    assert "was changed by another run; plan again" in said
    assert plain(watched) == ["1"]
    watched.converged()


def test_a_rollback_in_the_middle_of_a_run(watched: Bench, proxy: Proxy) -> None:
    """The new version ends the rollback: the image that it made current gives the plain name up."""
    watched.define(watched.ubuntu("1", "2"))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2", "3"))
    proxy.clear()
    rule = proxy.add(Rule("PUT", ".*/stage", before=lambda: rolled_back(watched)))
    outcome = watched.run()
    assert (outcome.code, rule.seen) == (0, 1), outcome.text
    assert plain(watched) == ["3"]
    assert watched.run().code == 0
    watched.converged()


def test_a_rollback_after_the_new_version_is_published(watched: Bench, proxy: Proxy) -> None:
    """The renames that follow are of another decision."""
    watched.define(watched.ubuntu("1", "2"))
    assert watched.run().code == 0
    old = watched.image("2").id
    watched.define(watched.ubuntu("1", "2", "3"))
    proxy.clear()
    proxy.add(Rule("GET", f".*/{old}", nth=1, before=lambda: rolled_back(watched)))
    outcome = watched.run()
    assert len(plain(watched)) == 1, outcome.text
    assert watched.run().code == 0
    assert len(plain(watched)) == 1
    watched.converged()


def test_an_outdated_image_stays_when_the_current_one_is_gone(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", "2", meta=NONE))
    assert watched.run().code == 0
    old, current = watched.image("1").id, watched.image("2").id
    watched.define(watched.ubuntu("2", meta=NONE))
    gone = lambda: watched.admin.image.delete(f"/images/{current}")  # noqa: E731
    after_the_plan(watched, proxy, gone, *DELETE)
    said = failed(watched, *DELETE)
    assert "was changed by another run; plan again" in said
    assert list(states(watched)) == [old]
    assert watched.run().code == 0
    assert plain(watched) == ["2"]


def test_an_image_that_lost_its_tag_is_not_imported_again(bench: Bench) -> None:
    define(bench)
    made(bench)
    image = bench.image("1")
    path = f"/images/{image.id}/tags/{bench.tag}"
    assert bench.admin.image.delete(path).status_code == 204
    said = failed(bench)
    for words in (
        f"{image.id} is version 1 already, but lacks the tag {bench.tag}",
        f"openstack image set --tag {bench.tag} {image.id}",
        f"openstack image unset --property image_name {image.id}",
    ):
        assert words in said
    assert bench.images() == []
    assert bench.admin.image.put(path).status_code == 204
    made(bench)


@pytest.mark.parametrize("removed", [("image_name",), ("image_name", "internal_version")])
def test_an_image_that_lost_its_image_name_is_not_imported_again(bench: Bench, removed: tuple[str, ...]) -> None:
    """Its description and its name tell which version it is; the run writes the properties again."""
    bench.define(bench.ubuntu("1", "2"))
    assert bench.run().code == 0
    before = states(bench)
    old = bench.image("1")
    bench.patch(old, *({"op": "remove", "path": f"/{name}"} for name in removed))
    assert not {*removed} & states(bench)[old.id].properties.keys()
    assert bench.run().code == 0
    after = states(bench)
    assert {key: image.properties for key, image in after.items()} == {
        key: image.properties for key, image in before.items()
    }
    assert plain(bench) == ["2"]
    bench.converged()


@pytest.mark.parametrize("what", ["a snapshot", "another tag"])
def test_a_copy_of_an_image_is_not_in_the_way(bench: Bench, what: str) -> None:
    """Nova copies the properties of an image to snapshots of its servers."""
    define(bench)
    made(bench)
    image = bench.image("1")
    body = {"name": "mine", "tags": [], "visibility": "private", **image.properties}
    if what == "a snapshot":
        body |= {"base_image_ref": image.id, "image_type": "snapshot"}
    else:
        body |= {markers.RECORD: '{"properties":[],"tags":["other"]}'}
    copy = bench.make(content(bench), **body)
    bench.admin.image.delete(f"/images/{image.id}")
    made(bench)
    assert bench.admin.image.delete(f"/images/{copy}").status_code == 204


def test_an_image_that_another_run_made_before_midnight(watched: Bench, proxy: Proxy) -> None:
    """Whatever its id: the cloud is asked for the version."""
    define(watched)
    there: list[str] = []
    after_the_plan(watched, proxy, lambda: there.append(published(watched)))
    made(watched)
    assert [image.id for image in watched.images()] == there
    assert proxy.count("POST") == 0


def published(bench: Bench) -> str:
    """What a run has made of version 1 under another id: as a run would publish it."""
    left = left_behind(bench)
    stage(bench, left, content(bench))
    assert order(bench, left) == 202
    until(lambda: is_whole(bench, left))
    another(bench)
    return left


def test_ids_that_a_stranger_has_taken(bench: Bench, member: Connection) -> None:
    """Runs at the same moment still make one image, under a random id."""
    import time

    from openstack_image_manager.apply.image_record import record_id

    define(bench)
    what = [str(bench.admin.current_project_id), bench.tag, bench.ubuntu()["name"], "1"]
    day = time.strftime("%Y%m%d", time.gmtime())
    ids = [record_id(*what, day, str(number)) for number in range(8)]
    for each in ids:
        body = {"id": each, "disk_format": "raw", "container_format": "bare"}
        assert member.image.post("/images", json=body).status_code == 201
    processes = [bench.start() for _ in range(3)]
    said = [process.communicate(timeout=250)[0] for process in processes]
    for each in ids:
        assert bench.admin.image.delete(f"/images/{each}").status_code == 204
    assert [process.returncode for process in processes] == [0, 0, 0], "\n".join(said)
    assert f"the id {ids[0]} is taken by an image of project {member.current_project_id}" in said[0]
    (image,) = bench.images()
    assert (image.status, image.id in ids) == ("active", False)
    bench.converged()


def test_a_failed_import_with_a_random_id_leaves_nothing(bench: Bench, member: Connection) -> None:
    import time

    from openstack_image_manager.apply.image_record import record_id

    define(bench, checksum="sha256:" + "0" * 64)
    what = [str(bench.admin.current_project_id), bench.tag, bench.ubuntu()["name"], "1"]
    day = time.strftime("%Y%m%d", time.gmtime())
    ids = [record_id(*what, day, str(number)) for number in range(5)]
    for each in ids:
        body = {"id": each, "disk_format": "raw", "container_format": "bare"}
        assert member.image.post("/images", json=body).status_code == 201
    assert "wrong checksum" in failed(bench)
    assert bench.images() == []
    for each in ids:
        assert bench.admin.image.delete(f"/images/{each}").status_code == 204


def test_a_chosen_id_that_a_stranger_has(bench: Bench, member: Connection) -> None:
    answer = member.image.post("/images", json={"disk_format": "raw", "container_format": "bare"})
    theirs = answer.json()["id"]
    define(bench, id=theirs)
    said = failed(bench)
    assert f"its id {theirs} is taken by an image of project {member.current_project_id}; choose another id" in said
    assert bench.admin.image.delete(f"/images/{theirs}").status_code == 204


def test_an_owner_can_not_forge_the_image_of_an_id(watched: Bench, proxy: Proxy, member: Connection) -> None:
    """A user of the project that gets the images has made one with the id that runs agree on."""
    import time

    from openstack_image_manager.apply.image_record import record_id

    project = member.current_project_id
    watched.define(watched.ubuntu("1", visibility="public", owner=project))
    name = watched.ubuntu()["name"]
    day = time.strftime("%Y%m%d", time.gmtime())
    forged = record_id(str(watched.admin.current_project_id), watched.tag, name, "1", day, "0")
    hold = threading.Event()

    def forge() -> None:
        body = {"id": forged, "name": name, "disk_format": "qcow2", "container_format": "bare", "image_name": name}
        promise = f"{markers.PENDING}{watched.version('1')['checksum']}{markers.BEFORE}"
        body |= {"internal_version": "1", markers.VERIFIED: promise}
        assert member.image.post("/images", json=body).status_code == 201
        headers = {"Content-Type": "application/octet-stream"}
        data = content(watched) + b"forged"
        assert member.image.put(f"/images/{forged}/file", data=data, headers=headers).status_code == 204
        hold.set()

    proxy.clear()
    proxy.add(Rule("POST", "/v2/images", before=forge))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert hold.is_set()
    assert watched.image("1").id != forged
    assert watched.admin.image.get(f"/images/{forged}").json()["visibility"] == "shared"
    assert watched.admin.image.delete(f"/images/{forged}").status_code == 204


@pytest.mark.parametrize("status", [400, 403, 409, 413])
def test_what_glance_refuses_after_the_import_is_given_up(watched: Bench, proxy: Proxy, status: int) -> None:
    define(watched)
    proxy.add(Rule("PATCH", status=status, body="'min_disk' value out of range"))
    assert "'min_disk' value out of range" in failed(watched)
    assert watched.images() == []
    made(watched)


def test_a_disk_of_an_absurd_size_is_given_up(bench: Bench) -> None:
    import hashlib

    bench.version("1")
    huge = bytearray(content(bench))
    huge[24:32] = (2**60).to_bytes(8, "big")
    url = bench.site.put("/huge.img", bytes(huge))
    define(bench, url=url, checksum=f"sha256:{hashlib.sha256(huge).hexdigest()}")
    assert "more than 70368744177664 (64 TiB): refused" in failed(bench)
    assert bench.images() == []


def test_an_image_that_is_deactivated_is_not_copied(bench: Bench) -> None:
    """Glance copies active images only, and what comes after goes on."""
    fields = {"status": "deactivated", "meta": NONE}
    bench.define(bench.ubuntu("1", "2", stores=["fast"], **fields))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("2", stores=["fast", "slow"], **fields))
    outcome = bench.run(*DELETE)
    assert outcome.code == 0, outcome.text
    found = bench.image("2")
    assert f"not copied to slow, because Glance copies active images only ({found.id})" in outcome.out
    assert "set status: active in the definition for one run" in outcome.out
    assert (list(states(bench)), found.status) == ([found.id], "deactivated")
