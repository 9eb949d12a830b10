"""Plan one definition: compare its builds in the cloud with those it defines."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import cached_property

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.errors import Error
from openstack_image_manager.model import WHOLE, Finding, Image
from openstack_image_manager.plan import desired, expiry, markers, retention
from openstack_image_manager.plan import findings as build_findings
from openstack_image_manager.plan.diff import diff, reasons_for, without_copies
from openstack_image_manager.plan.matching import choose_per_version, is_usable
from openstack_image_manager.plan.model import Change, Create, Delete, OutdatedDefinition, Policy, Role, Stage, Update
from openstack_image_manager.plan.orphans import clear_leftover
from openstack_image_manager.plan.ownership import (
    Claim,
    Takeover,
    Weight,
    as_found,
    claim_of,
    is_hidden_by_others,
    is_visible_as_defined,
    not_wider,
    reasons_for_taking,
    weigh,
    without_untrusted,
)
from openstack_image_manager.plan.retention import (
    WIDEST_FIRST,
    Usage,
    hidden_since,
    is_foreign,
    is_hidden,
    outdated_image,
    situation_of,
)
from openstack_image_manager.plan.rotation import BuildOrder, build_key, order_builds

NEWER_THAN_DEFINED = "newer than every defined version"


@dataclass(frozen=True, slots=True)
class DefinitionState:
    """The images of a definition by version, the usable ones among them, `duplicates` of the same versions, the order
    of all builds, and the role of each. `untrusted`: images of other projects that count for nothing."""

    images: Mapping[str, Image]
    duplicates: tuple[tuple[str, Image], ...]
    untrusted: tuple[tuple[str, Image], ...]
    usable: Mapping[str, Image]
    order: BuildOrder
    roles: Mapping[str, Role]


@dataclass(frozen=True)
class DefinitionPlanner:
    """Plans one definition. `roll_back_to`: the version that a person wants to be the current one. `takeovers`: the
    images of former owners among those it gets, by their ids. `closed`: nothing is imported, published or shown to
    more people, because the definition's time is over; see `for_images`."""

    definition: Definition
    policy: Policy
    day: date
    usage: Usage
    roll_back_to: str | None = None
    takeovers: Mapping[str, Takeover] = field(default_factory=dict)
    closed: bool = False

    def for_images(self, found: Sequence[tuple[str, Image]]) -> DefinitionPlanner:
        """This planner, or a closed one: where the definition's time is over, and its images are to be retired, were
        retired, or are not in the cloud."""
        if expiry.ended_on(self.definition, self.day) is None:
            return self
        served = [(build, image) for build, image in found if self._is_served(build, image)]
        if self.policy.retire_expired or not served:
            return replace(self, closed=True)
        build, image = max(served, key=lambda pair: build_key(pair[0]))
        version = next((version for version in self.definition.offered if version.version == build), None)
        retired = image.status != self.definition.status == "active"
        return replace(self, closed=retired or not is_visible_as_defined(self.definition, version, image))

    def _is_served(self, build: str, image: Image) -> bool:
        """True for an image that was published, and not rolled back from or withdrawn since."""
        withdrawn = any(version.withdrawn and version.version == build for version in self.definition.versions)
        marked = markers.is_pending(image) or markers.ROLLED_BACK in image.properties
        return is_usable(image) and not marked and not withdrawn

    def plan(self, found: Sequence[tuple[str, Image]]) -> tuple[list[Change], list[Finding], list[OutdatedDefinition]]:
        """Changes in the order in which they are made, other findings, and whether the cloud is ahead."""
        believed_of = [(build, without_untrusted(image, self.policy.project)) for build, image in found]
        state = self.state(believed_of)
        if state is None:
            return self._as_found(self._narrowed(believed_of), found), [build_findings.all_bad(self.definition)], []
        images, usable, order, roles = state.images, state.usable, state.order, state.roles
        carried = self._carried([*usable.values(), *(image for _, image in state.duplicates if is_usable(image))])
        creates = [
            self._create(version, roles[version.version], images.get(version.version), carried)
            for version in order.missing
        ]
        updates: list[Change] = []
        late: list[Change] = []
        newer = {build: usable[build] for build in order.newer & usable.keys()}
        findings = [
            *expiry.ended(self.definition, self.day, self._after_the_end(state)),
            *build_findings.ahead(self.definition, newer, order.withheld),
            *build_findings.rolled_back(
                self.definition, order.current, order.pins.get(order.current), usable.get(order.current)
            ),
            *build_findings.untrusted(self.definition, state.untrusted),
        ]
        for build in order.builds:
            if build in usable and build not in order.ahead:
                image, version = usable[build], order.defined.get(build)
                at_once, later = self._in_turn(build, version, order, roles[build], image, carried)
                updates += at_once
                late += later
                findings += self._remarks(build, version, order, roles[build], image)
        planned = {change.found.id: change for change in (*updates, *late) if not isinstance(change, Create)}
        doubles = [(build, image) for build, image in state.untrusted if build in roles]
        for build, image in (*state.duplicates, *doubles):
            if build in order.ahead:
                continue
            stays = usable.get(build)
            more, remarks = self._duplicate(build, stays, image, order, roles.get(build))
            updates += [_with_keeper(change, stays, planned.get(stays.id)) if stays else change for change in more]
            findings += remarks
        updates += self._names_of_others(state)
        awaited = {version.version for version in order.missing}
        deletes = [change for change in (*updates, *late) if isinstance(change, Delete)]
        for build, image in images.items():
            if build not in usable and build not in awaited:
                deletes += self._clear(image, findings)
        pins, rest = self._pins_first([change for change in updates if isinstance(change, Update)])
        kept, copies = without_copies(rest)
        later_kept, later_copies = without_copies(change for change in late if isinstance(change, Update))
        # The current one first, then the names of the others, then what is older and missing: its upstream is the
        # likeliest to be gone, and must not stand in the way of the rotation; what is hidden to make place for it waits
        # for it. A store may be down for days, so copies come after all names. Deletions come last of all.
        first: list[Change] = [change for change in creates if change.role.newest]
        missing: list[Change] = [change for change in creates if not change.role.newest]
        changes = [*pins, *first, *kept, *missing, *later_kept, *copies, *later_copies, *deletes]
        current = usable.get(order.current)
        if current and order.current in order.ahead:
            changes = self._with_names_kept(changes, believed_of, current)
        changes = self._as_found([self._given_up(change, current, planned) for change in changes], found)
        return changes, findings, [OutdatedDefinition(self.definition.name, order.withheld)] if newer else []

    def state(self, found: Sequence[tuple[str, Image]]) -> DefinitionState | None:
        """The roles of the images found, the base of all changes. Only trusted properties count. None: every build was
        rolled back from."""
        if self.roll_back_to is not None and self.definition.owner not in (None, self.policy.project or None):
            raise Error(
                f"{self.definition.name}: its images belong to project {self.definition.owner}, and a rollback is kept "
                "on the images, where that project could write it; say 'withdrawn: true' on the version instead"
            )
        versions = {version.version: version for version in self.definition.versions}

        def claim(build: str, image: Image) -> Claim:
            return self._claim(versions.get(build), image)

        images, duplicates = choose_per_version(found, self.definition.status, claim, self._is_usable)
        claims = {build: claim(build, image) for build, image in images.items()}
        weight = weigh(self.definition, images, claims)
        state = self._lined_up(images, duplicates, weight)
        # The newest first: once it is imported again it takes a place, and an older one may rightly be hidden.
        while state and (narrow := [build for build in weight.weak if self._is_too_narrow(state, build)]):
            weight = replace(weight, ignored=weight.ignored | {max(narrow, key=build_key)})
            state = self._lined_up(images, duplicates, weight)
        return state

    def _lined_up(
        self, images: Mapping[str, Image], duplicates: Sequence[tuple[str, Image]], weight: Weight
    ) -> DefinitionState | None:
        """See `standing`."""
        ignored = weight.ignored
        counting = {build: image for build, image in images.items() if build not in ignored}
        untrusted: list[tuple[str, Image]] = []
        others: list[tuple[str, Image]] = []
        for build, image in (*images.items(), *duplicates):
            if build in counting:
                others += [] if image is counting[build] else [(build, image)]
            elif self.policy.project in (None, image.owner) and not self._is_usable(build, image):
                counting[build] = image  # an import of our own that was interrupted
            else:
                untrusted.append((build, image))
        images = counting
        usable = {build: image for build, image in images.items() if self._is_usable(build, image)}
        weak = weight.weak & usable.keys()
        order = order_builds(
            self.definition, usable, self.policy, self.roll_back_to, weak, weight.lesser, imports=not self.closed
        )
        if order is None:
            return None
        roles = {build: self._role(order, build, images.get(build)) for build in order.builds}
        return DefinitionState(images, tuple(others), tuple(untrusted), usable, order, roles)

    @cached_property
    def _checksums(self) -> Mapping[str, str | None]:
        return {version.version: version.checksum for version in self.definition.offered}

    def _is_usable(self, build: str, image: Image) -> bool:
        """True for an image with bytes that may be published; one that never was is so only for a version on offer."""
        offered = build in self._checksums or not markers.is_pending(image)
        unpublished = self.closed and markers.is_pending(image)
        return offered and not unpublished and is_usable(image, self._checksums.get(build))

    def _claim(self, version: Version | None, image: Image) -> Claim:
        # Of what changes hands nothing is believed but its bytes, which are compared before anything is changed.
        if image.id in self.takeovers:
            return Claim.RIGHT
        return claim_of(self.definition, version, image, self.policy.project)

    def _is_too_narrow(self, state: DefinitionState, build: str) -> bool:
        """True for a defined build that more people are to see than its image may be shown to: it is imported again."""
        if build not in state.usable or build not in state.order.defined:
            return False
        version, image = state.order.defined[build], state.usable[build]
        return not state.roles[build].outdated and not is_visible_as_defined(self.definition, version, image)

    def _narrowed(self, found: Sequence[tuple[str, Image]]) -> list[Change]:
        """Narrow the visibility of images to the defined one; this holds even where no build is current."""
        versions = {version.version: version for version in self.definition.versions}
        named = desired.members(self.definition)
        changes: list[Change] = []
        for build, image in found:
            if is_usable(image) and not is_foreign(image, self.policy, self.definition.owner):
                visibility = desired.visibility(self.definition, versions.get(build))
                members = image.members if named is None else named
                wanted = not_wider(replace(image, visibility=visibility, members=members), image)
                if fields := diff(image, wanted):
                    reason = "seen by more people than the definition says"
                    changes.append(Update(self.definition.name, image, wanted, fields, reason))
        return changes

    def _in_turn(
        self,
        build: str,
        version: Version | None,
        order: BuildOrder,
        role: Role,
        image: Image,
        carried: frozenset[str] | None,
    ) -> tuple[list[Change], list[Change]]:
        """Changes that are made at once, and those that wait until missing older versions are imported: a build is
        hidden for them when they exist, and not before."""
        early = self._role(order, build, image, with_missing=False)
        # A hidden image stays hidden: it would only be hidden again.
        if early.stage >= role.stage or markers.HIDDEN_SINCE in image.properties:
            return self._change(build, version, order, role, image, carried), []
        at_once = self._change(build, version, order, early, image, carried)
        between = at_once[-1].wanted if at_once and isinstance(at_once[-1], Update) else image
        return at_once, self._change(build, version, order, role, between, carried)

    def _as_found(self, changes: Sequence[Change], found: Iterable[tuple[str, Image]]) -> list[Change]:
        """The changes as differences from the images as they are, also from what of them is not believed."""
        doubtful = {image.id: image for _, image in found if without_untrusted(image, self.policy.project) is not image}
        made: list[Change] = []
        for change in changes:
            real = as_found(change, doubtful)
            if not isinstance(real, Create):
                doubtful.pop(real.found.id, None)
            # A property that is not trusted may have the wanted value already.
            if not isinstance(real, Update) or real.fields:
                made.append(real)
        return made

    def _pins_first(self, updates: Sequence[Update]) -> tuple[list[Update], list[Update]]:
        """The changes that undo an earlier rollback, which come first, and the rest: from then on no other run
        believes in the earlier one, whichever of the two images it looks at."""
        if self.roll_back_to is None:
            return [], [*updates]
        pins, rest = list[Update](), list[Update]()
        for change in updates:
            removed = [field for field in change.fields if field.field == markers.PINNED_OVER and field.after is None]
            if not removed:
                rest.append(change)
                continue
            properties = {key: value for key, value in change.found.properties.items() if key != markers.PINNED_OVER}
            between = replace(change.found, properties=properties)
            pins.append(Update(change.group, change.found, between, tuple(removed), "its rollback ends"))
            if fields := tuple(field for field in change.fields if field not in removed):
                rest.append(replace(change, found=between, fields=fields))
        return pins, rest

    def _given_up(self, change: Change, current: Image | None, planned: Mapping[str, Update | Delete]) -> Change:
        """Another run may be taking the plain name from the current build, or hiding it, at the same moment: never from
        both, and what may be the only one that users can have back is not deleted then."""
        name, multi = self.definition.name, self.definition.multi
        if current is None or not multi or isinstance(change, Create) or change.found.id == current.id:
            return change
        if isinstance(change, Delete):
            return change if change.keeper or change.junk else _with_keeper(change, current, planned.get(current.id))
        return replace(change, keeper=current) if change.found.name == name != change.wanted.name else change

    def _with_names_kept(
        self, changes: Sequence[Change], found: Sequence[tuple[str, Image]], current: Image
    ) -> list[Change]:
        """The changes, but images that users find instead of the `current` one are narrowed at most."""
        staying = [(build, image) for build, image in found if self._is_found_instead(image, current)]
        ids = {image.id for _, image in staying}
        kept = [change for change in changes if isinstance(change, Create) or change.found.id not in ids]
        return [*kept, *self._narrowed(staying)]

    def _is_found_instead(self, image: Image, current: Image) -> bool:
        """True for an image that more users find by the plain name than the `current` one. A run whose definitions do
        not know the current build does not know why, so both keep their names."""
        is_found = image.id != current.id and is_usable(image) and not image.hidden
        seen = retention.narrower(image.visibility, self.definition.visibility)
        wider = WIDEST_FIRST.index(seen) < WIDEST_FIRST.index(current.visibility)
        named = self.definition.multi and image.name == self.definition.name
        return named and is_found and (current.hidden or wider)

    def _role(self, order: BuildOrder, build: str, image: Image | None, with_missing: bool = True) -> Role:
        definition, policy, version = self.definition, self.policy, order.defined.get(build)
        if image is not None and build in order.ahead:
            current = build == order.current
            return Role(current, not current, False, Stage.KEEP, NEWER_THAN_DEFINED, image.visibility, image.hidden)
        visibility = desired.visibility(definition, version)
        hidden = bool(version.hidden) if version else False
        rank = order.rank(build, with_missing)
        rolled_back = self._rolled_back(order, build, image)
        situation = replace(
            self._situation(image, rank, self._visible(order)),
            defined=version is not None,
            multi=definition.multi,
            explicit=version is not None and version.visibility is not None,
            kept=(version is None or self._retired is not None) and (policy.keep or definition.keep),
            bad=rolled_back is not None,
            withdrawn=build in order.withdrawn,
            ahead=version is None
            and build not in order.withdrawn
            and build_key(build) > build_key(order.newest.version),
            retired=self._retired,
        )
        stage, why = retention.decide(situation, policy, self.day)
        outdated = retention.is_outdated(situation)
        cause = retention.cause(situation) if outdated else ""
        if stage >= Stage.HIDE:
            visibility, hidden = self._hidden(visibility, hidden, situation)
        current = build == order.current
        superseded = not current
        if version is not None and not definition.multi:
            superseded = desired.is_superseded(definition, version, order.newest)
        keeps = self.closed or ((outdated or situation.kept) and not current)
        since = hidden_since(image, stage, keeps, self.day)
        pinned = order.pins.get(build)
        return Role(current, superseded, outdated, stage, why, visibility, hidden, since, pinned, rolled_back, cause)

    def _visible(self, order: BuildOrder) -> int | None:
        """How many of the newest builds stay visible; None: all of them."""
        validity = {**self.definition.meta, **order.newest.meta}.get("uuid_validity")
        if validity is None and not self.definition.multi and not self._retired:
            return (
                0  # nothing rotates: a release is visible as long as it is defined, or for as long as it was promised
            )
        return (retention.promised_builds if self._retired else retention.visible_builds)(validity, self.day)

    @cached_property
    def _retired(self) -> date | None:
        """The last day of the definition's time, if its images are to be retired now."""
        return expiry.ended_on(self.definition, self.day) if self.policy.retire_expired else None

    def _after_the_end(self, state: DefinitionState) -> str:
        """Describe the fate of the images where the definition's time is over."""
        if self._retired:
            return "its images are retired (--retire-expired), and none is imported"
        if not self.closed:
            return "its images stay as they are; --retire-expired retires them"
        return "its images stay retired, and none is imported" if state.usable else "no image is imported"

    def _rolled_back(self, order: BuildOrder, build: str, image: Image | None) -> str | None:
        """The day on which the definition was rolled back from a build; it stays hidden for good."""
        if build == order.current or order.undone:
            return None
        recorded = image.properties.get(markers.ROLLED_BACK) if image else None
        return recorded or (self.day.isoformat() if build in order.bad else None)

    def _hidden(self, visibility: str, hidden: bool, situation: retention.Situation) -> tuple[str, bool]:
        # An image of another project is ours to look after only as long as it is public, unless this change takes it.
        taken = situation.defined and self.definition.owner == self.policy.project
        os_hidden = self.policy.use_os_hidden or (situation.foreign and not taken)
        return retention.hide(visibility, hidden, self.policy.hidden_visibility, os_hidden)

    def _situation(self, image: Image | None, rank: int, visible: int | None) -> retention.Situation:
        return situation_of(image, rank, visible, self.policy, self.usage, self.definition.owner)

    def _carried(self, usable: Iterable[Image]) -> frozenset[str] | None:
        """The projects that images with the plain name are shared with by hand: they keep access to the next build."""
        plain = [image for image in usable if self.definition.multi and image.name in self.definition.names]
        known = [image.members for image in plain if image.members is not None and not markers.is_pending(image)]
        return frozenset().union(*known) if known else None

    def _create(self, version: Version, role: Role, left: Image | None, carried: frozenset[str] | None) -> Create:
        if left is None:
            reason = f"version {version.version} is not in the cloud"
        elif markers.has_wrong_bytes(left):
            reason = f"{left.id} has other bytes than its checksum promises and was never published: replaced"
        elif left.status in WHOLE:
            reason = f"{left.id} was not verified with the version's checksum and never published: replaced"
        else:
            reason = f"{left.id} is {left.status}: an interrupted run left it"
        wanted = desired.wanted_image(self.definition, version, role, self.policy.tag, carried=carried)
        return Create(self.definition, version, role, wanted, reason, left)

    def _change(
        self,
        build: str,
        version: Version | None,
        order: BuildOrder,
        role: Role,
        image: Image,
        carried: frozenset[str] | None = None,
    ) -> list[Change]:
        name = self.definition.name
        if role.stage is Stage.DELETE:
            before = [] if image.id in self.takeovers else self._hidden_first(build, order, role, image)
            found = before[-1].wanted if before else image
            because = build in order.withdrawn or self._retired or role.why == retention.NOT_DEFINED
            reason = role.why if because else f"{retention.NOT_DEFINED}; {role.why}"
            return [*before, Delete(name, found, reason)]
        if version is None:
            wanted = self._undefined(build, role, image)
        else:
            carried = carried if markers.is_pending(image) else None
            wanted = desired.wanted_image(self.definition, version, role, self.policy.tag, image, carried)
        if is_foreign(image, self.policy, self.definition.owner):
            wanted = replace(wanted, members=None)  # it is no longer ours to look after once it is not public
        claim = self._claim(version, image)
        if claim in (Claim.OWNERS, Claim.OURS_WRONG, Claim.FOREIGN) or (
            claim is Claim.PROVEN and is_hidden_by_others(image)
        ):
            wanted = not_wider(wanted, image)
        if self._keeps_rollback(role, image) or claim is Claim.OURS_WRONG:
            wanted = replace(wanted, owner=image.owner)
        if self.closed:
            wanted = not_wider(wanted, image)
            wanted = replace(wanted, status=image.status if image.status == "deactivated" else wanted.status)
        reasons = reasons_for(self.definition, order.current, role, image, wanted)
        if takeover := self.takeovers.get(image.id):
            fields = diff(takeover.found, wanted, {**reasons, **reasons_for_taking(takeover, wanted)})
            return [Update(name, takeover.found, wanted, fields, "transferred from its former owner", takeover.proof)]
        fields = diff(image, wanted, reasons)
        if not fields:
            return []
        return [Update(name, image, wanted, fields, self._reason(build, version, order, role, image, wanted))]

    def _reason(
        self, build: str, version: Version | None, order: BuildOrder, role: Role, image: Image, wanted: Image
    ) -> str:
        """Why an image changes, in a few words."""
        if role.pinned_over and role.newest:
            return f"rolled back from {role.pinned_over}"
        if (former := image.properties.get("image_name")) in self.definition.former_names:
            return f"renamed from {former}"
        if image.name != wanted.name and not role.newest and self.definition.multi:
            return f"superseded by {order.current}"
        if markers.is_pending(image):
            return "an interrupted run left it unpublished"
        if role.outdated and self._retired:
            return f"its provided_until was {self._retired}"
        if self.policy.tag not in image.tags:
            return "taken over: it has the id of the version"
        if version is None:
            return retention.WITHDRAWN if build in order.withdrawn else retention.NOT_DEFINED
        narrower = (image.visibility, image.hidden) != (wanted.visibility, wanted.hidden)
        return role.cause if narrower and role.stage >= Stage.HIDE else "differs from its definition"

    def _keeps_rollback(self, role: Role, image: Image) -> bool:
        """True for an image of ours with the mark of a rollback: in another project it would not be trusted."""
        return bool(role.pinned_over or role.rolled_back) and self.policy.project in (None, image.owner)

    def _hidden_first(self, build: str, order: BuildOrder, role: Role, image: Image) -> list[Update]:
        """An image that is to be deleted gives its name up and leaves the list before: Glance may refuse to delete it,
        or a failure may come in between."""
        if is_hidden(image) and not (self.definition.multi and image.name in self.definition.names):
            return []
        changes = self._change(build, None, order, replace(role, stage=Stage.HIDE), image)
        return [change for change in changes if isinstance(change, Update)]

    def _undefined(self, build: str, role: Role, image: Image) -> Image:
        """An image whose version left the definition: name, os_purpose and what retention says; never wider, unless a
        rollback made it the current one."""
        definition = self.definition
        renamed = image.properties.get("image_name") in definition.former_names
        name = naming.image_name(definition, build, role.newest) if definition.multi or renamed else image.name
        # An image of another project gets no name of ours; it loses the plain one.
        if self.policy.project not in (None, image.owner) and not role.newest and image.name not in definition.names:
            name = image.name
        properties = {key: value for key, value in image.properties.items() if key not in markers.MARKS}
        before, after = ("oldgeneric", "generic") if role.newest else ("generic", "oldgeneric")
        if definition.multi and properties.get("os_purpose") == before:
            properties["os_purpose"] = after
        properties |= markers.kept_on_image(role)
        if renamed or name != image.name:  # maybe only the name identified the version
            properties |= {"image_name": definition.name, "internal_version": build}
        named = desired.members(definition)
        if not role.newest:
            wanted = outdated_image(image, role, name, properties)
            members = (image.members or frozenset()) & named if named is not None else image.members
            return replace(wanted, members=members if wanted.visibility == "shared" else image.members)
        return replace(
            image,
            name=name,
            properties=properties,
            visibility=role.visibility,
            hidden=role.hidden,
            status=definition.status,
            members=image.members if named is None or role.visibility != "shared" else named,
        )

    def _duplicate(
        self, build: str, kept: Image | None, image: Image, order: BuildOrder, kept_role: Role | None
    ) -> tuple[list[Change], list[Finding]]:
        """A second image of one version: it is hidden and deleted like an outdated one, unless it is in use. It is
        visible to no more people than the image that is `kept`, whose role is `kept_role`."""
        findings: list[Finding] = []
        if not self._is_usable(build, image):
            return list(self._clear(image, findings)), findings
        situation = self._situation(image, 1, 1)
        stage, why = retention.decide(situation, self.policy, self.day)
        if stage > Stage.HIDE and (self.policy.keep or self.definition.keep or self._visible(order) is None):
            stage, why = Stage.HIDE, "its id is promised to stay"
        visibility, hidden = image.visibility, image.hidden
        if stage >= Stage.HIDE and not is_hidden(image):
            visibility, hidden = self._hidden(visibility, hidden, situation)
        if not situation.foreign:  # of another project's it is ours to hide only as long as it is public
            visibility = retention.narrower(visibility, kept_role.visibility if kept_role else visibility)
        why_duplicate = f"duplicate of {kept.id if kept else 'the image to be imported'}"
        if kept:
            message = f"version {build} exists twice: {kept.id} is kept, {image.id} is a duplicate"
            findings.append(Finding("warning", self.definition.name, message))
        # An image that others have hidden gets no mark of ours: with it a run would show the image again.
        hidden_by_others = situation.foreign and is_hidden_by_others(image)
        since = None if hidden_by_others else hidden_since(image, stage, True, self.day)
        role = Role(False, True, True, stage, why_duplicate, visibility, hidden, since)
        findings += self._held(replace(role, why=why), image)
        changes = self._change(build, None, order, role, image)
        return [replace(change, reason=why_duplicate) for change in changes], findings

    def _names_of_others(self, state: DefinitionState) -> list[Change]:
        """Older untrusted images of other projects lose the plain name, so that it is unique."""
        order, changes = state.order, list[Change]()
        for build, image in state.untrusted:
            older = build not in state.roles and build_key(build) < build_key(order.newest.version)
            if (
                older
                and self._is_usable(build, image)
                and self.definition.multi
                and image.name in self.definition.names
            ):
                role = Role(False, True, False, Stage.KEEP, "not believed", image.visibility, image.hidden)
                changes += self._change(build, None, order, role, image)
        return changes

    def _clear(self, image: Image, findings: list[Finding]) -> list[Delete]:
        foreign = is_foreign(image, self.policy, self.definition.owner)
        return clear_leftover(self.definition.name, image, foreign, self.day, findings)

    def _remarks(
        self, build: str, version: Version | None, order: BuildOrder, role: Role, image: Image
    ) -> Iterable[Finding]:
        """Findings about one image that is used for a build."""
        yield from build_findings.other_bytes(self.definition, version, image)
        yield from build_findings.unverified(self.definition, version, image)
        yield from self._held(role, image)
        yield from build_findings.no_longer_defined(self.definition, order, role, build, image)
        if version and self._keeps_rollback(role, image):
            yield from build_findings.not_given(self.definition, image)

    def _held(self, role: Role, image: Image) -> list[Finding]:
        """Report why an outdated image does not reach the requested stage."""
        asked = Stage[self.policy.outdated.upper()]
        if not role.outdated or role.stage >= asked or role.why == retention.STILL_DEFINED:
            return []
        return [Finding("note", self.definition.name, f"{image.name} ({image.id}) is kept: {role.why}")]


def _with_keeper(change: Change, kept: Image, planned: Change | None) -> Change:
    """A duplicate is deleted only while the image that is kept exists as planned, unless that is deleted, too."""
    if isinstance(planned, Delete) or not isinstance(change, Delete):
        return change
    return replace(change, keeper=planned.wanted if planned else kept)
