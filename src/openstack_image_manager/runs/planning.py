"""From definitions and one cloud to a plan: what must be known of the cloud is asked for once, and only when needed."""

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
    """One cloud on one day. `roll_back`: definitions and the version that shall be current. `follower`: gives
    definitions without versions the newest builds of their upstreams. `left_out`: definitions that a filter keeps from
    the plan, with their images."""

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
        relations = References(glance)
        known, troubles = relations.resolve(definitions, policy.force)
        whose = {owner for definition in known for owner in (definition.owner, *definition.former_owners)}
        found = self._of_these(known, glance.list(policy.tag, whose))
        active = [definition for definition in known if definition.enable or policy.force]
        taken_ids = id_conflicts(found, active, {policy.project})
        try:
            found += self._by_their_ids(known, found, taken_ids)
        except CloudError as error:
            troubles += self._unknown(known, found, error)
        # An administrator looks after the public images of all projects, others after those of their own.
        admin = glance.is_admin()
        others = [image for image in found if not admin and image.owner != policy.project]
        ours, given = split_by_owner([i for i in found if admin or i.owner == policy.project], known, policy.project)
        told = [*findings, *taken_ids.values(), *troubles, *foreign_image_errors(others, known, policy.force)]
        known, troubles = resolve(known, ours, policy.force, self.follower)
        told += troubles
        images, given = relations.with_members(known, ours), relations.with_members(known, given)
        told += relations.troubles

        def made(usage: Usage) -> Plan:
            return plan(known, images, policy, self.day, told, names, usage, self.roll_back, given)

        result = made(lambda _: 0)
        if carried := [change.group for change in result.changes if inherits(change)]:
            images = relations.with_members(known, images, carried)
            told += [trouble for trouble in relations.troubles if trouble not in told]
            result = made(lambda _: 0)
        if doomed := [change.found.id for change in result.changes if is_final(change)]:
            from openstack_image_manager.cloud.usage import count_usage

            usage, remarks = count_usage(glance, doomed)
            told += remarks
            result = made(usage)
        remarks = self._namesakes(result, {image.id for image in found})
        result = replace(result, findings=(*result.findings, *remarks), projects=relations.names())
        taken = {change.found.id for change in result.changes if not isinstance(change, Create)}
        return result, known, [*images, *(image for image in given if image.id in taken)]

    def _namesakes(self, made: Plan, known: Collection[str]) -> list[Finding]:
        """What to know of images that are called as others shall be; asked for only if names are given."""
        wanted = {name for change in made.changes for name in _names(change)}
        if not wanted:
            return []
        try:
            namesakes = [image for image in listing.images_named(self.glance, wanted) if image.id not in known]
        except CloudError as error:
            return [Finding("warning", "names", f"which other images have these names is not known: {error}")]
        return namesake_findings(namesakes, self.policy.tag, self.policy.project)

    def _unknown(self, known: Sequence[Definition], found: Sequence[Image], error: CloudError) -> list[Finding]:
        """Leave the definitions alone that name ids of images which could not be asked for."""
        there = {image.id for image in found}
        why = f"left alone: the images with the ids that it names are not known: {error}"
        wanted = [d for d in known if d.enable or self.policy.force]
        return [
            Finding("error", definition.name, why)
            for definition in wanted
            if {version.id for version in definition.offered if version.id} - there
        ]

    def _by_their_ids(self, known: Sequence[Definition], found: Sequence[Image], taken: Collection[str]) -> list[Image]:
        """Images without the tag that have the very id of a version: they are taken over as they are, for Glance never
        reuses an id. Those of other projects are not ours to take; nor are those whose version has an image (`taken`
        ids): images without the tag are never hidden or deleted for another one."""
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
        """The images without those of definitions that are left out, which might look like one of the others."""
        if not self.left_out:
            return found
        every = {definition.name: definition for definition in (*known, *self.left_out)}
        away = {definition.name for definition in self.left_out}
        keys = [(identify(image, every), image) for image in found]
        return [image for key, image in keys if key is None or key[0] not in away]


def inherits(change: Change) -> bool:
    """True for a new build that is shared with whoever the one before it was shared with by hand; also where a run that
    was interrupted has left it to be published."""
    if isinstance(change, Delete) or change.wanted.visibility != "shared" or change.wanted.members is not None:
        return False
    return change.role.newest if isinstance(change, Create) else markers.is_pending(change.found)


def _names(change: Change) -> set[str]:
    if isinstance(change, Create):
        dated = naming.image_name(change.definition, change.version.version, newest=False)
        return {change.wanted.name, dated}
    return {change.wanted.name} - {change.found.name} if isinstance(change, Update) else set()
