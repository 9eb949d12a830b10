"""What of an approved plan is still done: exactly what was approved, or nothing of a definition."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.plans import TODAY, definition, made, settled

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan.approval import Approved, approved_part, fingerprint
from openstack_image_manager.plan.model import Delete, Plan, Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.plan.serialize import change_data

DAY = TODAY.isoformat()
HARD = Policy(outdated="delete", unknown_usage="delete")


def approved_of(plan_: Plan, definitions: list[Definition], day: str = DAY) -> Approved:
    """As it comes back from a file."""
    changes = json.loads(json.dumps([change_data(change) for change in plan_.changes]))
    approved = Approved(changes, {each.name: fingerprint(each) for each in definitions}, day)
    approved.validate()
    return approved


def told(result: Plan, name: str) -> str:
    return "\n".join(f"{each.level}: {each.message}" for each in result.findings if each.subject == name)


def rotating(*names: str, **fields: Any) -> tuple[list[Definition], list[Image]]:
    """Definitions with a new build, and a cloud before it."""
    cloud = settled([definition(name, ["1"]) for name in names])
    return [definition(name, ["1", "2"], **fields) for name in names], cloud


def test_the_same_plan_is_done_as_it_is():
    definitions, cloud = rotating("A", "B")
    now = plan(definitions, cloud, HARD, TODAY)
    assert approved_part(approved_of(now, definitions), now, definitions, cloud, DAY) == now


def test_marks_of_the_day_may_be_of_another_day():
    definitions, cloud = rotating("A", meta={"uuid_validity": "none"})
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    tomorrow = TODAY + timedelta(1)
    now = plan(definitions, cloud, HARD, tomorrow)
    assert approved_part(approved, now, definitions, cloud, tomorrow.isoformat()) == now
    again = settled(definitions, HARD, cloud)
    nothing = plan(definitions, again, HARD, tomorrow)
    result = approved_part(approved, nothing, definitions, again, tomorrow.isoformat())
    assert (result.changes, told(result, "A")) == ((), "note: is already done, as approved")
    hidden = [definition("A", [{"version": "1", "url": "https://example.org/1", "hidden": True}])]
    first = plan(hidden, [], HARD, TODAY)
    assert approved_part(approved_of(first, hidden), first, hidden, [], DAY) == first


def test_other_definitions_are_done_when_one_is_refused():
    definitions, cloud = rotating("A", "B")
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    edited = [definition("A", ["1", "2"], min_ram=7), definitions[1], definition("C")]
    result = approved_part(approved, plan(edited, cloud, HARD, TODAY), edited, cloud, DAY)
    assert {change.group for change in result.changes} == {"B"}
    assert told(result, "A").startswith("error: not done: its definition changed since the plan was made: the import")
    assert told(result, "C").startswith("note: has changes that are not in the approved plan")


def test_an_orphan_with_changes_of_its_own():
    definitions, cloud = rotating("A")
    stray = replace(cloud[0], id="stray", name="Gone", properties={"image_name": "Gone"}, owner="ours")
    policy = replace(HARD, orphans="delete", project="ours")
    before = plan(definitions, [stray], policy, TODAY, names={"A"}, usage=lambda _: 0)
    approved = approved_of(before, definitions)
    assert any(isinstance(change, Delete) for change in before.changes)
    kept = [replace(stray, protected=True)]
    result = approved_part(approved, plan(definitions, kept, policy, TODAY, names={"A"}), definitions, kept, DAY)
    assert {change.group for change in result.changes} == {"A"}
    assert "the cloud changed" in told(result, "Gone")
    assert "the deletion of Gone (stray) was approved and is not to be done now" in told(result, "Gone")
    result = approved_part(approved, plan(definitions, [], policy, TODAY, names={"A"}), definitions, [], DAY)
    assert told(result, "Gone") == "note: is already done, as approved"


Edit = Callable[[Image], Image]


@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (lambda i: replace(i, name="x"), "name: A → A (1) was approved, x → A (1) now"),
        (lambda i: replace(i, min_ram=3), "min_ram: no change was approved, 3 → 0 now"),
        (
            lambda i: replace(i, name="A (1)", protected=True),
            "A (1) (new-0-1-0): name: A → A (1) was approved, no change now",
        ),
        (
            lambda i: replace(i, name="A (1)"),
            "the change of name of A (new-0-1-0) was approved and is not to be done now",
        ),
        (
            lambda i: replace(i, properties={**i.properties, "os_version": "3"}),
            "os_version: no change was approved, 3 → (none)",
        ),
    ],
)
def test_what_differs_is_told(edit: Edit, said: str):
    definitions, cloud = rotating("A", meta={"os_version": None}, protected=False)
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    edited = [edit(image) for image in cloud]
    result = approved_part(approved, plan(definitions, edited, HARD, TODAY), definitions, edited, DAY)
    assert (result.changes, said in told(result, "A")) == ((), True), told(result, "A")


def test_no_more_is_told_than_a_reader_can_take():
    definitions, cloud = rotating("A")
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    edited = [replace(image, name="x", min_ram=1, visibility="private", min_disk=9) for image in cloud]
    result = approved_part(approved, plan(definitions, edited, HARD, TODAY), definitions, edited, DAY)
    assert told(result, "A").endswith("; and 1 more; make a new plan")
    # Another order is another plan.
    turned = replace(approved, changes=approved.changes[::-1])
    result = approved_part(turned, plan(definitions, cloud, HARD, TODAY), definitions, cloud, DAY)
    assert "the same in another order" in told(result, "A")
    # An error says more than what follows from it.
    wrong = [Finding("error", "A", "is wrong")]
    result = approved_part(approved, plan(definitions, cloud, HARD, TODAY, wrong), definitions, cloud, DAY)
    assert "not done: it is left alone because of its error: the import of A (version 2) was approved" in told(
        result, "A"
    )


def test_a_proof_is_part_of_what_is_approved():
    definitions, cloud = rotating("A")
    now = plan(definitions, cloud, HARD, TODAY)
    approved = approved_of(now, definitions)
    changes = [{**each, "proof": "sha256:1"} if each["action"] == "change" else each for each in approved.changes]
    result = approved_part(replace(approved, changes=changes), now, definitions, cloud, DAY)
    assert "takes another proof" in told(result, "A")


def test_what_touches_the_same_image_or_name_is_refused_together():
    """A gives its name away and B takes it; C takes what B had; D has nothing to do with them."""
    numbers = {"multi": False, "meta": {"os_purpose": None}}
    cloud = settled([definition("A", ["1"], **numbers), definition("B", ["1"], separator=" A ", **numbers)])
    definitions = [
        definition("A", ["1"], separator="-", **numbers),
        definition("A 1", ["5"]),
        definition("D", ["1"]),
    ]
    cloud = cloud[:1]
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    edited = [replace(image, min_ram=5) for image in cloud]
    result = approved_part(approved, plan(definitions, edited, HARD, TODAY), definitions, edited, DAY)
    assert {change.group for change in result.changes} == {"D"}
    assert told(result, "A 1") == (
        "error: not done: it has to do with 'A 1', as has A, which is not done; make a new plan"
    )
    # Also when the other one was not approved at all.
    alone = replace(approved, changes=[each for each in approved.changes if each["definition"] != "A"])
    result = approved_part(alone, plan(definitions, cloud, HARD, TODAY), definitions, cloud, DAY)
    assert {change.group for change in result.changes} == {"D"}
    assert "as has A, which is not in the approved plan" in told(result, "A 1")


def test_the_limit_counts_all_that_was_approved():
    definitions = [definition("A", ["2"], meta={"uuid_validity": "none"})]
    cloud = settled([definition("A", ["1", "2"], meta={"uuid_validity": "none"})])
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    assert approved.refusal(HARD) is None
    assert "deletes 1 image, and --max-deletes allows 0" in (approved.refusal(replace(HARD, max_deletes=0)) or "")


def test_a_fingerprint_knows_what_a_definition_says_and_no_secrets():
    plain, *others = (
        definition("A", [{"version": "1", "url": url}])
        for url in (
            "https://example.org/1?build=2",
            "https://me:pass@example.org/1?build=2&token=5",
            "https://example.org/2",
        )
    )
    assert [fingerprint(each) == fingerprint(plain) for each in others] == [True, False]
    assert fingerprint(definition("A", tags=["x"])) != fingerprint(definition("A"))
    assert fingerprint(definition("A", password="a")) == fingerprint(definition("A", password="b"))


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("import", ("action", "definition", "image", "version", "properties", "name")),
        ("change", ("action", "definition", "image", "id", "fields", "reason")),
        ("delete", ("action", "definition", "image", "id", "junk")),
    ],
)
def test_damaged_plans_are_noticed(kind: str, keys: tuple[str, ...]):
    definitions = [definition("A", ["2", "3"], meta={"uuid_validity": "none"})]
    cloud = settled([definition("A", ["1", "2"], meta={"uuid_validity": "none"})])
    approved = approved_of(plan(definitions, cloud, HARD, TODAY), definitions)
    (change, *_) = [each for each in approved.changes if each["action"] == kind]
    for key in keys:
        damaged = {name: value for name, value in change.items() if name != key}
        with pytest.raises((KeyError, TypeError, AttributeError)):
            replace(approved, changes=[damaged]).validate()


builds = st.lists(st.sampled_from("123"), min_size=1, unique=True)


@given(st.tuples(builds, builds), st.tuples(builds, builds), st.tuples(builds, builds), st.integers(0, 5))
def test_nothing_is_ever_done_that_was_not_approved(first: Any, then: Any, later: Any, edited: int):
    """And a second plan file for what was refused leads to the same end."""
    cloud = settled([definition("A", first[0]), definition("A 1", first[1])])
    asked = [definition("A", then[0], multi=False), definition("A 1", then[1])]
    approved = approved_of(plan(asked, cloud, HARD, TODAY), asked)
    meanwhile = [replace(image, min_ram=9) if n == edited else image for n, image in enumerate(cloud)]
    now = [definition("A", later[0], multi=False), definition("A 1", later[1])]
    whole = plan(now, meanwhile, HARD, TODAY)
    part = approved_part(approved, whole, now, meanwhile, DAY)
    was = [json.dumps(each, sort_keys=True) for each in approved.changes]
    assert all(json.dumps(change_data(change), sort_keys=True) in was for change in part.changes)
    for name in ("A", "A 1"):
        mine = [change for change in part.changes if change.group == name]
        assert mine in ([], [change for change in whole.changes if change.group == name])
    after = made(part, meanwhile)
    assert plan(now, made(plan(now, after, HARD, TODAY), after), HARD, TODAY).changes == ()


def test_other_bytes_than_those_that_were_approved():
    """The definition names a checksum file, and the plan the checksum that it gave."""
    wanted = definition("A", [{"version": "1", "url": "https://x/1", "checksums_url": "https://x/SUMS"}])

    def pinned(digest: str) -> Plan:
        made_ = plan([wanted], [], HARD, TODAY)
        changes = [
            replace(each, version=each.version.model_copy(update={"checksum": digest})) for each in made_.changes
        ]
        return replace(made_, changes=tuple(changes))

    before, now = ("sha256:" + each * 64 for each in "ab")
    approved = approved_of(pinned(before), [wanted])
    assert approved_part(approved, pinned(before), [wanted], [], DAY).changes
    result = approved_part(approved, pinned(now), [wanted], [], DAY)
    assert (result.changes, told(result, "A")) == (
        (),
        "error: not done: its checksum file changed since the plan was made: the import of A (version 1): checksum "
        f"{before} was approved, {now} now; make a new plan",
    )
