"""The results of `doctor`: states, reasons, and the settings to change."""

from __future__ import annotations

import re
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from tests.support.bare import definition, version

from openstack_image_manager.doctor import advice, probe
from openstack_image_manager.doctor.needs import Answer, Needs, needs
from openstack_image_manager.doctor.report import Check, State, cases, data, has_problem, lines, rows, summary
from openstack_image_manager.plan.markers import OWN
from openstack_image_manager.plan.model import Plan, Policy
from openstack_image_manager.plan.planner import plan

NOTHING = Needs()
STATES: tuple[State, ...] = ("ok", "warning", "problem", "unknown")
GIB = 1024**3
SEEN = (True, False, None)
ROOT = Path(__file__).parents[3]


def test_the_text_of_a_check() -> None:
    bad = Check("quota", "problem", "too small", "imports fail", "make it larger")
    assert [text for text, _ in lines(bad)] == [
        "problem  quota: too small",
        "         why: imports fail",
        "         change: make it larger",
    ]
    good = Check("quota", "ok", "large", "imports fail", "nothing")
    assert [text for text, _ in lines(good)] == ["ok       quota: large", "         why: imports fail"]
    unseen = Check("quota", "unknown", "?", "imports fail")
    assert len(lines(unseen)) == 2
    assert summary([bad, good, good, unseen]) == "2 ok, 0 warnings, 1 problem, 1 unknown"
    assert (has_problem([good, unseen]), has_problem([good, bad])) == (False, True)
    assert data([bad])[0]["change"] == "make it larger"
    assert rows([bad, good])[1:] == [
        ["problem", "quota", "too small", "imports fail", "make it larger"],
        ["ok", "quota", "large", "imports fail", ""],
    ]


def test_checks_as_test_cases() -> None:
    checks = [Check("quota", state, "seen", "imports fail") for state in STATES]
    text = "seen\nwhy: imports fail"
    assert [(case.failure, case.skipped) for case in cases("one", checks)] == [
        (None, None),
        (None, f"warning: {text}"),
        (f"problem: {text}", None),
        (None, f"unknown: {text}"),
    ]
    assert {(case.name, case.classname) for case in cases("one", checks)} == {("quota", "one")}


@pytest.mark.parametrize(
    ("offset", "state"),
    [(0.4, "ok"), (-29, "ok"), (31, "warning"), (-299, "warning"), (301, "problem"), (None, "unknown")],
)
def test_the_clock(offset: float | None, state: str) -> None:
    assert advice.clock(offset).state == state


def test_the_text_of_the_clock_check() -> None:
    assert advice.clock(400).what == "the cloud's clock is 400 s ahead of this machine's"
    assert advice.clock(-400).what == "the cloud's clock is 400 s behind this machine's"


def test_the_login() -> None:
    assert advice.login("anna", "shop", [], "https://glance.example").what.endswith(
        "roles (none); Glance at https://glance.example"
    )
    assert advice.no_login("refused").state == "problem"


PUBLIC = needs([definition(version("1", "http://x/1"), visibility="public")], None, {})
PRIVATE = needs([definition(version("1", "http://x/1"))], None, {})


@pytest.mark.parametrize(
    ("name", "allowed", "needed", "state"),
    [
        ("publicize_image", True, PUBLIC, "ok"),
        ("publicize_image", False, PUBLIC, "problem"),
        ("publicize_image", False, PRIVATE, "ok"),
        ("publicize_image", False, NOTHING, "warning"),
        ("publicize_image", None, PUBLIC, "unknown"),
        ("communitize_image", False, PUBLIC, "warning"),
        ("add_image", False, NOTHING, "problem"),
        ("delete_image", False, PRIVATE, "problem"),
    ],
)
def test_rights(name: str, allowed: bool | None, needed: Needs, state: str) -> None:
    check = advice.right(name, allowed, needed, "no")
    assert check.state == state
    assert (name in check.change) == ((not allowed and state != "ok") or allowed is None)


