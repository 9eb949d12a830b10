"""Unpack images in a stream: gz, bz2, xz, zst, zip and tar."""

from __future__ import annotations

import bz2
import io
import lzma
import re
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import IO, Any
from urllib.parse import urlsplit

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer import tar

PACKED = (".gz", ".bz2", ".xz", ".zst", ".zip", ".tar", ".tgz", ".txz", ".tbz", ".tbz2", ".tzst")
CHUNK = 1024 * 1024
ZST_STEP = 256  # of packed bytes: zstandard cannot limit its output, at most 128 KiB for every 4 bytes
# A raw disk of zeros with 10 MB of files legitimately packs 1000:1; RATIO allows a disk of 32 GiB with 17 MB of files.
# It is checked while bytes arrive, so FLOOR allows zeros before the first files: FreeBSD's images begin with a swap
# partition of 1 GiB. FLOOR is also the most that a site can put into Glance's staging area with a few bytes. Systems
# that pack to less than 1 MB (iPXE) need a few MiB.
FLOOR = 1024**3  # bytes that any file may unpack to
RATIO = 2000  # and more than those, for each byte of the file that was read
XZ_MEMORY = 128 * CHUNK  # xz -9 takes 65 MiB
ZST_WINDOW = 128 * CHUNK  # the limit of zstd itself without --long or --memory; --ultra needs no more
LAYERS = 2  # as in tar.xz; a third one would be suspicious
WITH_WINDOW = {"xz", "zst"}  # formats whose memory is set by the packed file
IMAGE_SUFFIXES = (".qcow2", ".raw", ".img", ".vmdk", ".vhd", ".vhdx", ".vdi", ".iso")
_MAGIC = re.compile(
    rb"(?P<gz>\x1f\x8b\x08)|(?P<bz2>BZh[1-9](?:1AY&SY|\x17rE8P\x90))|(?P<xz>\xfd7zXZ\x00)"
    rb"|(?P<zst>\x28\xb5\x2f\xfd|[\x50-\x5f]\x2a\x4d\x18)|(?P<zip>PK\x03\x04)|(?P<tar>.{257}ustar)",
    re.DOTALL,
)


def is_packed(url: str) -> bool:
    """True for a URL that names a packed file."""
    return urlsplit(url.lower()).path.endswith(PACKED)


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def unpacked(
    stream: io.BufferedReader, check: Callable[[], None] = lambda: None, floor: int = FLOOR
) -> io.BufferedReader:
    """The image in the stream: gz, bz2, xz, zst, zip with one member, tar with one image; by magic number.

    Reading from it raises VerificationError when the packed file is broken, ends too early, has too many layers, or
    grows too much (FLOOR, RATIO). `check` is called for every chunk, and can raise to end it.
    """
    kinds: list[str] = []
    growth = _Growth(check, floor)
    while magic := _MAGIC.match(stream.peek(1)):
        kind = str(magic.lastgroup)
        if len(kinds) == LAYERS:
            raise VerificationError(f"it is packed more than {LAYERS} times: refused")
        if kind in WITH_WINDOW and WITH_WINDOW & set(kinds):
            raise VerificationError(f"it is packed with {kinds[-1]} and {kind}: refused, for the memory of both")
        source = stream if kinds else _reader(growth.packed(stream))
        kinds.append(kind)
        stream = _reader(growth.unpacked(_UNPACK[kind](source)))
    return stream


