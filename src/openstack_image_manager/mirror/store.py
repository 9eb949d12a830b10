"""Define what a storage of copies must do: a bucket or a directory."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from openstack_image_manager.errors import StorageError
from openstack_image_manager.mirror.location import RECORD
from openstack_image_manager.mirror.record import Record, encode

EXISTS = "PreconditionFailed"  # the code of a StorageError: there is an object already
OTHER_RUN = "another run has changed it, perhaps with other definitions; run again with the newest ones"
CHUNK = 1024 * 1024
LARGEST_SMALL_FILE = 64 * 1024 * 1024  # bytes of a record, or of an index


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of a listing. `tag`: the ETag, which `head` returns for objects in a bucket."""

    key: str
    size: int
    modified: datetime
    tag: str = ""


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """An upload that is neither completed nor aborted. `is_own`: a dead run of this program began it for certain."""

    key: str
    upload_id: str
    since: datetime
    is_own: bool = False


class Upload(Protocol):
    """One upload: call `write` for each chunk, then `flush` and `complete`. `with` aborts an upload that was not
    completed."""

    def __enter__(self) -> Upload: ...

    def __exit__(self, *_: object) -> None: ...

    def write(self, chunk: bytes) -> None:
        """Write the next bytes. Raises StorageError."""

    def flush(self) -> None:
        """Wait until all bytes have arrived. Raises StorageError."""

    def complete(self, record: Record) -> None:
        """Make the object visible with its record, if its key is free. Raises StorageError, with code EXISTS if it is
        in use."""


class SmallFiles(Protocol):
    """Read and write records."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, data: bytes, kind: str = ..., *, new: bool = ...) -> None: ...

    def remove(self, key: str) -> None: ...


def write_record(files: SmallFiles, key: str, record: Record, is_still_there: Callable[[], bool]) -> None:
    """Write the record of an object.

    If another run replaced the object in between, the record of that run stays: this one does not overwrite it, and is
    deleted only while it is still in place. Raises StorageError.
    """
    data, name = encode(record), key + RECORD
    try:
        files.put(name, data, new=True)
        is_written = True
    except StorageError as error:
        if error.code != EXISTS:
            raise
        is_written = False
    if is_still_there():
        if is_written:
            return
        files.put(name, data)  # it is unreadable, or describes an object that is gone
        if is_still_there():
            return
    if files.get(name) == data:
        files.remove(name)
    raise StorageError(f"{key}: {OTHER_RUN}")


class Store(Protocol):
    """The operations of a storage. Each raises StorageError that says where, what, and what to do."""

    def entries(self, prefix: str) -> Iterator[Entry]:
        """List all objects below the prefix, records and indexes included."""

    def head(self, key: str) -> tuple[Entry, bool] | None:
        """Return the object, and whether its metadata names this program; None if it does not exist."""

    def get(self, key: str) -> bytes | None:
        """Read a small object; None if it does not exist."""

    def put(self, key: str, data: bytes, kind: str = "application/json", *, new: bool = False) -> None:
        """Write a small object whole, and overwrite an existing one.

        `kind`: its media type. `new`: overwrite nothing, and raise StorageError with code EXISTS instead.
        """

    def remove(self, key: str) -> None:
        """Delete one object; a missing object is not an error."""

    def read(self, key: str, stop: threading.Event) -> Iterator[bytes]:
        """Read the bytes of the object. Raises Interrupted when `stop` is set."""

    def begin_upload(self, key: str, metadata: Mapping[str, str]) -> Upload:
        """Begin an upload, which stays invisible until it is completed."""

    def unfinished_uploads(self, prefix: str) -> list[UnfinishedUpload]:
        """List the unfinished uploads below the prefix."""

    def abort(self, key: str, upload_id: str) -> None:
        """Remove the data of an upload; a missing upload is not an error."""
