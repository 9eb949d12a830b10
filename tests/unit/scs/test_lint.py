"""Checks of definitions against the SCS standards, with positions, and the report."""

from __future__ import annotations

import pytest
from tests.support.scs_images import NOW

from openstack_image_manager.definitions.parser import read
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.scs import report
from openstack_image_manager.scs.lint import Remark, lint
from openstack_image_manager.scs.rules import STANDARDS, V2

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
def test_a_file_that_changed_after_loading(now: bytes) -> None:
    assert {r.place.line for r in linted(DEFINITIONS, {"a.yml": now})} == {2, None}


def test_a_version_that_is_not_in_a_file() -> None:
    definitions, positions = read("a.yml", DEFINITIONS)
    moved = [
        each.model_copy(update={"versions": [v.model_copy(update={"version": "3"}) for v in each.versions[:1]]})
        for each in definitions
    ]
    made = plan(moved, [], Policy(), NOW.date())
    _, remarks = lint(made, definitions, positions, {"a.yml": DEFINITIONS}, [V2], NOW)
    assert [r.place.line for r in remarks if r.verdict.key == "image_build_date"] == [9]


def test_the_report_on_definitions() -> None:
    definitions, positions = read("a.yml", DEFINITIONS)
    made = plan(definitions, [], Policy(), NOW.date())
    found, remarks = lint(made, definitions, positions, {"a.yml": DEFINITIONS}, STANDARDS, NOW)
    first = report.lint_data(found, remarks)["findings"][0]
    assert (first["file"], first["line"], first["column"], first["key"]) == ("a.yml", 9, 21, "meta.architecture")
