"""Change one image in a safe order: no step shows it to more people than the result does."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from openstack_image_manager.apply.image_record import with_missing_right
from openstack_image_manager.cloud import members
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.image_api import NOT_PATCHED
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import FieldChange, Image
from openstack_image_manager.plan.diff import FIELDS, diff

# Glance answers these about an image that another run is deleting at this moment.
REFUSED = (400, 403, 404, 409)


def apply_changes(glance: Glance, image: Image, fields: Iterable[FieldChange]) -> None:
    """Make all changes, in as few requests as possible. Raises CloudError."""
    fields = tuple(fields)
    after = {field.field: field.after for field in fields}
    status = after.get("status")
    with _explaining(glance, image.id, after.get("visibility", "")):
        # An image to be deactivated must not be visible and active first.
        if status == "deactivated":
            glance.set_status(image.id, status)
        # No run adds members to an image of another project: one that is taken is ours before, and the transfer to
        # another project comes last.
        members_first = image.visibility == "shared" and not ("owner" in after and image.owner != glance.project)
        if members_first:
            _members(glance, image.id, fields)
        last = {"owner"} if "members" in after and image.owner == glance.project else set()
        first = tuple(field for field in fields if field.field not in last)
        for part in (first, tuple(field for field in fields if field.field in last)):
            if any(field.field not in NOT_PATCHED for field in part):
                _patch(glance, image, part)
            if not members_first:
                _members(glance, image.id, part)
        if status == "active":
            glance.set_status(image.id, status)


@contextmanager
def _explaining(glance: Glance, image_id: str, visibility: str = "") -> Iterator[None]:
    """Explain refusals: the image is gone, or a right is missing."""
    try:
        yield
    except CloudError as error:
        if error.status in REFUSED and glance.is_gone(image_id):
            raise CloudError(gone_message(image_id), 404) from None
        raise with_missing_right(error, visibility) from None


def _members(glance: Glance, image_id: str, fields: tuple[FieldChange, ...]) -> None:
    """Add and remove members; only images that are shared now have members."""
    change = next((field for field in fields if field.field == "members"), None)
    if change is None:
        return
    for project in sorted(change.after - change.before):
        members.add(glance, image_id, project)
    for project in sorted(change.before - change.after):
        members.remove(glance, image_id, project)


def forget_members(glance: Glance, image_id: str, keep: Collection[str]) -> None:
    """Remove the members of an image that was shared before; Glance lists them only while it is shared."""
    with _explaining(glance, image_id):
        for project in sorted(members.members(glance, image_id).keys() - set(keep)):
            members.remove(glance, image_id, project)


def _patch(glance: Glance, image: Image, fields: tuple[FieldChange, ...]) -> None:
    """Change all in one request. A retry after a lost answer is a conflict although the first request succeeded; and
    with some databases Glance fails when another run adds the same property at the same moment."""
    try:
        glance.patch(image.id, fields)
    except CloudError as error:
        wanted = {field.field: field.after for field in fields if field.field not in NOT_PATCHED}
        if error.status not in (409, 500) or any(
            change.field in wanted for change in diff(glance.get(image.id), _with(image, wanted))
        ):
            raise


def _with(image: Image, values: dict[str, Any]) -> Image:
    """The image with these fields and properties; None removes a property."""
    properties = {**image.properties, **{key: value for key, value in values.items() if key not in FIELDS}}
    kept = {key: value for key, value in properties.items() if value is not None}
    return replace(image, properties=kept, **{key: value for key, value in values.items() if key in FIELDS})


def gone_message(image_id: str) -> str:
    """The message about an image that was deleted since the plan was made."""
    return f"{image_id} is gone since the plan was made; plan again"


def changed_fields(planned: Image, current: Image) -> str:
    """The fields that someone else has changed; empty when nothing has."""
    return ", ".join(change.field for change in diff(planned, current))
