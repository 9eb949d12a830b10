"""Make small disk images that boot: a boot sector that prints one line, as raw or qcow2."""

from __future__ import annotations

import gzip
import hashlib
import os
import random
import struct
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

SECTOR = 512
MIB = 1024 * 1024
CLUSTER = 64 * 1024
_FIRST_SECTOR = 2048
_PAYLOAD = 192 * 1024

# 16-bit code for address 0x7c00. It prints the text after it on the screen (BIOS int 10h) and on the first serial
# port, where a test can read it, and halts.
_CODE = bytes.fromhex(
    "31c0"  # xor ax, ax
    "8ed8"  # mov ds, ax
    "8ed0"  # mov ss, ax
    "bc007c"  # mov sp, 0x7c00
    "be247c"  # mov si, 0x7c24: the text
    "fc"  # cld
    "ac"  # next: lodsb
    "84c0"  # test al, al
    "740f"  # jz halt
    "50"  # push ax
    "b40e"  # mov ah, 0x0e: teletype output
    "bb0700"  # mov bx, 7
    "cd10"  # int 0x10
    "58"  # pop ax
    "baf803"  # mov dx, 0x3f8: COM1
    "ee"  # out dx, al
    "ebec"  # jmp next
    "f4"  # halt: hlt
    "ebfd"  # jmp halt
)

# Paths as at the upstreams, with the date of each image (seconds since 1970, UTC).
_IMAGES = {
    "cirros/0.6.0/cirros-0.6.0-x86_64-disk.img": 1664323200,
    "ubuntu/20240416/noble-server-cloudimg-amd64.img": 1713225600,
    "ubuntu/20240422/noble-server-cloudimg-amd64.img": 1713744000,
    "ubuntu/20240514/noble-server-cloudimg-amd64.img": 1715644800,
}
_RAW = "raw/disk.raw"
_RAW_DATE = 1704067200
VIRTUAL_MIB = 40
RAW_MIB = 4


def make_images(directory: Path) -> None:
    """Fill `directory` with the images above, a raw one, its .gz and .xz, and their SHA256SUMS and SHA512SUMS.

    Existing files are not changed.
    """
    for name, date in _IMAGES.items():
        _publish(directory / name, date, partial(disk_image, format="qcow2", text=name, size_mib=VIRTUAL_MIB))
    raw = directory / _RAW
    _publish(raw, _RAW_DATE, partial(disk_image, format="raw", text=_RAW, size_mib=RAW_MIB))
    _publish(raw.with_name("disk.raw.gz"), _RAW_DATE, lambda path: path.write_bytes(_gzip(raw)))
    _publish(raw.with_name("disk.raw.xz"), _RAW_DATE, lambda path: path.write_bytes(_xz(raw)))
    for folder in sorted({(directory / name).parent for name in (*_IMAGES, _RAW)}):
        write_checksums(folder)


def _publish(path: Path, date: int, write: Callable[[Path], object]) -> None:
    """Write to a temporary directory, then rename: a killed command leaves no incomplete image."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".") as folder:
        unfinished = Path(folder) / path.name
        write(unfinished)
        os.utime(unfinished, (date, date))
        unfinished.replace(path)


def _gzip(path: Path) -> bytes:
    return gzip.compress(path.read_bytes(), mtime=0)


def _xz(path: Path) -> bytes:
    import lzma  # some Python builds lack it

    return lzma.compress(path.read_bytes())


def write_checksums(directory: Path) -> None:
    """Write SHA256SUMS and SHA512SUMS of all other files in `directory`, in the format of coreutils."""
    files = sorted(path for path in directory.iterdir() if path.is_file() and not path.name.endswith("SUMS"))
    for algorithm in ("sha256", "sha512"):
        lines = [f"{hashlib.new(algorithm, path.read_bytes()).hexdigest()}  {path.name}\n" for path in files]
        target = directory / f"{algorithm.upper()}SUMS"
        text = "".join(lines)
        if not target.exists() or target.read_text() != text:
            target.write_text(text)


def disk_image(path: Path, format: Literal["raw", "qcow2"], text: str, size_mib: int) -> None:
    """Write a disk of `size_mib` MiB (at least 2) that prints `text` (ASCII) when booted by a BIOS.

    The same file name of `path` and the same text always give the same bytes; other ones differ in 192 KiB.
    """
    if size_mib < 2:
        raise ValueError(f"a disk image needs at least 2 MiB, not {size_mib}")
    size = size_mib * MIB
    boot = _boot_sector(text, size // SECTOR)
    payload = random.Random(f"{path.name}\n{text}").randbytes(_PAYLOAD)
    start = _FIRST_SECTOR * SECTOR
    with path.open("wb") as file:
        if format == "qcow2":
            file.write(_qcow2(size, {0: boot, start // CLUSTER: payload}))
        else:
            file.write(boot)
            file.seek(start)
            file.write(payload)
            file.truncate(size)


def _boot_sector(text: str, sectors: int) -> bytes:
    """An MBR with one active Linux partition: image inspectors refuse one with none."""
    message = f"\r\n{text}\r\n".encode("ascii") + b"\0"
    code = (_CODE + message).ljust(446, b"\0")
    if len(code) > 446:
        raise ValueError(f"the boot text is {len(code) - 446} characters too long")
    beyond_chs = b"\xfe\xff\xff"  # "use the sector numbers"
    entry = b"\x80" + beyond_chs + b"\x83" + beyond_chs + struct.pack("<II", _FIRST_SECTOR, sectors - _FIRST_SECTOR)
    return code + entry + bytes(48) + b"\x55\xaa"


def _qcow2(size: int, extents: dict[int, bytes]) -> bytes:
    """A version 3 qcow2 of `size` bytes; `extents` are the bytes from a guest cluster on, the rest is unallocated.

    Clusters of the file: header, refcount table, refcount block, L1 table, L2 tables, data.
    Format: docs/interop/qcow2 of QEMU.
    """
    data = {}
    for first, content in extents.items():
        for offset in range(0, len(content), CLUSTER):
            data[first + offset // CLUSTER] = content[offset : offset + CLUSTER].ljust(CLUSTER, b"\0")
    per_table = CLUSTER // 8
    tables = -(-size // (CLUSTER * per_table))
    total = 4 + tables + len(data)
    if total > CLUSTER // 2:
        raise ValueError("the content needs more than one block of reference counts")
    # magic, version, no backing file (offset, size), cluster bits, size, no encryption, L1 (entries, offset),
    # refcount table (offset, clusters), no snapshots (number, offset), no features (incompatible, compatible,
    # autoclear), 16-bit reference counts, header length
    header = struct.pack(
        ">4sIQIIQIIQQIIQQQQII",
        *(b"QFI\xfb", 3, 0, 0, 16, size, 0, tables, 3 * CLUSTER, CLUSTER, 1, 0, 0, 0, 0, 0, 4, 104),
    )
    copied = 1 << 63  # "this cluster has exactly one reference"
    level1 = [(4 + number) * CLUSTER | copied for number in range(tables)]
    level2 = [0] * (tables * per_table)
    for place, guest in enumerate(sorted(data)):
        level2[guest] = (4 + tables + place) * CLUSTER | copied
    parts = [header, struct.pack(">Q", 2 * CLUSTER), struct.pack(f">{total}H", *[1] * total)]
    parts += [struct.pack(f">{tables}Q", *level1), struct.pack(f">{len(level2)}Q", *level2)]
    body = b"".join(part.ljust(-(-len(part) // CLUSTER) * CLUSTER, b"\0") for part in parts)
    return body + b"".join(data[guest] for guest in sorted(data))
