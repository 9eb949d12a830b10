"""Back to the build before, on a real Glance."""

from __future__ import annotations

import pytest
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.plan import markers

BUILDS = ("20240416", "20240422", "20240514")


@pytest.fixture
def three(watched: Bench) -> Bench:
    watched.define(watched.ubuntu(*BUILDS))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    return watched


def name(bench: Bench) -> str:
    return f"Ubuntu {bench.tag}"


def state(bench: Bench) -> dict[str, tuple[str, str]]:
    """Version → name and visibility."""
    return {i.properties["internal_version"]: (i.name, i.visibility) for i in bench.images()}


def test_the_build_before_is_current_until_the_definition_moves_on(three: Bench) -> None:
    plain = name(three)
    dry = three.run("rollback", plain, "--dry-run")
    assert dry.code == 0
    assert "rolled back from 20240514" in dry.out
    assert state(three)["20240514"] == (plain, "public")
    outcome = three.run("rollback", plain, "--yes")
    assert outcome.code == 0, outcome.text
    assert state(three) == {
        "20240514": (f"{plain} (20240514)", "community"),
        "20240422": (plain, "public"),
        "20240416": (f"{plain} (20240416)", "public"),
    }
    purposes = {i.properties["internal_version"]: i.properties["os_purpose"] for i in three.images()}
    assert purposes == {"20240514": "oldgeneric", "20240422": "generic", "20240416": "oldgeneric"}
    # Ordinary runs leave it so, also one that brings a build between the two.
    three.converged()
    three.define(three.ubuntu(*BUILDS, "20240430"))
    assert three.run().code == 0
    assert state(three)["20240422"] == (plain, "public")
    three.define(three.ubuntu(*BUILDS, "20240601"))
    outcome = three.run()
    assert outcome.code == 0, outcome.text
    assert state(three)["20240601"] == (plain, "public")
    assert state(three)["20240422"] == (f"{plain} (20240422)", "public")
    # What was bad once stays out of sight.
    assert state(three)["20240514"] == (f"{plain} (20240514)", "community")
    assert markers.PINNED_OVER not in three.image("20240422").properties
    three.converged()


@pytest.mark.parametrize(
    ("steps", "good"),
    [([["--to", "20240416"]], "20240416"), ([[]], "20240422"), ([[], []], "20240416")],
    ids=["two at once", "one", "one by one"],
)
def test_the_newest_one_undoes_all_steps(three: Bench, steps: list[list[str]], good: str) -> None:
    """All images are as before."""
    before = {image.id: (image.name, image.visibility, image.properties) for image in three.images()}
    for arguments in steps:
        assert three.run("rollback", name(three), *arguments, "--yes").code == 0
    assert state(three)[good] == (name(three), "public")
    assert state(three)["20240514"][1] == "community"
    three.converged()
    assert three.run("rollback", name(three), "--to", "20240514", "--yes").code == 0
    assert {image.id: (image.name, image.visibility, image.properties) for image in three.images()} == before
    three.converged()


def test_a_rollback_twice_goes_back_two_builds(three: Bench) -> None:
    assert three.run("rollback", name(three), "--yes").code == 0
    assert three.run("rollback", name(three), "--yes").code == 0
    assert state(three)["20240416"][0] == name(three)
    outcome = three.run("rollback", name(three), "--yes")
    assert outcome.code == 1
    assert "no good build is before 20240416 to go back to; the cloud has: 20240514, 20240422, 20240416" in outcome.err


def test_a_build_that_left_the_definition_can_be_the_current_one(three: Bench) -> None:
    three.define(three.ubuntu("20240514"))
    assert three.run("--outdated", "keep").code == 0
    assert three.run("rollback", name(three), "--yes").code == 0
    assert state(three)["20240422"] == (name(three), "public")
    assert three.image("20240422").properties["os_purpose"] == "generic"
    three.converged()


def test_the_plain_name_is_never_missing(three: Bench, proxy: Proxy) -> None:
    """Also when the run breaks off between the two renames; the next one finishes it."""
    proxy.clear()
    proxy.add(Rule("PATCH", ".*", nth=2, times=None, status=500))
    assert three.run("rollback", name(three), "--yes").code == 1
    names = [image.name for image in three.images()]
    assert names.count(name(three)) == 2
    proxy.clear()
    assert three.run().code == 0
    assert state(three)["20240422"][0] == name(three)
    three.converged()


def test_what_can_not_be_rolled_back(three: Bench) -> None:
    outcome = three.run("rollback", "Debian")
    assert (outcome.code, "there is no definition 'Debian'" in outcome.err) == (2, True), outcome.text
    outcome = three.run("rollback", name(three), "--to", "19990101")
    assert "version 19990101 is not in the cloud; it has: 20240514, 20240422, 20240416" in outcome.err
    assert outcome.code == 2
    three.define(three.ubuntu(*BUILDS, enable=False))
    outcome = three.run("rollback", name(three))
    assert (outcome.code, "is disabled (enable: false); enable it first" in outcome.err) == (2, True)
    three.define(three.ubuntu(*BUILDS, multi=False))
    outcome = three.run("rollback", name(three))
    assert (outcome.code, "are current (multi: false), so there is nothing to roll back" in outcome.err) == (
        2,
        True,
    )
