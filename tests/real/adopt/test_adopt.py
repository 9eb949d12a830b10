"""A brownfield cloud: definitions from what is there, and a run that imports nothing and lets everything be."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import pytest
import yaml
from openstack.connection import Connection
from tests.real.conftest import delete_images
from tests.support.bench import Bench, Outcome, run_main
from tests.support.proxy import Proxy

from openstack_image_manager.cloud.image_api import as_image
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers


@pytest.fixture
def hand(bench: Bench) -> Iterator[str]:
    """A tag of images that were made by hand; all of them are deleted afterwards."""
    tag = f"{bench.tag}-hand"
    yield tag
    delete_images(bench.admin, tag)


def content(bench: Bench, name: str = "disk") -> bytes:
    bench.publish(f"/{name}.img", name)
    return (bench.site.directory / f"{name}.img").read_bytes()


def adopt(bench: Bench, *options: str, cloud: str = "openstack") -> Outcome:
    """Adopt what is called like this test; the file becomes the bench's definitions."""
    arguments = ["adopt", "--cloud", cloud, "--tag", bench.tag, "--filter", bench.tag, *options]
    outcome = run_main(arguments, bench.environment)
    assert outcome.code == 0, outcome.text
    folder = bench.directory / "images"
    folder.mkdir(exist_ok=True)
    (folder / "images.yml").write_text(outcome.out, encoding="utf-8")
    valid = run_main(["validate", str(folder)], bench.environment)
    assert valid.code == 0, valid.text
    return outcome


def by_hand(admin: Connection, tag: str) -> dict[str, Image]:
    """Images with a tag, by their ids."""
    found = {}
    for hidden in ("false", "true"):
        answer = admin.image.get(f"/images?tag={tag}&os_hidden={hidden}&visibility=all")
        found |= {each["id"]: as_image(each) for each in answer.json()["images"]}
    return found


def seen(image: Image, tag: str) -> Image:
    """What the users of an image see of it: without the managed tag and the records of this tool."""
    records = (markers.RECORD, "image_name", "internal_version", "image_description", "image_source")
    kept = {key: value for key, value in image.properties.items() if key not in records}
    return replace(image, properties=kept, tags=image.tags - {tag, "os:ubuntu"}, updated_at="")


def test_images_made_by_hand_are_adopted_without_changes(watched: Bench, proxy: Proxy, hand: str) -> None:
    bench, data = watched, content(watched)
    name = f"Ubuntu {bench.tag}"
    common = {"tags": [hand], "visibility": "public", "min_disk": 1, "os_distro": "ubuntu", "hw_odd/~key": "x: y #"}
    bench.make(data, name=name, image_build_date="2024-04-22", secret_note="hunter2", **common)
    bench.make(data, name=f"{name} (20240416)", **common)
    bench.make(data, name=f"{name} (20240101)", **{**common, "visibility": "community", "os_hidden": True})
    bench.make(data, name=f"own {bench.tag}", tags=[hand], protected=True, min_disk=1, visibility="shared")
    bench.make(data, name=f"backup {bench.tag}", tags=[hand], image_type="snapshot")
    before = by_hand(bench.admin, hand)
    assert len(before) == 5
    outcome = adopt(bench)
    assert f"left out: backup {bench.tag}" in outcome.err
    assert "it is a snapshot of a server" in outcome.err
    assert "2 definitions of 4 images; 1 image left out" in outcome.err
    assert "The first run imports nothing; it updates these fields of images:" in outcome.err
    assert "hunter2" not in outcome.text
    assert by_hand(bench.admin, hand) == before
    plan = bench.run("plan")
    assert "0 to import, 4 to change, 0 to delete" in plan.out, plan.text
    assert plan.out.count("taken over: it has the id of the version") == 4
    proxy.clear()
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert proxy.count("POST") == 0
    after = by_hand(bench.admin, hand)
    assert {key: seen(each, bench.tag) for key, each in after.items()} == {
        key: seen(each, bench.tag) for key, each in before.items()
    }
    assert {each.name for each in bench.images()} == {each.name for each in before.values()} - {f"backup {bench.tag}"}
    bench.converged()
    assert "A run with them has nothing to do" in adopt(bench).err
    assert "id:" not in (bench.directory / "images" / "images.yml").read_text()
    bench.converged()


