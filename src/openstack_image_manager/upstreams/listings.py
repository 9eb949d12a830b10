"""Read the names of a directory from the web pages and tables that sites make of it."""

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
    """The names in a listing, directories with a '/' at the end, each once, in the order of the page.

    Takes every link to one segment below the page, and never its text, which servers cut short. Takes MirrorCache's
    `?jsontable` as well. Raises VerificationError for what is no listing, and for one that was cut off.
    """
    if text.lstrip()[:1] in ("{", "["):
        table = mapping(load_json(text), "the table")
        rows = sequence(table.get("data"), "its data")
        found = [_segment(quote(str(mapping(row, "a row of it").get("name") or ""), safe="/")) for row in rows]
    else:
        page = _without_comments(text)
        _must_be_whole(page)
        links = (_HREF.search(tag) for tag in _TAG.findall(page))
        found = [_segment(html.unescape(next(filter(None, link.groups()), ""))) for link in links if link]
    return list(dict.fromkeys(name for name in found if name))


def _segment(href: str) -> str:
    """The name that a link stands for; '' where it leads elsewhere than one segment down."""
    if re.search(r"[?#\\\s]", href) or re.match(r"[A-Za-z][A-Za-z0-9+.-]*:", href):
        return ""
    name = unquote(href.removeprefix("./"))
    bare = name.removesuffix("/")
    # U+FFFD is what is left of bytes that are no UTF-8: the address could not be made of it again.
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
    """Raises VerificationError for a page that begins something and never ends it: newer names may be missing."""
    lower = page.lower()
    if lower.rfind("<") > lower.rfind(">"):
        raise VerificationError("the listing is cut off in a tag")
    for name in _CONTAINERS:
        if re.search(rf"<{name}[\s>]", lower) and f"</{name}" not in lower:
            raise VerificationError(f"the listing is cut off: its <{name}> never ends")
    if "<a" not in lower:
        raise VerificationError("is not a listing: it contains no links")


def address(listing: str, name: str) -> str:
    """The address of a name of a listing (or of a checksum file: of what stands beside it). Raises
    VerificationError."""
    try:
        return urljoin(listing, quote(name, safe="/"))
    except ValueError as error:
        raise VerificationError(f"'{public_url(listing)}' is not a valid URL: {error}") from None
