"""Edits of generated files, written with any habits; and of broken ones, which give an Error and no traceback."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass, field
from difflib import SequenceMatcher
from itertools import pairwise
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.support.edits import others

from openstack_image_manager.definitions.editing.edit import (
    AddVersion,
    Edit,
    RemoveVersion,
    SetImageField,
    SetVersionField,
    edit,
)
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.errors import Error

Owner = tuple[str, str | None]
QUOTES = ("", "'", '"')
STORED = st.text(st.characters(exclude_categories=["Cs", "Cc"], max_codepoint=0xFFFF), min_size=1, max_size=12)
NAMES = STORED.filter(lambda text: text == text.strip() and text.isprintable())
META = st.dictionaries(
    st.sampled_from(["architecture", "os_distro", "a b", "trait:X", "yes", "010", "é"]), STORED, max_size=3
)
URLS = st.sampled_from(["https://x/0", "https://x/a.img?build=2", "https://x/?a,b", "https://x/'a'#?", "https://x/a:?"])
LAWS = settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@dataclass
class File:
    """A file, its values, and whose each of its lines is: (image, version); version None: the image's own."""

    lines: list[tuple[str, Owner]] = field(default_factory=list)
    images: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    line_break: str = "\n"
    bom: str = ""
    last_break: bool = True

    @property
    def text(self) -> str:
        text = self.line_break.join(line for line, _ in self.lines)
        return self.bom + text + (self.line_break if self.last_break else "")


@dataclass
class Writer:
    """Somebody's habits."""

    draw: Any
    quotes: dict[str, str]
    step: int
    gap: int
    colon: str
    comments: bool
    count: int = 0

    def scalar(self, name: str, value: str) -> str:
        quote = self.quotes[name]
        if quote == '"':
            return json.dumps(value)
        return f"{quote}{value}{quote}"

    def remark(self) -> str:
        self.count += 1
        return f'# {self.count}: it\'s "so" [&a]'

    def behind(self) -> str:
        return "  " + self.remark() if self.comments and self.draw(st.integers(0, 5)) == 0 else ""

    def between(self, file: File, owner: Owner, *columns: int) -> None:
        """Perhaps comments and blank lines."""
        while self.comments and self.draw(st.integers(0, 4)) == 0:
            column = self.draw(st.sampled_from(columns))
            file.lines.append((" " * column + self.remark(), owner))
        if self.draw(st.integers(0, 4)) == 0:
            file.lines.append(("", owner))

    def versions(self, file: File, image: str, column: int, style: str) -> None:
        """The lines of a list of versions: in lines, in brackets within lines, or all in brackets."""
        items = file.images[image]
        if not items:
            file.lines.append(
                (" " * column + self.draw(st.sampled_from(["versions: []", "versions:", "versions: ~"])), (image, None))
            )
            return
        if style == "brackets":
            line = self.draw(st.booleans())
            texts = [self.in_brackets(item) for item in items]
            if line:
                file.lines.append((f"{' ' * column}versions: [{', '.join(texts)}]", (image, "*")))
                return
            file.lines.append((" " * column + "versions: [", (image, None)))
            for index, (item, text) in enumerate(zip(items, texts, strict=True)):
                comma = "," if index < len(items) - 1 or self.draw(st.booleans()) else ""
                file.lines.append((" " * (column + 2) + text + comma, (image, item["version"])))
            file.lines.append((" " * column + "]", (image, None)))
            return
        file.lines.append((" " * column + "versions:" + self.behind(), (image, None)))
        dash = column + self.step
        self.between(file, (image, None), dash)
        for item in items:
            owner = (image, item["version"])
            if style == "mixed":
                file.lines.append((" " * dash + "-" + " " * self.gap + self.in_brackets(item) + self.behind(), owner))
            else:
                start = " " * dash + "-" + " " * self.gap
                for name, value in item.items():
                    file.lines.append((f"{start}{name}{self.colon}{self.scalar(name, value)}{self.behind()}", owner))
                    start = " " * (dash + 1 + self.gap)
            self.between(file, (image, None), dash, dash + 1 + self.gap)

    def in_brackets(self, item: dict[str, Any]) -> str:
        return "{" + ", ".join(f"{name}: {self.scalar(name, value)}" for name, value in item.items()) + "}"


