"""Read the parts of OpenPGP (RFC 9580) that select the certificate for a signature.

This module selects the key and the signature to check; other programs verify the signature. Of the signatures in a
certificate, only revocations are verified here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import armor
from openstack_image_manager.signatures.revocations import hash_input, is_genuine

LARGEST_SIGNATURE = 256 * 1024  # bytes; the largest of one key (SLH-DSA) has 50 KiB
MOST_SIGNATURES = 16
MOST_REVOKED = 2_000  # revocations times keys of one certificate: how many signatures are checked for it

_SIGNATURE, _SECRET_KEY, _PUBLIC_KEY, _USER_ID, _SUBKEY, _ATTRIBUTE = 2, 5, 6, 13, 14, 17
_NO_CONTENT = (10, 21)  # marker, padding
BINARY, TEXT = 0x00, 0x01  # kinds of signatures over a document
_SELF_SIGNATURES = (0x10, 0x11, 0x12, 0x13, 0x1F)
_BINDING, _KEY_REVOCATION, _SUBKEY_REVOCATION = 0x18, 0x20, 0x28
_REVOCATIONS = (_KEY_REVOCATION, _SUBKEY_REVOCATION)
_SIZED = (b"\x01", b"\x02", b"\x03", b"\x11")  # RSA and DSA
_CREATED, _EXPIRES, _KEY_EXPIRES, _ISSUER, _ISSUER_FINGERPRINT = 2, 3, 9, 16, 33  # subpackets

_Packet = tuple[int, bytes, bytes]  # tag, body, the whole of it


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature packet with its own, unproven values. Times are in seconds."""

    packet: bytes
    version: int
    kind: int
    algorithm: int
    hash: int
    created: int = 0  # since 1970
    expires: int = 0  # after it was made; 0: never
    key_expires: int = 0  # after the key that it is about was created; 0: never
    issuer: str = ""  # fingerprint or key id, upper-case hex; '': it does not say


@dataclass(frozen=True, slots=True)
class Key:
    """A primary key or subkey with its packets; `created`: seconds since 1970."""

    fingerprint: str
    created: int
    packets: bytes
    revoked: bool  # by a revocation that its primary key made
    bits: int = 0  # of RSA and DSA keys

    def issued(self, signature: Signature) -> bool:
        """Return True if the signature names this key as its issuer."""
        v6 = len(self.fingerprint) == 64
        key_id = self.fingerprint[:16] if v6 else self.fingerprint[-16:]
        return signature.issuer in (self.fingerprint, key_id)

    @property
    def expires(self) -> int:
        """Return when the key expires according to its newest self-signature, in seconds since 1970; 0: never."""
        newest = Signature(b"", 0, 0, 0, 0)
        for tag, body, packet in _packets(self.packets):
            if tag != _SIGNATURE or (candidate := _parse_or_none(body, packet)) is None:
                continue
            is_own = candidate.kind == _BINDING or (candidate.kind in _SELF_SIGNATURES and self.issued(candidate))
            if is_own and candidate.created >= newest.created:
                newest = candidate
        return self.created + newest.key_expires if newest.key_expires else 0


@dataclass(frozen=True, slots=True)
class Certificate:
    """A primary key with its user ids and subkeys."""

    primary: Key
    subkeys: tuple[Key, ...]
    user_ids: tuple[str, ...]

    @property
    def fingerprint(self) -> str:
        """Return the fingerprint of the primary key: 40 (v4) or 64 (v6) upper-case hexadecimal digits."""
        return self.primary.fingerprint

    @property
    def keys(self) -> tuple[Key, ...]:
        """Return all keys, the primary key first."""
        return (self.primary, *self.subkeys)

    @property
    def data(self) -> bytes:
        """Return the binary form."""
        return b"".join(key.packets for key in self.keys)

    def signer(self, signature: Signature) -> Certificate | None:
        """Return the certificate with only the subkey that made the signature; None if none of its keys did."""
        subkeys = tuple(key for key in self.subkeys if key.issued(signature))
        return replace(self, subkeys=subkeys) if subkeys or self.primary.issued(signature) else None


def certificates(data: bytes) -> tuple[Certificate, ...]:
    """Return all certificates of a file, armored or binary. Raises VerificationError for a damaged or secret one."""
    found: list[Certificate] = []
    part: list[_Packet] = []
    for packet in _packets(_binary(data)):
        if packet[0] == _SECRET_KEY:
            raise VerificationError("it contains a secret key; only public keys are accepted")
        if packet[0] == _PUBLIC_KEY:
            found += _certificate(part)
            part = []
        part.append(packet)
    return (*found, *_certificate(part))


