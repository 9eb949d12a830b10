"""A cloud of values: definitions made in one line, their plan, and a simulation that carries it out step by step."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, time
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan import desired, markers
from openstack_image_manager.plan.model import Create, Delete, Plan, Policy
from openstack_image_manager.plan.planner import plan

TODAY = date(2026, 11, 22)
NOW = datetime.combine(TODAY, time(12), UTC)
DEFAULT = Policy()
DELETE = Policy(outdated="delete")
TAG = DEFAULT.tag
GIB = 1024**3


def definition(name: str = "Ubuntu 24.04", versions: Any = ("20240416",), **fields: Any) -> Definition:
    """A definition with the given versions (names, or whole version mappings)."""
    listed = [
        version
        if isinstance(version, dict)
        else {"version": version, "url": f"https://example.org/{version.replace(' ', '_')}.img"}
        for version in versions
    ]
    data = {"name": name, "format": "qcow2", "multi": True, "visibility": "public", **fields, "versions": listed}
    return Definition.model_validate(data)


def withdrawn(version: str) -> dict[str, Any]:
    """A version that the definition withdraws."""
    return {"version": version, "url": f"https://example.org/{version}.img", "withdrawn": True}


def made(plan_: Plan, found: list[Image]) -> list[Image]:
    """The cloud after the plan."""
    *_, last = [found, *steps(plan_, found)]
    return last


def steps(plan_: Plan, found: list[Image]) -> Iterator[list[Image]]:
    """The cloud after each step of the plan, in the order in which a run takes them."""
    cloud = {image.id: image for image in found}
    for number, change in enumerate(plan_.changes):
        if isinstance(change, Create):
            if change.leftover is not None:
                cloud.pop(change.leftover.id, None)
            checksum = change.version.checksum
            verified = f"{checksum}{markers.BEFORE}" if checksum else markers.UNVERIFIED
            fresh = replace(
                change.wanted,
                id=f"new-{number}-{change.version.version}-{len(cloud)}",
                created_at=f"2026-11-22T00:00:{number:02}Z",
                status="active",
                virtual_size=3 * GIB,
                size=GIB,
                owner="ours",
                properties={**change.wanted.properties, markers.VERIFIED: markers.PENDING + verified},
            )
            # As importer does: unpublished under another name first.
            unpublished = naming.image_name(change.definition, change.version.version, newest=False)
            cloud[fresh.id] = replace(fresh, name=unpublished, visibility="private")
            yield list(cloud.values())
            cloud[fresh.id] = desired.wanted_image(change.definition, change.version, change.role, TAG, fresh)
        elif isinstance(change, Delete):
            del cloud[change.found.id]
        else:
            cloud[change.found.id] = change.wanted
        yield list(cloud.values())


def settled(definitions: list[Definition], policy: Policy = DEFAULT, found: Any = ()) -> list[Image]:
    """The cloud after one run."""
    found = list(found)
    return made(plan(definitions, found, policy, TODAY), found)


def planned(definitions: list[Definition], found: Any = (), policy: Policy = DEFAULT, today: date = TODAY) -> Plan:
    """The plan for a cloud with these images."""
    return plan(definitions, list(found), policy, today)


def only(plan_: Plan) -> Any:
    """The one change of a plan."""
    assert len(plan_.changes) == 1, plan_.changes
    return plan_.changes[0]


def fields(change: Any) -> dict[str, tuple[Any, Any]]:
    """Each field that a change sets: what it was, and what it becomes."""
    return {field.field: (field.before, field.after) for field in change.fields}


def by_version(images: list[Image]) -> dict[str, Image]:
    """Images by their version."""
    return {image.properties["internal_version"]: image for image in images}
