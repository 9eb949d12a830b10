"""Import the bytes of one version into Glance, and retry, fall back or clean up when that fails."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from openstack_image_manager.apply.image_record import ImageRecords, RecheckCreate
from openstack_image_manager.apply.import_method import ChosenMethod, ImportOptions, choose
from openstack_image_manager.apply.other_runs import is_staged
from openstack_image_manager.apply.sources import Source, Sources, glance_url, source_urls
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import CloudError, Error, FetchError, Interrupted, VerificationError
from openstack_image_manager.model import WHOLE, Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Create
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.transfer.checksum_files import with_checksum

STAGE_TRIES = 3
TRANSIENT = (None, 500, 502, 503, 504)  # None: no answer at all
SHARE = 0.5  # part of --import-timeout that is left for staging after a web-download that hung
LARGEST = 64 * 1024**4  # bytes of a disk; no server has a larger one


class WrongBytesError(VerificationError):
    """Glance fetched other bytes than the definition promises; `url`: from where."""

    def __init__(self, message: str, url: str) -> None:
        super().__init__(message)
        self.url = url


class ConvertedError(VerificationError):
    """Glance converted the image, so its digest cannot be compared."""


@dataclass
class Importer:
    """Imports versions into one cloud; shared by the workers of a run."""

    glance: Glance
    options: ImportOptions
    converts: Mapping[str, bool | None]
    stop: threading.Event
    reporter: Reporter
    records: ImageRecords
    _methods: frozenset[str] | None = None
    _converting: set[str] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def sources(self) -> Sources:
        """The URLs of versions."""
        return Sources(self.options, self.stop, self.reporter)

    def methods(self) -> frozenset[str]:
        """The cloud's import methods; asked for once."""
        with self._lock:
            if self._methods is None:
                self._methods = self.glance.import_methods()
            return self._methods

    def import_version(self, change: Create, recheck: RecheckCreate) -> Image:
        """The image, active and verified but not yet published. A failed import leaves nothing. `recheck`: see
        `ImageRecords.record`. Raises Error."""
        deadline = time.monotonic() + self.options.timeout
        if self.options.verify is not False:
            change = replace(change, version=with_checksum(change.version, deadline=deadline, stop=self.stop))
        method = self._choose(change, self.options)
        for attempt in range(1, self.options.tries + 1):
            try:
                if method.name == "web-download":
                    return self._fetched_by_glance(change, method, deadline, recheck)
                return self._attempt(change, method, deadline, recheck)
            except (CloudError, WrongBytesError, ConvertedError) as error:
                if method.name == "web-download" and self.options.method == "auto" and self.options.fall_back:
                    self.reporter.line(change.subject, f"{error}; now through this machine")
                    method = self._choose(change, replace(self.options, method="glance-direct"))
                    deadline = max(deadline, time.monotonic() + SHARE * self.options.timeout)
                    return self._attempt(change, method, deadline, recheck)
                if attempt == self.options.tries or not isinstance(error, CloudError) or error.status is not None:
                    raise
                self.reporter.line(change.subject, f"{error}; next try")
        raise AssertionError("unreachable")

    def _choose(self, change: Create, options: ImportOptions) -> ChosenMethod:
        disk_format = change.definition.format
        converts = disk_format in self._converting or self.converts.get(disk_format)
        return choose(change.version, self.methods(), converts, options)

    def _fetched_by_glance(
        self, change: Create, method: ChosenMethod, deadline: float, recheck: RecheckCreate
    ) -> Image:
        """Let Glance fetch the image: from the next URL when one has the wrong bytes."""
        # Before anything is created in Glance: a wrong URL or a wrong file leaves no trace there.
        urls = self.sources.for_web_download(change, deadline)
        while True:
            try:
                return self._attempt(change, method, deadline, recheck, urls)
            except WrongBytesError as error:
                urls = urls[urls.index(error.url) + 1 :]
                if not urls:
                    raise
                self.reporter.line(change.subject, f"{error}; taken from {public_url(urls[0])}")

    def _attempt(
        self,
        change: Create,
        method: ChosenMethod,
        deadline: float,
        recheck: RecheckCreate,
        urls: Sequence[str] = (),
        last: bool = False,
    ) -> Image:
        """One record, filled. `urls`: from where Glance fetches it; `last`: create no other record if it is lost."""
        with self._opened(change, method, deadline) as source:
            record, ours = self.records.record(change, method, recheck)
            if record.status in WHOLE:
                return record
            try:
                return self._filled(change, method, deadline, record, source, urls)
            except Interrupted:
                raise
            except Exception as error:  # no half-made record stays behind, whatever went wrong
                if ours:
                    self.records.give_up(record.id, keep=change.version.id is not None or self.records.same_ids)
                # The record is gone: another run failed and deleted it, or considered ours abandoned. Or two import
                # orders crossed, and Glance carried out neither.
                status = error.status if isinstance(error, CloudError) else None
                lost = f"{record.id} was deleted by someone during its import"
                if status == 404 and last:
                    raise CloudError(f"{lost}, as was the one before: run again", 404) from None
                if status != 404 and (last or ours or status != 409):
                    raise
                self.reporter.line(change.subject, f"{lost if status == 404 else error}; next try")
        return self._attempt(change, method, deadline, recheck, urls, last=True)

    def _filled(
        self,
        change: Create,
        method: ChosenMethod,
        deadline: float,
        record: Image,
        source: Source | None,
        urls: Sequence[str],
    ) -> Image:
        """The image: the record with its bytes."""
        url = None
        if method.name == "web-download":
            image, url = self._web_download(change, record.id, deadline, urls)
        else:
            if not is_staged(record):
                self._stage(change, record.id, deadline, source or self.sources.first(change, deadline))
            self.glance.import_image(record.id, method.name, stores=change.wanted.stores)
            image = self.glance.wait(record.id, deadline, self.stop, self.task_progress(change.subject))
        if max(image.virtual_size or 0, image.size or 0) > LARGEST:
            raise VerificationError(f"it claims to be a disk of {image.virtual_size} bytes; no disk is that large")
        if markers.has_wrong_bytes(image):
            disk_format = change.definition.format
            if url and image.disk_format != disk_format:
                self._converting.add(disk_format)
                raise ConvertedError(
                    f"this cloud converts {disk_format} to {image.disk_format}, so Glance's digest is not that of the "
                    "definition"
                )
            got = f"{image.hash_algorithm}:{image.hash_value}"
            wrong = f"wrong checksum: expected {change.version.checksum}, Glance has {got}"
            raise WrongBytesError(f"{public_url(url)}: {wrong}", url) if url else VerificationError(wrong)
        return image

    @contextmanager
    def _opened(self, change: Create, method: ChosenMethod, deadline: float) -> Iterator[Source | None]:
        """The open source of an image that is staged; opened before the record is created, so that a wrong URL or file
        leaves no trace in Glance."""
        staged = change.leftover is not None and is_staged(change.leftover)
        source = None if staged or method.name == "web-download" else self.sources.first(change, deadline)
        try:
            yield source
        finally:
            if source:
                source.download.close()

    def _web_download(self, change: Create, image_id: str, deadline: float, urls: Sequence[str]) -> tuple[Image, str]:
        """The image, and the URL from which Glance fetched it."""
        failures = []
        for url in urls:
            try:
                self.glance.import_image(image_id, "web-download", glance_url(url), change.wanted.stores)
                return self.glance.wait(image_id, deadline, self.stop, self.task_progress(change.subject)), url
            except CloudError as error:
                if error.status not in (None, 400):
                    raise
                failures.append(f"{public_url(glance_url(url))}: {error}")
        raise CloudError("; ".join(failures))

    def _stage(self, change: Create, image_id: str, deadline: float, source: Source) -> None:
        """Upload the bytes to the staging area. Starts again when the cloud breaks the upload off, and continues with
        the upstream when the mirror has the wrong bytes."""
        urls = source_urls(change.version)
        later, tries = urls[urls.index(source.url) + 1 :], STAGE_TRIES
        while True:
            try:
                with source.download:
                    self.glance.stage(image_id, source.body)
                return
            except Error as error:
                # Glance needs a moment to notice the broken upload, and refuses other bytes until then.
                self.records.others.pause(1.0)
                image = self.records.others.settled(image_id, 0)
                if image is not None and (is_staged(image) or image.status in WHOLE):
                    return  # only Glance's answer was lost, or another run uploaded the bytes
                if isinstance(error, CloudError) and error.status in TRANSIENT and tries > 1:
                    tries -= 1
                    url, then = source.url, "next try"
                elif isinstance(error, FetchError | VerificationError) and later:
                    url = later.pop(0)
                    then = f"taken from {public_url(url)}"
                else:
                    raise
                self.reporter.line(change.subject, f"{error}; {then}")
            source = self.sources.open(url, change, deadline)

    def task_progress(self, subject: str) -> Callable[[str], None] | None:
        """Where to report the messages of Glance's task; None without a terminal, which saves the requests for it."""
        if not self.reporter.live:
            return None
        return lambda message: self.reporter.progress(subject, message)
