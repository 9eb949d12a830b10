"""Bytes on their way to Glance: unpacked, looked at, verified, and held back until all is known to be right."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import itertools
import lzma
import random
import struct
import tarfile
import tracemalloc
import uuid
import zipfile
from collections.abc import Callable, Sequence
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from openstack_image_manager.errors import FetchError, VerificationError
from openstack_image_manager.format import Checksum
from openstack_image_manager.stream import CHUNK, HEAD, Verified

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

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def verified(content: bytes, disk_format: str = "raw", checksum: Checksum | None = None, **options: Any) -> bytes:
    return b"".join(Verified(Source(content), disk_format, checksum, **options))


def refused(content: bytes, message: str, disk_format: str = "raw", checksum: Checksum | None = None) -> bytes:
    """What was handed out before the refusal."""
    handed: list[bytes] = []
    with pytest.raises(VerificationError, match=message):
        handed.extend(Verified(Source(content), disk_format, checksum))
    return b"".join(handed)


def sha256(content: bytes) -> Checksum:
    return Checksum("sha256", hashlib.sha256(content).hexdigest())


# Packing


def halves(pack: Callable[[bytes], bytes]) -> Callable[[bytes], bytes]:
    return lambda content: pack(content[: len(content) // 2]) + pack(content[len(content) // 2 :])


def zst(content: bytes) -> bytes:
    return zstandard.ZstdCompressor(write_checksum=True).compress(content)


def zst_of_unknown_size(content: bytes) -> bytes:
    packer = zstandard.ZstdCompressor().compressobj()
    return packer.compress(content) + packer.flush()


def zst_with_skippable_frame(content: bytes) -> bytes:
    return b"\x50\x2a\x4d\x18" + struct.pack("<I", 4) + b"note" + zst(content)


class Pipe(io.RawIOBase):
    """Takes bytes and can't go back."""

    def __init__(self) -> None:
        self.written = b""

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.written += bytes(data)
        return len(data)


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
    with zipfile.ZipFile(pipe, "w", method) as archive:  # type: ignore[arg-type]
        archive.writestr("disk.raw", content)
    return pipe.written


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
    assert b"".join(Verified(source, "raw", sha256(content))) == content


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


@settings(max_examples=200)
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


# Zip and tar


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


def test_an_error_of_the_download_passes_through_as_it_is() -> None:
    class Failing(Source):
        def readinto(self, buffer: Any) -> int:
            return super().readinto(buffer) or self.fail()

        def fail(self) -> int:
            raise FetchError("https://example.org/disk: gone")

    for packer, pack in PACKERS.items():
        for cut in (20, 700):
            with pytest.raises((FetchError, VerificationError), match=r"disk: gone|broken: ") as caught:
                list(Verified(Failing(pack(PLAIN)[:cut]), "raw", None))
            assert caught.type is FetchError or packer.startswith(("tar", "zip")), packer


# Verification


@pytest.mark.parametrize("size", [1, HEAD - 1, HEAD, HEAD + 1, HEAD + CHUNK + 5])
def test_no_upload_of_wrong_bytes_completes_by_itself(size: int) -> None:
    content = bytes(size)
    for packed in (content, gzip.compress(content, 1)):
        handed = refused(packed, "wrong checksum: expected sha256:.* got sha256:", checksum=sha256(b"other"))
        assert len(handed) < size
        assert b"".join(Verified(Source(packed), "raw", sha256(content))) == content


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
        assert b"".join(Verified(source, "raw", checksum)) == PLAIN


def test_an_upload_can_not_start_anew() -> None:
    chunks = Verified(Source(PLAIN), "raw", None)
    assert b"".join(chunks) == PLAIN
    with pytest.raises(VerificationError, match="would have to start anew"):
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


# Formats


def qcow2(backing: int = 0, features: int = 0, version: int = 3) -> bytes:
    return struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, 0, 16, MIB).ljust(72, b"\0") + struct.pack(
        ">Q", features
    ).ljust(440, b"\0")


def iso(prefix: bytes = b"") -> bytes:
    return prefix.ljust(32 * 1024, b"\0") + b"\1CD001\1".ljust(2048, b"\0")


def vdi() -> bytes:
    return (b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(0x40, b"\0") + struct.pack("<I", 0xBEDA107F)).ljust(1024)


def vhd() -> bytes:
    return b"conectix".ljust(1024, b"\0")


def vhdx(metadata: int = 1) -> bytes:
    """A header whose metadata stand at this many MiB; GUIDs and offsets are those of MS-VHDX 2.2.3 and 2.6."""
    regions = struct.pack("<4sIII", b"regi", 0, 1, 0) + uuid.UUID("8B7CA206-4790-4B9A-B8FE-575F050F886E").bytes_le
    regions += struct.pack("<QII", metadata * MIB, MIB, 1)
    items = struct.pack("<8sHH20x", b"metadata", 0, 1) + uuid.UUID("2FA54224-CD1B-4876-B211-5DBED83BF4B8").bytes_le
    items += struct.pack("<IIII", 64 * 1024, 8, 4, 0)
    image = bytearray((metadata + 1) * MIB)
    for at, part in (
        (0, b"vhdxfile"),
        (192 * 1024, regions),
        (metadata * MIB, items),
        (metadata * MIB + 64 * 1024, struct.pack("<Q", 8 * MIB)),
    ):
        image[at : at + len(part)] = part
    return bytes(image)


