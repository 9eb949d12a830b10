"""The catalogue against a real Glance: the newest builds of upstreams come in, rotate, and are never taken back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from tests.support import catalogue_sites
from tests.support.bench import Bench, Outcome, run_main
from tests.support.site import Switches
from tests.support.upstreams import World

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox.disks import disk_image

OLD, NEW = "20260615-2510", "20260712-2537"
ARCHITECTURES = {"": "x86_64", " aarch64": "aarch64"}
DEBIANS = {f"Debian {release}{suffix}" for release in ("12", "13") for suffix in ARCHITECTURES}
TRIXIE = "/images/cloud/trixie/latest/debian-13-genericcloud-amd64.json"


@dataclass
class Follower:
    """Debian's site, and a tool that takes it for the real one."""

    bench: Bench
    world: World

    def publish(self, build: str, *releases: str) -> None:
        """Publish real disk images as this build."""
        for release in releases:
            for architecture in ARCHITECTURES.values():
                local = self.bench.directory / "disk.tmp"
                disk_image(local, "qcow2", f"{release} {architecture} {build}", 8)
                catalogue_sites.debian(self.world, release, architecture, build, local.read_bytes())
                local.unlink()

    def run(self, *arguments: str, images: str = "catalogue:debian") -> Outcome:
        pairs = (f"{upstream}={mirror}" for upstream, mirror in self.world.mirrors.items())
        environment = {
            **self.bench.environment,
            "OPENSTACK_IMAGE_MANAGER_MIRRORS": " ".join(pairs),
            "XDG_CACHE_HOME": str(self.bench.directory / "cache"),
            "XDG_DATA_HOME": str(self.bench.directory / "data"),
        }
        return run_main([*self.bench.arguments(*arguments), "--images", images], environment)

    def apply(self, plan: Path) -> Outcome:
        """Carry out a plan file."""
        mirror = self.world.mirrors["https://cloud.debian.org/"]
        more = {"OPENSTACK_IMAGE_MANAGER_MIRRORS": f"https://cloud.debian.org/={mirror}"}
        return run_main(["apply", str(plan), "--yes"], {**self.bench.environment, **more, "HOME": str(plan.parent)})


@pytest.fixture
def debian(bench: Bench, tmp_path: Path) -> Iterator[Follower]:
    with World(tmp_path / "world") as world:
        yield Follower(bench, world)


def test_the_newest_builds_come_in_and_rotate(debian: Follower) -> None:
    debian.publish(OLD, "12", "13")
    plan = debian.run("plan", "--exit-code")
    assert (plan.code, "4 to import, 0 to change" in plan.out) == (3, True), plan.text
    outcome = debian.run()
    assert outcome.code == 0, outcome.text
    assert debian.bench.names() == dict.fromkeys(DEBIANS, OLD)
    image = next(image for image in debian.bench.images() if image.name == "Debian 13")
    build = f"https://cloud.debian.org/images/cloud/trixie/{OLD}/debian-13-genericcloud-amd64-{OLD}.qcow2"
    assert image.properties["image_source"] == build
    assert image.properties["image_build_date"] == "2026-06-15"
    assert image.properties[markers.CHECKSUMS_URL] == f"https://cloud.debian.org{TRIXIE}"
    assert image.properties[markers.VERIFIED].startswith("sha512:")
    assert (image.visibility, image.status, image.properties["os_purpose"]) == ("public", "active", "generic")
    again = debian.run()
    assert (again.code, again.out.endswith("no changes\n")) == (0, True), again.text

    debian.publish(NEW, "13")
    outcome = debian.run()
    assert outcome.code == 0, outcome.text
    dated = {f"Debian 13{suffix} ({OLD})": OLD for suffix in ARCHITECTURES}
    names = {name: NEW if name.startswith("Debian 13") else OLD for name in DEBIANS}
    assert debian.bench.names() == {**names, **dated}
    older = next(image for image in debian.bench.images() if image.name == f"Debian 13 ({OLD})")
    assert older.properties["os_purpose"] == "oldgeneric"
    assert debian.run().out.endswith("no changes\n")
    status = debian.run("status", "--filter", "^Debian 13$")
    assert [line.split()[:3] for line in status.out.splitlines() if line.startswith("Debian 13")] == [
        ["Debian", "13", NEW],
        ["Debian", "13", f"({OLD})"],
    ]


