"""Limit the answers of services in size and time, and refuse redirects of requests with a token or a password."""

from __future__ import annotations

import io
import time
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.redaction import public_url

LARGEST = 64 * 1024 * 1024  # bytes: 1,000 images with all the properties that Glance allows by default are half of it
LONGEST = 300.0  # seconds for an answer, plus the pause that the caller allows between two bytes of it
_CHUNK = 64 * 1024
_TICK = 1.0  # seconds between two checks of an upload
_LOGIN = "/auth/tokens"


class RefusedAnswerError(requests.RequestException):
    """An answer that is too long or too late, or a redirect that is not followed."""


class _ReadBody(io.BytesIO):
    """A body that was read completely; requests finds the cookies in the original response of http.client."""

    _original_response: Any = None


class _UploadBody:
    """The pieces of an upload. `idle_since`: since when the service has not asked for the next one; None: one is being
    read from its source, which has deadlines of its own."""

    def __init__(self, pieces: Iterable[bytes]) -> None:
        self._pieces = pieces
        self.idle_since: float | None = time.monotonic()

    def __iter__(self) -> Iterator[bytes]:
        self.idle_since = None
        for piece in self._pieces:
            self.idle_since = time.monotonic()
            yield piece
            self.idle_since = None
        self.idle_since = time.monotonic()


class BoundedAdapter(BaseAdapter):
    """Passes requests to `transport`. Raises RefusedAnswerError for an answer without end, and for a redirect of a
    request with credentials: keystoneauth would send them to the new URL. `longest`: seconds, see LONGEST."""

    def __init__(self, transport: Any, longest: float = LONGEST) -> None:
        super().__init__()
        self._transport = transport
        self._longest = longest

    def send(self, request: requests.PreparedRequest, stream: bool = False, *rest: Any, **options: Any) -> Any:
        """The answer; its body is read to the end, unless it is a stream.

        The timeout of a socket counts from the last byte, so a service that sends single bytes never meets it. So a
        thread gets the answer, and is left alone when time is up."""
        body: Any = request.body
        upload = _UploadBody(() if body is None or isinstance(body, str | bytes) else body)
        if body is not None and not isinstance(body, str | bytes):
            request.body = upload  # type: ignore[assignment]  # requests sends iterables, its stubs know of bytes only
        answering = BackgroundCall(lambda: self._answer(request, stream, *rest, **options))
        longest = self._longest + _pause(options.get("timeout"))
        left = longest
        while not answering.wait(left):
            idle_since = upload.idle_since
            left = _TICK if idle_since is None else idle_since + longest - time.monotonic()
            if left <= 0:
                raise RefusedAnswerError(f"the answer of {_shown(request.url)} takes longer than {longest:.0f} s")
        return answering.result()

    def _answer(self, request: requests.PreparedRequest, stream: bool, *rest: Any, **options: Any) -> Any:
        answer = self._transport.send(request, stream, *rest, **options)
        url = request.url or ""
        is_login = urlsplit(url).path.endswith(_LOGIN)
        if answer.is_redirect and (is_login or "X-Auth-Token" in request.headers):
            answer.close()
            target = _shown(urljoin(url, answer.headers["location"]))
            hint = "correct the endpoint in the service catalogue"
            if is_login:
                hint = f"set auth_url to {target.removesuffix(_LOGIN)} in clouds.yaml if that is right"
            raise RefusedAnswerError(f"{_shown(url)} redirects to {target}, and credentials are not sent there; {hint}")
        if not stream:
            body = _ReadBody(b"".join(_pieces(answer)))
            body._original_response = getattr(answer.raw, "_original_response", None)
            answer.raw = body
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()


def _pieces(answer: Any) -> Iterator[bytes]:
    size = 0
    try:
        for piece in answer.raw.stream(_CHUNK, decode_content=True):
            size += len(piece)
            if size > LARGEST:
                answer.close()
                raise RefusedAnswerError(f"the answer of {_shown(answer.url)} is larger than {LARGEST // 1024**2} MiB")
            yield piece
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ConnectionError(error) from None
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from None


def _pause(timeout: Any) -> float:
    """The longest pause between two bytes of an answer; requests takes one number, or two."""
    pause = timeout[1] if isinstance(timeout, tuple) else timeout
    return pause if isinstance(pause, int | float) else 0.0


def _shown(url: str | None) -> str:
    return public_url((url or "").partition("?")[0])
