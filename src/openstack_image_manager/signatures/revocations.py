"""Distinguish a revocation that a key made (RFC 9580 5.2) from one that anyone appended to it.

Neither program can do this before there is a document, and they differ: pysequoia accepts what a retired key signed
before.
"""

from __future__ import annotations

import hashlib

_HASHES = {2: "sha1", 8: "sha256", 9: "sha384", 10: "sha512", 11: "sha224", 12: "sha3_256", 14: "sha3_512"}
_P256, _P384, _P521 = "2a8648ce3d030107", "2b81040022", "2b81040023"
_CURVE_25519 = "2b06010401da470f01"
_RSA, _DSA, _ECDSA, _EDDSA, _ED25519, _ED448 = (1, 3), 17, 19, 22, 27, 28


class _Unsupported(Exception):
    """A kind of key or hash that this module does not check."""


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        if self._at + size > len(self._data):
            raise ValueError("cut off")
        self._at += size
        return self._data[self._at - size : self._at]

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def integer(self) -> int:
        return self.number((self.number(2) + 7) // 8)


def hash_input(key: bytes) -> bytes:
    """Return the packet body of a key as signatures over it hash it (5.2.4)."""
    version, width = (b"\x9b", 4) if key[:1] == b"\x06" else (b"\x99", 2)
    return version + len(key).to_bytes(width, "big") + key


def is_genuine(key: bytes, about: bytes, signature: bytes) -> bool | None:
    """Return True if the primary `key` made this signature over `about`; None if its kind is not supported. `key` and
    `signature` are bodies of packets."""
    from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm

    try:
        digest, name, verified = _digest(about, _Reader(signature))
        _verify(_Reader(key), verified, digest, name)
    except (_Unsupported, UnsupportedAlgorithm):
        return None
    except (ValueError, InvalidSignature, OverflowError):
        return False
    return True


def _digest(about: bytes, signature: _Reader) -> tuple[bytes, str, _Reader]:
    """Return the signed digest, its hash algorithm, and the rest of the signature: its numbers."""
    version = signature.number(1)
    if version not in (4, 6):
        raise _Unsupported
    width = 2 if version == 4 else 4
    head = bytes([version]) + signature.take(3)
    size = signature.take(width)
    head += size + signature.take(int.from_bytes(size, "big"))
    signature.take(signature.number(width))
    signature.take(2)
    salt = signature.take(signature.number(1)) if version == 6 else b""
    if head[3] not in _HASHES:
        raise _Unsupported
    name = _HASHES[head[3]]
    trailer = head + bytes([version, 0xFF]) + len(head).to_bytes(4, "big")
    return hashlib.new(name, salt + about + trailer).digest(), name, signature


def _verify(key: _Reader, signature: _Reader, digest: bytes, name: str) -> None:
    """Verify the signature. Raises InvalidSignature, ValueError, _Unsupported."""
    from cryptography.hazmat.primitives import hashes
    from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed448, ed25519, padding, rsa, utils

    version = key.number(1)
    key.take(4)
    algorithm = key.number(1)
    key.take(4 if version == 6 else 0)
    prehashed = utils.Prehashed(getattr(hashes, name.upper())())
    if algorithm in _RSA:
        public = rsa.RSAPublicNumbers(n=key.integer(), e=key.integer()).public_key()
        made = signature.integer().to_bytes((public.key_size + 7) // 8, "big")
        public.verify(made, digest, padding.PKCS1v15(), prehashed)
    elif algorithm == _DSA:
        p, q, g, y = (key.integer() for _ in range(4))
        dsa_key = dsa.DSAPublicNumbers(y, dsa.DSAParameterNumbers(p, q, g)).public_key()
        dsa_key.verify(utils.encode_dss_signature(signature.integer(), signature.integer()), digest, prehashed)
    elif algorithm == _ECDSA:
        curves: dict[str, ec.EllipticCurve] = {_P256: ec.SECP256R1(), _P384: ec.SECP384R1(), _P521: ec.SECP521R1()}
        if (curve := curves.get(key.take(key.number(1)).hex())) is None:
            raise _Unsupported
        point = key.take((key.number(2) + 7) // 8)
        ec_key = ec.EllipticCurvePublicKey.from_encoded_point(curve, point)
        ec_key.verify(utils.encode_dss_signature(signature.integer(), signature.integer()), digest, ec.ECDSA(prehashed))
    elif algorithm == _EDDSA:
        if key.take(key.number(1)).hex() != _CURVE_25519:
            raise _Unsupported
        key.take(2 + 1)  # a length, and the mark of a point as it is
        made = b"".join(signature.integer().to_bytes(32, "big") for _ in range(2))
        ed25519.Ed25519PublicKey.from_public_bytes(key.take(32)).verify(made, digest)
    elif algorithm == _ED25519:
        ed25519.Ed25519PublicKey.from_public_bytes(key.take(32)).verify(signature.take(64), digest)
    elif algorithm == _ED448:
        ed448.Ed448PublicKey.from_public_bytes(key.take(57)).verify(signature.take(114), digest)
    else:
        raise _Unsupported