def test_the_rights_that_definitions_need() -> None:
    def rights(*versions: dict[str, Any], **fields: Any) -> tuple[set[str], set[str]]:
        made = needs([definition(*versions, **fields)], None, {})
        return set(made.rights), set(made.useful)

    assert rights() == (set(), set())
    assert rights(visibility="community") == ({"communitize_image"}, set())
    assert rights(version("1", "http://x/1", visibility="public")) == ({"publicize_image"}, {"communitize_image"})
    assert rights(visibility="shared", members=["shop"]) == ({"get_members", "add_member"}, {"delete_member"})
    assert rights(status="deactivated", stores=["fast"]) == ({"deactivate"}, {"copy_image"})


@pytest.mark.parametrize(
    ("found", "only_local", "state"),
    [
        (["glance-direct", "web-download"], 1, "ok"),
        (["glance-direct"], 1, "ok"),
        (["web-download"], 0, "warning"),
        (["web-download"], 1, "problem"),
        (["copy-image"], 0, "problem"),
        ([], 0, "problem"),
    ],
)
def test_import_methods(found: list[str], only_local: int, state: str) -> None:
    check = advice.methods(found, Needs(True, only_local=only_local))
    assert check.state == state
    assert (check.change != "") == (state != "ok")


def test_copies_into_other_stores() -> None:
    wanted = Needs(True, only_local=1, stores=frozenset({"fast"}))
    check = advice.methods(["glance-direct"], wanted)
    assert (check.state, "without copy-image" in check.what, "copy-image" in check.change) == ("warning", True, True)
    assert advice.methods(["glance-direct", "copy-image"], wanted).state == "ok"
    check = advice.methods(["web-download"], wanted)
    assert (check.state, "Glance cannot download" in check.what, "without copy-image" in check.what) == (
        "problem",
        True,
        True,
    )


def test_programs_for_signatures() -> None:
    assert advice.signatures(None).state == "ok"
    check = advice.signatures("none can be checked: install it (a: b)")
    assert (check.state, check.what, check.change) == ("warning", "none can be checked", "install it (a: b)")


def test_staging() -> None:
    assert advice.staging(None).state == "ok"
    assert (advice.staging("410 Gone").state, "worker_self_reference_url" in advice.staging("410").change) == (
        "problem",
        True,
    )


def test_stores() -> None:
    wanted = needs([definition(stores=["fast", "far"])], None, {})
    missing = advice.stores(["fast", "slow"], None, wanted)
    assert (missing.state, missing.what) == (
        "problem",
        "definitions name far, which this cloud does not have; it has fast, slow",
    )
    assert "one store, without a name" in advice.stores([], None, wanted).what
    assert advice.stores([], None, NOTHING).what == "one, without a name"
    assert advice.stores(["slow", "fast"], {"fast": "rbd"}, NOTHING).what == "fast (rbd), slow"


QCOW2 = Needs(True, formats=frozenset({"qcow2", "raw"}))


@pytest.mark.parametrize(
    ("converts", "kinds", "needed", "state"),
    [
        (True, {"ceph": "rbd"}, QCOW2, "ok"),
        (False, {"ceph": "rbd"}, QCOW2, "problem"),
        (False, {"fast": "file"}, QCOW2, "ok"),
        (False, None, QCOW2, "warning"),
        (None, {"ceph": "rbd"}, NOTHING, "unknown"),
        (None, None, NOTHING, "unknown"),
        (False, {"ceph": "rbd"}, Needs(True, formats=frozenset({"raw", "iso"})), "ok"),
    ],
)
def test_conversion(converts: bool | None, kinds: dict[str, str] | None, needed: Needs, state: str) -> None:
    check = advice.conversion(converts, kinds, needed)
    assert check.state == state
    assert "Ceph RBD" in check.why
    assert ("output_format = raw" in check.change) == (state != "ok")


