"""Who signed this? Nothing is trusted but keys whose fingerprints the caller pins; whatever is in doubt is refused.

Where a signature is checked, and what a good one is, is told in docs/signatures.md.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import armor, openpgp
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.programs import Check
from openstack_image_manager.signatures.verdict import (
    CheckResult,
    VerifiedSignature,
    normalize_fingerprints,
    parse_status,
    refusal,
    verified_signature,
)

_SignedBy = tuple[openpgp.Signature, openpgp.Certificate]


class OpenPGP:
    """A detached OpenPGP signature over bytes that come one chunk after the other, however many.

    `signature` is armored or binary. `pinned` are fingerprints of primary keys. Raises VerificationError at once where
    there is no signature, no key to check it with, or it is by none of the pinned keys. `of_text`: it may be one of a
    text, whose line ends are not signed. To be closed.
    """

    def __init__(self, signature: bytes, pinned: Sequence[str], keyring: Keyring, of_text: bool = False) -> None:
        self._pinned, self._of_text = normalize_fingerprints(pinned), of_text
        self._checks: list[tuple[_SignedBy, Check]] = []
        given = openpgp.signatures(signature)
        certificates = keyring.certificates(self._pinned)
        tried = [(each, by) for each in given for key in certificates if (by := key.signer(each))]
        if not tried:
            raise VerificationError(_unpinned_signer(given, self._pinned))
        obstacles = [why for each, by in tried if (why := self._start(each, by))]
        if not self._checks:
            raise VerificationError(obstacles[0])

    def _start(self, signature: openpgp.Signature, by: openpgp.Certificate) -> str:
        """Why this one is not checked, which does not matter if another one is; '' if it is."""
        if why := refusal(signature, by.keys, self._of_text):
            return why
        try:
            self._checks.append(((signature, by), Check(signature, by)))
        except VerificationError as error:
            return str(error)
        return ""

    def update(self, chunk: bytes) -> None:
        """The next bytes of the signed file."""
        for _, check in self._checks:
            check.update(chunk)

    def finish(self) -> VerifiedSignature:
        """All bytes were seen: who signed them. Raises VerificationError unless a pinned key did."""
        results: list[tuple[openpgp.Signature, openpgp.Certificate, CheckResult]] = []
        try:
            for (signature, by), check in self._checks:
                results.append((signature, by, parse_status(check.finish())))
        finally:
            self.close()
        return verified_signature(results, self._pinned, int(time.time()))

    def close(self) -> None:
        """End what still runs; any number of times."""
        for _, check in self._checks:
            check.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _unpinned_signer(given: Sequence[openpgp.Signature], pinned: Sequence[str]) -> str:
    signers = ", ".join(sorted({each.issuer or "an unnamed key" for each in given}))
    return (
        f"signed by {signers}, not by a pinned key ({', '.join(pinned)}). If the upstream has a new key, check its "
        "fingerprint at a second place and pin that one; if it only has a new subkey: keys fetch"
    )


def verify_detached(data: bytes, signature: bytes, pinned: Sequence[str], keyring: Keyring) -> VerifiedSignature:
    """Who signed `data`, a document. Raises VerificationError unless a pinned key did."""
    with OpenPGP(signature, pinned, keyring, of_text=True) as check:
        check.update(data)
        return check.finish()


def verify_clearsigned(text: bytes, pinned: Sequence[str], keyring: Keyring) -> tuple[bytes, VerifiedSignature]:
    """The signed lines of a clearsigned text, and who signed them; whatever stands around them is not in it.

    Lines end with a line feed, and have lost blanks at their ends, which are not signed (RFC 9580 7.1). Raises
    VerificationError unless a pinned key signed.
    """
    signed, signature = armor.cleartext(text)
    # What is returned is what was checked, as a detached signature: no second reader that could see another text.
    return signed.replace(b"\r\n", b"\n") + b"\n", verify_detached(signed, signature, pinned, keyring)


class Rsa:
    """A bare RSA signature (PKCS#1 v1.5 over SHA-256, in base64) over bytes that come in chunks: OPNsense.

    `pinned` are SHA-256 digests of public keys (DER SubjectPublicKeyInfo). `OpenPGP` and this are used alike.
    """

    def __init__(self, signature: bytes, pinned: Sequence[str], keyring: Keyring) -> None:
        try:
            self._signature = base64.b64decode(b"".join(signature.split()), validate=True)
        except binascii.Error:
            raise VerificationError("not a valid RSA signature: not base64") from None
        if not self._signature:
            raise VerificationError("no signature: its file is empty")
        self._keys = keyring.public_keys(normalize_fingerprints(pinned))
        self._hash = hashlib.sha256()

    def update(self, chunk: bytes) -> None:
        """The next bytes of the signed file."""
        self._hash.update(chunk)

    def finish(self) -> VerifiedSignature:
        """All bytes were seen: who signed them. Raises VerificationError unless a pinned key did."""
        for key in self._keys:
            if _is_good(self._hash.digest(), self._signature, key.data):
                return VerifiedSignature(key.fingerprint, None)
        raise VerificationError(
            f"BAD signature: not by the pinned key ({', '.join(key.fingerprint for key in self._keys)}), or the file "
            "was changed or cut off, or signature and file belong to different builds. Fetch both again"
        )

    def close(self) -> None:
        """Nothing to end."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def verify_rsa(data: bytes, signature: bytes, pinned: Sequence[str], keyring: Keyring) -> VerifiedSignature:
    """Who signed `data` with RSA. Raises VerificationError unless a pinned key did."""
    with Rsa(signature, pinned, keyring) as check:
        check.update(data)
        return check.finish()


def _is_good(sha256: bytes, signature: bytes, der: bytes) -> bool:
    """Raises VerificationError if the key can't be used."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import padding, rsa, utils
    from cryptography.hazmat.primitives.serialization import load_der_public_key

    try:
        key = load_der_public_key(der)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, rsa.RSAPublicKey) or key.key_size < 2048:
        raise VerificationError("the pinned key is not an RSA key of at least 2048 bits")
    try:
        key.verify(signature, sha256, padding.PKCS1v15(), utils.Prehashed(hashes.SHA256()))
    except InvalidSignature:
        return False
    return True
