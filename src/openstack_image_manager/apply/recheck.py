"""Check a decision again right before it is carried out, against all images of its definition."""

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

FRESH = 1.0  # seconds that a look is good for


class AlreadyDoneError(Exception):
    """Nothing is left to be done, another run has done it."""


@dataclass
class CurrentImages:
    """The images of definitions as they are now. Each definition has one thread that asks."""

    glance: Glance
    tag: str
    _seen: dict[str, tuple[float, dict[str, Image]]] = field(default_factory=dict)
    _changed: dict[str, set[str]] = field(default_factory=dict)

    def of(self, name: str, ids: Iterable[str], fresh: bool = False) -> dict[str, Image]:
        """All images of a definition and those with these ids, by id, as they were at most FRESH seconds ago."""
        when, images = self._seen.get(name, (0.0, {}))
        changed = self._changed.pop(name, set())
        if fresh or not when or time.monotonic() - when > FRESH:
            when, changed = time.monotonic(), set()
            images = {i.id: i for i in self.glance.of_definition(self.tag, name) if i.status not in GONE}
        for image_id in changed | (set(ids) - images.keys()):
            images.pop(image_id, None)
            if image := self._one(image_id):
                images[image_id] = image
        self._seen[name] = when, images
        return images

    def changed(self, name: str, image_id: str) -> None:
        """This run changes an image itself: it is looked at again before the next decision."""
        self._changed.setdefault(name, set()).add(image_id)

    def _one(self, image_id: str) -> Image | None:
        try:
            return self.glance.get(image_id)
        except CloudError as error:
            if error.status in (403, 404):
                return None
            raise


@dataclass(frozen=True)
class Recheck:
    """Decisions of one cloud, made again. Raises CloudError where a decision is not the same any more."""

    sight: CurrentImages
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
                    raise _without_tag(lost, change, self.sight.tag)
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
        """The change with the image that has to keep the name. Raises AlreadyDoneError when another run has already
        made all its decisive changes."""
        if not replanning.is_decisive(change):
            return change
        images, changes = self._now(change.group, [change.found.id])
        if change.found.id not in images:
            return change
        _has_current(change, changes)
        image = images[change.found.id]
        after = replanning.outcome(image, changes)
        asked = {field.field: field.after for field in change.fields if field.field in replanning.DECISIVE}
        if after is not None and any(after[name] != value for name, value in asked.items()):
            raise _changed_by_another_run(change)
        now = replanning.decisive_fields(image)
        if after is not None and all(now[name] == value for name, value in asked.items()):
            compared = replace(image, members=change.found.members)
            if image_update.changed_fields(change.found, compared) and image_update.changed_fields(
                change.wanted, compared
            ):
                raise AlreadyDoneError(f"already up to date ({image.id})")
        new = next((one for one in changes if isinstance(one, Update) and one.found.id == image.id), change)
        keeper = new.keeper or change.keeper
        if keeper is None:
            return change
        if _is_out_of_place(keeper, changes):
            raise _changed_by_another_run(change)
        return replace(change, keeper=images.get(keeper.id, keeper))

    def delete(self, change: Delete) -> Delete:
        """The change with the image that has to stand in place of the deleted one."""
        images, changes = self._now(change.group, [change.found.id])
        if change.found.id not in images:
            return change
        _has_current(change, changes)
        for new in changes:
            if isinstance(new, Delete) and new.found.id == change.found.id:
                return replace(change, keeper=new.keeper or change.keeper)
        raise _changed_by_another_run(change)

    def unasked(self, name: str, asked: Collection[Change]) -> set[tuple[object, ...]]:
        """What the whole plan would have done of a definition and was not asked to, such as a plan that was approved
        before."""
        planned = [image for image in self.replanner.images if image.id in self.replanner.known_ids(name)]
        return {replanning.change_key(change) for change in self.replanner.replan(name, planned)} - set(
            map(replanning.change_key, asked)
        )

    def left(self, name: str, unasked: Collection[tuple[object, ...]]) -> list[Create | Update]:
        """What is decisive and was not there to be done when this run began. What there is to delete can wait. An image
        is told to stand in place of another one only where that is all that there is to be done with it."""
        _, changes = self._now(name, fresh=True)
        left = [
            change
            for change in changes
            if not isinstance(change, Delete)
            and replanning.is_decisive(change)
            and replanning.change_key(change) not in unasked
        ]
        return [
            replace(change, keeper=None)
            if isinstance(change, Update) and change.keeper and _is_out_of_place(change.keeper, changes)
            else change
            for change in left
        ]

    def _now(
        self, name: str, ids: Iterable[str] = (), fresh: bool = False
    ) -> tuple[dict[str, Image], tuple[Change, ...]]:
        images = self.sight.of(name, [*self.replanner.known_ids(name), *ids], fresh)
        return images, self.replanner.replan(name, images.values())


def _has_current(change: Change, changes: Iterable[Change]) -> None:
    """Raises CloudError where the current image is missing by now: what others give up comes after it."""
    if any(isinstance(new, Create) and new.role.newest for new in changes):
        raise _changed_by_another_run(change)


def _is_out_of_place(keeper: Image, changes: Iterable[Change]) -> bool:
    """True for an image that another run has hidden, so that users would no longer find the name."""
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
    """True for an image that users find under the name, as the plan has it."""
    return keeper.name == name and is_shown_as_planned(keeper, planned)


def is_shown_as_planned(keeper: Image, planned: Image) -> bool:
    """True for an image that is whole, and seen as the plan has it."""
    seen = (keeper.visibility, keeper.hidden)
    return keeper.status in WHOLE and seen == (planned.visibility, planned.hidden)