def test_quota_without_unified_limits() -> None:
    unseen = advice.no_limits(None, 5 * GIB, Needs(True, imports=2, size=GIB // 2, unsized=1))
    assert unseen.state == "unknown"
    assert "this project's images take 5.0 GiB; 2 images to import: 512.0 MiB as published" in unseen.what
    assert unseen.what.endswith("and 1 of unknown size")
    assert "1 image to import" in advice.room(Needs(True, imports=1))
    assert advice.room(Needs(True)) == "no image to import"
    assert "no definitions" in advice.room(NOTHING)
    ignored = advice.no_limits({"image_size_total": 1000}, 0, NOTHING)
    assert (ignored.state, "image_size_total 1000" in ignored.what) == ("warning", True)
    assert "images take" not in advice.no_limits(None, None, NOTHING).what
    assert ignored.change.startswith("[DEFAULT] use_keystone_limits = true")


def test_a_project_that_is_full() -> None:
    assert (advice.full("413").state, advice.full("413").topic) == ("problem", "quota")


def test_unified_limits() -> None:
    usage = {
        "image_size_total": (1000, 1600),
        "image_count_total": (8, 10),
        "image_stage_total": (0, 100),
        "image_count_uploading": (0, -1),
        "something_new": (1, 1),
    }
    wanted = Needs(True, imports=2, size=500 * 1024**2, largest=101 * 1024**2)
    states = {check.topic: check.state for check in advice.limits(usage, wanted, 4)}
    assert states == {
        "limit image_size_total": "warning",
        "limit image_count_total": "warning",
        "limit image_stage_total": "problem",
        "limit image_count_uploading": "ok",
    }
    (size, *_) = advice.limits(usage, Needs(True), 4)
    assert (size.state, size.what) == ("ok", "1000 MiB used of 1600 MiB, and the imports need 0 MiB more")


def test_the_number_and_size_of_imports() -> None:
    mirrored = version("1", "http://x/1", mirror_url="http://m/1")
    others = version("2", "file:///a"), version("3", "ftp://x/3"), version("4", "http://x/4", size=7)
    answers = {"http://m/1": Answer("http://m/1", failure="404"), "http://x/1": Answer("http://x/1", 5)}
    every = definition(mirrored, *others)
    required = needs([every], None, answers)
    assert (required.imports, required.size, required.largest, required.unsized, required.only_local) == (
        4,
        12,
        7,
        2,
        2,
    )
    made = plan([every], [], Policy(latest=False), date(2026, 6, 1))
    assert needs([every], made, answers).size == 12
    assert needs([every], Plan(made.changes[:1]), answers).imports == 1
    assert needs([every], Plan(()), answers).imports == 0


def test_the_check_of_images_in_use() -> None:
    states = {(what, seen): advice.usage(what, seen).state for what in ("servers", "volumes") for seen in SEEN}
    assert states == {
        ("servers", True): "ok",
        ("servers", False): "warning",
        ("servers", None): "unknown",
        ("volumes", True): "ok",
        ("volumes", False): "warning",
        ("volumes", None): "ok",
    }
    servers, volumes = (advice.usage(what, False, "Nova answered 403") for what in ("servers", "volumes"))
    assert servers.what == "cannot check which images are in use: Nova answered 403"
    assert "os_compute_api:servers:index:get_all_tenants" in servers.change
    assert "context_is_admin" in volumes.change
    assert "--unknown-usage delete" in advice.usage("servers", None).change


def test_the_setting_that_keeps_our_properties_off_snapshots() -> None:
    """It has all of our properties and what Nova has by default, and the page says the same."""
    source = "".join(path.read_text(encoding="utf-8") for path in (ROOT / "src").rglob("*.py"))
    own = set(re.findall(r'"(image_manager_[a-z_]+)"', source)) - {probe.TAG, probe.NOTHING}
    assert own == set(OWN)
    check = advice.inheritance()
    setting = check.change.removeprefix("nova.conf: [DEFAULT] ")
    assert setting == f"non_inheritable_image_properties = cache_in_nova,bittorrent,{','.join(OWN)}"
    assert f"[DEFAULT]\n{setting}\n" in (ROOT / "docs" / "life-cycle.md").read_text(encoding="utf-8")
    assert check.state == "unknown"
