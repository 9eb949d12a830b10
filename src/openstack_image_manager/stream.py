"""PURE: what happens to bytes on their way from an upstream to Glance: unpack by magic number, inspect, verify.

Nothing touches a disk and no more than a few MiB are in memory, at any size of the image.
"""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import lzma
import struct
import tarfile
import zlib
from collections.abc import Iterator
from typing import IO, Any, cast

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.model import Checksum

CHUNK = 1024 * 1024
HEAD = 4 * CHUNK  # enough for every header that the inspectors look at, but for the ends of some vmdk and vhdx
CAP = 512 * 1024**3  # bytes: no cloud image unpacks to more; what does is a bomb
AS_PUBLISHED = ("aki", "ari", "ami")  # kernels and ramdisks are compressed files by nature
NO_INSPECTOR = (*AS_PUBLISHED, "ploop")
IMAGE_SUFFIXES = (".qcow2", ".raw", ".img", ".vmdk", ".vhd", ".vhdx", ".vdi", ".iso")
_MAGIC = {b"\x1f\x8b": "gz", b"BZh": "bz2", b"\xfd7zXZ\x00": "xz", b"\x28\xb5\x2f\xfd": "zst", b"PK\x03\x04": "zip"}
_BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error, tarfile.TarError, ValueError)


class Verified:
    """An iterator over the image's bytes that ends only if they are what was promised.

    `source` is the raw file as published, with `hexdigest()` in the checksum's algorithm. The checksum may be of the
    file as published or of the image in it. Raises VerificationError before the last chunk is handed out.
    """

    def __init__(self, source: Any, disk_format: str, checksum: Checksum | None, cap: int = CAP) -> None:
        self._source = source
        self._format = disk_format
        self._checksum = checksum
        self._cap = cap
        self._started = False

    def __iter__(self) -> Iterator[bytes]:
        if self._started:
            # An HTTP library that repeats the request would send an empty image.
            raise VerificationError("the upload would have to start anew, but the download is already in progress")
        self._started = True
        published = io.BufferedReader(self._source, CHUNK)
        stream = published if self._format in AS_PUBLISHED else unpacked(published)
        digest = hashlib.new(self._checksum.algorithm) if self._checksum and stream is not published else None
        inspection = Inspection(self._format)
        held, size = b"", 0
        for chunk in _chunks(stream):
            size += len(chunk)
            if size > self._cap:
                raise VerificationError(f"it unpacks to more than {self._cap} bytes: refused")
            if digest:
                digest.update(chunk)
            # One chunk stays behind until all is known to be right, so that the upload can't end by itself.
            if inspection.head_is_read:
                yield held
                held = chunk
                inspection.feed(chunk)
            else:
                held += chunk
                inspection.feed(chunk)
        inspection.finish()
        while published.read(CHUNK):
            pass
        self._compare(digest.hexdigest() if digest else None)
        yield held

    def _compare(self, image_digest: str | None) -> None:
        if self._checksum is None:
            return
        digests = [self._source.hexdigest(), image_digest]
        if self._checksum.digest not in digests:
            got = f"{self._checksum.algorithm}:{digests[0]}"
            raise VerificationError(f"wrong checksum: expected {self._checksum}, got {got}; nothing was published")


def _chunks(stream: IO[bytes]) -> Iterator[bytes]:
    try:
        while chunk := stream.read(CHUNK):
            yield chunk
    except _BROKEN as error:
        raise VerificationError(f"the packed file is broken: {error}") from None


class Inspection:
    """Is the content what the definition says, and safe? Looks at the bytes with the inspectors that Glance uses."""

    def __init__(self, disk_format: str) -> None:
        from oslo_utils.imageutils import format_inspector

        self._format = disk_format
        self._inspectors = {name: make() for name, make in format_inspector.ALL_FORMATS.items() if name != "raw"}
        self._size = 0
        self.head_is_read = False

    def feed(self, chunk: bytes) -> None:
        """Look at the next bytes. Raises VerificationError as soon as they are wrong."""
        if self._size == 0:
            _refuse_page(chunk)
        self._size += len(chunk)
        for name, inspector in list(self._inspectors.items()):
            try:
                inspector.eat_chunk(chunk)
            except Exception:  # an inspector that can't make sense of the bytes says that they are not its format
                del self._inspectors[name]
        if not self.head_is_read and self._size >= HEAD:
            self.head_is_read = True
            self._judge()
            # Only what the rest of the file can still tell something about is fed on.
            self._inspectors = {name: each for name, each in self._matches().items() if not each.complete}

    def finish(self) -> None:
        """All bytes were seen. Raises VerificationError if they are not an image of the format, or unsafe."""
        if self._size == 0:
            raise VerificationError("the file is empty")
        for inspector in self._inspectors.values():
            inspector.finish()
        if not self.head_is_read:
            self._judge()
        for name, inspector in self._inspectors.items():
            if name == self._format:
                _check_safety(name, inspector)

    def _matches(self) -> dict[str, Any]:
        return {name: inspector for name, inspector in self._inspectors.items() if inspector.format_match}

    def _judge(self) -> None:
        if self._format in NO_INSPECTOR:
            return
        matches = self._matches()
        # A partition table is what a raw disk begins with, and what a bootable ISO has beside its own header.
        known = sorted(name for name in matches if name != "gpt")
        wanted = [] if self._format == "raw" else [self._format]
        if known != wanted:
            found = " and ".join(known) or "none of the known formats"
            raise VerificationError(f"its content is {found}, but the definition says format: {self._format}")
        for name in wanted:
            if matches[name].complete:
                _check_safety(name, matches[name])


