"""Install the services into their own virtual environment, from pinned requirements."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from openstack_image_manager.errors import Error
from openstack_image_manager.files import cache_directory
from openstack_image_manager.sandbox.process import Say, locked, tail

REQUIREMENTS = Path(__file__).with_name("requirements.txt")
MARKER = "made-from"  # written last and removed first: a directory without it is incomplete


def install(
    directory: Path,
    log: Path,
    say: Say,
    requirements: Path = REQUIREMENTS,
    what: str = "Keystone and Glance",
    duration: str = "one to three minutes",
) -> Path:
    """Make sure that `directory` has the environment for `requirements`, and return its python.

    The environment is made once in the user's cache, for all sandboxes with the same requirements; without a cache, in
    `directory`. An incomplete one is removed and made again. pip uses the user's settings. Raises `Error` when pip
    fails.
    """
    python = directory / "bin" / "python"
    wanted = fingerprint(requirements)
    if is_complete(directory, wanted) and python.exists():
        return python
    if directory.exists():
        say(f"Removing an incomplete or outdated installation in {directory}")
    discard(directory)
    shared = _shared(f"{requirements.stem}-{wanted[:16]}")
    if shared is None:
        _make(directory, wanted, log, say, requirements, what, duration)
        return python
    with locked(shared.with_name(f"{shared.name}.lock"), say):
        if not (is_complete(shared, wanted) and (shared / "bin" / "python").exists()):
            discard(shared)
            _make(shared, wanted, log, say, requirements, what, duration)
    directory.symlink_to(shared, target_is_directory=True)
    return python


def _shared(name: str) -> Path | None:
    """Return the directory that all sandboxes of this user share; None: there is no cache."""
    try:
        directory = cache_directory() / "sandbox"
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
    except (OSError, RuntimeError):
        return None
    return directory / name if os.access(directory, os.W_OK) else None


def _make(directory: Path, wanted: str, log: Path, say: Say, requirements: Path, what: str, duration: str) -> None:
    say(f"Installing {what} into {directory} (once; {duration})")
    try:
        venv.create(directory, with_pip=True)
    except subprocess.CalledProcessError as error:
        raise Error(
            f"Python could not make a virtual environment in {directory}; it may lack the ensurepip module "
            "(Debian and Ubuntu: apt install python3-venv)"
        ) from error
    total = sum(1 for line in requirements.read_text().splitlines() if "==" in line)
    _pip([str(directory / "bin" / "python"), "-m", "pip", "install", "-r", str(requirements)], total, log, say)
    (directory / MARKER).write_text(wanted)


def fingerprint(*files: Path) -> str:
    """Return a fingerprint of these files and of this Python, which decides whether an installation is current."""
    seed = b"".join(path.read_bytes() for path in files) + f"{sys.version_info[:2]} {sys.base_prefix}".encode()
    return hashlib.sha256(seed).hexdigest()


def is_complete(directory: Path, wanted: str) -> bool:
    """Return whether `directory` is complete and has the fingerprint `wanted`."""
    marker = directory / MARKER
    return marker.exists() and marker.read_text() == wanted


def discard(directory: Path) -> None:
    """Remove a directory, or a link to one. A killed command leaves nothing that looks complete."""
    if directory.is_symlink():
        directory.unlink()
    elif directory.exists():
        (directory / MARKER).unlink(missing_ok=True)
        shutil.rmtree(directory)


def _pip(command: list[str], total: int, log: Path, say: Say) -> None:
    env = {key: value for key, value in os.environ.items() if not key.startswith("PYTHON")}
    count = 0
    with (
        log.open("w") as record,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=env) as pip,
    ):
        for line in pip.stdout or ():
            record.write(line)
            if line.startswith(("Collecting ", "Processing ")):
                count += 1
                if count % 25 == 0:
                    say(f"  pip has found {count} of {total} packages")
            elif line.startswith("Installing collected packages"):
                say("  pip is unpacking them")
    if pip.returncode:
        raise Error(f"pip could not install the sandbox's services. Its last lines:\n{tail(log)}\nThe whole log: {log}")
