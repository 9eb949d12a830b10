"""Definitions from images that are there: a run with them finds nothing to do but to write down what it manages."""

from __future__ import annotations

import re
from dataclasses import replace
from uuid import UUID

import pytest
from tests.support.adopted import POLICY, check, image
from tests.support.plans import GIB, TAG, TODAY, definition, settled, withdrawn

from openstack_image_manager.adopt.adopt import adopt
from openstack_image_manager.adopt.yaml_writer import text
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers


def yaml_of(images: list[Image]) -> str:
    return text(adopt(images, POLICY, TODAY).items)


def test_invalid_urls_in_image_source():
    (one,) = check([image("own", 1, disk_format="qcow2", properties={"image_source": "http://[x"})]).definitions
    assert one.format == "qcow2"


def test_dated_names_are_builds_of_the_plain_one():
    meta = {"os_distro": "ubuntu", "image_source": "https://example.org/noble/20240422/noble.qcow2.xz"}
    images = [
        image("Ubuntu 24.04", 1, properties=meta, created_at="2024-04-23T00:00:00Z", disk_format="raw"),
        image("Ubuntu 24.04 (20240416)", 2, properties={"os_distro": "ubuntu"}),
    ]
    assert (
        yaml_of(images)
        == """\
---
images:
  - name: Ubuntu 24.04
    format: qcow2
    visibility: public
    multi: true
    meta:
      os_distro: ubuntu
    versions:
      - version: '20240423'
        url: https://example.org/noble/20240422/noble.qcow2.xz
        id: 00000000-0000-0000-0000-000000000001
      - version: '20240416'
        # the URL is unknown; add it, or the image cannot be imported again
        url: https://unknown.invalid/Ubuntu%2024.04/20240416
        source: private
        id: 00000000-0000-0000-0000-000000000002
"""
    )
    assert check(images).left_out == ()


def test_images_of_the_existing_tool_need_no_ids():
    """As it leaves them: managed tag, image_name, internal_version, and all of meta as properties."""
    common = {"image_description": "RancherOS", "image_name": "RancherOS", "image_original_user": "rancher"}
    images = [
        image(
            f"RancherOS {version}",
            number,
            tags=frozenset({TAG, "os:rancher"}),
            properties={
                **common,
                "os_distro": "rancher",
                "os_version": version,
                "internal_version": version,
                "image_source": f"https://example.org/{version}.img",
                "image_build_date": "2018-04-02",
            },
        )
        for number, version in enumerate(("1.3.0", "1.4.0"), 1)
    ]
    found = check(images)
    (one,) = found.definitions
    assert (one.name, one.multi, one.login, one.tags) == ("RancherOS", False, "rancher", [])
    assert [version.meta for version in one.versions] == [{}, {}]  # what login says is not said again
    assert [(v.version, v.build_date, v.id, v.source) for v in one.versions] == [
        ("1.4.0", "2018-04-02", None, None),
        ("1.3.0", "2018-04-02", None, None),
    ]
    assert found.written == ((markers.RECORD, 2),)


def test_outdated_builds_keep_their_visibility():
    old = [image(f"Debian 13 ({number})", number + 1) for number in range(1, 6)]
    newest = image("Debian 13", 1, properties={"internal_version": "6"})
    found = check([newest, *old])
    (one,) = found.definitions
    assert [version.visibility for version in one.versions] == [None] + ["public"] * 5


def test_a_withdrawn_build_does_not_prevent_a_definition():
    """Each could be defined by itself; together they can't, since the later one says what it is a build of."""
    first = settled([definition("A", ["1", "2"])], POLICY)
    images = settled([definition("A", ["1", withdrawn("2")])], POLICY, first)
    found = check([replace(each, id=str(UUID(int=number))) for number, each in enumerate(images, 1)])
    assert [(each.name, [v.version for v in each.versions]) for each in found.definitions] == [("A", ["1"])]
    assert [(each.name, why) for each, why in found.left_out] == [("A (2)", "every definition would change it")]


def test_images_that_a_rotation_would_change_get_separate_definitions():
    """A superseded build that says generic would become oldgeneric, and one without a plain name would get it."""
    generic = {"os_purpose": "generic"}
    found = check([image("A", 1, properties=generic), image("A (1)", 2, properties=generic)])
    assert [each.name for each in found.definitions] == ["A", "A (1)"]


