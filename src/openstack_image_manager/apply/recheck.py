"""Check a decision right before it is carried out, against all images of its definition."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field, replace

from openstack_image_manager.apply import image_update
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import GONE, WHOLE, Image
from openstack_image_manager.plan import markers, replanning
from openstack_image_manager.plan.model import Change, Create, Delete, Update
from openstack_image_manager.plan.replanning import Replanner

FRESH = 1.0  # seconds for which a listing is valid


class AlreadyDoneError(Exception):
    """Another run has already made the change."""


@dataclass
class CurrentImages:
    """The images of definitions as they are now. Each definition is used by one thread."""

    glance: Glance
    tag: str
    _listings: dict[str, tuple[float, dict[str, Image]]] = field(default_factory=dict)
    _changed: dict[str, set[str]] = field(default_factory=dict)

    def of(self, name: str, ids: Iterable[str], fresh: bool = False) -> dict[str, Image]:
        """All images of a definition and those with these ids, by id, at most FRESH seconds old."""
        when, images = self._listings.get(name, (0.0, {}))
        changed = self._changed.pop(name, set())
        if fresh or not when or time.monotonic() - when > FRESH:
            when, changed = time.monotonic(), set()
            images = {
                image.id: image for image in self.glance.of_definition(self.tag, name) if image.status not in GONE
            }
        for image_id in changed | (set(ids) - images.keys()):
            images.pop(image_id, None)
            if image := self._get(image_id):
                images[image_id] = image
        self._listings[name] = when, images
        return images

    def changed(self, name: str, image_id: str) -> None:
        """Get this image again before the next decision, because this run changes it."""
        self._changed.setdefault(name, set()).add(image_id)

    def _get(self, image_id: str) -> Image | None:
        try:
            return self.glance.get(image_id)
        except CloudError as error:
            if error.status in (403, 404):
                return None
            raise


@dataclass(frozen=True)
class Recheck:
    """Makes the decisions of one cloud again. Raises CloudError where a decision has changed."""

    current: CurrentImages
    replanner: Replanner

    def create(self, change: Create, fresh: bool = False) -> Create:
        """The change with the record that is left of its version now. Raises AlreadyDoneError when another run has
        published the version as planned."""
        images, changes = self._now(change.group, fresh=fresh)
        wanted = replanning.decisive_fields(change.wanted)
        for new in changes:
            if isinstance(new, Create) and new.version.version == change.version.version:
                if replanning.decisive_fields(new.wanted) != wanted:
                    raise _changed_by_another_run(change)
                if lost := self.replanner.untagged_image(change, images.values()):
                    raise _without_tag(lost, change, self.current.tag)
                return replace(change, leftover=new.leftover)
        for image in self.replanner.images_of_version(change, images.values()):
            if replanning.outcome(image, changes) == wanted:
                if markers.is_pending(image):
                    return replace(change, leftover=image)
                if replanning.decisive_fields(image) == wanted:
                    raise AlreadyDoneError(f"already up to date ({image.id})")
        raise _changed_by_another_run(change)

    def publication(self, change: Create, image_id: str) -> Image:
        """The imported image as it is now, which may be published as planned, or is already."""
        images, changes = self._now(change.group, [image_id], fresh=True)
        if image_id not in images:
            raise CloudError(image_update.gone_message(image_id), 404)
        wanted = replanning.decisive_fields(change.wanted)
        # With --no-verify-checksum the importer takes bytes that the plan does not.
        unverified = any(
            isinstance(new, Create)
            and new.leftover
            and new.leftover.id == image_id
            and replanning.decisive_fields(new.wanted) == wanted
            for new in changes
        )
        if not unverified and replanning.outcome(images[image_id], changes) != wanted:
            raise _changed_by_another_run(change)
        return images[image_id]

    def update(self, change: Update) -> Update:
        """The change with the image that must keep the name. Raises AlreadyDoneError when another run has already
        made all its decisive changes."""
        if not replanning.is_decisive(change):
            return change
        images, changes = self._now(change.group, [change.found.id])
        if change.found.id not in images:
            return change
        _require_current(change, changes)
        image = images[change.found.id]
        after = replanning.outcome(image, changes)
        desired = {field.field: field.after for field in change.fields if field.field in replanning.DECISIVE}
        if after is not None and any(after[name] != value for name, value in desired.items()):
            raise _changed_by_another_run(change)
        now = replanning.decisive_fields(image)
        if after is not None and all(now[name] == value for name, value in desired.items()):
            compared = replace(image, members=change.found.members)
            if image_update.changed_fields(change.found, compared) and image_update.changed_fields(
                change.wanted, compared
            ):
                raise AlreadyDoneError(f"already up to date ({image.id})")
        new = next((update for update in changes if isinstance(update, Update) and update.found.id == image.id), change)
        keeper = new.keeper or change.keeper
        if keeper is None:
            return change
        if _is_hidden_by_another_run(keeper, changes):
            raise _changed_by_another_run(change)
        return replace(change, keeper=images.get(keeper.id, keeper))

    def delete(self, change: Delete) -> Delete:
        """The change with the image that must remain in place of the deleted one."""
        images, changes = self._now(change.group, [change.found.id])
        if change.found.id not in images:
            return change
        _require_current(change, changes)
        for new in changes:
            if isinstance(new, Delete) and new.found.id == change.found.id:
                return replace(change, keeper=new.keeper or change.keeper)
        raise _changed_by_another_run(change)

    def unapproved(self, name: str, approved: Collection[Change]) -> set[tuple[object, ...]]:
        """Changes of a definition that the whole plan has and this run does not make, because only a part of them was
        approved."""
        planned = [image for image in self.replanner.images if image.id in self.replanner.known_ids(name)]
        return {replanning.change_key(change) for change in self.replanner.replan(name, planned)} - set(
            map(replanning.change_key, approved)
        )

    def left(self, name: str, unapproved: Collection[tuple[object, ...]]) -> list[Create | Update]:
        """Decisive changes that appeared during this run, without deletions, which can wait. A keeper is dropped where
        another run has hidden it."""
        _, changes = self._now(name, fresh=True)
        left = [
            change
            for change in changes
            if not isinstance(change, Delete)
            and replanning.is_decisive(change)
            and replanning.change_key(change) not in unapproved
        ]
        return [
            replace(change, keeper=None)
            if isinstance(change, Update) and change.keeper and _is_hidden_by_another_run(change.keeper, changes)
            else change
            for change in left
        ]

    def _now(
        self, name: str, ids: Iterable[str] = (), fresh: bool = False
    ) -> tuple[dict[str, Image], tuple[Change, ...]]:
        images = self.current.of(name, [*self.replanner.known_ids(name), *ids], fresh)
        return images, self.replanner.replan(name, images.values())


def _require_current(change: Change, changes: Iterable[Change]) -> None:
    """Raise CloudError where the current image is missing: older images change only after it is there."""
    if any(isinstance(new, Create) and new.role.newest for new in changes):
        raise _changed_by_another_run(change)


def _is_hidden_by_another_run(keeper: Image, changes: Iterable[Change]) -> bool:
    """True for a keeper that another run has changed, so that users would no longer find the name."""
    return any(
        isinstance(change, Update)
        and change.found.id == keeper.id
        and not change.names.isdisjoint(("visibility", "hidden", "status"))
        for change in changes
    )


def _changed_by_another_run(change: Change) -> CloudError:
    return CloudError(f"{change.subject} was changed by another run; plan again")


def _without_tag(image: Image, change: Create, tag: str) -> CloudError:
    return CloudError(
        f"{image.id} is version {change.version.version} already, but lacks the tag {tag}; set it again "
        f"(openstack image set --tag {tag} {image.id}), or delete the image, or remove its property "
        f"(openstack image unset --property image_name {image.id}): then the version is imported"
    )


def keeps_name(keeper: Image, planned: Image, name: str) -> bool:
    """True for an image that users find under the name, as planned."""
    return keeper.name == name and is_shown_as_planned(keeper, planned)


def is_shown_as_planned(keeper: Image, planned: Image) -> bool:
    """True for an image that has its bytes and is as visible as planned."""
    seen = (keeper.visibility, keeper.hidden)
    return keeper.status in WHOLE and seen == (planned.visibility, planned.hidden)
