"""Store copies in a directory (`--bucket file:///path`): the same tree as in a bucket, for offline transport.

docs/decisions/019 gives the order of writes and its reasons.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

from openstack_image_manager.errors import Interrupted, StorageError, UnknownBucketError
from openstack_image_manager.mirror.location import RECORD
from openstack_image_manager.mirror.record import Record, encode
from openstack_image_manager.mirror.store import CHUNK, EXISTS, LARGEST_SMALL_FILE, Entry, UnfinishedUpload

PARTIAL = ".mirror-partial"  # suffix of an unfinished file
_ADVICE = {
    "ENOSPC": "the disk is full; free space",
    "EDQUOT": "the quota is full; free space, or raise the quota",
    "EACCES": "this user lacks the permission",
    "EPERM": "this user lacks the permission",
    "EROFS": "it is mounted read-only",
    "ENAMETOOLONG": "the name is too long for the file system; set mirror_url or shortname",
}


class Directory:
    """One existing directory. Only one run writes to it at a time: `with` locks it if `writes` is set."""

    def __init__(self, root: str, writes: bool = True) -> None:
        self.root = Path(root)
        self._lock = -1
        with self._operation(""):
            self._lock = os.open(self.root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            if writes:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:  # some network file systems lock no directories
            os.close(self._lock)
            why = f"cannot be locked ({error.strerror}); use a directory on a local file system"
            if isinstance(error, BlockingIOError):
                why = "another run uses it; wait until that run ends"
            raise StorageError(f"{self.address}: {why}") from None

    def __enter__(self) -> Directory:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    @property
    def address(self) -> str:
        """Return the directory as a URL."""
        return f"file://{quote(str(self.root))}"

    @contextmanager
    def _operation(self, what: str) -> Iterator[None]:
        """Turn every failure into a StorageError."""
        where = f"{self.address}: {what}".rstrip(": ")
        try:
            yield
        except (FileNotFoundError, NotADirectoryError):
            if not what:
                hint = "there is no such directory; create it, or mount it"
                raise UnknownBucketError(f"{where}: {hint}", "NoSuchKey") from None
            raise StorageError(f"{where}: there is no such file", "NoSuchKey") from None
        except OSError as error:
            import errno

            name = errno.errorcode.get(error.errno or 0, "")
            raise StorageError(f"{where}: {_ADVICE.get(name, error.strerror or str(error))}", name) from None

    def _path(self, key: str) -> Path:
        """Return the path of the object, which must be below the directory even if it contains symbolic links."""
        path = self.root / key
        parent = path.parent.resolve()
        if not parent.is_relative_to(self.root.resolve()):
            raise StorageError(f"{self.address}: {key} points outside the directory, to {parent}; remove that link")
        return path

    def entries(self, prefix: str) -> Iterator[Entry]:
        """List all files below the prefix, records and indexes included, except unfinished ones."""
        for path in self._files(prefix):
            if not path.name.endswith(PARTIAL):
                with suppress(FileNotFoundError):
                    yield self._entry(path)

    def _files(self, prefix: str) -> Iterator[Path]:
        with self._operation("listing"):
            for folder, folders, names in os.walk(self.root / prefix, onerror=_unless_gone):
                folders.sort()
                yield from (Path(folder) / name for name in sorted(names))

    def _entry(self, path: Path) -> Entry:
        status = path.stat()
        return Entry(str(path.relative_to(self.root)), status.st_size, datetime.fromtimestamp(status.st_mtime, UTC))

    def head(self, key: str) -> tuple[Entry, bool] | None:
        """Return the file. Only its record, which is written first, shows that this program wrote it."""
        try:
            with self._operation(f"looking at {key}"):
                return self._entry(self._path(key)), False
        except StorageError as error:
            if error.code == "NoSuchKey":
                return None
            raise

    def get(self, key: str) -> bytes | None:
        """Read a small file; None if it does not exist."""
        try:
            with self._operation(f"reading {key}"), self._path(key).open("rb") as file:
                data = file.read(LARGEST_SMALL_FILE + 1)
        except StorageError as error:
            if error.code == "NoSuchKey":
                return None
            raise
        if len(data) > LARGEST_SMALL_FILE:
            raise StorageError(f"{self.address}: {key} is larger than {LARGEST_SMALL_FILE} bytes")
        return data

    def put(self, key: str, data: bytes, kind: str = "application/json", *, new: bool = False) -> None:  # noqa: ARG002  as Store
        """Write a small file whole, and overwrite an existing one. A directory has no media types."""
        if new and os.path.lexists(self._path(key)):
            raise StorageError(f"{self.address}: writing {key}: a file already exists", EXISTS)
        with DirectoryUpload(self, key) as upload:
            upload.write(data)
            upload.flush()
            upload.replace()

    def remove(self, key: str) -> None:
        """Delete one file, and the directories that become empty."""
        with self._operation(f"deleting {key}"):
            path = self._path(key)
            path.unlink(missing_ok=True)
        for parent in path.parents:
            if parent == self.root:
                return
            try:
                parent.rmdir()
            except OSError:  # not empty
                return

    def read(self, key: str, stop: threading.Event) -> Iterator[bytes]:
        """Read the bytes of the file. Raises Interrupted when `stop` is set."""
        with self._operation(f"reading {key}"), self._path(key).open("rb") as file:
            while chunk := file.read(CHUNK):
                if stop.is_set():
                    raise Interrupted("interrupted")
                yield chunk

    def begin_upload(self, key: str, metadata: Mapping[str, str]) -> DirectoryUpload:  # noqa: ARG002  as Store
        """Begin a file under a temporary name; its record replaces metadata."""
        return DirectoryUpload(self, key)

    def unfinished_uploads(self, prefix: str) -> list[UnfinishedUpload]:
        """List the files that killed runs left: this run has the lock, so no other run is writing."""
        uploads = []
        for path in self._files(prefix):
            if path.name.endswith(PARTIAL):
                entry = self._entry(path)
                name = path.name[1:].rsplit(".", 2)[0]
                uploads.append(
                    UnfinishedUpload(str(path.with_name(name).relative_to(self.root)), entry.key, entry.modified, True)
                )
        return uploads

    def abort(self, key: str, upload_id: str) -> None:
        """Delete an unfinished file."""
        with self._operation(f"aborting {key}"):
            self._path(upload_id).unlink(missing_ok=True)

    def open_partial(self, key: str) -> tuple[Path, Path, int]:
        """Return the path of the file, and the path and descriptor of its temporary file."""
        if key.endswith(PARTIAL):
            raise StorageError(f"'{key}': this name is reserved for unfinished files; set another mirror_url")
        with self._operation(f"writing {key}"):
            path = self._path(key)
            path.parent.mkdir(parents=True, exist_ok=True)
            partial = path.with_name(f".{path.name}.{secrets.token_hex(4)}{PARTIAL}")
            return path, partial, os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o666)


def _unless_gone(error: OSError) -> None:
    """Raise other errors: an unreadable directory would look empty."""
    if not isinstance(error, FileNotFoundError):
        raise error


class DirectoryUpload:
    """The upload of one file; see `store.Upload`."""

    def __init__(self, folder: Directory, key: str) -> None:
        self._folder, self._key = folder, key
        self._path, self._partial, self._file = folder.open_partial(key)
        self._is_complete = False

    def __enter__(self) -> DirectoryUpload:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file >= 0:
            os.close(self._file)
        if not self._is_complete:
            with suppress(OSError):
                self._partial.unlink()

    def write(self, chunk: bytes) -> None:
        """Write the next bytes. Raises StorageError."""
        with self._folder._operation(f"writing {self._key}"):
            left = memoryview(chunk)
            while left:
                left = left[os.write(self._file, left) :]

    def flush(self) -> None:
        """Wait until the disk has all bytes. Raises StorageError."""
        with self._folder._operation(f"writing {self._key}"):
            os.fsync(self._file)

    def complete(self, record: Record) -> None:
        """Write the record, and rename the file. Raises StorageError; EXISTS if the name is in use."""
        if os.path.lexists(self._path):
            raise StorageError(f"{self._folder.address}: completing {self._key}: an object already exists", EXISTS)
        self._folder.put(self._key + RECORD, encode(record))
        self.replace()

    def replace(self) -> None:
        """Rename the file, and overwrite an existing one; this survives a power failure. Raises StorageError."""
        with self._folder._operation(f"completing {self._key}"):
            self._partial.replace(self._path)
            self._is_complete = True
            directory = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)
