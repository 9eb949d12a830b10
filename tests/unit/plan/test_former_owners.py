"""Images of former owners: which are taken, and that nothing written on them counts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.plans import TODAY, by_version, definition, made, settled

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Policy, Update
from openstack_image_manager.plan.ownership import split_by_owner
from openstack_image_manager.plan.planner import plan

OURS = Policy(project="ours")
SHA256, SHA512 = f"sha256:{'1' * 64}", f"sha512:{'2' * 128}"
NAME = "Ubuntu 24.04"


def version(name: str, checksum: str | None = SHA512, url: str = "https://example.org/x.img") -> dict[str, Any]:
    return {"version": name, "url": url, **({"checksum": checksum} if checksum else {})}


def new_owner(*versions: Any, **fields: Any) -> Definition:
    """The definition after `owner` became b; its images are with a."""
    return definition(versions=versions, visibility="private", owner="b", former_owners=["a"], **fields)


def theirs(build: str = "1", **fields: Any) -> Image:
    """An image of project a that claims to be a build, with the bytes of SHA512."""
    properties = {"image_name": NAME, "internal_version": build}
    image = Image("x", "private", owner="a", id=f"theirs-{build}", disk_format="qcow2", properties=properties)
    whole = replace(image, tags=frozenset({OURS.tag}), size=1, hash_algorithm="sha512", hash_value="2" * 128)
    return replace(whole, **fields)


def test_right_bytes_are_taken_in_one_change_and_then_all_is_well():
    wanted = new_owner(version("1"))
    result = plan([wanted], [], OURS, TODAY, given=[theirs()])
    (change,) = result.changes
    assert isinstance(change, Update)
    assert (change.proof, change.wanted.owner, change.wanted.id, change.wanted.name) == (None, "b", "theirs-1", NAME)
    assert change.reason == "transferred from its former owner"
    assert change.wanted.properties[markers.VERIFIED] == f"{SHA512} after import"
    assert plan([wanted], [change.wanted], OURS, TODAY).changes == ()


def test_what_glance_has_no_digest_for_is_to_be_read():
    (change,) = plan([new_owner(version("1", SHA256))], [], OURS, TODAY, given=[theirs()]).changes
    assert isinstance(change, Update)
    assert change.proof == SHA256
    assert "given over: if its bytes are those of sha256:1" in {f.field: f.reason for f in change.fields}["owner"]


PACKED = "https://example.org/x.img.xz"


@pytest.mark.parametrize(
    ("defined", "image", "why"),
    [
        (version("1", f"sha512:{'3' * 128}"), theirs(), "wrong bytes: sha512:222"),
        (version("1", None), theirs(), "the definition has no checksum"),
        (version("1", SHA256, PACKED), theirs(), "the checksum may be that of the packed file"),
        (version("1", f"sha512:{'3' * 128}", PACKED), theirs(), "the checksum may be that of the packed file"),
        (version("1", SHA256), theirs(disk_format="raw"), "its format is raw, not qcow2"),
        (version("1"), theirs(status="queued"), "it is queued, not whole"),
        (version("1"), theirs(import_task="x"), "not whole"),
        (version("2"), theirs(), "version 1 is not defined"),
        ({**version("1"), "visibility": "shared"}, theirs(), "its members are not defined"),
    ],
)
def test_what_can_not_be_known_stays_and_is_imported(defined: dict[str, Any], image: Image, why: str):
    result = plan([new_owner(defined)], [], OURS, TODAY, given=[image])
    assert [type(change).__name__ for change in result.changes] == ["Create"]
    (finding,) = result.findings
    assert finding.level == ("warning" if "wrong" in why else "note")
    assert finding.message.startswith(f"{image.id} stays with its former owner a: ")
    assert why in finding.message


def test_a_packed_file_whose_image_has_the_digest_and_a_shared_one_with_members_are_taken():
    shared = new_owner(version("1", url=PACKED)).model_copy(update={"visibility": "shared", "members": []})
    (change,) = plan([shared], [], OURS, TODAY, given=[theirs(members=frozenset())]).changes
    assert isinstance(change, Update)


def test_of_several_only_one_is_taken_and_only_when_it_is_right():
    again = theirs(id="again")
    result = plan([new_owner(version("1"))], [], OURS, TODAY, given=[theirs(), again])
    assert [change.found.id for change in result.changes if isinstance(change, Update)] == ["again"]
    assert "another image is used for version 1" in result.findings[0].message
    result = plan([new_owner(version("1", SHA256))], [], OURS, TODAY, given=[theirs(), again])
    assert [type(change).__name__ for change in result.changes] == ["Create"]
    assert all("2 claim to be version 1" in finding.message for finding in result.findings)


def test_what_has_an_image_needs_none():
    wanted = new_owner(version("1"))
    ours = [replace(image, owner="b") for image in settled([wanted])]
    result = plan([wanted], ours, OURS, TODAY, given=[theirs(), theirs("2", status="deleted")])
    assert (result.changes, len(result.findings)) == ((), 1)
    assert "version 1 has an image already" in result.findings[0].message


marks = st.dictionaries(
    st.sampled_from([*markers.MARKS, markers.RECORD, markers.VERIFIED, markers.RUN, "kernel_id", "uuid_validity"]),
    st.sampled_from(["9", "2026-01-01", '{"properties":["image_name"],"tags":["x"]}', "pending none", "forever"]),
)


@given(marks, marks, st.sets(st.sampled_from(["1", "2", "3", "4", "9"])))
def test_nothing_that_is_written_on_them_counts(one: dict[str, str], other: dict[str, str], builds: set[str]):
    """The cloud is the same after the run, whatever the images of the former owner say; of ours none is lost."""
    wanted = new_owner(*map(version, "234"), meta={"uuid_validity": "last-2"})
    ours = [replace(image, owner="b") for image in settled([new_owner(*map(version, "13"))])]
    policy = replace(OURS, outdated="delete", unknown_usage="delete")

    def after(builds: set[str], properties: dict[str, str]) -> dict[str, Image]:
        images = [theirs(each) for each in sorted(builds)]
        given_ = [replace(i, properties={**i.properties, **properties}, protected=bool(properties)) for i in images]
        cloud = made(plan([wanted], ours, policy, TODAY, given=given_), [*ours, *given_])
        return by_version([image for image in cloud if image.owner != "a"])

    there = after(builds, one)
    assert there == after(builds, other)
    assert {b for b, image in there.items() if image.id.startswith("theirs")} == builds & {"2", "4"}
    alone = after(set(), {})
    assert there.keys() == alone.keys()
    assert {b: image.id for b, image in there.items() if b == "3"} == {"3": alone["3"].id}


def test_whose_images_they_are():
    known = [new_owner(version("1")), definition("Other", owner="c")]
    stray = {"properties": {"image_name": "Nothing"}, "name": "Nothing"}
    images = {
        "public": theirs(owner="z", visibility="public"),
        "present": theirs(owner="b"),
        "own": theirs(owner="ours"),
        "former": theirs(),
        "third": theirs(owner="c"),
        "orphan of a": theirs(**stray),
        "orphan of b": theirs(owner="b", **stray),
        "public orphan": theirs(visibility="public", **stray),
    }
    named = {key: replace(image, id=key) for key, image in images.items()}
    ours, given_ = split_by_owner(named.values(), known, "ours")
    assert [image.id for image in ours] == ["public", "present", "own", "orphan of b", "public orphan"]
    assert [image.id for image in given_] == ["former"]
    assert len(split_by_owner(named.values(), known, None)[0]) == len(named)
