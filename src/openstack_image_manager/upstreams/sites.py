"""Fetch small documents from download sites, and see where they redirect to and how their files begin."""

from __future__ import annotations

import io
import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Error, FetchError, Interrupted, UsageError, VerificationError
from openstack_image_manager.transfer.download import Download
from openstack_image_manager.transfer.redirects import RedirectTrail
from openstack_image_manager.transfer.web_page import is_web_page
from openstack_image_manager.upstreams.build import parse_day
from openstack_image_manager.upstreams.cache import Cache, default_directory

KEPT = 128 * 1024 * 1024  # bytes of documents, so that others of the same run need not ask again
LIMIT = 32 * 1024 * 1024  # bytes of a document: product files of simplestreams have a few MiB
TIMEOUT = 120.0  # seconds for one document, all retries together
PER_HOST = 4  # requests to one host at a time
HOPS = 5
BEGINNING = 1024  # bytes
MIRRORS = "OPENSTACK_IMAGE_MANAGER_MIRRORS"  # URL=URL, with blanks in between
T = TypeVar("T")
# The only page that resolvers need a token for. With it any other one of the API could show what is not public.
RELEASES = re.compile(
    r"https://api\.github\.com/repos/[A-Za-z0-9-]+/(?!\.{1,2}/)[A-Za-z0-9._-]+/releases(\?per_page=\d+)?"
)


@dataclass(frozen=True, slots=True)
class Document:
    """What stands at an address."""

    url: str
    data: bytes
    last_modified: str | None

    @property
    def text(self) -> str:
        """The document as text; bytes that are no UTF-8 can't be taken for anything else."""
        return self.data.decode("utf-8-sig", "replace")


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a file begins, and what the site says of it."""

    data: bytes
    size: int | None
    last_modified: str | None

    @property
    def modified(self) -> str | None:
        """When it was last modified, as definitions write it; None where the site does not say, or says a day that is
        yet to come."""
        found = parse_day(self.last_modified or "")
        return found if found and found[:10] <= datetime.now(UTC).strftime("%Y-%m-%d") else None


class Sites:
    """All sites of one run; each document is fetched once, however many ask for it.

    `mirrors` maps the beginnings of addresses to others: for users behind a mirror, whose requests go there, while the
    addresses that are recorded stay those of the upstream. `cache`: None fetches all documents anew. `token` is for
    lists of releases in GitHub's API, and goes nowhere else. `local_files`: resolvers may read files of this machine.
    At most `per_host` requests are under way to one host, and `kept` bytes of documents stay in memory. `warnings`: why
    the cache is not used. Thread-safe.
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
        # The longest beginning is the most exact one.
        self._mirrors = sorted((mirrors or {}).items(), key=lambda item: -len(item[0].rstrip("/")))
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
        """End what is under way, with Interrupted."""
        self._stop.set()

    def document(self, url: str, page: bool = False, fresh: bool = False) -> Document:
        """The document, from the cache if the site says that it has not changed. `page`: web pages are welcome; else
        they are an error. `fresh`: as the site has it now, whatever was fetched before. Raises FetchError."""
        return self._fetch_once(("document", url, page), fresh, lambda: self._document(url, page, fresh))

    def redirects(self, url: str, fresh: bool = False) -> list[str]:
        """Where a request of the address is sent to, one after the other; the target need not exist. Raises
        FetchError."""
        return self._fetch_once(("redirects", url), fresh, lambda: self._redirects(url))

    def _redirects(self, url: str) -> list[str]:
        found: list[str] = []
        trail = RedirectTrail()
        while len(found) < HOPS:
            try:
                with self._open(url, follow=False, trail=trail) as download:
                    location, trail = download.location, download.trail
            except FetchError:
                if found:  # a directory that was redirected to need not let itself be listed
                    break
                raise
            if location is None:
                break
            url = self._upstream_url(location)
            found.append(url)
            if self.request_url(url) != url:  # to a mirror it is not the site that sends us
                trail = RedirectTrail()
        return found

    def beginning(self, url: str) -> Beginning:
        """The first bytes of a file. Never with HEAD, which sites answer in other ways than GET. Raises FetchError,
        VerificationError for a web page."""
        with self._open(url, {"Range": f"bytes=0-{BEGINNING - 1}"}) as download:
            data = io.BufferedReader(download).read(BEGINNING)
            size = download.size
            if part := re.fullmatch(r"bytes 0-\d+/(\d{1,18}|\*)", download.answer.get("Content-Range", "")):
                size = int(part[1]) if part[1] != "*" else None
            if is_web_page(data):
                raise VerificationError(f"{public_url(url)}: a web page came instead of the file")
            return Beginning(data, size, download.last_modified)

    def _fetch_once(self, key: Hashable, fresh: bool, make: Callable[[], T]) -> T:
        """What was made before under this key, or is being made, unless it shall be fresh."""
        with self._lock:
            known = None if fresh else self._known.get(key)
            future = known or Future()
            self._known[key] = future
        if known is None:
            try:
                found = make()
                future.set_result(found)
                if isinstance(found, Document):
                    self._keep_document(key, len(found.data))
            except BaseException as error:
                future.set_exception(error)
        try:
            made: T = future.result()
            return made
        except Error as error:
            # A copy: threads that raise one exception at the same moment would mix their tracebacks.
            raise _copy(error) from None

    def _keep_document(self, key: Hashable, size: int) -> None:
        """Keep this document, and the newest others that there is room for."""
        with self._lock:
            self._sizes.pop(key, None)
            self._sizes[key] = size
            while sum(self._sizes.values()) > self._kept:
                oldest = next(iter(self._sizes))
                del self._sizes[oldest], self._known[oldest]

    def _document(self, url: str, page: bool, fresh: bool) -> Document:
        kept = self._cache.get(self.request_url(url)) if self._cache and not fresh else None
        with self._open(url, kept.conditions() if kept else {}) as download:
            if kept and download.status == 304:
                return Document(url, kept.data, kept.validators.get("Last-Modified"))
            data = io.BufferedReader(download).read(self._limit + 1)
            if len(data) > self._limit:
                raise FetchError(f"{public_url(url)}: larger than {self._limit} bytes")
            if not page and is_web_page(data):
                raise FetchError(f"{public_url(url)}: a web page came instead of the file")
            if self._cache:
                self._cache.put(self.request_url(url), data, download.answer)
            return Document(url, data, download.last_modified)

    @contextmanager
    def _open(
        self,
        url: str,
        headers: Mapping[str, str] | None = None,
        follow: bool = True,
        trail: RedirectTrail | None = None,
    ) -> Iterator[Download]:
        real = self.request_url(url)
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
            asked = {**secret, **(headers or {})}
            with Download(
                real, deadline=deadline, stop=self._stop, headers=asked, follow=follow, hint="", trail=trail
            ) as download:
                yield download
        finally:
            slot.release()

    def request_url(self, url: str) -> str:
        """Where requests of an address go to."""
        return next(filter(None, (_rebased(url, *pair) for pair in self._mirrors)), url)

    def _upstream_url(self, url: str) -> str:
        """The address of the upstream for one of a mirror."""
        return next(filter(None, (_rebased(url, mirror, upstream) for upstream, mirror in self._mirrors)), url)


