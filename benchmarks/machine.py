"""The machine and the versions that the numbers are of."""

from __future__ import annotations

import os
import platform
import subprocess
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path


def described(state: Path) -> dict[str, str]:
    """What a reader needs to judge the numbers; `state` is the sandbox's."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return {
        "measured": f"{datetime.now(UTC):%Y-%m-%d}",
        "machine": f"{_processor()}, {len(os.sched_getaffinity(0))} cores, {memory:.0f} GiB; load before: {load}",
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "ours": f"{version('openstack-image-manager')}, openstacksdk {version('openstacksdk')}",
        "services": _services(state / "venv" / "bin" / "python"),
    }


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(": ")[2]
    return platform.machine()


def _services(python: Path) -> str:
    code = "from importlib.metadata import version as v; print('Glance', v('glance') + ', Keystone', v('keystone'))"
    return subprocess.run([str(python), "-c", code], capture_output=True, text=True, check=True).stdout.strip()
