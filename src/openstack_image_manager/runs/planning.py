"""Plan one cloud from definitions. Everything that must be known of the cloud is asked for once, and only if needed."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import TYPE_CHECKING

from openstack_image_manager.cloud import listing
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import WHOLE, Finding, Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.definition_plan import DefinitionPlanner
from openstack_image_manager.plan.matching import foreign_image_errors, id_conflicts, identify, namesake_findings
from openstack_image_manager.plan.model import Change, Create, Delete, Plan, Policy, Update
from openstack_image_manager.plan.ownership import split_by_owner
from openstack_image_manager.plan.planner import is_final, plan
from openstack_image_manager.plan.retention import Usage
from openstack_image_manager.runs.references import References
from openstack_image_manager.upstreams.latest import resolve

if TYPE_CHECKING:
    from openstack_image_manager.upstreams.follow import Follower


@dataclass(frozen=True)
class CloudPlanner:
    """One cloud on one day. `roll_back`: definitions and the version that should be current. `follower` gives the
    newest builds of upstreams to definitions without versions. `left_out`: definitions that a filter leaves out, with
    their images."""

    glance: Glance
    policy: Policy
    day: date
    roll_back: Mapping[str, str] = field(default_factory=dict)
    follower: Follower | None = None
    left_out: Sequence[Definition] = ()

    def plan(
        self, definitions: Sequence[Definition], findings: Sequence[Finding], names: Collection[str] | None
    ) -> tuple[Plan, list[Definition], list[Image]]:
        """The plan, the definitions with all names resolved, and the images that it is made of. `names`: see `plan`."""
        glance, policy = self.glance, self.policy
        references = References(glance)
        known, troubles = references.resolve(definitions, policy.force)
        owners = {owner for definition in known for owner in (definition.owner, *definition.former_owners)}
        found = self._of_these(known, glance.list(policy.tag, owners))
        active = [definition for definition in known if definition.enable or policy.force]
        taken_ids = id_conflicts(found, active, {policy.project})
        try:
            found += self._by_their_ids(known, found, taken_ids)
        except CloudError as error:
            troubles += self._unknown(known, found, error)
        # An administrator manages the public images of all projects, other users those of their own project.
        admin = glance.is_admin()
        others = [image for image in found if not admin and image.owner != policy.project]
        ours, given = split_by_owner([i for i in found if admin or i.owner == policy.project], known, policy.project)
        notes = [*findings, *taken_ids.values(), *troubles, *foreign_image_errors(others, known, policy.force)]
        known, troubles = resolve(known, ours, policy.force, self.follower, self._is_closed)
        notes += troubles
        images, given = references.with_members(known, ours), references.with_members(known, given)
        notes += references.troubles
        result, images = self._decided(known, images, given, notes, names, references)
        references.look_up(_removed_members(result) - references.names().keys())
        remarks = self._namesakes(result, {image.id for image in found})
        result = replace(result, findings=(*result.findings, *remarks), projects=references.names())
        taken = {change.found.id for change in result.changes if not isinstance(change, Create)}
        return result, known, [*images, *(image for image in given if image.id in taken)]

    def _is_closed(self, definition: Definition, found: Sequence[tuple[str, Image]]) -> bool:
        """True for a definition whose time is over, and that gets no image from its upstream any more."""
        return DefinitionPlanner(definition, self.policy, self.day, lambda _: None).for_images(found).closed

    def _decided(
        self,
        known: Sequence[Definition],
        images: list[Image],
        given: Sequence[Image],
        notes: list[Finding],
        names: Collection[str] | None,
        references: References,
    ) -> tuple[Plan, list[Image]]:
        """The plan and its images, after asking for what it depends on, usually once: the members that a new build
        inherits, and which images are in use. A second look is only needed when images disappear in between."""
        usage: Usage = _unused
        inheriting: set[str] = set()
        checked: set[str] = set()
        while True:
            result = plan(known, images, self.policy, self.day, notes, names, usage, self.roll_back, given)
            carried = {change.group for change in result.changes if inherits(change)} - inheriting
            doomed = {change.found.id for change in result.changes if is_final(change)} - checked
            if not carried and not doomed:
                return result, images
            if carried:
                inheriting |= carried
                images = references.with_members(known, images, inheriting)
                notes += [trouble for trouble in references.troubles if trouble not in notes]
            if doomed:
                from openstack_image_manager.cloud.usage import count_usage

                checked |= doomed
                usage, remarks = count_usage(self.glance, checked)
                notes += [remark for remark in remarks if remark not in notes]

    def _namesakes(self, made: Plan, known: Collection[str]) -> list[Finding]:
        """Findings about images that already have a name that the plan gives; asked for only if it gives names."""
        wanted = {name for change in made.changes for name in _names(change)}
        if not wanted:
            return []
        try:
            namesakes = [image for image in listing.images_named(self.glance, wanted) if image.id not in known]
        except CloudError as error:
            return [Finding("warning", "names", f"cannot check which other images have these names: {error}")]
        return namesake_findings(namesakes, self.policy.tag, self.policy.project)

    def _unknown(self, known: Sequence[Definition], found: Sequence[Image], error: CloudError) -> list[Finding]:
        """Errors of the definitions that name ids of images which could not be listed."""
        listed = {image.id for image in found}
        why = f"left alone: cannot list the images with its ids: {error}"
        wanted = [d for d in known if d.enable or self.policy.force]
        return [
            Finding("error", definition.name, why)
            for definition in wanted
            if {version.id for version in definition.offered if version.id} - listed
        ]

    def _by_their_ids(self, known: Sequence[Definition], found: Sequence[Image], taken: Collection[str]) -> list[Image]:
        """Images without the tag that have the id of a version: they are taken over as they are, because Glance never
        reuses an image id. Images of other projects are not ours to take. Nor are those whose version has an image
        (`taken` ids): an image without the tag is never hidden or deleted in favour of another one."""
        wanted = [d for d in known if d.enable or self.policy.force]
        ids = {version.id: d.owner for d in wanted for version in d.offered if version.id}
        missing = ids.keys() - {image.id for image in found} - {*taken}
        if not missing:
            return []
        may = self.glance.is_admin()
        return [
            image
            for image in listing.images_with_ids(self.glance, missing)
            if image.status in WHOLE
            and (image.owner in (self.policy.project, ids[image.id]) or (may and image.visibility == "public"))
        ]

    def _of_these(self, known: Sequence[Definition], found: list[Image]) -> list[Image]:
        """The images without those of definitions that are left out, which might match one of the others."""
        if not self.left_out:
            return found
        every = {definition.name: definition for definition in (*known, *self.left_out)}
        away = {definition.name for definition in self.left_out}
        keys = [(identify(image, every), image) for image in found]
        return [image for key, image in keys if key is None or key[0] not in away]


def _unused(_image_id: str) -> int:
    return 0


def inherits(change: Change) -> bool:
    """True for a new build that inherits the members that the previous one was given by hand; also for one that an
    interrupted run has left unpublished."""
    if isinstance(change, Delete) or change.wanted.visibility != "shared" or change.wanted.members is not None:
        return False
    return change.role.newest if isinstance(change, Create) else markers.is_pending(change.found)


def _removed_members(made: Plan) -> set[str]:
    """The projects that lose access to an image."""
    updates = [change for change in made.changes if isinstance(change, Update)]
    fields = [field for change in updates for field in change.fields if field.field == "members"]
    return {project for field in fields for project in (field.before or frozenset()) - (field.after or frozenset())}


def _names(change: Change) -> set[str]:
    if isinstance(change, Create):
        dated = naming.image_name(change.definition, change.version.version, newest=False)
        return {change.wanted.name, dated}
    return {change.wanted.name} - {change.found.name} if isinstance(change, Update) else set()
