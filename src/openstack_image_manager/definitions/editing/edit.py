"""Edit definition files: text in, text out, and only the lines that must change.

The result is read again, and must hold what the edits say and nothing else; otherwise there is no result.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import ValidationError

from openstack_image_manager.definitions.diagnostics import (
    DefinitionErrors,
    Diagnostic,
    Position,
    error_message,
    suggestion,
)
from openstack_image_manager.definitions.editing.field_edits import DefinitionEditor
from openstack_image_manager.definitions.editing.layout import Layout, Splice, spliced
from openstack_image_manager.definitions.editing.style import Value
from openstack_image_manager.definitions.editing.version_edits import add_version, goes_first, remove_version
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.definitions.yaml_tree import reads_alike
from openstack_image_manager.errors import Error

__all__ = ["AddVersion", "Edit", "RemoveVersion", "SetImageField", "SetVersionField", "Value", "edit"]

BOM = "\ufeff"
# By their names an image and its versions are known.
_FIXED = ("name", "version", "versions")


@dataclass(frozen=True, slots=True)
class AddVersion:
    """A new version, its fields in this order (`version` and `url` are needed).

    It becomes the first of the list, or the last one where the list has its oldest version first.
    """

    image: str
    fields: Mapping[str, Value]


@dataclass(frozen=True, slots=True)
class RemoveVersion:
    """A version and the comments that belong to it leave the list; the only version cannot."""

    image: str
    version: str


@dataclass(frozen=True, slots=True)
class SetVersionField:
    """A field of a version gets a value; of a mapping (`meta`), the keys named do, and its other keys stay."""

    image: str
    version: str
    field: str
    value: Value


@dataclass(frozen=True, slots=True)
class SetImageField:
    """A field of an image gets a value; of a mapping (`meta`), the keys named do, and its other keys stay."""

    image: str
    field: str
    value: Value


Edit = AddVersion | RemoveVersion | SetVersionField | SetImageField


def edit(text: str, edits: Iterable[Edit], file: str = "<text>") -> str:
    """The text of a definition file after some edits, one after the other; `file` is its name for messages.

    Raises DefinitionErrors for a text that is not valid before, Error for an edit that makes no sense, that leads to an
    invalid file, or whose place cannot be determined without a guess. Edits of different images, and of fields of
    different versions, share one reading of the text; other edits of one image cost one each."""
    bom, text = (BOM, text[1:]) if text.startswith(BOM) else ("", text)
    before, positions = read(file, _encoded(text, file))
    wanted = {definition.name: definition for definition in before}
    new = text
    for batch in _batches(list(edits)):
        for change in batch:
            if change.image not in wanted:
                hint = suggestion(change.image, wanted)
                raise Error(str(Diagnostic(file, None, None, change.image, None, f"is not in this file{hint}")))
            wanted[change.image] = _applied(wanted[change.image], change, positions[change.image])
        layout = Layout(new, file)
        new = spliced(
            new, (splice for change in batch for splice in _splices(DefinitionEditor(layout, change.image), change))
        )
        check_result(file, new, list(wanted.values()))
    check_readers(file, text, new)
    return bom + new


def _encoded(text: str, file: str) -> bytes:
    if text.startswith(BOM):
        raise Error(f"{file}: begins with two byte order marks; remove one")
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise Error(f"{file}: contains half a character (surrogate), which is not valid UTF-8; remove it") from None


def _batches(edits: Sequence[Edit]) -> list[list[Edit]]:
    """Edits that don't get in each other's way go together, so that a long file is not read for each one of them."""
    batches: list[list[Edit]] = [[]]
    places: set[tuple[str, str | None]] = set()
    for change in edits:
        place = change.image, change.version if isinstance(change, SetVersionField) else None
        of_image = {version for image, version in places if image == change.image}
        if of_image and (place in places or None in (*of_image, place[1])):
            batches.append([])
            places.clear()
        batches[-1].append(change)
        places.add(place)
    return batches


def _splices(editor: DefinitionEditor, change: Edit) -> list[Splice]:
    if isinstance(change, AddVersion):
        return add_version(editor, change.fields)
    if isinstance(change, RemoveVersion):
        return remove_version(editor, change.version)
    if isinstance(change, SetVersionField):
        return editor.set_version_field(change.version, change.field, change.value)
    return editor.set_field(change.field, change.value)


class _InvalidEditError(Exception):
    """An edit that cannot be done to the values it is for: field, and what is wrong."""


def _applied(definition: Definition, change: Edit, position: Position) -> Definition:
    """The definition after an edit, as values."""
    field: str | None
    try:
        return Definition.model_validate(_values(definition.model_dump(exclude_unset=True), change))
    except _InvalidEditError as error:
        field, message = error.args
    except ValidationError as error:
        details = error.errors(include_url=False)[0]
        loc = tuple(step for step in details["loc"] if step != "[key]")
        field = ".".join(str(step) for step in loc if not isinstance(step, int))
        message = error_message(details, loc)
    raise Error(str(Diagnostic(position.file, position.line, position.column, change.image, field, message)))


def _values(image: dict[str, Any], change: Edit) -> dict[str, Any]:
    versions: list[dict[str, Any]] = image["versions"]
    names = [version["version"] for version in versions]
    if isinstance(change, SetVersionField | SetImageField) and change.field in _FIXED:
        raise _InvalidEditError(change.field, "cannot be set by an edit")
    if isinstance(change, SetImageField):
        return _changed(image, {change.field: change.value})
    if isinstance(change, AddVersion):
        if change.fields.get("version") in names:
            raise _InvalidEditError("versions", f"there is a version {change.fields['version']} already")
        versions.insert(0 if goes_first(names) else len(names), _changed({}, change.fields))
    elif change.version not in names:
        raise _InvalidEditError("versions", f"there is no version {change.version}{suggestion(change.version, names)}")
    elif isinstance(change, SetVersionField):
        index = names.index(change.version)
        versions[index] = _changed(versions[index], {change.field: change.value})
    elif len(names) == 1:
        raise _InvalidEditError("versions", f"{change.version} is the only version; an image needs one, so it stays")
    else:
        del versions[names.index(change.version)]
    return image


def _changed(values: dict[str, Any], fields: Mapping[str, Value]) -> dict[str, Any]:
    """Some values after some fields were set; of a mapping, the keys that are not named stay."""
    changed = dict(values)
    for field, value in fields.items():
        parts = list(value.values()) if isinstance(value, Mapping) else [value]
        if not all(isinstance(part, str | int | None) for part in parts):
            raise _InvalidEditError(
                field, "cannot be set by an edit: lists, and what is nested deeper, are for a person"
            )
        old = changed.get(field)
        changed[field] = {**(old if isinstance(old, dict) else {}), **value} if isinstance(value, Mapping) else value
    return changed


def check_readers(file: str, old: str, new: str) -> None:
    """Raise Error unless every reader of YAML that reads the old text as it should reads the new one so, too."""
    if new != old and not reads_alike(new) and reads_alike(old):
        raise Error(
            f"{file}: left as it is, because after this edit PyYAML without libyaml could not read it as before; "
            "this is a bug: please report it with the file"
        )


def check_result(file: str, text: str, wanted: list[Definition]) -> None:
    """Raise Error unless the text holds just the definitions wanted."""
    try:
        definitions, _ = read(file, text.encode())
    except DefinitionErrors as error:
        raise Error(f"{file}: left as it is, because after this edit it would be wrong: {error}") from None
    if list(definitions) != wanted:
        name = next(expected.name for expected, actual in zip(wanted, definitions, strict=True) if expected != actual)
        raise Error(
            f"{file}: {name}: left as it is, because after this edit it would say something else than it should; "
            "this is a bug: please report it with the file"
        )
