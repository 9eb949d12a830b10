"""Read the members of a tar from a stream, in bounded memory.

The standard library reads extended headers of any length completely, and fills the holes of sparse members. Layout:
POSIX pax (ustar, extended headers) and GNU tar (long names, numbers in base 256).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from openstack_image_manager.errors import VerificationError

BLOCK = 512
MOST_EXTENDED = 1024 * 1024  # bytes of one extended header: names and times take some hundred
MOST_IN_A_ROW = 16  # extended headers before one member: up to three are common
CHUNK = 1024 * 1024
_FILES = (b"0", b"\0", b"7")
_WITHOUT_DATA = (b"1", b"2", b"3", b"4", b"5", b"6")  # links, devices, folders, pipes
_PAX, _GNU, _GLOBAL = (b"x", b"X"), (b"L", b"K"), (b"g",)
_SPARSE = "the tar holds a sparse member ({}): pack the image without --sparse, or publish it as qcow2"


@dataclass(frozen=True, slots=True)
class Member:
    """A member; its data follow in the stream. `is_file`: it is a regular file."""

    name: str
    size: int
    is_file: bool


def broken(reason: object) -> VerificationError:
    """The error of a packed file that cannot be read."""
    return VerificationError(f"the packed file is broken: {reason}")


def members(source: IO[bytes]) -> Iterator[Member]:
    """The members in order. Read `data` of a member to the end before the next one. Raises VerificationError."""
    name, size, in_a_row = None, None, 0
    while (header := source.read(BLOCK)) and any(header):
        _check(header)
        kind, length = header[156:157], _number(header[124:136])
        if kind in (*_PAX, *_GNU, *_GLOBAL):
            in_a_row += 1
            text = _extended(source, length, in_a_row)
            if kind == b"L":
                name = _text(text.partition(b"\0")[0])
            elif kind not in _GNU:
                keys = _pax(text)
                if sparse := next((key for key in keys if key.startswith("GNU.sparse.")), None):
                    raise VerificationError(_SPARSE.format(sparse))
                if kind not in _GLOBAL:
                    name, size = keys.get("path", name), int(keys["size"]) if "size" in keys else size
            continue
        name = _plain_name(header) if name is None else name
        if kind == b"S":
            raise VerificationError(_SPARSE.format(name))
        length = length if size is None else size
        is_file = kind in _FILES and not name.endswith("/")
        yield Member(name, 0 if kind in _WITHOUT_DATA else length, is_file)
        name, size, in_a_row = None, None, 0


def data(source: IO[bytes], member: Member) -> Iterator[bytes]:
    """The contents of a member in chunks. Raises VerificationError if they end too early."""
    left = member.size
    while left:
        chunk = source.read(min(CHUNK, left))
        if not chunk:
            raise broken("unexpected end of data")
        left -= len(chunk)
        yield chunk
    source.read(-member.size % BLOCK)


def _check(header: bytes) -> None:
    if len(header) < BLOCK:
        raise broken("it ends too early")
    # The sum counts its own field as blanks; old programs use signed bytes.
    counted = header[:148] + b" " * 8 + header[156:]
    signed = sum(counted) - 256 * sum(byte > 127 for byte in counted)
    if _number(header[148:156]) not in (sum(counted), signed):
        raise broken("a header of the tar has a wrong checksum")


def _number(field: bytes) -> int:
    if field[0] == 0x80:  # GNU: in base 256
        return int.from_bytes(field[1:], "big")
    text = field.partition(b"\0")[0].strip()
    if not re.fullmatch(rb"[0-7]*", text):
        raise broken("a header of the tar has a wrong number")
    return int(text or b"0", 8)


def _extended(source: IO[bytes], length: int, in_a_row: int) -> bytes:
    if length > MOST_EXTENDED:
        raise VerificationError(f"an extended header of the tar has {length} bytes, more than {MOST_EXTENDED}: refused")
    if in_a_row > MOST_IN_A_ROW:
        raise VerificationError(f"the tar has more than {MOST_IN_A_ROW} extended headers in a row: refused")
    text = source.read(length)
    if len(text) < length:
        raise broken("unexpected end of data")
    source.read(-length % BLOCK)
    return text


def _pax(text: bytes) -> dict[str, str]:
    """Keys and values of records `LENGTH KEY=VALUE\\n`, whose length counts all of the record."""
    values: dict[str, str] = {}
    position = 0
    while position < len(text):
        head = re.compile(rb"([1-9][0-9]{0,6}) ([^=\n]{1,255})=").match(text, position)
        end = position + int(head[1]) if head else 0
        if head is None or not head.end() < end <= len(text) or text[end - 1 : end] != b"\n":
            raise broken("an extended header of the tar has a wrong record")
        key, value = _text(head[2]), _text(text[head.end() : end - 1])
        if key == "size" and not re.fullmatch(r"[0-9]{1,18}", value):
            raise broken("a header of the tar has a wrong number")
        values[key] = value
        position = end
    return values


def _plain_name(header: bytes) -> str:
    name, prefix = (field.partition(b"\0")[0] for field in (header[:100], header[345:500]))
    is_posix = header[257:263] == b"ustar\0"  # GNU's layout has other fields there
    return _text(prefix + b"/" + name if prefix and is_posix else name)


def _text(value: bytes) -> str:
    return value.decode("utf-8", "surrogateescape")
