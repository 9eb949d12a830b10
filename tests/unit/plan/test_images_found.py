"""Images that are there: which of them are a definition's, and what becomes of those that a run left half done."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import DEFAULT, DELETE, TAG, by_version, definition, only, planned, settled, withdrawn

from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Create, Delete, Update


def test_images_of_other_definitions_and_unknown_ones_are_not_touched():
    found = settled([definition("Other")])
    assert planned([definition()], found).images == 0
    assert all(isinstance(change, Create) for change in planned([definition()], found).changes)


@pytest.mark.parametrize(
    ("properties", "name"),
    [
        ({"image_name": "Ubuntu 24.04", "internal_version": "20240416"}, "whatever"),
        ({"image_description": "Ubuntu 24.04", "internal_version": "20240416"}, "whatever"),
        ({"internal_version": "20240416"}, "Ubuntu 24.04"),
        ({"image_description": "something else"}, "Ubuntu 24.04 (20240416)"),
        ({"image_source": "https://example.org/20240416.img"}, "Ubuntu 24.04"),
        ({}, "Ubuntu 24.04 (20240416)"),
    ],
)
def test_images_made_by_earlier_tools_are_recognised(properties, name):
    image = Image(name, "public", tags=frozenset({TAG}), properties=properties, disk_format="qcow2", id="1")
    assert isinstance(only(planned([definition()], [image])), Update)


@pytest.mark.parametrize("name", ["Ubuntu 24.04", "Ubuntu 24.04 minimal", "Ubuntu", "Ubuntu 24.04 ()"])
def test_names_that_tell_no_version_are_not_recognised(name):
    image = Image(name, "public", tags=frozenset({TAG}), disk_format="qcow2", id="1")
    assert isinstance(only(planned([definition()], [image])), Create)
    assert isinstance(only(planned([definition(multi=False)], [image])), Create)


def test_the_longest_fitting_name_wins():
    image = Image("Flatcar 4 beta 1", "public", tags=frozenset({TAG}), disk_format="qcow2", id="1")
    both = [definition("Flatcar", ["4 beta 1"], multi=False), definition("Flatcar 4", ["beta 1"], multi=False)]
    update = next(change for change in planned(both, [image]).changes if isinstance(change, Update))
    assert update.group == "Flatcar 4"


@pytest.mark.parametrize("status", ["queued", "uploading", "importing", "saving", "killed"])
def test_what_an_interrupted_run_left_is_taken_up(status):
    left = replace(settled([definition()])[0], status=status)
    change = only(planned([definition()], [left]))
    assert isinstance(change, Create)
    assert change.leftover == left
    assert status in change.reason


def test_leftovers_of_versions_that_are_gone_are_told():
    left = replace(settled([definition(versions=["1"])])[0], status="queued")
    result = planned([definition(versions=["2"])], [left])
    assert isinstance(only(result), Create)
    assert "left by an interrupted run" in result.findings[0].message


def test_an_unpublished_image_is_finished_or_replaced_by_what_its_bytes_are():
    digest = "ab" * 64
    image = settled([definition()])[0]
    promise = f"{markers.PENDING}sha512:{digest}{markers.AFTER}"
    pending = replace(image, visibility="private", name="x", properties={**image.properties, markers.VERIFIED: promise})
    right = replace(pending, hash_algorithm="sha512", hash_value=digest)
    change = only(planned([definition()], [right]))
    assert change.reason == "an interrupted run left it unpublished"
    assert change.wanted.properties[markers.VERIFIED] == f"sha512:{digest}{markers.AFTER}"
    wrong = replace(pending, hash_algorithm="sha512", hash_value="cd" * 64)
    change = only(planned([definition()], [wrong]))
    assert isinstance(change, Create)
    assert "never published" in change.reason


def test_what_was_imported_without_the_checksum_that_its_version_has_now_is_replaced():
    (image,) = settled([definition()])
    pending = replace(image, properties={**image.properties, markers.VERIFIED: markers.PENDING + "none"})
    checked = [definition(versions=[{"version": "20240416", "url": "https://e.org/a", "checksum": "md5:" + "0" * 32}])]
    (change,) = planned(checked, [pending]).changes
    assert (type(change), change.leftover) == (Create, pending)
    assert change.reason == f"{image.id} was not verified with the version's checksum and never published: replaced"
    promised = f"{markers.PENDING}md5:{'0' * 32}{markers.BEFORE}"
    (change,) = planned(
        checked, [replace(pending, properties={**image.properties, markers.VERIFIED: promised})]
    ).changes
    assert type(change) is Update


@pytest.mark.parametrize("versions", [["3"], ["3", withdrawn("2")]])
@pytest.mark.parametrize("policy", [DEFAULT, DELETE])
def test_what_was_never_published_does_not_stand_for_a_version_that_is_not_offered(versions, policy):
    before = settled([definition(versions=["2", "3"])])
    cloud = settled([definition(versions=versions)], found=before)
    healthy = by_version(cloud)["2"]
    marks = {**healthy.properties, markers.VERIFIED: f"{markers.PENDING}none"}
    left = replace(
        healthy, id="left", visibility="private", properties=marks, created_at="2020", updated_at="2026-01-01"
    )
    alone = planned([definition(versions=versions)], cloud, policy)
    result = planned([definition(versions=versions)], [left, *cloud], policy)
    assert [change.found.id for change in result.changes if change not in alone.changes] == ["left"]
    assert all(change in result.changes for change in alone.changes)
    assert not any("duplicate" in finding.message for finding in result.findings)


def test_what_was_never_published_with_the_checksum_of_its_version_does_not_stand_for_it():
    one = {"version": "1", "url": "https://e.org/1", "checksum": "md5:" + "0" * 32}
    (healthy,) = settled([definition(versions=[one])])
    healthy = replace(healthy, properties={**healthy.properties, markers.VERIFIED: f"md5:{'1' * 32} before import"})
    marks = {**healthy.properties, markers.VERIFIED: f"{markers.PENDING}md5:{'1' * 32} before import"}
    left = replace(healthy, id="left", properties=marks, created_at="2020", updated_at="2026-01-01")
    change = only(planned([definition(versions=[one])], [left, healthy]))
    assert (type(change), change.found.id) == (Delete, "left")


def test_deleted_images_do_not_count():
    gone = [replace(image, status="pending_delete") for image in settled([definition()])]
    assert isinstance(only(planned([definition()], gone)), Create)
