"""YAML as a tree whose every value knows its line and column: bytes to nodes, nodes to values as they were written.

The definitions in the field are YAML 1.1, which reads `24.10`, `010`, `1:30` and `no` as something else than their
text. Values that would lose what was written are refused with the way to write them instead of being guessed at.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, date, datetime
from math import isfinite
from typing import Any, Literal, NamedTuple

import yaml
from yaml import MappingNode, Node, ScalarNode, SequenceNode
from yaml.constructor import SafeConstructor

MAX_DEPTH = 100
MAX_VALUES = 1_000_000  # per file, a value behind an alias counted each time it is used
MAX_FOREIGN = 100_000  # in a document of a site
DATES = ("build_date", "signed_at")
MAX_NUMBER = 100  # characters; sexagesimal numbers take quadratic time

PREFIX = "tag:yaml.org,2002:"
STR, NULL, MERGE = PREFIX + "str", PREFIX + "null", PREFIX + "merge"
Kind = Literal["text", "meta", "version", "date", "plain"]
Loc = tuple[str | int, ...]

_CONTROL = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_CONSTRUCT = SafeConstructor()
# Messages of libyaml, and what to do about them.
_HINTS = {
    "mapping values are not allowed": "a ': ' where none can be; check the indentation, and quote texts that hold ': '",
    "could not find expected ':'": "a key needs a ': ' after it",
    "did not find expected key": "a key is expected here; check the indentation",
    "cannot start any token": "a text that begins with this character needs quotes",
    "unexpected end of stream": "the file ends before this is closed; a quote or bracket is missing",
    "found undefined alias": "no anchor of this name stands before this alias",
    "exceeded maximum nesting depth": f"nested deeper than {MAX_DEPTH} levels",
    "another document": "a second document begins here; a file holds only one, so remove this '---' or split the file",
}


class InvalidYamlError(Exception):
    """The bytes are not YAML that can be used: why, and where (line and column count from 1)."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.line, self.column = line, column


class Problem(NamedTuple):
    """Something wrong with one node; `loc` is the path to it, as pydantic writes paths."""

    line: int
    column: int
    loc: Loc
    message: str


Entries = dict[str, tuple[Node, Node]]


def composer(base: Any, most: int = MAX_VALUES) -> Any:
    """A loader made of one of PyYAML's that gives up before deep nesting or sheer number can hurt."""

    class Composer(base):  # type: ignore[misc]  # mypy knows no bases that come as arguments
        depth = count = 0

        def descend_resolver(self, parent: Node | None, _index: object) -> None:
            self.depth += 1
            self.count += 1
            if self.depth > MAX_DEPTH:
                raise _at(parent, f"nested deeper than {MAX_DEPTH} levels")
            if self.count > most:
                raise _at(parent, f"holds more than {most} values; split the file")

        def ascend_resolver(self) -> None:
            self.depth -= 1

        def compose_scalar_node(self, anchor: Any) -> ScalarNode:
            # Only PyYAML without libyaml comes here; unlike libyaml it takes escapes of half a character.
            node: ScalarNode = super().compose_scalar_node(anchor)
            if re.search("[\ud800-\udfff]", node.value):
                raise _at(node, "not valid YAML: an escape of half a character (surrogate); write the character itself")
            return node

    return Composer


_FASTEST = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_Composer = composer(_FASTEST)
FOREIGN = composer(_FASTEST, MAX_FOREIGN)  # for documents of sites


def reads_alike(text: str) -> bool:
    """True if PyYAML without libyaml, which refuses more, reads the same in a text as with it."""
    try:
        plain = yaml.load(text, yaml.BaseLoader)
        return bool(plain == yaml.load(text, getattr(yaml, "CBaseLoader", yaml.BaseLoader)))
    except (yaml.YAMLError, ValueError):  # ValueError: an escape beyond Unicode
        return False


def _at(node: Any, message: str) -> InvalidYamlError:
    return InvalidYamlError(message, node.start_mark.line + 1, node.start_mark.column + 1)


