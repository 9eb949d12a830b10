"""Plan: find the differences between the images wanted and the images found, with a reason for each."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date
from typing import TypeGuard

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.humanize import count
from openstack_image_manager.model import GONE, WHOLE, Finding, Image
from openstack_image_manager.plan import findings as build_findings
from openstack_image_manager.plan import markers, matching, orphans, ownership, renames
from openstack_image_manager.plan.definition_plan import DefinitionPlanner
from openstack_image_manager.plan.matching import is_usable
from openstack_image_manager.plan.model import Change, Delete, OutdatedDefinition, Plan, Policy, Update
from openstack_image_manager.plan.retention import Usage


def plan(
    definitions: Iterable[Definition],
    found: Iterable[Image],
    policy: Policy,
    today: date,
    findings: Sequence[Finding] = (),
    names: Collection[str] | None = None,
    usage: Usage = lambda _: None,
    roll_back: Mapping[str, str] | None = None,
    given: Iterable[Image] = (),
) -> Plan:
    """The plan for all definitions. `findings` of the level error name definitions that must be left alone.

    `names`: all definitions there are, filtered out ones too; images of none of them are orphans. None: nothing is an
    orphan. `usage`: how many servers, volumes and snapshots came from the image with an id; None: unknown.
    `roll_back`: definitions and the version that should be current. `given`: images of former owners."""
    known = {definition.name: definition for definition in definitions}
    found = one_by_id(found)
    broken = {finding.subject for finding in findings if finding.level == "error"}
    grouped, rest = _by_definition(found, known)
    by_definition: dict[str, list[tuple[str, Image]]] = defaultdict(list)
    for name, builds in grouped.items():
        by_definition[name] = [pair for pair in builds if matching.belongs(pair[1], known[name], policy.project)]
    of_former_owners, _ = _by_definition(given, known)
    changes: list[Change] = []
    behind: list[OutdatedDefinition] = []
    all_findings = list(findings)
    for name, definition in known.items():
        if not definition.enable and not policy.force:
            all_findings.append(Finding("note", name, "enable is false: left exactly as it is (--force includes it)"))
        elif name not in broken and definition.offered:
            to = (roll_back or {}).get(name)
            builds = by_definition[name]
            takeovers, remarks = ownership.choose_takeovers(
                definition, of_former_owners[name], _usable(definition, builds)
            )
            builds += [(build, takeover.trusted) for build, takeover in takeovers.items()]
            all_findings += remarks
            by_id = {takeover.found.id: takeover for takeover in takeovers.values()}
            planner = DefinitionPlanner(definition, policy, today, usage, to, by_id).for_images(builds)
            more, remarks, ahead = planner.plan(builds)
            changes += more
            all_findings += remarks
            behind += ahead
        elif name not in broken:
            all_findings += build_findings.nothing_wanted(definition, len(by_definition[name]))
    if names is not None:
        more, remarks = orphans.plan(rest, names, policy, today, usage, [outdated.definition for outdated in behind])
        changes += more
        all_findings += remarks
        new = [d for name, d in known.items() if not by_definition[name] and name not in broken and d.enable]
        all_findings += renames.suggestions(new, rest, policy.project)
    changes, remarks = _limited(changes, policy)
    all_findings += remarks
    images = sum(map(len, by_definition.values())) + (len(rest) if names is not None else 0)
    imported = [(known[name].format, image) for name, builds in by_definition.items() for _, image in builds]
    converts = _converts({definition.format for definition in known.values()}, imported, policy.project)
    return Plan(tuple(changes), tuple(all_findings), len(known), images, converts, behind=tuple(behind))


def _by_definition(
    images: Iterable[Image], known: Mapping[str, Definition]
) -> tuple[dict[str, list[tuple[str, Image]]], list[Image]]:
    """The images of each definition with their versions, and those of none; without those that are being deleted."""
    grouped: dict[str, list[tuple[str, Image]]] = defaultdict(list)
    rest: list[Image] = []
    for image in images:
        if image.status in GONE:
            continue
        if key := matching.identify(image, known):
            grouped[key[0]].append((key[1], image))
        else:
            rest.append(image)
    return grouped, rest


def one_by_id(images: Iterable[Image]) -> list[Image]:
    """Each image once, as it was last: a page that came twice, or two lists, may show one twice."""
    newest: dict[str, Image] = {}
    for image in images:
        known = newest.get(image.id)
        if known is None or image.updated_at > known.updated_at:
            newest[image.id] = image
    return list(newest.values())


def _usable(definition: Definition, found: Iterable[tuple[str, Image]]) -> set[str]:
    """The versions that have an image with bytes that may be published."""
    checksums = {version.version: version.checksum for version in definition.versions}
    return {build for build, image in found if is_usable(image, checksums.get(build))}


def _limited(changes: Sequence[Change], policy: Policy) -> tuple[list[Change], list[Finding]]:
    """The changes without the deletes of another project's images where these are more than --max-deletes: users who
    make images there must not stop a run with them."""
    deletes = Counter(change.found.owner for change in changes if _is_of_others(change, policy))
    spared = {owner: number for owner, number in deletes.items() if number > policy.max_deletes}
    findings = [
        Finding(
            "warning",
            "deletes",
            f"{number} images of project {owner} would be deleted, and --max-deletes allows {policy.max_deletes}: they "
            "stay; look at them, and give a larger number to delete them",
        )
        for owner, number in spared.items()
    ]
    return [c for c in changes if not (_is_of_others(c, policy) and c.found.owner in spared)], findings


def _is_of_others(change: Change, policy: Policy) -> TypeGuard[Delete]:
    """True for the delete of another project's image."""
    return isinstance(change, Delete) and not change.junk and policy.project not in (None, change.found.owner)


def beyond_limit(plan: Plan, policy: Policy) -> str | None:
    """Why the plan deletes too much to be carried out; None: it does not. Junk does not count, it was never of use;
    images of other projects have limits of their own."""
    deletes = [
        change
        for change in plan.changes
        if isinstance(change, Delete) and not change.junk and not _is_of_others(change, policy)
    ]
    if len(deletes) <= policy.max_deletes:
        return None
    names = ", ".join(f"{change.subject} ({change.found.id})" for change in deletes[:10])
    return f"the plan deletes {count(len(deletes), 'image')}, and --max-deletes allows {policy.max_deletes}: {names}"


def is_final(change: Change) -> TypeGuard[Update | Delete]:
    """True for what should not happen to an image that is in use."""
    if isinstance(change, Update):
        return change.deactivates
    return isinstance(change, Delete) and not change.junk


def _converts(
    formats: Iterable[str], images: Iterable[tuple[str, Image]], project: str | None
) -> dict[str, bool | None]:
    """Whether the cloud converts what it imports, for each format, as its newest imported image shows; None: there is
    none. Glance converts neither iso nor raw, and nothing that was uploaded and not imported: only images with our
    record of an import count."""
    imported: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for defined, image in images:
        is_ours = project is None or image.owner == project
        if defined not in ("raw", "iso") and image.status in WHOLE and is_ours and markers.VERIFIED in image.properties:
            imported[defined].append((image.created_at, image.disk_format != defined))
    every = [shown for samples in imported.values() for shown in samples]
    return {
        image_format: max(imported[image_format] or every)[1] if imported[image_format] or every else None
        for image_format in formats
    }
