"""Bytes on their way to Glance: verified, and held back until all is known to be right, in a bounded memory."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import tracemalloc
from collections.abc import Callable
from typing import Any

import pytest
import zstandard
from tests.support.packing import MIB, PACKERS, PLAIN, Source, refused, sha256, tar, verified, zst

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import FetchError, VerificationError
from openstack_image_manager.transfer.inspect import HEAD
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.transfer.verified import VerifiedImage


def test_an_error_of_the_download_passes_through_as_it_is() -> None:
    class Failing(Source):
        def readinto(self, buffer: Any) -> int:
            return super().readinto(buffer) or self.fail()

        def fail(self) -> int:
            raise FetchError("https://example.org/disk: gone")

    for packer, pack in PACKERS.items():
        for cut in (20, 700):
            with pytest.raises((FetchError, VerificationError), match=r"disk: gone|broken: ") as caught:
                list(VerifiedImage(Failing(pack(PLAIN)[:cut]), "raw", None))
            assert caught.type is FetchError or packer.startswith(("tar", "zip")), packer


@pytest.mark.parametrize("size", [1, HEAD - 1, HEAD, HEAD + 1, HEAD + CHUNK + 5])
def test_no_upload_of_wrong_bytes_completes_by_itself(size: int) -> None:
    content = bytes(size)
    for packed in (content, gzip.compress(content, 1)):
        handed = refused(packed, "wrong checksum: expected sha256:.* got sha256:", checksum=sha256(b"other"))
        assert len(handed) < size
        assert b"".join(VerifiedImage(Source(packed), "raw", sha256(content))) == content


def test_the_whole_published_file_is_read_and_hashed() -> None:
    """The digest of the file covers what stands behind the image, too."""
    packed = tar(PLAIN) + bytes(3 * CHUNK)
    assert verified(packed, checksum=sha256(packed)) == PLAIN
    refused(packed + b"\0", "wrong checksum", checksum=sha256(packed))


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha512"])
def test_any_algorithm(algorithm: str) -> None:
    packed = bz2.compress(PLAIN)
    for content in (packed, PLAIN):
        source = Source(packed, algorithm=algorithm)
        checksum = Checksum(algorithm, hashlib.new(algorithm, content).hexdigest())
        assert b"".join(VerifiedImage(source, "raw", checksum)) == PLAIN


def test_an_upload_can_not_start_anew() -> None:
    chunks = VerifiedImage(Source(PLAIN), "raw", None)
    assert b"".join(chunks) == PLAIN
    with pytest.raises(VerificationError, match="would have to start again"):
        next(iter(chunks))


def test_a_bomb_is_refused() -> None:
    with pytest.raises(VerificationError, match="more than 8388608 bytes"):
        verified(gzip.compress(bytes(9 * MIB)), cap=8 * MIB)
    assert len(verified(gzip.compress(bytes(8 * MIB)), cap=8 * MIB)) == 8 * MIB


@pytest.mark.parametrize(
    "page",
    [
        b"<!DOCTYPE html><title>Not found</title>",
        b"\xef\xbb\xbf\r\n <HTML>",
        b'<?xml version="1.0"?><Error><Code>AccessDenied</Code></Error>',
        b"<head>",
        b"<!-- down for maintenance -->",
        bz2.compress(b"<html>"),
    ],
)
def test_a_web_page_is_refused(page: bytes) -> None:
    for disk_format in ("raw", "qcow2", "ploop"):
        assert refused(page, "a web page came instead of an image", disk_format) == b""


@pytest.mark.parametrize("disk_format", ["raw", "qcow2", "aki", "ploop"])
def test_an_empty_file_is_refused(disk_format: str) -> None:
    assert refused(b"", "the file is empty", disk_format) == b""


def one_zst_frame(size: int) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return b"".join(packer.compress(bytes(MIB)) for _ in range(size // MIB)) + packer.flush()


BOMBS: dict[str, tuple[int, Callable[[int], bytes]]] = {
    "gz": (256 * MIB, lambda size: gzip.compress(bytes(4 * MIB), 1) * (size // 4 // MIB)),
    "bz2": (48 * MIB, lambda size: bz2.compress(bytes(4 * MIB), 1) * (size // 4 // MIB)),
    "xz": (48 * MIB, lambda size: lzma.compress(bytes(4 * MIB), preset=0) * (size // 4 // MIB)),
    "zst": (256 * MIB, one_zst_frame),
    "tar.zst": (48 * MIB, lambda size: zst(tar(bytes(size), logs=()))),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_memory_does_not_grow_with_the_image(kind: str) -> None:
    size, make = BOMBS[kind]
    packed = make(size)
    total = 0
    tracemalloc.start()
    for chunk in VerifiedImage(Source(packed), "raw", None):
        total += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == size
    assert peak < 40 * MIB
