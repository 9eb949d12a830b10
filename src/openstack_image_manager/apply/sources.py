"""Open the mirror or the upstream of a version, and inspect the first bytes before Glance is asked to do anything."""

from __future__ import annotations

import io
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

from openstack_image_manager.apply.import_method import ImportOptions
from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Version, public_url
from openstack_image_manager.errors import Error, FetchError, RefusedRedirectError, VerificationError
from openstack_image_manager.plan.model import Create
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.transfer.checksum_files import copy_checksum
from openstack_image_manager.transfer.mirrors import request_url

if TYPE_CHECKING:
    from openstack_image_manager.transfer.download import Download


class UploadBody:
    """The body of an upload. Its first bytes are read before the upload begins, so that Glance never gets a file that
    is wrong from the start."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._rest: Iterator[bytes] | None = iter(chunks)
        self._first = next(self._rest)

    def __iter__(self) -> Iterator[bytes]:
        if self._rest is None:
            # An HTTP library that repeats its request would send an empty image.
            raise VerificationError("the upload was interrupted and cannot be repeated; run again")
        rest, self._rest = self._rest, None
        yield self._first
        yield from rest


@dataclass(frozen=True, slots=True)
class Source:
    """An open download, and the verified upload body made of it."""

    url: str
    download: Download
    body: UploadBody


@dataclass(frozen=True, slots=True)
class Sources:
    """Opens the URLs of a version."""

    options: ImportOptions
    stop: threading.Event
    reporter: Reporter

    def first(self, change: Create, deadline: float) -> Source:
        """The first URL of the version whose file begins as an image. Raises VerificationError with the error of each
        URL when there is none."""
        failures: list[Error] = []
        for url in source_urls(change.version):
            try:
                source = self.open(url, change, deadline)
            except (FetchError, VerificationError) as error:
                failures.append(error)
                continue
            if failures:
                self.reporter.line(change.subject, f"{failures[0]}; taken from {public_url(url)}")
            return source
        raise _no_usable_source(failures)

    def open(self, url: str, change: Create, deadline: float) -> Source:
        """Open the URL and read the first bytes. Raises FetchError, VerificationError."""
        from openstack_image_manager.transfer.download import Download
        from openstack_image_manager.transfer.verified import VerifiedImage

        version, verify = change.version, self.options.verify is not False
        expected = (copy_checksum(version) if url == version.mirror_url else None) or version.checksum
        checksum = Checksum.parse(expected) if expected and verify else None

        def progress(done: int, total: int | None) -> None:
            self.reporter.progress(change.subject, "fetching", done, total)

        algorithm = checksum.algorithm if checksum else "sha256"
        download = Download(url, algorithm, deadline, self.stop, progress)
        try:
            return Source(url, download, UploadBody(VerifiedImage(download, change.definition.format, checksum)))
        except VerificationError as error:
            download.close()
            raise VerificationError(f"{public_url(url)}: {error}") from None
        except BaseException:
            download.close()
            raise

    def for_web_download(self, change: Create, deadline: float) -> list[str]:
        """The URLs for a web-download, without those whose file does not begin as an image of the format and those with
        a refused redirect. Raises VerificationError when none is left. A URL that cannot be reached from here stays:
        Glance may reach it."""
        urls: list[str] = []
        failures: list[Error] = []
        for url in source_urls(change.version):
            try:
                self._inspect(url, change, deadline)
            except (RefusedRedirectError, VerificationError) as error:  # Glance would follow the redirect
                failures.append(error)
            except FetchError:
                urls.append(url)
            else:
                urls.append(url)
        if not urls:
            raise _no_usable_source(failures)
        if failures:
            self.reporter.line(change.subject, f"{failures[0]}; taken from {public_url(urls[0])}")
        return urls

    def _inspect(self, url: str, change: Create, deadline: float) -> None:
        from openstack_image_manager.transfer.download import Download
        from openstack_image_manager.transfer.inspect import HEAD, Inspection
        from openstack_image_manager.transfer.unpack import CHUNK

        with Download(url, deadline=deadline, stop=self.stop) as download:
            head = io.BufferedReader(download, CHUNK).read(HEAD)
        inspection = Inspection(change.definition.format)
        try:
            inspection.feed(head)
            if len(head) < HEAD:
                inspection.finish()
        except VerificationError as error:
            raise VerificationError(f"{public_url(url)}: {error}") from None


def _no_usable_source(failures: list[Error]) -> VerificationError:
    """The error of a version that has no usable URL."""
    error = VerificationError("; ".join(map(str, failures)))
    error.kind = failures[-1].kind
    return error


def source_urls(version: Version) -> list[str]:
    """The mirror first, then the upstream."""
    return [url for url in (version.mirror_url, version.url) if url]


def glance_url(url: str) -> str:
    """The URL from which Glance fetches `url`: that of a mirror, unless it is on this machine's disk."""
    requested = request_url(url)
    return url if requested.lower().startswith("file:") else requested
