"""The main job against a real Glance: images come in, names rotate, drift is corrected, a second run does nothing."""

from __future__ import annotations

import hashlib

from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy

from openstack_image_manager.plan import markers

GETTING_STARTED = {
    "name": "MyCirros",
    "format": "qcow2",
    "login": "cirros",
    "password": "gocubsgo",
    "min_disk": 1,
    "min_ram": 32,
    "status": "active",
    "visibility": "private",
    "multi": False,
    "meta": {
        "architecture": "x86_64",
        "hw_disk_bus": "scsi",
        "hw_rng_model": "virtio",
        "hw_scsi_model": "virtio-scsi",
        "hw_watchdog_action": "reset",
        "os_distro": "cirros",
        "replace_frequency": "never",
        "uuid_validity": "none",
        "provided_until": "none",
    },
    "tags": [],
}


def test_getting_started(bench: Bench) -> None:
    bench.define({**GETTING_STARTED, "versions": [bench.version("0.6.0", build_date="2022-09-28")]})
    outcome = bench.run("--filter", ".*Cirr.*")
    assert outcome.code == 0, outcome.text
    assert "1 ok, 0 failed, 0 skipped" in outcome.out
    (image,) = bench.images()
    assert (image.name, image.status, image.visibility, image.min_disk, image.min_ram) == (
        "MyCirros 0.6.0",
        "active",
        "private",
        1,
        32,
    )
    assert image.tags == {bench.tag, "os:cirros"}
    assert image.properties["image_original_user"] == "cirros"
    assert image.properties["image_build_date"] == "2022-09-28"
    assert image.properties["image_source"] == bench.site.url + "/0.6.0.img"
    assert image.properties["image_description"] == "MyCirros"
    assert image.properties["os_version"] == "0.6.0"
    assert image.properties[markers.VERIFIED].endswith("before import")
    assert "gocubsgo" not in str(image)
    bench.converged()
    assert bench.run("--filter", ".*Cirr.*").out.endswith("no changes\n")


