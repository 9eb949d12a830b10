"""PURE: images of ours whose definition is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date

from openstack_image_manager import desired, retention
from openstack_image_manager.builds import Usage, clear, hidden_since, is_hidden, is_usable, retired, situation_of
from openstack_image_manager.changes import diff
from openstack_image_manager.model import Change, Delete, Finding, Image, Policy, Role, Stage, Update


def plan(
    images: Iterable[Image], names: Collection[str], policy: Policy, today: date, usage: Usage
) -> tuple[list[Change], list[Finding]]:
    """What becomes of images that belong to none of the definitions `names`: nothing, unless --orphans says so. What
    the image itself promises (uuid_validity, provided_until) is kept."""
    changes: list[Change] = []
    findings: list[Finding] = []
    for image in images:
        name = image.properties.get("image_name") or image.name
        if name in names:
            continue
        if not is_usable(image):
            changes += clear(name, image, today, findings)
            continue
        stage, why = _stage(image, policy, today, usage)
        if stage is Stage.KEEP:
            message = f"{image.id} has no definition (any more) and is left alone: {why}"
            findings.append(Finding("note", name, message))
            continue
        reason = "it has no definition (any more)"
        if stage is Stage.DELETE:
            changes.append(Delete(name, image, reason))
            continue
        changes += _hide(name, image, stage, policy, today, reason)
        if stage.name.lower() != policy.orphans:
            findings.append(Finding("note", name, f"{image.id} goes no further: {why}"))
    return changes, findings


def _stage(image: Image, policy: Policy, today: date, usage: Usage) -> tuple[Stage, str]:
    if policy.orphans == "keep":
        return Stage.KEEP, "--orphans hide or delete takes it away"
    for promise in ("uuid_validity", "provided_until"):
        value = image.properties.get(promise)
        until = retention.as_day(value)
        if value in ("notice", "forever") or (until and until >= today):
            return Stage.KEEP, f"its {promise} is {value}"
    situation = situation_of(image, 0, 0, policy, usage)
    return retention.decide(situation, replace(policy, outdated=policy.orphans), today)


def _hide(name: str, image: Image, stage: Stage, policy: Policy, today: date, reason: str) -> list[Change]:
    visibility, hidden = image.visibility, image.hidden
    if not is_hidden(image):
        visibility, hidden = retention.out_of_sight(visibility, hidden, policy.hidden_visibility, policy.use_os_hidden)
    since = hidden_since(image, stage, True, today)
    role = Role(False, True, True, stage, reason, visibility, hidden, since)
    wanted = retired(image, role, image.name, {**image.properties, **desired.hiding(role)})
    why = dict.fromkeys(("visibility", "hidden", "status", desired.HIDDEN_SINCE), reason)
    fields = diff(image, wanted, why)
    return [Update(name, image, wanted, fields, reason)] if fields else []
