"""SCS-0102 and 0104: what is said of images, and until when they pass."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.model import Create, Delete, Image, Plan, Policy, Update
from openstack_image_manager.plan import plan
from openstack_image_manager.reading import read
from openstack_image_manager.scs import check, recency, report, standard
from openstack_image_manager.scs.lint import Remark, lint
from openstack_image_manager.scs.rules import IMAGES, RULES, STANDARDS, TESTS_0102, V1, V2, instant
from openstack_image_manager.scs.verdict import Verdict

NOW = datetime(2026, 6, 1, tzinfo=UTC)
GIB = 1024**3
NOBLE = "https://cloud-images.ubuntu.com/noble/20260520/noble-server-cloudimg-amd64.img"
GOOD = {
    "architecture": "x86_64",
    "os_distro": "ubuntu",
    "os_version": "24.04",
    "os_purpose": "generic",
    "hw_disk_bus": "scsi",
    "hw_scsi_model": "virtio-scsi",
    "hw_rng_model": "virtio",
    "hypervisor_type": "kvm",
    "image_build_date": "2026-05-20",
    "image_description": "Ubuntu 24.04",
    "image_original_user": "ubuntu",
    "image_source": NOBLE,
    "replace_frequency": "monthly",
    "provided_until": "2029-05-31",
    "uuid_validity": "last-3",
}


def image(name: str = "Ubuntu 24.04", fields: dict[str, Any] | None = None, **properties: str | None) -> Image:
    """A perfect image, but for these fields and properties (None: without)."""
    values = {key: value for key, value in {**GOOD, **properties}.items() if value is not None}
    made = Image(
        name=name,
        visibility="public",
        id=f"id of {name}",
        min_disk=4,
        min_ram=512,
        size=GIB,
        virtual_size=4 * GIB,
        hash_algorithm="sha512",
        created_at="2026-05-21T03:04:05Z",
        tags=frozenset({"managed_by_osism", "os:ubuntu"}),
        properties=values,
    )
    return replace(made, **(fields or {}))


def told(*images: Image, standards: tuple[str, ...] = (V1, V2)) -> list[tuple[str, str]]:
    """Level and key of all that is said of them."""
    found = check.judge(images, standards, NOW, is_all=False)
    return [(verdict.level, verdict.key) for verdict in found.verdicts]


def test_a_perfect_image() -> None:
    assert told(image(), standards=STANDARDS) == []


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
    assert told(image(**changes)) == [said]


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
    assert told(image(fields=fields)) == [said]


def test_what_only_glance_knows_is_not_asked_of_what_is_only_wanted() -> None:
    wanted = {"id": "", "min_disk": 0, "size": None, "virtual_size": None, "hash_algorithm": None, "created_at": ""}
    assert told(image(fields=wanted)) == []


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
        assert told(image(**changes)) == [], changes


def test_the_purpose_is_recommended_by_the_first_and_demanded_by_the_second() -> None:
    without = image(os_purpose=None)
    (first,) = check.judge([without], [V1], NOW).verdicts
    (second,) = check.judge([without], [V1, V2], NOW).verdicts
    assert (first.level, first.standards) == ("warning", (V1,))
    assert (second.level, second.standards) == ("error", (V2,))
    assert check.judge([without], [IMAGES], NOW, is_all=False).verdicts == ()


def test_whom_the_test_does_not_see() -> None:
    bad = {"min_ram": 0}
    unseen = [{**bad, "visibility": "private"}, {**bad, "visibility": "shared"}, {**bad, "hidden": True}]
    assert told(*(image(fields=fields) for fields in unseen)) == []
    assert told(image(fields={**bad, "visibility": "community"})) == [("error", "min_ram")]


OLD = {"image_build_date": "2026-01-01"}


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (image("Ubuntu 24.04 20260101", **OLD), []),
        (image("Ubuntu 24.04 2026-01-01", **OLD), []),
        (image("Ubuntu 24.04 prev", **OLD), []),
        (image("Ubuntu 24.04 (20260101)", **OLD), [("warning", "name")]),
        (image("Ubuntu 24.04-20260101", **OLD), [("error", "image_build_date")]),
        (image("Ubuntu", **OLD), [("error", "image_build_date")]),
        (image("Ubuntu 24.04 20260101", {"hidden": True}, **OLD), []),
        (image("Ubuntu 24.04-20260101", provided_until="none", **OLD), []),
        (image("Ubuntu 24.04-20260101", provided_until="2026-05-31", **OLD), []),
        (image("Ubuntu 24.04-20260101", provided_until="2026-01-31", **OLD), []),
        (image("Ubuntu 24.04-20260101", replace_frequency="never", **OLD), []),
        (image("Ubuntu 24.04-20260101", replace_frequency="yearly", **OLD), []),
    ],
)
def test_recency_beside_a_current_image(old: Image, said: list[tuple[str, str]]) -> None:
    old = replace(old, properties={**old.properties, "os_purpose": "oldgeneric"})
    assert told(image(), old) == said


def test_recency_of_all_that_is_old() -> None:
    old = image(image_build_date="2026-01-01")
    older = image("Ubuntu 24.04 20251201", image_build_date="2025-12-01", os_purpose="oldgeneric")
    verdicts = check.judge([old, older], [V2], NOW).verdicts
    assert [(each.name, each.test) for each in verdicts] == [
        ("Ubuntu 24.04", "scs-0102-image-recency"),
        ("Ubuntu 24.04 20251201", "scs-0102-image-recency"),
    ]
    assert "outdated since 2026-02-04 (monthly), and nothing newer stands in for it" in verdicts[0].message
    assert "its replacement 'Ubuntu 24.04' is outdated too" in verdicts[1].message


def test_the_last_moment() -> None:
    due = recency.outdated_from(image())
    assert due == datetime(2026, 5, 20, tzinfo=UTC) + timedelta(hours=31 * 24 * 1.1)
    assert not list(recency.judge([image()], [V1], due))
    assert list(recency.judge([image()], [V1], due + timedelta(seconds=1)))
    assert not list(recency.judge([image()], [IMAGES], due + timedelta(days=1)))


def test_what_has_no_last_moment() -> None:
    assert recency.outdated_from(image(image_build_date=None, replace_frequency=None)) is None
    assert recency.outdated_from(image(fields={"created_at": ""}, image_build_date=None)) is None
    assert recency.outdated_from(image(image_build_date="9999-12-30")) is None
    registered = recency.outdated_from(image(image_build_date=None))
    assert registered is not None
    assert registered.date() == date(2026, 6, 24)


def test_the_forecast() -> None:
    dated = image("Ubuntu 24.04 (20260401)", image_build_date="2026-04-01")
    yearly = image("Debian 13", replace_frequency="yearly")
    ends = image("Ends", provided_until="2026-06-10")
    forever = image("Forever", replace_frequency="never")
    alone = image("Forever 1", image_build_date="2026-05-01")
    found = recency.forecast([image(), dated, yearly, ends, forever, alone], NOW)
    assert [(each.name, each.on.date().isoformat(), each.replacement) for each in found] == [
        ("Ubuntu 24.04", "2026-06-23", None),
        ("Ubuntu 24.04 (20260401)", "2026-06-23", "Ubuntu 24.04"),
        ("Debian 13", "2027-06-25", None),
    ]
    line = report.forecast_line(found[1])
    assert "outdated on 2026-06-23" in line
    assert "'Ubuntu 24.04' stands in for it" in line
    assert "stands in" not in report.forecast_line(replace(found[0], id=""))


@given(st.dates(date(2024, 1, 1), date(2026, 5, 31)), st.sampled_from(["daily", "weekly", "monthly", "yearly"]))
def test_the_forecast_and_the_verdict_agree(built: date, frequency: str) -> None:
    alone = image("Alone", image_build_date=built.isoformat(), replace_frequency=frequency)
    fails = any(verdict.level == "error" for verdict in recency.judge([alone], [V2], NOW))
    coming = recency.forecast([alone], NOW)
    assert fails == (not coming)
    for each in coming:
        later = each.on + timedelta(seconds=1)
        assert any(verdict.level == "error" for verdict in recency.judge([alone], [V2], later))


def test_names_and_generic_images_are_there_once() -> None:
    twin = replace(image(), id="other")
    found = check.judge([image(), twin], [V2], NOW).verdicts
    assert [(each.level, each.key) for each in found] == [
        ("error", "os_purpose"),
        ("error", "os_purpose"),
        ("warning", "name"),
    ]
    assert "ubuntu 24.04 x86_64" in found[0].message
    arm = image("Ubuntu 24.04 arm", architecture="aarch64")
    unknown = image("Mine", os_version=None)
    community = image("Theirs", {"visibility": "community"})
    assert ("error", "os_purpose") not in told(image(), arm, unknown, community)


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
    assert told(node, standards=(IMAGES,)) == []
    assert told(image("ubuntu-capi-image-v1.34", image_source=site), standards=(IMAGES,)) == [("error", "os_purpose")]
    assert [each.takes("ubuntu-capi-image v1.34.1") for each in standard.STANDARD].count(True) == 1


def test_a_plan_mends_what_nobody_complains_about_afterwards() -> None:
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
    mended = check.mended(before, check.judge(after, [V2], NOW))
    assert {(each.name, each.key) for each in mended} >= {("Ubuntu 24.04", "min_ram"), ("Ubuntu", "min_ram")}
    assert ("Ubuntu 24.04", "uuid_validity") not in {(each.name, each.key) for each in mended}
    data = report.data(before, mended)
    assert {each["mended"] for each in data["findings"]} == {True, False}
    assert "; the plan mends it [" in report.line(next(iter(mended)), True)


DEFINITIONS = b"""\
images:
  - name: Ubuntu 24.04
    format: qcow2
    login: ubuntu
    min_ram: 32
    visibility: public
    multi: true
    meta:
      architecture: x86-64
      os_distro: ubuntu
      os_version: "24.04"
      os_purpose: generic
      hw_disk_bus: virtio
      hw_rng_model: virtio
      hypervisor_type: kvm
      replace_frequency: monthly
      provided_until: "2029-05-31"
      uuid_validity: last-3
      image_description: Ubuntu
    versions:
      - version: "20260515"
        url: http://x.example/1.img
      - version: "20260520"
        url: http://x.example/2.img
        build_date: 2026-05-20
        os_version: ""
        source: ftp
        image_description: ""
        meta: {hw_rng_model: none}
