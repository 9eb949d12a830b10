"""How the bytes of one version come into Glance: which way, with which promise, and what happens when it fails."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Protocol

from openstack_image_manager import desired
from openstack_image_manager.builds import WHOLE
from openstack_image_manager.changes import diff
from openstack_image_manager.errors import CloudError, Error, FetchError, Interrupted, VerificationError
from openstack_image_manager.format import Checksum, Version, public_url
from openstack_image_manager.glance import Glance
from openstack_image_manager.model import Create, Image
from openstack_image_manager.ways import ImportOptions, Way, choose

STAGE_TRIES = 3
TRANSIENT = (None, 500, 502, 503, 504)  # None: no answer at all
SETTLE = 60.0  # seconds for Glance to notice that an upload's client is gone


class Reporter(Protocol):
    """Where progress goes: a terminal (`live`), or lines of a log."""

    live: bool

    def line(self, subject: str, message: str) -> None:
        """Something happened that is worth a line of its own."""

    def progress(self, subject: str, message: str, done: int | None = None, total: int | None = None) -> None:
        """Bytes moved, or Glance's own words; as often as it likes."""

    def finished(self, subject: str) -> None:
        """No more progress of this one."""


@dataclass
class Importer:
    """Brings versions into one cloud; shared by the workers of a run."""

    glance: Glance
    options: ImportOptions
    converts: bool | None
    stop: threading.Event
    reporter: Reporter
    _methods: frozenset[str] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def methods(self) -> frozenset[str]:
        """The cloud's import methods, asked for once."""
        with self._lock:
            if self._methods is None:
                self._methods = self.glance.import_methods()
            return self._methods

    def bring_in(self, change: Create) -> Image:
        """The image, active and verified but not yet published. Whatever fails is removed again. Raises Error."""
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

    def _attempt(self, change: Create, way: Way, deadline: float) -> Image:
        record = self._record(change, way)
        if record.status in WHOLE:
            return record
        try:
            if way.method == "web-download":
                image = self._web_download(change, record.id, deadline)
            else:
                if not is_staged(record):
                    self._stage(change, record.id, deadline)
                self.glance.import_image(record.id, way.method)
                image = self.glance.wait(record.id, deadline, self.stop, self._glance_says(change))
            if desired.has_wrong_bytes(image):
                got = f"{image.hash_algorithm}:{image.hash_value}"
                raise VerificationError(f"wrong checksum: expected {change.version.checksum}, Glance has {got}")
        except Interrupted:
            raise
        except Exception:
            with suppress(CloudError):
                self.glance.delete(record.id)
            raise
        return image

    def _record(self, change: Create, way: Way) -> Image:
        """The record in Glance to be filled: a new one, or what an interrupted run left."""
        definition, version, wanted = change.definition, change.version, change.wanted
        initial = replace(
            wanted,
            id=version.id or str(uuid.uuid4()),
            # Until it is published no one may take it for the current one.
            name=desired.image_name(definition, version.version, newest=False),
            visibility="private",
            hidden=False,
            status="queued",
            properties={**wanted.properties, desired.VERIFIED: desired.PENDING + way.promise},
        )
        left = None
        if change.left:
            importing = change.left.status == "importing"
            left = self._settled(change.left.id, self.options.timeout if importing else SETTLE)
        if left and left.status in WHOLE and not desired.has_wrong_bytes(left):
            return left
        if left and left.disk_format == initial.disk_format:
            promised = left.properties.get(desired.VERIFIED) == initial.properties[desired.VERIFIED]
            if is_staged(left) and promised:
                return left
            if left.status == "queued":
                return self.glance.patch(left.id, diff(left, replace(initial, status="queued")))
        if left:
            self.glance.delete(left.id)
        if wanted.visibility == "public" and not self.glance.is_admin():
            return self._record_if_may_publish(initial)
        return self.glance.create(initial)

    def _record_if_may_publish(self, initial: Image) -> Image:
        """Only Glance's policy knows who may publish. Ask it before bytes move, with a record that is hidden and
        empty, rather than after an hour of uploading."""
        try:
            record = self.glance.create(replace(initial, visibility="public", hidden=True))
        except CloudError as error:
            raise explained(error, "public") from None
        return self.glance.patch(record.id, diff(record, replace(record, visibility="private", hidden=False)))

    def _settled(self, image_id: str, patience: float) -> Image | None:
        """What became of an image that another run, dead or alive, was working on; None: it is gone."""
        limit = time.monotonic() + patience
        while True:
            try:
                current = self.glance.get(image_id)
            except CloudError as error:
                if error.status == 404:
                    return None
                raise
            if current.status == "importing" or current.import_task:
                self.reporter.line(current.name, "is being imported already: waiting for it")
                with suppress(CloudError):
                    return self.glance.wait(image_id, limit, self.stop)
                return self.glance.get(image_id)
            if current.status not in ("uploading", "saving") or is_staged(current):
                return current
            if time.monotonic() > limit:
                raise CloudError(f"{image_id} is being uploaded by someone else; run again when that is done")
            self._pause(0.5)

    def _pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted("interrupted")

    def _web_download(self, change: Create, image_id: str, deadline: float) -> Image:
        failures = []
        for url in _urls(change.version):
            try:
                self.glance.import_image(image_id, "web-download", url)
                return self.glance.wait(image_id, deadline, self.stop, self._glance_says(change))
            except CloudError as error:
                if error.status not in (None, 400):
                    raise
                failures.append(f"{public_url(url)}: {error}")
        raise CloudError("; ".join(failures))

    def _stage(self, change: Create, image_id: str, deadline: float) -> None:
        """Bytes from the mirror, or else from the upstream, to the staging area."""
        failures: list[str] = []
        for url in _urls(change.version):
            try:
                self._stage_from(url, change, image_id, deadline)
                break
            except (FetchError, VerificationError) as error:
                at = "" if public_url(url) in str(error) else f"{public_url(url)}: "
                failures.append(f"{at}{error}")
        else:
            raise VerificationError("; ".join(failures))
        if failures:
            self.reporter.line(change.subject, f"{failures[0]}; taken from {public_url(url)}")

    def _stage_from(self, url: str, change: Create, image_id: str, deadline: float) -> None:
        """Bytes from the URL to the staging area, verified; begins anew when the cloud breaks off."""
        from openstack_image_manager.fetch import Download
        from openstack_image_manager.stream import Verified

        verify = self.options.verify is not False
        checksum = Checksum.parse(change.version.checksum) if change.version.checksum and verify else None
        algorithm = checksum.algorithm if checksum else "sha256"

        def progress(done: int, total: int | None) -> None:
            self.reporter.progress(change.subject, "fetching", done, total)

        for left in reversed(range(STAGE_TRIES)):
            body = None
            try:
                with Download(url, algorithm, deadline, self.stop, progress) as download:
                    body = _Body(Verified(download, change.definition.format, checksum))
                    self.glance.stage(image_id, body)
                return
            except Error as error:
                if body is not None:
                    # Glance needs a moment to notice, and refuses other bytes until then.
                    self._pause(1.0)
                    image = self._settled(image_id, SETTLE)
                    if image is not None and is_staged(image):
                        return  # only Glance's answer was lost
                if not left or not isinstance(error, CloudError) or error.status not in TRANSIENT:
                    raise
                self.reporter.line(change.subject, f"{error}; next try")

    def _glance_says(self, change: Create) -> Callable[[str], None] | None:
        """Where Glance's progress goes; None where no one watches, which saves the calls that ask for it."""
        if not self.reporter.live:
            return None
        return lambda message: self.reporter.progress(change.subject, message)


def is_staged(image: Image) -> bool:
    """True when the staging area has all bytes: Glance tells the size once an upload to it is complete. Ours complete
    only with verified bytes."""
    return image.status == "uploading" and image.size is not None


class _Body:
    """The body of an upload, whose first bytes were read before the upload begins: what is wrong from the start, Glance
    never sees."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._rest: Iterator[bytes] | None = iter(chunks)
        self._first = next(self._rest)

    def __iter__(self) -> Iterator[bytes]:
        if self._rest is None:
            # An HTTP library that repeats its request would send an empty image.
            raise VerificationError("the upload was interrupted and can't be repeated; run again")
        rest, self._rest = self._rest, None
        yield self._first
        yield from rest


def _urls(version: Version) -> list[str]:
    return [url for url in (version.mirror_url, version.url) if url]


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
