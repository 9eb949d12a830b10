"""Cases with images in Glance: nothing to do, imports, a changed property, rotation, three clouds at once."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path

from benchmarks.calls import counted
from benchmarks.clones import clones
from benchmarks.measure import Failed, Summary, Taken
from benchmarks.table import Goal, Row
from benchmarks.world import META, Size, World

WORKERS = 4  # what the tool takes for imports
CHANGERS = 16  # and for other changes
LATENCY = 0.05  # seconds


def alternate(runs: int, *sides: Callable[[], Taken]) -> list[Summary]:
    """Run them in turn, so that whatever else the machine does meets all of them alike."""
    taken: list[list[Taken]] = [[] for _ in sides]
    for _ in range(runs):
        for side, results in zip(sides, taken, strict=True):
            results.append(side())
    return [Summary(tuple(results)) for results in taken]


def options(folder: Path, tag: str, cloud: str = "openstack") -> list[str]:
    return ["--cloud", cloud, "--images", str(folder), "--tag", tag]


def existing_side(world: World, size: Size, folder: Path, tag: str, runs: int = 1) -> tuple[Summary | None, str]:
    """The released tool doing the same, or why there is no number."""
    if not size.existing:
        return None, ""
    try:
        return alternate(runs, lambda: world.existing(*options(folder, tag)))[0], ""
    except Failed as error:
        return None, f"existing tool: {error}"


def nothing(world: World, size: Size, count: int, delay: float = 0.0, existing: bool = False) -> Row:
    """Nothing to do, with so many images in Glance, each of a definition of its own."""
    folder = world.define(count)
    names = [f"Bench {number:05}" for number in range(count)]
    with world.tagged() as tag:
        one = world.define(1)
        world.ours(*options(one, tag))
        (first,) = world.images(tag)
        database = world.sandbox.state / "data" / "glance-one" / "glance.sqlite"
        with clones(database, first["id"], names[0], names[1:]):
            through = world.proxied(delay) if delay else nullcontext((None, None))
            with through as (proxy, clouds):
                account = world.account(proxy=proxy)
                ours, floor = alternate(
                    # Half a second is told by many turns only.
                    size.runs * size.pick(1, 5) if count <= 100 else size.runs,
                    lambda: world.ours(*options(folder, tag), clouds=clouds, says="no changes"),
                    lambda: world.floor("listing.py", **account, tag=tag, count=count),
                )
            calls = counted(world, lambda through: world.ours(*options(folder, tag), clouds=through, says="no changes"))
            other, failure = existing_side(world, size, folder, tag) if existing else (None, "")
    limit = 1.3 if count <= 100 else 1.5
    goals = [Goal("÷ floor", ours.seconds / floor.seconds, "<=", limit)]
    if count > 100:
        goals.append(Goal("memory", ours.peak_mib, "<=", 300, " MiB"))
    if other:
        goals.append(Goal("times faster", other.seconds / ours.seconds, ">=", 30))
    late = f", {delay * 1000:.0f} ms more for every answer" if delay else ""
    notes = {"calls": calls.total, **({"trouble": failure} if failure else {})}
    return Row("nothing", f"nothing to do, {count:,} images{late}", ours, floor, other, goals, notes)


def imports(world: World, size: Size, count: int, delay: float = 0.0, existing: bool = False) -> Row:
    """Small images come in, verified."""
    folder = world.define(count)
    url, _ = world.disk()
    says = f"{count} ok, 0 failed"
    with world.proxied(delay) if delay else nullcontext((None, None)) as (proxy, clouds):

        def ours() -> Taken:
            with world.tagged() as tag:
                return world.ours(*options(folder, tag), clouds=clouds, says=says)

        def floor() -> Taken:
            with world.tagged() as tag:
                account = world.account(proxy=proxy)
                job = {"tag": tag, "count": count, "workers": WORKERS, "url": url, "meta": META}
                return world.floor("imports.py", **account, **job, visibility="public")

        first, second = alternate(size.runs, ours, floor)

    def once(through: Path) -> None:
        with world.tagged() as tag:
            world.ours(*options(folder, tag), clouds=through, says=says)

    calls = counted(world, once)
    other, failure = None, ""
    if existing:
        with world.tagged() as tag:
            other, failure = existing_side(world, size, folder, tag)
            brought = len([image for image in world.images(tag) if image["status"] == "active"])
        if other and brought != count:
            other, failure = None, f"existing tool: only {brought} images are active"
    goals = [Goal("÷ floor", first.seconds / second.seconds, "<=", 1.15)]
    if other:
        goals.append(Goal("times faster", other.seconds / first.seconds, ">=", 6))
    late = f", {delay * 1000:.0f} ms more for every answer" if delay else ""
    notes = {**calls.per(count), **({"trouble": failure} if failure else {})}
    return Row("imports", f"import of {count} small images{late}", first, second, other, goals, notes)


def change(world: World, size: Size, count: int, delay: float = 0.0) -> Row:
    """One property differs on all images."""
    with world.tagged() as tag:
        world.ours(*options(world.define(count), tag), "--workers", "8")
        ids = [image["id"] for image in world.images(tag)]
        numbers = iter(range(1000))
        through = world.proxied(delay) if delay else nullcontext((None, None))
        with through as (proxy, clouds):

            def ours(clouds: Path | None = clouds) -> Taken:
                folder = world.define(count, meta={"patchlevel": str(next(numbers))})
                return world.ours(*options(folder, tag), clouds=clouds, says=f"{count} ok, 0 failed")

            def floor() -> Taken:
                job = {"ids": ids, "name": "other", "value": str(next(numbers)), "workers": CHANGERS}
                return world.floor("patches.py", **world.account(proxy=proxy), **job)

            first, second = alternate(size.runs, ours, floor)
        calls = counted(world, ours)
    goals = [Goal("÷ floor", first.seconds / second.seconds, "<=", 1.3)]
    late = f", {delay * 1000:.0f} ms more for every answer" if delay else ""
    what = f"one property changed on {count} images{late}"
    return Row("change", what, first, second, goals=goals, notes=calls.per(count))


def rotation(world: World, count: int) -> Row:
    """A newer build of multi images: what one new version costs in calls."""
    url, checksum = world.disk()
    builds = [{"version": name, "url": url, "checksum": checksum} for name in ("20260101", "20260201", "20260301")]
    with world.tagged() as tag:
        world.ours(*options(world.define(count, multi=True, versions=builds[:1]), tag), "--workers", "8")

        def rotate(clouds: Path | None = None, newest: int = 2) -> Taken:
            folder = world.define(count, multi=True, versions=builds[:newest])
            return world.ours(*options(folder, tag), clouds=clouds, says=f"{count} ok, 0 failed")

        ours = Summary((rotate(),))
        calls = counted(world, lambda through: rotate(through, 3))
    goals = [Goal("calls for each, without polls,", calls.needed / count, "<=", 25)]
    return Row("rotation", f"rotation of {count} multi images", ours, goals=goals, notes=calls.per(count))


def clouds(world: World, size: Size, count: int) -> Row:
    """Three clouds get their images at the same moment."""
    folder = world.define(count, visibility="private")
    names = ("openstack", "member", "second")
    url, _ = world.disk()
    job = {"count": count, "workers": WORKERS, "url": url, "meta": META, "visibility": "private"}

    def ours() -> Taken:
        with world.tagged() as tag:
            every = [word for name in names for word in ("--cloud", name)]
            return world.ours(*every, "--images", str(folder), "--tag", tag)

    def floor() -> Taken:
        with world.tagged() as tag:
            taken: list[Taken] = []
            threads = [
                threading.Thread(
                    target=lambda n=name: taken.append(world.floor("imports.py", **world.account(n), **job, tag=tag))
                )
                for name in names
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            if len(taken) != len(names):
                raise Failed("a floor failed")
            return max(taken, key=lambda each: each.seconds)

    first, second = alternate(1 if size.full else size.runs, ours, floor)
    goals = [Goal("÷ floor", first.seconds / second.seconds, "<=", 1.15)]
    return Row("clouds", f"3 clouds × {count} images at once", first, second, goals=goals)