"""


def linted(data: bytes, files: dict[str, bytes] | None = None) -> list[Remark]:
    definitions, positions = read("a.yml", data)
    made = plan(definitions, [], Policy(), NOW.date())
    return lint(made, definitions, positions, files or {"a.yml": data}, STANDARDS, NOW)[1]


def test_places_in_definitions() -> None:
    remarks = linted(DEFINITIONS)
    places = {(r.place.line, r.place.field): r.verdict.level for r in remarks if r.place.line}
    assert places == {
        (9, "meta.architecture"): "error",
        (5, "min_ram"): "warning",
        (21, "image_build_date"): "error",
        (26, "versions[1].os_version"): "error",
        (27, "image_source"): "error",
        (28, "versions[1].image_description"): "error",
        (29, "versions[1].meta.hw_rng_model"): "error",
    }
    assert report.remark_line(remarks[0]).startswith("error: a.yml:9:21: Ubuntu 24.04: meta.architecture: 'x86-64'")
    missing = [r.place for r in remarks if not r.place.line]
    assert {(place.file, place.image) for place in missing} == {
        ("a.yml", "Ubuntu 22.04"),
        ("a.yml", "Debian 13"),
        ("a.yml", "ubuntu-capi-image v1.33"),
    }
    others = linted(DEFINITIONS, {"a.yml": DEFINITIONS, "b.yml": b"images: []"})
    assert {r.place.file for r in others if not r.place.line} == {""}


def test_other_places() -> None:
    data = DEFINITIONS.replace(b"    login: ubuntu\n", b"").replace(b"      uuid_validity: last-3\n", b"")
    places = {(r.verdict.key, r.place.line) for r in linted(data)}
    assert {("image_original_user", 2), ("uuid_validity", 8)} <= places
    plain = DEFINITIONS.replace(b"        source: ftp\n", b"").replace(b"build_date: 2026-05-20", b"size: 1")
    dates = {r.place.line for r in linted(plain) if r.verdict.key == "image_build_date"}
    assert dates == {21, 23}
    assert {r.place.line for r in linted(plain) if r.verdict.key == "image_source"} == {24}
    common = plain.replace(b"    meta:\n", b"    meta:\n      image_build_date: May\n")
    assert {r.place.line for r in linted(common) if r.verdict.key == "image_build_date"} == {9}


@pytest.mark.parametrize("now", [b"images: {", b"- a", b"other: 1", b"images: 1", b"images: [1, {name: Other}]"])
def test_a_file_that_changed_meanwhile(now: bytes) -> None:
    assert {r.place.line for r in linted(DEFINITIONS, {"a.yml": now})} == {2, None}


def test_a_version_that_stands_in_no_file() -> None:
    definitions, positions = read("a.yml", DEFINITIONS)
    moved = [
        each.model_copy(update={"versions": [v.model_copy(update={"version": "3"}) for v in each.versions[:1]]})
        for each in definitions
    ]
    made = plan(moved, [], Policy(), NOW.date())
    _, remarks = lint(made, definitions, positions, {"a.yml": DEFINITIONS}, [V2], NOW)
    assert [r.place.line for r in remarks if r.verdict.key == "image_build_date"] == [9]


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
    beside = [(v, "x") for v in check.judge([image(hw_scsi_model="lsilogic")], [V1], NOW).verdicts]
    assert report.cases("x", beside, [V1], strict=True)[-1].failure == "x"
    data = report.data(found)
    assert (data["images"], data["forecast"][0]["on"]) == (1, "2026-06-23")


def test_the_report_on_definitions() -> None:
    definitions, positions = read("a.yml", DEFINITIONS)
    made = plan(definitions, [], Policy(), NOW.date())
    found, remarks = lint(made, definitions, positions, {"a.yml": DEFINITIONS}, STANDARDS, NOW)
    first = report.lint_data(found, remarks)["findings"][0]
    assert (first["file"], first["line"], first["column"], first["key"]) == ("a.yml", 9, 21, "meta.architecture")


def test_lines_about_what_is_missing() -> None:
    verdict = Verdict("note", "t", "Debian 13", "", "name", "is missing", (IMAGES,))
    assert report.line(verdict) == "note: Debian 13: name: is missing [0104: t]"


def test_instants() -> None:
    assert instant("2026-05-20T01:02:03Z") == datetime(2026, 5, 20, 1, 2, 3, tzinfo=UTC)
    assert [instant(text) for text in ("", "2026-02-30", "today")] == [None, None, None]


def test_what_rules_allow_in_words() -> None:
    assert RULES["image_source"].allowed == "private, the upstream's http, https or ftp(s) address"
    assert RULES["os_distro"].allowed == ""
