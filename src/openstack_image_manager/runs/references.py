"""Resolve what definitions refer to: projects by name, members of shared images, stores of the cloud."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from openstack_image_manager.background import in_parallel
from openstack_image_manager.cloud import members
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions.model import Definition, Member
from openstack_image_manager.errors import CloudError, Error
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import desired, matching

MOST_NAMES = 50  # of projects that a plan removes as members; each takes a request
REQUESTS = 8  # for members, at the same time


@dataclass
class References:
    """Projects, members and stores of one cloud, each asked for once and only when a definition needs it."""

    glance: Glance
    _projects: dict[tuple[str, str, str], dict[str, str]] = field(default_factory=dict)
    _stores: frozenset[str] | None = None
    _members: dict[str, dict[str, str]] = field(default_factory=dict)
    troubles: list[Finding] = field(default_factory=list)

    def resolve(self, definitions: Iterable[Definition], force: bool) -> tuple[list[Definition], list[Finding]]:
        """Definitions with the ids of projects instead of names. One that names something this cloud does not have is
        unchanged and gets a finding of the level error. Disabled ones are skipped, unless `force`."""
        resolved: list[Definition] = []
        findings: list[Finding] = []
        for definition in definitions:
            try:
                if definition.enable or force:
                    definition = self._one(definition, findings)  # noqa: PLW2901  in its place
            except Error as error:
                findings.append(Finding("error", definition.name, f"left alone: {error}"))
            resolved.append(definition)
        return resolved, findings

    def _one(self, definition: Definition, findings: list[Finding]) -> Definition:
        if definition.stores is not None:
            self._check_stores(definition.stores)
        changes: dict[str, object] = {}
        owner = self.glance.project
        if definition.owner is not None:
            (wanted,) = self._ids(definition.owner, None)
            if wanted != owner and not self.glance.is_admin():
                message = "owner is left as it is: only an administrator can give images to another project"
                findings.append(Finding("warning", definition.name, message))
            else:
                owner = wanted
            changes["owner"] = owner
        if definition.former_owners:
            changes |= self._former(definition, owner, findings)
        if definition.members is not None:
            ids = {project for member in definition.members for project in self._ids(member.project, member.domain)}
            changes["members"] = [Member(project=project, domain=None) for project in sorted(ids - {owner})]
        return definition.model_copy(update=changes) if changes else definition

    def _former(self, definition: Definition, owner: str | None, findings: list[Finding]) -> dict[str, object]:
        """The projects from which images may be taken over, and the new owner: without `owner`, this project."""
        if not self.glance.is_admin():
            message = "former_owners has no effect: only an administrator can take images of other projects"
            findings.append(Finding("warning", definition.name, message))
            return {"former_owners": []}
        ids = {project for name in definition.former_owners for project in self._ids(name, None)}
        return {"former_owners": sorted(ids - {owner, self.glance.project}), "owner": owner}

    def look_up(self, projects: Collection[str]) -> None:
        """Get the names of projects that a plan shows by their ids only, as far as this user may know them."""
        for project in sorted(projects)[:MOST_NAMES]:
            with suppress(Error):
                self._ids(project, None)

    def names(self) -> dict[str, str]:
        """Names of projects by their ids: those that were looked up and, where any was, our own."""
        names = {key: name for projects in self._projects.values() for key, name in projects.items() if name != key}
        if self._projects and self.glance.project and self.glance.project_name:
            names.setdefault(self.glance.project, self.glance.project_name)
        return names

    def _ids(self, project: str | None, domain: str | None) -> Collection[str]:
        kind, target = ("domain", domain) if project is None else ("project", project)
        key = (kind, target or "", domain or "default")
        if key not in self._projects:
            self._projects[key] = members.projects(self.glance, key[1], kind, key[2])
        return self._projects[key]

    def _check_stores(self, wanted: Iterable[str]) -> None:
        if self._stores is None:
            self._stores = self.glance.stores()
        if missing := set(wanted) - self._stores:
            hint = f"it has {', '.join(sorted(self._stores))}" if self._stores else "it has no stores to choose from"
            raise CloudError(f"this cloud has no store {', '.join(sorted(missing))}; {hint}")

    def with_members(
        self, definitions: Iterable[Definition], images: Iterable[Image], carried: Collection[str] = ()
    ) -> list[Image]:
        """The images with their members, where a plan needs them: for definitions that name members and those in
        `carried`, whose next build is shared with the same projects. Images that another run has deleted are left
        out; other failures go to `troubles` as errors of the definition."""
        needed = {
            definition.name: definition
            for definition in definitions
            if definition.members is not None or definition.name in carried
        }
        if not needed:
            return list(images)
        answers = in_parallel(lambda image: self._unless_gone(image, needed), images, REQUESTS)
        return [image for image in answers if image is not None]

    def _unless_gone(self, image: Image, needed: dict[str, Definition]) -> Image | None:
        key = matching.identify(image, needed)
        if key is None:
            return image
        try:
            return self._with_members(image, needed[key[0]])
        except CloudError as error:
            # Only a 404 for the image itself means that it is gone: Glance also hides members behind a 404.
            if error.status == 404 and self._is_gone(image.id):
                return None
            self.troubles.append(Finding("error", key[0], f"left alone: who sees {image.id} is not known: {error}"))
            return image

    def _is_gone(self, image_id: str) -> bool:
        try:
            return self.glance.is_gone(image_id)
        except CloudError:
            return False

    def _with_members(self, image: Image, definition: Definition) -> Image:
        if image.visibility != "shared":
            return replace(image, members=frozenset())
        accepts = self.glance.is_admin()
        if image.id not in self._members:
            self._members[image.id] = members.members(self.glance, image.id)
        statuses = self._members[image.id]
        # A pending member for which this user can accept counts once that is done; one that rejected stays as it is.
        wanted = desired.members(definition)
        if wanted is None:  # the members that the next build inherits
            return replace(image, members=frozenset(p for p, status in statuses.items() if status != "rejected"))
        waiting = {project for project, status in statuses.items() if status == "pending" and accepts} & wanted
        return replace(image, members=frozenset(statuses) - waiting)
