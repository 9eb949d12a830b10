"""The record in Glance that one version is imported into: one for all runs at the same moment, and none left behind."""

from __future__ import annotations

import random
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from openstack_image_manager import desired
from openstack_image_manager.changes import diff
from openstack_image_manager.errors import CloudError, Error, ImportFailedError, Interrupted
from openstack_image_manager.glance import LONGEST_PAUSE, Glance
from openstack_image_manager.identity import Key
from openstack_image_manager.leftovers import is_stale
from openstack_image_manager.model import WHOLE, Create, Image
from openstack_image_manager.sources import Reporter
from openstack_image_manager.ways import UNVERIFIED, Way

QUIET = 10.0  # seconds after which an empty record that nobody fills is taken for left behind
STAGED = 3.0  # seconds after which one with all bytes is that nobody imports
LOT = 3.0  # seconds more, at most: runs that find the same record at the same moment shall not go on at the same moment
TAKEN = 1.0  # seconds after which a record that was taken over tells who has it
TAGGED = 3.0  # seconds after which a new record has its tags, which Glance writes after all else
LATE = 60.0  # seconds that lie between the listing and the first import, at most
MOST_IDS = 50
SETTLE = 60.0  # seconds for Glance to notice that an upload's client is gone


@dataclass(frozen=True)
class Claims:
    """Records of one run in one cloud. `timeout`: seconds for the import by another run that is waited for.

    `same_ids`: a version shall have the same id in every cloud; `elsewhere`: the ids that it has in other clouds.
    `listed`: the day on which the run listed the images."""

    glance: Glance
    tag: str
    timeout: float
    stop: threading.Event
    reporter: Reporter
    same_ids: bool = False
    elsewhere: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    listed: str = field(default_factory=lambda: _day(time.time() - LATE))

    def give_up(self, image_id: str, keep: bool = False) -> None:
        """Delete this run's record, which came to nothing; never one that another run has taken over, nor what somebody
        has finished meanwhile. `keep`: its id was chosen and can't be had again, so an empty record stays for the next
        run."""
        with suppress(CloudError):
            if self.glance.get(image_id).properties.get(desired.RUN) == self.run:
                self._discard(image_id, keep)

    def _discard(self, image_id: str, keep: bool = False) -> None:
        with suppress(CloudError):
            current = self.glance.get(image_id)
            whole = current.status in WHOLE
            if (whole and desired.is_pending(current)) or (not whole and not keep):
                self.glance.delete(image_id)

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
            left = self.settled(left.id, QUIET) if left else None
            if left and left.status in WHOLE and not desired.has_wrong_bytes(left, checksum):
                return left, False
            if left and left.disk_format == initial.disk_format:
                if is_staged(left) and left.properties.get(desired.VERIFIED) == properties[desired.VERIFIED]:
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
                self.reporter.line(change.subject, f"its id {record.id} was used up here: another one")
        raise CloudError(f"found no free id for version {version.version}; try again tomorrow")

    def _taken_over(self, left: Image, initial: Image) -> Image | None:
        """An empty record that was left behind, as this run's own; None: another run was quicker, see what it makes."""
        self.glance.patch(left.id, diff(left, initial))
        self.pause(TAKEN)
        current = self._still_there(left.id)
        return current if current and current.properties.get(desired.RUN) == self.run else None

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
            what = [str(self.glance.project), *what, day or _day(time.time()), str(number)]
        return record_id(*what)

    def _twin(self, record: Image, change: Create) -> Image | None:
        """The image that has the record's id, if it is ours and the same version; None: gone, or something else."""
        keys = ("image_name", "internal_version")
        # The tag is part of an id that was made here; other ids may be those of images with another tag.
        made_here = not self.same_ids and change.version.id is None
        limit = time.monotonic() + TAGGED
        while twin := self._still_there(record.id):
            same = all(twin.properties.get(key) == record.properties[key] for key in keys)
            # Another run may have given it to its owner already.
            if not same or twin.owner not in (self.glance.project, change.definition.owner):
                return None
            if self.tag in twin.tags:
                return twin
            if twin.status != "queued":
                return None
            if made_here and desired.is_pending(twin):
                return twin
            if time.monotonic() > limit:
                return None
            self.pause(0.1)
        return None

    def _new(self, initial: Image, visibility: str) -> Image:
        """Only Glance's policy knows who may publish. Ask it before bytes move, with a record that is hidden and
        empty, rather than after an hour of uploading."""
        if visibility != "public" or self.glance.is_admin():
            return self.glance.create(initial)
        try:
            record = self.glance.create(replace(initial, visibility="public", hidden=True))
        except CloudError as error:
            if error.status != 403:
                raise
            raise explained(error, "public") from None
        return self.glance.patch(record.id, diff(record, replace(record, visibility="private", hidden=False)))

    def settled(self, image_id: str, quiet: float) -> Image | None:
        """What became of an image that another run, dead or alive, is working on; None: it is gone. It is left behind
        when nothing happens to it for `quiet` seconds: a run that is alive fills an empty record at once, orders the
        import of a full one at once, and takes back one that failed at once. Two orders to import at the same moment
        would break each other in Glance."""
        begun = time.monotonic()
        watch, told = _Watch(quiet), set[str]()

        def waiting(name: str, what: str) -> None:
            if what not in told:
                self.reporter.line(name, f"is being {what} already: waiting for it")
            told.add(what)

        while current := self._still_there(image_id):
            # What nothing has happened to for days was left by a Glance that died itself.
            if is_stale(current, datetime.now(UTC).date()):
                return current
            # Also a whole one: until the import has let go of it, Glance saves it once more as it was.
            if current.status == "importing" or current.import_task:
                waiting(current.name, "imported")
                if done := self._imported(image_id, begun + self.timeout):
                    return done
                if watch.is_over():
                    return self._still_there(image_id)
            elif current.status in ("uploading", "saving") and not is_staged(current):
                waiting(current.name, "uploaded")
                if time.monotonic() - begun > (self.timeout if quiet else SETTLE):
                    raise CloudError(f"{image_id} is being uploaded by someone else; run again when that is done")
            elif watch.is_left(current):
                return current
            self.pause(0.5)
        return None

    def _imported(self, image_id: str, deadline: float) -> Image | None:
        """The image when the import that another run ordered is done; None: it failed, or its own run would not wait
        for it any more."""
        while True:
            try:
                return self.glance.wait(image_id, deadline, self.stop)
            except ImportFailedError:
                return None
            except CloudError as error:
                if error.status == 404 or time.monotonic() > deadline - LONGEST_PAUSE:
                    return None
                self.pause(0.5)

    def _still_there(self, image_id: str) -> Image | None:
        try:
            return self.glance.get(image_id)
        except CloudError as error:
            if error.status == 404:
                return None
            raise

    def pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted("interrupted")