def test_nobody_reads_what_a_run_says(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2"))
    process = bench.start()
    assert process.stdout is not None
    process.stdout.close()
    assert process.wait(100) == 0
    assert set(bench.names().values()) == {"1", "2"}
    bench.converged()


def test_rotation(bench: Bench) -> None:
    name = f"Ubuntu {bench.tag}"
    bench.define(bench.ubuntu("20240416", "20240422"))
    assert bench.run().code == 0
    assert bench.names() == {name: "20240422", f"{name} (20240416)": "20240416"}
    bench.define(bench.ubuntu("20240416", "20240422", "20240514"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert bench.names() == {name: "20240514", f"{name} (20240422)": "20240422", f"{name} (20240416)": "20240416"}
    assert {i.properties["internal_version"]: i.properties["os_purpose"] for i in bench.images()} == {
        "20240514": "generic",
        "20240422": "oldgeneric",
        "20240416": "oldgeneric",
    }
    bench.define(bench.ubuntu("20240416", "20240422", "20240514", "20240601"))
    assert bench.run().code == 0
    assert {i.properties["internal_version"]: i.visibility for i in bench.images()} == {
        "20240601": "public",
        "20240514": "public",
        "20240422": "public",
        "20240416": "community",
    }
    bench.converged()


def test_drift_is_corrected_with_one_patch(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", tags=["lts"], min_disk=5))
    assert watched.run().code == 0
    before = watched.image("1")
    watched.patch(
        before,
        {"op": "replace", "path": "/visibility", "value": "private"},
        {"op": "replace", "path": "/min_disk", "value": 0},
        {"op": "replace", "path": "/min_ram", "value": 1},
        {"op": "replace", "path": "/os_hidden", "value": True},
        {"op": "replace", "path": "/name", "value": "renamed"},
        {"op": "add", "path": "/tags", "value": [watched.tag]},
        {"op": "remove", "path": "/os_distro"},
        {"op": "replace", "path": "/os_version", "value": "22.04"},
        {"op": "add", "path": "/theirs", "value": "stays"},
        {"op": "add", "path": "/hw~1odd~0key", "value": "stays too"},
    )
    proxy.clear()
    plan = watched.run("plan", "--exit-code")
    assert plan.code == 3
    assert "22.04 → 24.04" in plan.out
    proxy.clear()
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert proxy.count("PATCH") == 1
    after = watched.image("1")
    assert after.properties == {**before.properties, "theirs": "stays", "hw/odd~key": "stays too"}
    assert (after.name, after.visibility, after.min_disk, after.min_ram, after.hidden, after.tags) == (
        before.name,
        before.visibility,
        before.min_disk,
        before.min_ram,
        before.hidden,
        before.tags,
    )
    watched.converged()


def test_properties_and_tags_that_left_the_definition_are_removed(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", tags=["lts"], meta={"a": "1", "b/~": "2", "os_distro": "ubuntu"}))
    assert bench.run().code == 0
    bench.patch(bench.image("1"), {"op": "add", "path": "/theirs", "value": "stays"})
    bench.define(bench.ubuntu("1", meta={"a": None}))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    image = bench.image("1")
    assert {"a", "b/~", "os_distro"} & set(image.properties) == set()
    assert image.properties["theirs"] == "stays"
    assert image.tags == {bench.tag}
    bench.converged()


def test_status_and_visibility_follow_the_definition(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", status="deactivated"))
    assert bench.run().code == 0
    assert bench.image("1").status == "deactivated"
    bench.converged()
    for visibility in ("private", "shared", "community", "public"):
        bench.define(bench.ubuntu("1", visibility=visibility))
        assert bench.run().code == 0
        assert (bench.image("1").visibility, bench.image("1").status) == (visibility, "active")
        bench.converged()
    bench.define(bench.ubuntu(bench.version("1", hidden=True)))
    assert bench.run().code == 0
    assert bench.image("1").hidden
    bench.converged()


def test_an_id_can_be_chosen(bench: Bench) -> None:
    chosen = "5b1e7a3c-0000-4000-8000-" + bench.tag[-12:]
    bench.define(bench.ubuntu(bench.version("1", id=chosen)))
    assert bench.run().code == 0
    assert bench.image("1").id == chosen
    bench.admin.image.delete(f"/images/{chosen}")
    outcome = bench.run()
    assert outcome.code == 1
    assert "Glance never reuses an image id" in outcome.out


def test_min_disk_is_raised_to_the_virtual_size(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", min_disk=0))
    assert bench.run().code == 0
    assert bench.image("1").min_disk == 1
    bench.converged()


def test_a_cloud_of_the_existing_tool_is_taken_over_without_an_import(watched: Bench, proxy: Proxy) -> None:
    name = f"Ubuntu {watched.tag}"
    content = {}
    for version in ("20240416", "20240422"):
        watched.version(version)
        content[version] = (watched.site.directory / f"{version}.img").read_bytes()
    common = {"visibility": "public", "min_ram": 64, "os_distro": "ubuntu", "image_original_user": "ubuntu"}
    watched.make(
        content["20240416"],
        name=f"{name} (20240416)",
        image_name=name,
        image_description=name,
        internal_version="20240416",
        **common,
    )
    watched.make(content["20240422"], name=name, image_description=name, internal_version="20240422", **common)
    ids = {image.id for image in watched.images()}
    watched.define(watched.ubuntu("20240416", "20240422"))
    proxy.clear()
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert {image.id for image in watched.images()} == ids
    assert proxy.count("POST") == 0
    assert watched.names() == {name: "20240422", f"{name} (20240416)": "20240416"}
    watched.converged()


def test_budgets(watched: Bench, proxy: Proxy) -> None:
    """Nothing to do: visible and hidden images, and what changed since. A new version: at most 8 calls, plus polls."""
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2"))
    proxy.clear()
    assert watched.run().code == 0
    listings = proxy.count("GET", "/v2/images")
    polls = [call for call in proxy.calls if call.method == "GET" and call.path.startswith("/v2/images/")]
    others = len(proxy.calls) - listings - len(polls)
    re_reads = 1
    assert others + re_reads <= 8, proxy.calls
    proxy.clear()
    assert watched.run().code == 0
    assert [(call.method, call.path) for call in proxy.calls] == [("GET", "/v2/images")] * 4


def test_a_filter_makes_no_image_the_other_definitions(bench: Bench) -> None:
    """An image of an earlier tool, of a definition that the filter leaves out, with a name that fits another one."""
    short, name = f"Ubuntu-{bench.tag}", f"Ubuntu-{bench.tag} 24.04"
    bench.version("24.04")
    content = (bench.site.directory / "24.04.img").read_bytes()
    theirs = bench.make(content, name=name, image_description=short, internal_version="24.04")
    bench.define(
        bench.ubuntu("22.04", name=short, multi=False, visibility="private"),
        bench.ubuntu("1", name=name, visibility="private"),
    )
    before = bench.images()
    assert bench.run("--filter", "24.04").code == 0
    assert [image for image in bench.images() if image.id == theirs] == before
    assert bench.run("plan", "--filter", "24.04", "--exit-code").code == 0
    assert bench.run().code == 0
    bench.converged()


def test_an_administrator_looks_after_public_images_of_other_projects_by_their_bytes(
    bench: Bench, connections: dict[str, Connection]
) -> None:
    other = connections["member"].current_project_id
    one = bench.version("1")
    content = (bench.site.directory / "1.img").read_bytes()
    one["checksum"] = f"sha512:{hashlib.sha512(content).hexdigest()}"
    name = bench.ubuntu()["name"]
    bench.make(content, name=name, image_name=name, internal_version="1", visibility="public", owner=other)
    bench.make(content, name=name, image_name=name, internal_version="1", visibility="private", owner=other)
    bench.define(bench.ubuntu(one))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert {(image.owner, image.visibility): image.properties.get("os_distro") for image in bench.images()} == {
        (other, "public"): "ubuntu",
        (other, "private"): None,
    }
    bench.converged()
