"""Plans of typical situations: which builds come, what they are called, and what becomes of the older ones."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.plans import TODAY, by_version, definition, fields, made, only, planned, settled, withdrawn

from openstack_image_manager.model import Finding
from openstack_image_manager.plan.model import Create, Policy, Update
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.plan.serialize import change_data, checksum


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
    # A version that leaves the definition keeps its name, and is hidden.
    fewer = definition("RancherOS", ["1.4.1"], multi=False)
    assert sorted((image.name, image.visibility) for image in settled([fewer], found=found)) == [
        ("RancherOS 1.3.0", "community"),
        ("RancherOS 1.4.0", "community"),
        ("RancherOS 1.4.1", "public"),
    ]


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
    after = by_version(settled([definition(versions=["1", withdrawn("2")])], found=found))
    assert (after["1"].name, after["2"].name) == ("Ubuntu 24.04", "Ubuntu 24.04 (2)")


def test_disabled_definitions_are_frozen_unless_forced():
    found = [replace(image, min_disk=9) for image in settled([definition()])]
    result = planned([definition(enable=False)], found)
    assert not result.changes
    assert "left exactly as it is" in result.findings[0].message
    assert planned([definition(enable=False)], found, Policy(force=True)).changes


def test_definitions_with_an_error_or_without_versions_are_left_alone():
    found = settled([definition(versions=["1", "2", "3", "4"])])
    trouble = [Finding("error", "Ubuntu 24.04", "its upstream cannot be queried")]
    assert not plan([definition(versions=["9"])], found, Policy(), TODAY, trouble).changes
    assert not planned([definition(versions=[])], found).changes


def test_the_checksum_of_a_plan_is_that_of_its_changes():
    found = settled([definition(versions=["1"])])
    one = planned([definition(versions=["1", "2"])], found)
    assert checksum(one) == checksum(planned([definition(versions=["1", "2"])], found))
    assert checksum(one) != checksum(planned([definition(versions=["1", "3"])], found))
    assert checksum(planned([definition(versions=["1"])], found)) != checksum(one)


def test_the_checksum_of_a_plan_covers_all_that_decides_about_the_bytes():
    plain = {"version": "1", "url": "https://example.org/1.qcow2.xz"}
    sums = {"checksums_url": "https://u:geheim@example.org/SUMS"}
    given = [plain, {**plain, **sums}, *({**plain, "mirror_checksum": f"sha256:{each * 64}"} for each in "12")]
    plans = [planned([definition(versions=[each])]) for each in given]
    assert len({checksum(each) for each in plans}) == len(given)
    assert change_data(plans[1].changes[0])["checksums_url"] == "https://example.org/SUMS"
    assert not {"mirror_checksum", "checksums_url"} & change_data(plans[0].changes[0]).keys()
    with_checksum = planned([definition(versions=[{**plain, **sums, "checksum": f"sha256:{'3' * 64}"}])])
    assert "checksums_url" not in change_data(with_checksum.changes[0])  # which decides nothing then


def test_the_plain_name_is_given_up_only_for_an_image_that_has_it_by_then():
    (old,) = settled([definition(versions=["1"])])
    new = replace(by_version(settled([definition(versions=["2"])]))["2"], id="new")
    changes = plan([definition(versions=["1", "2"])], [old, new], Policy(), TODAY).changes
    assert {c.found.id: c.keeper and c.keeper.id for c in changes if isinstance(c, Update)}[old.id] == "new"
