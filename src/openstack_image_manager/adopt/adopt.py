"""Write definitions for existing images, so that the first run only adds its records to them.

The plan of a run decides whether a definition fits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from openstack_image_manager.adopt.describe import describe
from openstack_image_manager.adopt.groups import Group, groups, single, unfit, unique_names
from openstack_image_manager.adopt.yaml_writer import text
from openstack_image_manager.definitions.diagnostics import DefinitionErrors
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Change, Delete, Plan, Policy, Update
from openstack_image_manager.plan.planner import plan

# Properties that the first run writes on adopted images.
WRITTEN = (markers.RECORD, "image_name", "internal_version", "image_description", "image_source")


@dataclass(frozen=True, slots=True)
class Adopted:
    """`items`: the values of the definitions; `definitions`: the same, parsed; `left_out`: images that stay unmanaged,
    with reasons; `written`: fields that the first run writes, with the number of images."""

    items: tuple[dict[str, Any], ...]
    definitions: tuple[Definition, ...]
    left_out: tuple[tuple[Image, str], ...]
    written: tuple[tuple[str, int], ...]


@dataclass(frozen=True, slots=True)
class _Candidate:
    """A possible definition of a group."""

    group: Group
    explicit: bool
    item: dict[str, Any]
    definition: Definition


def adopt(
    images: Iterable[Image],
    policy: Policy,
    today: date,
    only: re.Pattern[str] | None = None,
    others: Sequence[Image] = (),
) -> Adopted:
    """Write definitions of all images that can have one. `images`: managed images, and those that can be adopted;
    `only`: a pattern for the names of definitions; `others`: images with the tag that this project does not manage."""
    images = list(images)
    left_out: list[tuple[Image, str]] = []
    usable: list[Image] = []
    for image in images:
        if markers.RECORD in image.properties and policy.tag not in image.tags:
            left_out.append((image, f"it is managed with another --tag; to change that, add the tag {policy.tag}"))
        elif reason := unfit(image):
            left_out.append((image, reason))
        else:
            usable.append(image)
    first, duplicates = unique_names(usable)
    left_out += [(image, f"{first_id} has the same name and gets the definition") for image, first_id in duplicates]
    chosen = [g for g in groups(first) if only is None or only.search(g.name)]
    if only is not None:
        left_out = [(image, reason) for image, reason in left_out if only.search(image.name)]
    managed = [image for image in images if policy.tag in image.tags]
    unique, nameless = _unique(chosen)
    left_out += [(image, f"the definition {image.name} belongs to other images") for image in nameless]
    unique, taken = _not_managed_by_others(unique, others, policy)
    left_out += taken
    candidates, rejected = _fitting(unique, managed, policy, today)
    left_out += [(image, "every definition would change it") for image in rejected]
    definitions = tuple(candidate.definition for candidate in candidates)
    result = _plan(candidates, managed, policy, today)
    fields = Counter(f.field for change in result.changes if isinstance(change, Update) for f in change.fields)
    items = tuple(candidate.item for candidate in candidates)
    return Adopted(items, definitions, tuple(left_out), tuple(sorted(fields.items())))


def _unique(chosen: Sequence[Group]) -> tuple[list[Group], list[Image]]:
    """Return groups with unique names, and images without a free name. Of several groups with one name the largest
    keeps it, and the others are split into single images."""
    by_name: dict[str, Group] = {}
    rest: list[Group] = []
    for group in sorted(chosen, key=lambda group: (-len(group.builds), group.name)):
        if group.name in by_name:
            rest += [single(image) for _, image in group.builds]
        else:
            by_name[group.name] = group
    free = [group for group in rest if group.name not in by_name]
    return [*by_name.values(), *free], [image for g in rest if g not in free for _, image in g.builds]


def _not_managed_by_others(
    chosen: Sequence[Group], others: Sequence[Image], policy: Policy
) -> tuple[list[Group], list[tuple[Image, str]]]:
    """Return the groups whose name no other project uses with this tag, and the images of the rest with the reason: a
    run would leave their definitions alone."""
    by_name = {image.properties.get("image_name", image.name): image for image in others}
    free = [group for group in chosen if group.name not in by_name]
    taken = []
    for group in chosen:
        if (other := by_name.get(group.name)) is not None:
            reason = f"project {other.owner} manages {other.id} as {group.name} with the tag {policy.tag}"
            taken += [(image, f"{reason}; adopt with a --tag of your own") for _, image in group.builds]
    return free, taken


def _fitting(
    chosen: Sequence[Group], managed: Sequence[Image], policy: Policy, today: date
) -> tuple[list[_Candidate], list[Image]]:
    """Return the first candidate of each group that a run does not change, and the images for which there is none."""
    waiting = [(group, _candidates(group, policy.tag)) for group in chosen]
    rejected: list[Image] = []
    accepted: dict[str, tuple[_Candidate, Iterator[_Candidate]]] = {}
    while True:
        for group, candidates in waiting:
            best = next((each for each in candidates if _fits(each, policy, today)), None)
            if best is not None:
                accepted[group.name] = (best, candidates)
                continue
            parts = [single(image) for _, image in group.builds]
            free = [part for part in parts if part.name not in accepted and len(group.builds) > 1]
            rejected += [image for part in parts if part not in free for _, image in part.builds]
            for part in free:
                alone = next((each for each in _candidates(part, policy.tag) if _fits(each, policy, today)), None)
                if alone is None:
                    rejected.append(part.builds[0][1])
                else:
                    accepted[part.name] = (alone, iter(()))
        # Each fits alone; now check all of them together with the other managed images.
        fitting = [candidate for candidate, _ in accepted.values()]
        result = _plan(fitting, managed, policy, today)
        changed = {change.group for change in result.changes if not _only_writes(change)}
        if not changed:
            return sorted(fitting, key=lambda candidate: candidate.definition.name), rejected
        waiting = []
        for name in changed:
            candidate, candidates = accepted.pop(name)
            waiting.append((candidate.group, candidates))


def _candidates(group: Group, tag: str) -> Iterator[_Candidate]:
    for explicit in (False, True):
        item = describe(group, tag, explicit, _is_identified(group, tag))
        try:
            (definition,), _ = read("", text([item]).encode())
        except DefinitionErrors:
            continue
        yield _Candidate(group, explicit, item, definition)


def _is_identified(group: Group, tag: str) -> Any:
    def named(image: Image, version: str) -> bool:
        properties = image.properties.get("image_name"), image.properties.get("internal_version")
        return tag in image.tags and properties == (group.name, version)

    return named


def _plan(candidates: Sequence[_Candidate], managed: Sequence[Image], policy: Policy, today: date) -> Plan:
    images = {image.id: image for candidate in candidates for _, image in candidate.group.builds}
    everything = images | {image.id: image for image in managed}
    return plan([candidate.definition for candidate in candidates], everything.values(), policy, today)


def _fits(candidate: _Candidate, policy: Policy, today: date) -> bool:
    result = _plan([candidate], [], policy, today)
    return result.images == len(candidate.group.builds) and all(map(_only_writes, result.changes))


def _only_writes(change: Change) -> bool:
    """Return whether a change only adds records of this tool to an image."""
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
