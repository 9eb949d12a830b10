"""Write definitions for existing images, so that a run only has to write down what it manages.

Whether a definition fits is not for this room to say: the plan that a run would make of it is asked.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from openstack_image_manager.adopt.describe import describe
from openstack_image_manager.adopt.groups import Group, groups, namesakes, single, unfit
from openstack_image_manager.adopt.yaml_writer import text
from openstack_image_manager.definitions.diagnostics import DefinitionErrors
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Change, Delete, Plan, Policy, Update
from openstack_image_manager.plan.planner import plan

# What a run writes on images that it takes over.
WRITTEN = (markers.RECORD, "image_name", "internal_version", "image_description", "image_source")


@dataclass(frozen=True, slots=True)
class Adopted:
    """`items`: the values of the definitions, `definitions` the same as they are read; `left_out`: images that stay
    unmanaged, and why; `written`: fields that a run will write when it takes the images over, and on how many."""

    items: tuple[dict[str, Any], ...]
    definitions: tuple[Definition, ...]
    left_out: tuple[tuple[Image, str], ...]
    written: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Try:
    """One way to describe a group, and the ways that are left if it does not fit."""

    group: Group
    explicit: bool
    item: dict[str, Any]
    definition: Definition


def adopt(images: Iterable[Image], policy: Policy, today: date, only: re.Pattern[str] | None = None) -> Adopted:
    """Definitions of all images that can have one. `images`: those with the tag, and those without that may be taken
    over; `only`: leave out definitions of other names."""
    images = list(images)
    left_out: list[tuple[Image, str]] = []
    fit: list[Image] = []
    for image in images:
        if markers.RECORD in image.properties and policy.tag not in image.tags:
            left_out.append((image, f"it is managed with another --tag; to change that, give it the tag {policy.tag}"))
        elif reason := unfit(image):
            left_out.append((image, reason))
        else:
            fit.append(image)
    first, others = namesakes(fit)
    left_out += [(image, f"{other} has the same name and goes first") for image, other in others]
    chosen = [g for g in groups(first) if only is None or only.search(g.name)]
    if only is not None:
        left_out = [(image, reason) for image, reason in left_out if only.search(image.name)]
    managed = [image for image in images if policy.tag in image.tags]
    unique, nameless = _unique(chosen)
    left_out += [(image, f"the definition {image.name} is that of other images") for image in nameless]
    tries, hopeless = _fitting(unique, managed, policy, today)
    left_out += [(image, "no definition would leave it as it is") for image in hopeless]
    definitions = tuple(each.definition for each in tries)
    made = _plan(tries, managed, policy, today)
    fields = Counter(f.field for change in made.changes if isinstance(change, Update) for f in change.fields)
    items = tuple(each.item for each in tries)
    return Adopted(items, definitions, tuple(left_out), tuple(sorted(fields.items())))


def _unique(chosen: Sequence[Group]) -> tuple[list[Group], list[Image]]:
    """Groups with names of their own: of several of one name the largest keeps it, and the others fall apart; and
    the images that have no name left for a definition of their own."""
    taken: dict[str, Group] = {}
    rest: list[Group] = []
    for group in sorted(chosen, key=lambda group: (-len(group.builds), group.name)):
        if group.name in taken:
            rest += [single(image) for _, image in group.builds]
        else:
            taken[group.name] = group
    free = [group for group in rest if group.name not in taken]
    return [*taken.values(), *free], [image for g in rest if g not in free for _, image in g.builds]


def _fitting(
    chosen: Sequence[Group], managed: Sequence[Image], policy: Policy, today: date
) -> tuple[list[_Try], list[Image]]:
    """The first way of each group that a run would leave as it is; and the images for which there is none."""
    waiting = [(group, _ways(group, policy.tag)) for group in chosen]
    hopeless: list[Image] = []
    going: dict[str, tuple[_Try, Iterator[_Try]]] = {}
    while True:
        for group, ways in waiting:
            best = next((t for t in ways if _fits([t], [], policy, today)), None)
            if best is not None:
                going[group.name] = (best, ways)
                continue
            parts = [single(image) for _, image in group.builds]
            free = [part for part in parts if part.name not in going and len(group.builds) > 1]
            hopeless += [image for part in parts if part not in free for _, image in part.builds]
            for part in free:
                alone = next((t for t in _ways(part, policy.tag) if _fits([t], [], policy, today)), None)
                if alone is None:
                    hopeless.append(part.builds[0][1])
                else:
                    going[part.name] = (alone, iter(()))
        # Each fits by itself; now all together, beside whatever else is managed.
        result = _plan([each for each, _ in going.values()], managed, policy, today)
        odd = {change.group for change in result.changes if not _only_writes(change)}
        if not odd:
            return sorted((each for each, _ in going.values()), key=lambda t: t.definition.name), hopeless
        waiting = []
        for name in odd:
            attempt, ways = going.pop(name)
            waiting.append((attempt.group, ways))


def _ways(group: Group, tag: str) -> Iterator[_Try]:
    for explicit in (False, True):
        item = describe(group, tag, explicit, _is_known_by_itself(group, tag))
        try:
            (definition,), _ = read("", text([item]).encode())
        except DefinitionErrors:
            continue
        yield _Try(group, explicit, item, definition)


def _is_known_by_itself(group: Group, tag: str) -> Any:
    def named(image: Image, version: str) -> bool:
        said = image.properties.get("image_name"), image.properties.get("internal_version")
        return tag in image.tags and said == (group.name, version)

    return named


def _plan(tries: Sequence[_Try], managed: Sequence[Image], policy: Policy, today: date) -> Plan:
    taken = {image.id: image for each in tries for _, image in each.group.builds}
    everything = taken | {image.id: image for image in managed}
    return plan([each.definition for each in tries], everything.values(), policy, today)


def _fits(tries: Sequence[_Try], managed: Sequence[Image], policy: Policy, today: date) -> bool:
    made = _plan(tries, managed, policy, today)
    count = sum(len(each.group.builds) for each in tries)
    return made.images == count and all(map(_only_writes, made.changes))


def _only_writes(change: Change) -> bool:
    """True for a change that takes an image over, and lets it be what it is to everyone else."""
    if not isinstance(change, Update):
        return isinstance(change, Delete) and change.junk
    for field in change.fields:
        if field.field == "tags":
            harmless = field.before <= field.after
        elif field.field == "min_disk":
            harmless = field.after > field.before  # the image would not boot from less
        else:
            harmless = field.field in WRITTEN
        if not harmless:
            return False
    return True
