"""Copy one version from its upstream into the mirror in one pass. An object becomes visible only after all checks."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from openstack_image_manager.background import in_parallel
from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Version, public_url
from openstack_image_manager.errors import StorageError, VerificationError
from openstack_image_manager.mirror.digests import Digests
from openstack_image_manager.mirror.location import INDEX_FILE, RECORD, Item
from openstack_image_manager.mirror.plan import Comparison, Contents, StoredObject, Verdict, compare, contradiction
from openstack_image_manager.mirror.provenance import VERIFIED, Proof, Prover
from openstack_image_manager.mirror.record import Record, decode, description, encode, object_metadata
from openstack_image_manager.mirror.store import EXISTS, OTHER_RUN, Store, write_record
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.transfer.checksum_files import copy_checksum
from openstack_image_manager.transfer.download import Download
from openstack_image_manager.transfer.verified import VerifiedImage

COPIED_BY_ANOTHER_RUN = "another run has already copied it"  # its digest is known only from the bucket
TIMEOUT = 6 * 3600.0  # seconds for one image


@dataclass(frozen=True, slots=True)
class Copier:
    """Copy versions into one mirror; the workers of a run share it. `dry`: write nothing."""

    store: Store
    stop: threading.Event
    reporter: Reporter
    prover: Prover
    dry: bool = False

    def copy_version(self, comparison: Comparison) -> tuple[str, Record]:
        """Copy one version; return what was done and the record of the object. A failure leaves nothing behind. Raises
        Error."""
        item = comparison.item
        proof = self.prover.prove(item.definition, item.version)
        version = proof.version
        if comparison.verdict is Verdict.UNFINISHED and (record := self.complete_record(comparison, version)):
            return "its bytes are right; the record was written", record
        try:
            record = self._copy(item, proof, comparison.stored)
            return "copied" + (", its signature verified" if record.signature == VERIFIED else ""), record
        except StorageError as error:
            if error.code != EXISTS:
                raise
        now = self.compare(item)
        if now.verdict is Verdict.UNFINISHED and (record := self.complete_record(now, version)):
            return "another run has already copied it; the record was written", record
        if now.verdict is Verdict.CURRENT and now.stored and now.stored.record:
            return COPIED_BY_ANOTHER_RUN, now.stored.record
        if now.verdict in (Verdict.MISMATCH, Verdict.UNFINISHED):
            raise StorageError(f"{item.key}: {OTHER_RUN}")
        raise StorageError(f"{item.key}: another program has changed it: {now.verdict}, {now.reason}")

    def compare(self, item: Item) -> Comparison:
        """Compare the version with the object that the mirror has now."""
        head = self.store.head(item.key)
        if head is None:
            return compare(item, None)
        entry, ours = head
        record, damaged = read_record(self.store, item.key)
        return compare(item, StoredObject(item.key, entry.size, entry.modified, record, ours, damaged))

    def _copy(self, item: Item, proof: Proof, old: StoredObject | None) -> Record:
        version = proof.version
        checksum = Checksum.parse(version.checksum) if version.checksum else None
        algorithm = checksum.algorithm if checksum else "sha256"

        def progress(done: int, total: int | None) -> None:
            self.reporter.progress(item.subject, "copying", done, total)

        deadline = time.monotonic() + TIMEOUT
        with (
            Download(version.url, algorithm, deadline, self.stop, progress, hint="") as download,
            proof.check_image() as check,
        ):
            body = VerifiedImage(check.watch(download), item.definition.format, checksum)
            chunks = self._verified_chunks(download, item, body)
            first = next(chunks)  # an error in the first bytes begins no upload
            # The download hashes the published file, which is the object unless it was unpacked.
            known = frozenset[str]() if body.packed else frozenset({algorithm})
            with self.store.begin_upload(item.key, object_metadata(version)) as upload, Digests(known=known) as digests:
                for chunk in itertools.chain([first], chunks):
                    digests.feed(chunk)
                    check.image(chunk)
                    upload.write(chunk)
                upload.flush()
                proof = check.finish()
                digests.finish(**({} if body.packed else {algorithm: download.hexdigest()}))
                source = f"{algorithm}:{download.hexdigest()}", download.done
                record = _record(item, proof, source, digests)
                if reason := contradiction(item.version, record):
                    raise VerificationError(f"{public_url(version.url)}: {reason}")
                if old is not None:
                    self._delete_old(item, old)
                upload.complete(record)
        return record

    def _delete_old(self, item: Item, old: StoredObject) -> None:
        """Delete the old object, unless another run has replaced it. Raises StorageError, in that case with EXISTS."""
        now = self.compare(item).stored
        if now and (now.size, without_damage(now.record)) != (old.size, without_damage(old.record)):
            raise StorageError(f"{item.key}: {OTHER_RUN}", EXISTS)
        delete_object(self.store, old)

    def _verified_chunks(self, download: Download, item: Item, body: VerifiedImage) -> Iterator[bytes]:
        try:
            yield from body
        except VerificationError as error:
            raise VerificationError(f"{public_url(download.url)}: {error}") from None
        size = item.version.size
        if size is not None and download.done != size:
            raise VerificationError(
                f"{public_url(download.url)}: it has {download.done} bytes, the definition says {size}"
            )

    def complete_record(self, comparison: Comparison, version: Version) -> Record | None:
        """Write the missing record of a complete object; return None if its bytes cannot be verified."""
        if version.checksum is None:
            return None
        checksum, key = Checksum.parse(version.checksum), comparison.item.key
        before = self.store.head(key)
        digests = self.hash_object(comparison, checksum.algorithm)
        if digests[checksum.algorithm] != checksum.digest:
            return None
        # The published file was the object, or its digest is no longer known.
        record = _record(comparison.item, Proof(version), (str(checksum), digests.size), digests)
        if version.size not in (None, digests.size):
            return None
        write_record(self.store, key, record, lambda: self.store.head(key) == before)
        return record

    def hash_object(self, comparison: Comparison, algorithm: str = "sha256") -> Digests:
        """Hash the bytes of the stored object. Raises StorageError, Interrupted."""
        total = comparison.stored.size if comparison.stored else None
        with Digests(algorithm) as digests:
            for chunk in self.store.read(comparison.item.key, self.stop):
                digests.feed(chunk)
                self.reporter.progress(comparison.item.subject, "verifying", digests.size, total)
        return digests

    def verify(self, comparison: Comparison) -> Comparison:
        """Read the bytes of the object again and return the new comparison."""
        record = comparison.stored.record if comparison.stored else None
        if record is None or not (comparison.verdict is Verdict.CURRENT or record.damaged):
            return comparison
        promised = copy_checksum(comparison.item.version)
        expected = Checksum.parse(promised or f"sha256:{record.sha256}")
        digests = self.hash_object(comparison, expected.algorithm)
        recorded = (digests.size, digests["sha256"], digests["sha512"]) == (record.size, record.sha256, record.sha512)
        if recorded and digests[expected.algorithm] == expected.digest:
            proven = replace(record, damaged=None, md5=digests["md5"])
            comparison = self._update_record(comparison, record, proven) if proven != record else comparison
            return replace(comparison, is_read=promised in record.stored)
        reason = f"its bytes have sha256:{digests['sha256']}, its record says sha256:{record.sha256}"
        if recorded:
            reason = (
                f"its bytes have {expected.algorithm}:{digests[expected.algorithm]}, the definition says {expected}"
            )
        damaged = replace(record, damaged=datetime.now(UTC).isoformat(timespec="seconds"))
        marked = self._update_record(comparison, record, damaged)
        return replace(marked, verdict=Verdict.MISMATCH, reason=reason)

    def _update_record(self, comparison: Comparison, record: Record, new: Record) -> Comparison:
        """Write what was found out about the bytes into the record, and return the new comparison.

        The record is written only if it has not changed since it was read: another run may have replaced the object.
        """
        if not self.dry:
            try:
                if read_record(self.store, comparison.item.key)[0] == record:
                    self.store.put(comparison.item.key + RECORD, encode(new))
            except StorageError as error:  # the verdict stands without it
                self.reporter.line(comparison.item.subject, f"the record cannot be updated: {error}")
        stored = replace(comparison.stored, record=new) if comparison.stored else None
        return compare(comparison.item, stored)


def _record(item: Item, proof: Proof, source: tuple[str, int], digests: Digests) -> Record:
    version = proof.version
    is_signed = proof.signature == VERIFIED or version.is_signed
    promised = "definition" if item.version.checksum else "checksums_url" if version.checksum else "computed"
    if (
        version.checksum is None and is_signed
    ):  # the signature is over the file, whose digest was computed while it was copied
        version, promised = version.model_copy(update={"checksum": source[0]}), "signature"
    return Record(
        name=item.definition.name,
        version=version.version,
        source_digest=source[0],
        source_size=source[1],
        checksum=version.checksum,
        proof=promised,
        signed_by=version.signed_by if is_signed else None,
        signed_at=version.signed_at if is_signed else None,
        sha256=digests["sha256"],
        sha512=digests["sha512"],
        size=digests.size,
        at=datetime.now(UTC).isoformat(timespec="seconds"),
        signature=proof.signature,
        md5=digests["md5"],
        **description(item.definition, version),
    )


def without_damage(record: Record | None) -> Record | None:
    """Return the record without its damage mark."""
    return replace(record, damaged=None) if record else None


def read_record(store: Store, key: str) -> tuple[Record | None, bool]:
    """Read the record of an object; the flag is True if its file is not a valid record. Raises StorageError."""
    data = store.get(key + RECORD)
    record = decode(data or b"")
    return record, data is not None and record is None


def delete_object(store: Store, old: StoredObject) -> None:
    """Delete an own object and then its record: a run that is killed in between leaves no object that looks complete.
    Raises StorageError."""
    if old.size is not None:
        store.remove(old.key)
    store.remove(old.key + RECORD)


def list_contents(store: Store, prefix: str, keys: set[str], workers: int) -> Contents:
    """List the objects below the prefix with their records.

    This takes one listing, one small GET for each record, and a HEAD where one of the `keys` has no record or a record
    of another size: some listings lag behind. Objects below a prefix with its own index belong to another mirror.
    Raises StorageError.
    """
    listed = list(store.entries(prefix))
    index = f"/{INDEX_FILE}"
    other_mirrors = tuple(
        sorted(entry.key.removesuffix(INDEX_FILE) for entry in listed if entry.key[len(prefix) :].endswith(index))
    )
    asked = keys | {key + RECORD for key in keys}
    entries = {entry.key: entry for entry in listed if entry.key in asked or not entry.key.startswith(other_mirrors)}
    recorded = {key.removesuffix(RECORD) for key in entries if key.endswith(RECORD)}

    def look(key: str) -> StoredObject | None:
        entry = entries.get(key)
        record, damaged = read_record(store, key)  # the listing may lack it
        if entry is None:
            return StoredObject(key, None, entries[key + RECORD].modified, record) if record else None
        if record and record.size == entry.size:
            return StoredObject(key, entry.size, entry.modified, record)
        head = store.head(key)
        if head is None:
            return StoredObject(key, None, entry.modified, record) if record else None
        return StoredObject(key, head[0].size, head[0].modified, record, head[1], damaged)

    objects = in_parallel(look, sorted(recorded | (keys & set(entries))), workers)
    return Contents({stored.key: stored for stored in objects if stored}, frozenset(entries), other_mirrors)


def with_unlisted(store: Store, contents: Contents, expected: Iterable[str]) -> Contents:
    """Add those `expected` objects that exist but are not in the listing: some listings lag behind. Raises
    StorageError."""
    stored = dict(contents.stored)
    for key in expected:
        known = stored.get(key)
        if known and known.size is not None and (known.record or known.damaged):
            continue
        head = store.head(key)
        if head:
            record, damaged = read_record(store, key)
            stored[key] = StoredObject(key, head[0].size, head[0].modified, record, head[1], damaged)
    return replace(contents, stored=stored)
