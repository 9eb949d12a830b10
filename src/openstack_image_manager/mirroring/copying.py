"""One version on its way: from its upstream into the bucket, in one pass, visible only when everything was right."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

from openstack_image_manager.errors import StorageError, VerificationError
from openstack_image_manager.fetch import Download
from openstack_image_manager.format import Checksum, Version, public_url
from openstack_image_manager.mirroring.bucket import EXISTS, Bucket
from openstack_image_manager.mirroring.record import Record, metadata
from openstack_image_manager.mirroring.target import RECORD, Item
from openstack_image_manager.mirroring.verdict import Judged, Stored, Verdict, judge
from openstack_image_manager.sources import Reporter, with_checksum
from openstack_image_manager.stream import Verified

LONGEST = 6 * 3600.0  # seconds for one image


class Digests:
    """Hashes of what passes."""

    def __init__(self, *more: str) -> None:
        self.size = 0
        self._hashes = {name: hashlib.new(name) for name in dict.fromkeys(("sha256", "sha512", *more))}

    def feed(self, chunk: bytes) -> None:
        """The next bytes."""
        self.size += len(chunk)
        for each in self._hashes.values():
            each.update(chunk)

    def __getitem__(self, name: str) -> str:
        return self._hashes[name].hexdigest()


@dataclass(frozen=True, slots=True)
class Copier:
    """Brings versions into one bucket; shared by the workers of a run."""

    bucket: Bucket
    stop: threading.Event
    reporter: Reporter

    def bring(self, judged: Judged) -> tuple[str, Record]:
        """What was done, and the record that the object has now. Whatever fails leaves nothing. Raises Error."""
        item = judged.item
        version = with_checksum(item.version)
        if judged.verdict is Verdict.UNFINISHED and (record := self.finished(judged, version)):
            return "its bytes are right; the record was written", record
        try:
            return "copied", self._copy(item, version, judged.stored)
        except StorageError as error:
            if error.code != EXISTS:
                raise
        now = self.look(item)
        if now.verdict is Verdict.UNFINISHED and (record := self.finished(now, version)):
            return "another run has copied it meanwhile; the record was written", record
        if now.verdict is Verdict.CURRENT and now.stored and now.stored.record:
            return "another run has copied it meanwhile", now.stored.record
        raise StorageError(f"{item.key}: another program has written it meanwhile: {now.verdict}, {now.reason}")

    def look(self, item: Item) -> Judged:
        """The verdict on what is there now."""
        head = self.bucket.head(item.key)
        if head is None:
            return judge(item, None)
        entry, ours = head
        return judge(item, Stored(item.key, entry.size, entry.modified, self.bucket.record(item.key), ours))

    def _copy(self, item: Item, version: Version, old: Stored | None) -> Record:
        checksum = Checksum.parse(version.checksum) if version.checksum else None
        algorithm = checksum.algorithm if checksum else "sha256"
        digests = Digests()

        def progress(done: int, total: int | None) -> None:
            self.reporter.progress(item.subject, "copying", done, total)

        deadline = time.monotonic() + LONGEST
        with Download(version.url, algorithm, deadline, self.stop, progress, hint="") as download:
            body = self._verified(download, item, checksum)
            first = next(body)  # what is wrong from the start begins no upload
            with self.bucket.begin(item.key, metadata(version)) as upload:
                for chunk in _all(first, body):
                    digests.feed(chunk)
                    upload.write(chunk)
                upload.flush()
                source = f"{algorithm}:{download.hexdigest()}", download.done
                record = _record(item, version, source, digests)
                if old is not None:
                    self._make_way(old)
                upload.complete()
        self.bucket.put_record(item.key, record)
        return record

    def _make_way(self, old: Stored) -> None:
        if old.size is None:
            self.bucket.delete_record(old.key)
        else:
            self.bucket.delete(old.key)

    def _verified(self, download: Download, item: Item, checksum: Checksum | None) -> Iterator[bytes]:
        try:
            yield from Verified(download, item.definition.format, checksum)
        except VerificationError as error:
            raise VerificationError(f"{public_url(download.url)}: {error}") from None
        size = item.version.size
        if size is not None and download.done != size:
            raise VerificationError(
                f"{public_url(download.url)}: it has {download.done} bytes, the definition says {size}"
            )

    def finished(self, judged: Judged, version: Version) -> Record | None:
        """The record that a complete object lacks, written now; None if its bytes can't be shown to be right."""
        if version.checksum is None:
            return None
        checksum = Checksum.parse(version.checksum)
        digests = self.reread(judged, checksum.algorithm)
        if digests[checksum.algorithm] != checksum.digest:
            return None
        # The file as published was the object, or nobody knows it any more.
        record = _record(judged.item, version, (str(checksum), digests.size), digests)
        if version.size not in (None, digests.size):
            return None
        self.bucket.put_record(judged.item.key, record)
        return record

    def reread(self, judged: Judged, algorithm: str = "sha256") -> Digests:
        """Hashes of the bytes that are in the bucket. Raises StorageError, Interrupted."""
        digests = Digests(algorithm)
        total = judged.stored.size if judged.stored else None
        for chunk in self.bucket.read(judged.item.key, self.stop):
            digests.feed(chunk)
            self.reporter.progress(judged.item.subject, "verifying", digests.size, total)
        return digests

    def verified(self, judged: Judged) -> Judged:
        """The verdict after its bytes were read again."""
        record = judged.stored.record if judged.stored else None
        if judged.verdict is not Verdict.CURRENT or record is None:
            return judged
        got = self.reread(judged)
        if (got.size, got["sha256"], got["sha512"]) == (record.size, record.sha256, record.sha512):
            return judged
        reason = f"its bytes have sha256:{got['sha256']}, its record says sha256:{record.sha256}"
        return Judged(judged.item, Verdict.MISMATCH, reason, judged.stored)


def _all(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _record(item: Item, version: Version, source: tuple[str, int], digests: Digests) -> Record:
    proof = "definition" if item.version.checksum else "checksums_url" if version.checksum else "computed"
    return Record(
        name=item.definition.name,
        version=version.version,
        source=public_url(version.url),
        source_digest=source[0],
        source_size=source[1],
        checksum=version.checksum,
        proof=proof,
        signed_by=version.signed_by,
        signed_at=version.signed_at,
        sha256=digests["sha256"],
        sha512=digests["sha512"],
        size=digests.size,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def found(bucket: Bucket, prefix: str, keys: set[str], workers: int) -> dict[str, Stored]:
    """What is below the prefix, with records: one listing, one small GET for each record, and a HEAD for each of the
    `keys` that has none. Raises StorageError."""
    from concurrent.futures import ThreadPoolExecutor

    entries = {entry.key: entry for entry in bucket.entries(prefix)}
    recorded = {key.removesuffix(RECORD) for key in entries if key.endswith(RECORD)}

    def look(key: str) -> Stored | None:
        entry, record = entries.get(key), bucket.record(key) if key in recorded else None
        if entry is None:
            return Stored(key, None, entries[key + RECORD].modified, record) if record else None
        head = bucket.head(key) if record is None else None
        return Stored(key, entry.size, entry.modified, record, head is not None and head[1])

    with ThreadPoolExecutor(workers) as pool:
        seen = pool.map(look, sorted(recorded | (keys & set(entries))))
        return {stored.key: stored for stored in seen if stored}
