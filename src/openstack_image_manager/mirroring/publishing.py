"""The index of a mirror on its way into it: only what differs is written, and nothing that others wrote is touched."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

from openstack_image_manager.errors import Error, StorageError, VerificationError
from openstack_image_manager.mirroring import index
from openstack_image_manager.mirroring.record import Record
from openstack_image_manager.mirroring.store import Store
from openstack_image_manager.mirroring.target import Target
from openstack_image_manager.mirroring.verdict import Holding
from openstack_image_manager.signing import armor
from openstack_image_manager.signing.gpg import Signer


@dataclass(frozen=True, slots=True)
class Publisher:
    """Writes the index of one mirror; signed, if there is a signer."""

    store: Store
    where: Target
    signer: Signer | None = None

    def publish(self, holding: Holding, bad: Iterable[str] = ()) -> list[str]:
        """Bring the index up to date with what is held, but for objects that are known to be `bad`; which keys were
        written or deleted. A mirror that never held anything gets none. Raises Error."""
        held = self.held(holding, set(bad))
        made = index.tree(held, self.where.prefix)
        if not held and not holding.names & set(made):
            return []
        before = {key: self._present(key, holding.names) for key in made}
        self._check_signatures(made, before, holding.names)
        done = []
        for key, text in made.items():
            done += self._one(key, text, before[key], holding.names)
        for key in index.outlived((name for name in holding.names if name.startswith(self.where.prefix)), made):
            with suppress(_ForeignError):
                if self._present(key, holding.names) is None:
                    continue  # whose an empty file is, nobody knows
                for each in (index.signed_key(key), key):
                    if each in holding.names:
                        self.store.remove(each)
                        done.append(each)
        return done

    def held(self, holding: Holding, bad: set[str]) -> Mapping[str, Record]:
        """Objects that are as large as their records say."""
        return {
            key: stored.record
            for key, stored in holding.stored.items()
            if stored.record and stored.size == stored.record.size and key not in bad
        }

    def _present(self, key: str, names: frozenset[str]) -> str | None:
        """What is there now; an empty file is as none. Raises _ForeignError for what is not ours."""
        data = self.store.get(key) if key in names else None
        if not data:
            return None
        text = data.decode("utf-8", "replace")
        if not index.is_ours(text):
            raise _foreign(key)
        return text

    def _check_signatures(
        self, made: Mapping[str, str], before: Mapping[str, str | None], names: frozenset[str]
    ) -> None:
        """Refuse to write a signature over what is not ours, or a text beside a signature that would be wrong then."""
        for key, text in made.items():
            signed = index.signed_key(key)
            if signed not in names:
                continue
            if before[key] is None and not key.endswith(".json"):
                raise _foreign(signed)
            if self.signer is None and before[key] != text:
                raise Error(
                    f"{key} must change, and is signed: nothing was written; give --sign-key, or delete {signed}"
                )

    def _one(self, key: str, text: str, now: str | None, names: frozenset[str]) -> list[str]:
        signed, clear = index.signed_key(key), key.endswith(".json")
        done = []
        if now != text:
            self.store.put(key, text.encode(), "application/json" if clear else "text/plain")
            done.append(key)
        wanted = index.to_sign(key, text).encode()
        if self.signer and not self._is_signed(wanted, signed, names, clear, self.signer):
            kind = "text/plain" if clear else "application/pgp-signature"
            self.store.put(signed, self.signer.sign(wanted, clear), kind)
            done.append(signed)
        return done

    def _is_signed(self, wanted: bytes, signed: str, names: frozenset[str], clear: bool, signer: Signer) -> bool:
        data = self.store.get(signed) if signed in names else None
        if not data:
            return False
        if not clear:
            return signer.is_by_us(wanted, data)
        if not index.is_ours(data.decode("utf-8", "replace")):
            raise _foreign(signed)
        try:
            text, signature = armor.cleartext(data)
        except VerificationError:
            return False
        return text.replace(b"\r\n", b"\n").rstrip(b"\n") == wanted.rstrip(b"\n") and signer.is_by_us(text, signature)


class _ForeignError(StorageError):
    """There is something that we did not write."""


def _foreign(key: str) -> _ForeignError:
    return _ForeignError(f"{key}: somebody else's file is there, and is never touched; move it, or give --no-index")
