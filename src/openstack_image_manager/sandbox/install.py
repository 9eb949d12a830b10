"""The services' own virtual environment, from pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox.process import Say, tail

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MARKER = "made-from"  # written last and removed first: a directory without it was cut short


def install(
    directory: Path,
    log: Path,
    say: Say,
    requirements: Path = REQUIREMENTS,
    what: str = "Keystone and Glance",
    duration: str = "one to three minutes",
) -> Path:
    """Make sure `directory` holds the environment for `requirements`, and return its python.

    A complete one is used as it is; anything else is removed and made anew. pip runs with the user's own settings.
    Raises `Error` when pip fails.
    """
    python = directory / "bin" / "python"
    wanted = fingerprint(requirements)
    if is_complete(directory, wanted) and python.exists():
        return python
    if directory.exists():
        say(f"Removing an incomplete or outdated installation in {directory}")
    discard(directory)
    say(f"Installing {what} into {directory} (once; {duration})")
    try:
        venv.create(directory, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise Error(
            f"Python could not make a virtual environment in {directory}; it may lack the ensurepip module "
            "(Debian and Ubuntu: apt install python3-venv)"
        ) from error
    total = sum(1 for line in requirements.read_text().splitlines() if "==" in line)
    _pip([str(python), "-m", "pip", "install", "-r", str(requirements)], total, log, say)
    (directory / MARKER).write_text(wanted)
    return python


def fingerprint(*files: Path) -> str:
    """Changes whenever what was made from these files, or by another Python, must not be used any more."""
    seed = b"".join(path.read_bytes() for path in files) + f"{sys.version_info[:2]} {sys.base_prefix}".encode()
    return hashlib.sha256(seed).hexdigest()


def is_complete(directory: Path, wanted: str) -> bool:
    """Whether `directory` was finished, and made from what `wanted` (a fingerprint) stands for."""
    marker = directory / MARKER
    return marker.exists() and marker.read_text() == wanted


def discard(directory: Path) -> None:
    """Remove a directory, or a link to one, so that being killed meanwhile leaves nothing that looks complete."""
    if directory.is_symlink():
        directory.unlink()
    elif directory.exists():
        (directory / MARKER).unlink(missing_ok=True)
        shutil.rmtree(directory)


def _pip(command: list[str], total: int, log: Path, say: Say) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    found = 0
    with (
        log.open("w") as record,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as pip,
    ):
        for line in pip.stdout or ():
            record.write(line)
            if line.startswith(("Collecting ", "Processing ")):
                found += 1
                if found % 25 == 0:
                    say(f"  pip has found {found} of {total} packages")
            elif line.startswith("Installing collected packages"):
                say("  pip is unpacking them")
    if pip.returncode:
        raise Error(f"pip could not install the sandbox's services. Its last lines:\n{tail(log)}\nThe whole log: {log}")