class _Growth:
    """Checks while bytes are unpacked that time is not up and that they do not grow too much."""

    def __init__(self, check: Callable[[], None], floor: int) -> None:
        self._check = check
        self._floor = floor
        self._read = 0

    def packed(self, source: IO[bytes]) -> Iterator[bytes]:
        """Count the packed bytes."""
        for chunk in _chunks(source):
            self._read += len(chunk)
            yield chunk

    def unpacked(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Count the unpacked bytes of one layer. Raises VerificationError."""
        size = 0
        for chunk in chunks:
            self._check()
            size += len(chunk)
            if size > self._floor + RATIO * self._read:
                raise VerificationError(f"{self._read} bytes unpack to more than {size}, which no image does: refused")
            yield chunk


def _reader(chunks: Iterator[bytes]) -> io.BufferedReader:
    return io.BufferedReader(_Filled(chunks), CHUNK)


class _Filled(io.RawIOBase):
    """A raw reader over chunks of any size. A read is short at the end only, so that peek() shows the whole head."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = (memoryview(chunk) for chunk in chunks if chunk)
        self._left = self._end = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        done = 0
        while done < len(buffer) and (left := self._left or next(self._chunks, self._end)):
            count = min(len(buffer) - done, len(left))
            buffer[done : done + count] = left[:count]
            self._left = left[count:]
            done += count
        return done


def _zst_engine() -> Any:
    import zstandard

    return zstandard.ZstdDecompressor(max_window_size=ZST_WINDOW).decompressobj()


def _streams(source: IO[bytes], start: Callable[[], Any], *limit: int) -> Iterator[bytes]:
    """Packed streams one after another, as parallel packers write them; zeros behind one are padding."""
    data = b""
    while data := data or source.read(CHUNK if limit else ZST_STEP):
        if data := data.lstrip(b"\0"):
            engine = start()
            yield from _stream(source, engine, data, *limit)
            data = engine.unused_data


def _stream(source: IO[bytes], engine: Any, data: bytes, *limit: int) -> Iterator[bytes]:
    """One packed stream that begins with `data`; bytes after it are in the engine's `unused_data`.

    The file classes of the standard library ignore a broken second stream, and zstandard's accepts a truncated file.
    """
    while not engine.eof:
        if not data and getattr(engine, "needs_input", True):
            data = source.read(CHUNK if limit else ZST_STEP)
            if not data:
                raise tar.broken("it ends too early")
        try:
            chunk = engine.decompress(data, *limit)
        except Exception as error:  # every library has its own class
            raise tar.broken(error) from None
        data = getattr(engine, "unconsumed_tail", b"")
        yield chunk


def _tar_image(source: IO[bytes]) -> Iterator[bytes]:
    """The one image in a tar; other members, such as logs, are skipped."""
    name = None
    for member in tar.members(source):
        contents = tar.data(source, member)
        if not member.is_file or not member.name.lower().endswith(IMAGE_SUFFIXES):
            for _ in contents:
                pass
            continue
        if name:
            raise VerificationError(f"the tar holds more than one image: {name} and {member.name}")
        name = member.name
        yield from contents
    if not name:
        raise VerificationError(f"the tar holds no image ({', '.join(IMAGE_SUFFIXES)})")


def _zip_member(source: IO[bytes]) -> Iterator[bytes]:
    """The one member of a zip, read forward: zipfile would have to seek to the directory at the end.

    Layout: PKWARE APPNOTE 4.3 (local file header, data, data descriptor, central directory).
    """
    header = source.read(30)
    if len(header) < 30:
        raise tar.broken("it ends too early")
    flags, method, size, name_length, extra_length = struct.unpack("<6x2H12xI2H", header)
    # The header has the size of a stored member, unless it was written to a pipe or has 4 GiB or more.
    if flags & 1 or method not in (0, 8) or (method == 0 and (flags & 8 or size == 2**32 - 1)):
        raise VerificationError("the zip's member is neither deflated nor plain: encrypted or packed in another way")
    source.read(name_length + extra_length)
    engine, crc = zlib.decompressobj(-zlib.MAX_WBITS), 0
    for chunk in _stream(source, engine, b"", CHUNK) if method else _exactly(source, size):
        crc = zlib.crc32(chunk, crc)
        yield chunk
    # At most 24 bytes of a data descriptor, then the directory, with the CRC 16 bytes after its signature.
    follows = re.search(rb"PK\x03\x04|PK\x01\x02.{12}(.{4})", (engine.unused_data + source.read(64))[:64], re.DOTALL)
    if follows is None:
        raise tar.broken("it ends too early")
    if follows[1] is None:
        raise VerificationError("the zip holds more than one member")
    if follows[1] != struct.pack("<I", crc):
        raise tar.broken("wrong CRC")


def _exactly(source: IO[bytes], size: int) -> Iterator[bytes]:
    while size and (chunk := source.read(min(size, CHUNK))):
        size -= len(chunk)
        yield chunk


_UNPACK: dict[str, Callable[[IO[bytes]], Iterator[bytes]]] = {
    "gz": lambda source: _streams(source, lambda: zlib.decompressobj(zlib.MAX_WBITS | 16), CHUNK),
    "bz2": lambda source: _streams(source, bz2.BZ2Decompressor, CHUNK),
    "xz": lambda source: _streams(source, lambda: lzma.LZMADecompressor(memlimit=XZ_MEMORY), CHUNK),
    "zst": lambda source: _streams(source, _zst_engine),
    "zip": _zip_member,
    "tar": _tar_image,
}
