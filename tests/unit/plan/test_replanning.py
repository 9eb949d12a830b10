"""Decisions that are made again: a plan that nobody disturbs is decided again at each of its steps."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import DEFAULT, DELETE, TAG, TODAY, definition, made, only, planned, settled, steps

from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers, replanning
from openstack_image_manager.plan.model import Change, Create, Delete, Plan, Policy, Update
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.plan.replanning import Replanner

OURS = "ours"
UBUNTU = "Ubuntu 24.04"


def decisions(
    made_plan: Plan, defined: list, images: list[Image], policy: Policy = DEFAULT, admin: bool = True, **rest: object
) -> Replanner:
    return Replanner(made_plan, defined, images, replace(policy, project=OURS), TODAY, admin, **rest)


def assert_decided(change: Change, again: Replanner, images: list[Image]) -> None:
    """The change is still in the plan, or its outcome is there."""
    changes = again.replan(change.group, images)
    if isinstance(change, Create | Delete):
        assert replanning.change_key(change) in set(map(replanning.change_key, changes))
        return
    image = next(image for image in images if image.id == change.found.id)
    after = replanning.outcome(image, changes)
    if after is not None:
        asked = {field.field: field.after for field in change.fields if field.field in replanning.DECISIVE}
        assert {name: after[name] for name in asked} == asked


def ours(images: list[Image]) -> list[Image]:
    return [replace(image, owner=OURS) for image in images]


@pytest.mark.parametrize("policy", [DEFAULT, DELETE, Policy(use_os_hidden=True), Policy(latest=True)])
@pytest.mark.parametrize(
    ("before", "after", "roll_back"),
    [
        (["1"], ["1", "2"], None),
        (["1", "2", "3", "4"], ["5"], None),
        (["1", "2", "3"], ["1", "2", "3"], ""),
        (["1", "2", "3"], ["1", "2", "3"], "1"),
        (["1", "2"], ["3"], ""),
        (["1", "2"], ["1", "2", "3"], ""),
    ],
)
@pytest.mark.parametrize("visibility", ["public", "private"])
def test_each_step_is_decided_again(before, after, roll_back, policy, visibility):
    found = ours(settled([definition(versions=before, visibility=visibility)]))
    defined = [definition(versions=after, visibility=visibility)]
    back = {} if roll_back is None else {UBUNTU: roll_back}
    # As the command does: a rollback imports no older versions, and hides at most.
    policy = replace(policy, project=OURS, **({"latest": True, "outdated": "hide"} if back else {}))
    todo = plan(defined, found, policy, TODAY, roll_back=back, usage=lambda _: 0)
    if back:
        todo = replace(todo, changes=tuple(change for change in todo.changes if not isinstance(change, Create)))
    again = decisions(todo, defined, found, policy, roll_back=back)
    cloud = found
    for change in todo.changes:
        assert_decided(change, again, cloud)
        *_, cloud = [cloud, *steps(replace(todo, changes=(change,)), cloud)]
        cloud = ours(cloud)
    left = [change for change in again.replan(UBUNTU, cloud) if replanning.is_decisive(change)]
    assert [change for change in left if not (back and isinstance(change, Create))] == []


def test_what_a_run_has_just_given_away_stands_for_its_version():
    """Whom a new image is shared with was not asked."""
    one = {"version": "1", "url": "https://example.org/1.img", "checksum": "sha512:" + "1" * 128}
    defined = [definition(versions=[one], visibility="shared", owner="x", members=[{"project": "a"}])]
    todo = plan(defined, [], replace(DEFAULT, project=OURS), TODAY)
    cloud = [replace(i, owner="x", members=None, hash_algorithm="sha512", hash_value="1" * 128) for i in made(todo, [])]
    assert decisions(todo, defined, []).replan(UBUNTU, cloud) == ()
    before = [replace(image, owner=OURS, visibility="private", members=frozenset()) for image in cloud]
    todo = plan(defined, before, replace(DEFAULT, project=OURS), TODAY)
    again = decisions(todo, defined, before).replan(UBUNTU, cloud)
    assert not any(replanning.is_decisive(change) for change in again)


def test_a_rollback_that_was_asked_for_by_version_and_needs_no_mark():
    defined = [definition(versions=["1", "2"])]
    found = ours(settled(defined))
    back = ours(made(plan(defined, found, DEFAULT, TODAY, roll_back={UBUNTU: ""}), found))
    todo = plan(defined, back, DEFAULT, TODAY, roll_back={UBUNTU: "2"})
    again = decisions(todo, defined, back, roll_back={UBUNTU: "2"})
    assert set(map(replanning.change_key, again.replan(UBUNTU, back))) == set(map(replanning.change_key, todo.changes))


def test_images_without_a_definition_are_decided_by_their_name():
    found = ours(settled([definition("Gone")]))
    policy = Policy(orphans="hide")
    todo = plan([], found, policy, TODAY, names={"Other"})
    (change,) = todo.changes
    again = decisions(todo, [], found, policy, names={"Other"})
    assert replanning.change_key(only(Plan(again.replan(change.group, found)))) == replanning.change_key(change)
    assert again.known_ids("Gone") == [found[0].id]
    assert decisions(todo, [], found, policy).replan("Gone", found) == ()


@pytest.mark.parametrize("admin", [True, False])
def test_only_what_a_listing_would_find_counts(admin):
    defined = [definition()]
    (image,) = settled(defined)
    untagged = replace(image, tags=frozenset(), owner=OURS)
    stranger = replace(image, owner="theirs", visibility="private")
    public = replace(image, owner="theirs")
    todo = planned(defined)
    again = decisions(todo, defined, [], admin=admin)
    for each, counts in ((untagged, False), (stranger, False), (public, admin), (replace(image, owner=OURS), True)):
        create = only(todo)
        assert bool(again.images_of_version(create, [each])) is counts, each
    known = decisions(todo, defined, [untagged], admin=admin)
    assert known.images_of_version(only(todo), [untagged]) == [untagged]


def test_an_image_that_lost_its_tag():
    defined = [definition()]
    (image,) = ours(settled(defined))
    again = decisions(planned(defined), defined, [])
    create = only(planned(defined))
    lost = replace(image, tags=frozenset())
    assert again.untagged_image(create, [lost]) == lost
    other = {markers.RECORD: '{"tags":["other"]}'}
    for fine in (
        image,
        replace(lost, owner="theirs"),
        replace(lost, status="queued"),
        replace(lost, properties={**lost.properties, "internal_version": "2"}),
        replace(lost, properties={**lost.properties, "base_image_ref": "x"}),
        replace(lost, properties={**lost.properties, **other}),
    ):
        assert again.untagged_image(create, [fine]) is None
    without_record = {key: value for key, value in lost.properties.items() if key != markers.RECORD}
    assert again.untagged_image(create, [replace(lost, properties=without_record)]) is not None
    assert TAG not in lost.tags


def test_what_is_deleted_has_no_outcome():
    (image,) = settled([definition()])
    delete = Delete(UBUNTU, image, "why")
    assert replanning.outcome(image, [delete]) is None
    assert replanning.outcome(image, [replace(delete, found=replace(image, id="other"))]) == replanning.decisive_fields(
        image
    )
    update = only(planned([definition(min_ram=1)], [image]))
    assert isinstance(update, Update)
    assert not replanning.is_decisive(update)
    assert replanning.outcome(image, [update]) == replanning.decisive_fields(image)
