"""Definitions whose provided_until has passed: what is imported, what is retired, and what nobody sees again."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.support.plans import TODAY, by_version, definition, made, only, planned, settled, withdrawn

from openstack_image_manager.plan import expiry, explain, markers
from openstack_image_manager.plan.model import Create, Delete, Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.plan.retention import promised_builds

RETIRE = Policy(retire_expired=True)
THREE = ("1", "2", "3")


def until(days: int, versions=THREE, **fields):
    """A definition whose time ends so many days from now."""
    last = (TODAY + timedelta(days)).isoformat()
    return definition(versions=versions, **{**fields, "meta": {"provided_until": last, **fields.get("meta", {})}})


def run(wanted, policy, found):
    """The cloud after a run, which a second run leaves as it is. Nothing is known to be in use."""
    after = made(plan([wanted], found, policy, TODAY, usage=lambda _: 0), found)
    assert plan([wanted], after, policy, TODAY, usage=lambda _: 0).changes == ()
    return after


def visible(images):
    return {image.properties["internal_version"]: image.visibility for image in images}


PUBLIC = settled([until(0)])
assert set(visible(PUBLIC).values()) == {"public"}


@pytest.mark.parametrize("policy", [Policy(), RETIRE])
@pytest.mark.parametrize(("days", "imported"), [(0, 3), (-1, 0)])
def test_an_expired_definition_is_not_imported(policy, days, imported):
    changes = planned([until(days)], policy=policy).changes
    assert len([change for change in changes if isinstance(change, Create)]) == imported


@pytest.mark.parametrize(
    ("policy", "after"),
    [
        (RETIRE, dict.fromkeys(THREE, "community")),
        (replace(RETIRE, outdated="keep"), dict.fromkeys(THREE, "public")),
        (replace(RETIRE, hidden_visibility="private"), dict.fromkeys(THREE, "private")),
        (Policy(), dict.fromkeys(THREE, "public")),
    ],
)
def test_the_newest_image_is_retired_too_and_keeps_its_name(policy, after):
    images = run(until(-1), policy, PUBLIC)
    assert visible(images) == after
    assert {image.name for image in images} == {image.name for image in PUBLIC}


@pytest.mark.parametrize(
    ("validity", "left"),
    [
        ("none", set()),
        ("last-1", {"3"}),
        ("last-2", {"2", "3"}),
        ("forever", {*THREE}),
        ("notice", {*THREE}),
        ("2026-11-21", set()),
        ("2026-11-22", {*THREE}),
    ],
)
def test_deletion_leaves_the_ids_that_are_promised(validity, left):
    wanted = until(-1, meta={"uuid_validity": validity})
    after = run(wanted, replace(RETIRE, outdated="delete"), PUBLIC)
    assert visible(after) == dict.fromkeys(left, "community")


@pytest.mark.parametrize("keep", [{"keep": True}, {}])
def test_what_is_to_be_kept_is_only_hidden(keep):
    wanted = until(-1, meta={"uuid_validity": "none"}, **keep)
    after = run(wanted, replace(RETIRE, outdated="delete", keep=not keep), PUBLIC)
    assert visible(after) == dict.fromkeys(THREE, "community")


def test_a_retired_image_can_be_deactivated_and_is_not_reactivated():
    wanted = until(-1, meta={"uuid_validity": "none"})
    retired = run(wanted, replace(RETIRE, outdated="deactivate"), PUBLIC)
    for policy in (Policy(), RETIRE):
        after = run(wanted, policy, retired)
        assert {(image.status, image.visibility) for image in after} == {("deactivated", "community")}


def test_what_another_tool_retired_is_not_made_visible_again_until_the_day_is_a_later_one():
    retired = [replace(image, visibility="community") for image in PUBLIC]
    assert "its images stay retired, and none is imported" in planned([until(-1)], retired).findings[0].message
    assert visible(run(until(-1), Policy(), retired)) == visible(retired)
    assert by_version(run(until(0), Policy(), retired))["3"].visibility == "public"


def test_what_a_run_retired_is_visible_again_when_the_day_is_a_later_one():
    retired = run(until(-1), RETIRE, PUBLIC)
    again = run(until(0), Policy(), retired)
    assert by_version(again)["3"].visibility == "public"
    assert markers.HIDDEN_SINCE not in by_version(again)["3"].properties


@pytest.mark.parametrize(
    ("newest", "imports"),
    [
        ({}, True),
        ({"visibility": "private"}, False),
        ({"hidden": True}, False),
        ({"status": "deactivated"}, False),
    ],
)
def test_a_newer_build_is_imported_only_while_the_newest_image_is_served(newest, imports):
    found = [replace(image, **(newest if image.properties["internal_version"] == "3" else {})) for image in PUBLIC]
    result = plan([until(-1, (*THREE, "4"))], found, Policy(), TODAY)
    assert any(isinstance(change, Create) for change in result.changes) == imports
    assert by_version(made(result, found))["3"].visibility in ("community", newest.get("visibility", "public"))


@pytest.mark.parametrize("mark", ["rolled back", "withdrawn", "pending"])
def test_an_image_that_nobody_should_use_does_not_decide(mark):
    def marked(image):
        if image.properties["internal_version"] != "3":
            return image
        properties = {
            "rolled back": {**image.properties, markers.ROLLED_BACK: "2026-11-01"},
            "pending": {**image.properties, markers.VERIFIED: markers.PENDING + "none"},
        }.get(mark, image.properties)
        return replace(image, visibility="private", properties=properties)

    versions = ("1", "2", withdrawn("3") if mark == "withdrawn" else "3", "4")
    result = plan([until(-1, versions)], [marked(image) for image in PUBLIC], Policy(), TODAY)
    assert [change.version.version for change in result.changes if isinstance(change, Create)] == ["4"]


def test_an_unpublished_image_of_a_retired_definition_is_left_to_the_cleaning():
    pending = {**PUBLIC[0].properties, markers.VERIFIED: markers.PENDING + "none"}
    left = replace(PUBLIC[0], visibility="private", properties=pending, updated_at="2026-11-01T00:00:00Z")
    change = only(plan([until(-1)], [left], RETIRE, TODAY))
    assert isinstance(change, Delete)
    assert change.junk


def test_the_newest_image_that_there_is_keeps_the_plain_name():
    found = [image for image in PUBLIC if image.properties["internal_version"] != "3"]
    found = [replace(i, name="Ubuntu 24.04") if i.properties["internal_version"] == "2" else i for i in found]
    wanted = until(-1, meta={"uuid_validity": "last-1"})
    after = run(wanted, RETIRE, found)
    assert by_version(after)["2"].name == "Ubuntu 24.04"
    assert {*by_version(run(wanted, replace(RETIRE, outdated="delete"), after))} == {"2"}


def test_the_reason_of_a_deletion_is_the_day():
    wanted = until(-1, ("1",), meta={"uuid_validity": "none"})
    found = settled([until(0, ("1",))])
    result = plan([wanted], found, replace(RETIRE, outdated="delete"), TODAY, usage=lambda _: 0)
    assert result.changes[-1].reason == "its provided_until was 2026-11-21"


@pytest.mark.parametrize(("value", "builds"), [("none", 0), (None, 3), ("last-2", 2), ("notice", None)])
def test_ids_that_are_promised_after_the_end(value, builds):
    assert promised_builds(value, TODAY) == builds


def test_the_day_may_be_that_of_the_newest_version():
    late = {"version": "2", "url": "https://example.org/2.img", "meta": {"provided_until": "2026-11-21"}}
    assert expiry.ended_on(definition(versions=("1", late)), TODAY) == TODAY - timedelta(1)
    assert expiry.ended_on(definition(versions=()), TODAY) is None


@pytest.mark.parametrize(
    ("days", "policy", "rule"),
    [
        (-1, RETIRE, "its provided_until was 2026-11-21, and --retire-expired is given: no build stays visible"),
        (-1, Policy(), "no uuid_validity: the newest 3 builds stay visible"),
        (0, RETIRE, "no uuid_validity: the newest 3 builds stay visible"),
    ],
)
def test_the_rule_that_explain_names(days, policy, rule):
    wanted = until(days)
    found = explain.explain(wanted, planned([wanted], PUBLIC, policy), PUBLIC, policy, TODAY, lambda _: 0)
    assert ("retention", rule) in found.said


def test_the_end_of_the_calendar() -> None:
    wanted = definition(meta={"provided_until": "9999-12-31"})
    assert [finding.message for finding in expiry.of_definitions([wanted], date.max)] == [
        "its provided_until is 9999-12-31, today"
    ]


def test_what_ends_within_90_days_is_told_the_next_one_first():
    definitions = [
        until(days, name=f"In {days}", enable=enable)
        for days, enable in ((91, True), (90, True), (0, True), (5, False), (1, True), (-1, True), (-1, False))
    ]
    assert [(f.level, f.subject, f.message) for f in expiry.of_definitions(definitions, TODAY)] == [
        (
            "warning",
            "In -1",
            "its provided_until was 2026-11-21: clouds that lack it do not get it; set a later date, or remove the "
            "definition",
        ),
        ("note", "In 0", "its provided_until is 2026-11-22, today"),
        ("note", "In 1", "its provided_until is 2026-11-23, in 1 day"),
        ("note", "In 90", "its provided_until is 2027-02-20, in 90 days"),
    ]
