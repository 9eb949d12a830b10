"""A mirror on a Dask cluster: many objects from sites that send slowly, with one worker and with four."""

from __future__ import annotations

import hashlib
import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.s3 import remove_bucket, s3_client
from tests.support.site import TestSite

from benchmarks.measure import Failed, Summary, Taken
from benchmarks.table import Goal, Row
from benchmarks.world import Size, World, dump
from openstack_image_manager.sandbox.site import serving

WORKERS = 4
LATENCY = 1.0  # seconds before each answer: the rate that a site allows
OBJECT = 64 * 1024  # bytes


@contextmanager
def definitions(world: World, count: int) -> Iterator[Path]:
    """So many versions, taken from as many sites as there are workers."""
    with ExitStack() as stack:
        root = world.folder()
        sites: list[TestSite] = []
        for number in range(WORKERS):
            (root / str(number)).mkdir()
            sites.append(stack.enter_context(serving(TestSite(root / str(number)))))
        images = []
        for number in range(count):
            data = random.Random(number).randbytes(OBJECT)
            url = sites[number % WORKERS].put(f"/{number}.raw", data)
            version = {"version": "1", "url": url, "checksum": f"sha256:{hashlib.sha256(data).hexdigest()}"}
            name = f"Bench {number:03}"
            images.append({"name": name, "shortname": f"bench-{number:03}", "format": "raw", "versions": [version]})
        dump(root / "images.yml", images)
        for site in sites:
            site.latency = LATENCY
        yield root / "images.yml"


def mirror(world: World, size: Size) -> Row:
    """How much faster four workers are than one."""
    try:
        from tests.support.clusters import cluster
    except ImportError:
        raise Failed("mirror has no --executor in this version") from None
    count = size.pick(12, 300)
    world.sandbox.up(object_storage=True)
    account = world.sandbox.account()

    def side(file: Path, workers: int) -> Taken:
        bucket = f"bench-{uuid.uuid4().hex[:12]}"
        with s3_client(account) as client, cluster(world.folder()) as running:
            client.create_bucket(Bucket=bucket)
            try:
                running.start_workers([f"worker-{number}" for number in range(workers)], account.environment())
                where = ["--bucket", f"s3://{bucket}/m", "--endpoint", account.url]
                how = ["--executor", running.executor, "--workers", str(2 * workers)]
                arguments = ["mirror", "--images", str(file), *where, *how]
                return world.ours(*arguments, variables=account.environment(), says=f"{count} ok, 0 failed")
            finally:
                remove_bucket(client, bucket)

    with definitions(world, count) as file:
        four, one = (Summary((side(file, workers),)) for workers in (WORKERS, 1))
    goals = [Goal("times as fast as one worker", one.seconds / four.seconds, ">=", 0.8 * WORKERS)]
    what = (
        f"mirror of {count} objects on a Dask cluster of {WORKERS} workers, {LATENCY:.0f} s for each answer of a site"
    )
    return Row("dask", what, four, goals=goals, notes={"seconds with one worker": one.seconds})