def signatures(data: bytes) -> tuple[Signature, ...]:
    """Return the signatures over a document in a file, armored or binary by its content. Raises VerificationError."""
    if len(data) > LARGEST_SIGNATURE:
        raise VerificationError(f"not a valid signature: larger than {LARGEST_SIGNATURE} bytes")
    found: list[Signature] = []
    try:
        for tag, body, packet in _packets(_binary(data)):
            if tag == _SIGNATURE:
                found.append(_signature(body, packet))
            elif tag not in _NO_CONTENT:
                # A whole signed message instead of a signature would be good by itself, whatever the file contains.
                raise VerificationError("its file also contains other data")
    except VerificationError as error:
        raise VerificationError(f"cannot read the signature: {error}") from None
    if not found:
        raise VerificationError("no signature: its file is empty or something else")
    if len(found) > MOST_SIGNATURES:
        raise VerificationError(
            f"the signature's file contains {len(found)} signatures; at most {MOST_SIGNATURES} are allowed"
        )
    if any(signature.kind not in (BINARY, TEXT) for signature in found):
        raise VerificationError("the signature is not over a file")
    return tuple(found)


def _binary(data: bytes) -> bytes:
    if armor.is_binary(data):
        return data
    return b"".join(block.data for block in armor.blocks(data) if block.label.startswith("PGP "))


def _damaged() -> VerificationError:
    return VerificationError("it is damaged: not OpenPGP data")


def _take(data: bytes, start: int, size: int) -> bytes:
    if start + size > len(data):
        raise _damaged()
    return data[start : start + size]


def _number(data: bytes, start: int, size: int) -> int:
    return int.from_bytes(_take(data, start, size), "big")


def _packets(data: bytes) -> Iterator[_Packet]:
    """Yield all packets (4.2). Partial and indeterminate lengths are not allowed in keys and signatures."""
    at = 0
    while at < len(data):
        first = data[at]
        if not first & 0x80:
            raise _damaged()
        if first & 0x40:
            tag = first & 0x3F
            start, size = _length(data, at + 1, 224)
        else:
            tag, width = first >> 2 & 0x0F, 1 << (first & 3)
            if width == 8:
                raise _damaged()
            start, size = at + 1 + width, _number(data, at + 1, width)
        yield tag, _take(data, start, size), data[at : start + size]
        at = start + size


def _length(data: bytes, at: int, two: int) -> tuple[int, int]:
    """Return the start and length of a body from the length octets at `at`; lengths below `two` have two octets (4.2.1,
    5.2.3.7)."""
    first = _number(data, at, 1)
    if first < 192:
        return at + 1, first
    if first < two:
        return at + 2, (first - 192 << 8) + _number(data, at + 1, 1) + 192
    if first < 255:
        raise _damaged()
    return at + 5, _number(data, at + 1, 4)


def _fingerprint(body: bytes) -> str:
    """Return the fingerprint (5.5.4); '' for the deprecated versions 2 and 3, and for 5, which is not in the
    standard."""
    if body[:1] == b"\x04" and len(body) < 2**16:
        return hashlib.sha1(b"\x99" + len(body).to_bytes(2, "big") + body, usedforsecurity=False).hexdigest().upper()
    if body[:1] == b"\x06":
        return hashlib.sha256(b"\x9b" + len(body).to_bytes(4, "big") + body).hexdigest().upper()
    return ""


def _certificate(packets: list[_Packet]) -> list[Certificate]:
    """Return the certificate of these packets, primary key first; an empty list if its version is unknown."""
    if not packets or packets[0][0] != _PUBLIC_KEY or not _fingerprint(packets[0][1]):
        return []
    groups: list[list[_Packet]] = [[packets[0]]]
    revocations: list[tuple[list[_Packet], _Packet]] = []
    for packet in packets[1:]:
        tag, body, _ = packet
        if tag == _SUBKEY:
            groups.append([packet])
        elif tag == _SIGNATURE and _kind(body) in _REVOCATIONS:
            revocations.append((groups[-1], packet))
        elif tag in (_SIGNATURE, _USER_ID, _ATTRIBUTE):
            groups[-1].append(packet)
    if len(revocations) * len(groups) > MOST_REVOKED:
        raise VerificationError(f"it has {len(revocations)} revocations and {len(groups)} keys: too many")
    revoked = [_revoke(groups, position, packet) for position, packet in revocations]
    primary, *subkeys = (_key(group, revoked) for group in groups if _fingerprint(group[0][1]))
    user_ids = (body.decode("utf-8", "replace") for tag, body, _ in packets if tag == _USER_ID)
    return [Certificate(primary, tuple(subkeys), tuple(user_ids))]


