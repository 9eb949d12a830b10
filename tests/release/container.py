"""A Containerfile as far as ours goes: stages, instructions, and what a build stage leaves, without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]
CONTAINERFILE = ROOT / "Containerfile"


def instructions() -> Iterator[tuple[str, str, str]]:
    """(stage, instruction, arguments) of every instruction; the stage is the name after AS, empty without."""
    text = re.sub(r"^\s*#.*\n", "", CONTAINERFILE.read_text(encoding="utf-8"), flags=re.M)
    stage = ""
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip():
            word, _, arguments = line.strip().partition(" ")
            if word == "FROM":
                stage = arguments.partition(" AS ")[2]
            yield stage, word, arguments


def of(stage: str, word: str) -> list[str]:
    """The arguments of all such instructions of a stage, in order."""
    return [arguments for each, instruction, arguments in instructions() if (each, instruction) == (stage, word)]


def build(root: Path, environment: Mapping[str, str]) -> None:
    """Do what the stage `build` does, on this machine: its absolute paths lie below `root`, `python` is this one."""
    (workdir,) = of("build", "WORKDIR")
    place = root / workdir.lstrip("/")
    place.mkdir(parents=True)
    for arguments in of("build", "COPY"):
        *sources, target = arguments.split()
        for source in sources:
            into = place / target / ("" if (ROOT / source).is_dir() else source)
            copy = shutil.copytree if (ROOT / source).is_dir() else shutil.copy2
            copy(ROOT / source, into, **({"dirs_exist_ok": True} if copy is shutil.copytree else {}))
    for command in of("build", "RUN"):
        moved = re.sub(r"(?<![\w./])/(src|opt)\b", lambda found: str(root / found.group(1)), command)
        moved = re.sub(r"(?<![\w/-])python(?= -m)", sys.executable, moved)
        subprocess.run(["sh", "-ec", moved], cwd=place, env=dict(environment), check=True, timeout=240)
