"""Verify signatures. Only keys whose fingerprints the caller pins are trusted; anything doubtful is refused.

docs/signatures.md describes where signatures are checked, and what makes one good.
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
    """Verify a detached OpenPGP signature over bytes that come in chunks.

    `signature` is armored or binary. `pinned` are fingerprints of primary keys. `of_text`: accept a text signature,
    which does not cover line ends. Call `close` at the end. Raises VerificationError at once if there is no signature,
    no key to check it with, or no signature by a pinned key.
    """

    def __init__(self, signature: bytes, pinned: Sequence[str], keyring: Keyring, of_text: bool = False) -> None:
        self._pinned, self._of_text = normalize_fingerprints(pinned), of_text
        self._checks: list[tuple[_SignedBy, Check]] = []
        signatures = openpgp.signatures(signature)
        certificates = keyring.certificates(self._pinned)
        candidates = [
            (signature, certificate)
            for signature in signatures
            for key in certificates
            if (certificate := key.signer(signature))
        ]
        if not candidates:
            raise VerificationError(_unpinned_signer(signatures, self._pinned))
        problems = [
            problem for candidate, certificate in candidates if (problem := self._start(candidate, certificate))
        ]
        if not self._checks:
            raise VerificationError(problems[0])

    def _start(self, signature: openpgp.Signature, certificate: openpgp.Certificate) -> str:
        """Start to check this signature; return why it cannot be checked, or ''. Another signature may be enough."""
        if problem := refusal(signature, certificate.keys, self._of_text):
            return problem
        try:
            self._checks.append(((signature, certificate), Check(signature, certificate)))
        except VerificationError as error:
            return str(error)
        return ""

    def update(self, chunk: bytes) -> None:
        """Check the next bytes of the signed file."""
        for _, check in self._checks:
            check.update(chunk)

    def finish(self) -> VerifiedSignature:
        """Return the signature after the last byte. Raises VerificationError unless a pinned key signed."""
        results: list[tuple[openpgp.Signature, openpgp.Certificate, CheckResult]] = []
        try:
            for (signature, certificate), check in self._checks:
                results.append((signature, certificate, parse_status(check.finish())))
        finally:
            self.close()
        return verified_signature(results, self._pinned, int(time.time()))

    def close(self) -> None:
        """Stop all running checks; can be called again."""
        for _, check in self._checks:
            check.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def _unpinned_signer(signatures: Sequence[openpgp.Signature], pinned: Sequence[str]) -> str:
    signers = ", ".join(sorted({signature.issuer or "an unnamed key" for signature in signatures}))
    return (
        f"signed by {signers}, not by a pinned key ({', '.join(pinned)}). If the upstream has a new key, check its "
        "fingerprint at a second place and pin that one; if it only has a new subkey: keys fetch"
    )


def verify_detached(data: bytes, signature: bytes, pinned: Sequence[str], keyring: Keyring) -> VerifiedSignature:
    """Verify a signature over the document `data`. Raises VerificationError unless a pinned key signed it."""
    with OpenPGP(signature, pinned, keyring, of_text=True) as check:
        check.update(data)
        return check.finish()


def verify_clearsigned(text: bytes, pinned: Sequence[str], keyring: Keyring) -> tuple[bytes, VerifiedSignature]:
    """Return the signed lines of a clearsigned text, and their signature; other lines are dropped.

    Lines end with a line feed and lose trailing blanks, which are not signed (RFC 9580 7.1). Raises VerificationError
    unless a pinned key signed the text.
    """
    signed, signature = armor.cleartext(text)
    # The returned text is the checked text, so no second parser can see another one.
    return signed.replace(b"\r\n", b"\n") + b"\n", verify_detached(signed, signature, pinned, keyring)


class Rsa:
    """Verify a bare RSA signature (PKCS#1 v1.5 over SHA-256, in base64) over bytes that come in chunks, as OPNsense
    uses it.

    `pinned` are SHA-256 digests of public keys (DER SubjectPublicKeyInfo). It has the interface of `OpenPGP`.
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
        """Check the next bytes of the signed file."""
        self._hash.update(chunk)

    def finish(self) -> VerifiedSignature:
        """Return the signature after the last byte. Raises VerificationError unless a pinned key signed."""
        for key in self._keys:
            if _is_good(self._hash.digest(), self._signature, key.data):
                return VerifiedSignature(key.fingerprint, None)
        raise VerificationError(
            f"BAD signature: not by the pinned key ({', '.join(key.fingerprint for key in self._keys)}), or the file "
            "was changed or cut off, or signature and file belong to different builds. Fetch both again"
        )

    def close(self) -> None:
        """Do nothing: no program runs."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def verify_rsa(data: bytes, signature: bytes, pinned: Sequence[str], keyring: Keyring) -> VerifiedSignature:
    """Verify an RSA signature over `data`. Raises VerificationError unless a pinned key made it."""
    with Rsa(signature, pinned, keyring) as check:
        check.update(data)
        return check.finish()


def _is_good(sha256: bytes, signature: bytes, der: bytes) -> bool:
    """Return True for a good signature. Raises VerificationError if the key cannot be used."""
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
