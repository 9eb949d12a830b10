"""Decode small text files, such as checksum files."""

from __future__ import annotations

import codecs


def decode(data: bytes) -> str:
    """Return the text: UTF-8, or UTF-16 after its byte order mark, as PowerShell writes it. Wrong bytes become
    replacement characters."""
    utf16 = data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    return data.decode("utf-16" if utf16 else "utf-8-sig", "replace")
