"""The nodes of a definition as plain values, in the form that the models take."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from openstack_image_manager.definitions.fields import FIELDS, KINDS
from openstack_image_manager.definitions.yaml_tree import FOREIGN, NULL, STR, InvalidYamlError, Loc, Tree

MAY_BE_EMPTY = {"meta": dict, "tags": list, "versions": list}


def record(tree: Tree, node: MappingNode, loc: Loc = ()) -> dict[str, Any]:
    """The values of a definition (or, below `versions`, of a version); values that cannot be read are problems of the
    tree."""
    values: dict[str, Any] = {}
    for key, (_, value) in tree.entries(node, loc).items():
        if value.tag == STR and value.__class__ is ScalarNode:
            values[key] = value.value
        elif key not in FIELDS[bool(loc)]:
            values[key] = None
        elif value.tag == NULL and (empty := MAY_BE_EMPTY.get(key)):
            values[key] = empty()
        else:
            values[key] = _value(tree, key, value, (*loc, key))
    return values


def _value(tree: Tree, key: str, value: Node, loc: Loc) -> Any:
    if key == "meta" and isinstance(value, MappingNode):
        items = tree.entries(value, loc).items()
        return {name: tree.scalar(item, "meta", (*loc, name)) for name, (_, item) in items}
    if key in ("tags", "stores", "former_owners", "former_names") and isinstance(value, SequenceNode):
        return [tree.scalar(item, "text", spot) for item, spot in tree.items(value, loc)]
    if key == "versions" and isinstance(value, SequenceNode):
        return [
            record(tree, item, spot) if isinstance(item, MappingNode) else tree.scalar(item, "text", spot)
            for item, spot in tree.items(value, loc)
        ]
    if key == "members" and isinstance(value, SequenceNode):
        return [
            _texts(tree, item, spot) if isinstance(item, MappingNode) else tree.scalar(item, "text", spot)
            for item, spot in tree.items(value, loc)
        ]
    if key == "resolve":
        return nested(tree, value, loc)
    return tree.scalar(value, KINDS.get(key, "text"), loc)


def _texts(tree: Tree, node: MappingNode, loc: Loc) -> dict[str, Any]:
    return {key: tree.scalar(item, "text", (*loc, key)) for key, (_, item) in tree.entries(node, loc).items()}


def nested(tree: Tree, node: Node, loc: Loc, around: tuple[int, ...] = ()) -> Any:
    """The values of a mapping or list of any depth: texts, but for fields that are numbers or true and false."""
    if id(node) in around:
        tree.problem(node, loc, "this alias refers to a mapping or list that contains it")
        return None
    inner = (*around, id(node))
    if isinstance(node, MappingNode):
        entries = tree.entries(node, loc).items()
        return {key: nested(tree, value, (*loc, key), inner) for key, (_, value) in entries}
    if isinstance(node, SequenceNode):
        return [nested(tree, item, spot, inner) for item, spot in tree.items(node, loc)]
    value = tree.scalar(node, KINDS.get(str(loc[-1]), "text"), loc)
    # A value that could not be read is a problem already, and needs no second error that it is empty.
    return "" if value is None and node.tag != NULL else value


def plain(data: bytes) -> Any:
    """A YAML document that comes from elsewhere: mappings, lists, texts as they were written. Raises Broken."""
    tree = Tree(data, FOREIGN)
    value = _plain(tree, tree.root, ()) if tree.root is not None else None
    if tree.problems:
        first = tree.problems[0]
        raise InvalidYamlError(first.message, first.line, first.column)
    return value


def _plain(tree: Tree, node: Node, around: tuple[int, ...]) -> Any:
    if id(node) in around:
        raise InvalidYamlError("an alias refers to a mapping or list that contains it")
    if isinstance(node, MappingNode):
        entries = tree.entries(node, ()).items()
        return {key: _plain(tree, value, (*around, id(node))) for key, (_, value) in entries}
    if isinstance(node, SequenceNode):
        return [_plain(tree, item, (*around, id(node))) for item, _ in tree.items(node, ())]
    return None if node.tag == NULL else node.value


def keys_below(data: bytes, name: str) -> list[str]:
    """The keys of the mapping that a key at the top of a YAML file has; none where there is no such key."""
    try:
        tree = Tree(data)
        root = tree.root
        _, found = tree.entries(root, ()).get(name, (None, None)) if isinstance(root, MappingNode) else (None, None)
        return list(tree.entries(found, (name,))) if isinstance(found, MappingNode) else []
    except InvalidYamlError:
        return []


def line_of(data: bytes, keys: Sequence[str]) -> int | None:
    """The line of a key in a YAML document that comes from elsewhere, or of the last one of its parents that there is;
    None: there is none, or the document cannot be read."""
    line: int | None = None
    try:
        tree = Tree(data, FOREIGN)
        node: Node | None = tree.root
        for key in keys:
            if not isinstance(node, MappingNode) or (found := tree.entries(node, ()).get(key)) is None:
                break
            where, node = found
            line = where.start_mark.line + 1
    except InvalidYamlError:
        return None
    return line
