"""Read URLs and local files: check answers, limit every wait, retry, resume, and hash the bytes."""

from __future__ import annotations

import hashlib
import io
import os
import re
import stat
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import unquote, urljoin, urlsplit

import requests
import urllib3

from openstack_image_manager import __version__
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import FetchError, Interrupted, RefusedRedirectError, reason
from openstack_image_manager.redaction import redact
from openstack_image_manager.transfer import redirects
from openstack_image_manager.transfer.deadline import ConnectionWatch
from openstack_image_manager.transfer.mirrors import Mirrors, environment_mirrors
from openstack_image_manager.transfer.redirects import RedirectError, RedirectTrail
from openstack_image_manager.transfer.text import decode
from openstack_image_manager.transfer.web_page import is_web_page

CONNECT_TIMEOUT = 15.0  # seconds
READ_TIMEOUT = 60.0  # seconds without a byte
TIMEOUT = 120.0  # seconds for a small file, retries and all
TRIES = 5  # in a row without progress
PAUSE = 0.5  # seconds before the first retry, doubled each time
LONGEST_PAUSE = 30.0  # seconds, also for Retry-After
KERNEL = ("/proc/", "/sys/")  # the kernel generates these files, of any length, when they are read
REDIRECTS = (301, 302, 303, 307, 308)
LONGEST_REASON = 200  # characters of a site's message
NUMBER = re.compile(r"[0-9]{1,18}")  # of bytes or seconds, in a header
RETRIABLE = (408, 429, 500, 502, 503, 504)
CHUNK = 1024 * 1024
USER_AGENT = f"openstack-image-manager/{__version__}"

Progress = Callable[[int, int | None], None]


