"""List definitions and their logins."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.diagnostics import Position
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.redaction import public_urls

HEAD = ("Name", "Newest", "Versions", "Format", "Visibility", "Login", "Password", "File")
LOGINS = ("Name", "Login", "Password")


@dataclass(frozen=True, slots=True)
class Entry:
    """One definition. `newest`: its newest version, None without versions or with an upstream to follow."""

    name: str
    enabled: bool
    newest: str | None
    versions: int
    format: str
    visibility: str
    login: str | None
    password: str | None
    file: str
    line: int


def entries(definitions: Iterable[Definition], positions: Mapping[str, Position]) -> list[Entry]:
    """Return an entry for each definition, in natural order of names."""
    unsorted = [_entry(definition, positions[definition.name]) for definition in definitions]
    return sorted(unsorted, key=lambda entry: naming.version_key(entry.name))


def _entry(definition: Definition, position: Position) -> Entry:
    versions = [version.version for version in definition.offered]
    return Entry(
        definition.name,
        definition.enable,
        max(versions, key=naming.version_key, default=None),
        len(versions),
        definition.format,
        definition.visibility,
        definition.login,
        definition.password,
        position.file,
        position.line,
    )


def table(listed: Sequence[Entry]) -> list[tuple[str, ...]]:
    """Return the head and a row of text for each entry."""
    return [HEAD, *map(_cells, listed)]


def _cells(entry: Entry) -> tuple[str, ...]:
    name = entry.name if entry.enabled else f"{entry.name} (disabled)"
    newest = entry.newest or "-"
    login, password = entry.login or "-", entry.password or "-"
    place = f"{entry.file}:{entry.line}"
    return name, newest, str(entry.versions), entry.format, entry.visibility, login, password, place


def data(found: Iterable[Entry]) -> list[dict[str, Any]]:
    """Return plain values."""
    return [asdict(entry) for entry in found]


def rst(found: Iterable[Entry]) -> str:
    """Return a reStructuredText table with name, login and password of enabled definitions."""
    shown = [(entry.name, entry.login or "", entry.password or "") for entry in found if entry.enabled]
    rows = [LOGINS, *([_literal(cell) for cell in row] for row in shown)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rule = "  ".join("=" * width for width in widths)
    lines = ["  ".join(f"{cell:{width}}" for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([rule, lines[0], rule, *lines[1:], rule]) + "\n"


def _literal(text: str) -> str:
    """Escape a text for reStructuredText."""
    return re.sub(r"([\\*`|]|_(?!\w))", r"\\\1", text)


def details(definition: Definition, position: Position) -> list[tuple[str, str]]:
    """Return the fields of a definition as rows of names and values, without secrets."""
    rows = [("file", str(position))]
    fields = definition.model_dump(exclude_unset=True, exclude={"versions", "meta", "resolve", "name"})
    for name, value in fields.items():
        text = ", ".join(map(_member, value)) if isinstance(value, list) else _member(value)
        rows.append((name, public_urls(text)))
    if definition.resolve is not None:
        rows.append(("resolve", definition.resolve.use or "a resolver of its own"))
    rows += [
        (f"meta.{name}", "null" if value is None else public_urls(value))
        for name, value in sorted(definition.meta.items())
    ]
    order = sorted((version.version for version in definition.versions), key=naming.version_key, reverse=True)
    return [*rows, ("versions", ", ".join(order) or "none")]


def _member(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, dict):
        return str(value)
    return " of ".join(f"{kind} {value[kind]}" for kind in ("project", "domain") if value.get(kind))


def described(definition: Definition, position: Position) -> dict[str, Any]:
    """Return a definition as plain values, without secrets."""
    fields = definition.model_dump(mode="json", exclude_unset=True)
    return {"file": position.file, "line": position.line, **_public(fields)}


def _public(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _public(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_public(item) for item in value]
    return public_urls(value) if isinstance(value, str) else value
