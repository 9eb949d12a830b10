"""How the bytes of one version come into Glance: which way, with which promise, and what happens when it fails."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from urllib.parse import unquote, urlsplit

from openstack_image_manager import checksums, desired
from openstack_image_manager.builds import WHOLE, is_stale
from openstack_image_manager.changes import diff
from openstack_image_manager.errors import CloudError, Error, FetchError, Interrupted, VerificationError
from openstack_image_manager.format import public_url
from openstack_image_manager.glance import Glance
from openstack_image_manager.model import Create, Image
from openstack_image_manager.sources import Reporter, Source, Sources, urls_of
from openstack_image_manager.ways import ImportOptions, Way, choose

QUIET = 10.0  # seconds after which an empty record that nobody fills is taken for left behind
MOST_IDS = 50
STAGE_TRIES = 3
TRANSIENT = (None, 500, 502, 503, 504)  # None: no answer at all
SETTLE = 60.0  # seconds for Glance to notice that an upload's client is gone


@dataclass
class Importer:
    """Brings versions into one cloud; shared by the workers of a run."""

    glance: Glance
    options: ImportOptions
    converts: bool | None
    stop: threading.Event
    reporter: Reporter
    tag: str
    run: str = field(default_factory=lambda: str(uuid.uuid4()))
    _methods: frozenset[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sources(self) -> Sources:
        """Where bytes come from."""
        return Sources(self.options, self.stop, self.reporter)

    def methods(self) -> frozenset[str]:
        """The cloud's import methods, asked for once."""
        with self._lock:
            if self._methods is None:
                self._methods = self.glance.import_methods()
            return self._methods

    def bring_in(self, change: Create) -> Image:
        """The image, active and verified but not yet published. Whatever fails is removed again. Raises Error."""
        change = self._with_checksum(change)
        way = choose(change.version, self.methods(), self.converts, self.options)
        deadline = time.monotonic() + self.options.timeout
        for attempt in range(1, self.options.tries + 1):
            try:
                return self._attempt(change, way, deadline)
            except CloudError as error:
                if way.method == "web-download" and self.options.method == "auto" and self.options.fall_back:
                    self.reporter.line(change.subject, f"{error}; now through this machine")
                    staged = replace(self.options, method="glance-direct")
                    way = choose(change.version, self.methods(), self.converts, staged)
                    return self._attempt(replace(change, left=None), way, deadline)
                if attempt == self.options.tries or error.status is not None:
                    raise
                self.reporter.line(change.subject, f"{error}; next try")
                change = replace(change, left=None)
        raise AssertionError("unreachable")

    def _with_checksum(self, change: Create) -> Create:
        """The checksum from the version's checksum file, where the definition names the file only."""
        version = change.version
        if version.checksum or not version.checksum_file or self.options.verify is False:
            return change
        from openstack_image_manager.fetch import fetch_text

        text = fetch_text(version.checksum_file)
        checksum = checksums.find(text, unquote(urlsplit(version.url).path.rpartition("/")[2]))
        return replace(change, version=version.model_copy(update={"checksum": str(checksum)}))

    def _attempt(self, change: Create, way: Way, deadline: float) -> Image:
        # Before anything is made in Glance, a wrong address or a wrong file leaves no trace there. Where Glance must be
        # asked first whether this user may publish, nothing is fetched before it has said yes.
        asks = self._asks_first(change)
        source = None if asks else self._look(change, way, deadline)
        record, ours = self._record(change, way)
        if record.status in WHOLE:
            return record
        try:
            if asks:
                source = self._look(change, way, deadline)
            if way.method == "web-download":
                image = self._web_download(change, record.id, deadline)
            else:
                if not is_staged(record):
                    self._stage(change, record.id, deadline, source or self.sources.first(change, deadline))
                self.glance.import_image(record.id, way.method)
                image = self.glance.wait(record.id, deadline, self.stop, self._glance_says(change))
            if desired.has_wrong_bytes(image):
                got = f"{image.hash_algorithm}:{image.hash_value}"
                raise VerificationError(f"wrong checksum: expected {change.version.checksum}, Glance has {got}")
        except Interrupted:
            raise
        except Exception:  # whatever went wrong, no half-made record stays behind
            if ours:
                self._discard(record.id, keep=change.version.id is not None)
            raise
        finally:
            if source:
                source.download.close()
        return image

    def _asks_first(self, change: Create) -> bool:
        return change.wanted.visibility == "public" and not self.glance.is_admin()

    def _look(self, change: Create, way: Way, deadline: float) -> Source | None:
        """The open source of what goes through here; what Glance fetches by itself is looked at only."""
        if way.method == "web-download":
            self.sources.look_at(change, deadline)
            return None
        staged = change.left is not None and is_staged(change.left)
        return None if staged else self.sources.first(change, deadline)

    def _discard(self, image_id: str, keep: bool = False) -> None:
        """Delete a record that came to nothing; never what somebody has finished meanwhile. `keep`: its id was chosen
        and can't be had again, so an empty record stays for the next run."""
        with suppress(CloudError):
            current = self.glance.get(image_id)
            whole = current.status in WHOLE
            if (whole and desired.is_pending(current)) or (not whole and not keep):
                self.glance.delete(image_id)

    def _record(self, change: Create, way: Way) -> tuple[Image, bool]:
        """The record in Glance to be filled, and whether it is ours alone. Of several runs at the same moment one
        makes it, as its id follows from what it is; the others wait for that one."""
        version, wanted = change.version, change.wanted
        properties = {**wanted.properties, desired.VERIFIED: desired.PENDING + way.promise, desired.RUN: self.run}
        initial = replace(
            wanted,
            # Until it is published no one may take it for the current one.
            name=desired.image_name(change.definition, version.version, newest=False),
            visibility="private",
            hidden=False,
            status="queued",
            properties=properties,
        )
        left, checksum = change.left, None if self.options.verify is False else version.checksum
        for number in range(MOST_IDS):
            left = self._settled(left.id, QUIET) if left else None
            if left and left.status in WHOLE and not desired.has_wrong_bytes(left, checksum):
                return left, False
            if left and left.disk_format == initial.disk_format:
                if is_staged(left) and left.properties.get(desired.VERIFIED) == properties[desired.VERIFIED]:
                    return left, False
                if version.id and left.status == "queued":
                    return self.glance.patch(left.id, diff(left, initial)), True
            if left:
                self._discard(left.id)
            try:
                record = replace(initial, id=version.id or self._id(change, number))
                if self._asks_first(change):
                    return self._record_if_may_publish(record), True
                return self.glance.create(record), True
            except CloudError as error:
                if error.status != 409 or version.id:
                    raise
            left = self._twin(self._id(change, number), initial)
        raise CloudError(f"found no free id for version {version.version}; try again tomorrow")

    def _id(self, change: Create, number: int) -> str:
        """An id that runs at the same moment agree on; `number` counts those that were used up today."""
        day = time.strftime("%Y%m%d", time.gmtime())
        what = (self.glance.project, self.tag, change.definition.name, change.version.version, day, str(number))
        return str(uuid.uuid5(uuid.NAMESPACE_URL, "\n".join(map(str, what))))

    def _twin(self, image_id: str, initial: Image) -> Image | None:
        """The image that has the id already, if it is ours and the same version; None: gone, or something else."""
        try:
            twin = self.glance.get(image_id)
        except CloudError as error:
            if error.status != 404:
                raise
            return None
        keys = ("image_name", "internal_version")
        same = all(twin.properties.get(key) == initial.properties[key] for key in keys)
        return twin if same and self.tag in twin.tags and twin.owner == self.glance.project else None

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

    def _settled(self, image_id: str, quiet: float) -> Image | None:
        """What became of an image that another run, dead or alive, is working on; None: it is gone. An empty record is
        left behind when nothing happens to it for `quiet` seconds: a run that is alive fills it at once."""
        begun = time.monotonic()
        while True:
            try:
                current = self.glance.get(image_id)
            except CloudError as error:
                if error.status == 404:
                    return None
                raise
            waited = time.monotonic() - begun
            if current.status == "importing" or (current.import_task and current.status not in WHOLE):
                self.reporter.line(current.name, "is being imported already: waiting for it")
                with suppress(CloudError):
                    return self.glance.wait(image_id, begun + self.options.timeout, self.stop)
                return self.glance.get(image_id)
            if current.status == "queued" and waited < quiet:
                self._pause(0.5)
                continue
            # What nothing has happened to for days was left by a Glance that died itself.
            idle = current.status not in ("uploading", "saving") or is_stale(current, datetime.now(UTC).date())
            if idle or is_staged(current):
                return current
            if waited > SETTLE:
                raise CloudError(f"{image_id} is being uploaded by someone else; run again when that is done")
            self._pause(0.5)

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted("interrupted")

    def _web_download(self, change: Create, image_id: str, deadline: float) -> Image:
        failures = []
        for url in urls_of(change.version):
            try:
                self.glance.import_image(image_id, "web-download", url)
                return self.glance.wait(image_id, deadline, self.stop, self._glance_says(change))
            except CloudError as error:
                if error.status not in (None, 400):
                    raise
                failures.append(f"{public_url(url)}: {error}")
        raise CloudError("; ".join(failures))

    def _stage(self, change: Create, image_id: str, deadline: float, source: Source) -> None:
        """Bytes to the staging area. Begins anew when the cloud breaks off, and with the upstream when the bytes of the
        mirror turn out to be wrong."""
        urls = urls_of(change.version)
        later, tries = urls[urls.index(source.url) + 1 :], STAGE_TRIES
        while True:
            try:
                with source.download:
                    self.glance.stage(image_id, source.body)
                return
            except Error as error:
                # Glance needs a moment to notice, and refuses other bytes until then.
                self._pause(1.0)
                image = self._settled(image_id, 0)
                if image is not None and is_staged(image):
                    return  # only Glance's answer was lost
                if isinstance(error, CloudError) and error.status in TRANSIENT and tries > 1:
                    tries -= 1
                    again, then = source.url, "next try"
                elif isinstance(error, FetchError | VerificationError) and later:
                    again = later.pop(0)
                    then = f"taken from {public_url(again)}"
                else:
                    raise
                self.reporter.line(change.subject, f"{error}; {then}")
            source = self.sources.open(again, change, deadline)

    def _glance_says(self, change: Create) -> Callable[[str], None] | None:
        """Where Glance's progress goes; None where no one watches, which saves the calls that ask for it."""
        if not self.reporter.live:
            return None
        return lambda message: self.reporter.progress(change.subject, message)


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