@dataclass
class _Watch:
    """How long nothing has happened to an image; `quiet` seconds are enough, and for some runs a little more."""

    quiet: float
    lot: float = field(default_factory=lambda: random.uniform(0, LOT))
    since: float = 0.0
    seen: tuple[object, ...] = ()
    failed: float | None = None

    def is_left(self, image: Image) -> bool:
        """True for an image that nobody goes on with: an empty record, or one that has its bytes."""
        seen = (image.status, image.size, image.updated_at)
        if seen != self.seen:
            self.seen, self.since = seen, time.monotonic()
        if image.status != "queued" and not is_staged(image):
            return True
        patience = self.quiet if image.status == "queued" else STAGED
        return not self.quiet or time.monotonic() - self.since >= patience + self.lot

    def is_over(self) -> bool:
        """True when the run whose import has failed does not take it back."""
        self.failed = self.failed or time.monotonic()
        return time.monotonic() - self.failed >= self.quiet


def record_id(*what: str) -> str:
    """The id that follows from project, tag, definition, version, day and number."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(what)))


def _day(seconds: float) -> str:
    return time.strftime("%Y%m%d", time.gmtime(seconds))


def is_staged(image: Image) -> bool:
    """True when the staging area has all bytes: Glance tells the size once an upload to it is complete. Ours complete
    only with verified bytes."""
    return image.status == "uploading" and image.size is not None


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