def _check_safety(name: str, inspector: Any) -> None:
    from oslo_utils.imageutils import format_inspector

    try:
        inspector.safety_check()
    except format_inspector.SafetyCheckFailed as error:
        raise VerificationError(f"unsafe {name}: {'; '.join(map(str, error.failures.values()))}") from None
    except format_inspector.ImageFormatError as error:
        raise VerificationError(f"unsafe {name}: {error}") from None


def _refuse_page(head: bytes) -> None:
    start = head[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith((b"<!doctype", b"<html", b"<?xml", b"<head")):
        raise VerificationError("a web page came instead of an image")


def unpacked(stream: io.BufferedReader) -> IO[bytes]:
    """The image in the stream: gz, bz2, xz, zst, zip with one member, tar with one image; by magic number."""
    current: Any = stream
    # Two layers are what is in use (tar.xz); a third one would be a trick.
    for _ in range(2):
        head = current.peek(HEAD)[:512]
        kind = next((name for magic, name in _MAGIC.items() if head.startswith(magic)), None)
        if kind == "bz2" and not head[3:4].isdigit():
            kind = None
        if kind is not None:
            current = io.BufferedReader(_decompressor(kind, current), CHUNK)
        elif head[257:262] == b"ustar":
            return io.BufferedReader(_TarImage(current), CHUNK)
        else:
            break
    return cast(IO[bytes], current)


def _decompressor(kind: str, stream: Any) -> Any:
    if kind == "zst":
        import zstandard

        return zstandard.ZstdDecompressor(max_window_size=2**31).stream_reader(stream, read_across_frames=True)
    if kind == "zip":
        return _ZipMember(stream)
    if kind == "gz":
        return gzip.GzipFile(fileobj=stream, mode="rb")
    return bz2.BZ2File(stream, "rb") if kind == "bz2" else lzma.LZMAFile(stream, "rb")


class _Generated(io.RawIOBase):
    """A raw reader over a generator of chunks."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._left:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._left = chunk
        part = self._left[: len(buffer)]
        self._left = self._left[len(part) :]
        buffer[: len(part)] = part
        return len(part)


class _TarImage(_Generated):
    """The one image in a tar; other members, such as logs, are passed over."""

    def __init__(self, stream: Any) -> None:
        super().__init__(self._image(stream))

    @staticmethod
    def _image(stream: Any) -> Iterator[bytes]:
        found = None
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                if not member.isfile() or not member.name.lower().endswith(IMAGE_SUFFIXES):
                    continue
                if found:
                    raise VerificationError(f"the tar holds more than one image: {found} and {member.name}")
                found = member.name
                content = archive.extractfile(member)
                while content and (chunk := content.read(CHUNK)):
                    yield chunk
        if not found:
            raise VerificationError(f"the tar holds no image ({', '.join(IMAGE_SUFFIXES)})")


class _ZipMember(_Generated):
    """The one member of a zip, read forward: its directory is at the end, which zipfile would have to seek to.

    Layout: PKWARE APPNOTE 4.3 (local file header, data, data descriptor, central directory).
    """

    def __init__(self, stream: Any) -> None:
        super().__init__(self._member(stream))

    @staticmethod
    def _member(stream: Any) -> Iterator[bytes]:
        header = stream.read(30)
        if len(header) < 30:
            raise EOFError("the zip ends in its header")
        flags, method = struct.unpack("<HH", header[6:10])
        name_length, extra_length = struct.unpack("<HH", header[26:30])
        stream.read(name_length + extra_length)
        if flags & 1 or method != 8:
            raise VerificationError("the zip is encrypted or not deflated; only one deflated member can be read")
        inflate, crc, total = zlib.decompressobj(-15), 0, 0
        pending = b""
        while not inflate.eof:
            data = pending or stream.read(CHUNK)
            if not data:
                raise EOFError("the zip ends in its member")
            chunk = inflate.decompress(data, CHUNK)
            pending = inflate.unconsumed_tail
            crc, total = zlib.crc32(chunk, crc), total + len(chunk)
            if chunk:
                yield chunk
        rest = inflate.unused_data + stream.read(CHUNK)
        directory = rest.find(b"PK\x01\x02")
        if directory < 0:
            raise EOFError("the zip ends before its directory")
        if b"PK\x03\x04" in rest[:directory]:
            raise VerificationError("the zip holds more than one member")
        if struct.unpack("<I", rest[directory + 16 : directory + 20])[0] != crc:
            raise VerificationError("the zip's member has a wrong CRC")
