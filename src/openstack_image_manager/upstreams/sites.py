"""Fetch small documents from download sites, and read redirects and the first bytes of files."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Error, FetchError, Interrupted, VerificationError
from openstack_image_manager.transfer.download import Download
from openstack_image_manager.transfer.mirrors import Mirrors, environment_mirrors
from openstack_image_manager.transfer.redirects import RedirectTrail
from openstack_image_manager.transfer.text import decode
from openstack_image_manager.transfer.web_page import is_web_page
from openstack_image_manager.upstreams.build import parse_day
from openstack_image_manager.upstreams.cache import Cache, default_directory

KEPT = 128 * 1024 * 1024  # bytes of documents in memory, so that each is fetched once per run
LIMIT = 32 * 1024 * 1024  # bytes of a document: product files of simplestreams have a few MiB
TIMEOUT = 120.0  # seconds for one document, all retries together
PER_HOST = 4  # requests to one host at a time
HOPS = 5
BEGINNING = 1024  # bytes
T = TypeVar("T")
# Resolvers need a token only for this page. Other pages of the API could reveal private data with it.
RELEASES = re.compile(
    r"https://api\.github\.com/repos/[A-Za-z0-9-]+/(?!\.{1,2}/)[A-Za-z0-9._-]+/releases(\?per_page=\d+)?"
)


@dataclass(frozen=True, slots=True)
class Document:
    """The document at a URL."""

    url: str
    data: bytes
    last_modified: str | None

    @property
    def text(self) -> str:
        """Return the document as text; see `decode`."""
        return decode(self.data)


@dataclass(frozen=True, slots=True)
class Beginning:
    """The first bytes of a file, and the headers of the site."""

    data: bytes
    size: int | None
    last_modified: str | None

    @property
    def modified(self) -> str | None:
        """Return when it was last modified, in the format of definitions; None if the site does not say, or names a day
        in the future."""
        modified = parse_day(self.last_modified or "")
        return modified if modified and modified[:10] <= datetime.now(UTC).strftime("%Y-%m-%d") else None


class Sites:
    """The download sites of one run; each document is fetched once for all threads.

    `mirrors` maps URL prefixes to mirrors: requests go to the mirror, but recorded URLs stay those of the upstream.
    `cache`: None fetches all documents again. `token` is only for release lists in GitHub's API, and is sent nowhere
    else. `local_files`: resolvers may read local files. `per_host`: requests to one host at a time. `kept`: bytes of
    documents in memory. `warnings`: why the cache is not used. Thread-safe.
    """

    def __init__(
        self,
        *,
        mirrors: Mapping[str, str] | None = None,
        cache: Cache | None = None,
        token: str | None = None,
        per_host: int = PER_HOST,
        local_files: bool = False,
        timeout: float = TIMEOUT,
        limit: int = LIMIT,
        kept: int = KEPT,
        stop: threading.Event | None = None,
    ) -> None:
        self.mirrors = Mirrors(mirrors or {})
        self.warnings = tuple(filter(None, (cache.unsafe_reason(),))) if cache else ()
        cache = None if self.warnings else cache
        self._cache = cache
        self._token = token
        self.local_files = local_files
        self._timeout = timeout
        self._limit = limit
        self._kept = kept
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._slots: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(per_host))
        self._known: dict[Hashable, Future[Any]] = {}
        self._sizes: dict[Hashable, int] = {}

    def stop(self) -> None:
        """Stop the requests in progress with Interrupted."""
        self._stop.set()

    def document(self, url: str, page: bool = False, fresh: bool = False) -> Document:
        """Return the document, from the cache if the site says that it has not changed.

        `page`: web pages are allowed; otherwise they are an error. `fresh`: ignore earlier fetches. Raises FetchError.
        """
        return self._fetch_once(("document", url, page), fresh, lambda: self._document(url, page, fresh))

    def redirects(self, url: str, fresh: bool = False) -> list[str]:
        """Return the redirects of a URL in order; the target need not exist. Raises FetchError."""
        return self._fetch_once(("redirects", url), fresh, lambda: self._redirects(url))

    def _redirects(self, url: str) -> list[str]:
        targets: list[str] = []
        trail = RedirectTrail()
        while len(targets) < HOPS:
            try:
                with self._open(url, follow=False, trail=trail) as download:
                    location, trail = download.location, download.trail
            except FetchError:
                if targets:  # the target of a redirect may forbid a listing
                    break
                raise
            if location is None:
                break
            url = self.mirrors.upstream_url(location)
            targets.append(url)
            if self.mirrors.request_url(url) != url:  # the redirect to a mirror is not the site's
                trail = RedirectTrail()
        return targets

    def beginning(self, url: str) -> Beginning:
        """Return the first bytes of a file, with GET: many sites answer HEAD differently.

        Raises FetchError, and VerificationError for a web page.
        """
        with self._open(url, {"Range": f"bytes=0-{BEGINNING - 1}"}) as download:
            data = io.BufferedReader(download).read(BEGINNING)
            size = download.size
            if part := re.fullmatch(r"bytes 0-\d+/(\d{1,18}|\*)", download.answer.get("Content-Range", "")):
                size = int(part[1]) if part[1] != "*" else None
            if is_web_page(data):
                raise VerificationError(f"{public_url(url)}: a web page came instead of the file")
            return Beginning(data, size, download.last_modified)

    def _fetch_once(self, key: Hashable, fresh: bool, make: Callable[[], T]) -> T:
        """Return the earlier or pending result for this key, unless it must be fresh."""
        with self._lock:
            known = None if fresh else self._known.get(key)
            future = known or Future()
            self._known[key] = future
        if known is None:
            try:
                made = make()
                future.set_result(made)
                if isinstance(made, Document):
                    self._keep_document(key, len(made.data))
            except BaseException as error:
                future.set_exception(error)
        try:
            value: T = future.result()
            return value
        except Error as error:
            # A copy: threads that raise one exception at the same moment would mix their tracebacks.
            raise _copy(error) from None

    def _keep_document(self, key: Hashable, size: int) -> None:
        """Keep this document, and the newest others that fit into memory."""
        with self._lock:
            self._sizes.pop(key, None)
            self._sizes[key] = size
            while sum(self._sizes.values()) > self._kept:
                oldest = next(iter(self._sizes))
                del self._sizes[oldest], self._known[oldest]

    def _document(self, url: str, page: bool, fresh: bool) -> Document:
        kept = self._cache.get(self.mirrors.request_url(url)) if self._cache and not fresh else None
        with self._open(url, kept.conditions() if kept else {}) as download:
            if kept and download.status == 304:
                return Document(url, kept.data, kept.validators.get("Last-Modified"))
            data = io.BufferedReader(download).read(self._limit + 1)
            if len(data) > self._limit:
                raise FetchError(f"{public_url(url)}: larger than {self._limit} bytes")
            if not page and is_web_page(data):
                raise FetchError(f"{public_url(url)}: a web page came instead of the file")
            if self._cache:
                self._cache.put(self.mirrors.request_url(url), data, download.answer)
            return Document(url, data, download.last_modified)

    @contextmanager
    def _open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
        trail: RedirectTrail | None = None,
    ) -> Iterator[Download]:
        real = self.mirrors.request_url(url)
        secret = {"Authorization": f"Bearer {self._token}"} if self._token and RELEASES.fullmatch(real) else {}
        try:
            host = urlsplit(real).netloc
        except ValueError as error:
            raise FetchError(f"{public_url(url)}: is not a valid URL: {error}") from None
        with self._lock:
            slot = self._slots[host]
        while not slot.acquire(timeout=0.2):
            if self._stop.is_set():
                raise Interrupted("interrupted")
        try:
            deadline = time.monotonic() + self._timeout
            sent = {**secret, **(headers or {})}
            with Download(
                url,
                deadline=deadline,
                stop=self._stop,
                headers=sent,
                follow=follow,
                hint="",
                trail=trail,
                mirrors=self.mirrors,
            ) as download:
                yield download
        finally:
            slot.release()


def sites_from_environment(
    mirrors: Mapping[str, str] | None = None,
    use_cache: bool = True,
    stop: threading.Event | None = None,
    local_files: bool = False,
) -> Sites:
    """Create sites with the user's cache, GITHUB_TOKEN and the mirrors of the environment; `mirrors` take precedence.
    Raises UsageError."""
    cache = None
    # A user without a home, as in some containers, has no cache either.
    with suppress(RuntimeError):
        cache = Cache(default_directory()) if use_cache else None
    if cache and not cache.unsafe_reason():
        cache.tidy()
    token = os.environ.get("GITHUB_TOKEN")
    known = {**environment_mirrors(), **(mirrors or {})}
    return Sites(mirrors=known, cache=cache, token=token, stop=stop, local_files=local_files)


def _copy(error: Error) -> Error:
    if isinstance(error, FetchError):
        return FetchError(str(error), error.status)
    return type(error)(str(error))