def _decode(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        raise InvalidYamlError(
            f"byte 0x{data[error.start]:02x} at offset {error.start} is not UTF-8; save the file as UTF-8", line, column
        ) from None
    if control := _CONTROL.search(text):
        line = text.count("\n", 0, control.start()) + 1
        column = control.start() - text.rfind("\n", 0, control.start())
        raise InvalidYamlError(f"control character U+{ord(control[0]):04X} is not allowed; remove it", line, column)
    return text


def _explain(error: yaml.MarkedYAMLError, text: str) -> InvalidYamlError:
    mark, problem = error.problem_mark, error.problem or ""
    assert mark is not None, "every error of PyYAML's scanner, parser and composer has a mark"
    lines = re.split("\r\n|[\r\n\x85\u2028\u2029]", text)
    if mark.line < len(lines) and re.match(" *\t", lines[mark.line]):
        message = f"line {mark.line + 1} is indented with a tab; YAML allows only spaces"
    else:
        hint = next((hint for words, hint in _HINTS.items() if words in problem), None)
        began = f" ({error.context} at line {error.context_mark.line + 1})" if error.context_mark else ""
        message = f"not valid YAML: {hint or problem + began}"
    return InvalidYamlError(message, mark.line + 1, mark.column + 1)


class Tree:
    """The nodes of one file. `root` is None for a file without content; `problems` grows as nodes are read.

    Raises InvalidYamlError when the bytes are not valid YAML, or more than can be read in bounded time and memory.
    """

    def __init__(self, data: bytes, loader: Any = _Composer) -> None:
        text = _decode(data)
        try:
            self.root: Node | None = loader(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            raise _explain(error, text) from None
        except (ValueError, OverflowError) as error:  # PyYAML without libyaml: an escape beyond Unicode
            raise InvalidYamlError(f"not valid YAML: {error}") from None
        self.problems: list[Problem] = []
        self._values = 0
        self._entries: dict[int, Entries] = {}

    def problem(self, node: Node, loc: Loc, message: str) -> None:
        """Note what is wrong with a node."""
        mark = node.start_mark
        self.problems.append(Problem(mark.line + 1, mark.column + 1, loc, message))

    def _spend(self, count: int, node: Node) -> None:
        self._values += count
        if self._values > MAX_VALUES:
            raise _at(node, f"with its aliases this file holds more than {MAX_VALUES} values; split it")

    def items(self, node: SequenceNode, loc: Loc) -> Iterator[tuple[Node, Loc]]:
        """The items of a list, each with its path."""
        self._known_tag(node, loc)
        self._spend(len(node.value), node)
        return ((item, (*loc, index)) for index, item in enumerate(node.value))

    def entries(self, node: MappingNode, loc: Loc) -> Entries:
        """Key to (key node, value node), merge keys resolved: own keys win, then the merge that stands first."""
        entries = self._entries.get(id(node))
        if entries is None:
            entries = self._entries[id(node)] = self._flatten(node, loc, ())
        self._spend(len(entries), node)
        return entries

    def _flatten(self, node: MappingNode, loc: Loc, merging: tuple[int, ...]) -> Entries:
        self._known_tag(node, loc)
        own: Entries = {}
        merged: Entries = {}
        for key, value in node.value:
            if not isinstance(key, ScalarNode):
                self.problem(key, loc, "a key must be a text")
                continue
            if key.value in own:
                first = own[key.value][0].start_mark
                message = f"'{key.value}' stands here a second time; first at {first.line + 1}:{first.column + 1}"
                self.problem(key, (*loc, key.value), message)
                continue
            own[key.value] = (key, value)
            if key.tag == MERGE:
                for source in value.value if isinstance(value, SequenceNode) else [value]:
                    for name, entry in self._merge(source, loc, (*merging, id(node))).items():
                        merged.setdefault(name, entry)
        if not any(key.tag == MERGE for key, _ in own.values()):
            return own
        return {**merged, **{name: entry for name, entry in own.items() if entry[0].tag != MERGE}}

    def _merge(self, source: Node, loc: Loc, merging: tuple[int, ...]) -> Entries:
        if not isinstance(source, MappingNode):
            self.problem(source, (*loc, "<<"), "'<<' takes an alias of a mapping or a list of such aliases")
            return {}
        if id(source) in merging or len(merging) > MAX_DEPTH:
            self.problem(source, (*loc, "<<"), "this mapping is merged into itself, or through too many others")
            return {}
        entries = self._flatten(source, loc, merging)
        self._spend(len(entries) + 1, source)
        return entries

    def _known_tag(self, node: Node, loc: Loc) -> None:
        if node.tag not in (PREFIX + "map", PREFIX + "seq"):
            self.problem(node, loc, _tag_message(node))

    def scalar(self, node: Node, kind: Kind, loc: Loc) -> Any:
        """A value as it was written, per kind; of a list or mapping only its emptied kind, for others to refuse."""
        if not isinstance(node, ScalarNode):
            self._known_tag(node, loc)
            return {} if isinstance(node, MappingNode) else []
        try:
            return _value(node, kind, "the value" if isinstance(loc[-1], int) else loc[-1])
        except ValueError as error:
            self.problem(node, loc, str(error))
            return None

    def find(self, node: Node, loc: Loc, key: bool = False) -> tuple[int, int]:
        """Line and column of the value (or its key) at a path; of what is nearest to it where there is none."""
        mark = node.start_mark
        for step in loc:
            if isinstance(node, MappingNode) and (entry := self._entries.get(id(node), {}).get(str(step))):
                name, node = entry
                empty = isinstance(node, ScalarNode) and not node.value and not node.style
                mark = name.start_mark if empty or (key and step == loc[-1]) else node.start_mark
            elif isinstance(node, SequenceNode) and isinstance(step, int):
                node = node.value[step]
                mark = node.start_mark
            else:
                break
        return mark.line + 1, mark.column + 1


def _tag_message(node: Node) -> str:
    tag = str(node.tag)
    return f"the tag {'!!' + tag.removeprefix(PREFIX) if tag.startswith(PREFIX) else tag} is not allowed; remove it"


def _value(node: ScalarNode, kind: Kind, name: str) -> Any:
    """The value of a scalar; raises ValueError with the way to write it."""
    tag, text = node.tag.removeprefix(PREFIX), node.value
    if tag in ("str", "merge", "value"):
        return text
    if tag == "null":
        return None
    # A password may look like a number; it is never shown.
    shown = "this" if name == "password" or len(text) > MAX_NUMBER else text
    quoted = f"put it in quotes: {name}: '…'" if shown == "this" else f"put it in quotes: {name}: '{text}'"
    if tag not in ("bool", "int", "float", "timestamp"):
        raise ValueError(_tag_message(node))
    if tag in ("int", "float") and len(text) > MAX_NUMBER:
        raise ValueError(f"this number is too long{'' if kind == 'plain' else f'; {quoted}'}")
    try:
        value = getattr(_CONSTRUCT, f"construct_yaml_{tag}")(node)
        # Near the years 1 and 9999 a time may have no UTC.
        iso = _iso(value) if isinstance(value, date) else ""
    except (ValueError, AttributeError, KeyError, IndexError, OverflowError):
        what = "date" if tag == "timestamp" else "number"
        if kind == "plain" or name in DATES:  # not a text, or not any text
            raise ValueError(f"{shown} is not a valid {what}; correct it") from None
        raise ValueError(f"{shown} is not a valid {what}; correct it, or {quoted}") from None
    if isinstance(value, date):
        return text if kind == "version" else value if kind == "plain" else iso
    if isinstance(value, bool):
        if kind in ("meta", "plain"):
            return ("true" if value else "false") if kind == "meta" else value
        raise ValueError(f"{shown} without quotes means {'true' if value else 'false'} in YAML; {quoted}")
    return _number(value, text, kind, shown, quoted)


def _number(value: int | float, text: str, kind: Kind, shown: str, quoted: str) -> Any:
    if kind == "plain":
        if isinstance(value, int) and str(value) != text:
            raise ValueError(f"{shown} means {value} in YAML; write {value}")
        return value
    if kind == "version" and isinstance(value, float) and isfinite(value):
        raise ValueError(
            f"YAML reads {shown} as the number {value}, and so would take 1.1 and 1.10 for the same; {quoted}"
        )
    if str(value) != text:
        what = "a number" if shown == "this" else f"the number {value}"
        raise ValueError(f"{shown} without quotes is {what} to YAML; {quoted}")
    return text


def _iso(value: date) -> str:
    if isinstance(value, datetime):
        in_utc = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value
        return in_utc.isoformat(sep=" ", timespec="seconds")
    return value.isoformat()
