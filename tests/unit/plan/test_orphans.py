"""Images whose definition is gone: what they promise, what holds them, and how far they go."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import TODAY, definition, made, settled

from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Delete, Policy, Update
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.plan.retention import promise

DELETE_ORPHANS = Policy(orphans="delete")


def orphan(**properties: str) -> Image:
    image = settled([definition("Gone")])[0]
    return replace(image, owner="ours", properties={**image.properties, **properties})


@pytest.mark.parametrize(
    ("policy", "properties", "expected"),
    [
        (Policy(), {}, "is kept: --orphans hide or delete"),
        (Policy(orphans="hide"), {"uuid_validity": "forever"}, "is kept: its uuid_validity is forever"),
        (Policy(orphans="delete"), {"provided_until": "2027-01-01"}, "is kept: its provided_until is 2027-01-01"),
        (Policy(orphans="hide"), {}, [Update]),
        (Policy(orphans="hide"), {"provided_until": "2020-01-01", "uuid_validity": "last-3"}, [Update]),
        (Policy(orphans="delete"), {}, [Update, Delete]),
        (Policy(outdated="delete"), {}, "is kept"),
    ],
)
def test_orphans(policy, properties, expected):
    found = [orphan(**properties)]
    result = plan([definition()], found, policy, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 0)
    mine = [change for change in result.changes if change.group == "Gone"]
    if isinstance(expected, str):
        assert not mine
        assert any(expected in finding.message for finding in result.findings)
    else:
        assert [type(change) for change in mine] == expected
        after = made(result, found)
        again = plan([definition()], after, policy, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 0)
        assert not again.changes


def test_protected_junk_stays():
    left = replace(orphan(), status="queued", updated_at="2020-01-01T00:00:00Z", protected=True)
    result = plan([definition()], [left], Policy(), TODAY, names={"Ubuntu 24.04"})
    assert [change for change in result.changes if isinstance(change, Delete)] == []
    assert "it is protected, so it stays" in str(result.findings)


@pytest.mark.parametrize(
    ("properties", "rank", "why"),
    [
        ({"uuid_validity": "last-2"}, 1, "its uuid_validity is last-2"),
        ({"uuid_validity": "last-2"}, 2, None),
        ({"uuid_validity": "last-2", "provided_until": "2026-11-21"}, 0, None),
        ({"uuid_validity": "last-2", "provided_until": "2026-11-22"}, 0, "its provided_until is 2026-11-22"),
        ({"uuid_validity": "none", "provided_until": "none"}, 0, None),
        ({"uuid_validity": "2020-01-01"}, 0, None),
        ({"uuid_validity": "forver"}, 9, "its uuid_validity is forver, which is not a valid value"),
        ({"provided_until": "notice"}, 9, "its provided_until is notice"),
        ({}, 0, None),
    ],
)
def test_what_an_image_without_definition_promises(properties, rank, why):
    assert promise(properties, rank, TODAY) == why


def test_the_newest_orphans_keep_what_they_promise():
    found = [
        replace(image, properties={**image.properties, "uuid_validity": "last-2"})
        for image in settled([definition("Gone", versions=("1", "2", "3"))])
    ]
    result = plan([], found, Policy(orphans="delete"), TODAY, names=set(), usage=lambda _: 0)
    assert {change.found.properties["internal_version"] for change in result.changes} == {"1"}


def test_what_was_never_published_takes_no_place_among_orphans():
    healthy = orphan(uuid_validity="last-1")
    left = orphan(uuid_validity="last-1", internal_version="99999999", image_manager_verified="pending none")
    found, policy = [replace(left, id="left"), healthy], Policy(orphans="delete")
    result = plan([], found, policy, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 0)
    assert {change.found.id for change in result.changes} == {"left"}


def test_orphans_that_are_in_use_or_junk():
    policy, dated = Policy(orphans="delete"), replace(orphan(), name="Gone (1)")
    result = plan([definition()], [dated], policy, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 2)
    assert [type(change) for change in result.changes if change.group == "Gone"] == [Update]
    notes = [finding.message for finding in result.findings]
    assert f"Gone (1) ({dated.id}) is kept: in use by 2" in notes
    notes = [f.message for f in plan([], [dated], Policy(), TODAY, names=set()).findings]
    why = "--orphans hide or delete removes it"
    assert notes == [f"Gone (1) ({dated.id}) has no definition and is kept: {why}"]
    junk = replace(orphan(), status="queued", updated_at="2020-01-01T00:00:00Z")
    result = plan([definition()], [junk], Policy(), TODAY, names={"Ubuntu 24.04"})
    assert [type(change) for change in result.changes if change.group == "Gone"] == [Delete]


def test_images_of_definitions_that_were_filtered_out_are_no_orphans():
    result = plan([definition()], [orphan()], Policy(orphans="delete"), TODAY, names={"Ubuntu 24.04", "Gone"})
    assert all(change.group == "Ubuntu 24.04" for change in result.changes)
    assert not plan([], [orphan()], Policy(orphans="delete"), TODAY).changes


NEW = definition(versions=("1", "2"))
OLD = definition(versions=("1",))


@pytest.mark.parametrize("orphans", ["hide", "delete"])
def test_a_run_that_is_behind_the_cloud_takes_no_orphans(orphans):
    """It may lack whole definitions, too; their current images would be deleted."""
    found = [*settled([NEW]), orphan(), replace(orphan(), id="second", name="Gone (0)")]
    policy = Policy(orphans=orphans, outdated="delete", unknown_usage="delete", project="ours")
    names = {"Ubuntu 24.04"}
    result = plan([OLD], found, policy, TODAY, names=names, usage=lambda _: 0)
    assert result.changes == ()
    told = [finding.message for finding in result.findings if finding.subject == "orphans"]
    assert told == [
        "2 images without a definition stay: the cloud is ahead of Ubuntu 24.04, so these definitions may lack others, "
        "too; update the checkout, or say 'withdrawn: true' there, and run again"
    ]
    notes = [finding.message for finding in result.findings if finding.level == "note"]
    assert "Gone (0) (second) has no definition and is kept: these definitions are behind the cloud" in notes
    assert plan([NEW], found, policy, TODAY, names=names, usage=lambda _: 0).changes
    told = plan([OLD], found[:2], policy, TODAY, names=names, usage=lambda _: 0).findings
    assert not [finding for finding in told if finding.subject == "orphans"]


def test_deletes_of_orphans_are_warned_of_once():
    found = [*settled([NEW]), orphan(), replace(orphan(), id="second")]
    for policy, warned in ((Policy(orphans="delete"), True), (Policy(orphans="hide"), False), (Policy(), False)):
        result = plan([NEW], found, policy, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 0)
        assert [(f.level, f.message) for f in result.findings if f.subject == "orphans"] == [
            (
                "warning",
                "2 images without a definition are to be deleted: are these all definitions of this cloud, and is this "
                "checkout current?",
            )
        ] * warned


def test_an_orphan_that_is_to_be_deleted_is_hidden_first():
    found = settled([definition(meta={"uuid_validity": "none"})])
    policy = Policy(orphans="delete")
    update, delete = plan([], found, policy, TODAY, names=["Other"], usage=lambda _: 0).changes
    assert (update.wanted.name, update.wanted.visibility) == (found[0].name, "community")
    assert delete.found == update.wanted


@pytest.mark.parametrize("visibility", ["community", "shared", "private"])
def test_what_is_hidden_stays_as_hiding_made_it(visibility):
    image = settled([definition()])[0]
    cloud = [image, replace(image, id="twin"), replace(orphan(), id="orphan")]
    policy = Policy(orphans="hide", hidden_visibility=visibility)

    def again(found):
        return plan([definition()], found, policy, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 0)

    after = made(again(cloud), cloud)
    assert sorted(each.visibility for each in after) == sorted(["public", visibility, visibility])
    assert not again(after).changes


def test_a_person_can_end_a_promise():
    found = [orphan(provided_until="2030-06-30", uuid_validity="last-2")]
    names = {"Ubuntu 24.04"}

    def planned(policy: Policy):
        return plan([], found, policy, TODAY, names=names, usage=lambda _: 0)

    for policy in (Policy(), DELETE_ORPHANS):
        result = planned(policy)
        assert result.changes == ()
        assert "its provided_until is 2030-06-30 (--end-promise 'Gone' ends that)" in str(result.findings)
    assert planned(replace(DELETE_ORPHANS, end_promise=("Another",))).changes == ()
    result = planned(replace(DELETE_ORPHANS, end_promise=("Gone",)))
    assert [type(change) for change in result.changes] == [Update, Delete]
    # What is in use, or protected, stays as long as it is.
    used = plan([], found, replace(DELETE_ORPHANS, end_promise=("Gone",)), TODAY, names=names, usage=lambda _: 1)
    assert [type(change) for change in used.changes] == [Update]


@pytest.mark.parametrize("name", ["", "Gone"])
def test_an_image_without_a_name_is_shown_as_such(name: str) -> None:
    image = Image(name, "public", id="8754b430", owner="ours")
    result = plan([], [image, replace(image, id="queued", status="queued")], Policy(), TODAY, names={"Ubuntu 24.04"})
    shown = name or "(no name)"
    assert [(finding.subject, finding.message.partition(" has ")[0]) for finding in result.findings] == [
        (shown, f"{shown} (8754b430)"),
        (shown, "queued is queued and was left by an interrupted run; it is removed when it is two days old"),
    ]
    changes = plan([], [image], DELETE_ORPHANS, TODAY, names={"Ubuntu 24.04"}, usage=lambda _: 0).changes
    assert {change.subject for change in changes} == {shown}