def sites_from_environment(
    mirrors: Mapping[str, str] | None = None,
    use_cache: bool = True,
    stop: threading.Event | None = None,
    local_files: bool = False,
) -> Sites:
    """Sites with the cache of the user, the GITHUB_TOKEN and the mirrors of the environment, which `mirrors` come
    before. Raises UsageError."""
    cache = None
    # A user without a home, as in some containers, has no cache either.
    with suppress(RuntimeError):
        cache = Cache(default_directory()) if use_cache else None
    if cache and not cache.unsafe_reason():
        cache.tidy()
    known = {**parse_mirrors(os.environ.get(MIRRORS, "").split(), MIRRORS), **(mirrors or {})}
    token = os.environ.get("GITHUB_TOKEN")
    return Sites(mirrors=known, cache=cache, token=token, stop=stop, local_files=local_files)


def parse_mirrors(pairs: Iterable[str], where: str) -> dict[str, str]:
    """Mirrors as people write them: URL=URL. Raises UsageError, which names `where` they stand."""
    mirrors = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(there for pair in mirrors.items() for there in pair):
        raise UsageError(f"{where} needs two URLs, like https://download.example.org/=http://mirror.internal/")
    return mirrors


def _rebased(url: str, begin: str, other: str) -> str | None:
    """The address below `other` instead of below `begin`; None if it is not below that, as /ab is not below /a."""
    begin, other = begin.rstrip("/"), other.rstrip("/")
    rest = url.removeprefix(begin)
    if not url.startswith(begin) or rest[:1] not in ("", "/", "?", "#"):
        return None
    if ".." in unquote(rest).split("/"):  # it would lead out of what the mirror holds, or to any file of this machine
        raise FetchError(
            f"{public_url(url)}: points outside {public_url(begin)}, the part that {public_url(other)} mirrors"
        )
    return other + rest


def _copy(error: Error) -> Error:
    if isinstance(error, FetchError):
        return FetchError(str(error), error.status)
    return type(error)(str(error))
