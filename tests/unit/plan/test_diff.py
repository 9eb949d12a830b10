"""What a plan changes of an image: fields, properties and tags, where they come from, and what is left alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from tests.support.plans import GIB, TAG, by_version, definition, fields, made, only, planned, settled

from openstack_image_manager.plan import desired, markers
from openstack_image_manager.plan.diff import diff
from openstack_image_manager.plan.model import Update
from openstack_image_manager.plan.serialize import change_data


def test_every_difference_of_one_image_is_one_change():
    wanted = definition(tags=["lts"], meta={"os_distro": "ubuntu", "os_version": "24.04"}, min_disk=8, login="ubuntu")
    image = settled([wanted])[0]
    drifted = replace(
        image,
        visibility="community",
        status="deactivated",
        hidden=True,
        min_disk=1,
        min_ram=7,
        tags=frozenset({TAG, "theirs"}),
        properties={**image.properties, "os_distro": "debian", "theirs": "stays"},
    )
    change = only(planned([wanted], [drifted]))
    assert isinstance(change, Update)
    assert fields(change) == {
        "visibility": ("community", "public"),
        "status": ("deactivated", "active"),
        "hidden": (True, False),
        "min_disk": (1, 8),
        "min_ram": (7, 0),
        "tags": (frozenset({TAG, "theirs"}), frozenset({TAG, "theirs", "lts", "os:ubuntu"})),
        "os_distro": ("debian", "ubuntu"),
    }
    assert change.wanted.properties["theirs"] == "stays"


def test_what_we_set_once_and_no_longer_define_is_removed():
    found = settled([definition(meta={"a": "1", "b": "2"}, tags=["old"])])
    change = only(planned([definition(meta={"a": "1"}, tags=[])], found))
    assert fields(change)["b"] == ("2", None)
    assert {f.field: f.reason for f in change.fields}["b"] == "no longer in the definition"
    assert fields(change)["tags"] == (frozenset({TAG, "old"}), frozenset({TAG}))


def test_null_means_that_it_must_not_be_there():
    found = settled([definition()])
    found = [replace(found[0], properties={**found[0].properties, "hw_rng_model": "virtio"})]
    assert not planned([definition()], found).changes
    change = only(planned([definition(meta={"hw_rng_model": None})], found))
    assert fields(change) == {"hw_rng_model": ("virtio", None)}
    assert change.fields[0].reason == "null in the definition"


def test_an_unreadable_record_removes_nothing():
    for record in ("{", "[]", '{"properties": 3}'):
        found = settled([definition(meta={"b": "2"})])
        found = [replace(found[0], properties={**found[0].properties, markers.RECORD: record})]
        assert fields(only(planned([definition()], found))).keys() == {markers.RECORD}


def test_min_disk_is_raised_to_the_virtual_size():
    found = settled([definition(min_disk=1)])
    assert found[0].min_disk == 3
    change = only(planned([definition(min_disk=1)], [replace(found[0], min_disk=1)]))
    assert change.fields[0].reason == "raised to the virtual size of the image"
    raw = replace(found[0], virtual_size=None, size=5 * GIB, disk_format="raw")
    assert fields(only(planned([definition(min_disk=1)], [raw]))) == {"min_disk": (3, 5)}


def test_conversion_by_the_cloud_is_no_drift_but_tells_something():
    found = [replace(image, disk_format="raw") for image in settled([definition()])]
    result = planned([definition()], found)
    assert not result.changes
    assert result.converts == {"qcow2": True}
    assert planned([definition()], settled([definition()])).converts == {"qcow2": False}
    assert planned([definition(format="raw")], found).converts == {"raw": None}
    uploaded = [
        replace(image, properties={key: value for key, value in image.properties.items() if key != markers.VERIFIED})
        for image in found
    ]
    assert planned([definition()], uploaded).converts == {"qcow2": None}


def test_metadata_follows_the_rules_of_the_standard():
    whole = {
        "version": "1",
        "url": "https://user:geheim@example.org/a.img?sig=geheim&build=1",
        "mirror_url": "https://mirror.example.org/a.img",
        "build_date": "2024-04-16",
        "os_version": "24.04.1",
        "image_description": "noble",
        "meta": {"a": "version"},
    }
    meta = {"a": "image", "os_version": "24.04", "n": 1, "t": True, "f": 1.5}
    image = only(planned([definition(versions=[whole], login="ubuntu", password="geheim", meta=meta)])).wanted
    assert {k: v for k, v in image.properties.items() if k != markers.RECORD} == {
        "a": "version",
        "n": "1",
        "t": "true",
        "f": "1.5",
        "image_build_date": "2024-04-16",
        "image_description": "noble",
        "image_name": "Ubuntu 24.04",
        "image_original_user": "ubuntu",
        "image_source": "https://example.org/a.img?build=1",
        "internal_version": "1",
        "os_version": "24.04.1",
    }
    assert "geheim" not in str(change_data(only(planned([definition(versions=[whole])]))))


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        ({"url": "file:///srv/a.img"}, "private"),
        ({"url": "file:///srv/a.img", "source": "https://example.org/a.img"}, "https://example.org/a.img"),
        ({"url": "https://example.org/a.img", "source": "private"}, "private"),
    ],
)
def test_image_source(version, expected):
    change = only(planned([definition(versions=[{"version": "1", **version}])]))
    assert change.wanted.properties["image_source"] == expected


def test_version_level_overrides():
    version = {"version": "1", "url": "https://example.org/1", "visibility": "private", "hidden": True}
    image = settled([definition(versions=[version, *"2345"], meta={"uuid_validity": "last-1"})])
    assert (by_version(image)["1"].visibility, by_version(image)["1"].hidden) == ("private", True)


def test_a_checksum_edited_later_is_told_since_bytes_never_change():
    digest = "sha256:" + "ab" * 32
    image = settled([definition()])[0]
    image = replace(image, properties={**image.properties, markers.VERIFIED: f"{digest}{markers.BEFORE}"})

    def version(checksum):
        return {"version": "20240416", "url": "https://example.org/20240416.img", "checksum": checksum}

    assert not planned([definition(versions=[version(digest)])], [image]).findings
    finding = planned([definition(versions=[version("sha256:" + "cd" * 32)])], [image]).findings[0]
    assert "define a new version" in finding.message


@pytest.mark.parametrize(
    ("name", "before", "after", "changes"),
    [
        ("hw_vif_multiqueue_enabled", "True", "true", 0),
        ("hw_boot_menu", "false", "FALSE", 0),
        ("os_require_quiesce", "Yes", "yes", 0),
        ("hw_vif_multiqueue_enabled", "True", "false", 1),
        ("hw_vif_multiqueue_enabled", None, "false", 1),
        ("hw_vif_multiqueue_enabled", "false", None, 1),
        ("os_distro", "True", "true", 1),
    ],
)
def test_booleans_that_openstack_reads_without_case_are_equal_without_case(name, before, after, changes):
    (image,) = settled([definition(meta={} if before is None else {name: before})])
    result = planned([definition(meta={} if after is None else {name: after})], [image])
    assert len([field for change in result.changes for field in change.fields if field.field == name]) == changes
    assert planned([definition(meta={} if after is None else {name: after})], made(result, [image])).changes == ()


def test_diff_of_equal_images_is_empty():
    image = settled([definition()])[0]
    assert diff(image, image) == ()
    assert planned([definition()], [image], today=date(2030, 1, 1)).changes == ()


def test_a_build_that_is_no_longer_defined_is_shared_with_no_one_who_is_no_longer_named():
    both = [definition(versions=["1", "2"], visibility="shared", members=["shop", "cart"])]
    cloud = [replace(image, members=frozenset({"shop", "cart"})) for image in settled(both)]
    after = by_version(settled([definition(versions=["2"], visibility="shared", members=["cart", "new"])], found=cloud))
    assert {build: image.members for build, image in after.items()} == {
        "1": frozenset({"cart"}),
        "2": frozenset({"cart", "new"}),
    }


def test_a_signature_is_named_with_the_digest_that_it_vouched_for_only():
    """A definition by hand, or by an older release, may say signed_by without a checksum."""
    wanted = definition()
    signed = wanted.versions[0].model_copy(update={"signed_by": "AB" * 20, "checksum": None})
    assert markers.SIGNED_BY not in desired.properties(wanted, signed, False)
    signed = signed.model_copy(update={"checksum": f"sha256:{'a' * 64}"})
    assert desired.properties(wanted, signed, False)[markers.SIGNED_BY] == "AB" * 20
