"""Upload an object in parts: which bytes go into which part, and when the object becomes visible."""

from __future__ import annotations

from concurrent.futures import Future
from contextlib import suppress
from typing import Protocol

from openstack_image_manager.errors import Error, StorageError
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.mirror.store import Entry, write_record

PART = 16 * 1024 * 1024
MOST_PARTS = 10_000


class Buffer(bytearray):
    """Memory for one part; debug logs do not print its bytes."""

    def __repr__(self) -> str:
        return f"<{len(self)} bytes>"


class Parts(Protocol):
    """The bucket operations that a multipart upload needs."""

    def buffer(self) -> Buffer: ...

    def send(self, key: str, upload_id: str, number: int, part: Buffer, size: int) -> Future[str]: ...

    def complete(self, key: str, upload_id: str, tags: list[str]) -> str: ...

    def get(self, key: str) -> bytes | None: ...

    def put(self, key: str, data: bytes, kind: str = ..., *, new: bool = ...) -> None: ...

    def head(self, key: str) -> tuple[Entry, bool] | None: ...

    def remove(self, key: str) -> None: ...

    def abort(self, key: str, upload_id: str) -> None: ...


class PartsUpload:
    """One upload: call `write` for each chunk, then `flush` and `complete`. `with` aborts an upload that was not
    completed."""

    def __init__(self, bucket: Parts, key: str, upload_id: str) -> None:
        self._bucket, self._key, self._id = bucket, key, upload_id
        self._buffer: Buffer | None = None
        self._filled = 0
        self._sent: list[Future[str]] = []
        self._is_complete = False

    def __enter__(self) -> PartsUpload:
        return self

    def __exit__(self, *_: object) -> None:
        if not self._is_complete:
            for future in self._sent:
                future.exception()  # a part that arrives after the abort would remain
            with suppress(Error):  # the first error counts; a later run aborts the rest
                self._bucket.abort(self._key, self._id)

    def write(self, chunk: bytes) -> None:
        """Take the next bytes, and send each full part. Raises StorageError."""
        left = memoryview(chunk)
        while left:
            if self._buffer is None:
                self._buffer = self._bucket.buffer()
            count = min(PART - self._filled, len(left))
            self._buffer[self._filled : self._filled + count] = left[:count]
            self._filled += count
            left = left[count:]
            if self._filled == PART:
                self._send()

    def flush(self) -> None:
        """Send the last part, and wait until all parts have arrived. Raises StorageError."""
        if self._filled:
            self._send()
        for future in self._sent:
            future.result()

    def complete(self, record: Record) -> None:
        """Make the object visible, then write its record. Raises StorageError; EXISTS if the key is in use."""
        tag = self._bucket.complete(self._key, self._id, [future.result() for future in self._sent])
        self._is_complete = True

        def is_still_there() -> bool:
            head = self._bucket.head(self._key)
            return head is not None and head[0].tag == tag

        write_record(self._bucket, self._key, record, is_still_there)

    def _send(self) -> None:
        for future in self._sent:
            if future.done():
                future.result()
        if len(self._sent) == MOST_PARTS:
            raise StorageError(f"{self._key}: larger than {PART * MOST_PARTS // 1024**3} GiB")
        part, size = self._buffer or Buffer(), self._filled
        self._buffer, self._filled = None, 0
        self._sent.append(self._bucket.send(self._key, self._id, len(self._sent) + 1, part, size))
