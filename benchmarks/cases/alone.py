"""Cases without a cloud: start-up, validation, the pure plan, and the sites of the whole catalogue."""

from __future__ import annotations

import json
import os
import re
import sys
from pathlib import Path

from benchmarks.cases.glance import alternate
from benchmarks.measure import Taken, run
from benchmarks.table import Goal, Row
from benchmarks.world import Size, World

HERE = Path(__file__).parents[1]
LATENCY = 0.1  # seconds


def start(world: World, size: Size, option: str) -> Row:
    """What every call costs."""
    runs = max(size.runs, 5)
    ours, floor = alternate(runs, lambda: world.ours(option), lambda: run([sys.executable, "-c", "pass"], os.environ))
    goals = [Goal("more than floor:", ours.seconds - floor.seconds, "<=", 0.2, " s")]
    return Row("start", f"`{option}`", ours, floor, goals=goals)


def validate(world: World, size: Size) -> Row:
    """Definitions are read and checked."""
    count = size.pick(500, 10_000)
    folder = world.define(count)
    says = re.sub(r"\B(?=(\d{3})+$)", "", f"{count} definitions")
    (ours,) = alternate(size.runs, lambda: world.ours("validate", str(folder), says=says))
    goals = [Goal("seconds", ours.seconds, "<=", 10.0)]
    return Row("validate", f"validate {count:,} definitions", ours, goals=goals)


def plan(world: World, size: Size) -> Row:
    """Definitions against images, nothing but values; the time is that of the function alone."""
    count = size.pick(500, 10_000)

    def side() -> Taken:
        taken = run([sys.executable, str(HERE / "pure_plan.py"), str(count)], world.environment())
        told = json.loads(taken.text)
        return Taken(told["seconds"], told["seconds"], taken.peak_mib, 0, taken.text)

    (ours,) = alternate(size.runs, side)
    goals = [Goal("seconds", ours.seconds, "<=", 2.0)]
    return Row("plan", f"plan {count:,} definitions × {count:,} images (pure)", ours, goals=goals)


def catalogue(world: World, size: Size) -> Row:
    """All upstreams of the catalogue are asked, and every answer takes its time."""
    from benchmarks.upstreams import upstreams

    with upstreams(world.folder(), LATENCY) as found:
        job = found.job

        def ours() -> Taken:
            path = world.folder() / "job.json"
            path.write_text(json.dumps(job), encoding="utf-8")
            return run([sys.executable, "-m", "benchmarks.check", str(path)], world.environment(), cwd=HERE.parent)

        first, second = alternate(size.runs, ours, lambda: world.floor("chain.py", urls=found.slowest))
        requests = found.requests
    goals = [Goal("÷ slowest chain", first.seconds / second.seconds, "<=", 2.0)]
    what = f"update check of all {found.count} definitions of the catalogue, {LATENCY * 1000:.0f} ms sites"
    notes = {"requests of one run": requests, "requests of the slowest chain": len(found.slowest)}
    return Row("catalogue", what, first, second, goals=goals, notes=notes)
