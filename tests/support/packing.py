"""What the tests of streams share: files packed in every way, and how they are read to the end or refused."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import itertools
import lzma
import struct
import tarfile
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import zstandard

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.transfer.verified import VerifiedImage

MIB = 1024**2
PLAIN = b"\0a disk without a header of its own" * 40


class Source(io.RawIOBase):
    """A published file that comes in reads of the given sizes (over and over), hashed as a download is."""

    def __init__(self, content: bytes, sizes: Sequence[int] = (CHUNK,), algorithm: str = "sha256") -> None:
        self._content = memoryview(content)
        self._sizes = itertools.cycle(sizes)
        self._hash = hashlib.new(algorithm)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        part = self._content[: min(len(buffer), next(self._sizes))]
        self._content = self._content[len(part) :]
        self._hash.update(part)
        buffer[: len(part)] = part
        return len(part)

    def check(self) -> None:
        """Time is never up."""

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def verified(content: bytes, disk_format: str = "raw", checksum: Checksum | None = None, **options: Any) -> bytes:
    """What is handed out of a published file."""
    return b"".join(VerifiedImage(Source(content), disk_format, checksum, **options))


def refused(content: bytes, message: str, disk_format: str = "raw", checksum: Checksum | None = None) -> bytes:
    """What was handed out before the refusal."""
    handed: list[bytes] = []
    with pytest.raises(VerificationError, match=message):
        handed.extend(VerifiedImage(Source(content), disk_format, checksum))
    return b"".join(handed)


def sha256(content: bytes) -> Checksum:
    return Checksum("sha256", hashlib.sha256(content).hexdigest())


def halves(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: pack(content[: len(content) // 2]) + pack(content[len(content) // 2 :])


def zst(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def zst_of_unknown_size(content: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(content) + packer.flush()


def zst_with_skippable_frame(content: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"note" + zst(content)


class Pipe(io.BytesIO):
    """Takes bytes, and knows no place to go back to."""

    def tell(self) -> int:
        raise io.UnsupportedOperation


def zipped(content: bytes, method: int = zipfile.ZIP_DEFLATED, names: Sequence[str] = ("disk.raw",)) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as archive:
        for name in names:
            archive.writestr(name, content)
    return target.getvalue()


def zip_stored(content: bytes) -> bytes:
    return zipped(content, zipfile.ZIP_STORED)


def zip_streamed(content: bytes, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    pipe = Pipe()
    with zipfile.ZipFile(pipe, "w", method) as archive:
        archive.writestr("disk.raw", content)
    return pipe.getvalue()


def zip64(content: bytes) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive, archive.open("d", "w", force_zip64=True) as to:
        to.write(content)
    return target.getvalue()


def tar(
    content: bytes,
    names: Sequence[str] = ("disk.raw",),
    kind: int = tarfile.PAX_FORMAT,
    logs: Sequence[str] = ("build.log",),
) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=kind) as archive:
        folder = tarfile.TarInfo("images.raw")
        folder.type = tarfile.DIRTYPE
        archive.addfile(folder)
        for name in (*logs, *names, *logs):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return target.getvalue()


PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "as it is": lambda content: content,
    "gz": gzip.compress,
    "gz of two members": halves(gzip.compress),
    "gz and zeros": lambda content: gzip.compress(content) + bytes(1000),
    "bz2": bz2.compress,
    "bz2 of two streams": halves(bz2.compress),
    "xz": lzma.compress,
    "xz of two streams": halves(lzma.compress),
    "xz and padding": lambda content: lzma.compress(content) + bytes(8) + lzma.compress(b"") + bytes(4),
    "zst": zst,
    "zst of two frames": halves(zst),
    "zst of unknown size": zst_of_unknown_size,
    "zst with a skippable frame": zst_with_skippable_frame,
    "zip": zipped,
    "zip stored": zip_stored,
    "zip to a pipe": zip_streamed,
    "zip64": zip64,
    "tar": tar,
    "tar of gnu": lambda content: tar(content, ["x" * 200 + ".QCOW2"], tarfile.GNU_FORMAT),
    "tar of posix": lambda content: tar(content, ["a folder/" + "x" * 200 + ".img"]),
    "tar.gz": lambda content: gzip.compress(tar(content)),
    "tar.xz": lambda content: lzma.compress(tar(content)),
    "tar.zst": lambda content: zst(tar(content)),
    "zip of gz": lambda content: zipped(gzip.compress(content)),
}
