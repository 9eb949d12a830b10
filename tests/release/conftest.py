"""The package, built and installed once for all workers."""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.release.container import ROOT, build


@pytest.fixture(scope="session")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory of this run that all of its workers see."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@contextmanager
def once(directory: Path) -> Iterator[bool]:
    """True for the first one to come, who makes the directory; the others wait for it."""
    with Path(f"{directory}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield not directory.exists()


@pytest.fixture(scope="session")
def packages(shared: Path) -> Path:
    """The sdist, the wheel that is built from it, and in `direct` the wheel that is built from the checkout."""
    made = shared / "packages"
    with once(made) as first:
        if first:
            command = [sys.executable, "-m", "build", "--no-isolation"]
            for options in (["--outdir", str(made)], ["--wheel", "--outdir", str(made / "direct")]):
                subprocess.run([*command, *options, str(ROOT)], check=True, capture_output=True, timeout=110)
    return made


@pytest.fixture(scope="session")
def installed(shared: Path) -> Path:
    """The root of the container's build stage, with the tool and its runtime dependencies below opt/."""
    root = shared / "container"
    with once(root) as first:
        if first:
            build(root, {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "VIRTUAL_ENV")})
    return root
