"""Write files whole or not at all, and find the directories of this user."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.redaction import without_secrets

PARTIAL = ".partial"  # how the names of unfinished files end
_HOMES = {"XDG_CONFIG_HOME": ".config", "XDG_DATA_HOME": ".local/share", "XDG_CACHE_HOME": ".cache"}


def user_directory(variable: str) -> Path:
    """A base directory of this user by its variable (XDG Base Directory Specification, which ignores relative values).
    Raises RuntimeError where there is no home."""
    base = os.environ.get(variable, "")
    return Path(base) if os.path.isabs(base) else Path.home() / _HOMES[variable]


def data_directory() -> Path:
    """Where this program keeps data of a user. Raises RuntimeError where there is no home."""
    return user_directory("XDG_DATA_HOME") / "openstack-image-manager"


def cache_directory() -> Path:
    """Where this program keeps caches of a user. Raises RuntimeError where there is no home."""
    return user_directory("XDG_CACHE_HOME") / "openstack-image-manager"


def check_writable(path: Path, suffixes: tuple[str, ...], option: str) -> None:
    """Make sure that the file can be written later. Raises UsageError and Error."""
    if path.suffix not in suffixes:
        raise UsageError(f"{option} {path}: the name must end in {' or '.join(suffixes)}")
    try:
        if path.exists() and not stat.S_ISREG(path.stat().st_mode):
            raise Error(f"{option} {path}: exists and is not a file; nothing was done")
        # Only a write shows it: the rights of the directory are not enough.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Error(f"{option} {path}: cannot be written: {error.strerror}; nothing was done") from None


def write(path: Path, text: str) -> None:
    """Replace the file in one step; a symbolic link stays, and the file that it names is replaced. Raises Error."""
    try:
        replace(Path(os.path.realpath(path)), without_secrets(text).encode())
    except OSError as error:
        raise Error(f"{path}: cannot be written: {error.strerror}") from None


def replace(path: Path, content: bytes, mode: int | None = None) -> None:
    """Replace the file, or the symbolic link, in one step. `mode`: the permissions; None: as before, or those that the
    umask gives. Raises OSError, and leaves nothing then."""
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", suffix=PARTIAL, dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content)
            stream.flush()
            os.fchmod(stream.fileno(), _mode(path) if mode is None else mode)
            os.fsync(stream.fileno())
        os.replace(temporary, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(temporary)
        raise


def read(path: Path) -> str:
    """The text of a file; empty if the file cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _mode(path: Path) -> int:
    if path.exists():
        return path.stat().st_mode & 0o777
    mask = os.umask(0o077)
    os.umask(mask)
    return 0o666 & ~mask


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read, because it holds a password."""
    replace(path, content.encode() if isinstance(content, str) else content, 0o600)
