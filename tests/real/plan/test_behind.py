"""Behind is not authority, on a real Glance: a run with older definitions than the cloud, and explicit withdrawals."""

from __future__ import annotations

import pytest
from tests.support.bench import Bench

pytestmark = pytest.mark.timeout(300)
DELETE = ("--outdated", "delete", "--unknown-usage", "delete")
META = {"os_distro": "ubuntu", "uuid_validity": "last-2"}


def test_two_checkouts_do_not_undo_each_other(bench: Bench) -> None:
    """One of them is a commit old."""
    old, new = (bench.ubuntu(*versions, meta=META) for versions in ("12", "123"))
    bench.define(old)
    assert bench.run(*DELETE).code == 0
    bench.define(new)
    assert bench.run(*DELETE).code == 0
    before = sorted(bench.images(), key=str)
    three = bench.image("3")
    assert three.name == bench.ubuntu()["name"]
    bench.define(old)
    for options in (DELETE, ("--orphans", "delete", *DELETE)):
        outcome = bench.run(*options)
        assert outcome.code == 0, outcome.text
        assert f"the cloud is ahead of these definitions: 3 ({three.id})" in outcome.out
        assert "is this checkout current?" in outcome.out
        assert sorted(bench.images(), key=str) == before
    bench.define(new)
    assert "no changes" in bench.run("plan", *DELETE).out


def test_a_checkout_that_lacks_a_whole_definition_deletes_nothing_of_it(bench: Bench) -> None:
    """It is a commit old, which shows by another definition."""
    other = bench.ubuntu("1", name=f"Debian {bench.tag}")
    bench.define(bench.ubuntu("1", "2"), other)
    assert bench.run().code == 0
    before = sorted(bench.images(), key=str)
    bench.define(bench.ubuntu("1"))
    outcome = bench.run("--orphans", "delete", *DELETE)
    assert outcome.code == 0, outcome.text
    assert "1 image without a definition stays: the cloud is ahead of" in outcome.out
    assert sorted(bench.images(), key=str) == before
    bench.define(bench.ubuntu("1", "2"))
    outcome = bench.run("--orphans", "delete", *DELETE)
    assert outcome.code == 0, outcome.text
    assert "1 image without a definition is to be deleted: are these all definitions of this cloud" in outcome.out
    assert {image.properties["image_name"] for image in bench.images()} == {bench.ubuntu()["name"]}


def test_an_old_checkout_imports_nothing_after_a_rollback(bench: Bench) -> None:
    bench.define(bench.ubuntu("3", "4"))
    assert bench.run().code == 0
    assert bench.run("rollback", bench.ubuntu()["name"], "--yes").code == 0
    before = sorted(bench.images(), key=str)
    bench.define(bench.ubuntu("1", "2", "3"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert f"the cloud is ahead of these definitions: 4 ({bench.image('4').id})" in outcome.out
    assert sorted(bench.images(), key=str) == before


def test_renamed_versions_are_reported_and_come_with_withdrawals(bench: Bench) -> None:
    name = bench.ubuntu()["name"]
    old = [bench.version("20261115"), bench.version("20261122")]
    bench.define(bench.ubuntu(*old))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1.1", "1.2"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert "version 1.2 is defined but not imported, for the cloud has newer builds: 20261115, 20261122" in outcome.out
    status = bench.run("status")
    assert status.code == 3, status.text
    assert "missing: the current build" in status.out
    bench.define(bench.ubuntu("1.1", "1.2", *({**each, "withdrawn": True} for each in old)))
    assert bench.run().code == 0
    seen = {image.name for image in bench.images() if image.visibility == "public"}
    assert seen == {name, f"{name} (1.1)"}
    assert bench.run("status").code == 0
    bench.converged()


def test_a_checkout_that_is_behind_imports_nothing_beside_what_is_newer(bench: Bench) -> None:
    bench.define(bench.ubuntu("3"))
    assert bench.run().code == 0
    before = bench.images()
    bench.define(bench.ubuntu("1", "2"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert "the cloud is ahead of these definitions: 3 (" in outcome.out
    assert bench.images() == before


def test_a_withdrawal_is_explicit(bench: Bench) -> None:
    name = bench.ubuntu()["name"]
    one, two, three = (bench.version(version) for version in "123")
    bench.define(bench.ubuntu(one, two, three, meta=META))
    assert bench.run().code == 0
    withdrawn = {**three, "withdrawn": True}
    bench.define(bench.ubuntu(one, two, withdrawn, meta=META))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert "withdrawn in the definition" in outcome.out
    seen = {i.properties["internal_version"]: (i.name, i.visibility) for i in bench.images()}
    assert seen == {"1": (f"{name} (1)", "public"), "2": (name, "public"), "3": (f"{name} (3)", "community")}
    bench.converged()
    assert bench.run(*DELETE).code == 0
    assert {image.properties["internal_version"] for image in bench.images()} == {"1", "2"}
    bench.converged()
