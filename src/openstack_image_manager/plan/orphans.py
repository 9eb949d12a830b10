"""Plan what happens to managed images without a definition."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from datetime import date
from itertools import chain
from typing import Any

from openstack_image_manager import humanize
from openstack_image_manager.dates import as_day
from openstack_image_manager.definitions import naming
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import markers, retention
from openstack_image_manager.plan.diff import diff
from openstack_image_manager.plan.matching import is_usable
from openstack_image_manager.plan.model import NO_NAME, Change, Delete, Policy, Role, Stage, Update
from openstack_image_manager.plan.retention import (
    Usage,
    hidden_since,
    is_foreign,
    is_hidden,
    outdated_image,
    situation_of,
)


def plan(
    images: Iterable[Image],
    names: Collection[str],
    policy: Policy,
    today: date,
    usage: Usage,
    behind: Sequence[str] = (),
) -> tuple[list[Change], list[Finding]]:
    """Changes of images that belong to none of the definitions `names`: none, unless --orphans asks for them. A promise
    of the image itself (uuid_validity, provided_until) is kept. `behind`: definitions that the cloud is ahead of;
    then this run may lack whole definitions, too."""
    changes: list[Change] = []
    findings: list[Finding] = []
    kinds: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        name = image.properties.get("image_name") or image.name
        if name not in names:
            kinds[name].append(image)
    for name, group in kinds.items():
        usable = sorted(filter(is_usable, group), key=_version, reverse=True)
        ranks = Counter[str | None]()  # what is kept of one project does not depend on what another one makes
        for image in usable:
            more, remarks = _orphan(name, ranks[image.owner], image, policy, today, usage, behind)
            ranks[image.owner] += 1
            changes += more
            findings += remarks
        for image in group:
            if not is_usable(image):
                changes += clear_leftover(name, image, is_foreign(image, policy, None), today, findings)
    deleted = sum(isinstance(change, Delete) and not change.junk for change in changes)
    if behind and policy.orphans != "keep":
        findings += _left(sum(map(is_usable, chain(*kinds.values()))), behind)
    elif deleted:
        message = (
            f"{humanize.count(deleted, 'image')} without a definition {'is' if deleted == 1 else 'are'} to be deleted: "
            "are these all definitions of this cloud, and is this checkout current?"
        )
        findings.append(Finding("warning", "orphans", message))
    return changes, findings


def _left(number: int, behind: Sequence[str]) -> list[Finding]:
    """Report orphans that stay because the cloud is ahead of definitions."""
    if not number:
        return []
    message = (
        f"{humanize.count(number, 'image')} without a definition stay{'s' * (number == 1)}: the cloud is ahead of "
        f"{', '.join(behind[:3])}, so these definitions may lack others, too; update the checkout, or say "
        "'withdrawn: true' there, and run again"
    )
    return [Finding("warning", "orphans", message)]


def _version(image: Image) -> Any:
    # An unpublished image does not count before a published one.
    version = naming.version_key(image.properties.get("internal_version") or image.name)
    return not markers.is_pending(image), version, image.created_at


def _orphan(
    name: str, rank: int, image: Image, policy: Policy, today: date, usage: Usage, behind: Sequence[str]
) -> tuple[list[Change], list[Finding]]:
    stage, why = _stage(name, image, rank, policy, today, usage)
    if behind and policy.orphans != "keep":
        stage, why = Stage.KEEP, "these definitions are behind the cloud"
    if stage is Stage.KEEP:
        message = f"{_shown(image)} has no definition and is kept: {why}"
        return [], [Finding("note", name or NO_NAME, message)]
    reason = "it has no definition"
    if stage is Stage.DELETE:
        # Glance may refuse to delete it: then it is hidden at least.
        before = [] if is_hidden(image) else _hide(name, image, Stage.HIDE, policy, today, reason)
        changes: list[Change] = [*before, Delete(name, before[-1].wanted if before else image, reason)]
        return changes, []
    short = stage.name.lower() != policy.orphans
    findings = [Finding("note", name or NO_NAME, f"{_shown(image)} is kept: {why}")] if short else []
    return [*_hide(name, image, stage, policy, today, reason)], findings


def _shown(image: Image) -> str:
    return f"{image.name or NO_NAME} ({image.id})"


def _stage(name: str, image: Image, rank: int, policy: Policy, today: date, usage: Usage) -> tuple[Stage, str]:
    """The stage of an image of a definition that is gone, and why. A person ends its promise with --end-promise."""
    promise = None if name in policy.end_promise else retention.promise(image.properties, rank, today)
    if promise:
        return Stage.KEEP, f"{promise} (--end-promise '{name}' ends that)"
    if policy.orphans == "keep":
        return Stage.KEEP, "--orphans hide or delete removes it"
    situation = situation_of(image, 0, 0, policy, usage)
    return retention.decide(situation, replace(policy, outdated=policy.orphans), today)


def _hide(name: str, image: Image, stage: Stage, policy: Policy, today: date, reason: str) -> list[Update]:
    visibility, hidden = image.visibility, image.hidden
    if not is_hidden(image):
        # An image of another project is ours to look after only as long as it is public.
        os_hidden = policy.use_os_hidden or is_foreign(image, policy, None)
        visibility, hidden = retention.hide(visibility, hidden, policy.hidden_visibility, os_hidden)
    since = hidden_since(image, stage, True, today)
    role = Role(False, True, True, stage, reason, visibility, hidden, since)
    wanted = outdated_image(image, role, image.name, {**image.properties, **markers.kept_on_image(role)})
    why = dict.fromkeys(("visibility", "hidden", "status", markers.HIDDEN_SINCE), reason)
    fields = diff(image, wanted, why)
    return [Update(name, image, wanted, fields, reason)] if fields else []


def clear_leftover(group: str, image: Image, foreign: bool, today: date, findings: list[Finding]) -> list[Delete]:
    """Delete what an interrupted run left and nobody will finish; another run may be at it, until a day has passed.
    `foreign`: it belongs to another project, which alone knows what it is for."""
    if foreign:
        message = f"{image.id} is {image.status}; it belongs to project {image.owner}, so it stays"
        findings.append(Finding("warning", group or NO_NAME, message))
        return []
    what = f"{image.id} is {image.status} and was left by an interrupted run"
    if image.import_task is None and is_stale(image, today) and not image.protected:
        return [Delete(group, image, f"{what} on {image.updated_at[:10]}", junk=True)]
    then = "it is protected, so it stays" if image.protected else "it is removed when it is two days old"
    findings.append(Finding("warning", group or NO_NAME, f"{what}; {then}"))
    return []


def is_stale(image: Image, today: date) -> bool:
    """True for an image that nothing has happened to for more than a day: no run is at it any more."""
    touched = as_day(image.updated_at)
    return touched is not None and (today - touched).days > 1
