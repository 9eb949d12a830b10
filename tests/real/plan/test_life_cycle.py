"""What becomes of outdated images on a real Glance: as far as asked, and never by accident."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench, elsewhere, run_main
from tests.support.consumers import Consumers
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox.site import serving

DELETE = ("--outdated", "delete")
UNSEEN = ("--unknown-usage", "delete")


@pytest.fixture
def consumers() -> Iterator[Consumers]:
    with serving(Consumers()) as running:
        yield running


@pytest.fixture
def aged(bench: Bench) -> Bench:
    """A cloud with builds 1 to 5, of which only 5 is defined any more; 1 and 2 are hidden."""
    bench.define(bench.ubuntu("1", "2", "3", "4", "5"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    bench.define(bench.ubuntu("5"))
    bench.converged()
    return bench


@pytest.fixture
def seeing(aged: Bench, consumers: Consumers, tmp_path: Path) -> Bench:
    """The same, in a cloud with Nova and Cinder."""
    text = elsewhere(aged.clouds.read_text(), compute=f"{consumers.url}/v2.1", block_storage=f"{consumers.url}/v3")
    aged.clouds = tmp_path / "with-nova.yaml"
    aged.clouds.write_text(text)
    return aged


def versions(bench: Bench) -> set[str]:
    return {image.properties["internal_version"] for image in bench.images()}


def state(bench: Bench, version: str) -> tuple[str, bool, str]:
    image = bench.image(version)
    return image.visibility, image.hidden, image.status


def test_nothing_is_deleted_unless_asked(aged: Bench) -> None:
    assert state(aged, "1") == ("community", False, "active")
    assert aged.image("1").properties[markers.HIDDEN_SINCE]
    assert versions(aged) == {"1", "2", "3", "4", "5"}


def test_outdated_builds_are_deleted_and_the_others_stay(seeing: Bench, consumers: Consumers) -> None:
    plan = seeing.run("plan", *DELETE)
    assert f"- Ubuntu {seeing.tag} (1)  {seeing.image('1').id}: delete: its version is no longer defined" in plan.out
    assert "0 to import, 0 to change, 2 to delete" in plan.out
    outcome = seeing.run(*DELETE)
    assert outcome.code == 0, outcome.text
    assert versions(seeing) == {"3", "4", "5"}
    assert seeing.run("plan", *DELETE, "--exit-code").code == 0


@pytest.mark.parametrize(("kind", "number"), [("servers", 3), ("volumes", 5), ("snapshots", 2)])
def test_what_is_in_use_goes_no_further_than_hidden(
    seeing: Bench, consumers: Consumers, kind: str, number: int
) -> None:
    used = seeing.image("1").id
    getattr(consumers.used, kind)[used] = number
    if kind == "snapshots":
        consumers.used.volumes[used] = 1
        number += 1
    outcome = seeing.run(*DELETE)
    assert outcome.code == 0, outcome.text
    assert f"({used}) is kept: in use by {number}" in outcome.out
    assert versions(seeing) == {"1", "3", "4", "5"}
    assert state(seeing, "1") == ("community", False, "active")
    outcome = seeing.run("--outdated", "deactivate")
    assert outcome.code == 0, outcome.text
    assert state(seeing, "1") == ("community", False, "active")


def test_where_usage_cannot_be_seen_nothing_is_deleted_without_a_word(seeing: Bench, consumers: Consumers) -> None:
    consumers.forbidden = True
    outcome = seeing.run(*DELETE)
    assert outcome.code == 0
    assert "cannot check which images are in use: Nova answered 403" in outcome.out
    assert "--unknown-usage delete deletes it anyway" in outcome.out
    assert len(versions(seeing)) == 5
    assert seeing.run(*DELETE, *UNSEEN).code == 0
    assert versions(seeing) == {"3", "4", "5"}


def test_without_nova_usage_cannot_be_seen(aged: Bench) -> None:
    outcome = aged.run(*DELETE)
    assert "there is no compute service in the catalogue" in outcome.out
    assert len(versions(aged)) == 5


def test_the_old_flags_mean_the_same(aged: Bench) -> None:
    assert "--delete needs --yes-i-really-know-what-i-do" in aged.run("--delete").err
    dry = aged.run("--delete", "--dry-run", *UNSEEN)
    assert (dry.code, "2 to delete" in dry.out) == (0, True)
    assert len(versions(aged)) == 5
    assert aged.run("--deactivate").code == 0
    assert state(aged, "1") == ("community", False, "deactivated")
    assert aged.run("--deactivate", "--dry-run").out.endswith("no changes\n")
    assert aged.run("--delete", "--yes-i-really-know-what-i-do", *UNSEEN).code == 0
    assert versions(aged) == {"3", "4", "5"}


def test_a_waiting_time_counts_from_the_day_of_hiding(aged: Bench) -> None:
    outcome = aged.run(*DELETE, *UNSEEN, "--grace", "30d")
    assert "hidden since" in outcome.out
    assert len(versions(aged)) == 5
    for version in ("1", "2"):
        change = {"op": "replace", "path": f"/{markers.HIDDEN_SINCE}", "value": "2026-01-01"}
        aged.patch(aged.image(version), change)
    assert aged.run(*DELETE, *UNSEEN, "--grace", "30").code == 0
    assert versions(aged) == {"3", "4", "5"}
    assert aged.run("--grace", "soon").code == 2


def test_protected_images_stay(aged: Bench) -> None:
    image = aged.image("1")
    aged.patch(image, {"op": "replace", "path": "/protected", "value": True})
    outcome = aged.run(*DELETE, *UNSEEN)
    assert outcome.code == 0, outcome.text
    assert f"({image.id}) is kept: protected" in outcome.out
    assert versions(aged) == {"1", "3", "4", "5"}
    assert state(aged, "1") == ("community", False, "active")


def test_images_of_other_projects_are_never_deleted(aged: Bench, connections: dict[str, Connection]) -> None:
    other = connections["member"].current_project_id
    image = aged.image("1")
    aged.patch(
        image,
        {"op": "replace", "path": "/visibility", "value": "public"},
        {"op": "add", "path": "/owner", "value": other},
    )
    outcome = aged.run(*DELETE, *UNSEEN)
    assert outcome.code == 0, outcome.text
    assert f"{image.id} of project {other} claims to be version 1: not trusted" in outcome.out
    assert versions(aged) == {"1", "3", "4", "5"}


def test_an_image_that_glance_says_is_in_use_stays(aged: Bench, proxy: Proxy, proxied_clouds: Path) -> None:
    aged.clouds = proxied_clouds
    proxy.add(Rule(method="DELETE", status=409, body="Image is in use: it has a snapshot with clones"))
    outcome = aged.run(*DELETE, *UNSEEN)
    assert outcome.code == 0, outcome.text
    assert "not deleted, it is in use" in outcome.out
    assert "a snapshot with clones" in outcome.out
    assert len(versions(aged)) == 4


def test_a_build_that_glance_does_not_delete_has_lost_its_name(
    bench: Bench, proxy: Proxy, proxied_clouds: Path
) -> None:
    """Also one that was in sight until now: there are never two of the plain name."""
    none = {"os_distro": "ubuntu", "uuid_validity": "none"}
    bench.define(bench.ubuntu("1", meta=none))
    assert bench.run().code == 0
    bench.clouds = proxied_clouds
    bench.define(bench.ubuntu("2", meta=none))
    proxy.add(Rule(method="DELETE", status=409, body="Image is in use: it has a snapshot with clones"))
    outcome = bench.run(*DELETE, *UNSEEN)
    assert (outcome.code, "not deleted, it is in use" in outcome.out) == (0, True), outcome.text
    names = {image.properties["internal_version"]: (image.name, image.visibility) for image in bench.images()}
    plain = f"Ubuntu {bench.tag}"
    assert names == {"1": (f"{plain} (1)", "community"), "2": (plain, "public")}
    proxy.clear()
    assert bench.run(*DELETE, *UNSEEN).code == 0
    assert versions(bench) == {"2"}
    bench.converged()


def test_a_failed_import_means_that_nothing_of_its_definition_is_deleted(aged: Bench) -> None:
    broken = aged.version("6", checksum="sha256:" + "0" * 64)
    aged.define(aged.ubuntu("5", broken))
    outcome = aged.run(*DELETE, *UNSEEN)
    assert outcome.code == 1
    assert len(versions(aged)) == 5


def test_too_many_deletes_stop_everything_before_the_first_write(
    aged: Bench, proxy: Proxy, proxied_clouds: Path
) -> None:
    aged.clouds = proxied_clouds
    aged.define(aged.ubuntu("5", min_ram=1))
    outcome = aged.run(*DELETE, *UNSEEN, "--max-deletes", "1")
    assert outcome.code == 1
    assert "the plan deletes 2 images, and --max-deletes allows 1" in outcome.err
    assert {call.method for call in proxy.calls} == {"GET"}


def test_orphans_are_told_and_touched_only_when_asked(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"), bench.ubuntu("1", name=f"{bench.tag} gone"))
    assert bench.run().code == 0
    gone = f"{bench.tag} gone"
    bench.define(bench.ubuntu("1"))
    outcome = bench.run(*DELETE, *UNSEEN)
    assert f"{gone}: " in outcome.out
    assert "has no definition and is kept: --orphans hide or delete removes it" in outcome.out
    assert len(bench.images()) == 2
    # A filter hides definitions from the plan; it makes no orphans.
    assert "no definition" not in bench.run("--filter", "nothing", "--orphans", "delete", *UNSEEN).out
    assert bench.run("--orphans", "hide").code == 0
    assert {image.name: image.visibility for image in bench.images()}[gone] == "community"
    assert bench.run("--orphans", "delete", *UNSEEN).code == 0
    assert [image.name for image in bench.images()] == [f"Ubuntu {bench.tag}"]


def test_an_image_without_a_name_and_the_end_of_a_promise(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    content = (bench.site.directory / "1.img").read_bytes()
    nameless = bench.make(content)
    promised = bench.make(content, name="gone 1", image_name="gone", provided_until="2099-06-30")
    outcome = bench.run("plan")
    assert f"note: (no name): (no name) ({nameless}) has no definition and is kept: --orphans hide" in outcome.out
    outcome = bench.run("--orphans", "delete", *UNSEEN)
    assert (outcome.code, f"{nameless}: delete: it has no definition" in outcome.out) == (0, True), outcome.text
    kept = f"gone 1 ({promised}) has no definition and is kept: its provided_until is 2099-06-30 (--end-promise 'gone'"
    assert kept in outcome.out
    outcome = bench.run("--end-promise", "gone")
    assert (outcome.code, "--end-promise needs --orphans hide or --orphans delete" in outcome.err) == (2, True)
    assert bench.run("--orphans", "delete", *UNSEEN, "--end-promise", "gone").code == 0
    assert [image.name for image in bench.images()] == [f"Ubuntu {bench.tag}"]
    bench.converged()


def test_a_broken_or_disabled_definition_deletes_nothing(aged: Bench) -> None:
    aged.define(aged.ubuntu("5", enable=False))
    assert aged.run(*DELETE, *UNSEEN, "--orphans", "delete").code == 0
    aged.define(aged.ubuntu("5", nonsense=1))
    assert aged.run(*DELETE, *UNSEEN, "--orphans", "delete").code == 1
    assert len(versions(aged)) == 5


def test_the_second_image_of_a_version_goes_the_way_of_outdated_ones(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    one = bench.image("1")
    content = (bench.site.directory / "1.img").read_bytes()
    twin = bench.make(content, name=one.name, image_name=one.properties["image_name"], internal_version="1")
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert f"version 1 exists twice: {one.id} is kept, {twin} is a duplicate" in outcome.out
    hidden = {image.id: (image.name, image.hidden) for image in bench.images()}
    assert hidden == {one.id: (one.name, False), twin: (f"{one.name} (1)", True)}
    assert bench.run("plan", "--exit-code").code == 0
    assert bench.run(*DELETE, *UNSEEN).code == 0
    assert [image.id for image in bench.images()] == [one.id]


@pytest.mark.parametrize("text", ["images: []", "images:", ""])
def test_no_definitions_at_all_make_no_orphans(aged: Bench, text: str) -> None:
    (aged.directory / "images" / "images.yml").write_text(text)
    outcome = aged.run("--orphans", "delete", *UNSEEN, "--max-deletes", "99")
    assert "contains no definitions" in outcome.out
    assert len(versions(aged)) == 5


def ending(bench: Bench, last_day: str) -> None:
    """Define two builds whose time is over after this day."""
    definition = bench.ubuntu("1", "2")
    meta = {**definition["meta"], "provided_until": last_day, "uuid_validity": "none"}
    bench.define({**definition, "meta": meta})


def test_an_expired_definition_is_not_imported_and_its_images_are_retired_if_asked(bench: Bench) -> None:
    ending(bench, "2026-01-31")
    outcome = bench.run()
    assert (outcome.code, bench.images()) == (0, []), outcome.text
    assert "its provided_until was 2026-01-31: no image is imported" in outcome.text
    ending(bench, "2999-12-31")
    assert bench.run().code == 0
    ending(bench, "2026-01-31")
    assert "its images stay as they are; --retire-expired retires them" in bench.run().text
    assert state(bench, "2")[0] == "public"
    saved = str(bench.directory / "retire.plan")
    assert bench.run("plan", "--retire-expired", "--out", saved).code == 0
    assert run_main(["apply", saved, "--yes"], bench.environment).code == 0
    assert {state(bench, "1")[0], state(bench, "2")[0]} == {"community"}
    outcome = bench.run("plan", "--exit-code")
    assert "its images stay retired, and none is imported" in outcome.text
    assert outcome.code == 0
    assert bench.run("status", "--retire-expired").code == 0
    outcome = bench.run("--retire-expired", *DELETE, *UNSEEN)
    assert (outcome.code, bench.images()) == (0, []), outcome.text
    bench.converged()


def test_what_another_tool_retired_is_not_shown_again(bench: Bench) -> None:
    ending(bench, "2999-12-31")
    assert bench.run().code == 0
    bench.patch(bench.image("2"), {"op": "replace", "path": "/visibility", "value": "community"})
    bench.patch(bench.image("2"), {"op": "replace", "path": "/min_ram", "value": 1})
    ending(bench, "2026-01-31")
    assert bench.run().code == 0
    assert state(bench, "2") == ("community", False, "active")
    assert bench.image("2").min_ram == 64
    bench.converged()


def test_an_upstream_that_is_gone_does_not_keep_an_expired_image(bench: Bench) -> None:
    moving = {"version": "latest", "url": bench.publish("/moving.img"), "checksums_url": bench.site.url + "/SUMS"}
    digest = hashlib.sha256((bench.site.directory / "moving.img").read_bytes()).hexdigest()
    bench.site.put("/SUMS", f"{digest}  moving.img\n".encode())
    definition = bench.ubuntu(moving)
    meta = definition["meta"]
    bench.define({**definition, "meta": {**meta, "provided_until": "2999-12-31"}})
    assert bench.run().code == 0
    (bench.site.directory / "SUMS").unlink()
    bench.define({**definition, "meta": {**meta, "provided_until": "2026-01-31"}})
    outcome = bench.run("--retire-expired")
    assert outcome.code == 0, outcome.text
    (image,) = bench.images()
    assert (image.name, image.visibility) == (definition["name"], "community")
    (bench.site.directory / "moving.img").unlink()
    assert bench.run("--retire-expired").code == 0
    assert "images stay retired" in bench.run("plan").text
