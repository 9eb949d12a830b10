"""How far an outdated image goes: each thing that holds it, and each that does not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.support.plans import DELETE, TODAY, by_version, definition, made, settled, withdrawn

from openstack_image_manager.dates import as_day
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Delete, Policy, Stage
from openstack_image_manager.plan.planner import beyond_limit, plan
from openstack_image_manager.plan.retention import DEFAULT_VISIBLE, Situation, decide, visible_builds
from openstack_image_manager.plan.serialize import change_data

OLD = Situation(rank=3, visible=3, uses=0)
RETIRED = Situation(rank=0, visible=3, uses=0, defined=True, retired=TODAY)


@pytest.mark.parametrize(
    ("situation", "policy", "stage", "why"),
    [
        (Situation(rank=2, visible=3, uses=0), DELETE, Stage.KEEP, "not outdated"),
        (replace(OLD, visible=None), DELETE, Stage.KEEP, "not outdated"),
        (replace(OLD, kept=True), DELETE, Stage.KEEP, "not outdated"),
        (replace(OLD, explicit=True), DELETE, Stage.KEEP, "not outdated"),
        (replace(OLD, multi=False, defined=True), DELETE, Stage.KEEP, "not outdated"),
        (replace(OLD, multi=False), DELETE, Stage.DELETE, "its version is no longer defined"),
        (OLD, Policy(outdated="keep"), Stage.KEEP, "older than"),
        (OLD, Policy(), Stage.HIDE, "older than"),
        (OLD, Policy(outdated="deactivate"), Stage.DEACTIVATE, "older than"),
        (OLD, DELETE, Stage.DELETE, "older than"),
        (replace(OLD, defined=True), DELETE, Stage.HIDE, "still defined"),
        (replace(OLD, protected=True), DELETE, Stage.HIDE, "protected"),
        (replace(OLD, foreign=True), DELETE, Stage.HIDE, "belongs to another project"),
        (replace(OLD, uses=7), DELETE, Stage.HIDE, "in use by 7"),
        (replace(OLD, uses=7), Policy(outdated="deactivate"), Stage.HIDE, "in use by 7"),
        (replace(OLD, uses=7), replace(DELETE, unknown_usage="delete"), Stage.HIDE, "in use by 7"),
        (replace(OLD, uses=None), DELETE, Stage.HIDE, "cannot check"),
        (replace(OLD, uses=None), Policy(outdated="deactivate"), Stage.DEACTIVATE, "older than"),
        (replace(OLD, uses=None), replace(DELETE, unknown_usage="delete"), Stage.DELETE, "older than"),
        (OLD, replace(DELETE, grace=30), Stage.HIDE, "to be hidden for 30 days first"),
        (replace(OLD, hidden_since=TODAY - timedelta(29)), replace(DELETE, grace=30), Stage.HIDE, "due on 2026-11-23"),
        (replace(OLD, hidden_since=TODAY - timedelta(30)), replace(DELETE, grace=30), Stage.DELETE, "older than"),
        (replace(OLD, hidden_since=date.max), replace(DELETE, grace=30), Stage.HIDE, "due on 9999-12-31"),
        (replace(OLD, uses=7), Policy(outdated="hide"), Stage.HIDE, "older than"),
        (Situation(rank=0, visible=3, bad=True), Policy(outdated="keep"), Stage.HIDE, "rolled back"),
        (replace(RETIRED, visible=0), Policy(outdated="keep"), Stage.KEEP, "its provided_until was 2026-11-22"),
        (replace(RETIRED, visible=0), Policy(), Stage.HIDE, "its provided_until was 2026-11-22"),
        (replace(RETIRED, visible=0), DELETE, Stage.DELETE, "its provided_until was 2026-11-22"),
        (replace(RETIRED, visible=0, uses=1), DELETE, Stage.HIDE, "in use by 1"),
        (replace(RETIRED, visible=0, protected=True), DELETE, Stage.HIDE, "protected"),
        (replace(RETIRED, visible=1), DELETE, Stage.HIDE, "its id is promised to stay"),
        (replace(RETIRED, visible=None), DELETE, Stage.HIDE, "its id is promised to stay"),
        (replace(RETIRED, visible=1, rank=1), DELETE, Stage.DELETE, "its provided_until was 2026-11-22"),
    ],
)
def test_how_far_a_build_goes(situation, policy, stage, why):
    reached, reason = decide(situation, policy, TODAY)
    assert reached is stage
    assert why in reason


@pytest.mark.parametrize(
    ("text", "day"),
    [
        *(("2026-11-22", TODAY), ("2026-11-22 10:00", TODAY), ("2026-11-22T10:00:00Z", TODAY)),
        *(("none", None), (None, None), ("", None), ("2027-02-30", None), ("٢٠٢٦-11-22", None)),
        # Python reads these as days. A definition cannot write them, so a promise in them is kept.
        *(("20261122", None), ("2026-W47-7", None)),
    ],
)
def test_days(text, day):
    assert as_day(text) == day


def test_a_promise_that_is_not_a_day_keeps_all_builds():
    assert visible_builds("20200101", TODAY) is None
    assert visible_builds("2020-01-01", TODAY) == DEFAULT_VISIBLE


def outdated_cloud():
    """Builds 1 to 5, of which only the newest is defined any more."""
    return settled([definition(versions=["1", "2", "3", "4", "5"])])


def planned(found, policy, usage=lambda _: 0, defined=("5",), today=TODAY):
    return plan([definition(versions=defined)], found, policy, today, usage=usage)


def test_only_what_is_asked_for_is_deleted_and_last_of_all():
    found = outdated_cloud()
    assert [type(change) for change in planned(found, Policy()).changes] == []
    result = planned(found, DELETE, defined=("5", "6"))
    assert [(type(change), change.subject) for change in result.changes if isinstance(change, Delete)] == [
        (Delete, "Ubuntu 24.04 (3)"),
        (Delete, "Ubuntu 24.04 (2)"),
        (Delete, "Ubuntu 24.04 (1)"),
    ]
    assert isinstance(result.changes[-1], Delete)
    assert change_data(result.changes[-1])["action"] == "delete"
    assert set(by_version(made(result, found))) == {"4", "5", "6"}


def test_the_plan_says_what_holds_an_image():
    found = outdated_cloud()
    uses = {by_version(found)["1"].id: 3}
    result = planned(found, DELETE, usage=lambda image_id: uses.get(image_id, 0))
    assert [change.subject for change in result.changes] == ["Ubuntu 24.04 (2)"]
    assert "is kept: in use by 3" in result.findings[0].message
    unseen = planned(found, DELETE, usage=lambda _: None)
    assert not unseen.changes
    assert "--unknown-usage delete" in unseen.findings[0].message


def test_the_day_of_hiding_is_kept_and_forgotten_when_the_image_is_back():
    found = outdated_cloud()
    assert {v: i.properties.get(markers.HIDDEN_SINCE) for v, i in by_version(found).items()} == {
        "1": "2026-11-22",
        "2": "2026-11-22",
        "3": None,
        "4": None,
        "5": None,
    }
    later = planned(found, replace(DELETE, grace=30), today=date(2026, 12, 1))
    assert not later.changes
    assert "due on 2026-12-22" in later.findings[0].message
    due = planned(found, replace(DELETE, grace=30), today=date(2026, 12, 22))
    assert [change.subject for change in due.changes] == ["Ubuntu 24.04 (2)", "Ubuntu 24.04 (1)"]
    back = [definition(versions=["1", "2", *map(withdrawn, "345")])]
    assert markers.HIDDEN_SINCE not in by_version(settled(back, found=found))["2"].properties


def test_too_many_deletes_stop_the_whole_plan():
    found = outdated_cloud()
    result = planned(found, DELETE)
    assert beyond_limit(result, replace(DELETE, max_deletes=2)) is None
    message = beyond_limit(result, replace(DELETE, max_deletes=1))
    assert message is not None
    assert "deletes 2 images, and --max-deletes allows 1: Ubuntu 24.04 (2)" in message


@pytest.mark.parametrize("policy", [Policy(), DELETE])
def test_junk_of_versions_that_are_gone_is_removed_when_it_is_old(policy):
    left = replace(outdated_cloud()[0], id="left", status="queued", updated_at="2026-11-19T10:00:00Z", properties={})
    left = replace(left, properties={"image_name": "Ubuntu 24.04", "internal_version": "0"})
    found = [*outdated_cloud(), left]
    (change,) = [c for c in planned(found, Policy()).changes if isinstance(c, Delete)]
    assert (change.found, change.junk) == (left, True)
    assert beyond_limit(planned(found, Policy()), Policy(max_deletes=0)) is None
    for young in (
        replace(left, updated_at="2026-11-21T10:00:00Z"),
        replace(left, import_task="a-task"),
        replace(left, updated_at=""),
    ):
        result = planned([*outdated_cloud(), young], Policy())
        assert not [c for c in result.changes if isinstance(c, Delete)]
        assert "left by an interrupted run" in result.findings[0].message


def test_urls_inside_of_properties_hold_no_secrets_in_the_plans_data():
    found = outdated_cloud()
    note = "see http://u:geheim@example.org/a?token=geheim for more"
    found = [replace(image, properties={**image.properties, "image_source": note}) for image in found]
    data = [change_data(change) for change in planned(found, Policy()).changes]
    assert data
    assert "geheim" not in str(data)


def test_a_withdrawn_build_leaves_before_those_that_are_defined():
    meta = {"uuid_validity": "last-2"}
    found = settled([definition(versions=["1", "2", "3"], meta=meta)])
    after = by_version(settled([definition(versions=["1", "2", withdrawn("3")], meta=meta)], found=found))
    assert {build: image.visibility for build, image in after.items()} == {
        "1": "public",
        "2": "public",
        "3": "community",
    }


@pytest.mark.parametrize(("until", "told"), [("2026-11-21", True), ("2026-11-22", False), ("none", False)])
def test_a_promised_time_that_is_over_is_told(until, told):
    wanted = definition(meta={"provided_until": until})
    result = plan([wanted], settled([definition()]), Policy(), TODAY)
    then = "its images stay as they are; --retire-expired retires them"
    message = f"its provided_until was 2026-11-21: {then}; set a later date, or remove the definition"
    assert [finding.message for finding in result.findings] == ([message] if told else [])


def test_what_is_kept_keeps_the_day_of_hiding():
    found = settled([definition(versions=("5",))], Policy(), outdated_cloud())
    days = {i.id: i.properties.get(markers.HIDDEN_SINCE) for i in found}
    for policy, keep in ((Policy(keep=True), False), (Policy(), True)):
        after = settled([definition(versions=("5",), keep=keep)], policy, found)
        assert {i.id: i.properties.get(markers.HIDDEN_SINCE) for i in after} == days


def test_images_of_other_projects_that_are_not_public_are_no_business_of_ours():
    wanted = definition(visibility="private")
    theirs = [replace(image, owner="theirs") for image in settled([wanted])]
    policy = Policy(project="ours")
    assert [change.subject for change in plan([wanted], theirs, policy, TODAY).changes] == [wanted.name]
    given = wanted.model_copy(update={"owner": "theirs"})
    assert plan([given], theirs, policy, TODAY).changes == ()


def test_a_public_image_of_another_project_is_hidden_by_os_hidden():
    checked = [{"version": v, "url": f"https://example.org/{v}", "checksum": f"sha512:{v * 128}"} for v in "12"]
    wanted = definition(versions=checked, meta={"uuid_validity": "none"})
    theirs = [
        replace(i, owner="theirs", visibility="public", hash_algorithm="sha512", hash_value=v * 128)
        for v, i in by_version(settled([wanted])).items()
    ]
    policy = Policy(project="ours")
    after = {i.properties["internal_version"]: i for i in made(plan([wanted], theirs, policy, TODAY), theirs)}
    assert (after["1"].visibility, after["1"].hidden) == ("public", True)
    assert plan([wanted], list(after.values()), policy, TODAY).changes == ()


NONE = {"uuid_validity": "none"}


def test_what_is_to_be_deleted_gives_its_name_up_and_leaves_the_list_first():
    found = settled([definition(versions=["1"], meta=NONE)])
    create, update, delete = plan(
        [definition(versions=["2"], meta=NONE)], found, DELETE, TODAY, usage=lambda _: 0
    ).changes
    assert (create.wanted.name, update.found, delete.found) == ("Ubuntu 24.04", found[0], update.wanted)
    assert isinstance(delete, Delete)
    assert (update.wanted.name, update.wanted.visibility) == ("Ubuntu 24.04 (1)", "community")
    assert update.wanted.status == "active"


def test_what_was_hidden_as_private_is_shared_with_no_one():
    """Only shared images have members: a plan that wants some would never be done."""
    policy = Policy(hidden_visibility="private")
    found = [replace(i, members=frozenset()) for i in settled([definition(versions=["1", "2"], meta=NONE)], policy)]
    shared = definition(versions=["1", "2"], meta=NONE, visibility="shared", members=[{"project": "shop"}])
    fields = {
        change.found.name: [f.field for f in change.fields] for change in plan([shared], found, policy, TODAY).changes
    }
    assert "members" in fields["Ubuntu 24.04"]
    assert "members" not in fields.get("Ubuntu 24.04 (1)", [])


def test_the_reason_of_a_hidden_orphan_build_is_told():
    found = settled([definition(versions=["1", "2", "3", "4"], meta={"uuid_validity": "forever"})])
    *_, update = plan([definition(versions=["4"])], found, Policy(), TODAY).changes
    assert update.reason == "its version is no longer defined"
    assert {field.field for field in update.fields} == {"visibility", markers.HIDDEN_SINCE}


def test_junk_that_is_protected_stays_and_is_told():
    junk = replace(outdated_cloud()[0], id="junk", status="killed", updated_at="2026-01-01T00:00:00Z", protected=True)
    result = planned([*outdated_cloud(), junk], Policy())
    assert not result.changes
    assert "junk is killed and was left by an interrupted run; it is protected, so it stays" in str(result.findings)


def without_rotation(*versions, **fields):
    return definition("Appliance", [*versions], multi=False, **fields)


def test_a_release_that_is_no_longer_defined_is_outdated_at_once():
    found = settled([without_rotation("1.0", "1.1", "1.2")])
    result = plan([without_rotation("1.1", "1.2")], found, Policy(), TODAY)
    (change,) = result.changes
    assert (change.subject, change.reason) == ("Appliance 1.0", "its version is no longer defined")
    assert {field.field: field.reason for field in change.fields}["visibility"] == "its version is no longer defined"
    assert change.wanted.visibility == "community"
    *_, deletion = plan([without_rotation("1.1", "1.2")], found, DELETE, TODAY, usage=lambda _: 0).changes
    assert isinstance(deletion, Delete)
    assert deletion.reason == "its version is no longer defined"
    after = made(result, found)
    assert plan([without_rotation("1.1", "1.2")], after, Policy(), TODAY).changes == ()
    # Defined again, it is visible again.
    back = settled([without_rotation("1.0", "1.1", "1.2")], found=after)
    assert by_version(back)["1.0"].visibility == "public"


@pytest.mark.parametrize(
    ("fields", "why"),
    [({"meta": {"uuid_validity": "last-3"}}, "uuid_validity is last-3"), ({"keep": True}, "keep: true")],
)
def test_a_release_that_a_promise_keeps_visible_is_reported(fields, why):
    found = settled([without_rotation("1.0", "1.1", "1.2", **fields)])
    result = plan([without_rotation("1.1", "1.2", **fields)], found, Policy(), TODAY)
    assert not result.changes
    (finding,) = result.findings
    image = by_version(found)["1.0"]
    assert finding.message == (
        f"Appliance 1.0 ({image.id}) is no longer defined and stays visible, because {why}; to hide it, keep the "
        "version in the definition with 'withdrawn: true'"
    )


def test_reasons_name_the_cause_and_then_what_limits_it():
    versions = ["1", "2", "3", "4"]
    found = settled([definition(versions=versions)], replace(DELETE, outdated="keep"))
    (change,) = plan([definition(versions=versions)], found, DELETE, TODAY, usage=lambda _: 0).changes
    assert change.reason == "older than the visible builds"
    reasons = {field.field: field.reason for field in change.fields}
    assert reasons["visibility"] == "older than the visible builds; only hidden: still defined"
    (change,) = plan([definition(versions=versions)], found, Policy(), TODAY).changes
    assert {field.reason for field in change.fields} == {"older than the visible builds"}


def test_without_rotation_nothing_is_superseded():
    found = settled([without_rotation("1.0", "1.1")])
    dashed = without_rotation("1.0", "1.1", separator="-")
    result = plan([dashed], found, Policy(), TODAY)
    assert {change.reason for change in result.changes} == {"differs from its definition"}
    assert {field.reason for change in result.changes for field in change.fields} == {"as defined"}
