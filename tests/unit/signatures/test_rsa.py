"""Bare RSA signatures as OPNsense makes them, with keys by cryptography and signatures by openssl's rules."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, rsa
from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.support.signers import rsa_key
from tests.support.signers import rsa_signature as sign

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.armor import Block, armored
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.verdict import VerifiedSignature
from openstack_image_manager.signatures.verify import Rsa, verify_rsa

IMAGE = b"unpacked image\n" * 1000


def der(key: PublicKeyTypes) -> bytes:
    return key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def fingerprint(key: PublicKeyTypes) -> str:
    return hashlib.sha256(der(key)).hexdigest().upper()


def ring(directory: Path, *keys: PublicKeyTypes) -> Keyring:
    for number, key in enumerate(keys):
        pem = key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        (directory / f"OPNsense-{number}.pub").write_bytes(pem)
    return Keyring([directory])


KEY, OTHER = rsa_key(), rsa_key(1)
PIN = fingerprint(KEY.public_key())


def test_images_are_hashed_as_they_stream_by(tmp_path: Path) -> None:
    with Rsa(sign(IMAGE, KEY), [PIN.lower()], ring(tmp_path, OTHER.public_key(), KEY.public_key())) as check:
        for start in range(0, len(IMAGE), 999):
            check.update(IMAGE[start : start + 999])
        assert check.finish() == VerifiedSignature(PIN, None)


def test_any_of_the_pinned_keys_may_sign(tmp_path: Path) -> None:
    pinned = [fingerprint(OTHER.public_key()), PIN]
    keyring = ring(tmp_path, OTHER.public_key(), KEY.public_key())
    assert verify_rsa(IMAGE, sign(IMAGE, KEY), pinned, keyring).fingerprint == PIN
    assert verify_rsa(IMAGE, sign(IMAGE, OTHER), pinned, keyring).fingerprint == pinned[0]


@pytest.mark.parametrize(
    ("data", "signature", "pin", "message"),
    [
        (IMAGE + b"x", sign(IMAGE, KEY), PIN, f"^BAD signature: not by the pinned key .{PIN}"),
        (IMAGE, sign(IMAGE, OTHER), PIN, "^BAD signature"),
        (IMAGE, base64.b64encode(b"short"), PIN, "^BAD signature"),
        (IMAGE, b"", PIN, "no signature"),
        (IMAGE, b"<html>", PIN, "not base64"),
        (IMAGE, sign(IMAGE, KEY), "ab" * 32, f"no key {'AB' * 32} in"),
        (IMAGE, sign(IMAGE, KEY), "short", "not a valid key fingerprint"),
    ],
    ids=lambda _: "case",  # keys are new in every process
)
def test_all_else_is_refused(tmp_path: Path, data: bytes, signature: bytes, pin: str, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        verify_rsa(data, signature, [pin], ring(tmp_path, KEY.public_key(), OTHER.public_key()))


def test_keys_that_are_too_weak_or_of_another_kind(tmp_path: Path) -> None:
    short = rsa.generate_private_key(65537, 1024).public_key()
    other = dsa.generate_private_key(1024).public_key()
    garbage = b"no DER"
    (tmp_path / "garbage.pem").write_text(armored(Block("PUBLIC KEY", garbage)))
    keyring = ring(tmp_path, short, other)
    for pin in (fingerprint(short), fingerprint(other), hashlib.sha256(garbage).hexdigest()):
        with pytest.raises(VerificationError, match="not an RSA key of at least 2048 bits"):
            verify_rsa(IMAGE, sign(IMAGE, KEY), [pin], keyring)
