"""Write new entries of a YAML mapping in the style of their neighbours.

Text without quotes, or in single ones, was read back first with the rules of the loader.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence

from yaml import MappingNode, Node, ScalarNode

from openstack_image_manager.definitions.editing.layout import Layout, key_index
from openstack_image_manager.definitions.fields import KINDS
from openstack_image_manager.definitions.yaml_tree import NULL, STR, InvalidYamlError, Kind, Tree, reads_alike
from openstack_image_manager.redaction import in_yaml, printable

Scalar = str | int | bool | None
Value = Scalar | Mapping[str, Scalar]

STEP = 2  # columns, where the file shows no other habit


def as_read(value: Scalar, kind: Kind) -> Scalar:
    """The value as the loader reads it: all values of meta are texts, or null."""
    if kind != "meta" or value is None:
        return value
    return str(value).lower() if isinstance(value, bool) else str(value)


def scalar(value: Scalar, kind: Kind, style: str | None, in_brackets: bool) -> str:
    """A scalar on one line: in its style (None, ' or ") if it is the same text in that, else in the simplest other."""
    value = as_read(value, kind)
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    forms = {None: value, "'": "'" + value.replace("'", "''") + "'", '"': _in_double_quotes(value)}
    texts = (forms[quotes] for quotes in (style or None, None, "'"))
    return next((text for text in texts if _read_back(text, kind, in_brackets) == value), forms['"'])


def _in_double_quotes(value: str) -> str:
    # JSON's escapes are YAML's too, but JSON leaves some characters as they are that YAML takes for line breaks.
    return printable(json.dumps(value, ensure_ascii=False), in_yaml)


def _read_back(text: str, kind: Kind, in_brackets: bool) -> object:
    """Read a text as the value of a field, as the loader does; None when it does not stay that one value in its
    line."""
    if len(text.splitlines()) > 1:
        return None
    around = f"{{k: {text}, l: m}}" if in_brackets else f"k: {text}\nl: m\n"
    try:
        tree = Tree(around.encode())
    except (InvalidYamlError, UnicodeEncodeError):
        return None
    if not reads_alike(around):
        return None
    pairs = tree.root.value if isinstance(tree.root, MappingNode) else []
    if [key.value for key, _ in pairs] != ["k", "l"]:
        return None
    value = tree.scalar(pairs[0][1], kind, ("k",))
    return None if tree.problems else value


def is_one_line(value: Scalar) -> bool:
    """True for a text that is the same when it stands alone on an indented line."""
    return isinstance(value, str) and value != "" and value == value.strip() and value.isprintable()


class Style:
    """The handwriting of some mappings of a file, nearest first: of each field, the first one that has it decides."""

    def __init__(self, layout: Layout, samples: Sequence[MappingNode], line_break: str, meta: bool = False) -> None:
        self.layout, self.samples, self.line_break, self.meta = layout, samples, line_break, meta

    def kind(self, name: str) -> Kind:
        """How the loader reads a field."""
        return "meta" if self.meta else KINDS.get(name, "text")

    def pairs(self, name: str) -> Iterator[tuple[ScalarNode, Node]]:
        """The entries of a field in the samples."""
        for sample in self.samples:
            index = key_index(sample, name)
            if index is not None and self.layout.is_simple(sample, index):
                yield sample.value[index]

    def style(self, name: str) -> str | None:
        """How the value of a field is quoted: as elsewhere, else as all other texts of the nearest mapping are.

        A version is quoted where there is no sample, because the next one may need it.
        """
        for _, value in self.pairs(name):
            if isinstance(value, ScalarNode) and value.tag != NULL:
                return value.style or None
        nearest = self.samples[0].value if self.samples else []
        styles = {value.style for key, value in nearest if value.tag == STR and key.value != "version"}
        style = styles.pop() if len(styles) == 1 else None
        return style if style in ("'", '"') else "'" if name == "version" else None

    def entry(self, name: str, value: Value, column: int, in_brackets: bool) -> str:
        """`key: value`; further lines of it are indented for a key at a column."""
        key = self._key(name)
        if isinstance(value, Mapping):
            return self._mapping(name, key, value, column, in_brackets)
        style = self.style(name)
        if style not in ("|", ">"):
            return key + self._gap(name, key) + scalar(value, self.kind(name), style, in_brackets)
        block = None if in_brackets else self._block_scalar(name, value, column)
        return key + self._gap(name, key) + (block or scalar(value, self.kind(name), None, in_brackets))

    def _key(self, name: str) -> str:
        keys = [key for key, _ in self.pairs(name)] or [key for sample in self.samples[:1] for key, _ in sample.value]
        return scalar(name, "text", keys[0].style or None if keys else None, True)

    def _gap(self, name: str, key: str) -> str:
        """The text between a key and its value: as in the nearest mapping, whose values may stand in a column."""
        gaps: dict[str, str] = {}
        columns: dict[int, int] = {}  # of values, by the length of the key
        for sample in self.samples[:1]:
            for index, (key_node, value) in enumerate(sample.value):
                start, end = key_node.end_mark.index, value.start_mark.index
                is_empty = end == value.end_mark.index
                if (
                    self.layout.is_simple(sample, index)
                    and not is_empty
                    and re.fullmatch(" *: *", self.layout.text[start:end])
                ):
                    gaps[key_node.value] = self.layout.text[start:end]
                    columns[start - key_node.start_mark.index] = end - key_node.start_mark.index
        column = max(columns.values(), default=0, key=list(columns.values()).count)
        gap = gaps.get(name) or next(iter(gaps.values()), ": ")
        if name not in gaps and list(columns.values()).count(column) > 1:
            gap = ":" + " " * max(1, column - len(key) - 1)
        # JSON needs no blank, and YAML needs none after a key in quotes.
        return gap if gap[-1] == " " or key[0] in "'\"" else ": "

    def _block_scalar(self, name: str, value: Scalar, column: int) -> str | None:
        """A text of one line below its header, like the sample's; None where that would not be the same text."""
        key, sample = next(self.pairs(name))
        written = self.layout.written(sample)
        assert written is not None, "a block scalar begins with its header"
        header, body = self.layout.block_scalar(written)
        if "-" not in header or not is_one_line(value):
            return None
        step = max(1, self.layout.lines.column(body) - self.layout.lines.column(key.start_mark.index))
        return f"{header[0]}-{self.line_break}{' ' * (column + step)}{value}"

    def _mapping(self, name: str, key: str, value: Mapping[str, Scalar], column: int, in_brackets: bool) -> str:
        samples = [(key, value) for key, value in self.pairs(name) if isinstance(value, MappingNode)]
        # JSON has quotes everywhere.
        nearest = self.samples[:1] if in_brackets and key[0] in "\"'" else []
        inner = Style(self.layout, [sample for _, sample in samples] or nearest, self.line_break, meta=True)
        if in_brackets or not value or (samples and samples[0][1].flow_style):
            return key + self._gap(name, key) + inner.in_brackets(value)
        step = STEP
        if samples:
            first = samples[0][1].value[0][0]
            step = self.layout.lines.column(first.start_mark.index) - self.layout.lines.column(
                samples[0][0].start_mark.index
            )
        return f"{key}:{self.line_break}{' ' * (column + step)}{inner.block(value, column + step)}"

    def block(self, fields: Mapping[str, Value], column: int) -> str:
        """The entries of a mapping, each on its own line; the first one is not indented."""
        lines = (self.entry(name, value, column, False) for name, value in fields.items())
        return f"{self.line_break}{' ' * column}".join(lines)

    def in_brackets(self, fields: Mapping[str, Value]) -> str:
        """A mapping in brackets, with blanks and line breaks like the nearest one in brackets."""
        nearest = next((sample for sample in self.samples if sample.flow_style and sample.value), None)
        pad = self.layout.pad(nearest) if nearest else ""
        separator = self.separator(nearest) if nearest else ", "
        return "{" + pad + separator.join(self.entry(*field, 0, True) for field in fields.items()) + pad + "}"

    def separator(self, mapping: MappingNode) -> str:
        """The text between two entries of a mapping in brackets."""
        if len(mapping.value) > 1:
            between = self.layout.text[self.layout.pair_end(mapping, 0) : mapping.value[1][0].start_mark.index]
            if re.fullmatch(" *, *((\r\n|[\r\n]) *)?", between):
                return between
        return ", "
