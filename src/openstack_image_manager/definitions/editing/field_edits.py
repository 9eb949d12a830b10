"""Find where in the text of a definition file a field goes; no other line changes.

The file is known to be valid, and the change to make sense as values. A field that cannot be changed without a guess,
because it is shared through an anchor or written in an unusual way, is refused with an Error that names the place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NoReturn

from yaml import MappingNode, Node, SequenceNode
from yaml.tokens import Token

from openstack_image_manager.definitions.editing.layout import Layout, Splice, key_index
from openstack_image_manager.definitions.editing.style import Scalar, Style, Value, as_read, is_one_line, scalar
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.yaml_tree import NULL

IMAGE_FIELDS, VERSION_FIELDS = tuple(Definition.model_fields), tuple(Version.model_fields)


class DefinitionEditor:
    """One definition in its file, and where its fields go. Raises Error where that would be a guess."""

    def __init__(self, layout: Layout, image: str) -> None:
        self.layout, self.image = layout, image
        self.node = layout.images[image]
        self.line_break = layout.lines.line_break(self.node.start_mark.index)
        self.check_alone(self.node, None)

    def set_field(self, field: str, value: Value) -> list[Splice]:
        """Give a field of the image a value; of a mapping, only the keys named."""
        style = Style(
            self.layout,
            [self.node, *(node for node in self.layout.images.values() if node is not self.node)],
            self.line_break,
        )
        return self._set(self.node, field, value, IMAGE_FIELDS, style)

    def set_version_field(self, version: str, field: str, value: Value) -> list[Splice]:
        """Give a field of a version a value; of a mapping, only the keys named."""
        items = self.versions()[1]
        item = items.value[self.names(items).index(version)]
        self.check_alone(item, "versions")
        others = [other for other in items.value if other is not item]
        style = Style(self.layout, [item, *others, *self.foreign_versions()], self.line_break)
        return self._set(item, field, value, VERSION_FIELDS, style)

    # Finding, and refusing

    def fail(self, place: Node | Token, field: str | None, message: str) -> NoReturn:
        """Raise an Error that names a place."""
        self.layout.fail(place.start_mark.index, self.image, field, message)

    def check_alone(self, node: Node, field: str | None) -> None:
        """Refuse a node that is used in several places."""
        if self.layout.is_shared(node):
            self.fail(
                node, field, "is used in several places through an anchor; write each of them out, then try again"
            )

    def check_simple(self, mapping: MappingNode, index: int) -> None:
        """Refuse a pair that is not `key: value`."""
        if not self.layout.is_simple(mapping, index):
            key = mapping.value[index][0]
            self.fail(key, key.value, "is an alias or has a '?' before it; write it as 'key: value', then try again")

    def versions(self) -> tuple[Node, Node]:
        """The key and the value of the list of versions; the value may be null."""
        index = key_index(self.node, "versions")
        if index is None:
            self.fail(self.node, "versions", "are taken over with '<<'; write them out here, then try again")
        self.check_simple(self.node, index)
        key, node = self.node.value[index]
        self.check_alone(node, "versions")
        return key, node

    def names(self, items: Node) -> list[str]:
        """The names of the versions in a list."""
        return [self.layout.version_name(item) for item in items.value]

    def foreign_versions(self) -> list[MappingNode]:
        """The first version of each other image, as samples of how the file is written."""
        lists = [items for image, items in self.layout.versions.items() if image != self.image]
        return [items.value[0] for items in lists if isinstance(items, SequenceNode) and items.value]

    # Fields

    def _set(self, mapping: MappingNode, field: str, value: Value, order: Sequence[str], style: Style) -> list[Splice]:
        index = key_index(mapping, field)
        if index is None:
            return [self._insert(mapping, field, value, order, style)]
        self.check_simple(mapping, index)
        key, node = mapping.value[index]
        self.check_alone(node, field)
        if not isinstance(value, Mapping):
            return self._replace(node, field, value, style, bool(mapping.flow_style))
        if isinstance(node, MappingNode) and node.value:
            inner = Style(self.layout, [node], self.line_break, meta=True)
            return [splice for name, part in value.items() for splice in self._set(node, name, part, (), inner)]
        column = self.layout.lines.column(key.start_mark.index)
        return self.fill(key, node, style.entry(field, value, column, bool(mapping.flow_style)))

    def _replace(self, node: Node, field: str, value: Scalar, style: Style, in_brackets: bool) -> list[Splice]:
        kind = style.kind(field)
        if self.layout.tree.scalar(node, kind, (field,)) == as_read(value, kind):
            return []
        written, end = self.layout.written(node), self.layout.end(node)
        quotes = style.style(field) if node.tag == NULL or written is None else written.style
        if written is None:
            return [(end, end, " " + scalar(value, kind, quotes, in_brackets))]
        start = int(written.start_mark.index)
        if written.style not in ("|", ">"):
            return [(start, end, scalar(value, kind, quotes, in_brackets))]
        header, body = self.layout.block_scalar(written)
        if header[1:] == "-" and is_one_line(value):
            return [(body, end, str(value))]
        # The comment behind the header stays, now behind the text.
        text = scalar(value, kind, None, in_brackets)
        return [(start, start + len(header), text), (self.layout.lines.line_end(start), end, "")]

    def _insert(self, mapping: MappingNode, field: str, value: Value, order: Sequence[str], style: Style) -> Splice:
        """Put a field behind the one that it follows in the order; without an order, behind all others."""
        if self.layout.is_merged(mapping):
            self.fail(mapping, field, "cannot be added: other mappings merge this one with '<<'; write them out first")
        simple = [index for index in range(len(mapping.value)) if self.layout.is_simple(mapping, index)]
        if not simple or any(key.start_mark.index < mapping.start_mark.index for key, _ in mapping.value):
            self.fail(mapping, field, "cannot be added next to aliases; write them out first")
        ranks = {index: self._rank(mapping.value[index][0].value, order) for index in simple}
        before = [index for index in simple if ranks[index] < self._rank(field, order)]
        index = max(before, key=lambda candidate: (ranks[candidate], candidate), default=simple[-1])
        end, column = (
            self.layout.pair_end(mapping, index),
            self.layout.lines.column(mapping.value[index][0].start_mark.index),
        )
        if mapping.flow_style:
            return (end, end, style.separator(mapping) + style.entry(field, value, column, True))
        place = self.layout.lines.tail(end, column)
        return (place, place, self.line_break + " " * column + style.entry(field, value, column, False))

    @staticmethod
    def _rank(field: str, order: Sequence[str]) -> int:
        return order.index(field) if field in order else -1

    def fill(self, key: Node, node: Node, text: str) -> list[Splice]:
        """Write an entry over one whose value is null or empty; its further lines go below the comments."""
        start, colon, end = int(key.start_mark.index), self.layout.colon(key), self.layout.end(node)
        _, line_break, lines = text.partition(self.line_break)
        if not line_break:
            return [(start, end, text)]
        below = self.layout.lines.tail(end, self.layout.lines.column(start))
        return [(colon, end, ""), (below, below, line_break + lines)]
