"""Cases with one large image: bytes from a site through this machine, into Glance or into a bucket.

The rate is taken where both sides look alike: at the site, from the request to the last byte that it could send.
"""

from __future__ import annotations

import hashlib
import lzma
import shutil
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from tests.support.s3 import remove_bucket, s3_client

from benchmarks.cases.glance import alternate, options
from benchmarks.measure import Failed, Summary, Taken
from benchmarks.table import Goal, Row
from benchmarks.world import Size, World, dump
from openstack_image_manager.sandbox.site import Handler, Site, serving

MIB = 1024 * 1024
STREAM = 32  # MiB in each stream of a packed image


class Timed(Site):
    """A site that knows how long it took to send each file."""

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 0, _Handler)
        self.seconds: list[float] = []


class _Handler(Handler):
    server: Timed

    def send_body(self, file: BinaryIO, length: int) -> None:
        begun = time.monotonic()
        super().send_body(file, length)
        self.server.seconds.append(time.monotonic() - begun)


@dataclass(frozen=True, slots=True)
class Big:
    """A large raw disk at a site: `packed` with xz, or as it is. `checksum` is of the file as published."""

    site: Timed
    name: str
    mebibytes: int
    checksum: str

    @property
    def url(self) -> str:
        return f"{self.site.url}/{self.name}"

    def rate(self) -> float:
        """MiB of the image for each second of the last time that it was sent."""
        return self.mebibytes / self.site.seconds[-1]


@contextmanager
def big(world: World, mebibytes: int, packed: bool) -> Iterator[Big]:
    """The image; it needs so much room on the disk, and Glance needs it twice."""
    folder = world.folder()
    if shutil.disk_usage(folder).free < 3 * mebibytes * MIB:
        raise Failed(f"there is no room for {3 * mebibytes} MiB in {folder}; set TMPDIR to a directory with more")
    name = "big.raw.xz" if packed else "big.raw"
    digest = hashlib.sha256()
    with (folder / name).open("wb") as file:
        for data in _packed(mebibytes) if packed else _plain(mebibytes):
            digest.update(data)
            file.write(data)
    try:
        with serving(Timed(folder)) as site:
            yield Big(site, name, mebibytes, f"sha256:{digest.hexdigest()}")
    finally:
        shutil.rmtree(folder)


def _plain(mebibytes: int) -> Iterator[bytes]:
    """A raw disk as systems are: a quarter can't be packed, and the rest is words. `_packed` is about a third of it."""
    import random

    source = random.Random(mebibytes)
    vocabulary = [source.randbytes(source.randint(3, 12)).hex().encode() for _ in range(4000)]
    words = b" ".join(source.choices(vocabulary, k=400_000))
    for _ in range(mebibytes):
        begin = source.randrange(len(words) - MIB)
        yield source.randbytes(MIB // 4) + words[begin : begin + MIB * 3 // 4]


def _packed(mebibytes: int) -> Iterator[bytes]:
    """As parallel packers write it: many streams one after the other. All are the same, as packing takes time."""
    stream = lzma.compress(b"".join(_plain(STREAM)), preset=0)
    for _ in range(mebibytes // STREAM):
        yield stream


def _define(folder: Path, image: Big) -> Path:
    version = {"version": "1", "url": image.url, "checksum": image.checksum}
    dump(folder / "big.yml", [{"name": "Bench big", "shortname": "big", "format": "raw", "versions": [version]}])
    return folder


def stage(world: World, size: Size, packed: bool) -> Row:
    """A large image goes through this machine into Glance, verified."""
    mebibytes = size.pick(96, 4096)
    ours_rates: list[float] = []
    floor_rates: list[float] = []
    with big(world, mebibytes, packed) as image:
        folder = _define(world.folder(), image)

        def ours() -> Taken:
            with world.tagged() as tag:
                taken = world.ours(*options(folder, tag), "--import-timeout", "7200", says="1 ok, 0 failed")
            ours_rates.append(image.rate())
            return taken

        def floor() -> Taken:
            with world.tagged() as tag:
                job = {"url": image.url, "packed": packed, "tag": tag}
                taken = world.floor("stage.py", **world.account(), **job)
            floor_rates.append(image.rate())
            return taken

        first, second = alternate(_few(size), ours, floor)
    return _row(
        "xz" if packed else "plain", "staged import", mebibytes, (first, second), (ours_rates, floor_rates), 150
    )


def mirror(world: World, size: Size) -> Row:
    """A large image is copied into a bucket, verified."""
    mebibytes = size.pick(96, 4096)
    world.sandbox.up(object_storage=True)
    account = world.sandbox.account()
    environment = account.environment()
    rates: tuple[list[float], list[float]] = ([], [])
    with big(world, mebibytes, packed=False) as image, s3_client(account) as client:
        folder = _define(world.folder(), image)

        @contextmanager
        def bucket() -> Iterator[str]:
            name = f"bench-{uuid.uuid4().hex[:12]}"
            client.create_bucket(Bucket=name)
            try:
                yield name
            finally:
                remove_bucket(client, name)

        def ours() -> Taken:
            with bucket() as name:
                where = ["--bucket", f"s3://{name}/m", "--endpoint", account.url]
                taken = world.ours("mirror", "--images", str(folder), *where, variables=environment)
                stored = client.head_object(Bucket=name, Key="m/big/1-big.raw")["ContentLength"]
                if stored != mebibytes * MIB:
                    raise Failed(f"the bucket has {stored} bytes")
            rates[0].append(image.rate())
            return taken

        def floor() -> Taken:
            with bucket() as name:
                taken = world.floor("mirror.py", url=image.url, endpoint=account.url, bucket=name, account=environment)
            rates[1].append(image.rate())
            return taken

        first, second = alternate(_few(size), ours, floor)
    return _row("mirror", "mirror", mebibytes, (first, second), rates, 200)


def _few(size: Size) -> int:
    """What takes minutes is done at most three times."""
    return min(size.runs, 3)


def _row(
    case: str,
    what: str,
    mebibytes: int,
    sides: tuple[Summary, Summary],
    rates: tuple[list[float], list[float]],
    memory: int,
) -> Row:
    ours, floor = (sorted(side)[len(side) // 2] for side in rates)
    share = ours / floor
    goals = [Goal("rate ÷ floor's", share, ">=", 0.9), Goal("memory", sides[0].peak_mib, "<=", memory, " MiB")]
    notes = {"MiB/s": ours, "floor's MiB/s": floor}
    packed = f", {case}" if what != case else ""
    return Row(case, f"{what} of {mebibytes} MiB{packed}", sides[0], sides[1], goals=goals, notes=notes)
