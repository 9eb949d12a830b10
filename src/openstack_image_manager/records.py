"""The nodes of a definition as plain values, in the form that the models take."""

from __future__ import annotations

from typing import Any

from yaml import MappingNode, Node, ScalarNode, SequenceNode

from openstack_image_manager.schema import FIELDS, KINDS
from openstack_image_manager.yamltree import NULL, STR, Loc, Tree

MAY_BE_EMPTY = {"meta": dict, "tags": list, "versions": list}


def record(tree: Tree, node: MappingNode, loc: Loc = ()) -> dict[str, Any]:
    """The values of a definition (or, below `versions`, of a version); what can't be read is a problem of the tree."""
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
    if key in ("tags", "stores") and isinstance(value, SequenceNode):
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
    return tree.scalar(value, KINDS.get(key, "text"), loc)


def _texts(tree: Tree, node: MappingNode, loc: Loc) -> dict[str, Any]:
    return {key: tree.scalar(item, "text", (*loc, key)) for key, (_, item) in tree.entries(node, loc).items()}
