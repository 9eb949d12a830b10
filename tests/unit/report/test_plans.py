"""Plans, results and lists as people read them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.plans import definition, settled
from tests.support.shown import ODD, everything_odd, importing, rotation, shown, text_of
from tests.support.shown import console as shown_console

from openstack_image_manager.model import FieldChange, Finding, Image
from openstack_image_manager.plan.diff import diff
from openstack_image_manager.plan.model import Plan, Result, Update
from openstack_image_manager.plan.serialize import checksum
from openstack_image_manager.report import console, plans


def test_an_import_is_told_with_all_that_will_be_there() -> None:
    version = {
        "version": "1",
        "url": "https://u:pw@example.org/d.img?sig=pw&build=1",
        "mirror_url": "https://mirror.example.org/d.img",
        "checksum": "md5:" + "0" * 32,
        "hidden": True,
    }
    made = importing(versions=[version], status="deactivated", min_disk=8, min_ram=512, meta={"hw_rng_model": "virtio"})
    assert text_of(made) == (
        "+ Ubuntu 24.04  import version 1: version 1 is not in the cloud\n"
        "    from               https://example.org/d.img?build=1\n"
        "    mirror             https://mirror.example.org/d.img\n"
        "    checksum           md5:00000000000000000000000000000000\n"
        "    format             qcow2\n"
        "    visibility         public, hidden\n"
        "    needs              8 GiB disk, 512 MiB memory\n"
        "    tags               managed_by_osism\n"
        "    status             deactivated\n"
        "    hw_rng_model       virtio\n"
        "    image_description  Ubuntu 24.04\n"
        "    image_name         Ubuntu 24.04\n"
        "    image_source       https://example.org/d.img?build=1\n"
        "    internal_version   1\n"
        f"prod: 1 definition, 0 managed images; 1 to import, 0 to change, 0 to delete; plan {checksum(made)}\n"
    )


def test_an_import_without_checksum_says_so() -> None:
    text = text_of(importing())
    assert "    checksum           none: the data cannot be verified\n" in text
    assert "mirror  " not in text
    assert "status  " not in text
    assert "    visibility         public\n" in text


def test_an_import_whose_checksum_is_in_a_file_names_the_file() -> None:
    version = {"version": "1", "url": "https://example.org/d.img", "checksums_url": "https://u:p@example.org/SUMS"}
    lines = [line.split(maxsplit=1) for line in text_of(importing(versions=[version])).splitlines()]
    assert ["checksum", "the one in https://example.org/SUMS"] in lines


def test_an_import_tells_the_digest_at_its_mirror() -> None:
    version = {"version": "1", "url": "https://example.org/d.img.xz", "mirror_checksum": f"sha256:{'1' * 64}"}
    lines = [line.split(maxsplit=1) for line in text_of(importing(versions=[version])).splitlines()]
    assert ["mirror_checksum", f"sha256:{'1' * 64}"] in lines


def test_a_change_is_told_field_by_field_with_its_reason() -> None:
    made = rotation()
    (update,) = (change for change in made.changes if isinstance(change, Update))
    lines = text_of(made).splitlines()
    change = lines[lines.index(f"~ Ubuntu 24.04  {update.found.id}: superseded by 20240514") + 1 : -1]
    assert [" ".join(line.split()) for line in change] == [
        "name Ubuntu 24.04 → Ubuntu 24.04 (20240416) superseded by 20240514",
        "min_ram 0 → 512 as defined",
        "tags -blue -os:ubuntu +green as defined",
        "hw_disk_bus (none) → scsi as defined",
        "image_manager_record (rewritten) record of what is managed",
        'os_distro ubuntu → "" as defined',
        "os_purpose generic → oldgeneric superseded by 20240514",
    ]
    assert "1 to import, 1 to change, 0 to delete" in lines[-1]


@pytest.mark.parametrize(
    ("field", "before", "after", "text"),
    [
        ("min_ram", 0, 512, "0 → 512"),
        ("hidden", False, True, "False → True"),
        ("x", None, "a → b", "(none) → a → b"),
        ("x", "a", None, "a → (removed)"),
        ("x", "", "a", '"" → a'),
        ("tags", frozenset("a"), frozenset("b"), "-a +b"),
        ("tags", frozenset("a"), frozenset("ab"), "+b"),
        ("image_manager_record", None, "{}", "(none) → (written)"),
        ("image_manager_record", "{}", '{"a":1}', "(rewritten)"),
    ],
)
def test_before_and_after(field: str, before: Any, after: Any, text: str) -> None:
    assert plans.shown(FieldChange(field, before, after, "as defined")) == text


def test_a_query_that_is_no_longer_stored_is_told_and_not_shown() -> None:
    change = FieldChange("image_source", "https://example.org/a?k=geheim", "https://example.org/a", "as defined")
    text = "https://example.org/a (with a query that is not shown) → https://example.org/a"
    assert plans.shown(change) == text


def test_a_plan_without_changes_is_one_line() -> None:
    found = settled([definition()])
    assert text_of(importing(found)) == "prod: 1 definition, 1 managed image; no changes\n"


def test_findings_are_told_before_the_counts() -> None:
    findings = [Finding("note", "a", "b"), Finding("warning", "c", "d"), Finding("error", "e", "f")]
    assert text_of(Plan((), tuple(findings), 2, 0)) == (
        "note: a: b\nwarning: c: d\nerror: e: f\nprod: 2 definitions, 0 managed images; 1 error, nothing else to do\n"
    )


def test_names_that_look_like_markup_are_shown_as_they_are() -> None:
    text = text_of(everything_odd(ODD), ODD)
    for line in (
        f"+ {ODD} {ODD}  import version {ODD}: version {ODD} is not in the cloud\n",
        f"    {ODD:{max(len(ODD), 17)}}  {ODD}\n",
        f"~ {ODD} {ODD}  ",
        f"-{ODD}2 +{ODD}",
        f"{ODD} → (removed)",
        f"warning: {ODD}: {ODD}\n",
        f"{ODD}: 1 definition",
    ):
        assert line in text, line


def test_no_control_character_reaches_a_terminal() -> None:
    text = text_of(Plan((), (Finding("error", "\x1b[31mred", "two\nlines"),)), "a\x07b")
    assert text.splitlines() == [
        r"error: \x1b[31mred: two\nlines",
        r"a\x07b: 0 definitions, 0 managed images; 1 error, nothing else to do",
    ]


def test_results_are_counted_and_what_did_not_work_is_told() -> None:
    out = shown_console()
    results = [
        Result("Ubuntu", "ok", ("imported",)),
        Result(ODD, "failed", (), f"{ODD} https://u:pw@example.org: 404"),
        Result("Debian", "skipped", (), "interrupted"),
    ]
    plans.results_text(results, out)
    assert shown(out) == (
        f"failed: {ODD}: {ODD} https://***@example.org: 404\nskipped: Debian: interrupted\n1 ok, 1 failed, 1 skipped\n"
    )


def test_a_table_of_images_is_never_cut() -> None:
    out = shown_console(width=40)
    images = [
        Image("b " * 40, "public", id="2" * 36, min_disk=8, size=10 * 1024**2),
        Image(ODD, "private", hidden=True),
    ]
    plans.images_table(images, out)
    head, odd, long = shown(out).splitlines()
    assert head.split() == ["Name", "ID", "Status", "Visibility", "Hidden", "Min", "disk", "Size"]
    assert odd.startswith(ODD)
    assert odd.endswith("private     True    0")
    assert long.endswith(f"{'2' * 36}  active  public      False   8         10.0 MiB")


def test_colours_are_for_terminals(terminal: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    plans.plan_text(rotation(), "prod", console.console())
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert err == ""
    assert max(map(len, out.splitlines())) > 80
    terminal.setenv("FORCE_COLOR", "1")
    plans.plan_text(rotation(), "prod", console.console(stderr=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b[32m+ Ubuntu 24.04\x1b[0m  import" in err
    terminal.setenv("NO_COLOR", "1")
    plans.plan_text(rotation(), "prod", console.console())
    out, _ = capsys.readouterr()
    assert "+ Ubuntu 24.04  import" in out
    assert "\x1b[3" not in out


def test_projects_have_names_where_these_are_known():
    names = {"7": "shop", "8": "cart"}
    found = Image("A", "shared", owner="7", members=frozenset({"8", "9"}), id="x", properties={"a": "7"})
    wanted = replace(found, owner="8", members=frozenset({"7", "9"}), properties={"a": "8"})
    plan_ = Plan((Update("A", found, wanted, diff(found, wanted), "why"),), projects=names)
    told = {line.split()[0]: line for line in text_of(plan_).splitlines() if line.startswith("    ")}
    assert "shop (7) → cart (8)" in told["owner"]
    assert "-cart (8) +shop (7)" in told["members"]
    assert "7 → 8" in told["a"]
    assert "shop (7)" in plans.plan_markdown(plan_, "prod")
    data = plans.plan_data(plan_, "prod")
    assert (data["projects"], data["changes"][0]["fields"][0]["after"]) == (names, "8")
    imported = replace(importing(owner="7", visibility="shared", members=["8"]), projects=names)
    rows = {line.split()[0]: line.split(None, 1)[1] for line in text_of(imported).splitlines() if line[:4] == "    "}
    assert (rows["owner"], rows["members"]) == ("shop (7)", "cart (8)")
