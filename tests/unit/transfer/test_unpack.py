"""Packed files: every kind comes out whole, and what is cut off, changed or ambiguous is refused."""

from __future__ import annotations

import bz2
import gzip
import lzma
import random
import struct
import zipfile
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.packing import (
    PACKERS,
    PLAIN,
    Source,
    refused,
    sha256,
    tar,
    verified,
    zip_stored,
    zip_streamed,
    zipped,
    zst,
)

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.inspect import HEAD
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.transfer.verified import VerifiedImage

CHECKED = ("gz", "gz of two members", "bz2", "bz2 of two streams", "xz", "xz of two streams", "zip", "zip stored")


@pytest.mark.parametrize("size", [0, 1, 511, 5000])
@pytest.mark.parametrize("packer", PACKERS)
def test_what_is_packed_comes_out_unpacked(packer: str, size: int) -> None:
    content = (b"\0\1" + bytes(range(256)) * (size // 256 + 1))[:size]
    packed = PACKERS[packer](content)
    if size == 0:
        refused(packed, "the file is empty")
    else:
        assert verified(packed) == content
        assert verified(packed, checksum=sha256(packed)) == content
        assert verified(packed, checksum=sha256(content)) == content


@pytest.mark.parametrize("size", [CHUNK, HEAD + CHUNK + 1])
@pytest.mark.parametrize("packer", ["as it is", "gz", "zst of two frames", "zip", "zip stored", "tar.zst"])
def test_images_of_any_size_come_out_unpacked(packer: str, size: int) -> None:
    content = (b"\0\1" + random.Random(size).randbytes(CHUNK // 2) + bytes(CHUNK) * (size // CHUNK + 1))[:size]
    packed = PACKERS[packer](content)
    assert verified(packed, checksum=sha256(packed)) == content


contents = st.binary(max_size=2000).map(lambda data: b"\0" + data)
sizes = st.lists(st.integers(1, 700), min_size=1, max_size=6)


@settings(max_examples=100)
@given(contents, st.sampled_from(sorted(PACKERS)), sizes)
def test_whatever_the_bytes_and_however_they_come(content: bytes, packer: str, sizes: list[int]) -> None:
    source = Source(PACKERS[packer](content), sizes)
    assert b"".join(VerifiedImage(source, "raw", sha256(content))) == content


@settings(max_examples=100)
@given(st.sampled_from(sorted(set(PACKERS) - {"as it is"})), st.floats(0, 1))
def test_a_file_that_ends_too_early_never_passes_for_a_whole_one(packer: str, where: float) -> None:
    packed = PACKERS[packer](PLAIN)
    cut = packed[: 262 + int(where * (len(packed) - 262))] if "tar" in packer else packed[: int(where * len(packed))]
    try:
        got = verified(cut)
    except VerificationError:
        return
    # What is cut off may be padding, a log, or all of a second stream; or so much that the magic is gone as well.
    whole_streams = (PLAIN, PLAIN[: len(PLAIN) // 2])
    assert got in whole_streams or (got == cut and len(cut) < 10)


@settings(max_examples=100)
@given(st.sampled_from(sorted(PACKERS)), st.floats(0, 1, exclude_max=True), st.integers(1, 255))
def test_a_changed_byte_is_an_error_or_changes_nothing_where_there_is_a_crc(
    packer: str, where: float, change: int
) -> None:
    packed = bytearray(PACKERS[packer](PLAIN))
    packed[int(where * len(packed))] ^= change
    try:
        got = verified(bytes(packed))
    except VerificationError:
        return
    if packer in CHECKED:
        assert got in (PLAIN, packed)


def test_a_broken_second_stream_is_not_taken_for_rubbish_behind_the_first() -> None:
    for packer in (gzip.compress, bz2.compress, lzma.compress, zst):
        refused(packer(PLAIN) + b"X" + packer(PLAIN)[1:], "the packed file is broken: ")


def test_zeros_behind_a_stream_are_padding_however_many() -> None:
    assert verified(gzip.compress(PLAIN) + bytes(2 * CHUNK) + gzip.compress(PLAIN)) == 2 * PLAIN


def test_a_file_packed_three_times_is_refused() -> None:
    refused(gzip.compress(lzma.compress(bz2.compress(PLAIN))), "packed more than 2 times")
    refused(gzip.compress(tar(gzip.compress(PLAIN))), "packed more than 2 times")


def test_a_zip_of_two_members_is_refused() -> None:
    refused(zipped(PLAIN, names=("disk.raw", "readme")), "more than one member")
    refused(zip_stored(PLAIN)[: -22 - 54] + zipped(PLAIN), "more than one member")


def with_field(packed: bytes, at: int, kind: str, value: int) -> bytes:
    return packed[:at] + struct.pack(kind, value) + packed[at + struct.calcsize(kind) :]


@pytest.mark.parametrize(
    "packed",
    [
        with_field(zipped(PLAIN), 6, "<H", 1),
        zipped(PLAIN, zipfile.ZIP_BZIP2),
        zip_streamed(PLAIN, zipfile.ZIP_STORED),
        with_field(zip_stored(PLAIN), 22, "<I", 2**32 - 1),
    ],
    ids=["encrypted", "bzip2", "stored to a pipe", "stored, with zip64 sizes"],
)
def test_a_zip_that_can_not_be_read_forward_is_refused(packed: bytes) -> None:
    refused(packed, "neither deflated nor plain")


@pytest.mark.parametrize("pack", [zipped, zip_stored, zip_streamed])
def test_a_zip_with_a_wrong_crc_is_refused(pack: Callable[[bytes], bytes]) -> None:
    packed = pack(PLAIN)
    refused(with_field(packed, packed.index(b"PK\1\2") + 16, "<I", 1), "broken: wrong CRC")


@pytest.mark.parametrize("cut", [29, 33, 60, -70, -100])
def test_a_zip_that_ends_too_early_is_refused(cut: int) -> None:
    assert refused(zipped(PLAIN)[:cut], "it ends too early") == b""
    refused(zip_stored(PLAIN)[:cut], "it ends too early")


def test_a_tar_holds_exactly_one_image() -> None:
    refused(tar(PLAIN, ["one.img", "two.qcow2"]), "more than one image: one.img and two.qcow2")
    refused(tar(PLAIN, []), r"holds no image \(.qcow2, .raw, ")
    assert refused(tar(PLAIN)[:3200], "broken: unexpected end of data") == b""
