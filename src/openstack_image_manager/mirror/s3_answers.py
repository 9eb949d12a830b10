"""Bounds on what an object storage answers: size and time."""

from __future__ import annotations

from typing import Any

from botocore.response import StreamingBody

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import StorageError

LARGEST = 64 * 1024 * 1024  # bytes of an answer that is no object: a page of a listing has less than one MiB
TIMEOUT = 300.0  # seconds for an answer, besides the time that its bytes and those of its request may take
SLOWEST = 16 * 1024  # bytes a second
_PIECE = 64 * 1024


def is_late(seconds: float, size: int, longest: float = TIMEOUT) -> bool:
    """True if this time is too long for so many bytes: the timeout of a socket counts from the last byte, and a
    service that drips bytes never meets it."""
    return seconds > longest + size / SLOWEST


class BoundedSession:
    """Sends requests with botocore's `session`. Raises StorageError, which is not tried again, for an answer without
    an end. `longest`: seconds, see LONGEST."""

    def __init__(self, session: Any, longest: float = TIMEOUT) -> None:
        self._session = session
        self._longest = longest

    def send(self, request: Any) -> Any:
        """The answer; its body is read to the end, unless it is that of an object. It comes in a thread, which is left
        alone when time is up."""
        size = int(request.headers.get("Content-Length") or 0)
        answering = BackgroundCall(lambda: self._answer(request))
        longest = self._longest + size / SLOWEST
        if not answering.wait(longest):
            raise StorageError(f"{_address(request)}: the answer takes longer than {longest:.0f} s")
        return answering.result()

    def _answer(self, request: Any) -> Any:
        is_object, request.stream_output = request.stream_output, True  # so that botocore reads nothing of the body
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
        self._raw, self._where = StreamingBody(raw, None), where  # which raises exceptions of botocore

    def stream(self) -> list[bytes]:
        """Its pieces. Raises StorageError when there are too many."""
        pieces, size = [], 0
        while piece := self._raw.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > LARGEST:
                self._raw.close()
                raise StorageError(f"{self._where}: the answer is larger than {LARGEST // 1024**2} MiB")
        return pieces


class _ObjectBody:
    """The body of an object. A read gives what is there, so that somebody looks at the clock now and then."""

    def __init__(self, raw: Any) -> None:
        self._raw = raw

    def read(self, size: int) -> bytes:
        """At most so many bytes; none at the end."""
        data: bytes = self._raw.read1(size)
        return data

    def close(self) -> None:
        """Close the connection."""
        self._raw.close()


def _address(request: Any) -> str:
    return public_url(request.url.partition("?")[0])
