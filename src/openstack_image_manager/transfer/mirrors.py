"""Send requests below a URL to a mirror of it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from urllib.parse import unquote

from openstack_image_manager.errors import FetchError, UsageError
from openstack_image_manager.redaction import public_url

MIRRORS = "OPENSTACK_IMAGE_MANAGER_MIRRORS"  # URL=URL, with blanks in between


class Mirrors:
    """URL prefixes and their mirrors. The longest prefix counts, in whole path segments."""

    def __init__(self, mirrors: Mapping[str, str]) -> None:
        # The longest prefix is the most specific one.
        self._mirrors = sorted(mirrors.items(), key=lambda item: -len(item[0].rstrip("/")))

    def request_url(self, url: str) -> str:
        """Return the URL that requests go to: the mirror's, if there is one. Raises FetchError for a path that leaves
        the mirror."""
        return next(filter(None, (_rebased(url, *pair) for pair in self._mirrors)), url)

    def upstream_url(self, url: str) -> str:
        """Return the upstream's URL for a URL of a mirror."""
        return next(filter(None, (_rebased(url, mirror, upstream) for upstream, mirror in self._mirrors)), url)


def parse_mirrors(pairs: Iterable[str], where: str) -> dict[str, str]:
    """Parse mirrors in the form URL=URL. Raises UsageError, which names the source `where`."""
    mirrors = dict(pair.partition("=")[::2] for pair in pairs)
    if not all(url for pair in mirrors.items() for url in pair):
        raise UsageError(f"{where} needs two URLs, like https://download.example.org/=http://mirror.internal/")
    return mirrors


def environment_mirrors() -> dict[str, str]:
    """Return the mirrors of the environment. Raises UsageError."""
    return parse_mirrors(os.environ.get(MIRRORS, "").split(), MIRRORS)


def request_url(url: str) -> str:
    """Return the URL that requests for `url` go to, with the mirrors of the environment."""
    return Mirrors(environment_mirrors()).request_url(url)


def _rebased(url: str, prefix: str, replacement: str) -> str | None:
    """Replace the prefix of the URL; return None if it is not below `prefix` (/ab is not below /a)."""
    prefix, replacement = prefix.rstrip("/"), replacement.rstrip("/")
    rest = url.removeprefix(prefix)
    if not url.startswith(prefix) or rest[:1] not in ("", "/", "?", "#"):
        return None
    if ".." in unquote(rest).split("/"):  # it would leave the mirror, or reach any local file
        raise FetchError(
            f"{public_url(url)}: points outside {public_url(prefix)}, the part that {public_url(replacement)} mirrors"
        )
    return replacement + rest
