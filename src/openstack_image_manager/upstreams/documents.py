"""Read JSON of download sites: a value of the wanted kind, or a clear error."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.redaction import printable

VALUES = 1_000_000  # of a document: each takes up to 60 bytes for one character


def load_json(text: str) -> Any:
    """The value. Raises VerificationError; also when a key stands twice in one object: nobody can tell which counts."""
    if sum(map(text.count, "[{:,")) > VALUES:  # those in texts count too, which does no harm
        raise VerificationError(f"the document holds more than {VALUES} values")
    try:
        return json.loads(text, object_pairs_hook=_object)
    except RecursionError:
        raise VerificationError("the document is nested too deeply") from None
    except ValueError as error:
        reason = " ".join(str(error).split())
        raise VerificationError(f"is not valid JSON, or was cut off: {reason}") from None


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        twice = next(key for key, count in Counter(key for key, _ in pairs).items() if count > 1)
        raise VerificationError(f"the document has the key '{shown(twice)}' twice in one place")
    return found


def shown(text: str) -> str:
    """A text of a site as a part of one line: no line breaks, no terminal escapes, not too long."""
    short = text if len(text) <= 200 else f"{text[:200]}…"
    return printable(short)


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """The value if it is a mapping. Raises VerificationError."""
    if not isinstance(value, dict):
        raise VerificationError(f"{what} is {_kind(value)} where a mapping is expected")
    return value


def sequence(value: Any, what: str) -> Sequence[Any]:
    """The value if it is a list. Raises VerificationError."""
    if not isinstance(value, list):
        raise VerificationError(f"{what} is {_kind(value)} where a list is expected")
    return value


def text(value: Any, what: str) -> str:
    """The value as text. Raises VerificationError for what is no text, number or truth value, or cannot be shown."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if not isinstance(value, str) or not value.isprintable():
        raise VerificationError(f"{what} is {_kind(value)} where a plain text is expected")
    return value


def size(value: Any) -> int | None:
    """A number of bytes, also when written as text; None for what is none."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,18}", value):
        value = int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 10**18 else None


def checksum(value: Any, what: str) -> Checksum:
    """A digest as text. Raises VerificationError."""
    try:
        return Checksum.parse(text(value, what))
    except ValueError as error:
        raise VerificationError(f"{what}: {error}") from None


def path(value: str, what: str) -> str:
    """A relative path that stays below where it begins. Raises VerificationError."""
    if value.startswith("/") or not value.isprintable() or {"", ".", ".."} & set(value.split("/")):
        raise VerificationError(f"{what} is not a path below the root: '{shown(value)}'")
    return value


def value_at(value: Any, dotted: str) -> Any:
    """What stands at a path such as `kvm.image` or `0.name`; None where there is nothing."""
    for key in dotted.split(".") if dotted else []:
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and re.fullmatch(r"[0-9]{1,9}", key) and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def rows(value: Any, dotted: str) -> list[tuple[str, Any]]:
    """The items at a path, each with its key: of a list or a mapping of mappings; else the one value there."""
    found = value_at(value, dotted)
    if found is None:
        raise VerificationError(f"the document has nothing at '{dotted}'" if dotted else "the document is empty")
    if isinstance(found, list):
        return [(str(index), item) for index, item in enumerate(found)]
    if isinstance(found, dict) and found and all(isinstance(item, dict) for item in found.values()):
        return list(found.items())
    return [("", found)]


def _kind(value: Any) -> str:
    kinds = {dict: "a mapping", list: "a list", str: "a text", bool: "true or false", type(None): "nothing"}
    return kinds.get(type(value), "a number")
