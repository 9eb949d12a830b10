"""Parse the texts around keys and signatures: armor (RFC 9580 6), PEM (RFC 7468), cleartext framework (RFC 9580 7)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass

from openstack_image_manager.errors import VerificationError

_BEGIN = re.compile(rb"-----BEGIN ([A-Z0-9][A-Z0-9 ,/]*)-----")
_CRC = re.compile(rb"=[A-Za-z0-9+/]{4}")
_HASH = re.compile(rb"Hash: %(name)b(, ?%(name)b)*" % {b"name": rb"(MD5|SHA-?1|RIPEMD160|SHA(3-)?(224|256|384|512))"})
_BOM = b"\xef\xbb\xbf"
_SIGNED = b"-----BEGIN PGP SIGNED MESSAGE-----"
_SIGNATURE = b"-----BEGIN PGP SIGNATURE-----"
_END = b"-----END PGP SIGNATURE-----"


def _crc24_table() -> list[int]:
    table = []
    for byte in range(256):
        crc = byte << 16
        for _ in range(8):
            crc = crc << 1 ^ (0x1864CFB if crc & 0x800000 else 0)
        table.append(crc & 0xFFFFFF)
    return table


_TABLE = _crc24_table()


def crc24(data: bytes) -> bytes:
    """Return the three bytes of the CRC (RFC 9580 6.1)."""
    crc = 0xB704CE
    for byte in data:
        crc = (crc << 8 & 0xFFFFFF) ^ _TABLE[crc >> 16 ^ byte]
    return crc.to_bytes(3, "big")


@dataclass(frozen=True, slots=True)
class Block:
    """The decoded data between a BEGIN and its END line; `label` is like 'PGP PUBLIC KEY BLOCK'."""

    label: str
    data: bytes


def blocks(text: bytes) -> tuple[Block, ...]:
    """Return all armored or PEM blocks of a text; other lines are ignored. Raises VerificationError for a damaged
    block."""
    found: list[Block] = []
    label, lines = b"", list[bytes]()
    for raw_line in text.split(b"\n"):
        line = raw_line.strip()
        if match := _BEGIN.fullmatch(line):
            label, lines = match[1], []
        elif label and line == b"-----END %s-----" % label:
            found.append(Block(label.decode("ascii"), _decoded(lines)))
            label = b""
        elif label:
            lines.append(line)
    if label:
        raise VerificationError(f"it is cut off: there is no END line of the {label.decode('ascii')}")
    return tuple(found)


def _decoded(lines: list[bytes]) -> bytes:
    # Armor headers (`Comment: …`) have a colon, which base64 does not use; PEM has no blank line after them.
    body = [line for line in lines if line and b":" not in line]
    crc = body.pop() if body and _CRC.fullmatch(body[-1]) else None
    try:
        data = base64.b64decode(b"".join(body), validate=True)
    except binascii.Error:
        raise VerificationError("it is damaged: not base64") from None
    if crc is not None and base64.b64decode(crc[1:]) != crc24(data):
        raise VerificationError("it is damaged: wrong CRC")
    return data


def armored(block: Block) -> str:
    """Return the text of a block, with a CRC for OpenPGP."""
    encoded = base64.b64encode(block.data).decode("ascii")
    pgp = block.label.startswith("PGP ")
    lines = [f"-----BEGIN {block.label}-----", *([""] if pgp else [])]
    lines += [encoded[start : start + 64] for start in range(0, len(encoded), 64)]
    lines += [f"={base64.b64encode(crc24(block.data)).decode('ascii')}"] if pgp else []
    return "\n".join([*lines, f"-----END {block.label}-----", ""])


def is_binary(data: bytes) -> bool:
    """Return True for OpenPGP packets, which begin with a set bit (RFC 9580 4.2), unlike ASCII text."""
    return data[:1] >= b"\x80" and not data.startswith(_BOM)


def cleartext(text: bytes) -> tuple[bytes, bytes]:
    """Return the signed lines of a clearsigned text as they are hashed (CRLF, no line end at the end), and its
    signature.

    Lines before and after the block are dropped: they are not signed. Raises VerificationError if there is not exactly
    one well-formed block.
    """
    lines = [line.rstrip(b" \t\r") for line in text.removeprefix(_BOM).split(b"\n")]
    count = lines.count(_SIGNED)
    if count == 0:
        raise VerificationError("it is not signed: it contains no 'BEGIN PGP SIGNED MESSAGE'")
    if count > 1:
        raise VerificationError(f"it contains {count} signed texts: only one is allowed")
    rest = iter(lines[lines.index(_SIGNED) + 1 :])
    for line in rest:
        if not line:
            break
        # A reader may show any other header, or other word in this one, as if it were part of the text.
        if not _HASH.fullmatch(line):
            raise VerificationError("it is malformed: only 'Hash: …' is allowed between the first line and the text")
    signed: list[bytes] = []
    for line in rest:
        if line == _SIGNATURE:
            break
        if line.startswith(b"-") and not line.startswith(b"- ") and line != b"-":
            raise VerificationError("it is malformed: a line of the text begins with a dash that is not escaped")
        signed.append(line[2:] if line.startswith(b"- ") else line)
    else:
        raise VerificationError("it is cut off: there is no signature behind the text")
    signature = [_SIGNATURE]
    for line in rest:
        signature.append(line)
        if line == _END:
            return b"\r\n".join(signed), b"\n".join([*signature, b""])
    raise VerificationError("it is cut off: the signature does not end")
