"""Several clouds side by side, as values."""

from __future__ import annotations

from dataclasses import replace

from tests.support.plans import definition, settled

from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.report.compare import current, digest, ids_elsewhere, table

WANTED = definition(versions=("1", "2"))
NAME = WANTED.name


def cloud(*versions: str, **changes: object) -> list[Image]:
    images = settled([definition(versions=versions)])
    verified = {markers.VERIFIED: "sha256:" + "a" * 64 + " before import"}
    return [replace(image, properties={**image.properties, **verified}, **changes) for image in images]


def verdict(first: list[Image], second: list[Image]) -> str:
    return table({"a": [WANTED], "b": [WANTED]}, {"a": first, "b": second})[1][-1]


def test_differences():
    same = cloud("1", "2")
    assert verdict(same, same) == "yes, ids too"
    assert verdict(same, [replace(image, id=image.id + "x") for image in same]) == "yes"
    assert verdict(same, []) == "no: missing"
    assert verdict(same, cloud("1")) == "no: versions"
    other = {markers.VERIFIED: "sha256:" + "b" * 64 + " before import"}
    assert verdict(same, [replace(i, properties={**i.properties, **other}) for i in same]) == "no: checksums"
    unverified = {markers.VERIFIED: "none"}
    stored = [
        replace(i, properties={**i.properties, **unverified}, hash_algorithm="sha512", hash_value="c") for i in same
    ]
    assert digest(stored[0]) == "sha512:c"
    assert verdict(same, stored) == "unknown: digests cannot be compared"
    assert verdict(same, [replace(image, hash_value=None) for image in stored]).startswith("unknown")


def test_the_table():
    rows = table({"a": [WANTED], "b": [WANTED]}, {"a": cloud("1", "2"), "b": []})
    assert rows[0] == ["Image", "a", "b", "Same everywhere"]
    assert rows[1:] == [[NAME, "2 sha256:aaaaaaaa", "-", "no: missing"]]


def test_clouds_that_were_not_seen():
    rows = table({"a": [WANTED]}, {"a": cloud("1", "2")}, ["b"])
    assert rows[0] == ["Image", "a", "b", "Same everywhere"]
    assert rows[1][2:] == ["?", "unknown: some clouds could not be read"]


def test_without_multi_every_version_has_a_name():
    wanted = definition(versions=("1", "2"), multi=False)
    images = settled([wanted])
    assert set(current(wanted, images)) == {f"{NAME} 1", f"{NAME} 2"}
    assert current(wanted, [replace(image, status="queued") for image in images]) == {}
    assert current(definition("Other"), images) == {}


def test_ids_in_other_clouds():
    first, second = cloud("1", "2"), [replace(image, id=f"b-{image.name}", created_at="2020") for image in cloud("2")]
    images = {"a": first, "b": second, "c": [replace(image, status="killed") for image in cloud("3")]}
    known = [WANTED, definition(versions=("3",))]
    assert ids_elsewhere("a", known[:1], images) == {(NAME, "2"): [f"b-{NAME}"]}
    two = next(image.id for image in first if image.properties["internal_version"] == "2")
    assert ids_elsewhere("c", known[:1], images)[NAME, "2"] == [f"b-{NAME}", two]
    assert ids_elsewhere("c", known[:1], {"a": [replace(first[0], name="other", properties={})]}) == {}
    # As the existing tool made them.
    bare = replace(first[0], properties={"image_description": NAME, "internal_version": "2"})
    assert ids_elsewhere("c", known[:1], {"a": [bare]}) == {(NAME, "2"): [bare.id]}


def test_of_two_images_of_one_name_the_one_that_stands_is_compared():
    (image,) = settled([definition(versions=("2",))])
    unpublished = replace(image, id="u", properties={**image.properties, markers.VERIFIED: markers.PENDING + "none"})
    narrow = replace(image, id="n", visibility="private")
    older = replace(image, id="o", properties={**image.properties, "internal_version": "1"})
    for images in ([image, unpublished, narrow, older], [older, narrow, unpublished, image]):
        assert current(WANTED, images) == {NAME: image}
