"""PURE: the plan of one definition: its builds in the cloud and in the definition, side by side."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from openstack_image_manager import desired, identity, retention
from openstack_image_manager.changes import diff, reasons_for
from openstack_image_manager.format import Definition, Version
from openstack_image_manager.model import Change, Create, Delete, Finding, Image, Policy, Role, Stage, Update

WHOLE = ("active", "deactivated")
Usage = Callable[[str], int | None]


@dataclass(frozen=True)
class Builds:
    """The builds of one definition."""

    definition: Definition
    policy: Policy
    day: date
    usage: Usage

    def plan(self, found: Sequence[tuple[str, Image]]) -> tuple[list[Change], list[Finding]]:
        """Changes in the order in which they are made, and what else is to be told."""
        definition, policy = self.definition, self.policy
        images, twins = one_per_version(found)
        defined = {version.version: version for version in definition.versions}
        newest = max(definition.versions, key=lambda version: desired.version_key(version.version))
        checksums = {version.version: version.checksum for version in definition.versions}
        usable = {build: image for build, image in images.items() if is_usable(image, checksums.get(build))}
        missing = [
            version
            for version in definition.versions
            if (version is newest or not (policy.latest and definition.multi)) and version.version not in usable
        ]
        junk = [image for build, image in images.items() if build not in defined and build not in usable]
        present = {*usable, *(version.version for version in missing)}
        # The newest defined one is the current build, even when the cloud has a later one, which was withdrawn then.
        # A later one counts as the oldest of all: whoever withdrew it wants it out of sight before the others.
        latest = desired.version_key(newest.version)
        rest = sorted(present - {newest.version}, key=desired.version_key, reverse=True)
        withdrawn = [build for build in rest if desired.version_key(build) > latest]
        order = [newest.version, *(build for build in rest if build not in withdrawn), *withdrawn]
        roles = {build: self._role(rank, build, newest, images.get(build)) for rank, build in enumerate(order)}

        creates = [self._create(version, roles[version.version], images.get(version.version)) for version in missing]
        creates.sort(key=lambda change: desired.version_key(change.version.version), reverse=True)
        updates: list[Change] = []
        findings: list[Finding] = []
        for build in order:
            if image := usable.get(build):
                updates += self._change(defined.get(build), newest, roles[build], image)
                findings += _byte_findings(definition, defined.get(build), image)
                findings += self._held(roles[build], image)
        for build, image in twins:
            more, remarks = self._twin(build, images[build], image, newest, roles.get(build))
            updates += more
            findings += remarks
        deletes = [change for change in updates if isinstance(change, Delete)]
        for image in junk:
            deletes += clear(definition.name, image, self.day, findings)
        # The newest first, then the names of the others, then what is older and missing: its upstream is the likeliest
        # to be gone, and must not stand in the way of the rotation. Whatever is deleted comes last of all.
        first: list[Change] = [change for change in creates if change.version is newest]
        later: list[Change] = [change for change in creates if change.version is not newest]
        kept = [change for change in updates if not isinstance(change, Delete)]
        return [*first, *kept, *later, *deletes], findings

    def _role(self, rank: int, build: str, newest: Version, image: Image | None) -> Role:
        definition, policy = self.definition, self.policy
        version = next((each for each in definition.versions if each.version == build), None)
        visibility: str = (version.visibility if version else None) or definition.visibility
        hidden = bool(version.hidden) if version else False
        validity = {**definition.meta, **newest.meta}.get("uuid_validity")
        situation = self._situation(image, rank, retention.visible_builds(validity, self.day))
        situation = replace(
            situation,
            defined=version is not None,
            multi=definition.multi,
            explicit=version is not None and version.visibility is not None,
            kept=version is None and (policy.keep or definition.keep),
        )
        stage, why = retention.decide(situation, policy, self.day)
        outdated = retention.is_outdated(situation)
        if stage >= Stage.HIDE:
            visibility, hidden = retention.out_of_sight(
                visibility, hidden, policy.hidden_visibility, policy.use_os_hidden
            )
        superseded = version is None or desired.is_superseded(definition, version, newest)
        since = hidden_since(image, stage, outdated, self.day)
        return Role(build == newest.version, superseded, outdated, stage, why, visibility, hidden, since)

    def _situation(self, image: Image | None, rank: int, visible: int | None) -> retention.Situation:
        return situation_of(image, rank, visible, self.policy, self.usage)

    def _create(self, version: Version, role: Role, left: Image | None) -> Create:
        if left is None:
            reason = f"version {version.version} is not in the cloud"
        elif desired.has_wrong_bytes(left):
            reason = f"{left.id} has other bytes than its checksum promises and was never published: replaced"
        elif left.status in WHOLE:
            reason = f"{left.id} was not verified with the version's checksum and never published: replaced"
        else:
            reason = f"{left.id} is {left.status}: an interrupted run left it"
        wanted = desired.wanted_image(self.definition, version, role, self.policy.tag)
        return Create(self.definition, version, role, wanted, reason, left)

    def _change(self, version: Version | None, newest: Version, role: Role, image: Image) -> list[Change]:
        name = self.definition.name
        if role.stage is Stage.DELETE:
            return [Delete(name, image, f"its version is no longer defined; {role.why}")]
        if version is None:
            wanted = self._undefined(role, image)
        else:
            wanted = desired.wanted_image(self.definition, version, role, self.policy.tag, image)
        fields = diff(image, wanted, reasons_for(self.definition, newest, role, image, wanted))
        if not fields:
            return []
        if any(change.field == "name" and not role.newest for change in fields):
            reason = f"superseded by {newest.version}"
        elif desired.is_pending(image):
            reason = "an interrupted run left it unpublished"
        else:
            reason = "differs from its definition" if version else "its version is no longer defined"
        return [Update(name, image, wanted, fields, reason)]

    def _undefined(self, role: Role, image: Image) -> Image:
        """An image whose version left the definition: name, os_purpose and what retention says; never wider."""
        definition = self.definition
        version = image.properties.get("internal_version") or identity.version_in_name(image.name, definition)
        name = desired.image_name(definition, version, False) if definition.multi and version else image.name
        properties = {key: value for key, value in image.properties.items() if key != desired.HIDDEN_SINCE}
        if definition.multi and properties.get("os_purpose") == "generic":
            properties["os_purpose"] = "oldgeneric"
        return retired(image, role, name, {**properties, **desired.hiding(role)})

    def _twin(
        self, build: str, standing: Image, image: Image, newest: Version, its: Role | None
    ) -> tuple[list[Change], list[Finding]]:
        """A second image of one version: it goes the way of outdated ones, and stops where anyone depends on it. It is
        seen by no more people than the one that stands, whose role is `its`."""
        findings: list[Finding] = []
        if not is_usable(image):
            return list(clear(self.definition.name, image, self.day, findings)), findings
        stage, _ = retention.decide(self._situation(image, 1, 1), self.policy, self.day)
        visibility, hidden = image.visibility, image.hidden
        if stage >= Stage.HIDE and not is_hidden(image):
            visibility, hidden = retention.out_of_sight(
                visibility, hidden, self.policy.hidden_visibility, self.policy.use_os_hidden
            )
        visibility = retention.narrower(visibility, its.visibility if its else visibility)
        message = f"version {build} is there twice: {standing.id} stands for it, {image.id} does not"
        findings.append(Finding("warning", self.definition.name, message))
        since = hidden_since(image, stage, True, self.day)
        role = Role(False, True, True, stage, f"{standing.id} stands for version {build}", visibility, hidden, since)
        changes = self._change(None, newest, role, image)
        return changes, findings

    def _held(self, role: Role, image: Image) -> list[Finding]:
        """What keeps an outdated image from going as far as asked."""
        asked = Stage[self.policy.outdated.upper()]
        if not role.outdated or role.stage >= asked or role.why == "still defined":
            return []
        return [Finding("note", self.definition.name, f"{image.name} ({image.id}) goes no further: {role.why}")]


def situation_of(
    image: Image | None, rank: int, visible: int | None, policy: Policy, usage: Usage
) -> retention.Situation:
    """What is known of an image, for the rule of retention; None: it is not in the cloud yet."""
    if image is None:
        return retention.Situation(rank, visible)
    return retention.Situation(
        rank,
        visible,
        protected=image.protected,
        foreign=policy.project is not None and image.owner != policy.project,
        uses=usage(image.id),
        hidden_since=retention.as_day(image.properties.get(desired.HIDDEN_SINCE)),
    )


def hidden_since(image: Image | None, stage: Stage, outdated: bool, today: date) -> str | None:
    """The day to keep on the image: the one that is there already, or today."""
    there = image.properties.get(desired.HIDDEN_SINCE) if image else None
    if stage >= Stage.HIDE:
        return there if retention.as_day(there) else today.isoformat()
    return there if outdated else None


def is_hidden(image: Image) -> bool:
    """True for an image that was hidden before and still is: hiding again what became private or shared by that would
    change it once more."""
    return desired.HIDDEN_SINCE in image.properties and (image.visibility != "public" or image.hidden)


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


def clear(group: str, image: Image, today: date, findings: list[Finding]) -> list[Delete]:
    """Delete what an interrupted run left and nobody will finish; another run may be at it, until a day has passed."""
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


def is_usable(image: Image | None, checksum: str | None = None) -> bool:
    """True for an image with bytes that may be published; `checksum` is that of its version."""
    return image is not None and image.status in WHOLE and not desired.has_wrong_bytes(image, checksum)


def one_per_version(found: Sequence[tuple[str, Image]]) -> tuple[dict[str, Image], list[tuple[str, Image]]]:
    """The image that stands for each version (whole, seen by most, oldest), and the others with their versions."""
    candidates: dict[str, list[Image]] = defaultdict(list)
    for version, image in found:
        candidates[version].append(image)
    for images in candidates.values():
        images.sort(key=_standing)
    others = [(version, image) for version, images in candidates.items() for image in images[1:]]
    return {version: images[0] for version, images in candidates.items()}, others


def _standing(image: Image) -> tuple[bool, bool, int, bool, str, str]:
    wide, retired = retention.WIDEST_FIRST.index(image.visibility), desired.HIDDEN_SINCE in image.properties
    return not is_usable(image), image.status != "active", wide, retired, image.created_at, image.id


def _byte_findings(definition: Definition, version: Version | None, image: Image) -> list[Finding]:
    """Bytes of an image never change: a checksum that was edited later can't be made true by a run."""
    stored = image.properties.get(desired.VERIFIED, "").removeprefix(desired.PENDING).partition(" ")[0]
    if version is None or not version.checksum or ":" not in stored or stored == version.checksum:
        return []
    message = (
        f"the definition's checksum of version {version.version} is {version.checksum}, but {image.id} was verified "
        f"with {stored}; an image's bytes can't change: define them as a new version"
    )
    return [Finding("warning", definition.name, message)]
