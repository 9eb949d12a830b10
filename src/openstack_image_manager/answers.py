"""Bounds on what a service answers: size, time, and no redirect for a request that carries a token or a password."""

from __future__ import annotations

import io
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import urljoin, urlsplit

import requests
import urllib3
from requests.adapters import BaseAdapter

from openstack_image_manager.values import public_url

LARGEST = 64 * 1024 * 1024  # bytes: 1,000 images with all the properties that Glance allows by default are half of it
LONGEST = 300.0  # seconds from the first to the last byte of an answer
_CHUNK = 64 * 1024


class Refused(requests.RequestException):
    """An answer that is not read further, or not followed."""


class _Body(io.BytesIO):
    """A body that was read; requests looks for cookies in what http.client made of the head."""

    _original_response: Any = None


class Bounded(BaseAdapter):
    """Passes requests on to `transport`. Raises Refused for an answer without end, and for a redirect of a request with
    credentials: keystoneauth would send them to wherever it points."""

    def __init__(self, transport: Any) -> None:
        super().__init__()
        self._transport = transport

    def send(self, request: requests.PreparedRequest, stream: bool = False, *rest: Any, **options: Any) -> Any:
        """The answer; its body is read to the end, unless it is to be a stream."""
        answer = self._transport.send(request, stream, *rest, **options)
        url = request.url or ""
        secret = "X-Auth-Token" in request.headers or urlsplit(url).path.endswith("/auth/tokens")
        if answer.is_redirect and secret:
            answer.close()
            there = public_url(urljoin(url, answer.headers["location"]).partition("?")[0])
            raise Refused(
                f"{public_url(url.partition('?')[0])} redirects to {there}, and credentials are not sent there; "
                "correct the address of the service"
            )
        if not stream:
            body = _Body(b"".join(_pieces(answer)))
            body._original_response = getattr(answer.raw, "_original_response", None)
            answer.raw = body
        return answer

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()


def _pieces(answer: Any) -> Iterator[bytes]:
    size, deadline = 0, time.monotonic() + LONGEST
    # An answer that drips is seen by `read1`, which older releases of urllib3 do not have.
    read = getattr(answer.raw, "read1", answer.raw.read)
    try:
        while piece := read(_CHUNK, decode_content=True):
            size += len(piece)
            late = time.monotonic() > deadline
            if late or size > LARGEST:
                answer.close()
                why = f"takes longer than {LONGEST:.0f} s" if late else f"is larger than {LARGEST // 1024**2} MiB"
                raise Refused(f"the answer of {public_url(answer.url.partition('?')[0])} {why}")
            yield piece
    except urllib3.exceptions.ReadTimeoutError as error:
        raise requests.ConnectionError(error) from None
    except urllib3.exceptions.HTTPError as error:
        raise requests.exceptions.ChunkedEncodingError(error) from None
