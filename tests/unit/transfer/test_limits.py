"""What is refused although nothing in it is broken: disks nobody could boot, and bytes that grow without reason."""

from __future__ import annotations

import bz2
import contextlib
import io
import itertools
import lzma
import struct
from collections.abc import Iterator

import pytest
import zstandard
from tests.support.packing import MIB, PLAIN, Source, refused, verified, zst

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.inspect import HEAD
from openstack_image_manager.transfer.unpack import CHUNK, FLOOR, RATIO, _Growth
from openstack_image_manager.transfer.verified import VerifiedImage


def qcow2(size: int) -> bytes:
    return struct.pack(">4sIQIIQ", b"QFI\xfb", 3, 0, 0, 16, size).ljust(512, b"\0")


@pytest.mark.parametrize("size", [2**60, 2**63 - 512, 64 * 1024**4 + 512])
def test_a_disk_that_nobody_could_boot_is_refused(size: int) -> None:
    for rest in (0, HEAD):
        handed = refused(qcow2(size) + bytes(rest), f"its disk has {size} bytes, more than 70368744177664", "qcow2")
        assert handed == b""


def test_the_largest_disk() -> None:
    assert verified(qcow2(64 * 1024**4), "qcow2") == qcow2(64 * 1024**4)


@pytest.mark.parametrize("rest", [0, HEAD + CHUNK])
def test_a_raw_disk_whose_partition_table_glance_refuses(rest: int) -> None:
    wrong_chs = bytes(446) + struct.pack("<B3BB3BII", 0, 9, 9, 9, 0xEE, 0, 0, 0, 1, 2048) + bytes(48) + b"\x55\xaa"
    message = r"unsafe raw: GPT MBR has invalid start CHS \(Glance refuses that from 2026.2 on\)"
    assert refused(wrong_chs + bytes(rest), message) == b""
    assert refused(bytes(510) + b"\x55\xaa" + bytes(rest), "GPT MBR has no partitions defined") == b""


def test_growth_beyond_all_likelihood_is_refused() -> None:
    packed = bz2.compress(bytes(64 * MIB))
    with pytest.raises(VerificationError, match=r"bytes unpack to more than .*, which no image does: refused"):
        verified(packed, floor=32 * MIB)
    assert len(verified(packed, floor=64 * MIB)) == 64 * MIB


def test_what_a_few_bytes_unpack_to_by_default() -> None:
    """So much of it lands in Glance's staging area."""
    packed, handed = 20 * zstandard.compress(bytes(64 * MIB), 19), 0

    def take() -> None:
        nonlocal handed
        for chunk in VerifiedImage(Source(packed), "raw", None):
            handed += len(chunk)

    with pytest.raises(VerificationError, match=f"^{len(packed)} bytes unpack to more than "):
        take()
    assert 1022 * MIB <= handed <= 1024 * MIB + RATIO * len(packed)


@pytest.mark.parametrize(
    ("parts", "fits"),
    [
        ([(0, 1024)], True),
        ([(0, 1025)], False),
        ([(1, 2200), (19, 100)], True),  # MiB of the file, and what they unpack to
        ([(1, 1024), (200, 4096)], True),  # a swap partition in front of the system, as FreeBSD's images have it
        ([(20, 2048), (0, 30 * 1024)], True),  # a small system on a large disk
        ([(300, 4096), (0, 508 * 1024)], True),
        ([(0, 4 * 1024), (300, 4096)], False),
    ],
)
def test_what_a_disk_may_unpack_to(parts: list[tuple[int, int]], fits: bool) -> None:
    growth, unpacked = _Growth(lambda: None, FLOOR), 0

    def disk() -> Iterator[bytes]:
        for packed, made in parts:
            for _ in growth.packed(io.BytesIO(bytes(packed * MIB))):
                pass
            yield from itertools.repeat(megabyte, made)

    megabyte = bytes(MIB)
    with contextlib.suppress(VerificationError):
        for chunk in growth.unpacked(disk()):
            unpacked += len(chunk)
    assert (unpacked == MIB * sum(made for _, made in parts)) == fits


def test_the_memory_of_decoders_is_limited() -> None:
    refused(zst(lzma.compress(PLAIN)), "packed with zst and xz: refused")
    window = zstandard.ZstdCompressionParameters(window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=window).compressobj()
    refused(packer.compress(PLAIN) + packer.flush(), "broken: .*memory")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 27}]
    refused(lzma.compress(PLAIN, filters=filters), "broken: Memory usage limit")
    assert verified(lzma.compress(PLAIN, preset=9 | lzma.PRESET_EXTREME)) == PLAIN
