"""Read the names of a directory from the web pages and tables of download sites."""

from __future__ import annotations

import html
import re
from urllib.parse import quote, unquote, urljoin

from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.upstreams.documents import load_json, mapping, sequence

_TAG = re.compile(r"<a\s([^<>]{0,4096})>", re.IGNORECASE)
_HREF = re.compile(r"""(?:^|\s)href\s*=\s*(?:"([^"]*)"|'([^']*)'|([^\s"'>]+))""", re.IGNORECASE)
_CONTAINERS = ("html", "body", "table", "pre", "ul")


def names(text: str) -> list[str]:
    """Return the unique names in a listing in page order; directories end with '/'.

    Only the links to one segment below the page count, never their texts, which servers truncate. MirrorCache's
    `?jsontable` is supported as well. Raises VerificationError if the page is not a listing, or was cut off.
    """
    if text.lstrip()[:1] in ("{", "["):
        table = mapping(load_json(text), "the table")
        rows = sequence(table.get("data"), "its data")
        segments = [_segment(quote(str(mapping(row, "a row of it").get("name") or ""), safe="/")) for row in rows]
    else:
        page = _without_comments(text)
        _must_be_whole(page)
        links = (_HREF.search(tag) for tag in _TAG.findall(page))
        segments = [_segment(html.unescape(next(filter(None, link.groups()), ""))) for link in links if link]
    return list(dict.fromkeys(name for name in segments if name))


def _segment(href: str) -> str:
    """Return the name of a link; '' if it does not lead one segment down."""
    if re.search(r"[?#\\\s]", href) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return ""
    name = unquote(href.removeprefix("./"))
    bare = name.removesuffix("/")
    # U+FFFD replaces bytes that are not UTF-8: no URL can be built from it.
    if not bare or bare in (".", "..") or "/" in bare or "\ufffd" in bare or not bare.isprintable():
        return ""
    return name


def _without_comments(page: str) -> str:
    parts: list[str] = []
    at = 0
    while (start := page.find("<!--", at)) >= 0:
        parts.append(page[at:start])
        end = page.find("-->", start)
        if end < 0:
            raise VerificationError("the listing is cut off in a comment")
        at = end + 3
    return "".join([*parts, page[at:]])


def _must_be_whole(page: str) -> None:
    """Raise VerificationError for a page with an unclosed element: newer names may be missing."""
    lower = page.lower()
    if lower.rfind("<") > lower.rfind(">"):
        raise VerificationError("the listing is cut off in a tag")
    for name in _CONTAINERS:
        if re.search(rf"<{name}[\s>]", lower) and f"</{name}" not in lower:
            raise VerificationError(f"the listing is cut off: its <{name}> never ends")
    if "<a" not in lower:
        raise VerificationError("is not a listing: it contains no links")


def address(listing: str, name: str) -> str:
    """Return the URL of a name in a listing, or of a file next to a checksum file. Raises VerificationError."""
    try:
        return urljoin(listing, quote(name, safe="/"))
    except ValueError as error:
        raise VerificationError(f"'{public_url(listing)}' is not a valid URL: {error}") from None