def test_images_of_the_existing_tool_are_adopted_without_changes(bench: Bench) -> None:
    """As it leaves them: its tag, image_name, internal_version and all of meta, the fourth build as community."""
    name, data = f"Ubuntu {bench.tag}", content(bench)
    for number in (1, 2, 3, 4):
        version = f"2024010{number}"
        bench.make(
            data,
            name=name if number == 4 else f"{name} ({version})",
            visibility="community" if number == 1 else "public",
            tags=[bench.tag, "os:ubuntu"],
            min_disk=1,
            image_name=name,
            image_description=name,
            internal_version=version,
            image_original_user="ubuntu",
            image_source=f"https://example.org/{version}.img",
            image_build_date=f"2024-01-0{number}",
            os_distro="ubuntu",
            os_version="24.04",
        )
    before = {image.id: image for image in bench.images()}
    outcome = adopt(bench)
    assert f"it updates these fields of images: {markers.RECORD} (4)" in outcome.err
    (definition,) = yaml.safe_load(outcome.out)["images"]
    assert (definition["multi"], definition["login"], len(definition["versions"])) == (True, "ubuntu", 4)
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    after = {image.id: image for image in bench.images()}
    assert {key: seen(each, bench.tag) for key, each in after.items()} == {
        key: seen(each, bench.tag) for key, each in before.items()
    }
    bench.converged()


def test_images_of_this_tool_need_no_changes(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2", "3", "4", tags=["lts"]))
    assert bench.run().code == 0
    outcome = adopt(bench)
    assert "A run with them has nothing to do" in outcome.err, outcome.text
    bench.converged()
    checksums = [version["checksum"] for version in yaml.safe_load(outcome.out)["images"][0]["versions"]]
    assert checksums == [bench.version(number)["checksum"] for number in "4321"]


def test_other_users_can_adopt_only_their_images(
    bench: Bench, hand: str, connections: dict[str, Connection], sandbox: object
) -> None:
    data = content(bench)
    bench.make(data, name=f"public {bench.tag}", tags=[hand], visibility="public")
    mine = connections["member"].current_project_id
    bench.make(data, name=f"mine {bench.tag}", tags=[hand], owner=mine)
    outcome = adopt(bench, cloud="member")
    assert [each["name"] for each in yaml.safe_load(outcome.out)["images"]] == [f"mine {bench.tag}"]
    bench.cloud = "member"
    applied = bench.run()
    assert applied.code == 0, applied.text
    bench.converged()


def test_a_tenant_beside_the_operator(bench: Bench, hand: str, connections: dict[str, Connection]) -> None:
    """Who manages public images of the same names with the same tag."""
    bench.define(bench.ubuntu("1", name=f"Ubuntu {bench.tag}"))
    assert bench.run().code == 0
    mine = {"tags": [hand], "owner": connections["member"].current_project_id}
    data = content(bench)
    for name in (f"Ubuntu {bench.tag}", f"Ubuntu {bench.tag} (20260914)", f"own {bench.tag}"):
        bench.make(data, name=name, **mine)
    outcome = adopt(bench, cloud="member")
    assert [each["name"] for each in yaml.safe_load(outcome.out)["images"]] == [f"own {bench.tag}"]
    assert outcome.err.count(f"as Ubuntu {bench.tag} with the tag {bench.tag}; adopt with a --tag of your own") == 2
    bench.cloud = "member"
    applied = bench.run()
    assert applied.code == 0, applied.text
    bench.converged()


def test_an_image_of_another_project_is_not_adopted_by_its_id(
    bench: Bench, hand: str, connections: dict[str, Connection]
) -> None:
    """Somebody's private image can't become ours by writing its id into a definition."""
    theirs = bench.make(
        content(bench), name=f"x {bench.tag}", tags=[hand], owner=connections["member"].current_project_id
    )
    before = by_hand(bench.admin, hand)
    bench.define(bench.ubuntu(bench.version("1", id=theirs)))
    outcome = bench.run()
    assert outcome.code == 1
    assert f"Image ID {theirs} already exists" in outcome.out
    assert by_hand(bench.admin, hand) == before


def test_an_invalid_filter_is_reported(bench: Bench) -> None:
    outcome = run_main(["adopt", "--cloud", "openstack", "--filter", "("], bench.environment)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--filter '(' is not a regular expression" in outcome.err
