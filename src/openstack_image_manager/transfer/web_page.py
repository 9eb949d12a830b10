"""Recognize web pages that a site sends instead of a file, such as a login page or an error."""

from __future__ import annotations

import re

_MARKUP = re.compile(rb"(?:\xef\xbb\xbf)?\s*<(?:!|\?xml|html|head)", re.IGNORECASE)


def is_web_page(data: bytes) -> bool:
    """True for the beginning of an HTML page. XML documents are files that may be expected."""
    return data[:512].lstrip(b"\xef\xbb\xbf \t\r\n").lower().startswith((b"<!doctype html", b"<html"))


def is_markup(data: bytes) -> bool:
    """True for the beginning of HTML or XML, which no image has."""
    return bool(_MARKUP.match(data))