@pytest.mark.parametrize(
    ("odd", "why"),
    [
        ({"name": ""}, "it has no name"),
        ({"name": "x "}, "its name begins or ends with a blank; remove it"),
        ({"name": "password hunter2"}, "its name looks like a secret"),
        ({"status": "queued"}, "it is queued, and has no usable data"),
        ({"disk_format": None}, "its format None is not valid in a definition"),
        ({"properties": {"image_type": "snapshot"}}, "it is a snapshot of a server"),
        ({"properties": {"instance_uuid": "1"}}, "it is a snapshot of a server"),
        ({"properties": {markers.VERIFIED: "pending none"}}, "a run has not published it yet"),
        ({"properties": {"internal_version": "latest"}}, "every definition would change it"),
        ({"properties": {markers.HIDDEN_SINCE: "2024-01-01"}}, "every definition would change it"),
        (
            {"properties": {markers.RECORD: "{}"}, "tags": frozenset({"other"})},
            f"it is managed with another --tag; to change that, add the tag {TAG}",
        ),
        ({"name": "duplicate"}, "00000000-0000-0000-0000-000000000009 has the same name and gets the definition"),
    ],
)
def test_images_without_a_definition_are_reported(odd, why):
    found = check(
        [image("duplicate", 9, created_at="2026-01-01T00:00:00Z"), image(**{"name": "x", "number": 1, **odd})]
    )
    assert [(each.id, reason) for each, reason in found.left_out] == [(str(UUID(int=1)), why)]
    assert [each.name for each in found.definitions] == ["duplicate"]


def test_the_filter_is_about_definitions_and_takes_their_older_builds_along():
    images = [image("Debian 13", 1), image("Debian 13 (1)", 2), image("Ubuntu", 3), image("Ubuntu ", 4)]
    found = adopt(images, POLICY, TODAY, re.compile("13$"))
    assert [(each.name, len(each.versions)) for each in found.definitions] == [("Debian 13", 2)]
    assert found.left_out == ()


def test_secrets_stay_on_the_image_and_out_of_the_file():
    properties = {
        "admin_password": "hunter2",
        "note": "see https://u:hunter2@example.org/",
        "image_source": "https://u:hunter2@example.org/a.img",
        "image_description": "token hunter2",
        "internal_version": "secret-hunter2",
        "kept": "yes",
    }
    found = check([image("A", 1, properties=properties, tags=frozenset({"secret:hunter2", "web"}))])
    (one,) = found.definitions
    assert (one.meta, one.tags, one.versions[0].source) == ({"kept": "yes"}, ["web"], "private")


def test_verification_and_signature_are_in_the_definition():
    key = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
    version = {"version": "1", "url": "https://example.org/1.img", "checksums_url": "https://example.org/SHA256SUMS"}
    version |= {"signed_by": key, "signed_at": "2024-04-16 09:12:33", "checksum": f"sha256:{'a' * 64}"}
    (made_,) = settled([definition("A", [version])], POLICY)
    verified = {**made_.properties, markers.VERIFIED: f"sha256:{'a' * 64} before import"}
    found = check([replace(made_, id=str(UUID(int=1)), properties=verified)])
    assert found.written == ()
    assert found.definitions[0].versions[0].model_dump(exclude_none=True, exclude={"meta"}) == version


@pytest.mark.parametrize("said", [{}, {markers.VERIFIED: "none"}, {markers.BYTES: "sha512:00"}])
def test_a_signer_is_written_only_with_the_signed_checksum(said):
    key = "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81 2024-04-16 09:12:33"
    verified = {markers.VERIFIED: f"sha256:{'a' * 64} before import"} if markers.BYTES in said else {}
    found = check([image("A", 1, properties={markers.SIGNED_BY: key, **verified, **said})])
    version = found.definitions[0].versions[0]
    assert (version.signed_by, version.signed_at, version.checksum) == (None, None, None)


