"""Plans of typical situations, one rule of the mission each."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

import pytest
from cloud import GIB, TAG, TODAY, by_version, definition, made, settled

from openstack_image_manager import desired
from openstack_image_manager.changes import change_data, checksum, diff
from openstack_image_manager.model import Create, Delete, Finding, Image, Policy, Update
from openstack_image_manager.plan import plan


def planned(definitions, found=(), policy=Policy(), today=TODAY):  # noqa: B008
    return plan(definitions, list(found), policy, today)


def only(found_plan):
    assert len(found_plan.changes) == 1, found_plan.changes
    return found_plan.changes[0]


def fields(change):
    return {field.field: (field.before, field.after) for field in change.fields}


def test_an_empty_cloud_gets_the_newest_first_under_the_plain_name():
    result = planned([definition(versions=["20240416", "20240422"])])
    assert [(c.version.version, c.wanted.name) for c in result.changes] == [
        ("20240422", "Ubuntu 24.04"),
        ("20240416", "Ubuntu 24.04 (20240416)"),
    ]
    assert all(isinstance(change, Create) for change in result.changes)


def test_versions_sort_naturally():
    found = settled([definition(versions=["1.9", "1.10"])])
    assert by_version(found)["1.10"].name == "Ubuntu 24.04"


def test_a_newer_build_moves_the_plain_name_and_retires_the_purpose():
    old = settled([definition(versions=["20240416"], meta={"os_purpose": "generic"})])
    result = planned([definition(versions=["20240416", "20240422"], meta={"os_purpose": "generic"})], old)
    create, update = result.changes
    assert create.wanted.name == "Ubuntu 24.04"
    assert create.wanted.properties["os_purpose"] == "generic"
    assert fields(update) == {
        "name": ("Ubuntu 24.04", "Ubuntu 24.04 (20240416)"),
        "os_purpose": ("generic", "oldgeneric"),
    }
    assert update.reason == "superseded by 20240422"
    assert {field.reason for field in update.fields} == {"superseded by 20240422"}


def test_a_version_bumped_in_place_rotates_too():
    meta = {"os_purpose": "generic"}
    old = settled([definition(versions=["20240416"], meta=meta)])
    create, update = planned([definition(versions=["20240422"], meta=meta)], old).changes
    assert create.version.version == "20240422"
    assert fields(update) == {
        "name": ("Ubuntu 24.04", "Ubuntu 24.04 (20240416)"),
        "os_purpose": ("generic", "oldgeneric"),
    }


def test_versions_of_a_non_multi_image_keep_their_names_and_visibility():
    one = definition("RancherOS", ["1.3.0"], multi=False)
    three = definition("RancherOS", ["1.3.0", "1.4.0", "1.4.1"], multi=False)
    found = settled([three], found=settled([one]))
    assert sorted((image.name, image.visibility) for image in found) == [
        ("RancherOS 1.3.0", "public"),
        ("RancherOS 1.4.0", "public"),
        ("RancherOS 1.4.1", "public"),
    ]
    assert by_version(found)["1.3.0"].properties["os_version"] == "1.3.0"
    # A version that leaves the definition is left as it is.
    assert not planned([definition("RancherOS", ["1.4.1"], multi=False)], found).changes


def test_two_generic_builds_of_one_system_are_not_both_generic():
    meta = {"os_purpose": "generic", "os_version": "24.04", "os_distro": "ubuntu"}
    found = by_version(settled([definition(versions=["1", "2"], multi=False, meta=meta)]))
    assert (found["1"].properties["os_purpose"], found["2"].properties["os_purpose"]) == ("oldgeneric", "generic")


@pytest.mark.parametrize(
    ("validity", "visible"),
    [
        (None, ["5", "4", "3"]),
        ("last-2", ["5", "4"]),
        ("last-4", ["5", "4", "3", "2"]),
        ("none", ["5"]),
        ("notice", ["5", "4", "3", "2", "1"]),
        ("forever", ["5", "4", "3", "2", "1"]),
        ("2027-01-01", ["5", "4", "3", "2", "1"]),
        ("2025-01-01", ["5", "4", "3"]),
        *((odd, ["5", "4", "3", "2", "1"]) for odd in ("nonsense", "Forever", "2027-02-30", "2027-1-1", "last-x")),
    ],
)
def test_older_builds_leave_the_public_list(validity, visible):
    meta = {"uuid_validity": validity} if validity else {}
    found = settled([definition(versions=["1", "2", "3", "4", "5"], meta=meta)])
    expected = {name: "public" if name in visible else "community" for name in "12345"}
    assert {name: image.visibility for name, image in by_version(found).items()} == expected


def test_older_private_and_shared_builds_are_hidden_but_never_seen_by_more():
    for visibility in ("private", "shared"):
        found = by_version(settled([definition(versions=["1", "2", "3", "4"], visibility=visibility)]))
        assert {image.visibility for image in found.values()} == {visibility}
        assert [found[name].hidden for name in "1234"] == [True, False, False, False]


def test_an_old_build_that_someone_made_private_stays_private():
    builds = [definition(versions=["1", "2", "3", "4"])]
    found = settled(builds)
    found = [replace(i, visibility="private") if i.properties["internal_version"] == "1" else i for i in found]
    assert not planned(builds, found).changes


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        (Policy(hidden_visibility="private"), ("private", False, "active")),
        (Policy(use_os_hidden=True), ("public", True, "active")),
        (Policy(outdated="deactivate"), ("community", False, "active")),
        (Policy(outdated="keep"), ("public", False, "active")),
    ],
)
def test_what_becomes_of_retired_images_is_policy(policy, expected):
    builds = [definition(versions=["1", "2", "3", "4"])]
    found = by_version(settled(builds, policy))
    assert (found["1"].visibility, found["1"].hidden, found["1"].status) == expected
    assert (found["2"].visibility, found["2"].hidden, found["2"].status) == ("public", False, "active")


def test_keep_leaves_versions_alone_that_are_no_longer_defined():
    found = settled([definition(versions=["1", "2", "3", "4"], meta={"uuid_validity": "forever"})])
    assert {image.visibility for image in found} == {"public"}
    kept = made(planned([definition(versions=["4"])], found, Policy(keep=True)), found)
    assert {image.visibility for image in kept} == {"public"}
    assert {i.visibility for i in settled([definition(versions=["4"], keep=True)], found=found)} == {"public"}
    assert "community" in {i.visibility for i in settled([definition(versions=["4"])], found=found)}


def test_latest_brings_in_the_newest_only():
    result = planned([definition(versions=["1", "2", "3"])], policy=Policy(latest=True))
    assert only(result).version.version == "3"
    assert len(planned([definition(versions=["1", "2"], multi=False)], policy=Policy(latest=True)).changes) == 2


def test_a_withdrawn_build_gives_the_plain_name_back():
    found = settled([definition(versions=["1", "2"])])
    after = by_version(settled([definition(versions=["1"])], found=found))
    assert (after["1"].name, after["2"].name) == ("Ubuntu 24.04", "Ubuntu 24.04 (2)")


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
        found = [replace(found[0], properties={**found[0].properties, desired.RECORD: record})]
        assert fields(only(planned([definition()], found))).keys() == {desired.RECORD}


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
    assert result.converts is True
    assert planned([definition()], settled([definition()])).converts is False
    assert planned([definition(format="raw")], found).converts is None


def test_metadata_follows_the_rules_of_the_standard():
    whole = {
        "version": "1",
        "url": "https://user:geheim@example.org/a.img?sig=geheim&x=1",
        "mirror_url": "https://mirror.example.org/a.img",
        "build_date": "2024-04-16",
        "os_version": "24.04.1",
        "image_description": "noble",
        "meta": {"a": "version"},
    }
    meta = {"a": "image", "os_version": "24.04", "n": 1, "t": True, "f": 1.5}
    image = only(planned([definition(versions=[whole], login="ubuntu", password="geheim", meta=meta)])).wanted
    assert {k: v for k, v in image.properties.items() if k != desired.RECORD} == {
        "a": "version",
        "n": "1",
        "t": "true",
        "f": "1.5",
        "image_build_date": "2024-04-16",
        "image_description": "noble",
        "image_name": "Ubuntu 24.04",
        "image_original_user": "ubuntu",
        "image_source": "https://example.org/a.img?x=1",
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


def test_disabled_definitions_are_frozen_unless_forced():
    found = [replace(image, min_disk=9) for image in settled([definition()])]
    result = planned([definition(enable=False)], found)
    assert not result.changes
    assert "left exactly as it is" in result.findings[0].message
    assert planned([definition(enable=False)], found, Policy(force=True)).changes


def test_definitions_with_an_error_or_without_versions_are_left_alone():
    found = settled([definition(versions=["1", "2", "3", "4"])])
    trouble = [Finding("error", "Ubuntu 24.04", "its upstream can't be asked")]
    assert not plan([definition(versions=["9"])], found, Policy(), TODAY, trouble).changes
    assert not planned([definition(versions=[])], found).changes


@pytest.mark.parametrize("status", ["queued", "uploading", "importing", "saving", "killed"])
def test_what_an_interrupted_run_left_is_taken_up(status):
    left = replace(settled([definition()])[0], status=status)
    change = only(planned([definition()], [left]))
    assert isinstance(change, Create)
    assert change.left == left
    assert status in change.reason


def test_leftovers_of_versions_that_are_gone_are_told():
    left = replace(settled([definition(versions=["1"])])[0], status="queued")
    result = planned([definition(versions=["2"])], [left])
    assert isinstance(only(result), Create)
    assert "left by an interrupted run" in result.findings[0].message


def test_an_unpublished_image_is_finished_or_replaced_by_what_its_bytes_are():
    digest = "ab" * 64
    image = settled([definition()])[0]
    promise = f"{desired.PENDING}sha512:{digest}{desired.AFTER}"
    pending = replace(image, visibility="private", name="x", properties={**image.properties, desired.VERIFIED: promise})
    right = replace(pending, hash_algorithm="sha512", hash_value=digest)
    change = only(planned([definition()], [right]))
    assert change.reason == "an interrupted run left it unpublished"
    assert change.wanted.properties[desired.VERIFIED] == f"sha512:{digest}{desired.AFTER}"
    wrong = replace(pending, hash_algorithm="sha512", hash_value="cd" * 64)
    change = only(planned([definition()], [wrong]))
    assert isinstance(change, Create)
    assert "never published" in change.reason


def test_what_was_imported_without_the_checksum_that_its_version_has_now_is_replaced():
    (image,) = settled([definition()])
    pending = replace(image, properties={**image.properties, desired.VERIFIED: desired.PENDING + "none"})
    checked = [definition(versions=[{"version": "20240416", "url": "https://e.org/a", "checksum": "md5:" + "0" * 32}])]
    (change,) = planned(checked, [pending]).changes
    assert (type(change), change.left) == (Create, pending)
    assert change.reason == f"{image.id} was not verified with the version's checksum and never published: replaced"
    promised = f"{desired.PENDING}md5:{'0' * 32}{desired.BEFORE}"
    (change,) = planned(
        checked, [replace(pending, properties={**image.properties, desired.VERIFIED: promised})]
    ).changes
    assert type(change) is Update


def test_of_two_images_of_one_version_the_one_in_use_stands():
    image = settled([definition()])[0]
    twin = replace(image, id="twin", visibility="private", created_at="2020")
    queued = replace(image, id="queued", status="queued", created_at="2019")
    result = planned([definition()], [queued, twin, image])
    assert fields(only(result)) == {
        "name": ("Ubuntu 24.04", "Ubuntu 24.04 (20240416)"),
        "hidden": (False, True),
        desired.HIDDEN_SINCE: (None, "2026-11-22"),
    }
    assert sorted(f.message for f in result.findings) == [
        "queued is queued and was left by an interrupted run; it is removed when it is two days old",
        f"version 20240416 is there twice: {image.id} stands for it, twin does not",
    ]
    deleting = Policy(outdated="delete", unknown_usage="delete")
    *_, change = planned([definition()], [twin, image], deleting).changes
    assert (type(change), change.found.id, change.reason) == (Delete, "twin", f"{image.id} stands for its version")
    unseen = plan([definition()], [twin, image], Policy(outdated="delete"), TODAY, usage=lambda _: None)
    assert "Ubuntu 24.04 (twin) goes no further: whether it is in use can't be seen" in unseen.findings[1].message


def test_the_image_that_stands_is_the_same_one_in_the_next_run():
    off = definition(status="deactivated")
    image = settled([off])[0]
    assert image.status == "deactivated"
    twin = replace(image, id="twin", status="active", created_at="2030")
    keeping = Policy(outdated="keep")
    after = settled([off], keeping, [image, twin])
    assert not planned([off], after, keeping).changes
    assert {each.id: each.name for each in after} == {image.id: "Ubuntu 24.04", "twin": "Ubuntu 24.04 (20240416)"}


def test_deleted_images_do_not_count():
    gone = [replace(image, status="pending_delete") for image in settled([definition()])]
    assert isinstance(only(planned([definition()], gone)), Create)


def test_a_checksum_edited_later_is_told_since_bytes_never_change():
    digest = "sha256:" + "ab" * 32
    image = settled([definition()])[0]
    image = replace(image, properties={**image.properties, desired.VERIFIED: f"{digest}{desired.BEFORE}"})

    def version(checksum):
        return {"version": "20240416", "url": "https://example.org/20240416.img", "checksum": checksum}

    assert not planned([definition(versions=[version(digest)])], [image]).findings
    finding = planned([definition(versions=[version("sha256:" + "cd" * 32)])], [image]).findings[0]
    assert "define them as a new version" in finding.message


def test_the_checksum_of_a_plan_is_that_of_its_changes():
    found = settled([definition(versions=["1"])])
    one = planned([definition(versions=["1", "2"])], found)
    assert checksum(one) == checksum(planned([definition(versions=["1", "2"])], found))
    assert checksum(one) != checksum(planned([definition(versions=["1", "3"])], found))
    assert checksum(planned([definition(versions=["1"])], found)) != checksum(one)


def test_diff_of_equal_images_is_empty():
    image = settled([definition()])[0]
    assert diff(image, image) == ()
    assert planned([definition()], [image], today=date(2030, 1, 1)).changes == ()


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


def test_a_build_that_is_no_longer_defined_is_shared_with_no_one_who_is_no_longer_named():
    both = [definition(versions=["1", "2"], visibility="shared", members=["shop", "cart"])]
    cloud = [replace(image, members=frozenset({"shop", "cart"})) for image in settled(both)]
    after = by_version(settled([definition(versions=["2"], visibility="shared", members=["cart", "new"])], found=cloud))
    assert {build: image.members for build, image in after.items()} == {
        "1": frozenset({"cart"}),
        "2": frozenset({"cart", "new"}),
    }


def test_the_plain_name_is_given_up_only_for_an_image_that_has_it_by_then():
    (old,) = settled([definition(versions=["1"])])
    new = replace(by_version(settled([definition(versions=["2"])]))["2"], id="new")
    changes = plan([definition(versions=["1", "2"])], [old, new], Policy(), TODAY).changes
    assert {c.found.id: c.keeper for c in changes if isinstance(c, Update)}[old.id] == "new"
