"""What a report says of a run: nothing that failed or was left undone is missing from any of its forms."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.support import offered
from tests.support.plans import NOW, TODAY, definition, settled

from openstack_image_manager.doctor.report import Check, of_checks
from openstack_image_manager.errors import Error, Interrupted
from openstack_image_manager.mirror.location import items, parse_target
from openstack_image_manager.mirror.plan import Comparison, Plan, Verdict
from openstack_image_manager.mirror.report import Outcome, of_mirror
from openstack_image_manager.model import Finding
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.report import status
from openstack_image_manager.report.content import Lines
from openstack_image_manager.report.junit import Case
from openstack_image_manager.runs import report
from openstack_image_manager.runs.run import Clouds
from openstack_image_manager.signatures.report import of_key
from openstack_image_manager.site.report import of_site
from openstack_image_manager.site.writer import Written
from openstack_image_manager.upstreams.edits import UpdateResult
from openstack_image_manager.upstreams.report import of_news

BUCKET = parse_target("s3://b", "https://s3.example.org")


def judged(verdict: Verdict) -> Comparison:
    (item,) = items([definition("A", ["1"])], BUCKET)
    return Comparison(item, verdict, "why")


@pytest.mark.parametrize(
    ("verdict", "state", "dry_run", "case"),
    [
        (Verdict.CURRENT, "ok", False, (None, None)),
        (Verdict.MISSING, "failed", False, ("broken off", None)),
        (Verdict.MISSING, "skipped", False, (None, "broken off")),
        (Verdict.MISSING, None, True, (None, "to be done: MISSING: why")),
        (Verdict.MISSING, None, False, (None, None)),
        (Verdict.CURRENT, None, True, (None, None)),
        (Verdict.INVALID, None, False, ("INVALID: why", None)),
        (Verdict.FOREIGN, None, False, ("FOREIGN: why", None)),
    ],
)
def test_a_copy_that_failed_is_a_failure_and_one_that_was_not_made_is_skipped(
    verdict: Verdict, state: str | None, dry_run: bool, case: tuple[str | None, str | None]
) -> None:
    one = judged(verdict)
    outcomes = [Outcome(one, state, "broken off")] if state else []
    (made,) = of_mirror(Plan((one,), ()), BUCKET, outcomes, dry_run).cases()
    assert (made.name, made.classname, made.failure, made.skipped) == ("A (1)", "s3://b", *case)


def test_a_copy_that_was_skipped_without_a_word_was_interrupted() -> None:
    one = judged(Verdict.MISSING)
    (made,) = of_mirror(Plan((one,), ()), BUCKET, [Outcome(one, "skipped")], False).cases()
    assert made.skipped == "interrupted"


def test_what_fails_after_the_copies_is_in_every_form() -> None:
    told = of_mirror(Plan((), ()), BUCKET, (), False, {"index": Error("no | room")})
    assert [*told.cases()] == [Case("index", "s3://b", "no | room")]
    assert "**error** index: no \\| room" in told.markdown()


def test_a_status_names_clouds_and_definitions_that_could_not_be_looked_at() -> None:
    wanted = definition(versions=["1", "2"])
    images = [image for image in settled([wanted]) if image.properties["internal_version"] == "1"]
    pending = [replace(i, properties={**i.properties, markers.VERIFIED: markers.PENDING + "none"}) for i in images]
    rows = {
        name: status.rows(plan([wanted], found, Policy(), TODAY), [wanted], found, NOW)
        for name, found in (("one", images), ("two", pending))
    }
    findings = {"one": [Finding("error", "B", "broken"), Finding("note", "C", "fine")], "two": []}
    told = report.of_status(rows, {"three": "no login"}, findings)
    cases = {(case.classname, case.name): (bool(case.failure), bool(case.skipped)) for case in told.cases()}
    assert cases == {
        ("one", "Ubuntu 24.04 2"): (True, True),
        ("one", "Ubuntu 24.04 1"): (False, False),
        ("two", "Ubuntu 24.04 2"): (True, True),
        ("two", "Ubuntu 24.04 1"): (False, True),
        ("one", "B"): (True, False),
        ("three", "cloud"): (True, False),
    }
    text = told.markdown()
    assert "**error** B: broken" in text
    assert "**error** no login" in text
    assert "fine" not in text
    assert (set(told.data()["clouds"]), told.data()["failed"]) == ({"one", "two"}, {"three": "no login"})


def test_an_upstream_that_was_not_asked_is_skipped_and_one_that_failed_is_a_failure() -> None:
    news = [
        UpdateResult("A", "a.yml", error=Error("gone")),
        UpdateResult("B", "b.yml", error=Interrupted("stopped")),
        UpdateResult("C", "c"),
    ]
    told = of_news(news)
    assert [(each["image"], each["state"]) for each in told.data()["definitions"]] == [
        (each.name, each.state) for each in news
    ]
    assert [(case.failure, case.skipped) for case in told.cases()] == [
        ("gone", None),
        (None, "stopped"),
        (None, None),
    ]


def test_a_key_is_reported_without_what_is_secret_in_its_address() -> None:
    told = of_key("https://user:hunter2@example.org/key.asc", "A" * 40, Path("/keys/a.asc"))
    assert told.data() == {"url": "https://example.org/key.asc", "fingerprint": "A" * 40, "file": "/keys/a.asc"}
    assert "hunter2" not in f"{told.markdown()}{told.cases()}"
    assert told.cases() == [Case("A" * 40, "https://example.org/key.asc")]


def test_checks_of_this_machine_stand_beside_those_of_clouds_where_there_are_some() -> None:
    check = Check("login", "problem", "refused", "nothing works", "log in")
    told = of_checks({"one": [check]}, [check], "this machine")
    assert [case.classname for case in told.cases()] == ["one", "this machine"]
    assert told.markdown().count("refused") == 2
    alone = of_checks({"one": [check]}, [], "this machine")
    assert [case.classname for case in alone.cases()] == ["one"]
    assert "this machine" not in alone.markdown()


def test_lines_that_come_later_are_in_the_report_too() -> None:
    lines = Lines("Shares")
    told = lines.content()
    lines.lines.append(("Ubuntu", "shop", "shared"))
    assert told.data() == {"lines": [{"image": "Ubuntu", "project": "shop", "state": "shared"}]}
    assert told.cases() == [Case("shop", "Ubuntu")]
    assert "1 project" in told.markdown()


@pytest.mark.parametrize("applies", [True, False])
def test_a_cloud_that_failed_or_may_not_be_changed_is_in_every_form(applies: bool) -> None:
    clouds = Clouds([], failed={"one": Error("no login")}, refused={"two": Error("too many deletes")})
    told = report.of_clouds(clouds, applies)
    assert told.data() == {"clouds": [], "failed": {"one": "no login", "two": "too many deletes"}}
    assert told.markdown() == "**error** no login\n\n**error** too many deletes\n"
    assert [*told.cases()] == [Case("cloud", "one", "no login"), Case("cloud", "two", "too many deletes")]
    found = report.metrics(clouds, applies, lambda _: ())
    assert [(each.name, each.plan, [*each.failures]) for each in found] == [
        ("one", None, [Error.kind]),
        ("two", None, [Error.kind]),
    ]


def test_a_site_that_could_not_be_written_says_so_of_each_image_and_errors_of_others_are_not_lost() -> None:
    site = offered.surveyed([definition("x", ("20260101",))])
    findings = [Finding("error", "x", "one"), Finding("error", "x", "two"), Finding("error", "gone", "three")]
    told = of_site(site, Path("/srv"), [*findings, Finding("note", "x", "fine")])
    assert told.cases() == [Case("x", "/srv", "one\ntwo", "not written"), Case("gone", "/srv", "three")]
    assert told.data()["files"] is None
    assert "not written" in told.markdown()
    assert "- **error** gone: three" in told.markdown()
    written = of_site(site, Path("/srv"), (), Written(1, 2, 3))
    assert written.cases() == [Case("x", "/srv")]
    assert "1 file written, 2 unchanged, 3 removed" in written.markdown()
    assert (written.data()["site"], written.data()["images"]) == ("/srv", [{"name": "x", "versions": ["20260101"]}])
