"""Limit the requests for one definition, and refuse web requests after a local file was read.

The authors of a definition may not be trusted with the machine that uses it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.transfer import addresses
from openstack_image_manager.upstreams.sites import Beginning, Document, Sites

REQUESTS = 100  # for one definition; the longest built-in resolver takes about forty
SECONDS = 600.0  # for all of them


class UpstreamClient:
    """Send the requests for one definition. For one thread."""

    def __init__(self, sites: Sites, requests: int = REQUESTS, seconds: float = SECONDS) -> None:
        self._sites = sites
        self._requests = self._left = requests
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.read_local = False  # a local file was read

    def document(self, url: str, page: bool = False, fresh: bool = False) -> Document:
        """Return a document; see `Sites.document`."""
        self.check(url)
        return self._sites.document(url, page, fresh)

    def redirects(self, url: str, fresh: bool = False) -> list[str]:
        """Return redirects; see `Sites.redirects`."""
        self.check(url)
        return self._sites.redirects(url, fresh)

    def beginning(self, url: str) -> Beginning:
        """Return the first bytes of a file; see `Sites.beginning`."""
        self.check(url)
        return self._sites.beginning(url)

    def spend(self) -> None:
        """Count a request, or a step without one. Raises Error when the limit is reached."""
        if self._left <= 0:
            raise Error(
                f"stopped after {self._requests} steps and requests without a build; narrow match, so that fewer ways "
                "are tried"
            )
        if time.monotonic() > self._end:
            raise Error(f"stopped after {self._seconds:g} seconds without a build; a site is slow, or limits requests")
        self._left -= 1

    def check(self, url: str) -> None:
        """Count a request, and refuse a forbidden one. Raises Error."""
        self.spend()
        if is_local(url):
            if not self._sites.local_files:
                raise Error(f"{public_url(url)} is a local file, which resolvers read only with --allow-local-files")
            self.read_local = True
        elif self.read_local:
            # Neither the request nor its URL may depend on a local file.
            raise Error(
                f"{public_url(url)} is not requested, because a local file was read before and its content could "
                "leave this machine; read local files last, or only local files"
            )


def check_named(url: str, sources: Iterable[str | None]) -> None:
    """Refuse an internal address in a document of a public site, as for redirects. Raises VerificationError."""
    if _is_internal(url) and not any(_is_internal(source) for source in sources if source):
        raise VerificationError(f"the upstream names {public_url(url)}, an internal address; if that is right, set url")


def _is_internal(url: str) -> bool:
    address = addresses.literal_address(urlsplit(url).hostname or "")
    return address is not None and addresses.is_internal(address)


def is_local(url: str) -> bool:
    """Return True for the URL of a local file."""
    return url.partition(":")[0].lower() == "file"
