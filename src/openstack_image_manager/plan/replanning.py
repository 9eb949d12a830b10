"""Plan one definition again, from its images as they are now and all else as it was for the whole plan."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import WHOLE, Image
from openstack_image_manager.plan import markers, matching
from openstack_image_manager.plan.model import Change, Create, Delete, Plan, Policy, Update
from openstack_image_manager.plan.ownership import split_by_owner
from openstack_image_manager.plan.planner import is_final, plan

# Fields that decide who finds which image under which name.
DECISIVE = ("name", "visibility", "hidden", "status", markers.PINNED_OVER, markers.ROLLED_BACK)
# Properties that Nova and Cinder write on images of servers and volumes, in addition to those of the first image.
COPIED = ("base_image_ref", "instance_uuid", "image_id")
Values = Mapping[str, object]


@dataclass(frozen=True)
class Replanner:
    """The inputs of a plan. `images`: those it was made of; `admin`: may the user change images of other projects;
    `names`: all definitions there are, None: unknown, so no image is one without a definition."""

    plan: Plan
    definitions: Sequence[Definition]
    images: Sequence[Image]
    policy: Policy
    day: date
    admin: bool
    names: Collection[str] | None = None
    roll_back: Mapping[str, str] = field(default_factory=dict)

    def replan(self, name: str, images: Iterable[Image]) -> tuple[Change, ...]:
        """The changes of one definition, or of images that have lost theirs. `images`: all that may be of it."""
        definition = self._defined.get(name)
        listed = self._listed(name, definition, images)
        if definition is None:
            return plan((), listed, self.policy, self.day, (), self.names, self._usage).changes
        managed, of_former_owners = split_by_owner(listed, [definition], self.policy.project)
        definition, to = self._rolled_back(definition, managed)
        return plan([definition], managed, self.policy, self.day, (), None, self._usage, to, of_former_owners).changes

    def known_ids(self, name: str) -> list[str]:
        """The ids of the images that the plan knew for a definition."""
        return [*self._known[name]]

    def images_of_version(self, create: Create, images: Iterable[Image]) -> list[Image]:
        """The images that are the version already, with their bytes."""
        definition, version = create.definition, create.version.version
        key = (definition.name, version)
        return [
            image
            for image in self._listed(definition.name, definition, images)
            if image.status in WHOLE and matching.identify(image, {definition.name: definition}) == key
        ]

    def untagged_image(self, create: Create, images: Iterable[Image]) -> Image | None:
        """The image of our own project that says it is the version but lost the managed tag; None: there is none."""
        key = (create.definition.name, create.version.version)
        for image in images:
            properties = image.properties
            is_ours = image.owner == self.policy.project and image.status in WHOLE and self.policy.tag not in image.tags
            same = (properties.get("image_name"), properties.get("internal_version")) == key
            # A record that names other tags: a run with another --tag looks after it.
            tags = markers.recorded(image)[1]
            if is_ours and same and (not tags or self.policy.tag in tags) and not properties.keys() & {*COPIED}:
                return image
        return None

    @cached_property
    def _defined(self) -> dict[str, Definition]:
        return {definition.name: definition for definition in self.definitions}

    @cached_property
    def _known(self) -> Mapping[str, dict[str, Image]]:
        known: dict[str, dict[str, Image]] = defaultdict(dict)
        for image in self.images:
            key = matching.identify(image, self._defined)
            name = key[0] if key else image.properties.get("image_name") or image.name
            known[name][image.id] = image
        return known

    @cached_property
    def _doomed(self) -> set[str]:
        return {change.found.id for change in self.plan.changes if is_final(change)}

    def _usage(self, image_id: str) -> int:
        # Nova and Cinder were asked for the whole plan: what it spares, this decision must not delete.
        return 0 if image_id in self._doomed else 1

    def _listed(self, name: str, definition: Definition | None, images: Iterable[Image]) -> list[Image]:
        """The images that a listing for the whole plan would have found."""
        policy, known = self.policy, self._known[name]
        owners = {policy.project, *((definition.owner, *definition.former_owners) if definition else ())}
        return [
            # The members of an image that was transferred since are unknown.
            replace(image, members=known[image.id].members)
            if image.id in known and known[image.id].owner == image.owner
            else image
            for image in images
            if (policy.tag in image.tags or image.id in known)
            and (image.owner in owners or image.visibility == "public")
            and (self.admin or image.owner == policy.project)
        ]

    def _rolled_back(self, definition: Definition, images: Sequence[Image]) -> tuple[Definition, dict[str, str]]:
        """The definition and what a rollback asks of it, as the plan has chosen: the version before the current one is
        another one once the first step is done. With its mark on the image nothing has to be asked for any more, but
        a version that is newer than the bad one, and still missing, would end the rollback."""
        name, mark = definition.name, markers.PINNED_OVER
        to = self.roll_back.get(name)
        pinned = {
            change.found.id: over
            for change in self.plan.changes
            if isinstance(change, Update) and change.group == name and (over := change.wanted.properties.get(mark))
        }
        if to is None or not pinned:
            return definition, {name: to} if to else {}
        (image_id, over), *_ = pinned.items()
        builds = {
            image.id: identity[1] for image in images if (identity := matching.identify(image, {name: definition}))
        }
        marked = any(image.id == image_id and image.properties.get(mark) == over for image in images)
        present = {builds.get(image.id) for image in images if image.status in WHOLE and not markers.is_pending(image)}
        bad = naming.version_key(over)
        versions = [v for v in definition.versions if v.version in present or naming.version_key(v.version) <= bad]
        versions = versions or [definition.versions[0].model_copy(update={"version": over, "id": None})]
        to = None if marked else builds.get(image_id)
        return definition.model_copy(update={"versions": versions}), {name: to} if to else {}


def is_decisive(change: Change) -> bool:
    """True for what must not happen when the cloud is another one by now."""
    return not isinstance(change, Update) or not change.names.isdisjoint(DECISIVE)


def decisive_fields(image: Image) -> dict[str, object]:
    """The decisive fields of an image."""
    return {name: getattr(image, name) if hasattr(image, name) else image.properties.get(name) for name in DECISIVE}


def outcome(image: Image, changes: Iterable[Change]) -> Values | None:
    """The decisive fields that the image has after the changes; None: it is deleted."""
    values = decisive_fields(image)
    for change in changes:
        if isinstance(change, Create) or change.found.id != image.id:
            continue
        if isinstance(change, Delete):
            return None
        values |= {field.field: field.after for field in change.fields if field.field in DECISIVE}
    return values


def change_key(change: Change) -> tuple[object, ...]:
    """The identity of a change, in its decisive fields."""
    if isinstance(change, Create):
        return ("import", change.version.version, *decisive_fields(change.wanted).values())
    if isinstance(change, Delete):
        return ("delete", change.found.id)
    fields = [(field.field, field.after) for field in change.fields if field.field in DECISIVE]
    return ("change", change.found.id, *fields)
