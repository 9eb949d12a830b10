"""The laws of the plan, over generated clouds and definitions."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.plans import TAG, TODAY, by_version, made, settled, steps
from tests.support.situations import definitions, situations

from openstack_image_manager.definitions import naming
from openstack_image_manager.plan import markers, retention
from openstack_image_manager.plan.model import Create, Delete, Policy
from openstack_image_manager.plan.planner import plan


@settings(max_examples=40)
@given(situations())
def test_after_a_run_there_is_nothing_left_to_do(situation):
    policy, found, today = situation
    after = settled([today], policy, found)
    assert plan([today], after, policy, TODAY).changes == ()


@settings(max_examples=40)
@given(situations())
def test_no_one_sees_more_than_the_definition_says_and_nothing_is_lost(situation):
    policy, found, today = situation
    before = {image.id: image for image in found}
    allowed = {v.version: v.visibility or today.visibility for v in today.versions}
    result = plan([today], found, policy, TODAY)
    for change in result.changes:
        if isinstance(change, Create):
            version = change.version.version
            seen = change.wanted.visibility
        elif isinstance(change, Delete):
            continue
        else:
            version = change.found.properties.get("internal_version", "")
            seen = change.wanted.visibility
            if seen == before[change.found.id].visibility:
                continue
        limit = allowed.get(version, today.visibility)
        assert retention.narrower(limit, seen) == seen, (limit, seen)
    whole = {i.id for i in found if i.status in ("active", "deactivated") and not markers.has_wrong_bytes(i)}
    deleted = {change.found.id for change in result.changes if isinstance(change, Delete)}
    assert whole - deleted <= {image.id for image in made(result, found)}
    if policy.outdated != "delete" or policy.unknown_usage != "delete" or policy.grace:
        assert not whole & deleted
    for change in result.changes:
        if isinstance(change, Delete) and change.found.id in whole:
            assert change.found.properties.get("internal_version") not in allowed or _has_twin(change.found, found)


def _has_twin(image, found):
    """Another image of its version that stays."""
    version = image.properties["internal_version"]
    return any(other.id != image.id and other.properties.get("internal_version") == version for other in found)


@settings(max_examples=50)
@given(situations())
def test_the_plain_name_is_never_missing(situation):
    policy, found, today = situation
    plain = naming.image_name(today, max((v.version for v in today.versions), key=naming.version_key), newest=True)

    def has_it(images):
        return any(image.name == plain and image.status in ("active", "deactivated") for image in images)

    if not has_it(found):
        return
    for cloud in steps(plan([today], found, policy, TODAY), found):
        assert has_it(cloud)


@settings(max_examples=40)
@given(situations(), st.integers(0, 5))
def test_a_run_cut_off_anywhere_is_finished_by_the_next(situation, cut):
    policy, found, today = situation
    states = [found, *steps(plan([today], found, policy, TODAY), found)]
    after = settled([today], policy, states[min(cut, len(states) - 1)])
    assert plan([today], after, policy, TODAY).changes == ()
    assert {v.version for v in today.versions} & set(by_version(after))


@settings(max_examples=30)
@given(definitions(), definitions("Other"))
def test_definitions_do_not_touch_one_another(one, other):
    both = settled([one, other])
    assert not plan([one], both, Policy(), TODAY).changes
    changed = plan([one.model_copy(update={"min_ram": 77})], both, Policy(), TODAY).changes
    assert {change.group for change in changed} == {one.name}
    assert all(TAG in change.wanted.tags for change in changed)
