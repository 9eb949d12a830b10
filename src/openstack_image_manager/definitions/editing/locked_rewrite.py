"""Rewrite definition files: one process at a time, and never half a file.

The lock is on the directory: it stays what it is while its files are replaced, and no lock files are left behind.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from openstack_image_manager.errors import Error

LOCK_SECONDS = 60.0
_PAUSE = 0.02  # seconds between two looks at the lock; an edit takes a few times as long


def rewrite(path: str, edit: Callable[[str], str], *, wait: float = LOCK_SECONDS, only_try: bool = False) -> bool:
    """Replace a file by what `edit` makes of its text (UTF-8, line breaks and byte order mark as they are).

    `edit` is called at most once, while no other process can rewrite a file of the same directory; the wait for that is
    at most `wait` seconds. False: nothing was to be changed, and the file was not touched. A symbolic link stays, and
    the file that it names is replaced, with mode, owner and group (where permitted) as before; another hard link keeps
    the old text. A killed process leaves the old file and no lock. `only_try`: nothing is written, and all else is the
    same, errors too. Raises Error when the file cannot be read, written or locked, or was changed in the meantime by a
    program that does not lock; what `edit` raises passes through."""
    target = os.path.realpath(path)
    with _locked(path, os.path.dirname(target), wait) as directory:
        name = os.path.basename(target)
        with _readable_errors(path):
            before, data = _read(path, name, directory)
        try:
            text = data.decode("utf-8")
        except UnicodeDecodeError as error:
            raise Error(f"{path}: byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8") from None
        new = edit(text)
        if new == text:
            return False
        with _readable_errors(path):
            _must_be_writable(path, name, directory)
            if not only_try:
                _replace(path, name, directory, before, new.encode("utf-8"))
        return True


@contextmanager
def _readable_errors(path: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Error(
            f"{path}: cannot be changed: {error.strerror or error}; check its permissions and the disk"
        ) from None


@contextmanager
def _locked(path: str, folder: str, wait: float) -> Iterator[int]:
    """The directory, opened and locked for this process alone."""
    give_up = time.monotonic() + wait
    with _readable_errors(path):
        directory = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        while not _lock(path, directory):
            if time.monotonic() >= give_up:
                raise Error(
                    f"{path}: another process has been changing files in {folder} for {wait:g} seconds; "
                    "wait until it has ended, or end it"
                )
            time.sleep(_PAUSE)
        yield directory
    finally:
        os.close(directory)  # and the lock is free


def _lock(path: str, directory: int) -> bool:
    with _readable_errors(path):
        try:
            fcntl.flock(directory, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
    return True


def _read(path: str, name: str, directory: int) -> tuple[os.stat_result, bytes]:
    mode = os.stat(name, dir_fd=directory).st_mode
    if not stat.S_ISREG(mode):
        raise Error(f"{path}: is not a file")
    with open(name, "rb", opener=lambda file, flags: os.open(file, flags, dir_fd=directory)) as stream:
        return os.fstat(stream.fileno()), stream.read()


def _must_be_writable(path: str, name: str, directory: int) -> None:
    """A rename needs no right to write the file that it replaces; the person who took that right away meant it."""
    if not os.stat(name, dir_fd=directory).st_mode & (stat.S_IWUSR | stat.S_IWGRP | stat.S_IWOTH):
        raise Error(f"{path}: is read-only; chmod u+w lets it be changed")
    with open(name, "r+b", opener=lambda file, flags: os.open(file, flags, dir_fd=directory)):
        pass
    if not os.access(".", os.W_OK | os.X_OK, dir_fd=directory, effective_ids=True):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))


def _replace(path: str, name: str, directory: int, before: os.stat_result, data: bytes) -> None:
    # Under the lock nobody else uses this name; what a killed process left of it is in no one's way.
    temporary = f".{name}.new"
    with suppress(FileNotFoundError):
        os.unlink(temporary, dir_fd=directory)
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
    try:
        with open(os.open(temporary, flags, 0o600, dir_fd=directory), "wb") as stream:
            stream.write(data)
            stream.flush()
            with suppress(PermissionError):
                os.fchown(stream.fileno(), before.st_uid, before.st_gid)
            os.fchmod(stream.fileno(), stat.S_IMODE(before.st_mode))
            os.fsync(stream.fileno())
        now = os.stat(name, dir_fd=directory)
        if (now.st_ino, now.st_size, now.st_mtime_ns) != (before.st_ino, before.st_size, before.st_mtime_ns):
            raise Error(
                f"{path}: was changed by another program at the same time, so this change was not made; try again"
            )
        os.replace(temporary, name, src_dir_fd=directory, dst_dir_fd=directory)
        os.fsync(directory)
    finally:
        with suppress(FileNotFoundError):
            os.unlink(temporary, dir_fd=directory)
