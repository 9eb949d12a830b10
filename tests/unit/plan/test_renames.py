"""A definition gets another name: its images are renamed and keep their ids, or the plan says how to have that."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.plans import TODAY, by_version, definition, made, planned, settled

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.matching import identify
from openstack_image_manager.plan.model import Create, Plan, Policy, Update
from openstack_image_manager.plan.planner import plan

OLD, NEW = "Debian 13", "Debian 13 Trixie"
BUILDS = ("20260401", "20260301", "20260201")


def renamed(versions: Any = BUILDS, **fields: Any) -> Definition:
    return definition(NEW, versions, former_names=[OLD], **fields)


@pytest.mark.parametrize("multi", [True, False])
def test_images_are_renamed_in_place(multi: bool) -> None:
    before = settled([definition(OLD, BUILDS, multi=multi)])
    result = planned([renamed(multi=multi)], before)
    assert all(isinstance(change, Update) for change in result.changes)
    assert {change.reason for change in result.changes} == {f"renamed from {OLD}"}
    after = made(result, before)
    assert {image.id for image in after} == {image.id for image in before}
    assert {image.name for image in after} == {image.name.replace(OLD, NEW) for image in before}
    assert {image.visibility for image in after} == {"public"}
    assert planned([renamed(multi=multi)], after).changes == ()
    # The line can be removed afterwards.
    assert planned([definition(NEW, BUILDS, multi=multi)], after).changes == ()


@pytest.mark.parametrize("multi", [True, False])
def test_a_build_that_is_no_longer_defined_is_renamed_too(multi: bool) -> None:
    before = settled([definition(OLD, BUILDS, multi=multi)])
    after = made(planned([renamed(BUILDS[:1], multi=multi)], before), before)
    assert {image.properties["image_name"] for image in after} == {NEW}
    assert {image.name for image in after} == {image.name.replace(OLD, NEW) for image in before}
    known = {NEW: definition(NEW, BUILDS[:1], multi=multi)}
    assert {identify(image, known) for image in after} == {(NEW, build) for build in BUILDS}


def test_a_new_build_and_a_new_name_at_once() -> None:
    before = settled([definition(OLD, BUILDS[1:])])
    result = planned([renamed()], before)
    after = by_version(made(result, before))
    assert {build: image.name for build, image in after.items()} == {
        "20260401": NEW,
        "20260301": f"{NEW} (20260301)",
        "20260201": f"{NEW} (20260201)",
    }
    assert isinstance(result.changes[0], Create)
    assert planned([renamed()], list(after.values())).changes == ()


def test_a_cloud_that_is_ahead_keeps_its_current_build() -> None:
    before = settled([definition(OLD, BUILDS)])
    result = planned([renamed(BUILDS[1:])], before)
    after = by_version(made(result, before))
    assert after["20260401"] == by_version(before)["20260401"]
    assert not [change for change in result.changes if isinstance(change, Create)]


@pytest.mark.parametrize(
    ("name", "properties"),
    [
        ("x", {"image_name": OLD, "internal_version": "20260301"}),
        ("x", {"image_description": OLD, "internal_version": "20260301"}),
        (f"{OLD} (20260301)", {"image_name": OLD}),
        (f"{OLD} (20260301)", {}),
        (OLD, {"internal_version": "20260301"}),
    ],
)
def test_whatever_an_image_says_of_the_former_name(name: str, properties: dict[str, str]) -> None:
    image = Image(name, "public", properties=properties)
    assert identify(image, {NEW: renamed()}) == (NEW, "20260301")
    assert identify(image, {NEW: definition(NEW, BUILDS)}) is None
    # A definition of that name comes first.
    both = {NEW: renamed(), OLD: definition(OLD, BUILDS)}
    assert identify(image, both) == (OLD, "20260301")


def all_of(definitions: list[Definition], found: list[Image], policy: Policy = Policy()) -> Plan:  # noqa: B008  frozen
    return plan(definitions, found, policy, TODAY, names={wanted.name for wanted in definitions})


def warnings(result: Plan) -> list[str]:
    return [finding.message for finding in result.findings if finding.level == "warning"]


def test_the_plan_suggests_the_former_name() -> None:
    before = [replace(image, owner="ours") for image in settled([definition(OLD, BUILDS)])]
    result = all_of([definition(NEW, BUILDS)], before)
    assert sum(isinstance(change, Create) for change in result.changes) == 3
    assert warnings(result) == [
        f"'{OLD}' is not defined, and 3 images of it have the URL or checksum of these versions; if it was renamed, "
        f"add former_names: ['{OLD}'], and nothing is imported again"
    ]
    assert warnings(all_of([renamed()], before)) == []
    assert warnings(all_of([definition(OLD, BUILDS), definition("Other", BUILDS)], before)) == []
    theirs = [replace(image, owner="theirs") for image in before]
    assert warnings(all_of([definition(NEW, BUILDS)], theirs, Policy(project="ours"))) == []
    # A filter leaves others out, so that nothing is known of a missing definition.
    assert warnings(plan([definition(NEW, BUILDS)], before, Policy(), TODAY)) == []


def test_a_checksum_tells_it_too_and_a_local_file_does_not() -> None:
    sha512 = "a" * 128

    def moved(name: str, url: str, **more: str) -> Definition:
        return definition(name, [{"version": "1", "url": url, **more}])

    (image,) = settled([moved(OLD, "https://example.org/a.img")])
    image = replace(image, hash_algorithm="sha512", hash_value=sha512)
    (warning,) = warnings(all_of([moved(NEW, "https://example.org/b.img", checksum=sha512)], [image]))
    assert f"'{OLD}' is not defined, and 1 image of it has the URL" in warning
    (local,) = settled([moved(OLD, "file:///srv/a.img")])
    assert warnings(all_of([moved(NEW, "file:///srv/a.img")], [local])) == []
    nameless = replace(image, properties={markers.VERIFIED: "none"})
    assert warnings(all_of([moved(NEW, "https://example.org/b.img", checksum=sha512)], [nameless])) == []
