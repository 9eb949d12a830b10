"""Formats of images: the defined one passes, another one, an unsafe one or one hidden in another does not."""

from __future__ import annotations

import gzip
import struct
import uuid
from collections.abc import Callable
from typing import Any

import pytest
from tests.support.packing import MIB, PLAIN, Source, refused, sha256, verified, zst

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.inspect import HEAD
from openstack_image_manager.transfer.unpack import CHUNK
from openstack_image_manager.transfer.verified import VerifiedImage


def qcow2(backing: int = 0, features: int = 0, version: int = 3) -> bytes:
    return struct.pack(">4sIQIIQ", b"QFI\xfb", version, backing, 0, 16, MIB).ljust(72, b"\0") + struct.pack(
        ">Q", features
    ).ljust(440, b"\0")


def iso(prefix: bytes = b"") -> bytes:
    return prefix.ljust(32 * 1024, b"\0") + b"\1CD001\1".ljust(2048, b"\0")


def vdi() -> bytes:
    return (b"<<< Oracle VM VirtualBox Disk Image >>>\n".ljust(0x40, b"\0") + struct.pack("<I", 0xBEDA107F)).ljust(
        1024, b"\0"
    )


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
        list(VerifiedImage(source, "qcow2", None))
    assert source.given <= HEAD + CHUNK


@pytest.mark.parametrize("disk_format", ["aki", "ari", "ami"])
def test_kernels_and_ramdisks_stay_packed(disk_format: str) -> None:
    packed = gzip.compress(PLAIN)
    assert verified(packed, disk_format, sha256(packed)) == packed
    refused(packed, "wrong checksum", disk_format, sha256(PLAIN))


def test_a_format_without_inspector_is_unpacked_and_taken_at_its_word() -> None:
    assert verified(gzip.compress(PLAIN), "ploop") == PLAIN
