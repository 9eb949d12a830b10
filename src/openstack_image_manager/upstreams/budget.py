"""Asks sites for one definition: only so often, and never the web again once a local file was read.

The people who write a definition need not be people who are trusted with the machine that follows it.
"""

from __future__ import annotations

import time
from collections.abc import Iterable
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.transfer import addresses
from openstack_image_manager.upstreams.sites import Beginning, Document, Sites

REQUESTS = 100  # for one definition; the longest way of a shipped resolver takes about forty
SECONDS = 600.0  # for all of them


class UpstreamClient:
    """One look at the upstream of one definition. For one thread."""

    def __init__(self, sites: Sites, requests: int = REQUESTS, seconds: float = SECONDS) -> None:
        self._sites = sites
        self._requests = self._left = requests
        self._seconds = seconds
        self._end = time.monotonic() + seconds
        self.read_local = False  # a file of this machine was read

    def document(self, url: str, page: bool = False, fresh: bool = False) -> Document:
        """See `Sites.document`."""
        self.check(url)
        return self._sites.document(url, page, fresh)

    def redirects(self, url: str, fresh: bool = False) -> list[str]:
        """See `Sites.redirects`."""
        self.check(url)
        return self._sites.redirects(url, fresh)

    def beginning(self, url: str) -> Beginning:
        """See `Sites.beginning`."""
        self.check(url)
        return self._sites.beginning(url)

    def spend(self) -> None:
        """Count a request, or a step that needs none. Raises Error when there were enough."""
        if self._left <= 0:
            raise Error(
                f"stopped after {self._requests} steps and requests without a build; narrow match, so that fewer ways "
                "are tried"
            )
        if time.monotonic() > self._end:
            raise Error(f"stopped after {self._seconds:g} seconds without a build; a site is slow, or limits requests")
        self._left -= 1

    def check(self, url: str) -> None:
        """Count a request, and refuse one that must not be made. Raises Error."""
        self.spend()
        if is_local(url):
            if not self._sites.local_files:
                raise Error(f"{public_url(url)} is a local file, which resolvers read only with --allow-local-files")
            self.read_local = True
        elif self.read_local:
            # Not even whether it is asked may depend on a local file, let alone the address.
            raise Error(
                f"{public_url(url)} is not requested, because a local file was read before and its content could "
                "leave this machine; read local files last, or only local files"
            )


def check_named(url: str, sources: Iterable[str | None]) -> None:
    """Refuse an internal address that a document of a public site names, as a redirect to it is. Raises
    VerificationError."""
    if _is_internal(url) and not any(_is_internal(source) for source in sources if source):
        raise VerificationError(f"the upstream names {public_url(url)}, an internal address; if that is right, set url")


def _is_internal(url: str) -> bool:
    address = addresses.literal_address(urlsplit(url).hostname or "")
    return address is not None and addresses.is_internal(address)


def is_local(url: str) -> bool:
    """True for an address of a file of this machine."""
    return url.partition(":")[0].lower() == "file"
