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
from openstack_image_manager.errors import CloudError, Error, Interrupted
from openstack_image_manager.glance import Glance
from openstack_image_manager.identity import Key
from openstack_image_manager.leftovers import is_stale
from openstack_image_manager.lineup import WHOLE
from openstack_image_manager.model import Create, Image
from openstack_image_manager.sources import Reporter
from openstack_image_manager.ways import UNVERIFIED, Way

QUIET = 10.0  # seconds after which an empty record that nobody fills is taken for left behind
STAGED = 3.0  # seconds, and up to twice as many, after which one with all bytes is that nobody imports
TAGGED = 3.0  # seconds after which a new record has its tags, which Glance writes after all else
MOST_IDS = 50
SETTLE = 60.0  # seconds for Glance to notice that an upload's client is gone


@dataclass(frozen=True)
class Claims:
    """Records of one run in one cloud. `timeout`: seconds for the import by another run that is waited for.

    `same_ids`: a version shall have the same id in every cloud; `elsewhere`: the ids that it has in other clouds."""

    glance: Glance
    tag: str
    timeout: float
    stop: threading.Event
    reporter: Reporter
    same_ids: bool = False
    elsewhere: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))

    def asks_first(self, change: Create) -> bool:
        """True where Glance must be asked whether this user may publish, before bytes move."""
        return change.wanted.visibility == "public" and not self.glance.is_admin()

    def discard(self, image_id: str, keep: bool = False) -> None:
        """Delete a record that came to nothing; never what somebody has finished meanwhile. `keep`: its id was chosen
        and can't be had again, so an empty record stays for the next run."""
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
        left, checksum = change.left, None if way.promise == UNVERIFIED else version.checksum
        for number in range(MOST_IDS):
            left = self.settled(left.id, QUIET) if left else None
            if left and left.status in WHOLE and not desired.has_wrong_bytes(left, checksum):
                return left, False
            if left and left.disk_format == initial.disk_format:
                if is_staged(left) and left.properties.get(desired.VERIFIED) == properties[desired.VERIFIED]:
                    return left, False
                if left.status == "queued" and (version.id or self._keeps(left.id, change, number)):
                    return self.glance.patch(left.id, diff(left, initial)), True
            if left:
                self.discard(left.id)
            try:
                record = replace(initial, id=version.id or self._id(change, number))
                if self.asks_first(change):
                    return self._record_if_may_publish(record), True
                return self.glance.create(record), True
            except CloudError as error:
                if error.status != 409 or version.id:
                    raise
            left = self._twin(self._id(change, number), initial)
            if self.same_ids and left is None:
                self.reporter.line(change.subject, f"its id {self._id(change, number)} was used up here: another one")
        raise CloudError(f"found no free id for version {version.version}; try again tomorrow")

    def _keeps(self, image_id: str, change: Create, number: int) -> bool:
        """True for an id that other clouds have for the version too: deleted, it could never be had again."""
        return self.same_ids and any(image_id == self._id(change, n) for n in range(number + 1))

    def _id(self, change: Create, number: int) -> str:
        """An id that runs at the same moment agree on; `number` counts those that were used up (today). With the same
        ids in all clouds: first the one that the version has in another cloud."""
        what = [self.tag, change.definition.name, change.version.version]
        if self.same_ids:
            elsewhere = self.elsewhere.get((change.definition.name, change.version.version), ())
            if number < len(elsewhere):
                return elsewhere[number]
            what.append(str(number - len(elsewhere)))
        else:
            what = [str(self.glance.project), *what, time.strftime("%Y%m%d", time.gmtime()), str(number)]
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(what)))

    def _twin(self, image_id: str, initial: Image) -> Image | None:
        """The image that has the id already, if it is ours and the same version; None: gone, or something else."""
        keys = ("image_name", "internal_version")
        limit = time.monotonic() + TAGGED
        while True:
            twin = self._still_there(image_id)
            if twin is None:
                return None
            same = all(twin.properties.get(key) == initial.properties[key] for key in keys)
            if not same or twin.owner != self.glance.project:
                return None
            if self.tag in twin.tags:
                return twin
            if twin.status != "queued" or time.monotonic() > limit:
                return None
            self.pause(0.1)

    def _record_if_may_publish(self, initial: Image) -> Image:
        """Only Glance's policy knows who may publish. Ask it before bytes move, with a record that is hidden and
        empty, rather than after an hour of uploading."""
        try:
            record = self.glance.create(replace(initial, visibility="public", hidden=True))
        except CloudError as error:
            if error.status != 403:
                raise
            raise explained(error, "public") from None
        return self.glance.patch(record.id, diff(record, replace(record, visibility="private", hidden=False)))

    def settled(self, image_id: str, quiet: float) -> Image | None:
        """What became of an image that another run, dead or alive, is working on; None: it is gone. An empty record is
        left behind when nothing happens to it for `quiet` seconds: a run that is alive fills it at once, and imports
        it at once. Two orders to import at the same moment would break each other, so not all wait equally long."""
        begun = time.monotonic()
        patience = {True: min(quiet, random.uniform(STAGED, 2 * STAGED)), False: quiet}
        while current := self._still_there(image_id):
            waited = time.monotonic() - begun
            # Also a whole one: until the import has let go of it, Glance saves it once more as it was.
            if current.status == "importing" or current.import_task:
                self.reporter.line(current.name, "is being imported already: waiting for it")
                with suppress(CloudError):
                    return self.glance.wait(image_id, begun + self.timeout, self.stop)
                return self._still_there(image_id)
            if (current.status == "queued" or is_staged(current)) and waited < patience[is_staged(current)]:
                self.pause(0.5)
                continue
            # What nothing has happened to for days was left by a Glance that died itself.
            idle = current.status not in ("uploading", "saving") or is_stale(current, datetime.now(UTC).date())
            if idle or is_staged(current):
                return current
            if waited > SETTLE:
                raise CloudError(f"{image_id} is being uploaded by someone else; run again when that is done")
            self.pause(0.5)
        return None

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
