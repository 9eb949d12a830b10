"""PURE: the plan is the difference between the images wanted and the images found, with a reason for each change."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date

from openstack_image_manager import identity, orphans
from openstack_image_manager.builds import WHOLE, Builds, Usage
from openstack_image_manager.format import Definition
from openstack_image_manager.model import Change, Delete, Finding, Image, Plan, Policy

GONE = ("deleted", "pending_delete")


def plan(
    definitions: Iterable[Definition],
    found: Iterable[Image],
    policy: Policy,
    today: date,
    findings: Sequence[Finding] = (),
    names: Collection[str] | None = None,
    usage: Usage = lambda _: None,
) -> Plan:
    """The plan for all definitions. `findings` of the level error name definitions that must be left alone.

    `names`: all definitions there are, filtered out ones too; images of none of them are orphans. None: nothing is an
    orphan. `usage`: how many servers, volumes and snapshots came from the image with an id; None: can't be seen."""
    known = {definition.name: definition for definition in definitions}
    broken = {finding.subject for finding in findings if finding.level == "error"}
    by_definition: dict[str, list[tuple[str, Image]]] = defaultdict(list)
    rest: list[Image] = []
    for image in found:
        if image.status in GONE:
            continue
        if key := identity.identify(image, known):
            by_definition[key[0]].append((key[1], image))
        else:
            rest.append(image)
    changes: list[Change] = []
    told = list(findings)
    for name, definition in known.items():
        if not definition.enable and not policy.force:
            told.append(Finding("note", name, "enable is false: left exactly as it is (--force includes it)"))
        elif name not in broken and definition.versions:
            more, remarks = Builds(definition, policy, today, usage).plan(by_definition[name])
            changes += more
            told += remarks
    if names is not None:
        more, remarks = orphans.plan(rest, names, policy, today, usage)
        changes += more
        told += remarks
    images = sum(map(len, by_definition.values())) + (len(rest) if names is not None else 0)
    converts = _converts((known[name].format, image) for name, its in by_definition.items() for _, image in its)
    return Plan(tuple(changes), tuple(told), len(known), images, converts)


def beyond_limit(plan: Plan, policy: Policy) -> str | None:
    """Why the plan deletes too much to be carried out; None: it does not. Junk does not count, it was never of use."""
    deletes = [change for change in plan.changes if isinstance(change, Delete) and not change.junk]
    if len(deletes) <= policy.max_deletes:
        return None
    names = ", ".join(f"{change.subject} ({change.found.id})" for change in deletes[:10])
    return f"the plan deletes {len(deletes)} images, and --max-deletes allows {policy.max_deletes}: {names}"


def _converts(images: Iterable[tuple[str, Image]]) -> bool | None:
    """Whether the cloud converts imports, as its newest image that can tell shows; None: none can."""
    telling = [
        (i.created_at, i.disk_format != defined) for defined, i in images if defined != "raw" and i.status in WHOLE
    ]
    return max(telling)[1] if telling else None
