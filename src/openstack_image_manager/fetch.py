"""Door to HTTP (and ftp:, file:): status check, bounded waits, retry with back-off, resume; hashes as bytes pass."""

from __future__ import annotations

import hashlib
import io
import threading
import time
from collections.abc import Callable
from typing import IO, Any
from urllib.parse import unquote, urlsplit

import requests
import urllib3

from openstack_image_manager import __version__
from openstack_image_manager.errors import FetchError, Interrupted
from openstack_image_manager.format import public_url

CONNECT_TIMEOUT = 15.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a byte
TRIES = 5  # in a row without progress
PAUSE = 0.5  # seconds before the first retry, doubled each time
LONGEST_PAUSE = 30.0  # seconds; a Retry-After beyond it is not waited for
RETRIABLE = (408, 429, 500, 502, 503, 504)
CHUNK = 1024 * 1024
USER_AGENT = f"openstack-image-manager/{__version__}"

Progress = Callable[[int, int | None], None]


class Download(io.RawIOBase):
    """The bytes of a URL as published, read once, hashed in passing, with memory for one chunk.

    A broken connection is resumed with Range and If-Range; where the site can't resume, what was read already is read
    again and compared, so that the bytes handed on always belong to one file. `deadline` is in seconds of
    time.monotonic(). Raises FetchError when it gives up, Interrupted when `stop` is set.
    """

    def __init__(
        self,
        url: str,
        algorithm: str = "sha256",
        deadline: float | None = None,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
    ) -> None:
        self.url = url
        self.size: int | None = None
        self.done = 0
        self.last_modified: str | None = None
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self._deadline = deadline
        self._stop = stop or threading.Event()
        self._progress = progress
        self._validator: str | None = None
        self._body: IO[bytes] | Any = None
        self._failures = 0
        self._open()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer, as far as one read gives; 0 at the end of the file, all of it."""
        while True:
            self._check()
            try:
                chunk: bytes = self._body.read(len(buffer))
                if not chunk and self.size is not None and self.done < self.size:
                    raise EOFError(f"the connection ended after {self.done} of {self.size} bytes")
            except (OSError, EOFError, urllib3.exceptions.HTTPError) as error:
                self._again(error)
                continue
            buffer[: len(chunk)] = chunk
            self._hash.update(chunk)
            self.done += len(chunk)
            if chunk:
                self._failures = 0
            if self._progress:
                self._progress(self.done, self.size)
            return len(chunk)

    def hexdigest(self) -> str:
        """Digest of all bytes read so far."""
        return self._hash.hexdigest()

    def close(self) -> None:
        if self._body is not None and not self.closed:
            self._body.close()
        super().close()

    def _again(self, error: Exception | str, pause: float | None = None) -> None:
        """Wait and open again where we were; gives up when tries or time are used up."""
        self._body = None
        while True:
            self._failures += 1
            if self._failures >= TRIES:
                raise self._failed(f"given up after {TRIES} tries: {_reason(error)}")
            wait = min(pause if pause is not None else PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
            if self._stop.wait(wait):
                raise Interrupted("interrupted")
            self._check()
            try:
                self._open()
            except _RetryError as again:
                error, pause = again.reason, again.pause
            else:
                return

    def _check(self) -> None:
        if self._stop.is_set():
            raise Interrupted("interrupted")
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise self._failed(f"not finished in time, after {self.done} bytes (--import-timeout)")

    def _failed(self, message: str) -> FetchError:
        return FetchError(f"{public_url(self.url)}: {message}")

    def _open(self) -> None:
        scheme = urlsplit(self.url).scheme.lower()
        try:
            start = self._open_http() if scheme in ("http", "https") else self._open_other(scheme)
        except _RetryError as again:
            if self.done or self._failures:
                raise
            self._again(again.reason, again.pause)
            return
        if start != self.done:
            self._skip_again()

    def _open_http(self) -> int:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}
        if self.done and self._validator:
            headers |= {"Range": f"bytes={self.done}-", "If-Range": self._validator}
        try:
            answer = requests.get(self.url, headers=headers, stream=True, timeout=(CONNECT_TIMEOUT, READ_TIMEOUT))
        except requests.exceptions.SSLError as error:
            raise self._failed(f"TLS failed: {_reason(error)}") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout) as error:
            raise _RetryError(_reason(error)) from None
        except requests.exceptions.RequestException as error:
            raise self._failed(_reason(error)) from None
        status = f"{answer.status_code} {answer.reason}"
        if answer.status_code in RETRIABLE:
            answer.close()
            raise _RetryError(status, _retry_after(answer.headers.get("Retry-After")))
        if answer.status_code not in (200, 206):
            answer.close()
            raise self._failed(status)
        start = 0
        if answer.status_code == 206:
            start = int(answer.headers.get("Content-Range", "bytes 0-").split()[1].partition("-")[0])
        else:
            length = answer.headers.get("Content-Length", "")
            self.size = int(length) if length.isdecimal() else None
            etag = answer.headers.get("ETag", "")
            self.last_modified = answer.headers.get("Last-Modified")
            self._validator = etag if etag.startswith('"') else self.last_modified
        self._body = answer.raw
        return start

    def _open_other(self, scheme: str) -> int:
        parts = urlsplit(self.url)
        try:
            if scheme == "file":
                if parts.netloc not in ("", "localhost"):
                    raise self._failed("a file: URL has three slashes: file:///path/to/image")
                self._body = open(unquote(parts.path), "rb")  # noqa: SIM115
                self.size = self._body.seek(0, io.SEEK_END)
                self._body.seek(self.done)
                return self.done
            from urllib.request import urlopen

            self._body = urlopen(self.url, timeout=READ_TIMEOUT)
            length = self._body.headers.get("Content-Length")
            self.size = int(length) if length else None
            return 0
        except OSError as error:
            raise self._failed(_reason(error)) from None

    def _skip_again(self) -> None:
        """Read what was handed on already once more: it must be the same, or the file has changed meanwhile."""
        again, left = hashlib.new(self._algorithm), self.done
        while left:
            self._check()
            try:
                chunk = self._body.read(min(CHUNK, left))
            except (OSError, urllib3.exceptions.HTTPError) as error:
                raise _RetryError(_reason(error)) from None
            if not chunk:
                break
            again.update(chunk)
            left -= len(chunk)
        if again.digest() != self._hash.digest():
            raise self._failed("it changed at the upstream while it was being read; run again")


class _RetryError(Exception):
    def __init__(self, reason: str, pause: float | None = None) -> None:
        super().__init__(reason)
        self.reason = reason
        self.pause = pause


def _retry_after(value: str | None) -> float | None:
    return float(value) if value and value.isdecimal() else None


def _reason(error: Exception | str) -> str:
    """The innermost reason in one line: the libraries wrap it several times."""
    seen: Any = error
    while isinstance(seen, Exception):
        inner = getattr(seen, "reason", None) or next((a for a in seen.args if isinstance(a, Exception)), None)
        if not isinstance(inner, Exception):
            break
        seen = inner
    text = getattr(seen, "strerror", None) or str(seen) or type(seen).__name__
    return " ".join(text.split()).rpartition("object at 0x")[2].partition(">: ")[2] or " ".join(text.split())


def fetch_text(url: str, limit: int = 4 * 1024 * 1024, timeout: float = 120.0) -> str:
    """A small text file, such as a checksum file. Raises FetchError, also when it is larger than `limit` bytes."""
    with Download(url, deadline=time.monotonic() + timeout) as download:
        data = io.BufferedReader(download).read(limit + 1)
    if len(data) > limit:
        raise FetchError(f"{public_url(url)}: larger than {limit} bytes, which no checksum file is")
    text = data.decode("utf-8", "replace")
    if text.lstrip()[:15].lower().startswith(("<!doctype", "<html")):
        raise FetchError(f"{public_url(url)}: a web page came instead of the file")
    return text


def last_modified(url: str, timeout: float = 120.0) -> str | None:
    """The Last-Modified header. HEAD is answered differently, or not at all, by many sites: open and close instead."""
    with Download(url, deadline=time.monotonic() + timeout) as download:
        return download.last_modified