@st.composite
def files(draw: Any) -> File:
    names = ("version", "url", "mirror_url", "build_date", "source")
    quotes = {name: draw(st.sampled_from(QUOTES)) for name in names}
    writer = Writer(
        draw,
        quotes,
        draw(st.sampled_from([0, 2, 4])),
        draw(st.integers(1, 3)),
        draw(st.sampled_from([": ", ": ", " : ", ":   "])),
        draw(st.booleans()),
    )
    file = File(
        line_break=draw(st.sampled_from(["\n", "\r\n"])),
        bom=draw(st.sampled_from(["", "\ufeff"])),
        last_break=draw(st.booleans()),
    )
    file.lines.append(("images:" + writer.behind(), ("", None)))
    column = writer.step
    for image in draw(st.lists(st.sampled_from("ABC"), min_size=1, max_size=3, unique=True)):
        numbers = draw(st.lists(st.integers(1, 99), max_size=4, unique=True))
        numbers = draw(st.sampled_from([numbers, sorted(numbers), sorted(numbers, reverse=True)]))
        file.images[image] = []
        for number in numbers:
            item = {"version": str(number), "url": f"https://x/{image}/{number}"}
            for name, value in (
                ("mirror_url", f"https://m/{image}/{number}"),
                ("build_date", f"19{number:02}-0{'ABC'.index(image) + 1}-03"),
                ("source", f"https://s/{image}/{number}"),
            ):
                if draw(st.integers(0, 2)) == 0:
                    item[name] = value
            file.images[image].append(dict(draw(st.permutations(list(item.items())))))
        file.lines.append((f"{' ' * column}- name: {image}{writer.behind()}", (image, None)))
        file.lines.append((f"{' ' * column}  format: raw", (image, None)))
        last = draw(st.booleans())
        if not last:
            writer.versions(file, image, column + 2, draw(st.sampled_from(["lines", "lines", "mixed", "brackets"])))
            file.lines.append((f"{' ' * column}  min_ram: 64{writer.behind()}", (image, None)))
        else:
            writer.versions(file, image, column + 2, draw(st.sampled_from(["lines", "lines", "mixed", "brackets"])))
        writer.between(file, (image, None), column)
    while not file.lines[-1][0]:
        file.lines.pop()
    return file


@st.composite
def edits(draw: Any, images: dict[str, list[dict[str, Any]]]) -> Edit:
    """An edit that makes sense, already done to the values."""
    image = draw(st.sampled_from(sorted(images)))
    items = images[image]
    kinds = ["add", *(["set"] * 2 if items else []), *(["remove"] if len(items) > 1 else []), "image"]
    kind = draw(st.sampled_from(kinds))
    if kind == "add":
        taken = {version_key(item["version"]) for item in items}
        version = draw(
            st.one_of(st.integers(100, 999).map(str), NAMES).filter(
                lambda text: version_key(text) not in taken and text != "latest"
            )
        )
        values = {"version": version, "url": draw(URLS)}
        values |= draw(
            st.fixed_dictionaries({}, optional={"source": STORED, "image_description": STORED, "meta": META})
        )
        keys = [version_key(item["version"]) for item in items]
        ups = sum(left < right for left, right in pairwise(keys))
        items.insert(len(items) if ups > len(keys) - 1 - ups else 0, values)
        return AddVersion(image, values)
    if kind == "image":
        return SetImageField(
            image, *draw(st.sampled_from([("min_ram", 65), ("login", "l"), ("meta", {"a": "b"}), ("keep", True)]))
        )
    item = draw(st.sampled_from(items))
    if kind == "remove":
        items.remove(item)
        return RemoveVersion(image, item["version"])
    name, value = draw(
        st.one_of(
            st.tuples(st.sampled_from(["url", "mirror_url", "checksums_url"]), URLS),
            st.tuples(st.sampled_from(["source", "image_description", "os_version"]), STORED),
            st.tuples(st.just("build_date"), st.just("2001-02-03")),
        )
    )
    item[name] = value
    return SetVersionField(image, item["version"], name, value)


