"""The plan of a run as the command line makes it, from values."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan.matching import identify
from openstack_image_manager.plan.model import Change, Delete, Plan, Update
from openstack_image_manager.plan.ownership import split_by_owner
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.runs.planning import inherits
from tests.histories.order import Order


def planned(order: Order) -> Plan:
    """The plan as the command line makes it: use is looked up for those that are to go."""
    chosen = [d for name, d in order.definitions.items() if order.only is None or name in order.only]
    tagged = [image for image in order.found.values() if order.policy.tag in image.tags]
    ours, given = split_by_owner(tagged, chosen, order.project)
    told = [Finding("error", name, "is wrong") for name in order.wrong]
    names = order.definitions.keys() if order.only is None else None

    def made_with(usage: Callable[[str], int | None], carried: Collection[str] = ()) -> Plan:
        found = with_members(ours, chosen, carried)
        taken = with_members(given, chosen, ())
        return plan(chosen, found, order.policy, order.day, told, names, usage, order.roll_back, taken)

    try:
        made = made_with(lambda _: 0)
    except Error:
        return Plan(())  # there is nothing to go back to
    heirs = [change.group for change in made.changes if inherits(change)]
    if heirs:
        made = made_with(lambda _: 0, heirs)
    doomed = {change.found.id for change in made.changes if _is_final(change)}
    if not doomed:
        return made
    uses = order.uses

    def usage(image_id: str) -> int | None:
        return None if uses is None else uses.get(image_id, 0) if image_id in doomed else 0

    return made_with(usage, heirs)


def with_members(images: list[Image], chosen: list[Definition], carried: Collection[str]) -> list[Image]:
    """The images with whom they are shared with, as far as the program asks Glance for it."""
    asked = {each.name: each for each in chosen if each.members is not None or each.name in carried}
    return [_with_members(image) if identify(image, asked) else replace(image, members=None) for image in images]


def _with_members(image: Image) -> Image:
    shared = image.visibility == "shared"
    return replace(image, members=(image.members or frozenset()) if shared else frozenset())


def _is_final(change: Change) -> bool:
    if isinstance(change, Update):
        return any(each.field == "status" and each.after == "deactivated" for each in change.fields)
    return isinstance(change, Delete) and not change.junk
