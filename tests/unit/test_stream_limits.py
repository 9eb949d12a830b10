"""What is refused although nothing in it is broken: disks nobody could boot, and bytes that grow without reason."""

from __future__ import annotations

import bz2
import lzma
import struct

import pytest
import zstandard
from packing import MIB, PLAIN, refused, verified, zst

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.inspect import HEAD
from openstack_image_manager.transfer.unpack import CHUNK


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


def test_the_memory_of_decoders_is_limited() -> None:
    refused(zst(lzma.compress(PLAIN)), "packed with zst and xz: refused")
    window = zstandard.ZstdCompressionParameters(window_log=28)
    packer = zstandard.ZstdCompressor(compression_params=window).compressobj()
    refused(packer.compress(PLAIN) + packer.flush(), "broken: .*memory")
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 1 << 27}]
    refused(lzma.compress(PLAIN, filters=filters), "broken: Memory usage limit")
    assert verified(lzma.compress(PLAIN, preset=9 | lzma.PRESET_EXTREME)) == PLAIN
