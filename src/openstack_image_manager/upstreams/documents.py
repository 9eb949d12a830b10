"""Read JSON of download sites: a value of the expected kind, or a clear error."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.redaction import printable

VALUES = 1_000_000  # of a document; each takes up to 60 bytes of memory for one character


def load_json(text: str) -> Any:
    """Parse the document. Raises VerificationError, also for a duplicate key in an object, whose value is ambiguous."""
    if sum(map(text.count, "[{:,")) > VALUES:  # this also counts characters in texts, which is harmless
        raise VerificationError(f"the document holds more than {VALUES} values")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise VerificationError("the document is nested too deeply") from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise VerificationError(f"is not valid JSON, or was cut off: {reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise VerificationError(f"the document has the key '{shown(twice)}' twice in one place")
    return document


def shown(text: str) -> str:
    """Shorten and escape a text of a site for one line of output."""
    short = text if len(text) <= 200 else f"{text[:200]}…"
    return printable(short)


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """Return the value if it is a mapping. Raises VerificationError."""
    if not isinstance(value, dict):
        raise VerificationError(f"{what} is {_kind(value)} where a mapping is expected")
    return value


def sequence(value: Any, what: str) -> Sequence[Any]:
    """Return the value if it is a list. Raises VerificationError."""
    if not isinstance(value, list):
        raise VerificationError(f"{what} is {_kind(value)} where a list is expected")
    return value


def text(value: Any, what: str) -> str:
    """Return the value as text. Raises VerificationError unless it is a printable text, number or boolean."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or not value.isprintable():
        raise VerificationError(f"{what} is {_kind(value)} where a plain text is expected")
    return value


def size(value: Any) -> int | None:
    """Return a number of bytes, also from text; None for any other value."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18 else None


def checksum(value: Any, what: str) -> Checksum:
    """Parse a digest. Raises VerificationError."""
    try:
        return Checksum.parse(text(value, what))
    except ValueError as error:
        raise VerificationError(f"{what}: {error}") from None


def path(value: str, what: str) -> str:
    """Return a relative path that stays below its start. Raises VerificationError."""
    if value.startswith("/") or not value.isprintable() or {"", ".", ".."} & set(value.split("/")):
        raise VerificationError(f"{what} is not a path below the root: '{shown(value)}'")
    return value


def value_at(value: Any, dotted: str) -> Any:
    """Return the value at a path such as `kvm.image` or `0.name`; None if it does not exist."""
    for key in dotted.split(".") if dotted else []:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and re.fullmatch(r"[0-9]{1,9}", key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def rows(value: Any, dotted: str) -> list[tuple[str, Any]]:
    """Return the items at a path with their keys: of a list or a mapping of mappings, or else the single value."""
    items = value_at(value, dotted)
    if items is None:
        raise VerificationError(f"the document has nothing at '{dotted}'" if dotted else "the document is empty")
    if isinstance(items, list):
        return [(str(index), item) for index, item in enumerate(items)]
    if isinstance(items, dict) and items and all(isinstance(item, dict) for item in items.values()):
        return list(items.items())
    return [("", items)]


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
