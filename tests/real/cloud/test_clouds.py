"""Several clouds at once: side by side, none stopped by another, compared in the end."""

from __future__ import annotations

import json
from pathlib import Path

from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule
from tests.support.site import Gate, Switches

from openstack_image_manager.model import Image

BOTH = ("--cloud", "second")


def by_version(images: list[Image]) -> dict[str, Image]:
    return {image.properties["internal_version"]: image for image in images}


def test_two_clouds_are_filled_side_by_side(bench: Bench, connections: dict[str, Connection]) -> None:
    gate = Gate(2)
    bench.define(bench.ubuntu("1"))
    bench.site.on("/1.img", Switches(gate=gate))
    plan = bench.run("plan", *BOTH)
    assert plan.out.count("+ Ubuntu") == 2
    assert "Cloud openstack\n" in plan.out
    assert "Cloud second\n" in plan.out
    outcome = bench.run(*BOTH)
    assert outcome.code == 0, outcome.text
    # Each cloud fetches for itself, at the same time.
    assert gate.opened
    assert f"openstack: Ubuntu {bench.tag}: imported as" in outcome.out
    assert "second: 1 ok, 0 failed, 0 skipped" in outcome.out
    digest = bench.version("1")["checksum"][:15]
    row = next(line for line in outcome.out.splitlines() if line.startswith(f"Ubuntu {bench.tag}  1 "))
    assert row.split()[:7] == ["Ubuntu", bench.tag, "1", digest, "1", digest, "yes,"]
    for cloud in ("openstack", "second"):
        assert [image.name for image in bench.images(connections[cloud])] == [f"Ubuntu {bench.tag}"]
    again = bench.run(*BOTH)
    assert again.out.count("no changes") == 2
    assert bench.run("plan", *BOTH, "--exit-code").code == 0


def test_the_same_id_in_every_cloud(bench: Bench, connections: dict[str, Connection]) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", "2"))
    outcome = bench.run(*BOTH, "--same-ids")
    assert outcome.code == 0, outcome.text
    first, second = by_version(bench.images()), by_version(bench.images(connections["second"]))
    assert {version: image.id for version, image in first.items()} == {v: image.id for v, image in second.items()}
    assert "yes, ids too" in outcome.out
    # An id that was used up in one cloud can't be had there again; the others keep theirs.
    bench.admin.image.delete(f"/images/{first['2'].id}")
    outcome = bench.run(*BOTH, "--same-ids")
    assert outcome.code == 0, outcome.text
    assert by_version(bench.images())["2"].id != first["2"].id
    assert by_version(bench.images(connections["second"])) == second
    assert next(line for line in outcome.out.splitlines() if line.startswith(f"Ubuntu {bench.tag} ")).endswith("yes")


def test_the_same_id_without_knowing_of_each_other(bench: Bench, connections: dict[str, Connection]) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run("--same-ids").code == 0
    bench.cloud = "second"
    assert bench.run("--same-ids").code == 0
    assert [i.id for i in bench.images()] == [i.id for i in bench.images(connections["second"])]


def test_a_cloud_that_fails_stops_no_other(watched: Bench, proxy: Proxy, connections: dict[str, Connection]) -> None:
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule("GET", "/v2/images", status=500, body="no database", times=None))
    plan = watched.run("plan", *BOTH, "--output", "json")
    assert plan.code == 1
    data = json.loads(plan.out)
    assert [each["cloud"] for each in data["clouds"]] == ["second"]
    assert "no database" in data["failed"]["openstack"]
    outcome = watched.run(*BOTH)
    assert outcome.code == 1
    assert "error: cloud 'openstack': cannot list its images: Glance answered 500: no database" in outcome.err
    assert "second: 1 ok, 0 failed, 0 skipped" in outcome.out
    row = next(line for line in outcome.out.splitlines() if line.endswith("unknown: some clouds could not be read"))
    assert " ?  " in row
    assert len(watched.images(connections["second"])) == 1
    assert watched.images() == []


def test_one_that_breaks_in_mid_run_stops_no_other(
    watched: Bench, proxy: Proxy, connections: dict[str, Connection]
) -> None:
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule("PUT", ".*/stage", status=500, body="no space", times=None))
    outcome = watched.run(*BOTH)
    assert outcome.code == 1
    assert f"failed: openstack: Ubuntu {watched.tag}: " in outcome.out
    assert "no space" in outcome.out
    row = next(line for line in outcome.out.splitlines() if line.endswith("no: missing"))
    assert row.split()[2:4] == ["-", "1"]
    assert len(watched.images(connections["second"])) == 1


def test_limits_are_those_of_each_cloud(bench: Bench, connections: dict[str, Connection]) -> None:
    meta = {"uuid_validity": "none"}
    bench.define(bench.ubuntu("1", "2", "3", meta=meta))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("3", meta=meta))
    outcome = bench.run(*BOTH, "--outdated", "delete", "--unknown-usage", "delete", "--max-deletes", "1")
    assert outcome.code == 1
    assert "cloud 'openstack': the plan deletes 2 images, and --max-deletes allows 1" in outcome.err
    assert len(bench.images()) == 3
    assert len(bench.images(connections["second"])) == 1


def test_all_clouds_of_the_file(bench: Bench, tmp_path: Path) -> None:
    bench.define(bench.ubuntu("1", visibility="private"))
    arguments = bench.arguments("plan")[3:]
    from tests.support.bench import run_main

    outcome = run_main(["plan", "--all-clouds", *arguments], bench.environment)
    assert [line for line in outcome.out.splitlines() if line.startswith("Cloud ")] == [
        "Cloud member",
        "Cloud openstack",
        "Cloud second",
    ]
    assert "exclude each other" in bench.run("plan", "--all-clouds").err
    assert "--out needs exactly one cloud" in bench.run("plan", *BOTH, "--out", str(tmp_path / "p")).err
    assert "--expect needs exactly one cloud" in bench.run("apply", *BOTH, "--expect", "x").err
    markdown = bench.run("plan", *BOTH, "--output", "markdown")
    assert markdown.out.count("## Image plan for ") == 2


def test_different_versions_and_bytes_are_told(bench: Bench, connections: dict[str, Connection]) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", "2"))
    bench.cloud = "second"
    assert bench.run("--latest").code == 0
    bench.cloud = "openstack"
    outcome = bench.run("plan", *BOTH)
    (row,) = [line for line in outcome.out.splitlines() if line.endswith("no: versions")]
    assert row in bench.run(*BOTH, "--dry-run").out.splitlines()
