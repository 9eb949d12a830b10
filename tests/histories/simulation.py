"""A Glance of values, and a run as `apply` does it, in steps that can be refused, cut off and disturbed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial

from openstack_image_manager.apply.import_method import ChosenMethod, ImportOptions, choose
from openstack_image_manager.definitions import naming
from openstack_image_manager.model import FieldChange, Image
from openstack_image_manager.plan import desired, markers
from openstack_image_manager.plan.diff import diff
from openstack_image_manager.plan.model import Change, Create, Delete, Plan, Update
from openstack_image_manager.plan.planner import beyond_limit
from tests.histories.glance import GIB, Cloud, Refused, digest
from tests.histories.laws import judge
from tests.histories.order import Order
from tests.histories.planning import planned

METHODS = frozenset({"glance-direct", "web-download"})
WHOLE = ("active", "deactivated")
MOST_IDS = 50
Steps = Generator[None, None, None]  # whoever advances it lets one call to Glance happen, or throws Refused instead


@dataclass
class Run:
    """One run of the program. `troubles`: what happens before its n-th call: "refuse", "forbid", "busy" (Glance refuses
    it), "kill", or what `others` do meanwhile. `side_by_side`: definitions take turns."""

    cloud: Cloud
    order: Order
    troubles: Mapping[int, str] = field(default_factory=dict)
    others: Mapping[str, Callable[[], None]] = field(default_factory=dict)
    side_by_side: bool = False
    meddled: bool = False
    failed: set[str] = field(default_factory=set)

    def go(self) -> Plan:
        """Plan, and carry it out; the laws are judged after every call."""
        made = planned(self.order)
        if beyond_limit(made, self.order.policy):
            self.cloud.events["too many"] += 1
            return made
        deletes = Counter(c.found.owner for c in made.changes if isinstance(c, Delete) and not c.junk)
        assert all(number <= self.order.policy.max_deletes for number in deletes.values())
        groups: dict[str, list[Change]] = {}
        for change in made.changes:
            groups.setdefault(change.group, []).append(change)
        work = {name: self._group(changes, made) for name, changes in groups.items()}
        for name in list(work):
            self._advance(name, work, None)
        number = 0
        while work:
            name = next(iter(work))
            number += 1
            trouble = self.troubles.get(number)
            if trouble == "kill":
                self.cloud.events["killed"] += 1
                break
            refusal = {"refuse": Refused(500), "forbid": Refused(403), "busy": Refused(409)}
            if trouble in self.others:
                self.cloud.events[trouble] += 1
                self.others[trouble]()
                self.meddled |= trouble == "by hand"
            before, failed = dict(self.cloud.images), frozenset(self.failed)
            self._advance(name, work, refusal.get(trouble or ""))
            self.cloud.events.update(judge(self.order, before, self.cloud.images, failed, name, self.meddled))
            if self.side_by_side and name in work:
                work[name] = work.pop(name)
        for steps in work.values():
            steps.close()
        return made

    def _advance(self, name: str, work: dict[str, Steps], refusal: Refused | None) -> None:
        try:
            if refusal:
                work[name].throw(refusal)
            else:
                next(work[name])
        except StopIteration:
            del work[name]
        except Refused:
            self.cloud.events["failed"] += 1
            self.failed.add(name)
            del work[name]

    def _group(self, changes: list[Change], made: Plan) -> Steps:
        for change in changes:
            if isinstance(change, Create):
                yield from self._create(change, made.converts)
            elif isinstance(change, Update):
                yield from self._update(change)
            else:
                yield from self._delete(change)

    def _delete(self, change: Delete) -> Steps:
        try:
            yield
            if self._unchanged(change.found).protected:
                raise Refused(403)
            if change.keeper and self.cloud.get(change.keeper.id).visibility != change.keeper.visibility:
                raise Refused(412)
            self.cloud.delete(change.found.id)
        except Refused as refused:
            if refused.status != 409:
                raise

    def _update(self, change: Update) -> Steps:
        yield
        current = self._unchanged(change.found, change.wanted)
        if diff(current, change.wanted):
            if change.keeper and self.cloud.get(change.keeper.id).name != current.name:
                raise Refused(412)
            yield from self._change(current, change.fields)
            if change.wanted.members is not None and current.visibility != "shared" == change.wanted.visibility:
                surplus = (self.cloud.get(current.id).members or frozenset()) - change.wanted.members
                for project in sorted(surplus):
                    yield
                    self._share(current.id, project, False)

    def _unchanged(self, found: Image, wanted: Image | None = None) -> Image:
        current = self.cloud.get(found.id)
        if current.import_task:
            self.cloud.finish(found.id)
            current = self.cloud.get(found.id)
        if diff(found, replace(current, members=None)) and not (wanted and not diff(current, wanted)):
            raise Refused(412)
        return replace(current, members=found.members)

    def _change(self, image: Image, changes: tuple[FieldChange, ...]) -> Steps:
        """The first call is made at once, the others when it is their turn."""
        status = next((change.after for change in changes if change.field == "status"), None)
        others = any(change.field not in ("status", "members") for change in changes)
        shares = list(self._shares(image.id, changes))
        given = [change for change in changes if change.field == "owner" and image.owner == self.order.project]
        given = given if shares else []
        taken = image.owner != self.order.project and any(change.field == "owner" for change in changes)
        shared_first = image.visibility == "shared" and not taken
        if status == "deactivated":
            self._set_status(image.id, status)
            if others:
                yield
        if shared_first:
            for share in shares:
                share()
                yield
        if others:
            self.cloud.patch(image.id, [change for change in changes if change not in given])
            if status == "active":
                yield
        if not shared_first:
            for share in shares:
                yield
                share()
        if given:
            yield
            self.cloud.patch(image.id, given)
        if status == "active":
            self._set_status(image.id, status)

    def _shares(self, image_id: str, changes: tuple[FieldChange, ...]) -> Iterator[Callable[[], None]]:
        """The calls that share an image with a project, or end that."""
        for change in changes:
            if change.field == "members":
                for project in sorted(change.after ^ change.before):
                    yield partial(self._share, image_id, project, project in change.after)

    def _share(self, image_id: str, project: str, begin: bool) -> None:
        image = self.cloud.get(image_id)
        members = (image.members or frozenset()) - {project}
        self.cloud.put(image_id, replace(image, members=members | {project} if begin else members))

    def _set_status(self, image_id: str, status: str) -> None:
        self.cloud.put(image_id, replace(self.cloud.get(image_id), status=status))

    def _create(self, change: Create, converts: Mapping[str, bool | None]) -> Steps:
        way = choose(change.version, METHODS, converts.get(change.definition.format), ImportOptions())
        if self.cloud.upstream.get(change.version.url) == "gone":
            raise Refused(404)
        image_id, ours = yield from self._record(change, way)
        try:
            if self.cloud.get(image_id).status not in WHOLE:
                yield from self._fill(change, image_id, way)
            if markers.has_wrong_bytes(self.cloud.get(image_id)):
                raise Refused(400)
        except Refused:
            if ours:
                yield from self._discard(image_id)
            raise
        carried = change.wanted.members
        image = replace(self.cloud.get(image_id), members=None if carried is None else frozenset())
        tag = self.order.policy.tag
        wanted = desired.wanted_image(change.definition, change.version, change.role, tag, image, carried)
        changes = diff(image, wanted)
        if not changes:
            return
        try:
            yield
            yield from self._change(image, changes)
        except Refused as refused:
            if refused.status == 403 and markers.is_pending(image):
                yield from self._discard(image_id)
            raise

    def _fill(self, change: Create, image_id: str, way: ChosenMethod) -> Steps:
        url = change.version.url
        wrong = self.cloud.upstream.get(url) == "wrong"
        if way.name == "glance-direct" and not _is_staged(self.cloud.get(image_id)):
            yield
            if wrong and change.version.checksum:
                raise Refused(400)
            self.cloud.put(image_id, replace(self.cloud.get(image_id), status="uploading", size=GIB))
        yield
        image = self.cloud.get(image_id)
        if image.status in ("queued", "uploading"):
            self.cloud.jobs[image_id] = digest(url + "wrong" if wrong else url)
            self.cloud.put(image_id, replace(image, status="importing", import_task="a-task"))
        yield
        if self.cloud.get(image_id).status == "importing":
            self.cloud.finish(image_id)
        if self.cloud.get(image_id).status not in WHOLE:
            raise Refused(400)

    def _discard(self, image_id: str) -> Steps:
        try:
            yield
            current = self.cloud.get(image_id)
            if current.status not in WHOLE or markers.is_pending(current):
                self.cloud.delete(image_id)
        except Refused:
            return

    def _record(self, change: Create, way: ChosenMethod) -> Generator[None, None, tuple[str, bool]]:
        """The record to be filled, and whether it is this run's own; as the importer finds or makes it."""
        version, promise = change.version, markers.PENDING + way.promise
        initial = replace(
            change.wanted,
            name=naming.image_name(change.definition, version.version, newest=False),
            visibility="shared" if change.wanted.members else "private",
            members=frozenset(),
            hidden=False,
            status="queued",
            owner=self.order.project,
            properties={**change.wanted.properties, markers.VERIFIED: promise, markers.RUN: "a-run"},
        )
        left = change.leftover
        for number in range(MOST_IDS):
            left = self._settled(left) if left else None
            if left and left.status in WHOLE and not markers.has_wrong_bytes(left, version.checksum):
                return left.id, False
            if left and _is_staged(left) and left.properties.get(markers.VERIFIED) == promise:
                return left.id, False
            if left:
                yield from self._discard(left.id)
            image_id = "/".join((change.definition.name, version.version, str(self.order.day), str(number)))
            yield
            try:
                return self.cloud.add(replace(initial, id=image_id)).id, True
            except Refused:
                left = self._twin(image_id, initial)
        raise Refused(409)

    def _twin(self, image_id: str, initial: Image) -> Image | None:
        twin = self.cloud.images.get(image_id)
        keys = ("image_name", "internal_version")
        same = (
            twin
            and twin.owner == self.order.project
            and all(twin.properties.get(key) == initial.properties[key] for key in keys)
        )
        return twin if same and twin and self.order.policy.tag in twin.tags else None

    def _settled(self, left: Image) -> Image | None:
        if left.id not in self.cloud.images:
            return None
        if self.cloud.images[left.id].status == "importing":
            self.cloud.finish(left.id)
        current = self.cloud.images[left.id]
        if is_stuck(current) and (self.cloud.day - date.fromisoformat(current.updated_at[:10])).days < 2:
            raise Refused(409)
        return current


def is_stuck(image: Image) -> bool:
    """True for an upload that may still be under way."""
    return image.status in ("uploading", "saving") and not _is_staged(image)


def _is_staged(image: Image) -> bool:
    return image.status == "uploading" and image.size is not None
