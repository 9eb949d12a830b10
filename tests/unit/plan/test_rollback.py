"""Going back to an earlier build: who is current, for how long, and what becomes of the bad one."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.plans import TODAY, by_version, definition, made, settled, steps, withdrawn

from openstack_image_manager.definitions import naming
from openstack_image_manager.errors import Error
from openstack_image_manager.plan import markers, retention
from openstack_image_manager.plan.model import Create, Policy, Stage
from openstack_image_manager.plan.planner import plan

NAME = "Ubuntu 24.04"
LATEST = Policy(latest=True)


def rolled_back(to="", versions=("1", "2", "3"), policy=LATEST, **fields):
    """The definition, and the cloud after a rollback."""
    wanted = definition(versions=versions, **fields)
    found = settled([wanted])
    return wanted, made(plan([wanted], found, policy, TODAY, roll_back={NAME: to}), found)


def names(images):
    return {version: image.name for version, image in by_version(images).items()}


def test_names_visibility_and_marks():
    wanted, after = rolled_back()
    assert names(after) == {"1": f"{NAME} (1)", "2": NAME, "3": f"{NAME} (3)"}
    images = by_version(after)
    assert {version: image.visibility for version, image in images.items()} == {
        "1": "public",
        "2": "public",
        "3": "community",
    }
    assert images["2"].properties[markers.PINNED_OVER] == "3"
    assert images["3"].properties[markers.ROLLED_BACK] == TODAY.isoformat()
    assert not plan([wanted], after, Policy(), TODAY).changes


def test_a_newer_version_that_is_not_there_yet_ends_the_rollback():
    """It is merged, or its import failed, when the one that users have turns out to be bad."""
    wanted, found = definition(versions=("1", "2", "3")), settled([definition(versions=("1", "2"))])
    after = made(plan([wanted], found, LATEST, TODAY, roll_back={NAME: ""}), found)
    assert names(after) == {"1": NAME, "2": f"{NAME} (2)"}
    assert by_version(after)["1"].properties[markers.PINNED_OVER] == "2"
    changes = plan([wanted], after, Policy(), TODAY).changes
    assert [change.version.version for change in changes if isinstance(change, Create)] == ["3"]
    after = settled([wanted], Policy(), after)
    assert names(after) == {"1": f"{NAME} (1)", "2": f"{NAME} (2)", "3": NAME}
    assert by_version(after)["2"].visibility == "community"
    with pytest.raises(Error, match="no good build is before 1"):
        plan([wanted], settled([definition(versions=("1",))]), LATEST, TODAY, roll_back={NAME: ""})


@pytest.mark.parametrize(
    ("field", "said"), [({"visibility": "private"}, "visibility: private"), ({"hidden": True}, "hidden: true")]
)
def test_a_build_that_nobody_would_find_is_not_gone_back_to(field, said):
    versions = ({"version": "1", "url": "https://example.org/1.img", **field}, "2")
    with pytest.raises(Error, match=f"version 1 is defined with {said}, so it would not be found in place of 2"):
        rolled_back(versions=versions)
    fine = ({"version": "1", "url": "https://example.org/1.img", "visibility": "public"}, "2")
    assert names(rolled_back(versions=fine)[1])["1"] == NAME


def test_waiting_begins_anew_for_a_build_that_was_gone_back_to():
    old = settled([definition(versions=("1", "2"), meta={"uuid_validity": "none"})])
    assert markers.HIDDEN_SINCE in by_version(old)["1"].properties
    wanted = definition(versions=("2",), keep=True, meta={"uuid_validity": "none"})
    after = made(plan([wanted], old, LATEST, TODAY, roll_back={NAME: "1"}), old)
    assert markers.HIDDEN_SINCE not in by_version(after)["1"].properties


def test_every_field_says_why():
    wanted = definition(versions=("1", "2"))
    result = plan([wanted], settled([wanted]), LATEST, TODAY, roll_back={NAME: ""})
    good, bad = result.changes
    assert {field.field: field.reason for field in good.fields}["name"] == "rolled back from 2"
    assert {field.field: field.reason for field in bad.fields}["visibility"] == "rolled back"
    assert {field.field: field.reason for field in bad.fields}["name"] == "superseded by 1"


def test_it_lasts_until_a_newer_version_is_defined():
    _, after = rolled_back()
    between = definition(versions=("1", "2", "2.5", "3"))
    assert not [c for c in plan([between], after, Policy(), TODAY).changes if isinstance(c, Create)]
    moved_on = definition(versions=("1", "2", "3", "4"))
    after = settled([moved_on], Policy(), after)
    assert names(after)["4"] == NAME
    images = by_version(after)
    assert markers.PINNED_OVER not in images["2"].properties
    # The bad build is a member of the line again, but not in sight.
    assert (images["3"].visibility, images["2"].visibility) == ("community", "public")
    assert not plan([moved_on], after, Policy(), TODAY).changes


def test_the_bad_build_is_promised_to_stay_by_its_validity():
    _, after = rolled_back(meta={"uuid_validity": "forever"})
    gone = definition(versions=("1", "2", "4"), meta={"uuid_validity": "forever"})
    after = settled([gone], Policy(), after)
    policy = Policy(outdated="delete")
    result = plan([gone], after, policy, TODAY, usage=lambda _: 0)
    assert result.changes == ()
    assert "rolled back, but its id is promised to stay" in str(result.findings)


def test_how_far_a_bad_build_goes():
    bad = retention.Situation(rank=0, visible=3, uses=0, bad=True)
    assert retention.decide(bad, Policy(), TODAY) == (Stage.HIDE, "rolled back")
    assert retention.decide(bad, Policy(outdated="delete"), TODAY) == (Stage.DELETE, "rolled back")
    assert retention.decide(replace(bad, defined=True), Policy(outdated="delete"), TODAY)[0] is Stage.HIDE
    assert retention.decide(replace(bad, kept=True), Policy(outdated="delete"), TODAY)[0] is Stage.HIDE
    assert retention.decide(bad, Policy(outdated="keep"), TODAY)[0] is Stage.HIDE


def test_back_and_forth():
    wanted, after = rolled_back("1")
    assert names(after)["1"] == NAME
    assert {by_version(after)[bad].visibility for bad in "23"} == {"community"}
    after = made(plan([wanted], after, LATEST, TODAY, roll_back={NAME: "3"}), after)
    assert names(after)["3"] == NAME
    assert by_version(after)["3"].visibility == "public"
    assert markers.ROLLED_BACK not in by_version(after)["3"].properties
    assert not plan([wanted], after, Policy(), TODAY).changes


@pytest.mark.parametrize("missing", [False, True], ids=["all are there", "the newest is not there yet"])
def test_the_newest_one_undoes_all_steps(missing):
    """After two steps back. The build in between was never bad by itself."""
    versions = ("1", "2", "3", "4")
    wanted, after = rolled_back(versions=versions)
    after = made(plan([wanted], after, LATEST, TODAY, roll_back={NAME: ""}), after)
    assert names(after)["2"] == NAME
    assert {version: image.visibility for version, image in by_version(after).items()} == {
        "1": "public",
        "2": "public",
        "3": "community",
        "4": "community",
    }
    wanted = definition(versions=(*versions, "5")) if missing else wanted
    after = made(plan([wanted], after, LATEST, TODAY, roll_back={NAME: "4"}), after)
    assert names(after)["4"] == NAME
    images = by_version(after)
    assert {version: image.visibility for version, image in images.items()} == {
        "1": "community",
        "2": "public",
        "3": "public",
        "4": "public",
    }
    marks = {markers.PINNED_OVER, markers.ROLLED_BACK}
    assert [version for version, image in images.items() if marks & image.properties.keys()] == []


def test_one_step_forward_keeps_the_marks_of_the_rest():
    wanted, after = rolled_back("1", versions=("1", "2", "3", "4"))
    after = made(plan([wanted], after, LATEST, TODAY, roll_back={NAME: "3"}), after)
    marked = {version for version, image in by_version(after).items() if markers.ROLLED_BACK in image.properties}
    assert (names(after)["3"], marked) == (NAME, {"2", "4"})


def test_to_a_build_that_is_no_longer_defined():
    wanted = definition(versions=("1", "2"), meta={"os_purpose": "generic"})
    found = settled([wanted])
    now = definition(versions=("2",), meta={"os_purpose": "generic"})
    after = made(plan([now], found, LATEST, TODAY, roll_back={NAME: ""}), found)
    images = by_version(after)
    assert (images["1"].name, images["1"].properties["os_purpose"]) == (NAME, "generic")
    assert images["2"].properties["os_purpose"] == "oldgeneric"
    assert not plan([now], after, Policy(), TODAY).changes


def test_what_was_bad_stays_bad_when_the_good_build_is_gone():
    wanted, after = rolled_back()
    left = [image for image in after if image.properties["internal_version"] != "2"]
    again = settled([wanted], Policy(), left)
    assert names(again)["2"] == NAME
    assert by_version(again)["3"].visibility == "community"
    assert not plan([wanted], again, Policy(), TODAY).changes


def test_a_definition_that_loses_the_bad_version_for_a_while_brings_it_back_no_more():
    wanted, after = rolled_back()
    after = settled([definition(versions=("1", "2"))], Policy(), after)
    assert by_version(after)["2"].properties[markers.PINNED_OVER] == "3"
    after = settled([wanted], Policy(), after)
    assert names(after)["2"] == NAME
    assert by_version(after)["3"].visibility == "community"
    # Not even when it was deleted in between.
    gone = [image for image in after if image.properties["internal_version"] != "3"]
    assert names(settled([wanted], Policy(), gone)) == {"1": f"{NAME} (1)", "2": NAME}


def test_a_second_rollback_passes_over_what_was_bad_before():
    _, after = rolled_back()
    wanted = definition(versions=("1", "2", "3", "4"))
    after = settled([wanted], Policy(), after)
    after = made(plan([wanted], after, LATEST, TODAY, roll_back={NAME: ""}), after)
    assert names(after)["2"] == NAME
    assert {by_version(after)[bad].visibility for bad in "34"} == {"community"}
    assert not plan([wanted], after, Policy(), TODAY).changes


def test_what_was_bad_takes_no_place_among_those_in_sight():
    _, after = rolled_back(meta={"uuid_validity": "last-3"})
    wanted = definition(versions=("1", "2", "3", "4"), meta={"uuid_validity": "last-3"})
    seen = {v: i.visibility for v, i in by_version(settled([wanted], Policy(), after)).items()}
    assert seen == {"1": "public", "2": "public", "3": "community", "4": "public"}


def test_where_all_are_bad_nothing_is_changed():
    wanted, after = rolled_back(versions=("1", "2"))
    marked = [replace(i, properties={**i.properties, markers.ROLLED_BACK: "2026-01-01"}) for i in after]
    bare = [replace(i, properties={k: v for k, v in i.properties.items() if k != markers.PINNED_OVER}) for i in marked]
    result = plan([wanted], bare, Policy(), TODAY)
    assert not result.changes
    assert "every defined version was rolled back from" in result.findings[0].message
    forced = made(plan([wanted], bare, LATEST, TODAY, roll_back={NAME: "2"}), bare)
    assert names(forced)["2"] == NAME


def test_where_all_are_bad_no_one_sees_an_image_whom_it_is_no_longer_for():
    _, after = rolled_back(versions=("1", "2"))
    marks = {markers.ROLLED_BACK: "2026-01-01"}
    bare = [
        replace(i, properties={**{k: v for k, v in i.properties.items() if k != markers.PINNED_OVER}, **marks})
        for i in after
    ]
    wanted = definition(versions=("1", "2"), visibility="shared", members=["shop"])
    changes = plan([wanted], bare, Policy(), TODAY).changes
    assert {(c.found.visibility, c.wanted.visibility, c.wanted.members) for c in changes} == {
        ("public", "shared", frozenset({"shop"})),
        ("community", "shared", frozenset({"shop"})),
    }
    assert {field.field for change in changes for field in change.fields} <= {"visibility", "members"}
    # What is not ours to look after once it is not public, and what nobody can use, stays as it is.
    ours = Policy(project="ours")
    mine = [replace(image, owner="ours") for image in bare]
    for odd in ({"owner": "theirs"}, {"status": "queued"}):
        second = replace(mine[0], **{"id": "second", **odd})
        result = plan([wanted], [*mine, second], ours, TODAY)
        assert {change.found.id for change in result.changes} == {image.id for image in mine}
        assert "left alone: every defined version was rolled back from" in result.findings[0].message
    alone = [replace(image, visibility="shared", members=frozenset({"cart"})) for image in bare]
    changes = plan([wanted], alone, Policy(), TODAY).changes
    assert [change.wanted.members for change in changes] == [frozenset(), frozenset()]
    wider = definition(versions=("1", "2"), visibility="public")
    narrow = [replace(image, visibility="private") for image in bare]
    assert not plan([wider], narrow, Policy(), TODAY).changes


@pytest.mark.parametrize(
    ("to", "versions", "message"),
    [
        ("", ("1",), "no good build is before 1 to go back to; the cloud has: 1"),
        ("7", ("1", "2"), "version 7 is not in the cloud; it has: 2, 1"),
    ],
)
def test_what_the_cloud_does_not_have(to, versions, message):
    with pytest.raises(Error, match=message):
        rolled_back(to, versions)


def test_not_to_a_build_that_was_withdrawn():
    found = settled([definition(versions=("1", "2", "3"))])
    with pytest.raises(Error, match="version 3 is not in the cloud; it has: 2, 1"):
        plan([definition(versions=("1", "2", withdrawn("3")))], found, LATEST, TODAY, roll_back={NAME: "3"})


def test_a_cloud_without_any_build():
    with pytest.raises(Error, match="it has: none"):
        plan([definition()], [], LATEST, TODAY, roll_back={NAME: "9"})


builds = st.lists(st.sampled_from(["1", "2", "9", "10", "11"]), min_size=2, max_size=5, unique=True)


@settings(max_examples=60)
@given(builds, builds, st.data())
def test_any_rollback_converges_and_keeps_the_plain_name(before, now, data):
    found = settled([definition(versions=before)])
    wanted = definition(versions=now)
    found = settled([wanted], Policy(outdated="keep"), found)
    newest = max(map(naming.version_key, [*now, *(v for v, i in by_version(found).items() if i.name == NAME)]))
    to = data.draw(st.sampled_from(sorted(v for v in by_version(found) if naming.version_key(v) <= newest)))
    result = plan([wanted], found, LATEST, TODAY, roll_back={NAME: to})
    for cloud in steps(result, found):
        assert NAME in {image.name for image in cloud}
    after = made(result, found)
    assert names(after)[to] == NAME
    again = settled([wanted], Policy(), after)
    assert names(again)[to] == NAME
    assert not plan([wanted], again, Policy(), TODAY).changes


def test_a_mark_that_an_interrupted_run_left_behind_is_all_that_goes():
    """Another rollback had ended everything of the first one but its mark."""
    wanted, after = rolled_back()
    ended = made(plan([wanted], after, LATEST, TODAY, roll_back={NAME: "1"}), after)
    left = replace(by_version(ended)["2"], properties={**by_version(ended)["2"].properties, markers.PINNED_OVER: "3"})
    found = [left if image.id == left.id else image for image in ended]
    result = plan([wanted], found, LATEST, TODAY, roll_back={NAME: "1"})
    assert [(change.found.id, [field.field for field in change.fields]) for change in result.changes] == [
        (left.id, [markers.PINNED_OVER])
    ]
    assert made(result, found) == ended


def test_a_rollback_that_lasts_is_told():
    wanted, after = rolled_back()
    said = "rolled back: 2 stays current in place of 3 until a newer version is defined"
    result = plan([wanted], after, Policy(), TODAY)
    assert [(each.level, each.subject, each.message) for each in result.findings] == [("note", NAME, said)]
    assert not result.changes
    newer = definition(versions=("1", "2", "3", "4"))
    assert not [each for each in plan([newer], after, Policy(), TODAY).findings if "rolled back:" in each.message]
    found = settled([wanted])
    assert plan([wanted], found, LATEST, TODAY, roll_back={NAME: ""}).findings == ()