DESCRIPTOR = '# Disk DescriptorFile\nversion=1\ncreateType="{}"\n\nRW 2048 SPARSE "{}"\nddb.adapterType = "ide"\n'


def vmdk(kind: str = "monolithicSparse", extent: str = "disk.vmdk", size: int = 2 * MIB) -> bytes:
    def header(directory: int) -> bytes:
        fields = (b"KDMV", 1, 3, 2048, 128, 1, 20, 512, 0, directory)
        return struct.pack("<4sIIQQQQIQQ", *fields).ljust(512, b"\0")

    streamed = kind == "streamOptimized"
    text = DESCRIPTOR.format(kind, extent).encode().ljust(20 * 512, b"\0")
    start = (header(2**64 - 1 if streamed else 21) + text).ljust(size, b"\0")
    footer = struct.pack("<QII496x", 1, 0, 3) + header(21) + bytes(512)
    return start + footer * streamed


def boot_sector() -> bytes:
    return bytes(446) + struct.pack("<B3xB3xII", 0x80, 0x83, 2048, 2048) + bytes(48) + b"\x55\xaa"


GOOD = [
    ("qcow2", qcow2()),
    ("qcow2", qcow2(version=2)),
    ("qcow2", qcow2() + bytes(HEAD)),
    ("iso", iso()),
    ("iso", iso(boot_sector())),
    ("vdi", vdi()),
    ("vhd", vhd()),
    ("vhdx", vhdx()),
    ("vhdx", vhdx(6)),
    ("vmdk", vmdk()),
    ("vmdk", vmdk("streamOptimized", size=HEAD + CHUNK)),
    ("vmdk", DESCRIPTOR.format("monolithicSparse", "x.vmdk").encode()),
    ("raw", boot_sector() + bytes(4096)),
    ("raw", b"text and then " * 40 + b"\xff\xfe other bytes"),
    ("raw", b"te"),
]
NUMBERS = [f"{number} {name}" for number, (name, _) in enumerate(GOOD)]  # the contents are too long for a name


@pytest.mark.parametrize(("disk_format", "content"), GOOD, ids=NUMBERS)
@pytest.mark.parametrize("pack", [bytes, zst])
def test_an_image_of_the_format_it_should_have_passes(
    disk_format: str, content: bytes, pack: Callable[[bytes], bytes]
) -> None:
    assert verified(pack(content), disk_format) == content


@pytest.mark.parametrize(("disk_format", "content"), GOOD, ids=NUMBERS)
def test_another_format_than_the_defined_one_is_refused(disk_format: str, content: bytes) -> None:
    for other in {each for each, _ in GOOD} - {disk_format}:
        found = "none of the known formats" if disk_format == "raw" else disk_format
        handed = refused(content, f"its content is {found}, but the definition says format: {other}$", other)
        assert handed == b""


def test_a_header_hidden_in_another_is_refused() -> None:
    refused(iso(qcow2()), "its content is iso and qcow2", "qcow2")
    refused(iso(qcow2()), "its content is iso and qcow2", "iso")


@pytest.mark.parametrize("rest", [0, HEAD + CHUNK])
@pytest.mark.parametrize(
    ("content", "disk_format", "message"),
    [
        (qcow2(backing=512), "qcow2", "unsafe qcow2: Image has a backing file"),
        (qcow2(features=4), "qcow2", "unsafe qcow2: Image has data_file set"),
        (qcow2(backing=512, features=4), "qcow2", "unsafe qcow2: Image has a backing file; Image has data_file set"),
        (qcow2(version=9), "qcow2", "unsafe qcow2: Unsupported qcow2 version"),
        (vmdk(extent="/etc/passwd"), "vmdk", "unsafe vmdk: Invalid extent"),
        (vmdk("twoGbMaxExtentFlat"), "vmdk", "unsafe vmdk: Unsupported subformat"),
        (vmdk("streamOptimized")[:-1024], "vmdk", "unsafe vmdk: "),
        (vhdx(6)[: 5 * MIB], "vhdx", "unsafe vhdx: Incomplete file"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_an_unsafe_image_is_refused(content: bytes, disk_format: str, message: str, rest: int) -> None:
    content += bytes(0 if disk_format == "vhdx" else rest)
    assert len(refused(content, message, disk_format)) < len(content)


def test_a_format_seen_to_be_wrong_in_the_head_stops_the_download() -> None:
    class Endless(Source):
        def readinto(self, buffer: Any) -> int:
            self.given = getattr(self, "given", 0) + len(buffer)
            buffer[:] = bytes(len(buffer))
            return len(buffer)

    source = Endless(b"")
    with pytest.raises(VerificationError, match="none of the known formats"):
        list(Verified(source, "qcow2", None))
    assert source.given <= HEAD + CHUNK


@pytest.mark.parametrize("disk_format", ["aki", "ari", "ami"])
def test_kernels_and_ramdisks_stay_packed(disk_format: str) -> None:
    packed = gzip.compress(PLAIN)
    assert verified(packed, disk_format, sha256(packed)) == packed
    refused(packed, "wrong checksum", disk_format, sha256(PLAIN))


def test_a_format_without_inspector_is_unpacked_and_taken_at_its_word() -> None:
    assert verified(gzip.compress(PLAIN), "ploop") == PLAIN


# Memory


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
    for chunk in Verified(Source(packed), "raw", None):
        total += len(chunk)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert total == size
    assert peak < 40 * MIB