@pytest.mark.parametrize(
    "properties",
    [
        {markers.VERIFIED: "none"},
        {markers.VERIFIED: "crc:12 before import"},
        {markers.SIGNED_BY: "nobody 2024-01-01"},
        {markers.SIGNED_BY: "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81 once"},
        {markers.CHECKSUMS_URL: "nowhere"},
    ],
)
def test_invalid_properties_are_left_out(properties):
    version = check([image("A", 1, properties=properties)]).definitions[0].versions[0]
    assert (version.signed_by, version.signed_at, version.checksum, version.checksums_url) == (None, None, None, None)


def test_equal_values_of_other_types_stay_different():
    assert yaml_of([image("A", 1, min_disk=1, min_ram=1)]).count(": true\n") == 1


def test_an_empty_cloud_gives_a_file_with_nothing_in_it():
    assert yaml_of([]) == "---\nimages: []\n"


def test_each_image_gets_a_unique_definition_or_is_reported():
    by_a_tool = [
        image(f"Flatcar {version}", version, properties={"image_name": "Flatcar", "internal_version": str(version)})
        for version in (1, 2)
    ]
    found = check(
        [
            *by_a_tool,
            image("Flatcar", 3),
            *(image(f"A{rest}", 4 + n) for n, rest in enumerate(("", " (1)", " (2)", "-(3)"))),
        ]
    )
    assert [(each.name, each.separator, len(each.versions)) for each in found.definitions] == [
        ("A", " ", 3),
        ("A-(3)", " ", 1),
        ("Flatcar", " ", 2),
    ]
    assert [(each.name, why) for each, why in found.left_out] == [
        ("Flatcar", "the definition Flatcar belongs to other images")
    ]


def test_names_that_another_project_manages_with_the_tag_are_left_out():
    """A run would leave their definitions alone, with an error."""
    ours = [image("A", 1), image("A (20240101)", 2), image("B", 3)]
    theirs = image("A (1)", 4, owner="operator", tags=frozenset({TAG}), properties={"image_name": "A"})
    found = adopt(ours, POLICY, TODAY, others=[theirs])
    assert [each.name for each in found.definitions] == ["B"]
    reason = f"project operator manages {theirs.id} as A with the tag {TAG}; adopt with a --tag of your own"
    assert [(each.name, why) for each, why in found.left_out] == [("A", reason), ("A (20240101)", reason)]


def test_records_of_interrupted_runs_do_not_prevent_a_definition():
    """It is of no use to anyone, and the next run deletes it, as every run would."""
    properties = {"image_name": "A", "internal_version": "0"}
    left = image("A (0)", 2, status="queued", tags=frozenset({TAG}), properties=properties, updated_at="2024-01-01")
    found = adopt([image("A", 1), left], POLICY, TODAY)
    assert [each.name for each in found.definitions] == ["A"]
    assert [why for _, why in found.left_out] == ["it is queued, and has no usable data"]


def test_a_property_that_no_definition_can_have_stays_on_the_image():
    found = check([image("A", 1, properties={"x" * 256: "y", "uuid_validity": "last-0"})])
    assert found.definitions[0].meta == {}


def test_a_managed_image_that_gets_no_definition_stays_as_it_is_too():
    """With a definition of A, a run would hide the older build, a snapshot that somebody gave the tag."""
    current = image("A", 1, properties={"uuid_validity": "none"})
    snapshot = image("A (20200101)", 2, tags=frozenset({TAG}), properties={"instance_uuid": "1"})
    assert [each.name for each in check([current]).definitions] == ["A"]
    found = check([current, snapshot])
    assert found.definitions == ()
    assert {(each.name, why) for each, why in found.left_out} == {
        ("A (20200101)", "it is a snapshot of a server"),
        ("A", "every definition would change it"),
    }


def test_an_image_that_would_not_boot_from_its_min_disk_may_get_a_larger_one():
    found = check([image("A", 1, virtual_size=3 * GIB, min_disk=1), image("B", 2, virtual_size=GIB, min_disk=3)])
    assert {each.name: each.min_disk for each in found.definitions} == {"A": 1, "B": 3}
    assert dict(found.written)["min_disk"] == 1


@pytest.mark.parametrize("key", ["yes", "null", "a: b", "#x", "-", "1.5"])
def test_a_property_name_that_needs_quotes_in_yaml_loads_as_the_same(key):
    (one,) = check([image("A", 1, properties={key: "x"})]).definitions
    assert one.meta == {key: "x"}
