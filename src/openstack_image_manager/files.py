"""Write files whole or not at all, and find the directories of this user."""

from __future__ import annotations

import os
import stat
import tempfile
from contextlib import suppress
from pathlib import Path

from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.redaction import without_secrets

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
            raise Error(f"{option} {path}: is there already, and is no file; nothing was done")
        # The directory is what is written to: to its rights alone it can't be told.
        with tempfile.TemporaryFile(dir=path.parent):
            pass
    except OSError as error:
        raise Error(f"{option} {path}: can't be written: {error.strerror}; nothing was done") from None


def write(path: Path, text: str) -> None:
    """Replace the file in one step, for others to read; a symbolic link stays and what it names is replaced. Raises
    Error."""
    target = Path(os.path.realpath(path))
    temporary = ""
    try:
        handle, temporary = tempfile.mkstemp(prefix=f".{target.name}.", dir=target.parent)
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(without_secrets(text))
            stream.flush()
            os.fchmod(stream.fileno(), target.stat().st_mode & 0o777 if target.exists() else 0o666 & ~_umask())
            os.fsync(stream.fileno())
        os.replace(temporary, target)
    except OSError as error:
        with suppress(OSError):
            os.unlink(temporary)
        raise Error(f"{path}: can't be written: {error.strerror}") from None


def read(path: Path) -> str:
    """What the file held before; nothing if there is none, or none that can be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""


def _umask() -> int:
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def write_private(path: Path, content: str | bytes) -> None:
    """Write a file that only its owner may read, because it holds a password; never half of it."""
    partial = path.with_name(path.name + ".partial")
    partial.unlink(missing_ok=True)
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content.encode() if isinstance(content, str) else content)
    partial.replace(path)
