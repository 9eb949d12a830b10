"""Locate nodes and tokens in the text of a definition file, and what is shared through anchors.

Offsets count characters of the text without a byte order mark.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple, NoReturn

import yaml
from yaml import MappingNode, Node, SequenceNode
from yaml.tokens import (
    AliasToken,
    AnchorToken,
    BlockEntryToken,
    FlowEntryToken,
    FlowSequenceStartToken,
    KeyToken,
    ScalarToken,
    Token,
    ValueToken,
)

from openstack_image_manager.definitions.diagnostics import Diagnostic
from openstack_image_manager.definitions.editing.lines import Lines
from openstack_image_manager.definitions.yaml_tree import MERGE, InvalidYamlError, Tree
from openstack_image_manager.errors import Error

Splice = tuple[int, int, str]  # what stands from the first offset to the second gives way to the text

_Scanner = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def spliced(text: str, splices: Iterable[Splice]) -> str:
    """The text with all splices done; those at one place in the order given. They must not overlap."""
    parts, done = [], 0
    for start, end, new in sorted(splices, key=lambda splice: splice[:2]):
        assert start >= done, "two splices overlap"
        parts += [text[done:start], new]
        done = end
    return "".join(parts) + text[done:]


class Brackets(NamedTuple):
    """The positions in the brackets of a list: the start of its first item, the ends of the last one and of a comma."""

    start: int
    end: int
    comma: int | None
    bracket: int


class Layout:
    """The text of one valid file, its tree, and where the parts of the tree stand. Raises Error."""

    def __init__(self, text: str, file: str) -> None:
        self.text, self.file = text, file
        try:
            self.tree = Tree(text.encode())
            self._read()
        except InvalidYamlError as error:
            raise Error(str(Diagnostic(file, error.line, error.column, None, None, str(error)))) from None

    def _read(self) -> None:
        # Tokens without width only mark the ends of blocks.
        self.tokens: list[Token] = [t for t in yaml.scan(self.text, _Scanner) if t.start_mark.index < t.end_mark.index]
        self._token_starts = [token.start_mark.index for token in self.tokens]
        self.lines = Lines(self.text)
        self._uses: Counter[int] = Counter()
        self._merged: set[int] = set()
        self._count(self.tree.root, set())
        # Each image by its name, and its versions, also those that it takes over from another one.
        self.images: dict[str, MappingNode] = {}
        self.versions: dict[str, Node] = {}
        for node in self._entries(self.tree.root)["images"].value:
            entries = self._entries(node)
            name = self.tree.scalar(entries["name"], "text", ("name",))
            self.images[name], self.versions[name] = node, entries["versions"]
        self._names: dict[int, str] = {}

    def _entries(self, node: Node | None) -> dict[str, Node]:
        assert isinstance(node, MappingNode), "the file is valid"
        return {name: value for name, (_, value) in self.tree.entries(node, ()).items()}

    def version_name(self, item: Node) -> str:
        """The name of a version."""
        if id(item) not in self._names:
            value = self._entries(item)["version"]
            self._names[id(item)] = self.tree.scalar(value, "version", ("version",))
        return self._names[id(item)]

    def _count(self, node: Node | None, seen: set[int]) -> None:
        """Count in how many places each node has its effect, and note which mappings are merged into others."""
        if node is None or id(node) in seen:
            return
        seen.add(id(node))
        children: list[Node] = []
        if isinstance(node, MappingNode):
            children = [value for _, value in self.tree.entries(node, ()).values()]
            for key, value in node.value:
                if key.tag == MERGE:
                    sources = value.value if isinstance(value, SequenceNode) else [value]
                    self._merged.update(id(source) for source in sources)
                    for source in sources:
                        self._count(source, seen)
        elif isinstance(node, SequenceNode):
            children = node.value
        for child in children:
            self._uses[id(child)] += 1
            self._count(child, seen)

    def fail(self, offset: int, image: str, field: str | None, message: str) -> NoReturn:
        """Raise an Error that names the place."""
        raise Error(str(Diagnostic(self.file, *self.lines.position(offset), image, field, message)))

    # Tokens

    def before(self, offset: int) -> int:
        """The index of the last token that begins before an offset."""
        return bisect_left(self._token_starts, offset) - 1

    def end(self, node: Node) -> int:
        """Where the last thing written in a node ends; what only follows it (blanks, comments) is left out."""
        return self._token_end(self.before(node.end_mark.index))

    def _token_end(self, index: int) -> int:
        token = self.tokens[index]
        start, end = int(token.start_mark.index), int(token.end_mark.index)
        if isinstance(token, ScalarToken) and token.style in ("|", ">"):
            header = self.text[start : self.lines.line_end(start)]
            if "+" in header.partition("#")[0]:
                # Its blank lines are part of it; the last break is left to end the line.
                return self.lines.line_end(end - 1)
            return start + len(self.text[start:end].rstrip())
        return end

    def written(self, node: Node) -> ScalarToken | None:
        """The scalar of a node without its anchor and tag; None where there is none to see."""
        index = self.before(node.end_mark.index)
        token = self.tokens[index]
        return token if isinstance(token, ScalarToken) and token.start_mark.index >= node.start_mark.index else None

    def colon(self, key: Node) -> int:
        """Where the colon after a key ends."""
        return int(self.tokens[self.before(key.end_mark.index) + 1].end_mark.index)

    def is_simple(self, mapping: MappingNode, index: int) -> bool:
        """True for a pair that is written `key: value`: neither as `? key`, nor with an alias as key or value."""
        key, value = mapping.value[index]
        before = self.before(key.start_mark.index)
        after = self.before(key.end_mark.index) + 1
        return (
            mapping.start_mark.index <= key.start_mark.index < key.end_mark.index <= value.start_mark.index
            and not isinstance(self.tokens[before], KeyToken)
            and isinstance(self.tokens[after], ValueToken)
        )

    def pad(self, mapping: MappingNode) -> str:
        """The blanks between the bracket of a mapping and its first key."""
        start = mapping.value[0][0].start_mark.index
        bracket = self.tokens[self.before(start)].end_mark.index
        return " " * (start - bracket) if self.text[bracket:start].strip(" ") == "" else ""

    def pair_end(self, mapping: MappingNode, index: int) -> int:
        """Where the last thing written in one pair of a mapping ends, an alias included."""
        if index + 1 < len(mapping.value):
            limit = mapping.value[index + 1][0].start_mark.index
        else:
            limit = mapping.end_mark.index - (1 if mapping.flow_style else 0)
        token = self.before(limit)
        while isinstance(self.tokens[token], (FlowEntryToken, KeyToken)):
            token -= 1
        return self._token_end(token)

    def dash(self, item: Node) -> int | None:
        """Where the dash of an item stands; None in a list in brackets, and for an alias."""
        index = self.before(item.start_mark.index)
        token = self.tokens[index]
        return int(token.start_mark.index) if isinstance(token, BlockEntryToken) else None

    def first_dash(self, items: SequenceNode) -> int:
        """Where the first dash of a list stands, whatever follows it."""
        index = bisect_left(self._token_starts, items.start_mark.index)
        while not isinstance(self.tokens[index], BlockEntryToken):
            index += 1
        return int(self.tokens[index].start_mark.index)

    def inside(self, items: SequenceNode) -> Brackets:
        """Where things stand within the brackets of a list that is not empty."""
        bracket = self.before(items.end_mark.index)
        opening = bisect_left(self._token_starts, items.start_mark.index)
        while not isinstance(self.tokens[opening], FlowSequenceStartToken):
            opening += 1
        comma = int(self.tokens[bracket - 1].end_mark.index)
        has_comma = isinstance(self.tokens[bracket - 1], FlowEntryToken)
        return Brackets(
            start=int(self.tokens[opening + 1].start_mark.index),
            end=int(self.tokens[bracket - (2 if has_comma else 1)].end_mark.index),
            comma=comma if has_comma else None,
            bracket=int(self.tokens[bracket].start_mark.index),
        )

    def next_token(self, offset: int) -> int:
        """Where the first token from an offset on begins."""
        return int(self.tokens[bisect_left(self._token_starts, offset)].start_mark.index)

    def comma(self, offset: int) -> int | None:
        """Where the comma ends that is the first token from an offset on; None when that is something else."""
        token = self.tokens[bisect_left(self._token_starts, offset)]
        return int(token.end_mark.index) if isinstance(token, FlowEntryToken) else None

    def comma_before(self, offset: int) -> int | None:
        """Where the comma ends that is the last token before an offset; None when that is something else."""
        token = self.tokens[self.before(offset)]
        return int(token.end_mark.index) if isinstance(token, FlowEntryToken) else None

    def block_scalar(self, token: ScalarToken) -> tuple[str, int]:
        """The header (`>-`) of a block scalar, and where the text of its first line begins."""
        start = int(token.start_mark.index)
        header = re.match("[|>][-+0-9]*", self.text[start:])
        assert header, "a block scalar begins with its header"
        body = self.lines.next_line(start)
        blanks = re.match(" *", self.text[body:]) if body is not None else None
        return header[0], (body or start) + (blanks.end() if blanks else 0)

    # Sharing through anchors

    def is_shared(self, node: Node) -> bool:
        """True when a change in a node would be seen in more than one place."""
        return self._uses[id(node)] > 1

    def is_merged(self, node: Node) -> bool:
        """True for a mapping that others take over with `<<`."""
        return id(node) in self._merged

    def needed_elsewhere(self, start: int, end: int) -> Token | None:
        """The first alias after a part of the text that needs an anchor within it."""
        inside = self.tokens[bisect_left(self._token_starts, start) : bisect_left(self._token_starts, end)]
        names = {token.value for token in inside if isinstance(token, AnchorToken)}
        later = self.tokens[bisect_left(self._token_starts, end) :]
        return next((token for token in later if isinstance(token, AliasToken) and token.value in names), None)


def key_index(mapping: MappingNode, name: str) -> int | None:
    """The index of the pair of a key that is written in a mapping itself; None where it is missing or merged."""
    return next((index for index, (key, _) in enumerate(mapping.value) if key.value == name), None)