def _revoke(groups: list[list[_Packet]], position: list[_Packet], revocation: _Packet) -> list[_Packet] | None:
    """Move a revocation behind its key, from its `position` in the file; return the packets of that key if the primary
    key made the revocation.

    A revocation that the primary key did not make is dropped: anyone can append one.
    """
    primary = groups[0][0][1]
    if _kind(revocation[1]) == _KEY_REVOCATION:
        about = [(groups[0], hash_input(primary))]
    else:
        subkeys = [position] if position is not groups[0] else groups[1:]
        about = [(group, hash_input(primary) + hash_input(group[0][1])) for group in subkeys]
    for group, signed in about:
        genuine = is_genuine(primary, signed, revocation[1])
        if genuine is not False:  # the program decides about kinds that are not checked here
            group.insert(1, revocation)
            return group if genuine else None
    return None


def _key(group: list[_Packet], revoked: list[list[_Packet] | None]) -> Key:
    body = group[0][1]
    packets = b"".join(packet for _, _, packet in group)
    return Key(
        _fingerprint(body),
        _number(body, 1, 4),
        packets,
        any(group is revoked_group for revoked_group in revoked),
        _bits(body),
    )


def _bits(body: bytes) -> int:
    """Return the size of an RSA or DSA key; 0 for other kinds, whose sizes are all sufficient."""
    at = 6 if body[:1] == b"\x04" else 10
    return _number(body, at, 2) if body[5:6] in _SIZED else 0


def merged(copies: Sequence[Certificate], revocations: Iterable[bytes] = ()) -> Certificate:
    """Merge several copies of a certificate, and those of the revocations that it made."""
    parts: dict[tuple[int, bytes], dict[tuple[int, bytes], bytes]] = {}
    for copy in copies:
        around = parts.setdefault((_PUBLIC_KEY, b""), {})
        for tag, body, packet in _packets(copy.data):
            if tag in (_SUBKEY, _USER_ID, _ATTRIBUTE):
                around = parts.setdefault((tag, body), {})
            around.setdefault((tag, body), packet)
    ordered = sorted(parts.items(), key=lambda part: (part[0][0] != _PUBLIC_KEY, part[0][0] == _SUBKEY))
    primary, *rest = (packet for _, part in ordered for packet in part.values())
    loose = dict.fromkeys(packet for packet in revocations if packet not in rest)
    return certificates(b"".join([primary, *loose, *rest]))[0]


def revocations(data: bytes) -> tuple[bytes, ...]:
    """Return all revocations of keys and subkeys in a file, detached ones included. Raises VerificationError."""
    return tuple(
        packet for tag, body, packet in _packets(_binary(data)) if tag == _SIGNATURE and _kind(body) in _REVOCATIONS
    )


def _kind(body: bytes) -> int:
    return _number(body, 2 if body[:1] <= b"\x03" else 1, 1)


def _parse_or_none(body: bytes, packet: bytes) -> Signature | None:
    """Parse a signature, or return None: certificates contain signatures of unsupported kinds."""
    try:
        return _signature(body, packet)
    except VerificationError:
        return None


def _signature(body: bytes, packet: bytes) -> Signature:
    """Parse versions 3 (still in use at openSUSE), 4 and 6 (5.2)."""
    version = _number(body, 0, 1)
    if version == 3:
        head = _take(body, 0, 17)
        made = _number(head, 3, 4)
        return Signature(packet, 3, head[2], head[15], head[16], made, issuer=head[7:15].hex().upper())
    if version not in (4, 6):
        raise VerificationError(f"it has an unknown version ({version})")
    width = 2 if version == 4 else 4
    size = _number(body, 4, width)
    hashed = dict(_subpackets(_take(body, 4 + width, size)))
    at = 4 + width + size
    others = dict(_subpackets(_take(body, at + width, _number(body, at, width))))
    issuer = hashed | others
    return Signature(
        packet,
        version,
        kind=body[1],
        algorithm=body[2],
        hash=body[3],
        # Times count only if they are signed; the signer is verified by the check.
        created=int.from_bytes(hashed.get(_CREATED, b"")[:4], "big"),
        expires=int.from_bytes(hashed.get(_EXPIRES, b"")[:4], "big"),
        key_expires=int.from_bytes(hashed.get(_KEY_EXPIRES, b"")[:4], "big"),
        issuer=(issuer.get(_ISSUER_FINGERPRINT, b"")[1:] or issuer.get(_ISSUER, b"")).hex().upper(),
    )


def _subpackets(data: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at < len(data):
        start, size = _length(data, at, 255)
        content = _take(data, start, size)
        yield _number(content, 0, 1) & 0x7F, content[1:]
        at = start + size
