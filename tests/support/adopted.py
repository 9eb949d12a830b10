"""Images to be adopted, and the laws that every adoption holds."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from openstack_image_manager.adopt.adopt import WRITTEN, Adopted, adopt
from openstack_image_manager.adopt.yaml_writer import text
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Policy, Update
from openstack_image_manager.plan.planner import plan
from tests.support.plans import TAG, TODAY, made

POLICY = Policy(project="ours")


def image(name: str, number: int = 1, **fields: Any) -> Image:
    """An image that somebody made by hand."""
    given_ = {"visibility": "public", "disk_format": "qcow2", "owner": "ours", "created_at": "2024-05-06T01:02:03Z"}
    return Image(name=name, id=str(UUID(int=number)), **{**given_, **fields})


def taken(found: Adopted, images: list[Image]) -> list[Image]:
    """What a run with the definitions sees of the cloud: images with the tag, and those that it takes by their ids."""
    ids = {version.id for each in found.definitions for version in each.versions}
    return [each for each in images if TAG in each.tags or each.id in ids]


def check(images: list[Image]) -> Adopted:
    """Adopt, hold the laws, and give what came of it."""
    found = adopt(images, POLICY, TODAY)
    written = text(found.items, ["made by\na test"])
    assert read("x", written.encode())[0] == found.definitions if found.items else "images: []" in written
    assert "hunter2" not in written
    there = taken(found, images)
    result = plan(found.definitions, there, POLICY, TODAY)
    for change in result.changes:
        assert isinstance(change, Update), change
        for field in change.fields:
            assert field.field in (*WRITTEN, "tags", "min_disk"), field
            assert field.field != "tags" or field.before < field.after
            assert field.field != "min_disk" or field.before < field.after <= 3
    after = made(result, there)
    assert {each.id for each in after} == {each.id for each in there}
    assert plan(found.definitions, after, POLICY, TODAY).changes == ()
    defined = sum(len(each.versions) for each in found.definitions)
    assert defined + len(found.left_out) == len(images)
    return found
