"""The bytes of an image never change: what the definition says of them later is reported, and the evidence stays."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.plans import definition, fields, made, only, planned, settled

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers, origin

GOOD, OTHER = "a" * 128, "b" * 128
SUMS = {"checksums_url": "https://example.org/1/SHA512SUMS"}


def version(url: str = "https://example.org/1/a.img", **more: Any) -> dict[str, Any]:
    return {"version": "1", "url": url, **more}


def imported(wanted: Definition, verified: str = "none") -> Image:
    (image,) = settled([wanted])
    properties = {**image.properties, markers.VERIFIED: verified}
    return replace(image, hash_algorithm="sha512", hash_value=GOOD, properties=properties)


def without_origin(image: Image) -> Image:
    record = '{"properties":[],"tags":[]}'
    return replace(image, properties={**image.properties, markers.RECORD: record})


def messages(wanted: Definition, image: Image) -> list[str]:
    return [finding.message for finding in planned([wanted], [image]).findings]


@pytest.mark.parametrize("old", [False, True])
def test_another_url_under_the_same_version_leaves_the_evidence(old: bool) -> None:
    before = definition(versions=[version(**SUMS)])
    image = imported(before, f"sha512:{GOOD} before import")
    if old:  # of a release that kept no record of where the bytes came from
        image = replace(image, properties={**image.properties, markers.RECORD: "{}"})
        image = made(planned([before], [image]), [image])[0]
        assert origin.recorded_origin(image) == {}
    after = definition(versions=[version("https://example.org/2/a.img", checksums_url="https://example.org/2/SUMS")])
    result = planned([after], [image])
    assert result.changes == ()
    assert image.properties["image_source"] == "https://example.org/1/a.img"
    assert [finding.message for finding in result.findings] == [
        f"version 1 was edited: its URL is https://example.org/2/a.img, but {image.id} came from "
        "https://example.org/1/a.img; the bytes of an image cannot change: define a new version"
    ]
    assert messages(before, image) == []


def test_a_url_that_moved_with_the_same_checksum_is_taken_over() -> None:
    before = definition(versions=[version(checksum=GOOD)])
    image = imported(before, f"sha512:{GOOD} before import")
    after = definition(versions=[version("https://example.org/archive/a.img", checksum=GOOD)])
    change = only(planned([after], [image]))
    assert fields(change) == {"image_source": ("https://example.org/1/a.img", "https://example.org/archive/a.img")}
    assert messages(after, image) == []


def test_an_address_that_somebody_changed_on_the_image_is_corrected() -> None:
    wanted = definition(versions=[version()])
    image = imported(wanted)
    odd = replace(image, properties={**image.properties, "image_source": "https://elsewhere.example/x.img"})
    assert fields(only(planned([wanted], [odd]))) == {
        "image_source": ("https://elsewhere.example/x.img", "https://example.org/1/a.img")
    }


def test_a_source_that_the_definition_gives_is_no_address_of_bytes() -> None:
    image = imported(definition(versions=[version()]))
    named = definition(versions=[version("https://mirror.example.org/a.img", source="https://example.org/page")])
    assert fields(only(planned([named], [image]))).keys() == {"image_source"}
    assert messages(named, image) == []
    hidden = imported(definition(versions=[version(source="private")]))
    assert "example.org" not in hidden.properties[markers.RECORD]
    assert origin.recorded_origin(hidden) == {"format": "qcow2"}
    local = imported(definition(versions=[version("file:///srv/secret-place/a.img")]))
    assert "secret-place" not in str(local.properties)


def test_another_format_under_the_same_version_is_reported() -> None:
    image = imported(definition(versions=[version()]))
    raw = definition(versions=[version()], format="raw")
    assert planned([raw], [image]).changes == ()
    (message,) = messages(raw, image)
    assert f"its format is raw, but {image.id} was imported as qcow2" in message
    # A cloud that converts says nothing of the definition.
    assert messages(definition(versions=[version()]), replace(image, disk_format="raw")) == []


def test_a_signature_stays_with_the_bytes_that_it_vouches_for() -> None:
    signed = {"checksum": GOOD, "signed_by": "AB" * 20, **SUMS}
    image = imported(definition(versions=[version(**signed)]), f"sha512:{GOOD} before import")
    assert image.properties[markers.SIGNED_BY] == "AB" * 20
    after = definition(versions=[version(checksum=OTHER, signed_by="CD" * 20)])
    result = planned([after], [image])
    assert result.changes == ()
    assert f"its checksum is sha512:{OTHER}, but {image.id} was verified with sha512:{GOOD}" in str(result.findings)


@pytest.mark.parametrize("record", ["[", "[]", '{"origin": 3}', '{"origin": {"url": 3, "x": "y"}}', "[" * 100_000])
def test_a_record_that_says_nothing_of_the_bytes(record: str) -> None:
    image = Image("A", "public", properties={markers.RECORD: record})
    assert origin.recorded_origin(image) == {}


def test_an_image_of_another_tool_follows_its_definition() -> None:
    wanted = definition(versions=[version()])
    image = imported(wanted)
    foreign = {key: value for key, value in image.properties.items() if not key.startswith("image_manager_")}
    found = replace(image, properties={**foreign, "image_source": "file:///srv/a.img"})
    assert fields(only(planned([wanted], [found])))["image_source"] == ("file:///srv/a.img", version()["url"])


def test_a_checksum_that_came_later_verifies_where_glance_can_tell() -> None:
    image = imported(definition(versions=[version()]))
    assert image.properties[markers.VERIFIED] == "none"
    later = definition(versions=[version(checksum=GOOD)])
    change = only(planned([later], [image]))
    assert fields(change) == {
        markers.VERIFIED: ("none", f"sha512:{GOOD} after import"),
        markers.BYTES: (None, f"sha512:{GOOD}"),
    }
    assert {field.reason for field in change.fields if field.field == markers.VERIFIED} == {
        "Glance has this digest of its bytes"
    }
    assert planned([later], [change.wanted]).changes == ()
    wrong = definition(versions=[version(checksum=OTHER)])
    assert planned([wrong], [image]).changes == ()
    (message,) = messages(wrong, image)
    assert f"its checksum is sha512:{OTHER}, but {image.id} has sha512:{GOOD}" in message


@pytest.mark.parametrize("more", [{"checksum": "c" * 64}, {"checksum": OTHER, "url": "https://example.org/1/a.img.xz"}])
def test_a_checksum_that_came_later_and_cannot_be_compared_is_reported(more: dict[str, Any]) -> None:
    image = imported(definition(versions=[version(more.get("url", version()["url"]))]))
    later = definition(versions=[version(**more)])
    result = planned([later], [image])
    assert result.changes == ()
    assert [(finding.level, finding.message.partition(": ")[0]) for finding in result.findings] == [
        ("note", f"{image.id} was imported without a checksum and is not verified")
    ]
