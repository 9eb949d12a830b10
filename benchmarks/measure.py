"""One measured run of a command, and what several of them come to."""

from __future__ import annotations

import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

LAUNCH = Path(__file__).with_name("launch.py")
LONGEST = 3 * 3600  # seconds for one command


class Failed(Exception):
    """A command did not do what the case is about, so that its time says nothing."""


@dataclass(frozen=True, slots=True)
class Taken:
    """What a run took: wall clock and CPU in seconds, the most resident memory in MiB; what it said."""

    seconds: float
    cpu: float
    peak_mib: float
    code: int
    text: str

    def values(self) -> dict[str, float]:
        """The numbers, for the record."""
        return {name: round(value, 4) for name, value in asdict(self).items() if name not in ("code", "text")}


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    codes: Sequence[int] = (0,),
    says: str = "",
    cwd: Path | None = None,
) -> Taken:
    """Run the command to its end. Raises Failed for another exit code, and when it does not say what it should."""
    with tempfile.NamedTemporaryFile("r", prefix="bench-", encoding="utf-8", errors="replace") as output:
        launched = [sys.executable, "-I", "-S", str(LAUNCH), output.name, *command]
        process = subprocess.Popen(
            launched, env=dict(environment), cwd=cwd, stdout=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            told, _ = process.communicate(timeout=LONGEST)
        except BaseException:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            raise
        text = output.read()
    if process.returncode:
        raise Failed(f"{command[0]} could not be started")
    taken = Taken(text=text, **json.loads(told))
    if taken.code not in codes or says not in text:
        wanted = f"; it should say '{says}'" if says else ""
        raise Failed(f"{' '.join(command)[:200]} ended with {taken.code}{wanted}: … {text.strip()[-1500:]}")
    return taken


@dataclass(frozen=True, slots=True)
class Summary:
    """Several runs of one command: medians, and the most memory."""

    runs: tuple[Taken, ...]

    @property
    def seconds(self) -> float:
        return statistics.median(each.seconds for each in self.runs)

    @property
    def cpu(self) -> float:
        return statistics.median(each.cpu for each in self.runs)

    @property
    def peak_mib(self) -> float:
        return max(each.peak_mib for each in self.runs)

    def data(self) -> dict[str, Any]:
        return {
            "seconds": round(self.seconds, 3),
            "cpu": round(self.cpu, 3),
            "peak_mib": round(self.peak_mib, 1),
            "runs": [each.values() for each in self.runs],
        }
