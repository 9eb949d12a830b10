"""`python -m benchmarks`: measure, and write the table as it grows."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.cases import alone, cluster, glance, streams
from benchmarks.measure import Failed
from benchmarks.table import Row, markdown
from benchmarks.world import Size, World, installed
from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import Sandbox

ROOT = Path(__file__).parents[1]
Case = Callable[[World, Size], Row]

# Quick ones first, so that there is something to see.
CASES: dict[str, Case] = {
    "help": lambda world, size: alone.start(world, size, "--help"),
    "version": lambda world, size: alone.start(world, size, "--version"),
    "validate": alone.validate,
    "plan": alone.plan,
    "catalogue": alone.catalogue,
    "nothing-100": lambda world, size: glance.nothing(world, size, size.pick(20, 100), existing=True),
    "nothing-100-late": lambda world, size: glance.nothing(world, size, size.pick(20, 100), glance.LATENCY),
    "nothing-1000": lambda world, size: glance.nothing(world, size, size.pick(200, 1_000)),
    "nothing-10000": lambda world, size: glance.nothing(world, size, size.pick(1_200, 10_000)),
    "change": lambda world, size: glance.change(world, size, size.pick(20, 100)),
    "change-late": lambda world, size: glance.change(world, size, size.pick(20, 100), glance.LATENCY),
    "rotation": lambda world, size: glance.rotation(world, size.pick(5, 20)),
    "import": lambda world, size: glance.imports(world, size, size.pick(12, 100), existing=True),
    "import-late": lambda world, size: glance.imports(world, size, size.pick(12, 100), glance.LATENCY),
    "stage": lambda world, size: streams.stage(world, size, packed=False),
    "stage-xz": lambda world, size: streams.stage(world, size, packed=True),
    "mirror": streams.mirror,
    "dask": cluster.mirror,
    "clouds": lambda world, size: glance.clouds(world, size, size.pick(4, 200)),
}


def main() -> int:
    """Exit code 0: measured, whatever came out; 1: a case gave no result."""
    options = _options()
    # Who ends it gets the clouds back as they were, without ten thousand images.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    names = options.case or list(CASES)
    size = Size(options.full, options.runs or (5 if options.full else 3), not options.no_existing)
    rows: list[Row] = []
    sandbox = Sandbox(options.state.absolute())
    was_up = sandbox.clouds_yaml.exists() and all(service.up for service in sandbox.status())
    begun = time.monotonic()
    try:
        sandbox.up(say=_say)
        about = machine.described(sandbox.state)
        about["measured"] += f", {'full' if size.full else 'light'} sizes, medians of {size.runs} runs"
        with tempfile.TemporaryDirectory(prefix="oim-bench-") as directory:
            world = World(sandbox, Path(directory), [str(_command(sandbox.state, size))])
            for name in names:
                _say(f"{name} …")
                rows.append(_row(name, world, size))
                _say(f"{name}: {'; '.join(map(str, rows[-1].goals)) or rows[-1].error}")
                about["time"] = f"{time.monotonic() - begun:.0f} s"
                if options.out:
                    _write(options.out, "full" if size.full else "light", rows, about)
    finally:
        if not was_up:
            sandbox.down()
    print(markdown(rows, about, "Benchmark results"))
    return 1 if any(row.failed for row in rows) else 0


def _command(state: Path, size: Size) -> Path:
    """The tool: in full, as users install it; what development needs besides makes each start slower."""
    if not size.full:
        return Path(sys.executable).with_name("openstack-image-manager")
    _say("installing it as users do …")
    return installed(state / "ours", f"{ROOT}[dask]", mark=str(time.time()))


def _row(name: str, world: World, size: Size) -> Row:
    """The result of a case; whatever happens in it, the next one gets its turn."""
    try:
        return CASES[name](world, size)
    except (Failed, Error) as error:
        return Row(name, name, error=str(error))
    except Exception as error:
        traceback.print_exc()
        return Row(name, name, error=f"{type(error).__name__}: {error}")


def _write(folder: Path, name: str, rows: list[Row], about: Mapping[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    data = {"machine": about, "rows": [row.data() for row in rows]}
    texts = {".json": json.dumps(data, indent=1) + "\n", ".md": markdown(rows, about, f"Benchmark results ({name})")}
    for suffix, text in texts.items():
        partial = folder / f".{name}{suffix}"
        partial.write_text(text, encoding="utf-8")
        partial.replace(folder / f"{name}{suffix}")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="script/bench", description=__doc__.partition(": ")[2])
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--light", action="store_true", help="small sizes, a few minutes (the default)")
    which.add_argument("--full", action="store_true", help="all sizes, hours; writes docs/benchmarks")
    parser.add_argument(
        "--case", action="append", choices=CASES, metavar="NAME", help=f"only these: {', '.join(CASES)}"
    )
    parser.add_argument("--runs", type=int, metavar="N", help="runs of each side (light 3, full 5)")
    parser.add_argument("--state", type=Path, default=ROOT / ".sandbox", metavar="DIR", help="of the sandbox")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the table here, as it grows")
    parser.add_argument("--no-existing", action="store_true", help="without the released tool, which takes minutes")
    options = parser.parse_args()
    if options.out is None and options.full and not options.case:
        options.out = ROOT / "docs" / "benchmarks"
    return options


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