class Download(io.RawIOBase):
    """The bytes of a URL as published, read and hashed once, with memory for one chunk.

    A broken connection is resumed with Range and If-Range. Where the site does not resume, the first part is read again
    and compared, so that all bytes belong to one file. `deadline`: seconds of time.monotonic() for everything, also
    redirects and headers. Raises FetchError when it gives up, Interrupted when `stop` is set.

    `headers` are sent with HTTP requests; if they ask for a part or on conditions, the answer can be 206 or 304
    (`status`). Without `follow`, a redirect is an answer, too, with a `location`; its download continues the `trail` of
    this one. `hint`: what the user can do about the deadline. `mirrors`: by default those of the environment; the
    attribute `url` is the URL that is requested.
    """

    def __init__(
        self,
        url: str,
        algorithm: str = "sha256",
        deadline: float | None = None,
        stop: threading.Event | None = None,
        progress: Progress | None = None,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
        hint: str = " (--import-timeout)",
        trail: RedirectTrail | None = None,
        mirrors: Mirrors | None = None,
    ) -> None:
        self._mirrors = Mirrors(environment_mirrors()) if mirrors is None else mirrors
        self.url = self._mirrors.request_url(url)
        self.size: int | None = None
        self.done = 0
        self.status = 200
        self.answer: Mapping[str, str] = {}
        self.trail = self._from = trail or RedirectTrail()
        self._extra = dict(headers or {})
        self._follow = follow
        self._hint = hint
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self._deadline = deadline
        self._stop = stop or threading.Event()
        self._watch = ConnectionWatch(deadline, self._stop)
        self._progress = progress
        self._validator: str | None = None
        self._body: Any = None
        self._failures = 0
        try:
            self._open()
        except BaseException:
            self.close()
            raise

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with one read; 0 at the end of the complete file."""
        while True:
            self.check()
            try:
                # Not read(): a slow site would have to fill the whole buffer before `stop` is checked again.
                chunk: bytes = self._body.read1(len(buffer))
                self._check_watch()
                if not chunk and self.size is not None and self.done < self.size:
                    raise EOFError(f"the connection ended after {self.done} of {self.size} bytes")
            except (OSError, EOFError, urllib3.exceptions.HTTPError) as error:
                self._check_watch()
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

    @property
    def last_modified(self) -> str | None:
        """The Last-Modified header."""
        return self.answer.get("Last-Modified")

    @property
    def location(self) -> str | None:
        """The target of a redirect that was not followed."""
        try:
            return urljoin(self.url, self.answer["Location"]) if self.status in REDIRECTS else None
        except ValueError as error:
            raise self._failed(reason(error)) from None

    def hexdigest(self) -> str:
        """Digest of all bytes read so far."""
        return self._hash.hexdigest()

    def close(self) -> None:
        if not self.closed:
            self._drop()
            self._watch.close()
        super().close()

    def check(self) -> None:
        """Raise FetchError if time is up, Interrupted if the user stopped; unpackers call it for every chunk."""
        if self._stop.is_set():
            raise Interrupted("interrupted")
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise self._late()

    def _check_watch(self) -> None:
        """Raise the error of the watch if it has shut the connection down: this is not the end of the file."""
        if self._watch.ended:
            self.check()

    def _drop(self) -> None:
        if self._body is not None:
            self._body.close()
        self._body = None
        self._watch.release()

    def _again(self, error: Exception | str, pause: float | None = None) -> None:
        """Wait and open again at the same place; gives up when tries or time are used up."""
        while True:
            self._drop()
            self._failures += 1
            if self._failures >= TRIES:
                raise self._failed(f"given up after {TRIES} tries: {reason(error)}")
            wait = min(pause if pause is not None else PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
            if self._deadline is not None and time.monotonic() + wait > self._deadline:
                raise self._late(f"; last: {reason(error)}")
            if self._stop.wait(wait):
                raise Interrupted("interrupted")
            try:
                self._open()
            except _RetryError as again:
                error, pause = again.reason, again.pause
            else:
                return

    def _late(self, last: str = "") -> FetchError:
        return self._failed(f"not finished in time, after {self.done} bytes{self._hint}{last}")

    def _patience(self, most: float) -> float:
        """Seconds to wait for the site: not beyond the deadline, but at least one."""
        return most if self._deadline is None else min(most, max(1.0, self._deadline - time.monotonic()))

    def _failed(self, message: str, status: int | None = None) -> FetchError:
        return FetchError(f"{public_url(self.url)}: {message}", status)

    def _open(self) -> None:
        openers = {"http": self._open_http, "https": self._open_http, "file": self._open_file}
        scheme = urlsplit(self.url).scheme.lower()
        if scheme == "ftp":
            raise self._failed("ftp: is not supported; use https")
        if scheme not in openers:
            raise self._failed(f"only {', '.join(openers)} can be read")
        self.check()
        try:
            start = openers[scheme]()
        except _RetryError as again:
            if self.done or self._failures:
                raise
            self._again(again.reason, again.pause)
            return
        if start != self.done:
            self._skip_again()

    def _open_http(self) -> int:
        headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **({} if self.done else self._extra)}
        resuming = bool(self.done and self._validator)
        if resuming:
            headers |= {"Range": f"bytes={self.done}-", "If-Range": self._validator or ""}
        patience = (self._patience(CONNECT_TIMEOUT), self._patience(READ_TIMEOUT))
        try:
            answer, trail = self._ask(headers, patience)
        except requests.exceptions.SSLError as error:
            self._check_watch()
            raise self._failed(f"TLS failed: {reason(error)}") from None
        except (requests.exceptions.ConnectionError, requests.exceptions.Timeout, TimeoutError) as error:
            self._check_watch()
            raise _RetryError(reason(error)) from None
        except RedirectError as error:
            raise RefusedRedirectError(f"{public_url(self.url)}: {reason(error)}") from None
        except (requests.exceptions.RequestException, ValueError) as error:  # ValueError: a redirect to an invalid URL
            raise self._failed(reason(error)) from None
        status = redact(f"{answer.status_code} {answer.reason[:LONGEST_REASON]}")
        if answer.status_code in RETRIABLE:
            answer.close()
            after = answer.headers.get("Retry-After", "")
            raise _RetryError(status, float(after) if NUMBER.fullmatch(after) else None)
        is_rest = resuming and answer.status_code == 206 and self._is_rest(answer.headers)
        if resuming and answer.status_code in (206, 416) and not is_rest:
            answer.close()
            self._validator = None  # so that the next try reads all of it again, and compares
            raise _RetryError(f"{status}, but not what is missing")
        if answer.status_code not in self._wanted(answer.headers) and not is_rest:
            answer.close()
            raise self._failed(status, answer.status_code)
        self._body = answer.raw
        if is_rest:
            return self.done
        length = answer.headers.get("Content-Length", "")
        self.size = int(length) if NUMBER.fullmatch(length) and answer.status_code in (200, 206) else None
        self.status, self.answer = answer.status_code, answer.headers
        self.trail = trail
        etag = answer.headers.get("ETag", "")
        # A part is small, and resuming it would need another request.
        self._validator = None if self.status == 206 else etag if etag.startswith('"') else self.last_modified
        return 0

    def _ask(
        self, headers: Mapping[str, str], patience: tuple[float, float]
    ) -> tuple[requests.Response, RedirectTrail]:
        """The answer and the redirects to it, not later than the deadline of the watch."""
        url, watch, trail = self.url, self._watch, self._from
        request_url = self._mirrors.request_url if self._follow else None

        def ask() -> redirects.Answer:
            return redirects.send(url, headers, patience, watch, request_url, trail)

        answer = watch.run(ask)
        return answer.response, answer.trail

    def _wanted(self, headers: Mapping[str, str]) -> set[int]:
        """Status codes that fit the request (RFC 9110, 14 and 13)."""
        wanted = {200}
        if "Range" in self._extra and headers.get("Content-Range", "").startswith("bytes 0-"):
            wanted.add(206)
        if {"If-None-Match", "If-Modified-Since"} & set(self._extra):
            wanted.add(304)
        return wanted if self._follow or "Location" not in headers else wanted | set(REDIRECTS)

    def _is_rest(self, headers: Mapping[str, str]) -> bool:
        """True if the part begins at the current position of a file of the same length (RFC 9110, 14.4)."""
        part = re.fullmatch(r"bytes (\d{1,18})-\d+/(\d+|\*)", headers.get("Content-Range", ""))
        if part is None or int(part[1]) != self.done:
            return False
        return self.size is None or part[2] in ("*", str(self.size))

    def _open_file(self) -> int:
        parts = urlsplit(self.url)
        if parts.netloc not in ("", "localhost"):
            raise self._failed("a file: URL has three slashes: file:///path/to/image")
        path = unquote(parts.path)
        if os.path.realpath(path.partition("\0")[0]).startswith(KERNEL):
            raise self._failed("is not a regular file")
        try:
            # O_NONBLOCK: the open of a named pipe would wait for a writer.
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except (OSError, ValueError) as error:  # ValueError: a NUL in the path
            raise self._failed(reason(error)) from None
        status = os.fstat(file)
        if not stat.S_ISREG(status.st_mode):
            os.close(file)
            raise self._failed("is not a regular file")
        self._body = open(file, "rb")  # noqa: SIM115  closed by close()
        self.size = status.st_size
        return 0

    def _skip_again(self) -> None:
        """Read the first part again and compare it: the file may have changed in between."""
        again, left = hashlib.new(self._algorithm), self.done
        while left:
            self.check()
            try:
                chunk = self._body.read1(min(CHUNK, left))
                self._check_watch()
            except (OSError, urllib3.exceptions.HTTPError) as error:
                self._check_watch()
                raise _RetryError(reason(error)) from None
            if not chunk:
                if self.size is not None and self.done - left < self.size:
                    raise _RetryError(f"the connection ended after {self.done - left} of {self.size} bytes")
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


def fetch_bytes(
    url: str,
    limit: int = 4 * 1024 * 1024,
    timeout: float = TIMEOUT,
    *,
    deadline: float | None = None,
    stop: threading.Event | None = None,
) -> bytes:
    """A small file, such as a signature or a key. `deadline`: that of the import, if it comes before the `timeout`.
    Raises FetchError, also for more than `limit` bytes; Interrupted when `stop` is set."""
    with _small(url, timeout, deadline, stop) as download:
        data = io.BufferedReader(download).read(limit + 1)
    if len(data) > limit:
        raise FetchError(f"{public_url(url)}: larger than {limit} bytes, which no such file is")
    return data


def fetch_text(
    url: str,
    limit: int = 4 * 1024 * 1024,
    timeout: float = TIMEOUT,
    *,
    deadline: float | None = None,
    stop: threading.Event | None = None,
) -> str:
    """A small text file, such as a checksum file. See `fetch_bytes`."""
    data = fetch_bytes(url, limit, timeout, deadline=deadline, stop=stop)
    if is_web_page(data):
        raise FetchError(f"{public_url(url)}: a web page came instead of the file")
    return decode(data)


def last_modified(url: str, timeout: float = TIMEOUT, *, stop: threading.Event | None = None) -> str | None:
    """The Last-Modified header. Many sites answer HEAD differently or not at all, so this opens and closes a GET."""
    with _small(url, timeout, None, stop) as download:
        return download.last_modified


def _small(url: str, timeout: float, deadline: float | None, stop: threading.Event | None) -> Download:
    end = time.monotonic() + timeout
    if deadline is not None and deadline < end:
        return Download(url, deadline=deadline, stop=stop)
    return Download(url, deadline=end, stop=stop, hint="")
