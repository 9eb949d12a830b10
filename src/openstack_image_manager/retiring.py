"""PURE: images on their way out: what retention has to know of them, and what they keep of it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import date

from openstack_image_manager import markers, retention
from openstack_image_manager.model import Image
from openstack_image_manager.plan_model import Policy, Role, Stage

Usage = Callable[[str], int | None]


def is_foreign(image: Image, policy: Policy, owner: str | None) -> bool:
    """True for an image of another project; `owner`: the project that the definition gives its images to."""
    return policy.project is not None and image.owner not in (policy.project, owner)


def situation_of(
    image: Image | None, rank: int, visible: int | None, policy: Policy, usage: Usage, owner: str | None = None
) -> retention.Situation:
    """What is known of an image, for the rule of retention; None: it is not in the cloud yet. `owner`: the project that
    the definition gives its images to."""
    if image is None:
        return retention.Situation(rank, visible)
    return retention.Situation(
        rank,
        visible,
        protected=image.protected,
        foreign=is_foreign(image, policy, owner),
        uses=usage(image.id),
        hidden_since=retention.as_day(image.properties.get(markers.HIDDEN_SINCE)),
    )


def hidden_since(image: Image | None, stage: Stage, keeps: bool, today: date) -> str | None:
    """The day to keep on the image: the one that is there already, or today. `keeps`: it stays out of sight."""
    there = image.properties.get(markers.HIDDEN_SINCE) if image else None
    if stage >= Stage.HIDE:
        return there if retention.as_day(there) else today.isoformat()
    return there if keeps else None


def is_hidden(image: Image) -> bool:
    """True for an image that was hidden before and still is: hiding again what became private or shared by that would
    change it once more."""
    return markers.HIDDEN_SINCE in image.properties and (image.visibility != "public" or image.hidden)


def retired(image: Image, role: Role, name: str, properties: dict[str, str]) -> Image:
    """The image on its way out; never seen by more than before."""
    return replace(
        image,
        name=name,
        properties=properties,
        visibility=retention.narrower(image.visibility, role.visibility),
        hidden=image.hidden or role.hidden,
        status="deactivated" if role.stage >= Stage.DEACTIVATE else image.status,
    )
