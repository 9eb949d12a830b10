"""Plans as JSON and as Markdown."""

from __future__ import annotations

import json
from typing import Any

import pytest
from tests.support.shown import ODD, everything_odd, rotation, text_of

from openstack_image_manager.model import Finding
from openstack_image_manager.plan.model import Plan
from openstack_image_manager.plan.serialize import checksum
from openstack_image_manager.report import plans
from openstack_image_manager.report.output import as_json


def plan_json(made: Plan, cloud: str) -> str:
    return as_json(plans.plan_data(made, cloud))


WITH_SECRET = "https://user:pa@ss@example.org/d"


@pytest.mark.parametrize("form", [text_of, *(lambda made, f=f: f(made, "c") for f in (plan_json, plans.plan_markdown))])
def test_user_and_password_of_a_url_are_never_shown(form: Any) -> None:
    made = everything_odd(WITH_SECRET)
    text = form(made)
    assert "pa@ss" not in text.replace("\\", "")
    assert "user" not in text
    assert "***@example.org/d" in text.replace("\\", "")


def test_json_is_the_whole_plan() -> None:
    made = rotation()
    data = json.loads(plan_json(made, "prod"))
    assert data == json.loads(json.dumps(plans.plan_data(made, "prod")))
    assert list(data) == ["cloud", "checksum", "definitions", "images", "changes", "findings"]
    assert (data["cloud"], data["checksum"], data["definitions"], data["images"]) == ("prod", checksum(made), 1, 1)
    assert [change["action"] for change in data["changes"]] == ["import", "change"]
    findings = json.loads(plan_json(Plan((), (Finding("note", "a", ODD),)), "prod"))["findings"]
    assert findings == [{"level": "note", "subject": "a", "message": ODD}]


def test_markdown_is_a_heading_a_table_and_a_list() -> None:
    made = rotation()
    noted = Plan(made.changes, (Finding("warning", "a|b", "c"),), 1, 1)
    lines = plans.plan_markdown(noted, "prod").splitlines()
    assert lines[:6] == [
        "## Image plan for prod",
        "",
        plans.summary(noted, "prod"),
        "",
        "| image | field | before | after | reason |",
        "| --- | --- | --- | --- | --- |",
    ]
    assert lines[6] == "| Ubuntu 24.04 | import |  | 20240514 | version 20240514 is not in the cloud |"
    assert "| Ubuntu 24.04 | min_ram | 0 | 512 | as defined |" in lines
    assert "| Ubuntu 24.04 | tags |  | -blue -os:ubuntu +green | as defined |" in lines
    assert lines[-2:] == ["", "- **warning** a\\|b: c"]


def test_markdown_of_a_plan_without_changes_has_no_table() -> None:
    assert plans.plan_markdown(Plan((), (), 1, 1), "prod") == (
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
    text = plans.plan_markdown(made, name)
    assert text.startswith(f"## Image plan for {written}\n\n{written}: 0 definitions")
    assert text.endswith(f"- **note** {written}: {written}\n")


def test_every_row_of_the_table_has_five_cells() -> None:
    text = plans.plan_markdown(everything_odd("a|b\\|c\\"), "prod")
    for row in (line for line in text.splitlines() if line.startswith("|")):
        assert row.replace("\\\\", "").replace("\\|", "").count("|") == 6
