"""Limit the size and time of answers of an object storage."""

from __future__ import annotations

from typing import Any

from botocore.response import StreamingBody

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import StorageError

LARGEST = 64 * 1024 * 1024  # bytes of any answer except objects: a page of a listing has less than one MiB
TIMEOUT = 300.0  # seconds for an answer, without the time for its bytes and those of its request
SLOWEST = 16 * 1024  # bytes a second
_PIECE = 64 * 1024


def is_late(seconds: float, size: int, timeout: float = TIMEOUT) -> bool:
    """Return True if this time is too long for so many bytes.

    A socket timeout restarts with each byte, so a service that drips bytes never triggers it.
    """
    return seconds > timeout + size / SLOWEST


class BoundedSession:
    """Send requests with botocore's `session`.

    Raises StorageError, which is not retried, for an endless answer. `timeout`: seconds, see TIMEOUT.
    """

    def __init__(self, session: Any, timeout: float = TIMEOUT) -> None:
        self._session = session
        self._timeout = timeout

    def send(self, request: Any) -> Any:
        """Return the answer; its body is read to the end, except for objects.

        A thread reads the answer; it is abandoned when the time is up.
        """
        size = int(request.headers.get("Content-Length") or 0)
        answering = BackgroundCall(lambda: self._answer(request))
        timeout = self._timeout + size / SLOWEST
        if not answering.wait(timeout):
            raise StorageError(f"{_address(request)}: the answer takes longer than {timeout:.0f} s")
        return answering.result()

    def _answer(self, request: Any) -> Any:
        is_object, request.stream_output = request.stream_output, True  # botocore then does not read the body
        answer = self._session.send(request)
        if is_object and answer.status_code < 300:
            answer.raw = _ObjectBody(answer.raw)
        else:
            answer.raw = _BufferedBody(answer.raw, _address(request))
            _ = answer.content  # read now, and kept
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._session.close()


class _BufferedBody:
    """A body that is read at once."""

    def __init__(self, raw: Any, where: str) -> None:
        self._raw, self._where = StreamingBody(raw, None), where  # it raises botocore's exceptions

    def stream(self) -> list[bytes]:
        """Return the chunks. Raises StorageError if the answer is too large."""
        pieces, size = [], 0
        while piece := self._raw.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                self._raw.close()
                raise StorageError(f"{self._where}: the answer is larger than {LARGEST // 1024**2} MiB")
        return pieces


class _ObjectBody:
    """The body of an object. A read returns the available bytes, so that the caller can check the time."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, size: int) -> bytes:
        """Return at most `size` bytes; none at the end."""
        data: bytes = self._raw.read1(size)
        return data

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()


def _address(request: Any) -> str:
    return public_url(request.url.partition("?")[0])