def test_an_upstream_that_fails_or_goes_back_leaves_its_definition_alone(debian: Follower) -> None:
    debian.publish(NEW, "12", "13")
    assert debian.run("--filter", "13").code == 0
    before = {image.id: image for image in debian.bench.images()}
    debian.publish(OLD, "13")
    outcome = debian.run()
    assert outcome.code == 1
    assert f"Debian 13: left alone: the upstream's newest build {OLD}" in outcome.out
    assert f"is older than {NEW}, which is already recorded" in outcome.out
    assert {image.id: image for image in debian.bench.images() if "13" in image.name} == before
    assert debian.bench.names() == dict.fromkeys(DEBIANS, NEW)

    debian.world.host("cloud.debian.org").on(TRIXIE, Switches(status=404))
    debian.publish("20260801-2550", "12", "13")
    outcome = debian.run()
    assert outcome.code == 1
    assert f"Debian 13: left alone: {debian.world.host('cloud.debian.org').url}{TRIXIE}: " in outcome.out
    names = debian.bench.names()
    assert (names["Debian 13"], names["Debian 13 aarch64"], names["Debian 12"]) == (NEW, *["20260801-2550"] * 2)
    assert "Debian 13: left alone" in debian.run("status").out


def test_a_plan_file(debian: Follower) -> None:
    debian.publish(OLD, "13")
    file = debian.bench.directory / "today.plan"
    assert debian.run("plan", "--filter", "^Debian 13$", "--out", str(file)).code == 0
    outcome = debian.apply(file)
    assert outcome.code == 0, outcome.text
    assert debian.bench.names() == {"Debian 13": OLD}
    debian.publish(NEW, "13")
    assert debian.run("plan", "--filter", "^Debian 13$", "--out", str(file)).code == 0
    debian.publish("20260801-2550", "13")
    outcome = debian.apply(file)
    assert outcome.code == 1
    assert "Debian 13: not done: its definition changed since the plan was made" in outcome.out
    assert debian.bench.names() == {"Debian 13": OLD}


def test_a_rollback_lasts(debian: Follower) -> None:
    only = ("--filter", "^Debian 13$")
    for build in (OLD, NEW):
        debian.publish(build, "13")
        assert debian.run(*only).code == 0
    outcome = debian.run("rollback", "Debian 13", "--yes")
    assert outcome.code == 0, outcome.text
    assert debian.bench.names() == {"Debian 13": OLD, f"Debian 13 ({NEW})": NEW}
    assert debian.run(*only).out.endswith("no changes\n")
    debian.publish("20260801-2550", "13")
    assert debian.run(*only).code == 0
    assert debian.bench.names()["Debian 13"] == "20260801-2550"


def test_several_clouds_ask_each_upstream_once(debian: Follower) -> None:
    debian.publish(NEW, "13")
    outcome = debian.run("--cloud", "second", "--filter", "^Debian 13$")
    assert outcome.code == 0, outcome.text
    assert debian.world.host("cloud.debian.org").count(TRIXIE) == 1
    same = outcome.out.splitlines()[-1]
    assert (same.startswith("Debian 13"), same.count(NEW), ", ids too" in same) == (True, 2, True), outcome.text


def test_a_part_of_the_catalogue_makes_no_orphans(debian: Follower) -> None:
    debian.publish(OLD, "12", "13")
    assert debian.run("--filter", "^Debian 13$").code == 0
    catalogue_sites.cirros(debian.world)
    outcome = debian.run("--orphans", "delete", "--unknown-usage", "delete", "--dry-run", images="catalogue:cirros")
    assert outcome.code == 0, outcome.text
    assert "1 to import, 0 to change, 0 to delete" in outcome.out


def test_an_image_that_is_not_signed_as_it_must_be_does_not_come_in(debian: Follower) -> None:
    catalogue_sites.almalinux(debian.world, "9", "x86_64")
    outcome = debian.run("--filter", "^AlmaLinux 9$", images="catalogue:almalinux")
    assert outcome.code == 1
    assert (
        "AlmaLinux 9: left alone: https://repo.almalinux.org/almalinux/9/cloud/x86_64/images/CHECKSUM: " in outcome.out
    )
    assert debian.bench.images() == []
