"""The record in Glance that one version is imported into: one for all runs at the same moment, and none left behind."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace

from openstack_image_manager import desired
from openstack_image_manager.changes import diff
from openstack_image_manager.errors import CloudError, Error
from openstack_image_manager.identity import Key
from openstack_image_manager.model import WHOLE, Create, Image
from openstack_image_manager.others import QUIET, Others, is_staged
from openstack_image_manager.ways import UNVERIFIED, Way

TAKEN = 1.0  # seconds after which a record that was taken over tells who has it
TAGGED = 3.0  # seconds after which a new record has its tags, which Glance writes after all else
LATE = 60.0  # seconds that lie between the listing and the first import, as a rule
MOST_IDS = 500  # each failure of a day uses one up
UNCERTAIN = (404, 409, 500)  # what Glance answers to a change that another run was quicker with


@dataclass(frozen=True)
class Claims:
    """Records of one run in one cloud, among those of the others.

    `same_ids`: a version shall have the same id in every cloud; `elsewhere`: the ids that it has in other clouds.
    `listed`: the day on which the run listed the images."""

    others: Others
    tag: str
    same_ids: bool = False
    elsewhere: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    listed: str = field(default_factory=lambda: _day(time.time() - LATE))

    def give_up(self, image_id: str, keep: bool = False) -> None:
        """Delete this run's record, which came to nothing; never one that another run has taken over, nor what somebody
        has finished meanwhile. `keep`: its id was chosen and can't be had again, so an empty record stays for the next
        run."""
        self._discard(image_id, keep, self.run)

    def _discard(self, image_id: str, keep: bool = False, run: str | None = None) -> None:
        with suppress(CloudError):
            current = self.others.glance.get(image_id)
            if run and current.properties.get(desired.RUN) != run:
                return
            whole = current.status in WHOLE
            if (whole and desired.is_pending(current)) or (not whole and not keep):
                self.others.glance.delete(image_id)

    def record(self, change: Create, way: Way) -> tuple[Image, bool]:
        """The record in Glance to be filled, and whether it is ours alone. Of several runs at the same moment one
        makes it, as its id follows from what it is; the others wait for that one."""
        version, wanted = change.version, change.wanted
        properties = {**wanted.properties, desired.VERIFIED: desired.PENDING + way.promise, desired.RUN: self.run}
        initial = replace(
            wanted,
            # Until it is published no one may take it for the current one.
            name=desired.image_name(change.definition, version.version, newest=False),
            # Shared with no one yet, for an image is shared before it is published.
            visibility="shared" if wanted.members else "private",
            hidden=False,
            status="queued",
            protected=False,
            owner=None,
            members=None,
            stores=None,
            properties=properties,
        )
        checksum = None if way.promise == UNVERIFIED else version.checksum
        left = change.left or self._of_yesterday(change, initial)
        for number in range(MOST_IDS):
            left = self.others.settled(left.id, 0 if self._is_own(left) else QUIET) if left else None
            if left and left.status in WHOLE and not desired.has_wrong_bytes(left, checksum):
                return left, False
            if left and left.disk_format == initial.disk_format:
                same = left.properties.get(desired.VERIFIED) == properties[desired.VERIFIED]
                if is_staged(left) and same and way.method == "glance-direct":
                    return left, False
                if left.status == "queued" and (version.id or self._keeps(left.id, change, number)):
                    if taken := self._taken_over(left, initial):
                        return taken, True
                    continue
            if left:
                self._discard(left.id)
            record = replace(initial, id=version.id or self._id(change, number))
            try:
                return self._new(record, change.wanted.visibility), True
            except CloudError as error:
                if error.status != 409:
                    raise
                refusal = error
            left = self._twin(record, change)
            if left is None and version.id:
                raise refusal
            if left is None and self.same_ids:
                self.others.reporter.line(change.subject, f"its id {record.id} was used up here: another one")
        raise CloudError(f"found no free id for version {version.version}: too many imports of it failed today")

    def _taken_over(self, left: Image, initial: Image) -> Image | None:
        """An empty record that was left behind, as this run's own; None: another run was quicker, see what it makes."""
        begun = time.monotonic()
        try:
            self.others.glance.patch(left.id, diff(left, initial))
        except CloudError as error:
            if error.status not in UNCERTAIN:
                raise
        if not self._is_own(left):
            self.others.pause(max(TAKEN, 2 * (time.monotonic() - begun)))
        current = self.others.still_there(left.id)
        return current if current and self._is_own(current) else None

    def _is_own(self, image: Image) -> bool:
        return image.properties.get(desired.RUN) == self.run

    def _keeps(self, image_id: str, change: Create, number: int) -> bool:
        """True for an id that other clouds have for the version too: deleted, it could never be had again."""
        return self.same_ids and any(image_id == self._id(change, n) for n in range(number + 1))

    def _of_yesterday(self, change: Create, initial: Image) -> Image | None:
        """What another run made of the version before midnight, after this one had listed the images."""
        if self.same_ids or change.version.id or self.listed == _day(time.time()):
            return None
        return self._twin(replace(initial, id=self._id(change, 0, self.listed)), change)

    def _id(self, change: Create, number: int, day: str | None = None) -> str:
        """An id that runs at the same moment agree on; `number` counts those that were used up (today). With the same
        ids in all clouds: first the one that the version has in another cloud."""
        what = [self.tag, change.definition.name, change.version.version]
        if self.same_ids:
            elsewhere = self.elsewhere.get((change.definition.name, change.version.version), ())
            if number < len(elsewhere):
                return elsewhere[number]
            what.append(str(number - len(elsewhere)))
        else:
            what = [str(self.others.glance.project), *what, day or _day(time.time()), str(number)]
        return record_id(*what)

    def _twin(self, record: Image, change: Create) -> Image | None:
        """The image that has the record's id, if it is ours and the same version; None: gone, or something else."""
        keys = ("image_name", "internal_version")
        # The tag is part of an id that was made here; other ids may be those of images with another tag.
        made_here = not self.same_ids and change.version.id is None
        limit = time.monotonic() + TAGGED
        while twin := self.others.still_there(record.id):
            same = all(twin.properties.get(key) == record.properties[key] for key in keys)
            # Another run may have given it to its owner already.
            if not same or twin.owner not in (self.others.glance.project, change.definition.owner):
                return None
            if self.tag in twin.tags:
                return twin
            if twin.status != "queued":
                return None
            if made_here and desired.is_pending(twin):
                return twin
            if time.monotonic() > limit:
                return None
            self.others.pause(0.1)
        return None

    def _new(self, initial: Image, visibility: str) -> Image:
        """Only Glance's policy knows who may publish. Ask it before bytes move, with a record that is hidden and
        empty, rather than after an hour of uploading."""
        if visibility != "public" or self.others.glance.is_admin():
            return self.others.glance.create(initial)
        try:
            record = self.others.glance.create(replace(initial, visibility="public", hidden=True))
        except CloudError as error:
            if error.status != 403:
                raise
            raise explained(error, "public") from None
        return self.others.glance.patch(record.id, diff(record, replace(record, visibility="private", hidden=False)))


def record_id(*what: str) -> str:
    """The id that follows from project, tag, definition, version, day and number."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(what)))


def _day(seconds: float) -> str:
    return time.strftime("%Y%m%d", time.gmtime(seconds))


def explained(error: CloudError, visibility: str) -> Error:
    """A refusal of a visibility, with the right that is missing."""
    right = {"public": "publicize_image", "community": "communitize_image"}.get(visibility)
    if error.status != 403 or right is None:
        return error
    return CloudError(
        f"may not be made {visibility}: this user lacks the right {right} in Glance's policy (by default the role "
        f"admin has it); use a user that has it, or another visibility in the definition ({error})",
        403,
    )
