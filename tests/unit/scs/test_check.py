"""SCS-0102 and 0104: what is said of images, and until when they pass."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.scs_images import NOW, image, levels

from openstack_image_manager.definitions.parser import read
from openstack_image_manager.plan.model import Create, Delete, Plan, Policy, Update
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.scs import check, report, standard
from openstack_image_manager.scs.rules import IMAGES, RULES, STANDARDS, TESTS_0102, V1, V2
from openstack_image_manager.scs.verdict import Verdict


def test_a_perfect_image() -> None:
    assert levels(image(), standards=STANDARDS) == []


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architecture": "riscv64"}, ("error", "architecture")),
        ({"architecture": None}, ("error", "architecture")),
        ({"os_distro": ""}, ("error", "os_distro")),
        ({"os_purpose": "capinode"}, ("error", "os_purpose")),
        ({"hw_disk_bus": "ide"}, ("error", "hw_disk_bus")),
        ({"hw_disk_bus": None}, ("warning", "hw_disk_bus")),
        ({"hw_scsi_model": "lsilogic"}, ("warning", "hw_scsi_model")),
        ({"hypervisor_type": "hyperv"}, ("error", "hypervisor_type")),
        ({"hypervisor_type": None}, ("note", "hypervisor_type")),
        ({"hw_rng_model": None}, ("note", "hw_rng_model")),
        ({"image_build_date": "20 May"}, ("error", "image_build_date")),
        ({"image_build_date": "2026-05-21 04:00"}, ("error", "image_build_date")),
        ({"image_build_date": "2026-06-02", "created": ""}, ("error", "image_build_date")),
        ({"image_source": "file:///tmp/a"}, ("error", "image_source")),
        ({"image_original_user": None}, ("error", "image_original_user")),
        ({"replace_frequency": "hourly"}, ("error", "replace_frequency")),
        ({"provided_until": "soon"}, ("error", "provided_until")),
        ({"provided_until": None}, ("error", "provided_until")),
        ({"uuid_validity": "last-x"}, ("error", "uuid_validity")),
        ({"uuid_validity": None}, ("error", "uuid_validity")),
        ({"hotfix_hours": "two"}, ("error", "hotfix_hours")),
        ({"hw_pmu": "maybe"}, ("warning", "hw_pmu")),
        ({"license_included": "true", "license_required": "true"}, ("error", "license_required")),
    ],
)
def test_one_thing_about_a_property(changes: dict[str, str | None], said: tuple[str, str]) -> None:
    assert levels(image(**changes)) == [said]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"min_disk": 0}, ("error", "min_disk")),
        ({"min_disk": 3}, ("error", "min_disk")),
        ({"min_ram": 0}, ("error", "min_ram")),
        ({"min_ram": 63}, ("warning", "min_ram")),
        ({"hash_algorithm": "md5"}, ("warning", "hash_algo")),
        ({"hash_algorithm": None}, ("warning", "hash_algo")),
        ({"tags": frozenset({"os:ubuntu"})}, ("note", "tags")),
    ],
)
def test_one_thing_about_a_field(fields: dict[str, Any], said: tuple[str, str]) -> None:
    assert levels(image(fields=fields)) == [said]


def test_values_that_only_glance_knows_are_not_required_of_desired_images() -> None:
    wanted = {"id": "", "min_disk": 0, "size": None, "virtual_size": None, "hash_algorithm": None, "created_at": ""}
    assert levels(image(fields=wanted)) == []


def test_values_that_are_right_and_rare() -> None:
    for changes in (
        {"hotfix_hours": "48"},
        {"image_source": "private"},
        {"image_build_date": "2026-05-20 03:04"},
        {"uuid_validity": "forever"},
        {"os_purpose": "oldgeneric"},
        {"hw_disk_bus": "virtio", "hw_scsi_model": None},
        {"license_included": "true"},
    ):
        assert levels(image(**changes)) == [], changes


def test_the_purpose_is_recommended_by_the_first_and_demanded_by_the_second() -> None:
    without = image(os_purpose=None)
    (first,) = check.judge([without], [V1], NOW).verdicts
    (second,) = check.judge([without], [V1, V2], NOW).verdicts
    assert (first.level, first.standards) == ("warning", (V1,))
    assert (second.level, second.standards) == ("error", (V2,))
    assert check.judge([without], [IMAGES], NOW, is_all=False).verdicts == ()


def test_images_that_the_test_does_not_check() -> None:
    bad = {"min_ram": 0}
    unseen = [{**bad, "visibility": "private"}, {**bad, "visibility": "shared"}, {**bad, "hidden": True}]
    assert levels(*(image(fields=fields) for fields in unseen)) == []
    assert levels(image(fields={**bad, "visibility": "community"})) == [("error", "min_ram")]


def test_duplicate_names_and_generic_images() -> None:
    duplicate = replace(image(), id="other")
    found = check.judge([image(), duplicate], [V2], NOW).verdicts
    assert [(each.level, each.key) for each in found] == [
        ("error", "os_purpose"),
        ("error", "os_purpose"),
        ("warning", "name"),
    ]
    assert "ubuntu 24.04 x86_64" in found[0].message
    arm = image("Ubuntu 24.04 arm", architecture="aarch64")
    unknown = image("Mine", os_version=None)
    community = image("Theirs", {"visibility": "community"})
    assert ("error", "os_purpose") not in levels(image(), arm, unknown, community)


def test_standard_images() -> None:
    found = check.judge([image(image_source="https://mirror.example.org/noble.img")], [IMAGES], NOW).verdicts
    assert [(each.level, each.test) for each in found] == [
        ("error", "scs-0104-source-ubuntu-2404"),
        ("note", "scs-0104-image-ubuntu-2204"),
        ("note", "scs-0104-image-debian-13"),
        ("note", "scs-0104-image-capi"),
    ]
    none = check.judge([], [IMAGES], NOW).verdicts
    assert ("error", "scs-0104-image-ubuntu-2404", "Ubuntu 24.04") in [(v.level, v.test, v.name) for v in none]
    assert check.judge([], [IMAGES], NOW, is_all=False).verdicts == ()


def test_node_images() -> None:
    site = "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/"
    node = image("ubuntu-capi-image v1.34.1", image_source=site + "a.qcow2", os_purpose="k8snode")
    assert levels(node, standards=(IMAGES,)) == []
    assert levels(image("ubuntu-capi-image-v1.34", image_source=site), standards=(IMAGES,)) == [("error", "os_purpose")]
    assert [each.matches("ubuntu-capi-image v1.34.1") for each in standard.STANDARD].count(True) == 1


def test_a_plan_fixes_verdicts_that_are_gone_afterwards() -> None:
    here = image(fields={"min_ram": 0}, uuid_validity=None)
    gone = image("Ubuntu", {"min_ram": 0})
    better = replace(here, name="Ubuntu 24.04 LTS", min_ram=512)
    wanted = image("Ubuntu 22.04", {"id": ""})
    definition, _ = read("x", b"images: [{name: U, format: raw, versions: [{version: '1', url: 'http://x/y'}]}]")
    create = plan(definition, [], Policy(), NOW.date()).changes[0]
    assert isinstance(create, Create)
    changes = (
        Update("U", here, better, (), ""),
        Delete("U", gone, ""),
        replace(create, wanted=wanted),
    )
    after = check.after([here, gone], Plan(changes))
    assert [each.name for each in after] == ["Ubuntu 24.04 LTS", "Ubuntu 22.04"]
    before = check.judge([here, gone], [V2], NOW)
    fixed = check.fixed(before, check.judge(after, [V2], NOW))
    assert {(each.name, each.key) for each in fixed} >= {("Ubuntu 24.04", "min_ram"), ("Ubuntu", "min_ram")}
    assert ("Ubuntu 24.04", "uuid_validity") not in {(each.name, each.key) for each in fixed}
    data = report.data(before, fixed)
    assert {each["mended"] for each in data["findings"]} == {True, False}
    assert "; the plan fixes it [" in report.line(next(iter(fixed)), True)


def test_the_report() -> None:
    found = check.judge([image(fields={"min_ram": 32}, architecture="riscv64")], STANDARDS, NOW)
    assert report.summary("x", found, found.verdicts, STANDARDS) == (
        "x: 1 image judged by 0102-v1.1, 0102-v2, 0104: 1 error, 1 warning, 3 notes"
    )
    lines = [(verdict, report.line(verdict)) for verdict in found.verdicts]
    cases = report.cases("x", lines, STANDARDS, strict=False)
    assert [case.name for case in cases] == [*TESTS_0102, *standard.TESTS]
    assert [case.name for case in cases if case.failure] == ["scs-0102-prop-architecture"]
    strict = report.cases("x", lines, STANDARDS, strict=True)
    assert [case.name for case in strict if case.failure] == ["scs-0102-prop-architecture", "scs-0102-prop-min_ram"]
    assert [case.name for case in report.cases("x", [], [V1], strict=True)] == list(TESTS_0102)
    assert [case.name for case in report.cases("x", [], [IMAGES], strict=True)] == list(standard.TESTS)
    extra = [(v, "x") for v in check.judge([image(hw_scsi_model="lsilogic")], [V1], NOW).verdicts]
    assert report.cases("x", extra, [V1], strict=True)[-1].failure == "x"
    data = report.data(found)
    assert (data["images"], data["forecast"][0]["on"]) == (1, "2026-06-23")


def test_lines_about_what_is_missing() -> None:
    verdict = Verdict("note", "t", "Debian 13", "", "name", "is missing", (IMAGES,))
    assert report.line(verdict) == "note: Debian 13: name: is missing [0104: t]"


def test_the_text_of_allowed_values() -> None:
    assert RULES["image_source"].allowed == "private, the upstream's http, https or ftp(s) address"
    assert RULES["os_distro"].allowed == ""
