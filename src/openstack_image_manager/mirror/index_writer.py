"""Write the index into the mirror. Only differences are written, and files of others are never changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

from openstack_image_manager.errors import Error, StorageError, VerificationError
from openstack_image_manager.mirror import index
from openstack_image_manager.mirror.location import SUMS, Item, Target
from openstack_image_manager.mirror.plan import Contents, defined_digests
from openstack_image_manager.mirror.record import Record, description
from openstack_image_manager.mirror.store import Store
from openstack_image_manager.signatures import armor
from openstack_image_manager.signatures.signer import Signer


@dataclass(frozen=True, slots=True)
class Publisher:
    """Write the index of one mirror, signed if there is a signer.

    A record alone is never enough to sign an object. Each digest also comes from a definition in `items`, from bytes
    that this run `verified` (records by key), or from an index that the same key signed before. `signed_entries`: the
    entries of the signed indexes that this run has read."""

    store: Store
    target: Target
    signer: Signer | None = None
    items: tuple[Item, ...] = ()
    verified: Mapping[str, Record] = field(default_factory=dict)
    signed_entries: set[index.Entry] = field(default_factory=set)

    def publish(self, contents: Contents, mismatched: Mapping[str, Record]) -> list[str]:
        """Update the index and return the keys that were written or deleted. `mismatched` objects are left out while
        they have that record. All signatures are made before the first byte is written. A mirror that never held an
        object gets no index. Raises Error."""
        objects = self.publishable(contents, mismatched)
        texts_by_key = index.build_index(objects, self.target.prefix)
        before = {key: self._read_own(key) for key in texts_by_key}
        if not objects and not any(before.values()):
            return []
        texts = {key: text for key, text in texts_by_key.items() if before[key] != text}
        signatures = self._signatures(texts_by_key, before)
        done = []
        for key in texts_by_key:
            if self.signer and key in texts:  # another run may have signed more in the meantime
                self._remember(self.signer)
            done += self._write(key, texts.get(key), signatures.get(key))
        for key in index.obsolete_checksum_files(
            (name for name in contents.keys if name.startswith(self.target.prefix)), texts_by_key
        ):
            with suppress(_ForeignError):
                if self._read_own(key) is None:
                    continue  # the owner of an empty file is unknown
                for name in (index.signed_key(key), key):
                    if name in contents.keys:
                        self.store.remove(name)
                        done.append(name)
        return done

    def unsign(self, written: Iterable[str]) -> None:
        """Delete detached signatures in `written` whose texts another run has changed since. Raises Error."""
        for signed in [key for key in written if key.endswith(index.SIGNED[SUMS])]:
            text = self.store.get(signed.removesuffix(index.SIGNED[SUMS]) + SUMS)
            signature = self.store.get(signed)
            if self.signer and signature and not self.signer.is_own_signature(text or b"", signature):
                self.store.remove(signed)

    def published_keys(self) -> list[str]:
        """Return the keys of the objects that the current index names. Raises StorageError."""
        data = self.store.get(self.target.prefix + index.PRODUCTS) or b""
        text = data.decode("utf-8", "replace")
        return sorted({key for key, *_ in index.parse_products(text, self.target.prefix)}) if index.is_own(text) else []

    def publishable(self, contents: Contents, mismatched: Mapping[str, Record]) -> Mapping[str, Record]:
        """Return the records of complete, undamaged objects, described as their definitions say. With a signer, only
        objects that may be signed."""
        items = {item.key: item for item in self.items if not item.error}
        proven = self._signable(self._complete_objects(contents, mismatched))
        return {key: with_definition(record, items[key]) if key in items else record for key, record in proven.items()}

    def unpublished(self, contents: Contents, mismatched: Mapping[str, Record]) -> list[str]:
        """Return the keys of objects whose digests are known only from their records. Raises StorageError."""
        whole = self._complete_objects(contents, mismatched)
        return sorted(whole.keys() - self._signable(whole).keys())

    def _signable(self, whole: Mapping[str, Record]) -> dict[str, Record]:
        """Return the objects that may be signed: a source other than the record confirms their sha256. A sha512 or md5
        without such a source is removed.

        Without a signer, all objects are returned.
        """
        if self.signer is None:
            return dict(whole)
        known = defined_digests(self.items, whole)
        read = {key: record for key, record in self.verified.items() if whole.get(key) == record}
        known |= {key: set(record.stored) for key, record in read.items()}
        if whole.keys() - read.keys():
            self._remember(self.signer)
        signed = {entry[:4]: entry[4:] for entry in sorted(self.signed_entries)}
        proven = {}
        for key, record in whole.items():
            digests = known.get(key, set())
            before = signed.get((key, record.name, record.version, record.sha256))
            if before is None and record.stored[0] not in digests:
                continue
            sha512, md5 = before or ("", "")
            if record.stored[1] in digests:
                sha512 = record.sha512
            if key in read:
                md5 = record.md5 or ""
            proven[key] = replace(
                record,
                sha512=record.sha512 if record.sha512 == sha512 else "",
                md5=record.md5 if record.md5 == md5 else None,
            )
        return proven

    def _remember(self, signer: Signer) -> None:
        """Remember the entries of the current index, if this key signed it."""
        data = self.store.get(self.target.prefix + index.signed_key(index.PRODUCTS))
        try:
            text, signature = armor.cleartext(data or b"")
        except VerificationError:
            return
        if signer.is_own_signature(text, signature):
            self.signed_entries.update(index.parse_products(text.decode("utf-8", "replace"), self.target.prefix))

    def _complete_objects(self, contents: Contents, mismatched: Mapping[str, Record]) -> Mapping[str, Record]:
        return {
            key: stored.record
            for key, stored in contents.stored.items()
            if stored.record
            and stored.size == stored.record.size
            and not stored.record.damaged
            and not (
                key in mismatched and replace(stored.record, damaged=None) == replace(mismatched[key], damaged=None)
            )
        }

    def _read_own(self, key: str) -> str | None:
        """Read the file now, whatever a listing says; an empty file counts as missing. Raises _ForeignError for a file
        that this program did not write."""
        data = self.store.get(key)
        if not data:
            return None
        text = data.decode("utf-8", "replace")
        if not index.is_own(text):
            raise _foreign_file(key)
        return text

    def _signatures(self, texts_by_key: Mapping[str, str], before: Mapping[str, str | None]) -> dict[str, bytes]:
        """Return the signatures to write, by the keys of their texts.

        Refuses to overwrite a file of others, and to change a text whose signature would become wrong. Raises Error.
        """
        needed = {}
        for key, text in texts_by_key.items():
            if self.signer is None and before[key] == text:
                continue
            signed = index.signed_key(key)
            present = self.store.get(signed)
            if present is not None and before[key] is None and not key.endswith(".json"):
                raise _foreign_file(signed)
            if self.signer is None:
                if present is not None:
                    raise Error(
                        f"{key} must change, and is signed: nothing was written; add --sign-key, or delete {signed}"
                    )
                continue
            wanted, clear = index.signable_text(key, text).encode(), key.endswith(".json")
            if not self._is_signed(wanted, present, signed, clear, self.signer):
                needed[key] = self.signer.sign(wanted, clear)
        return needed

    def _write(self, key: str, text: str | None, signature: bytes | None) -> list[str]:
        """Write a text and its signature directly after each other, as far as they are given.

        A detached signature is deleted before its text changes: a run that is killed in between leaves an unsigned
        text, not a bad signature.
        """
        signed, clear = index.signed_key(key), key.endswith(".json")
        done = []
        if text is not None:
            if signature is not None and not clear:
                self.store.remove(signed)
            self.store.put(key, text.encode(), "application/json" if clear else "text/plain")
            done.append(key)
        if signature is not None:
            self.store.put(signed, signature, "text/plain" if clear else "application/pgp-signature")
            done.append(signed)
        return done

    def _is_signed(self, wanted: bytes, data: bytes | None, signed: str, clear: bool, signer: Signer) -> bool:
        if not data:
            return False
        if not clear:
            return signer.is_own_signature(wanted, data)
        if not index.is_own(data.decode("utf-8", "replace")):
            raise _foreign_file(signed)
        try:
            text, signature = armor.cleartext(data)
        except VerificationError:
            return False
        return text.replace(b"\r\n", b"\n").rstrip(b"\n") == wanted.rstrip(b"\n") and signer.is_own_signature(
            text, signature
        )


def with_definition(record: Record, item: Item) -> Record:
    """Return the record with the current description from the definition: other runs may have written the record."""
    return replace(record, **description(item.definition, item.version))


class _ForeignError(StorageError):
    """The file was not written by this program."""


def _foreign_file(key: str) -> _ForeignError:
    return _ForeignError(f"{key}: a file of another owner is there, and is never changed; move it, or add --no-index")
