"""Options of a run: what they make of images, checks of definitions alone, and wrong usage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.bench import Bench, run_main
from tests.support.proxy import Proxy

from openstack_image_manager.model import Image

BROKEN = {"name": "Broken", "format": "qcow2", "visibility": "everybody", "versions": []}


def test_wrong_usage_and_wrong_definitions_end_a_run_before_anything_is_written(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    for arguments, said in [
        (("--filter", "("), "--filter '(' is not a regular expression"),
        (("plan", "--filter", "["), "--filter '[' is not a regular expression"),
        (("--delete",), "--delete needs --yes-i-really-know-what-i-do"),
        (("--grace", "soon"), "--grace soon: give a number of days"),
        (("--workers", "0"), "--workers"),
        (("--hidden-visibility", "public"), "--hidden-visibility"),
    ]:
        outcome = watched.run(*arguments)
        assert (outcome.code, said in outcome.err) == (2, True), outcome.text
    for command in ("plan", "apply", "validate"):
        outcome = run_main(["--cloud", "openstack", command], watched.environment)
        assert outcome.code == 2
        assert outcome.err == (
            f"error: --cloud stands before '{command}', where it has no effect; "
            f"write: openstack-image-manager {command} --cloud …\n"
        )
    watched.define(watched.ubuntu("1"), BROKEN)
    for arguments in ((), ("--dry-run",), ("plan",), ("apply", "--yes"), ("--check-only",)):
        outcome = watched.run(*arguments)
        assert (outcome.code, "images.yml:" in outcome.err, "visibility" in outcome.err) == (1, True, True)
    # What the cloud has is asked for meanwhile, and nothing else.
    assert proxy.count("(?!GET).*") == proxy.count(path="(?!/v2/images).*") == 0


def test_checks_look_at_definitions_alone(watched: Bench, proxy: Proxy) -> None:
    def build(days: int) -> dict[str, Any]:
        day = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
        return watched.version("1", build_date=day)

    old = watched.ubuntu(build(100), name=f"Old {watched.tag}")
    watched.define(watched.ubuntu(build(50)), old)
    outcome = watched.run("--check-only")
    assert (outcome.code, outcome.out) == (0, "2 definitions checked: 0 too old\n")
    outcome = watched.run("--check-age")
    assert outcome.code == 0
    assert outcome.out == (
        f"Old {watched.tag}: newest build 1 is 100 days old, more than 90\n2 definitions checked: 1 too old\n"
    )
    assert "2 definitions checked: 2 too old" in watched.run("--check-age", "--max-age", "49").out
    assert watched.run("--check-age", "--filter", "Ubuntu").out == "1 definition checked: 0 too old\n"
    assert proxy.calls == []


def look(image: Image) -> tuple[str, bool, str]:
    return image.visibility, image.hidden, image.status


def test_what_retired_images_become(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2", meta={"os_distro": "ubuntu", "uuid_validity": "last-1"}))
    assert bench.run().code == 0
    for options, expected in [
        ((), ("community", False, "active")),
        (("--hide",), ("community", False, "active")),
        (("--hidden-visibility", "private"), ("private", False, "active")),
        (("--use-os-hidden",), ("public", True, "active")),
        # Still defined: it goes no further than hidden.
        (("--deactivate",), ("community", False, "active")),
    ]:
        bench.patch(
            bench.image("1"),
            {"op": "replace", "path": "/visibility", "value": "public"},
            {"op": "replace", "path": "/os_hidden", "value": False},
        )
        outcome = bench.run(*options)
        assert outcome.code == 0, outcome.text
        assert (options, look(bench.image("1"))) == (options, expected)
        assert look(bench.image("2")) == ("public", False, "active")
    assert "no changes" in bench.run("--dry-run", *options).out


def test_latest_keep_and_force(bench: Bench) -> None:
    name = f"Ubuntu {bench.tag}"
    meta = {"os_distro": "ubuntu", "uuid_validity": "last-1"}
    bench.define(bench.ubuntu("1", "2", enable=False, meta=meta))
    outcome = bench.run("--latest")
    assert (outcome.code, f"note: {name}: enable is false" in outcome.out, bench.images()) == (0, True, [])
    assert bench.run("--latest", "--force").code == 0
    assert bench.names() == {name: "2"}
    bench.define(bench.ubuntu("3", meta=meta))
    assert bench.run("--keep").code == 0
    assert bench.names() == {name: "3", f"{name} (2)": "2"}
    assert bench.image("2").visibility == "public"
    assert bench.run().code == 0
    assert bench.image("2").visibility == "community"
    bench.converged()