def values_of(text: str) -> dict[str, list[dict[str, Any]]]:
    definitions, _ = read("a.yml", text.encode())
    return {each.name: [version.model_dump(exclude_unset=True) for version in each.versions] for each in definitions}


def may_change(edit: Edit, line: str, owner: Owner, is_empty: bool) -> bool:
    """Whether a line of the old text may be gone after an edit."""
    image, version = owner
    if image != edit.image:
        return False
    match edit:
        case AddVersion():
            return (version is not None and line.lstrip()[0] in "{v") or (is_empty and "versions:" in line)
        case RemoveVersion():
            return version in (edit.version, "*") or not line.strip() or line.lstrip()[0] in "#{"
        case SetVersionField():
            return version in (edit.version, "*")
        case SetImageField():
            return f"{edit.field}:" in line


@LAWS
@given(st.data())
def test_one_edit_changes_its_own_lines_and_values(data: st.DataObject) -> None:
    file = data.draw(files())
    assert values_of(file.text) == file.images
    was_empty = {image: not items for image, items in file.images.items()}
    change = data.draw(edits(file.images))
    new = edit(file.text, [change], "a.yml")
    assert values_of(new) == file.images
    assert new.startswith("\ufeff") == bool(file.bom)
    assert new.endswith(file.line_break) == file.last_break
    assert file.line_break == "\n" or new.count("\n") == new.count("\r\n")
    old = [line for line, _ in file.lines]
    lines = new.removeprefix(file.bom).removesuffix(file.line_break if file.last_break else "").split(file.line_break)
    for tag, start, end, _, _ in SequenceMatcher(None, old, lines, autojunk=False).get_opcodes():
        if tag in ("replace", "delete"):
            for line, owner in file.lines[start:end]:
                assert may_change(change, line, owner, was_empty[change.image]), (line, file.text, change, new)
    remarks = {line[line.index("# ") :] for line in old if "# " in line}
    if not isinstance(change, RemoveVersion):
        assert all(remark in new for remark in remarks)


@settings(LAWS, max_examples=30)
@given(st.data())
def test_other_programs_read_the_same(data: st.DataObject) -> None:
    file = data.draw(files())
    before = others(file.text)
    assert set(before) == {"PyYAML", "ruamel", "ruamel base"}
    change = data.draw(edits(file.images))
    after = others(edit(file.text, [change], "a.yml"))
    for name in before:
        assert {image: items for image, items in after[name].items() if items} == {
            image: items for image, items in file.images.items() if items
        }, name


@LAWS
@given(st.data())
def test_many_edits_are_as_one_after_the_other(data: st.DataObject) -> None:
    file = data.draw(files())
    changes = []
    text = file.text
    for _ in range(data.draw(st.integers(2, 6))):
        changes.append(data.draw(edits(file.images)))
        text = edit(text, changes[-1:], "a.yml")
    assert values_of(text) == file.images
    assert values_of(edit(file.text, changes, "a.yml")) == file.images
    assert edit(text, [], "a.yml") == text


@LAWS
@given(st.data())
def test_broken_files_give_an_error_and_no_traceback(data: st.DataObject) -> None:
    file = data.draw(files())
    text = file.text
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        cut = data.draw(st.integers(0, 6))
        bits = [
            "\t",
            "'",
            '"',
            "&a ",
            "*a",
            "<<: *a",
            "- ",
            "? ",
            "{",
            "]",
            "\n",
            ",",
            ": ",
            "#",
            " ",
            "| ",
            ">-\n",
            "\x85",
            "\ufeff",
            "!!x ",
        ]
        text = text[:at] + data.draw(st.sampled_from(bits)) + text[at + cut :]
    change = data.draw(edits(file.images))
    with suppress(Error):
        before = values_of(text)
        after = values_of(edit(text, [change], "a.yml"))
        assert {name: after[name] for name in after if name != change.image} == {
            name: before[name] for name in before if name != change.image
        }
