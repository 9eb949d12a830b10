"""The record in Glance that one version is imported into: one for all runs at the same moment, and none left behind."""

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

TAKEOVER_PAUSE = 1.0  # seconds after which a record that was taken over tells who has it
TAGGED = 3.0  # seconds after which a new record has its tags, which Glance writes after all else
SHARED_IDS = 5  # ids that runs agree on; anyone can take them, so that after these it is a random one
SAME_IDS = 10  # as many where clouds agree on them
MOST_IDS = 100  # each failure of a day uses one up
SECOND = 1.1  # seconds after which Glance gives no other record the same created_at
RecheckCreate = Callable[[Create, bool], Create]
UNCERTAIN = (404, 409, 500)  # what Glance answers to a change that another run was quicker with


@dataclass(frozen=True)
class ImageRecords:
    """Records of one run in one cloud, among those of the others.

    `same_ids`: a version shall have the same id in every cloud; `elsewhere`: the ids that it has in other clouds."""

    others: OtherRuns
    tag: str
    same_ids: bool = False
    elsewhere: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    run: str = field(default_factory=lambda: str(uuid.uuid4()))

    def give_up(self, image_id: str, keep: bool = False) -> None:
        """Delete this run's record, which came to nothing; never one that another run has taken over, nor what somebody
        has finished meanwhile. `keep`: its id was chosen and can't be had again, so an empty record stays for the next
        run."""
        self._discard(image_id, keep, self.run)

    def _discard(self, image_id: str, keep: bool = False, run: str | None = None) -> None:
        with suppress(CloudError):
            current = self.others.glance.get(image_id)
            if run and current.properties.get(markers.RUN) != run:
                return
            whole = current.status in WHOLE
            if (whole and markers.is_pending(current)) or (not whole and not keep):
                self.others.glance.delete(image_id)

    def record(self, change: Create, way: ChosenMethod, again: RecheckCreate) -> tuple[Image, bool]:
        """The record in Glance to be filled, and whether it is ours alone. Of several runs at the same moment one
        makes it, as its id follows from what it is; the others wait for that one. `again`: looks whether the version is
        still missing (True: with a new look), and gives the change with what is left of it by now."""
        initial = self._initial(change, way)
        left = self._ours(again(change, False).leftover, change)
        for number in range(MOST_IDS):
            left = self.others.settled(left.id, 0 if self._is_own(left) else QUIET) if left else None
            if left:
                record, left = self._of_left(left, initial, change, way, number)
                if record:
                    return record, record.status == "queued"
                if left:
                    continue
            image_id, agreed = self._next_id(change, number)
            if not agreed and (left := self._met(initial)):
                continue
            record = replace(initial, id=image_id)
            try:
                made = self._new(record, change.wanted.visibility)
            except CloudError as error:
                if error.status != 409:
                    raise
                refusal = error
            else:
                left = None if agreed else self._earlier(made)
                if left is None:
                    return made, True
                continue
            left = self._twin(record, change)
            if left is None:
                self._refused(change, image_id, number, refusal)
                # Another run may have given it to its owner already.
                left = self._ours(again(change, True).leftover, change)
        raise Error(f"found no free id for version {change.version.version}: {MOST_IDS} are taken")

    def _initial(self, change: Create, way: ChosenMethod) -> Image:
        """The record as it is made."""
        wanted = change.wanted
        properties = {**wanted.properties, markers.VERIFIED: markers.PENDING + way.promise, markers.RUN: self.run}
        return replace(
            wanted,
            # Until it is published no one may take it for the current one.
            name=naming.image_name(change.definition, change.version.version, newest=False),
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

    def _of_left(
        self, left: Image, initial: Image, change: Create, way: ChosenMethod, number: int
    ) -> tuple[Image | None, Image | None]:
        """The record to go on with, of what is left of a version; or what to look at once more; or neither: it is
        removed."""
        version, promise = change.version, initial.properties[markers.VERIFIED]
        if left.status in WHOLE and not markers.has_wrong_bytes(
            left, None if way.promise == UNVERIFIED else version.checksum
        ):
            return left, None
        if left.disk_format == initial.disk_format:
            same = left.properties.get(markers.VERIFIED) == promise
            if is_staged(left) and same and way.method == "glance-direct":
                return left, None
            if left.status == "queued" and (version.id or self._keeps(left.id, change, number)):
                taken = self._taken_over(left, initial)
                return taken, left
        self._discard(left.id)
        return None, None

    def _next_id(self, change: Create, number: int) -> tuple[str, bool]:
        """The id to try, and whether other runs come to the same one."""
        if change.version.id:
            return change.version.id, True
        if number < self._agreed():
            return self._id(change, number), True
        return str(uuid.uuid4()), False

    def _refused(self, change: Create, image_id: str, number: int, refusal: CloudError) -> None:
        """Say who has the id. Raises CloudError for a chosen id."""
        there = self.others.still_there(image_id)
        if there is None:
            whose = "by an image that is deleted, or that this user may not see"
        elif there.owner == self.others.glance.project:
            whose = "by another image of this project"
        else:
            whose = f"by an image of project {there.owner}"
        if change.version.id:
            raise CloudError(f"its id {image_id} is taken {whose}; choose another id ({refusal})", 409) from None
        last = number == self._agreed() - 1
        if self.same_ids or last or (there and there.owner != self.others.glance.project):
            then = "a random one" if last else "another one"
            self.others.reporter.line(change.subject, f"the id {image_id} is taken {whose}: {then}")

    def _agreed(self) -> int:
        return SAME_IDS if self.same_ids else SHARED_IDS

    def _met(self, initial: Image) -> Image | None:
        """The record that another run is making of the same version, whatever its id; None: there is none."""
        records = self._records(initial)
        return records[0] if records else None

    def _earlier(self, made: Image) -> Image | None:
        """The record that stands in place of this run's new one, which is given up then; None: this one stands."""
        self.others.pause(SECOND)
        records = self._records(made)
        if not records or records[0].id == made.id:
            return None
        self.give_up(made.id)
        return records[0]

    def _records(self, initial: Image) -> list[Image]:
        """Unpublished images of this project for the version, the first one first."""
        keys = ("image_name", "internal_version")
        name = initial.properties["image_name"]
        found = [
            image
            for image in self.others.glance.of_definition(self.tag, name)
            if image.owner == self.others.glance.project
            and image.status not in GONE
            and markers.is_pending(image)
            and all(image.properties.get(key) == initial.properties[key] for key in keys)
        ]
        return sorted(found, key=lambda image: (image.created_at, image.id))

    def _ours(self, image: Image | None, change: Create) -> Image | None:
        """The image, if it is of this project; or of another one with the bytes of the version."""
        if image is None or image.owner == self.others.glance.project:
            return image
        claim = claim_of(change.definition, change.version, image, self.others.glance.project)
        known = image.visibility == "public" or image.owner == change.definition.owner
        if not known or claim is not Claim.PROVEN or image.status not in WHOLE:
            return None
        return None if is_hidden_by_others(image) else image

    def _taken_over(self, left: Image, initial: Image) -> Image | None:
        """An empty record that was left behind, as this run's own; None: another run was quicker, see what it makes."""
        begun = time.monotonic()
        try:
            self.others.glance.patch(left.id, diff(left, initial))
        except CloudError as error:
            if error.status not in UNCERTAIN:
                raise
        if not self._is_own(left):
            self.others.pause(max(TAKEOVER_PAUSE, 2 * (time.monotonic() - begun)))
        current = self.others.still_there(left.id)
        return current if current and self._is_own(current) else None

    def _is_own(self, image: Image) -> bool:
        return image.properties.get(markers.RUN) == self.run

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
            what = [str(self.others.glance.project), *what, _day(time.time()), str(number)]
        return record_id(*what)

    def _twin(self, record: Image, change: Create) -> Image | None:
        """The image that has the record's id, if it is ours and the same version; None: gone, or something else."""
        keys = ("image_name", "internal_version")
        # The tag is part of an id that was made here; other ids may be those of images with another tag.
        made_here = not self.same_ids and change.version.id is None
        limit = time.monotonic() + TAGGED
        while twin := self.others.still_there(record.id):
            same = all(twin.properties.get(key) == record.properties[key] for key in keys)
            if not same or self._ours(twin, change) is None:
                return None
            if self.tag in twin.tags:
                return twin
            if twin.status != "queued":
                return None
            if made_here and markers.is_pending(twin):
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
            raise with_missing_right(error, "public") from None
        return self.others.glance.patch(record.id, diff(record, replace(record, visibility="private", hidden=False)))


def record_id(*what: str) -> str:
    """The id that follows from project, tag, definition, version, day and number."""
    return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(what)))


def _day(seconds: float) -> str:
    return time.strftime("%Y%m%d", time.gmtime(seconds))


def with_missing_right(error: CloudError, visibility: str) -> Error:
    """A refusal of a visibility, with the right that is missing."""
    right = {"public": "publicize_image", "community": "communitize_image"}.get(visibility)
    if error.status != 403 or right is None:
        return error
    return CloudError(
        f"may not be made {visibility}: this user lacks the right {right} in Glance's policy (by default the role "
        f"admin has it); use a user that has it, or another visibility in the definition ({error})",
        403,
    )
