"""Find, take over or create the record in Glance that a version is imported into.

Runs at the same moment agree on one record for a version, because its id follows from project, tag, definition and
version. An unpublished record says "pending" in `image_manager_verified` and carries the id of its run in
`image_manager_run`. No state file exists, so a run decides by what Glance shows of the record and by how long nothing
has happened to it:

Glance shows             this run's own record    of a run at work         abandoned
queued: no bytes         stage or import          wait                     no change for QUIET: delete and create again,
                                                                           or take over where the id is fixed
uploading, no size       wait SETTLE for Glance   wait                     no change for --import-timeout: delete and
                         to see that the upload                            create again
                         broke, then stage again
uploading with a size:   order the import         wait                     no change for STAGED: order the import if its
staged, all bytes there                                                    promise is ours too, else delete and create
importing, or an import  wait for the task, up    wait, up to              the task failed and nobody deleted the record
task that still holds    to --import-timeout      --import-timeout         for QUIET: delete and create again
active, deactivated      publish                  publish: both runs ask   publish; wrong bytes: delete and create again
                                                  Glance for the same
404, deleted             create                   create                   create

`OtherRuns.settled` waits until a record is in the last column, finished or gone. `ImageRecords.record` then decides.
A record is deleted only while it is unpublished. An id that is used up is not used again: the next one in the same
order is tried, so that runs still meet.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from openstack_image_manager.apply.import_method import ChosenMethod
from openstack_image_manager.apply.other_runs import QUIET, OtherRuns, is_staged
from openstack_image_manager.definitions import naming
from openstack_image_manager.errors import CloudError, Error
from openstack_image_manager.model import GONE, WHOLE, Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.diff import diff
from openstack_image_manager.plan.markers import UNVERIFIED
from openstack_image_manager.plan.matching import Key
from openstack_image_manager.plan.model import Create
from openstack_image_manager.plan.ownership import Claim, claim_of, is_hidden_by_others

TAKEOVER_PAUSE = 1.0  # seconds after which a record that was taken over shows which run has it
TAGGED = 3.0  # seconds after which a new record has its tags, which Glance writes after all else
SHARED_IDS = 5  # ids that runs agree on; anyone can take them, so the ids after these are random
SAME_IDS = 10  # the same number where clouds agree on ids
MOST_IDS = 100  # each failure of a day uses one up
SECOND = 1.1  # seconds after which Glance gives no other record the same created_at
RecheckCreate = Callable[[Create, bool], Create]
UNCERTAIN = (404, 409, 500)  # what Glance answers when another run made the change first


@dataclass(frozen=True)
class ImageRecords:
    """The unpublished records that one run makes in one cloud. `same_ids`: a version has the same id in every cloud;
    `elsewhere`: the ids that it has in other clouds."""

    others: OtherRuns
    tag: str
    same_ids: bool = False
    elsewhere: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))

    def give_up(self, image_id: str, keep: bool = False) -> None:
        """Delete this run's record after a failure; never one that another run has taken over or finished. `keep`: its
        id is fixed, and Glance never reuses an image id, so an empty record stays for the next run."""
        self._discard(image_id, keep, self.run)

    def _discard(self, image_id: str, keep: bool = False, run: str | None = None) -> None:
        with suppress(CloudError):
            current = self.others.glance.get(image_id)
            if run and current.properties.get(markers.RUN) != run:
                return
            whole = current.status in WHOLE
            if (whole and markers.is_pending(current)) or (not whole and not keep):
                self.others.glance.delete(image_id)

    def record(self, change: Create, method: ChosenMethod, recheck: RecheckCreate) -> tuple[Image, bool]:
        """The record to fill, and whether this run made it. `recheck` checks that the version is still missing (True:
        with a new listing) and gives the change with the record that is left of it now."""
        initial = self._initial(change, method)
        left = self._ours(recheck(change, False).leftover, change)
        for number in range(MOST_IDS):
            left = self.others.settled(left.id, 0 if self._is_own(left) else QUIET) if left else None
            if left:
                record, left = self._reuse(left, initial, change, method, number)
                if record:
                    return record, record.status == "queued"
                if left:
                    continue
            image_id, shared = self._next_id(change, number)
            if not shared and (left := self._other_record(initial)):
                continue
            record = replace(initial, id=image_id)
            try:
                created = self._create(record, change.wanted.visibility)
            except CloudError as error:
                if error.status != 409:
                    raise
                refusal = error
            else:
                left = None if shared else self._earlier(created)
                if left is None:
                    return created, True
                continue
            left = self._same_version(record, change)
            if left is None:
                self._refused(change, image_id, number, refusal)
                # Another run may have given it to its owner already.
                left = self._ours(recheck(change, True).leftover, change)
        raise Error(f"found no free id for version {change.version.version}: {MOST_IDS} are taken")

    def _initial(self, change: Create, method: ChosenMethod) -> Image:
        """The record as it is created."""
        wanted = change.wanted
        properties = {**wanted.properties, markers.VERIFIED: markers.PENDING + method.promise, markers.RUN: self.run}
        return replace(
            wanted,
            # Until it is published nobody may take it for the current image.
            name=naming.image_name(change.definition, change.version.version, newest=False),
            # Shared with nobody yet: an image is shared before it is published.
            visibility="shared" if wanted.members else "private",
            hidden=False,
            status="queued",
            protected=False,
            owner=None,
            members=None,
            stores=None,
            properties=properties,
        )

    def _reuse(
        self, left: Image, initial: Image, change: Create, method: ChosenMethod, number: int
    ) -> tuple[Image | None, Image | None]:
        """What to do with the record that is left: (record, None) use it; (None, record) look at it again; (None, None)
        it was deleted."""
        version, promise = change.version, initial.properties[markers.VERIFIED]
        if left.status in WHOLE and not markers.has_wrong_bytes(
            left, None if method.promise == UNVERIFIED else version.checksum
        ):
            return left, None
        if left.disk_format == initial.disk_format:
            same = left.properties.get(markers.VERIFIED) == promise
            if is_staged(left) and same and method.name == "glance-direct":
                return left, None
            if left.status == "queued" and (version.id or self._keeps(left.id, change, number)):
                return self._take_over(left, initial), left
        self._discard(left.id)
        return None, None

    def _next_id(self, change: Create, number: int) -> tuple[str, bool]:
        """The id to try, and whether other runs try the same one."""
        if change.version.id:
            return change.version.id, True
        if number < self._shared_ids():
            return self._id(change, number), True
        return str(uuid.uuid4()), False

    def _refused(self, change: Create, image_id: str, number: int, refusal: CloudError) -> None:
        """Report whose image has the id. Raises CloudError for a fixed id."""
        image = self.others.find(image_id)
        if image is None:
            whose = "by an image that is deleted, or that this user may not see"
        elif image.owner == self.others.glance.project:
            whose = "by another image of this project"
        else:
            whose = f"by an image of project {image.owner}"
        if change.version.id:
            raise CloudError(f"its id {image_id} is taken {whose}; choose another id ({refusal})", 409) from None
        last = number == self._shared_ids() - 1
        if self.same_ids or last or (image and image.owner != self.others.glance.project):
            replacement = "a random one" if last else "another one"
            self.others.reporter.line(change.subject, f"the id {image_id} is taken {whose}: {replacement}")

    def _shared_ids(self) -> int:
        return SAME_IDS if self.same_ids else SHARED_IDS

    def _other_record(self, initial: Image) -> Image | None:
        """A record of the same version with any id, which another run makes; None: there is none."""
        records = self._records(initial)
        return records[0] if records else None

    def _earlier(self, created: Image) -> Image | None:
        """An older record of the same version, after this run has given up its own for it; None: there is none."""
        self.others.pause(SECOND)
        records = self._records(created)
        if not records or records[0].id == created.id:
            return None
        self.give_up(created.id)
        return records[0]

    def _records(self, initial: Image) -> list[Image]:
        """Unpublished images of this project for the version, the first one first."""
        keys = ("image_name", "internal_version")
        name = initial.properties["image_name"]
        records = [
            image
            for image in self.others.glance.of_definition(self.tag, name)
            if image.owner == self.others.glance.project
            and image.status not in GONE
            and markers.is_pending(image)
            and all(image.properties.get(key) == initial.properties[key] for key in keys)
        ]
        return sorted(records, key=lambda image: (image.created_at, image.id))

    def _ours(self, image: Image | None, change: Create) -> Image | None:
        """The image if it is of this project, or of another one and has the bytes of the version; else None."""
        if image is None or image.owner == self.others.glance.project:
            return image
        claim = claim_of(change.definition, change.version, image, self.others.glance.project)
        known = image.visibility == "public" or image.owner == change.definition.owner
        if not known or claim is not Claim.PROVEN or image.status not in WHOLE:
            return None
        return None if is_hidden_by_others(image) else image

    def _take_over(self, left: Image, initial: Image) -> Image | None:
        """The empty record as this run's own; None: another run has taken it over first."""
        begun = time.monotonic()
        try:
            self.others.glance.patch(left.id, diff(left, initial))
        except CloudError as error:
            if error.status not in UNCERTAIN:
                raise
        if not self._is_own(left):
            self.others.pause(max(TAKEOVER_PAUSE, 2 * (time.monotonic() - begun)))
        current = self.others.find(left.id)
        return current if current and self._is_own(current) else None

    def _is_own(self, image: Image) -> bool:
        return image.properties.get(markers.RUN) == self.run

    def _keeps(self, image_id: str, change: Create, number: int) -> bool:
        """True for an id that other clouds have for the version too: once deleted, it could never be used again."""
        return self.same_ids and any(image_id == self._id(change, n) for n in range(number + 1))

    def _id(self, change: Create, number: int) -> str:
        """An id that runs at the same moment agree on; `number` counts those that were used up today. With the same ids
        in all clouds: first the one that the version has in another cloud."""
        parts = [self.tag, change.definition.name, change.version.version]
        if self.same_ids:
            elsewhere = self.elsewhere.get((change.definition.name, change.version.version), ())
            if number < len(elsewhere):
                return elsewhere[number]
            parts.append(str(number - len(elsewhere)))
        else:
            parts = [str(self.others.glance.project), *parts, _day(time.time()), str(number)]
        return record_id(*parts)

    def _same_version(self, record: Image, change: Create) -> Image | None:
        """The image with the record's id, if it is ours and the same version; None: it is gone, or another image."""
        keys = ("image_name", "internal_version")
        # The tag is part of an id that was made here; a fixed id may belong to an image with another tag.
        made_here = not self.same_ids and change.version.id is None
        limit = time.monotonic() + TAGGED
        while image := self.others.find(record.id):
            same = all(image.properties.get(key) == record.properties[key] for key in keys)
            if not same or self._ours(image, change) is None:
                return None
            if self.tag in image.tags:
                return image
            if image.status != "queued":
                return None
            if made_here and markers.is_pending(image):
                return image
            if time.monotonic() > limit:
                return None
            self.others.pause(0.1)
        return None

    def _create(self, initial: Image, visibility: str) -> Image:
        """Create the record. Only Glance's policy knows who may publish, so ask it with a hidden, empty record before
        the upload, and not an hour later."""
        if visibility != "public" or self.others.glance.is_admin():
            return self.others.glance.create(initial)
        try:
            record = self.others.glance.create(replace(initial, visibility="public", hidden=True))
        except CloudError as error:
            if error.status != 403:
                raise
            raise with_missing_right(error, "public") from None
        return self.others.glance.patch(record.id, diff(record, replace(record, visibility="private", hidden=False)))


def record_id(*parts: str) -> str:
    """The id that follows from project, tag, definition, version, day and number."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(parts)))


def _day(seconds: float) -> str:
    return time.strftime("%Y%m%d", time.gmtime(seconds))


def with_missing_right(error: CloudError, visibility: str) -> Error:
    """The refusal of a visibility, with the right that is missing."""
    right = {"public": "publicize_image", "community": "communitize_image"}.get(visibility)
    if error.status != 403 or right is None:
        return error
    return CloudError(
        f"may not be made {visibility}: this user lacks the right {right} in Glance's policy (by default the role "
        f"admin has it); use a user that has it, or another visibility in the definition ({error})",
        403,
    )
