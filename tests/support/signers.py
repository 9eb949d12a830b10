"""Keys and signatures for tests: made by hand where times, versions or kinds matter, by pysequoia otherwise."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pysequoia
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.verify import verify_detached

DAY = 24 * 3600
THEN = 1_700_000_000  # when handmade keys were created
DATA = b"SHA256 (disk.img) = aa\n"
FORGED = b"SHA256 (disk.img) = ff\n"
DETACHED, CLEAR, INLINE = (
    pysequoia.SignatureMode.DETACHED,
    pysequoia.SignatureMode.CLEAR,
    pysequoia.SignatureMode.INLINE,
)
HASHES: dict[int, hashes.HashAlgorithm] = {2: hashes.SHA1(), 8: hashes.SHA256()}


@cache
def rsa_key(number: int = 0, bits: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, bits)


def rsa_signature(data: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """As OPNsense signs."""
    return base64.encodebytes(key.sign(data, padding.PKCS1v15(), hashes.SHA256()))


def integer(number: int) -> bytes:
    """RFC 9580 3.2."""
    return number.bit_length().to_bytes(2, "big") + number.to_bytes((number.bit_length() + 7) // 8, "big")


def packet(tag: int, body: bytes) -> bytes:
    return bytes([0xC0 | tag, 0xFF]) + len(body).to_bytes(4, "big") + body


def old_packet(tag: int, body: bytes) -> bytes:
    return bytes([0x80 | tag << 2 | 1]) + len(body).to_bytes(2, "big") + body


def subpacket(kind: int, content: bytes) -> bytes:
    return bytes([len(content) + 1, kind]) + content


def seconds(number: int) -> bytes:
    return number.to_bytes(4, "big")


@dataclass(frozen=True)
class Hand:
    """A v4 RSA key; `lives`: seconds until it expires, 0: for ever; `revoked`: its certificate says so."""

    created: int = THEN
    lives: int = 0
    revoked: bool = False
    number: int = 0
    user_id: str = "Upstream <images@example.org>"
    bits: int = 2048

    @property
    def body(self) -> bytes:
        numbers = rsa_key(self.number, self.bits).public_key().public_numbers()
        return b"\x04" + seconds(self.created) + b"\x01" + integer(numbers.n) + integer(numbers.e)

    @property
    def fingerprint(self) -> str:
        return hashlib.sha1(self._hashed_key()).hexdigest().upper()

    @property
    def certificate(self) -> bytes:
        user_id = self.user_id.encode()
        about = self._hashed_key() + b"\xb4" + seconds(len(user_id)) + user_id
        lives = subpacket(9, seconds(self.lives)) if self.lives else b""
        lives += subpacket(27, b"\x03")  # it may certify and sign
        parts = [packet(6, self.body)]
        if self.revoked:
            parts.append(self.signature(self._hashed_key(), 0x20, self.created))
        parts += [packet(13, user_id), self.signature(about, 0x13, self.created, subpackets=lives)]
        return b"".join(parts)

    def sign(self, data: bytes, made: int = THEN + DAY, expires: int = 0, version: int = 4, hash_: int = 8) -> bytes:
        """A binary detached signature."""
        if version == 3:
            return self.old_signature(data, made)
        return self.signature(data, 0, made, subpacket(3, seconds(expires)) if expires else b"", hash_)

    def signature(self, data: bytes, kind: int, made: int, subpackets: bytes = b"", hash_: int = 8) -> bytes:
        """RFC 9580 5.2.3 and 5.2.4."""
        hashed = subpacket(2, seconds(made)) + subpackets
        head = bytes([4, kind, 1, hash_]) + len(hashed).to_bytes(2, "big") + hashed
        issuer = subpacket(16, bytes.fromhex(self.fingerprint)[-8:])
        signed = data + head + b"\x04\xff" + seconds(len(head))
        return packet(2, head + len(issuer).to_bytes(2, "big") + issuer + self._end(signed, hash_))

    def old_signature(self, data: bytes, made: int) -> bytes:
        """Version 3, RFC 9580 5.2.2: no subpackets, the old header, and nothing but kind and time is signed as well."""
        kind_and_time = b"\x00" + seconds(made)
        head = b"\x03\x05" + kind_and_time + bytes.fromhex(self.fingerprint)[-8:] + b"\x01\x08"
        return old_packet(2, head + self._end(data + kind_and_time, 8))

    def _end(self, signed: bytes, hash_: int) -> bytes:
        algorithm = HASHES[hash_]
        digest = hashlib.new(algorithm.name, signed).digest()
        made = rsa_key(self.number, self.bits).sign(signed, padding.PKCS1v15(), algorithm)
        return digest[:2] + integer(int.from_bytes(made, "big"))

    def _hashed_key(self) -> bytes:
        return b"\x99" + len(self.body).to_bytes(2, "big") + self.body


HAND, OTHER = Hand(), Hand(number=1)


class Made:
    """A key by pysequoia: a primary key that certifies, and a subkey that signs."""

    def __init__(self, name: str = "Upstream <images@example.org>", v6: bool = False) -> None:
        profile = pysequoia.Profile.RFC9580 if v6 else pysequoia.Profile.RFC4880
        self.secret = pysequoia.Tsk.generate(name, profile=profile)
        self.public = self.secret.extract_certificate()
        self.fingerprint = self.public.fingerprint.upper()
        self.certificate = bytes(self.public)
        self.armored = str(self.public).encode()

    def sign(self, data: bytes, armor: bool = True) -> bytes:
        return pysequoia.sign(self.secret.signer(), data, mode=DETACHED, armor=armor)

    def clearsign(self, text: bytes) -> bytes:
        return pysequoia.sign(self.secret.signer(), text, mode=CLEAR)

    def revocation(self) -> bytes:
        return bytes(self.public.revoke(self.secret.certifier()))


@cache
def made(name: str = "Upstream <images@example.org>", v6: bool = False) -> Made:
    return Made(name, v6)


def stored(directory: Path, *certificates: bytes) -> Path:
    """A directory with these certificates."""
    directory.mkdir(exist_ok=True)
    for number, certificate in enumerate(certificates):
        (directory / f"{number}.gpg").write_bytes(certificate)
    return directory


def refused(message: str, data: bytes, signature: bytes, pinned: str, keyring: Keyring) -> None:
    """The signature is refused, with this message, in one line."""
    with pytest.raises(VerificationError, match=message) as error:
        verify_detached(data, signature, [pinned], keyring)
    assert "\n" not in str(error.value)
