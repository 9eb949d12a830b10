"""Tars that only a strict reader refuses before they take memory or disk, and those of usual programs that it reads."""

from __future__ import annotations

import io
import tarfile

import pytest
from tests.support.packing import PLAIN, refused, verified

from openstack_image_manager.transfer.tar import MOST_EXTENDED


def tar(*parts: tuple[bytes, bytes], change: bytes = b"", at: int = 0) -> bytes:
    """Members of these types with these contents; the last one is the image, and the change is in its header."""
    packed = b""
    for number, (kind, content) in enumerate(parts):
        member = tarfile.TarInfo("disk.raw")
        member.type, member.size = kind, len(content)
        header = bytearray(member.tobuf(tarfile.USTAR_FORMAT))
        if number == len(parts) - 1 and change:
            header[at : at + len(change)] = change
            header[148:156] = b" " * 8
            header[148:156] = b"%06o\0 " % sum(header)
        packed += header + content + bytes(-len(content) % 512)
    return packed + bytes(1024)


def record(key: str, value: str) -> bytes:
    rest = f" {key}={value}\n".encode()
    length = len(rest) + next(n for n in (1, 2, 3, 7) if len(str(len(rest) + n)) == n)
    return str(length).encode() + rest


IMAGE = (b"0", PLAIN)


def test_extended_headers_in_use() -> None:
    size = record("size", str(len(PLAIN))) + record("path", "x" * 300 + ".img") + record("mtime", "1.5")
    assert verified(tar((b"x", size), IMAGE, change=b"0" * 11 + b"\0", at=124)) == PLAIN
    assert verified(tar((b"g", record("comment", "abc")), (b"K", b"link\0"), IMAGE)) == PLAIN
    assert verified(tar((b"L", b"y.qcow2\0"), IMAGE)) == PLAIN
    assert verified(tar((b"1", b""), IMAGE, change=b"\x80" + len(PLAIN).to_bytes(11, "big"), at=124)) == PLAIN
    assert verified(tar((b"x", record("comment", "a" * (MOST_EXTENDED - 20))), IMAGE)) == PLAIN


def test_old_programs_count_bytes_with_a_sign() -> None:
    member = bytearray(tar(IMAGE, change=b"\xff", at=265))
    member[148:156] = b"%06o\0 " % (sum(member[:148]) + 8 * 32 + sum(member[156:512]) - 256)
    assert verified(bytes(member)) == PLAIN


def test_a_name_in_two_fields() -> None:
    assert verified(tar(IMAGE, change=b"a folder", at=345)) == PLAIN


@pytest.mark.parametrize("key", ["GNU.sparse.major", "GNU.sparse.map", "GNU.sparse.numblocks"])
def test_sparse_members_are_refused(key: str) -> None:
    refused(tar((b"x", record(key, "1")), IMAGE), "the tar holds a sparse member")
    refused(tar((b"g", record(key, "1")), IMAGE), "the tar holds a sparse member")
    refused(tar((b"S", PLAIN)), r"the tar holds a sparse member \(disk.raw\)")


@pytest.mark.parametrize("kind", [b"x", b"g", b"X", b"L", b"K"])
def test_extended_headers_are_limited(kind: bytes) -> None:
    refused(tar((kind, b"a" * (MOST_EXTENDED + 1)), IMAGE), "an extended header of the tar has 1048577 bytes")
    content = record("comment", "a")
    refused(tar(*[(kind, content)] * 5000, IMAGE), "more than 16 extended headers in a row")


@pytest.mark.parametrize(
    ("packed", "message"),
    [
        (tar((b"x", b"no record"), IMAGE), "wrong record"),
        (tar((b"x", b"99 path=x\n"), IMAGE), "wrong record"),
        (tar((b"x", b"3 path=x\n"), IMAGE), "wrong record"),
        (tar((b"x", b"8 path=xx"), IMAGE), "wrong record"),
        (tar((b"x", record("size", "-1")), IMAGE), "wrong number"),
        (tar(IMAGE, change=b"not octal", at=124), "wrong number"),
        (tar(IMAGE, change=b"\xff" * 12, at=124), "wrong number"),
        (tar(IMAGE)[:300], "it ends too early"),
        (tar((b"x", record("path", "a" * 600)), IMAGE)[:700], "unexpected end of data"),
        (tar(IMAGE)[:600], "unexpected end of data"),
        (b"Disk.raw" + tar(IMAGE)[8:], "wrong checksum"),
    ],
)
def test_broken_ones(packed: bytes, message: str) -> None:
    assert refused(packed, f"broken: .*{message}|broken: {message}") == b""


def test_other_members_are_passed_over_and_folders_are_no_images() -> None:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for name, kind in (("a.raw/", tarfile.AREGTYPE), ("b.raw", tarfile.SYMTYPE), ("c.raw", tarfile.FIFOTYPE)):
            member = tarfile.TarInfo(name)
            member.type = kind
            archive.addfile(member)
        member = tarfile.TarInfo("d.raw")
        member.size = len(PLAIN)
        archive.addfile(member, io.BytesIO(PLAIN))
    assert verified(packed.getvalue()) == PLAIN
