"""Judge the results of the programs that check signatures: a verified signature, or the reason for its refusal."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.openpgp import TEXT, Certificate, Key, Signature

FEWEST_BITS = 2048  # of RSA and DSA keys
CLOCK = 24 * 3600  # seconds that a signature may be ahead of this machine's clock
_WEAK_HASHES = {1: "MD5", 2: "SHA-1", 3: "RIPEMD-160"}
_VERDICTS = ("GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG", "BADSIG", "ERRSIG", "NOTGOOD")
_BAD = ("BADSIG", "NOTGOOD")  # the second: not good, for an unknown reason
_NEW_KEY = "if the upstream has a new key, check its fingerprint at a second place and pin that one"


@dataclass(frozen=True, slots=True)
class VerifiedSignature:
    """A good signature: the pinned fingerprint in upper-case hex, and the time (UTC).

    `created` is None for signatures without a time (RSA).
    """

    fingerprint: str
    created: datetime | None


@dataclass(frozen=True, slots=True)
class CheckResult:
    """The result of one check: gpgv's status word (or NOTGOOD), and for a good signature its primary key."""

    word: str
    fingerprint: str = ""
    created: int = 0  # seconds since 1970
    key_expired: int = 0  # the same; 0: unknown


def normalize_fingerprints(fingerprints: Sequence[str]) -> tuple[str, ...]:
    """Return pinned fingerprints in upper case without blanks. Raises VerificationError for an invalid one."""
    if not fingerprints:
        raise VerificationError("no key is pinned: give the fingerprints of the keys that may sign")
    normalized = []
    for fingerprint in fingerprints:
        text = re.sub(r"[\s:]", "", fingerprint).removeprefix("0x").upper()
        if not re.fullmatch(r"[0-9A-F]{40}|[0-9A-F]{64}", text):
            raise VerificationError(
                f"'{fingerprint}' is not a valid key fingerprint: use 40 hexadecimal digits, or 64 (OpenPGP v6, RSA)"
            )
        normalized.append(text)
    return tuple(normalized)


def parse_status(status: str) -> CheckResult:
    """Parse the --status-fd lines about ONE signature (doc/DETAILS of GnuPG); the exit code is ignored.

    gpgv also exits with 0 and prints VALIDSIG for revoked and expired keys.
    """
    words, valid, expired = [], list[str](), []
    for line in status.split("\n"):
        word, *rest = line.removeprefix("[GNUPG:] ").split(" ") if line.startswith("[GNUPG:] ") else [""]
        if word in _VERDICTS:
            words.append(word)
        elif word == "VALIDSIG":
            valid = rest
        elif word == "KEYEXPIRED" and rest and rest[0].isdecimal() and int(rest[0]):
            expired.append(int(rest[0]))
    if len(words) != 1:
        return CheckResult("ERRSIG")
    if words[0] in (*_BAD, "ERRSIG"):
        return CheckResult(words[0])
    if len(valid) < 10 or not valid[2].isdecimal():
        return CheckResult("ERRSIG")
    # With no other subkey in the keyring, the earliest of these times is that of the key, or of its primary key.
    return CheckResult(words[0], valid[9].upper(), int(valid[2]), min(expired, default=0))


def refusal(signature: Signature, keys: Sequence[Key], of_text: bool = False) -> str:
    """Return why a signature by these keys is refused before a check, or ''. `of_text`: the signed document is a
    text."""
    if signature.kind == TEXT and not of_text:
        # RFC 9580 5.2.1.2: line ends do not count, so that files with other bytes have the same signature.
        return "the signature is a text signature, which also matches other bytes: ask the upstream for a binary one"
    if signature.hash in _WEAK_HASHES:
        name = _WEAK_HASHES[signature.hash]
        return f"the signature uses {name}, which can be forged: ask the upstream for a better one"
    for key in keys:
        if key.revoked:
            return _revoked(key.fingerprint)
        if 0 < key.bits < FEWEST_BITS:
            few = f"has {key.bits} bits, fewer than {FEWEST_BITS}, and can be forged"
            return f"the key {key.fingerprint} {few}; {_NEW_KEY}"
    return ""


def verified_signature(
    results: Sequence[tuple[Signature, Certificate, CheckResult]], pinned: Sequence[str], now: int
) -> VerifiedSignature:
    """Judge all signatures by pinned keys. Raises VerificationError unless one is good and none is bad."""
    bad = [result for result in results if result[2].word in _BAD]
    good = [
        result
        for signature, certificate, result in results
        if not _rejection(signature, certificate, result, pinned, now)
    ]
    if good and not bad:
        newest = max(good, key=lambda result: result.created)
        return VerifiedSignature(newest.fingerprint, datetime.fromtimestamp(newest.created, UTC))
    signature, certificate, result = (bad or list(results))[0]
    raise VerificationError(_rejection(signature, certificate, result, pinned, now))


def _rejection(
    signature: Signature, certificate: Certificate, result: CheckResult, pinned: Sequence[str], now: int
) -> str:
    """Return why this signature is rejected, or ''."""
    if signature.created > now + CLOCK:
        return f"the signature time {_time(signature.created)} is in the future: check the clock of this machine"
    if result.word in (*_BAD, "ERRSIG"):
        return _bad_signature_reason(signature, certificate, result.word, now)
    if result.fingerprint not in pinned:
        return f"signed by {result.fingerprint}, which is not pinned; {_NEW_KEY}"
    if result.word == "REVKEYSIG":
        return _revoked(certificate.fingerprint)
    if result.word == "EXPSIG":
        return _expired(signature)
    if result.word == "EXPKEYSIG" and not result.created < result.key_expired:
        return _late(certificate.fingerprint, result.key_expired)
    return ""


def _bad_signature_reason(signature: Signature, certificate: Certificate, word: str, now: int) -> str:
    """Derive the reason from the signature and the key if the program gives none."""
    changed = (
        "the file was changed or cut off, or signature and file belong to different builds. Fetch both again, "
        "and do not use what was fetched"
    )
    if word == "BADSIG":
        return f"BAD signature by {certificate.fingerprint}: {changed}"
    if word == "ERRSIG":
        return f"the signature by {certificate.fingerprint} cannot be checked: it is damaged, or of an unsupported kind"
    if signature.expires and signature.created + signature.expires <= now:
        return _expired(signature)
    if late := [key.expires for key in certificate.keys if key.expires and key.expires <= signature.created]:
        return _late(certificate.fingerprint, min(late))
    weak = "or pysequoia considers the key too weak, which gpgv may not"
    return f"no good signature by {certificate.fingerprint}: {changed}; {weak}"


def _revoked(key: str) -> str:
    return f"the key {key} was revoked by its owner: do not trust what it signed; {_NEW_KEY}"


def _expired(signature: Signature) -> str:
    end = f" on {_time(signature.created + signature.expires)}" if signature.expires else ""
    return f"the signature has expired{end}: the upstream has to sign again"


def _late(key: str, expired: int) -> str:
    when = f" on {_time(expired)}" if expired else ""
    return (
        f"the key {key} expired{when}, and the signature is not older: what a key signs after that does not count. "
        f"Fetch the key again (keys fetch), it may have been extended; {_NEW_KEY}"
    )


def _time(seconds: int) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%d %H:%M} UTC"
