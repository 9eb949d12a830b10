"""Check definitions against the SCS standards: the images that an empty cloud would get, with positions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from yaml import MappingNode, SequenceNode

from openstack_image_manager.definitions.diagnostics import Diagnostic, Position, field_path
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.nodes import record
from openstack_image_manager.definitions.yaml_tree import InvalidYamlError, Loc, Tree
from openstack_image_manager.plan.model import Create, Plan
from openstack_image_manager.scs.check import Report, judge
from openstack_image_manager.scs.rules import LEVELS
from openstack_image_manager.scs.verdict import Verdict

_VERSION_FIELDS = {"image_build_date": "build_date", "image_source": "source", "image_description": "image_description"}
END = 1 << 62  # after every line
_IMAGE_FIELDS = ("min_disk", "min_ram", "name", "tags")


@dataclass(frozen=True, slots=True)
class Remark:
    """A verdict with its position in the files."""

    verdict: Verdict
    place: Diagnostic


def lint(
    plan: Plan,
    definitions: Sequence[Definition],
    positions: Mapping[str, Position],
    files: Mapping[str, bytes],
    standards: Sequence[str],
    now: datetime,
    is_all: bool = True,
) -> tuple[Report, list[Remark]]:
    """Check the images that `plan` imports into an empty cloud. `definitions`: as written in the `files`. A verdict
    that several versions share is returned once. `is_all`: there are no other definitions."""
    creates = {change.wanted.name: change for change in plan.changes if isinstance(change, Create)}
    report = judge([change.wanted for change in creates.values()], standards, now, is_all)
    by_name = {definition.name: definition for definition in definitions}
    trees = {file: _read(data) for file, data in files.items()}
    remarks: dict[tuple[object, ...], Remark] = {}
    for verdict in report.verdicts:
        create = creates.get(verdict.name)
        if create is None:
            path = next(iter(files), "")
            place = Diagnostic(path if len(files) == 1 else "", None, None, verdict.name, None, verdict.message)
        else:
            definition = by_name[create.group]
            loc = _loc(definition, create.version.version, verdict.key)
            position = _position(trees, positions[definition.name], loc)
            field = field_path(loc) if loc and loc[-1] == verdict.key else verdict.key
            place = Diagnostic(position.file, position.line, position.column, definition.name, field, verdict.message)
        remarks.setdefault((verdict.test, verdict.level, str(place)), Remark(verdict, place))
    return report, sorted(remarks.values(), key=_order)


def _order(remark: Remark) -> tuple[int, str, int, int]:
    """Sort by severity, then by position."""
    place = remark.place
    return -LEVELS.index(remark.verdict.level), place.file, place.line or END, place.column or 0


def _loc(definition: Definition, version: str, key: str) -> Loc:
    """Return the field that a property of a version comes from, or should be written to."""
    index = next((i for i, candidate in enumerate(definition.versions) if candidate.version == version), None)
    if key in _IMAGE_FIELDS:
        return (key,)
    if key == "image_original_user":
        return ("login",)
    if index is not None:
        place, fields = ("versions", index), definition.versions[index]
        if key in fields.meta:
            return (*place, "meta", key)
        if key == "os_version" and fields.os_version is not None:
            return (*place, key)
        field = _VERSION_FIELDS.get(key)
        if field and getattr(fields, field) is not None:
            return (*place, field)
        if key == "image_source":
            return (*place, "url")
        if key == "image_build_date" and key not in definition.meta:
            return place
    return ("meta", key)


def _read(data: bytes) -> Tree | None:
    try:
        return Tree(data)
    except InvalidYamlError:  # changed since it was loaded
        return None


def _position(trees: Mapping[str, Tree | None], name: Position, loc: Loc) -> Position:
    """Return the position of a field, or of its nearest parent, in the definition whose name is at `name`."""
    tree = trees.get(name.file)
    if tree is None or not isinstance(tree.root, MappingNode):
        return name
    _, images = tree.entries(tree.root, ()).get("images", (None, None))
    for node in images.value if isinstance(images, SequenceNode) else ():
        if isinstance(node, MappingNode):
            record(tree, node)
            if tree.find(node, ("name",)) == (name.line, name.column):
                return Position(name.file, *tree.find(node, loc))
    return name
