"""PURE: what interrupted runs left of a version, once nobody will finish it."""

from __future__ import annotations

from datetime import date

from openstack_image_manager import retention
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan_model import Delete


def clear(group: str, image: Image, foreign: bool, today: date, findings: list[Finding]) -> list[Delete]:
    """Delete what an interrupted run left and nobody will finish; another run may be at it, until a day has passed.
    `foreign`: it belongs to another project, which alone knows what it is for."""
    if foreign:
        message = f"{image.id} is {image.status}; it belongs to project {image.owner}, so it stays"
        findings.append(Finding("warning", group, message))
        return []
    what = f"{image.id} is {image.status} and was left by an interrupted run"
    if image.import_task is None and is_stale(image, today) and not image.protected:
        return [Delete(group, image, f"{what} on {image.updated_at[:10]}", junk=True)]
    then = "it is protected, so it stays" if image.protected else "it is removed when it is two days old"
    findings.append(Finding("warning", group, f"{what}; {then}"))
    return []


def is_stale(image: Image, today: date) -> bool:
    """True for an image that nothing has happened to for more than a day: no run is at it any more."""
    touched = retention.as_day(image.updated_at)
    return touched is not None and (today - touched).days > 1
