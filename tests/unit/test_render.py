"""Plans, results and progress as people and programs get them."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from cloud import TODAY, definition, settled
from rich.console import Console

from openstack_image_manager import progress, render
from openstack_image_manager.changes import checksum, diff
from openstack_image_manager.model import FieldChange, Finding, Image, Plan, Policy, Result, Update
from openstack_image_manager.plan import plan

ODD = "[red]x[/] :smile: \\[b] {0}"


def console(**options: Any) -> Console:
    return Console(file=io.StringIO(), highlight=False, soft_wrap=True, **options)


def shown(out: Console) -> str:
    assert isinstance(out.file, io.StringIO)
    return out.file.getvalue()


def text_of(plan_: Plan, cloud: str = "prod") -> str:
    out = console()
    render.plan_text(plan_, cloud, out)
    return shown(out)


def importing(found: Any = (), findings: Any = (), **fields: Any) -> Plan:
    return plan([definition(**fields)], list(found), Policy(), TODAY, findings)


def rotation() -> Plan:
    """A new build comes, the old one gets other properties and its dated name."""
    found = settled([definition(tags=["blue"], meta={"os_purpose": "generic", "os_distro": "ubuntu"})])
    return importing(
        found,
        versions=["20240416", "20240514"],
        tags=["green"],
        meta={"os_purpose": "generic", "os_distro": "", "hw_disk_bus": "scsi"},
        min_ram=512,
    )


def test_an_import_is_told_with_all_that_will_be_there() -> None:
    version = {
        "version": "1",
        "url": "https://u:pw@example.org/d.img?sig=pw&a=1",
        "mirror_url": "https://mirror.example.org/d.img",
        "checksum": "md5:" + "0" * 32,
        "hidden": True,
    }
    made = importing(versions=[version], status="deactivated", min_disk=8, min_ram=512, meta={"hw_rng_model": "virtio"})
    assert text_of(made) == (
        "+ Ubuntu 24.04  import version 1: version 1 is not in the cloud\n"
        "    from               https://example.org/d.img?a=1\n"
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
        "    image_source       https://example.org/d.img?a=1\n"
        "    internal_version   1\n"
        f"prod: 1 definition, 0 managed images; 1 to import, 0 to change, 0 to delete; plan {checksum(made)}\n"
    )


def test_an_import_without_checksum_says_so() -> None:
    text = text_of(importing())
    assert "    checksum           none: the bytes can't be verified\n" in text
    assert "mirror  " not in text
    assert "status  " not in text
    assert "    visibility         public\n" in text


def test_an_import_whose_checksum_is_in_a_file_names_the_file() -> None:
    version = {"version": "1", "url": "https://example.org/d.img", "checksums_url": "https://u:p@example.org/SUMS"}
    lines = [line.split(maxsplit=1) for line in text_of(importing(versions=[version])).splitlines()]
    assert ["checksum", "the one in https://example.org/SUMS"] in lines


def test_a_change_is_told_field_by_field_with_its_reason() -> None:
    made = rotation()
    before = made.changes[-1].found.id  # type: ignore[union-attr]
    lines = text_of(made).splitlines()
    change = lines[lines.index(f"~ Ubuntu 24.04  {before}: superseded by 20240514") + 1 : -1]
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
    assert render.shown(FieldChange(field, before, after, "as defined")) == text


def test_a_plan_without_changes_is_one_line() -> None:
    found = settled([definition()])
    assert text_of(importing(found)) == "prod: 1 definition, 1 managed image; no changes\n"


def test_findings_are_told_before_the_counts() -> None:
    findings = [Finding("note", "a", "b"), Finding("warning", "c", "d"), Finding("error", "e", "f")]
    assert text_of(Plan((), tuple(findings), 2, 0)) == (
        "note: a: b\nwarning: c: d\nerror: e: f\nprod: 2 definitions, 0 managed images; 1 error, nothing else to do\n"
    )


def everything_odd(odd: str) -> Plan:
    """A plan in which every text is `odd`."""
    version = {"version": odd, "url": "https://example.org/1", "source": odd}
    fields = {"name": odd, "tags": [odd], "multi": False, "meta": {odd: odd}, "versions": [version]}
    old = settled([definition(**(fields | {"meta": {odd: "old", "gone": odd}, "tags": [odd + "2"]}))])
    findings = [Finding("warning", odd, odd)]
    new = plan([definition(**fields)], [], Policy(), TODAY, findings)
    return Plan((*new.changes, *plan([definition(**fields)], old, Policy(), TODAY).changes), new.findings, 1, 1)


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


WITH_SECRET = "https://user:pa@ss@example.org/d"


@pytest.mark.parametrize(
    "form", [text_of, *(lambda made, f=f: f(made, "c") for f in (render.plan_json, render.plan_markdown))]
)
def test_user_and_password_of_a_url_are_never_shown(form: Any) -> None:
    made = everything_odd(WITH_SECRET)
    text = form(made)
    assert "pa@ss" not in text.replace("\\", "")
    assert "user" not in text
    assert "***@example.org/d" in text.replace("\\", "")


def test_json_is_the_whole_plan() -> None:
    made = rotation()
    data = json.loads(render.plan_json(made, "prod"))
    assert data == json.loads(json.dumps(render.plan_data(made, "prod")))
    assert list(data) == ["cloud", "checksum", "definitions", "images", "changes", "findings"]
    assert (data["cloud"], data["checksum"], data["definitions"], data["images"]) == ("prod", checksum(made), 1, 1)
    assert [change["action"] for change in data["changes"]] == ["import", "change"]
    findings = json.loads(render.plan_json(Plan((), (Finding("note", "a", ODD),)), "prod"))["findings"]
    assert findings == [{"level": "note", "subject": "a", "message": ODD}]


def test_markdown_is_a_heading_a_table_and_a_list() -> None:
    made = rotation()
    noted = Plan(made.changes, (Finding("warning", "a|b", "c"),), 1, 1)
    lines = render.plan_markdown(noted, "prod").splitlines()
    assert lines[:6] == [
        "## Image plan for prod",
        "",
        render.summary(noted, "prod"),
        "",
        "| image | field | before | after | reason |",
        "| --- | --- | --- | --- | --- |",
    ]
    assert lines[6] == "| Ubuntu 24.04 | import |  | 20240514 | version 20240514 is not in the cloud |"
    assert "| Ubuntu 24.04 | min_ram | 0 | 512 | as defined |" in lines
    assert "| Ubuntu 24.04 | tags |  | -blue -os:ubuntu +green | as defined |" in lines
    assert lines[-2:] == ["", "- **warning** a\\|b: c"]


def test_markdown_of_a_plan_without_changes_has_no_table() -> None:
    assert render.plan_markdown(Plan((), (), 1, 1), "prod") == (
        "## Image plan for prod\n\nprod: 1 definition, 1 managed image; no changes\n"
    )


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("a|b", "a\\|b"),
        ("[x](http://y)", "\\[x\\](http://y)"),
        ("<b>&lt;`c`*d*~~e~~\\", "\\<b\\>\\&lt;\\`c\\`\\*d\\*\\~\\~e\\~\\~\\\\"),
        ("_a_ os_purpose __b__", "\\_a\\_ os_purpose \\_\\_b\\_\\_"),
        ("two\nlines", "two\\\\nlines"),
    ],
)
def test_markdown_shows_names_as_they_are(name: str, written: str) -> None:
    made = Plan((), (Finding("note", name, name),))
    text = render.plan_markdown(made, name)
    assert text.startswith(f"## Image plan for {written}\n\n{written}: 0 definitions")
    assert text.endswith(f"- **note** {written}: {written}\n")


def test_every_row_of_the_table_has_five_cells() -> None:
    text = render.plan_markdown(everything_odd("a|b\\|c\\"), "prod")
    for row in (line for line in text.splitlines() if line.startswith("|")):
        assert row.replace("\\\\", "").replace("\\|", "").count("|") == 6


def test_results_are_counted_and_what_did_not_work_is_told() -> None:
    out = console()
    results = [
        Result("Ubuntu", "ok", ("imported",)),
        Result(ODD, "failed", (), f"{ODD} https://u:pw@example.org: 404"),
        Result("Debian", "skipped", (), "interrupted"),
    ]
    render.results_text(results, out)
    assert shown(out) == (
        f"failed: {ODD}: {ODD} https://***@example.org: 404\nskipped: Debian: interrupted\n1 ok, 1 failed, 1 skipped\n"
    )


def test_a_table_of_images_is_never_cut() -> None:
    out = console(width=40)
    images = [
        Image("b " * 40, "public", id="2" * 36, min_disk=8, size=10 * 1024**2),
        Image(ODD, "private", hidden=True),
    ]
    render.images_table(images, out)
    head, odd, long = shown(out).splitlines()
    assert head.split() == ["Name", "ID", "Status", "Visibility", "Hidden", "Min", "disk", "Size"]
    assert odd.startswith(ODD)
    assert odd.endswith("private     True    0")
    assert long.endswith(f"{'2' * 36}  active  public      False   8         10.0 MiB")


# Terminals and logs


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    for name in ("NO_COLOR", "FORCE_COLOR", "COLORTERM", "TTY_COMPATIBLE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    return monkeypatch


def test_colours_are_for_terminals(environment: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    render.plan_text(rotation(), "prod", render.console())
    out, err = capsys.readouterr()
    assert "\x1b" not in out
    assert err == ""
    assert max(map(len, out.splitlines())) > 80
    environment.setenv("FORCE_COLOR", "1")
    render.plan_text(rotation(), "prod", render.console(stderr=True))
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b[32m+ Ubuntu 24.04\x1b[0m  import" in err
    environment.setenv("NO_COLOR", "1")
    render.plan_text(rotation(), "prod", render.console())
    out, _ = capsys.readouterr()
    assert "+ Ubuntu 24.04  import" in out
    assert "\x1b[3" not in out


def test_logs_get_a_line_for_each_event_and_none_for_bytes() -> None:
    out = console()
    reporter = progress.reporter(out)
    with reporter as lines:
        assert lines is reporter
        lines.line(ODD, f"{ODD} fetched")
        lines.progress(ODD, "fetching", 1, 2)
        lines.finished(ODD)
    assert not reporter.live
    assert shown(out) == f"{ODD}: {ODD} fetched\n"


def test_a_terminal_gets_a_total_of_what_is_expected(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("COLUMNS", "200")
    out = console(force_terminal=True, width=200)
    with progress.reporter(out) as bars:
        bars.expect(3)
        bars.progress("a", "copying", 3 * 1024**2, 12 * 1024**2)
        bars.progress("b", "copying", 4 * 1024**2)
        bars._progress.refresh()  # type: ignore[union-attr]
        bars.progress("a", "copying", 12 * 1024**2, 12 * 1024**2)
        bars.finished("a")
        bars.finished("never seen")
        bars._progress.refresh()  # type: ignore[union-attr]
    text = shown(out)
    assert re.search("in total .*0 of 3 images, 7 MiB", text)
    assert re.search("in total .*1 of 3 images, 16 MiB", text)


def test_one_image_is_its_own_total(environment: pytest.MonkeyPatch) -> None:
    out = console(force_terminal=True, width=200)
    with progress.reporter(out) as bars:
        bars.expect(1)
        bars.progress("a", "copying", 3 * 1024**2)
        bars._progress.refresh()  # type: ignore[union-attr]
    assert "in total" not in shown(out)
    progress.reporter(console(force_terminal=False, width=200)).expect(3)


def test_a_terminal_gets_bars_and_the_lines_above_them(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("COLUMNS", "200")
    out = console(force_terminal=True, width=200)
    reporter = progress.reporter(out)
    assert reporter.live
    with reporter as bars:
        assert bars is reporter
        bars.progress(ODD, "waiting")
        bars.progress(ODD, "fetching", 3 * 1024**2)
        bars.progress("other", ODD, 3 * 1024**2, 12 * 1024**2)
        bars._progress.refresh()  # type: ignore[union-attr]
        bars.line(ODD, "a line")
        bars.finished("other")
        bars.finished("other")
        bars.finished("never seen")
    text = shown(out)
    assert f"{ODD}: a line\n" in text
    assert f"{ODD} " in text
    assert "fetching 3 MiB" in text
    assert f"{ODD} 3 MiB of 12 MiB" in text


def test_projects_have_names_where_these_are_known():
    names = {"7": "shop", "8": "cart"}
    found = Image("A", "shared", owner="7", members=frozenset({"8", "9"}), id="x", properties={"a": "7"})
    wanted = replace(found, owner="8", members=frozenset({"7", "9"}), properties={"a": "8"})
    plan_ = Plan((Update("A", found, wanted, diff(found, wanted), "why"),), projects=names)
    told = {line.split()[0]: line for line in text_of(plan_).splitlines() if line.startswith("    ")}
    assert "shop (7) → cart (8)" in told["owner"]
    assert "-cart (8) +shop (7)" in told["members"]
    assert "7 → 8" in told["a"]
    assert "shop (7)" in render.plan_markdown(plan_, "prod")
    data = json.loads(render.plan_json(plan_, "prod"))
    assert (data["projects"], data["changes"][0]["fields"][0]["after"]) == (names, "8")
    imported = replace(importing(owner="7", visibility="shared", members=["8"]), projects=names)
    rows = {line.split()[0]: line.split(None, 1)[1] for line in text_of(imported).splitlines() if line[:4] == "    "}
    assert (rows["owner"], rows["members"]) == ("shop (7)", "cart (8)")
