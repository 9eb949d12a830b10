"""Describe errors of definitions, with their positions."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from itertools import islice
from typing import Any

from pydantic_core import ErrorDetails

from openstack_image_manager.definitions.model import Definition, Member, Version
from openstack_image_manager.definitions.resolvers.model import (
    ATTRIBUTES,
    ChecksumRule,
    Lookup,
    Resolver,
    SignatureRule,
)
from openstack_image_manager.errors import Error
from openstack_image_manager.redaction import printable

Loc = tuple[str | int, ...]
SHOWN, MOST_SHOWN = 300, 2000  # characters of a name and of a message; both may come from a file


@dataclass(frozen=True, slots=True)
class Position:
    """A place in a file; line and column count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One error or warning, and where: as text one line, `file:line:column: image: field: message`, less what is
    None."""

    file: str
    line: int | None
    column: int | None
    image: str | None
    field: str | None
    message: str

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        parts = (_shortened(self.image, SHOWN), _shortened(self.field, SHOWN), _shortened(self.message, MOST_SHOWN))
        text = ": ".join(part for part in (place, *parts) if part)
        # Values come from files: no line breaks or terminal escapes, and one line stays one line.
        return printable(text)


def _shortened(text: str | None, most: int) -> str | None:
    return text if text is None or len(text) <= most else text[:most] + "…"


class DefinitionErrors(Error):
    """Definitions that cannot be used; `diagnostics` are all errors, in the order of files and lines."""

    kind = "definition"

    def __init__(self, diagnostics: tuple[Diagnostic, ...]) -> None:
        super().__init__("\n".join(map(str, diagnostics)))
        self.diagnostics = diagnostics


def field_path(loc: Loc) -> str | None:
    """`('versions', 1, 'checksum')` as `versions[1].checksum`; None for no path at all."""
    text = "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in loc)
    return text.removeprefix(".") or None


def suggestion(word: str, known: Iterable[str]) -> str:
    """`; did you mean '…'?` when a known word is close to this one, else nothing."""
    # Long words are not typing errors, and comparing them is slow.
    matches = get_close_matches(word, islice(known, 1000), 1) if len(word) <= 40 else []
    return f"; did you mean '{matches[0]}'?" if matches else ""


def error_message(details: ErrorDetails, loc: Loc) -> str:
    """An error of pydantic in our words. Never shows the value of a text: it may be a password."""
    kind, value, context = details["type"], details["input"], details.get("ctx", {})
    if kind == "missing":
        return "is missing; add it"
    if kind == "extra_forbidden":
        if loc[0] == "members":
            return "unknown field" + (
                suggestion(str(loc[-1]), Member.model_fields) or "; a member has project and domain"
            )
        if loc[0] == "resolve":
            return _unknown_in_resolver(loc)
        return _unknown(str(loc[-1]), in_version=len(loc) > 1)
    if kind == "value_error":
        return str(context["error"])
    if value is None:
        return "is empty; give it a value or remove the line"
    if kind == "literal_error":
        # pydantic's own list: 'a', 'b' or 'c'
        allowed = str(context["expected"]).split("'")[1::2]
        return f"must be one of {', '.join(allowed)}" + (suggestion(value, allowed) if isinstance(value, str) else "")
    if kind in ("string_too_short", "too_short"):
        return "must not be empty"
    if kind == "string_too_long":
        return f"has {len(value)} characters, at most {context['max_length']} can be"
    if kind == "greater_than":
        return f"must be more than {context['gt']}"
    if kind == "greater_than_equal":
        return f"must be {context['ge']} or more"
    if kind == "less_than_equal":
        return f"must be {context['le']} or less"
    if expected := _EXPECTED.get(kind):
        return f"must be {expected}, not {_described(value)}"
    return details["msg"]


_EXPECTED = {
    "string_type": "a text",
    "int_type": "a whole number",
    "bool_type": "true or false",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "model_type": "a mapping of fields to values",
}


def _described(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return f"the number {value}"
    if isinstance(value, list | dict):
        return "a list" if isinstance(value, list) else "a mapping"
    return "a text" if isinstance(value, str) else "a date"


def _unknown(key: str, in_version: bool) -> str:
    fields, other_fields = Definition.model_fields, Version.model_fields
    if in_version:
        fields, other_fields = other_fields, fields
    if key in other_fields:
        return "belongs to the image, not to a version" if in_version else "belongs to a version, not to the image"
    return "unknown field" + (suggestion(key, fields) or "; properties of the image go below meta")


def _unknown_in_resolver(loc: Loc) -> str:
    parts: dict[str | int, Iterable[str]] = {
        "resolve": Resolver.model_fields,
        "steps": ATTRIBUTES,
        "variables": Lookup.model_fields,
        "checksum": ChecksumRule.model_fields,
        "signature": SignatureRule.model_fields,
    }
    known = parts[loc[0 if len(loc) == 2 else 1]]
    return "unknown field" + (suggestion(str(loc[-1]), known) or f"; known are {', '.join(known)}")
