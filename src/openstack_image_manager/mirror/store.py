"""Define what a place of copies can do, whether it is a bucket or a directory."""

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
    """A line of a listing. `tag`: the ETag, which `head` has of objects in a bucket."""

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
    """One object on its way: `write` what comes, then `flush` and `complete`. `with` aborts it if it was not
    completed."""

    def __enter__(self) -> Upload: ...

    def __exit__(self, *_: object) -> None: ...

    def write(self, chunk: bytes) -> None:
        """Take the next bytes. Raises StorageError."""

    def flush(self) -> None:
        """Wait until everything has arrived. Raises StorageError."""

    def complete(self, record: Record) -> None:
        """Make the object visible, where nothing is, with its record. Raises StorageError, with the code EXISTS where
        something is."""


class SmallFiles(Protocol):
    """Where records are."""

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, data: bytes, kind: str = ..., *, new: bool = ...) -> None: ...

    def remove(self, key: str) -> None: ...


def write_record(files: SmallFiles, key: str, record: Record, is_still_there: Callable[[], bool]) -> None:
    """Write the record of an object. If another run has replaced the object in between, the record of that run stays:
    ours is not written over it, and deleted only while it is there. Raises StorageError."""
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
        files.put(name, data)  # over what cannot be read, or is about an object that is gone
        if is_still_there():
            return
    if files.get(name) == data:
        files.remove(name)
    raise StorageError(f"{key}: {OTHER_RUN}")


class Store(Protocol):
    """Every method raises StorageError: where, what, and what to do."""

    def entries(self, prefix: str) -> Iterator[Entry]:
        """All objects below the prefix, records and indexes too."""

    def head(self, key: str) -> tuple[Entry, bool] | None:
        """The object, and whether it says by itself that it is ours; None if there is none."""

    def get(self, key: str) -> bytes | None:
        """A small object; None if there is none."""

    def put(self, key: str, data: bytes, kind: str = "application/json", *, new: bool = False) -> None:
        """Write a small object whole, over what is there. `kind`: its media type. `new`: not over anything; then raises
        StorageError, with the code EXISTS where something is."""

    def remove(self, key: str) -> None:
        """Delete one object; one that is gone already is fine."""

    def read(self, key: str, stop: threading.Event) -> Iterator[bytes]:
        """The object's bytes. Raises Interrupted when `stop` is set."""

    def begin_upload(self, key: str, metadata: Mapping[str, str]) -> Upload:
        """An upload of which nothing can be seen before it is completed."""

    def unfinished_uploads(self, prefix: str) -> list[UnfinishedUpload]:
        """Uploads below the prefix that nobody has finished."""

    def abort(self, key: str, upload_id: str) -> None:
        """Remove what an upload has left; one that is gone already is fine."""
