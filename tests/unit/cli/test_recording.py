"""Reports and metrics are written whatever becomes of a run."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
import typer
from tests.support import offered

from openstack_image_manager.cli.recording import Recording, recording
from openstack_image_manager.doctor.report import Check, of_checks
from openstack_image_manager.errors import Error, FetchError, UsageError
from openstack_image_manager.model import Finding
from openstack_image_manager.report.content import Content, Lines
from openstack_image_manager.report.junit import Case
from openstack_image_manager.signatures.report import of_key
from openstack_image_manager.site.report import of_site
from openstack_image_manager.site.writer import Written
from openstack_image_manager.upstreams.edits import UpdateResult
from openstack_image_manager.upstreams.report import of_news

SECRET = "https://u:hunter2@example.org/?token=hunter2"


def content() -> Content:
    return Content(
        lambda: {"lines": [{"text": SECRET, "number": 1, "more": (SECRET,)}]},
        lambda: f"## Note\n\n{SECRET}\n",
        lambda: [Case("a", "b", failure=SECRET), Case("c", "d", skipped=SECRET)],
    )


def run(tmp_path: Path, end: Callable[[Recording], Any]) -> tuple[dict[str, Any], str, dict[str, str | None], str]:
    """Return the files of a run with this end: JSON, Markdown, the messages of the cases, metrics."""
    paths = [tmp_path / f"r.{suffix}" for suffix in ("json", "md", "xml")]
    ends = (typer.Exit, typer.Abort, Error, KeyboardInterrupt, ZeroDivisionError)
    with suppress(*ends), recording("mirror", paths, tmp_path / "r.prom") as record:
        end(record)
    cases = ElementTree.parse(paths[2]).getroot().iter("testcase")
    messages = {case.attrib["name"]: case[0].attrib["message"] if len(case) else None for case in cases}
    metrics = (tmp_path / "r.prom").read_text()
    return json.loads(paths[0].read_text()), paths[1].read_text(), messages, metrics


def stop(error: BaseException) -> Callable[[Recording], None]:
    def end(record: Recording) -> None:
        record.content = content()
        raise error

    return end


def test_a_run_that_ends_well(tmp_path: Path) -> None:
    data, note, cases, metrics = run(tmp_path, bool)
    assert (data["command"], data["exit_code"], data["error"]) == ("mirror", 0, None)
    assert note == "`mirror` ended with exit code 0.\n"
    assert cases == {"run": None}
    assert 'last_success_timestamp_seconds{command="mirror"}' in metrics


@pytest.mark.parametrize(
    ("error", "code", "message", "kind"),
    [
        (typer.Exit(3), 3, None, None),
        (typer.Exit(1), 1, None, None),
        (FetchError(f"{SECRET} is gone"), 1, "https://***@example.org/?token=*** is gone", "download"),
        (UsageError("so not"), 2, "so not", "usage"),
        (KeyboardInterrupt(), 130, "interrupted", None),
        (typer.Abort(), 1, "not confirmed; nothing was done", None),
        (ZeroDivisionError(), 1, "crashed: ZeroDivisionError", "other"),
    ],
)
def test_a_run_that_is_ended(
    tmp_path: Path, error: BaseException, code: int, message: str | None, kind: str | None
) -> None:
    data, note, cases, metrics = run(tmp_path, stop(error))
    assert (data["exit_code"], data["error"]) == (code, message)
    assert data["lines"] == [{"text": "https://***@example.org/?token=***", "number": 1, "more": [cases["a"]]}]
    assert cases == {"a": "https://***@example.org/?token=***", "c": cases["a"], "run": message}
    assert f"ended with exit code {code}" in note
    assert ("**error**" in note) == bool(message)
    assert "hunter2" not in f"{data}{note}{cases}{metrics}"
    failed = [line for line in metrics.splitlines() if "_failures{" in line and line.endswith(" 1.0")]
    assert [f'class="{kind}"' in line for line in failed] == ([True] if kind else [])
    assert ("last_success" in metrics) == (code == 3)


def test_nothing_is_written_where_nothing_was_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with recording("mirror", None):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("end", [bool, stop(typer.Exit(3)), stop(FetchError(f"{SECRET} is gone"))])
def test_json_on_standard_output_is_the_report(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], end: Callable[[Recording], Any]
) -> None:
    path = tmp_path / "r.json"
    with suppress(typer.Exit, Error), recording("plan", [path], prints_json=True) as record:
        end(record)
    assert capsys.readouterr().out == path.read_text()


def test_lines_as_they_come() -> None:
    lines = Lines("Members of x")
    report = lines.content()
    lines.lines.append(("x", "shop (1)", "shared, invited"))
    assert report.data() == {"lines": [{"image": "x", "project": "shop (1)", "state": "shared, invited"}]}
    assert "| x | shop (1) | shared, invited |" in report.markdown()
    assert report.cases() == [Case("shop (1)", "x")]


def test_news_of_upstreams() -> None:
    report = of_news([UpdateResult("A", "a.yml"), UpdateResult("B", "a.yml", error=FetchError("404"))])
    assert [each["state"] for each in report.data()["definitions"]] == ["current", "failed"]
    assert report.cases() == [Case("A", "a.yml"), Case("B", "a.yml", failure="404")]
    assert "1 failed" in report.markdown()


def test_a_site() -> None:
    made = offered.surveyed(offered.definitions(2)[:2], "north", "south")
    first, second = (each.name for each in made.offers)
    findings = [
        Finding("error", first, "no such owner"),
        Finding("error", "Other", "no such owner"),
        Finding("error", "Other", "nor there"),
        Finding("warning", second, "is odd"),
    ]
    report = of_site(made, Path("web"), findings, Written(3, 2, 1))
    data = report.data()
    assert (data["site"], data["clouds"]) == ("web", ["north", "south"])
    assert data["files"] == {"written": 3, "same": 2, "removed": 1}
    assert [each["name"] for each in data["images"]] == [first, second]
    assert data["images"][0]["versions"] == [build.version for build in made.offers[0].builds]
    assert data["findings"][3] == {"level": "warning", "subject": second, "message": "is odd"}
    assert report.cases() == [
        Case(first, "web", "no such owner"),
        Case(second, "web"),
        Case("Other", "web", "no such owner\nnor there"),
    ]
    note = report.markdown()
    assert f"- **warning** {second}: is odd\n" in note
    assert "in north, south; 3 files written, 2 unchanged, 1 removed\n" in note


def test_a_site_that_could_not_be_written() -> None:
    made = offered.surveyed(offered.definitions(1)[:1])
    report = of_site(made, Path("web"), [])
    assert (report.data()["files"], report.data()["findings"]) == (None, [])
    assert [(case.failure, case.skipped) for case in report.cases()] == [(None, "not written")]
    assert "in north; not written\n" in report.markdown()


def test_a_key_without_the_secrets_of_its_address() -> None:
    report = of_key("https://u:hunter2@example.org/key.asc", "AB" * 20, Path("keys/x.asc"))
    where = "https://example.org/key.asc"
    assert report.data() == {"url": where, "fingerprint": "AB" * 20, "file": "keys/x.asc"}
    assert report.cases() == [Case("AB" * 20, where)]
    assert "hunter2" not in report.markdown()
    assert f"| {'AB' * 20} | keys/x.asc |" in report.markdown()


def test_checks_of_clouds_and_from_here() -> None:
    good, bad = Check("login", "ok", "fine", "needed"), Check("addresses", "problem", "gone", "needed", "the address")
    clouds: dict[str, list[Check]] = {}
    here: list[Check] = []
    report = of_checks(clouds, here, "from this machine")
    assert (report.data(), report.cases(), report.markdown()) == ({"clouds": {}, "here": []}, [], "")
    clouds["one"] = [good]
    here.append(bad)
    assert report.data()["clouds"]["one"][0]["state"] == "ok"
    assert report.data()["here"][0]["change"] == "the address"
    assert [(case.name, case.classname, case.failure is None) for case in report.cases()] == [
        ("login", "one", True),
        ("addresses", "from this machine", False),
    ]
    assert "## one\n\n1 ok, 0 warnings, 0 problems, 0 unknown\n" in report.markdown()
    assert "| problem | addresses | gone | needed | the address |" in report.markdown()
