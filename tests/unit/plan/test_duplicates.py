"""Two images of one version: which of them stands for it, and what becomes of the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import DELETE, TODAY, definition, fields, made, only, planned, settled

from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Delete, Policy, Update
from openstack_image_manager.plan.planner import plan


def test_of_two_images_of_one_version_the_one_in_use_stands():
    image = settled([definition()])[0]
    twin = replace(image, id="twin", visibility="private", created_at="2020")
    queued = replace(image, id="queued", status="queued", created_at="2019")
    result = planned([definition()], [queued, twin, image])
    assert fields(only(result)) == {
        "name": ("Ubuntu 24.04", "Ubuntu 24.04 (20240416)"),
        "hidden": (False, True),
        markers.HIDDEN_SINCE: (None, "2026-11-22"),
    }
    assert sorted(f.message for f in result.findings) == [
        "queued is queued and was left by an interrupted run; it is removed when it is two days old",
        f"version 20240416 exists twice: {image.id} is kept, twin is a duplicate",
    ]
    deleting = Policy(outdated="delete", unknown_usage="delete")
    *_, change = planned([definition()], [twin, image], deleting).changes
    assert (type(change), change.found.id, change.reason) == (Delete, "twin", f"duplicate of {image.id}")
    unseen = plan([definition()], [twin, image], Policy(outdated="delete"), TODAY, usage=lambda _: None)
    assert "Ubuntu 24.04 (twin) is kept: cannot check whether it is in use" in unseen.findings[1].message


def test_the_image_that_stands_is_the_same_one_in_the_next_run():
    off = definition(status="deactivated")
    image = settled([off])[0]
    assert image.status == "deactivated"
    twin = replace(image, id="twin", status="active", created_at="2030")
    keeping = Policy(outdated="keep")
    after = settled([off], keeping, [image, twin])
    assert not planned([off], after, keeping).changes
    assert {each.id: each.name for each in after} == {image.id: "Ubuntu 24.04", "twin": "Ubuntu 24.04 (20240416)"}


def test_a_second_image_that_tells_its_version_by_its_source_alone_gives_the_plain_name_up():
    """As the existing tool made them: without image_name and internal_version."""
    (first,) = settled([definition()])
    known = {key: first.properties[key] for key in ("image_description", "image_source")}
    second = replace(first, id="second", created_at="2026-11-23", properties=known)
    cloud = settled([definition()], found=[first, second])
    assert {image.id: image.name for image in cloud} == {
        first.id: "Ubuntu 24.04",
        "second": "Ubuntu 24.04 (20240416)",
    }


def test_a_twin_that_is_to_be_deleted_leaves_the_list_first():
    image = settled([definition()])[0]
    twin = replace(image, id="twin", created_at="2030-01-01T00:00:00Z")
    update, delete = plan([definition()], [image, twin], DELETE, TODAY, usage=lambda _: 0).changes
    assert (update.found.id, update.wanted.visibility, delete.found) == ("twin", "community", update.wanted)
    assert {update.reason, delete.reason} == {f"duplicate of {image.id}"}


def test_a_twin_goes_only_while_the_image_that_stands_is_there_as_planned():
    one, two = settled([definition(versions=["1", "2"])])
    old = one if one.properties["internal_version"] == "1" else two
    twin = replace(old, id="twin", created_at="2030-01-01T00:00:00Z")

    def deleted(versions, **meta):
        wanted = [definition(versions=versions, meta={"uuid_validity": "last-1", **meta})]
        changes = plan(wanted, [one, two, twin], DELETE, TODAY, usage=lambda _: 0).changes
        return {change.found.id: change.keeper for change in changes if isinstance(change, Delete)}

    kept = deleted(["1", "2"])
    assert list(kept) == ["twin"]
    assert (kept["twin"].id, kept["twin"].visibility) == (old.id, "community")  # as it is hidden first
    both, current = deleted(["2"]), two if old is one else one
    assert both.keys() == {"twin", old.id}
    assert {keeper.id for keeper in both.values()} == {current.id}  # which users still find


def test_what_dead_runs_left_of_one_version_is_removed_all_of_it():
    """None of the records stands for the version, so none is to be kept for the others."""
    (image,) = settled([definition(versions=["1"])])
    left = [
        replace(image, id=each, status="queued", visibility="private", updated_at="2026-01-01T00:00:00Z")
        for each in ("first", "second")
    ]
    changes = plan([definition(versions=["2"])], left, DELETE, TODAY, usage=lambda _: 0).changes
    gone = {change.found.id: (change.junk, change.keeper) for change in changes if isinstance(change, Delete)}
    assert gone == {"first": (True, None), "second": (True, None)}


@pytest.mark.parametrize("promised", [{"meta": {"uuid_validity": "forever"}}, {"keep": True}])
def test_a_twin_whose_id_is_promised_is_hidden_only(promised):
    wanted = [definition(**promised)]
    image = settled(wanted)[0]
    twin = replace(image, id="twin", created_at="2030-01-01T00:00:00Z")
    result = plan(wanted, [image, twin], DELETE, TODAY, usage=lambda _: 0)
    assert [type(change) for change in result.changes] == [Update]
    assert "Ubuntu 24.04 (twin) is kept: its id is promised to stay" in str(result.findings)


def test_a_twin_stays_where_nothing_may_be_hidden_and_says_so():
    image = settled([definition()])[0]
    twin = replace(image, id="twin", visibility="private", name="Ubuntu 24.04 (20240416)")
    result = plan([definition()], [image, twin], Policy(outdated="keep"), TODAY)
    assert not result.changes
    assert "twin is a duplicate" in result.findings[0].message


def test_a_twin_is_seen_by_no_more_people_than_the_image_that_stands():
    image = settled([definition()])[0]
    twin = replace(image, id="twin", created_at="2020-01-01T00:00:00Z", visibility="community")
    for policy in (Policy(), Policy(outdated="keep")):
        private = [definition(visibility="private")]
        after = made(plan(private, [image, twin], policy, TODAY), [image, twin])
        assert {each.visibility for each in after} == {"private"}
    after = settled(private, found=[image, twin])
    assert {each.id: each.name for each in after} == {image.id: "Ubuntu 24.04", "twin": "Ubuntu 24.04 (20240416)"}
    assert not plan(private, after, Policy(), TODAY).changes
