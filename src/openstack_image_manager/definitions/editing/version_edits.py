"""Find where in the text of a definition file a whole version is added or removed.

A new version is written like its neighbour. A version that is removed takes its comments along: those right above it
that are indented like it, and those right below it that are indented deeper. The text above the first version is
the list's own heading, from the line on that names the version its comment; so it stays where it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

from yaml import MappingNode, Node, SequenceNode

from openstack_image_manager.definitions.editing.field_edits import DefinitionEditor
from openstack_image_manager.definitions.editing.layout import Splice, key_index
from openstack_image_manager.definitions.editing.style import STEP, Style, Value
from openstack_image_manager.definitions.naming import version_key

_REST_OF_LINE = re.compile(" *,? *(#.*)?")


def goes_first(versions: Sequence[str]) -> bool:
    """True where a new version belongs first: the list has the newest first, or shows no order."""
    keys = [version_key(version) for version in versions]
    steps = list(pairwise(keys))
    return sum(left < right for left, right in steps) <= sum(left > right for left, right in steps)


def add_version(editor: DefinitionEditor, fields: Mapping[str, Value]) -> list[Splice]:
    """Put a version into the list, at its beginning or end."""
    key, items = editor.versions()
    if not isinstance(items, SequenceNode) or not items.value:
        return _add_to_nothing(editor, key, items, fields)
    first = goes_first(editor.names(items))
    samples = [item for item in items.value if item.start_mark.index >= items.start_mark.index]
    style = Style(
        editor.layout, [*(samples if first else samples[::-1]), *editor.foreign_versions()], editor.line_break
    )
    if items.flow_style:
        return _add_in_brackets(editor, items, style.in_brackets(fields), first)
    layout, line_break = editor.layout, editor.line_break
    dash = layout.first_dash(items)
    column = layout.lines.column(dash)
    item, blank = " " * column + _item(editor, style, fields, column), _blank_lines(editor, items, column)
    if first:
        above = layout.lines.top(dash, column, editor.names(items)[0])
        return [(above, above, item + line_break + blank)]
    below = layout.lines.tail(layout.end(items), column)
    return [(below, below, line_break + blank + item)]


def _item(editor: DefinitionEditor, style: Style, fields: Mapping[str, Value], column: int) -> str:
    """A version in a list with dashes, from its dash on, like the nearest other one."""
    layout = editor.layout
    model = style.samples[0] if style.samples else None
    dash = layout.dash(model) if model else None
    between, step = " ", STEP
    if model and dash is not None:
        start = model.start_mark.index if model.flow_style else model.value[0][0].start_mark.index
        step = max(STEP, layout.lines.column(start) - layout.lines.column(dash))
        alone = layout.text[dash + 1 : start].strip(" ") == editor.line_break
        between = editor.line_break + " " * (column + step) if alone else " " * (step - 1)
    inside = style.in_brackets(fields) if model and model.flow_style else style.block(fields, column + step)
    return "-" + between + inside


def _blank_lines(editor: DefinitionEditor, items: SequenceNode, column: int) -> str:
    """The blank lines between two items of a list, as there are above the second one."""
    dash = editor.layout.dash(items.value[1]) if len(items.value) > 1 else None
    if dash is None:
        return ""
    top = editor.layout.lines.top(dash, column, None)
    return editor.line_break * editor.layout.lines.count(editor.layout.lines.blanks_above(top), top)


def _lead(editor: DefinitionEditor, offset: int) -> str:
    """The text before an item in brackets that is not the first: a new line where this one begins its line."""
    indentation = editor.layout.lines.indentation(offset)
    return " " if indentation.strip(" ") else editor.line_break + indentation


def _add_in_brackets(editor: DefinitionEditor, items: SequenceNode, item: str, first: bool) -> list[Splice]:
    layout, inside = editor.layout, editor.layout.inside(items)
    if first:
        return [(inside.start, inside.start, item + "," + _lead(editor, inside.start))]
    lead = _lead(editor, max(items.value[-1].start_mark.index, inside.start))
    if lead == " " or layout.lines.count(inside.end, inside.bracket) == 0:
        return [(inside.end, inside.end, "," + lead + item)]
    if inside.comma is None:
        below = layout.lines.line_end(inside.end)
        return [(inside.end, inside.end, ","), (below, below, lead + item)]
    below = layout.lines.line_end(inside.comma)
    return [(below, below, lead + item + ",")]


def _add_to_nothing(editor: DefinitionEditor, key: Node, items: Node, fields: Mapping[str, Value]) -> list[Splice]:
    layout, samples = editor.layout, editor.foreign_versions()
    style = Style(layout, samples or [editor.node] if editor.node.flow_style else samples, editor.line_break)
    start, end, colon = items.start_mark.index, layout.end(items), layout.colon(key)
    if layout.lines.count(start, end):
        editor.fail(
            items, "versions", "is an empty list over several lines; write it as 'versions: []', then try again"
        )
    if editor.node.flow_style:
        text = f"[{style.in_brackets(fields)}]"
        return [(start, end, text) if start < end else (colon, colon, " " + text)]
    column = layout.lines.column(key.start_mark.index) + _habit(editor)
    item = _item(editor, style, fields, column)
    return editor.fill(key, items, f"versions:{editor.line_break}{' ' * column}{item}")


def _habit(editor: DefinitionEditor) -> int:
    """By how many columns the file indents the dashes of a list below its key."""
    layout, root = editor.layout, editor.layout.tree.root
    assert isinstance(root, MappingNode), "the file is valid"
    for mapping, name in [*((node, "versions") for node in layout.images.values()), (root, "images")]:
        index = key_index(mapping, name)
        if index is not None and layout.is_simple(mapping, index):
            key, items = mapping.value[index]
            if isinstance(items, SequenceNode) and items.value and not items.flow_style:
                return layout.lines.column(layout.first_dash(items)) - layout.lines.column(key.start_mark.index)
    return STEP


def remove_version(editor: DefinitionEditor, version: str) -> list[Splice]:
    """Take a version out of the list, with its comments; it must not be the only one."""
    items = editor.versions()[1]
    assert isinstance(items, SequenceNode)
    index = editor.names(items).index(version)
    editor.check_alone(items.value[index], "versions")
    splices = (_without_brackets if not items.flow_style else _from_brackets)(editor, items, index, version)
    start, end, _ = splices[-1]
    if alias := editor.layout.needed_elsewhere(start, end):
        editor.fail(alias, "versions", f"needs an anchor of version {version}; write it out here, then try again")
    return splices


def _without_brackets(editor: DefinitionEditor, items: SequenceNode, index: int, version: str) -> list[Splice]:
    layout, item = editor.layout, items.value[index]
    dash = layout.dash(item)
    assert dash is not None, "an item has a dash unless it is an alias"
    column = layout.lines.column(dash)
    start = layout.lines.top(dash, column, version if index == 0 else None)
    last = layout.lines.tail(layout.end(item), column)
    end = layout.lines.next_line(last)
    above = layout.lines.blanks_above(start)
    if index < len(items.value) - 1:
        assert end is not None, "another item follows"
        # Of the blank lines on both sides those above stay.
        return [(start, layout.lines.blanks_below(end) if index == 0 or above < start else end, "")]
    if end is None:
        return [(layout.lines.line_end(above - 1), len(layout.text), "")]
    return [(above, end, "")]


def _from_brackets(editor: DefinitionEditor, items: SequenceNode, index: int, version: str) -> list[Splice]:
    layout, item = editor.layout, items.value[index]
    start, end = item.start_mark.index, layout.end(item)
    comma = layout.comma(end)
    before = layout.comma_before(start)
    begins_line = not layout.lines.indentation(start).strip(" ")
    if (
        begins_line
        and (comma is None or not layout.lines.count(end, comma))
        and _REST_OF_LINE.fullmatch(layout.text, end, layout.lines.line_end(end))
    ):
        top = layout.lines.top(start, layout.lines.column(start), version if index == 0 else None)
        below = layout.lines.next_line(end)
        assert below is not None, "the bracket that closes the list follows"
        drop = [(before - 1, before, "")] if comma is None and before is not None else []
        return [*drop, (top, below, "")]
    if index < len(items.value) - 1:
        assert comma is not None, "another item follows"
        stop = layout.next_token(comma)
        between = layout.text[end:stop]
    else:
        assert before is not None, "another item stands before"
        start, stop = before - 1, end
        between = layout.text[start : item.start_mark.index]
    if "#" in between:
        editor.fail(item, "versions", "cannot be removed from between comments; put it on a line of its own first")
    return [(start, stop, "")]
