"""Edits that are refused, each with the place and what to do: no guesses through anchors, no result that is wrong."""

from __future__ import annotations

from typing import cast

import pytest
from tests.support.edits import add

from openstack_image_manager.definitions.editing.edit import (
    AddVersion,
    Edit,
    RemoveVersion,
    SetImageField,
    SetVersionField,
    Value,
    check_readers,
    check_result,
    edit,
)
from openstack_image_manager.definitions.editing.layout import Layout
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.errors import Error

SHARED = """\
images:
  - name: A
    format: raw
    versions:
      - &one
        version: '1'
        url: &url https://x/1
        checksum: &sum >-
          d41d8cd98f00b204e9800998ecf8427e
      - <<: *one
        version: '2'
      - {version: '3', url: *url, mirror_url: https://m/3, meta: &meta {a: b}}
      - ? version
        : '4'
        url: https://x/4
        ? mirror_url
        : https://m/4
      - <<: [*one]
        version: '5'
        meta: {<<: *meta}
  - &b
    name: B
    format: &raw raw
    versions: &list
      - {version: '1', url: https://x/1}
      - {version: '2', url: https://x/2}
  - name: C
    format: *raw
    versions: *list
  - <<: *b
    name: D
  - name: E
    format: raw
    versions: [{version: '1', url: https://x/1, meta: *meta}, # one
      # two
      {version: '2', url: https://x/2}] # three
  - {name: F, format: raw, versions: [
    ]}
  - name: G
    format: raw
    ? versions
    : - &x {version: '2', url: https://x/2}
  - name: H
    format: raw
    versions:
      - {version: '1', url: https://x/1}
      - *x
"""
TWICE = "is used in several places through an anchor; write each of them out, then try again"
UNUSUAL = "is an alias or has a '?' before it; write it as 'key: value', then try again"
MERGED = "cannot be added: other mappings merge this one with '<<'; write them out first"
OUT = "are taken over with '<<'; write them out here, then try again"
COMMENTS = "cannot be removed from between comments; put it on a line of its own first"
NEW = {"version": "9", "url": "https://x/9"}


def set_url(image: str, version: str) -> SetVersionField:
    return SetVersionField(image, version, "url", "https://new")


def set_mirror(image: str, version: str) -> SetVersionField:
    return SetVersionField(image, version, "mirror_url", "https://new")


ONE = """\
images:
  - name: A
    format: raw
    versions:
      - version: '1'
        url: https://x/1
"""
ADDED_BEHIND_AN_ALIAS = """\
    versions:
      - {version: '1', url: https://x/1}
      - *x
      - {version: '9', url: https://x/9}
"""


def add_to(image: str) -> AddVersion:
    return AddVersion(image, NEW)


REFUSED: list[tuple[Edit, str]] = [
    (set_url("A", "1"), f"7:14: A: url: {TWICE}"),
    (set_mirror("A", "1"), f"5:9: A: mirror_url: {MERGED}"),
    (SetVersionField("A", "1", "checksum", "0" * 32), f"8:19: A: checksum: {TWICE}"),
    (RemoveVersion("A", "1"), "10:13: A: versions: needs an anchor of version 1; write it out here, then try again"),
    (RemoveVersion("A", "3"), "20:20: A: versions: needs an anchor of version 3; write it out here, then try again"),
    (set_url("A", "3"), f"12:24: A: url: {UNUSUAL}"),
    (SetVersionField("A", "3", "meta", {"a": "c"}), f"12:66: A: meta: {TWICE}"),
    (SetVersionField("A", "3", "meta", {"z": "c"}), f"12:66: A: meta: {TWICE}"),
    (set_mirror("A", "4"), f"16:11: A: mirror_url: {UNUSUAL}"),
    (
        SetVersionField("A", "5", "meta", {"z": "c"}),
        "20:15: A: z: cannot be added next to aliases; write them out first",
    ),
    (SetImageField("B", "format", "qcow2"), f"23:13: B: format: {TWICE}"),
    (SetImageField("B", "min_ram", 3), f"21:5: B: min_ram: {MERGED}"),
    (add_to("B"), f"24:15: B: versions: {TWICE}"),
    (RemoveVersion("B", "1"), f"24:15: B: versions: {TWICE}"),
    (add_to("C"), f"29:5: C: versions: {UNUSUAL}"),
    (add_to("D"), f"30:5: D: versions: {OUT}"),
    (set_mirror("D", "1"), f"30:5: D: versions: {OUT}"),
    (RemoveVersion("E", "1"), f"34:16: E: versions: {COMMENTS}"),
    (RemoveVersion("E", "2"), f"36:7: E: versions: {COMMENTS}"),
    (
        add_to("F"),
        "37:38: F: versions: is an empty list over several lines; write it as 'versions: []', then try again",
    ),
    (add_to("G"), f"41:7: G: versions: {UNUSUAL}"),
]
WRONG: list[tuple[Edit, str]] = [
    (add_to("Aa"), "a.yml: Aa: is not in this file; did you mean 'A'?"),
    (RemoveVersion("A", "0"), "a.yml:2:11: A: versions: there is no version 0"),
    (set_url("A", "11"), "a.yml:2:11: A: versions: there is no version 11; did you mean '1'?"),
    (RemoveVersion("G", "2"), "a.yml:39:11: G: versions: 2 is the only version; an image needs one, so it stays"),
    (add("1"), "a.yml:2:11: A: versions: there is a version 1 already"),
    (AddVersion("A", {"url": "https://x"}), "a.yml:2:11: A: versions.version: is missing; add it"),
    (add("9", colour_="3"), "a.yml:2:11: A: versions.colour_: unknown field; properties of the image go below meta"),
    (
        add("9", meta={"name": "3"}),
        "a.yml:2:11: A: versions.meta.name: is not a valid property: the name is reserved",
    ),
    (SetVersionField("A", "1", "url", "x"), "a.yml:2:11: A: versions.url: is not a URL; it must begin with http://"),
    (SetVersionField("A", "1", "hidden", "yes"), "a.yml:2:11: A: versions.hidden: must be true or false, not a text"),
    (SetVersionField("A", "1", "url", {"a": "b"}), "a.yml:2:11: A: versions.url: must be a text, not a mapping"),
    (SetVersionField("A", "1", "version", "8"), "a.yml:2:11: A: version: cannot be set by an edit"),
    (SetImageField("A", "tags", "x"), "a.yml:2:11: A: tags: must be a list, not a text"),
    (SetImageField("A", "tags", {"x": "y"}), "a.yml:2:11: A: tags: must be a list, not a mapping"),
    (SetImageField("A", "tags", cast("str", ["x"])), "a.yml:2:11: A: tags: cannot be set by an edit: lists, and what"),
    (add("9", meta={"a": ["x"]}), "a.yml:2:11: A: meta: cannot be set by an edit: lists, and what is nested deeper"),
    (SetImageField("A", "meta", "x"), "a.yml:2:11: A: meta: must be a mapping of keys to values, not a text"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_what_is_shared_or_unusual_is_refused_where_it_stands(change: Edit, message: str) -> None:
    with pytest.raises(Error) as caught:
        edit(SHARED, [change], "a.yml")
    assert str(caught.value) == f"a.yml:{message}"


@pytest.mark.parametrize(("change", "message"), WRONG)
def test_an_edit_that_makes_no_sense_is_refused_before_anything_else(change: Edit, message: str) -> None:
    with pytest.raises(Error) as caught:
        edit(SHARED, [change], "a.yml")
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("change", "old", "new"),
    [
        (set_url("A", "2"), "'2'\n      - {version: '3'", "'2'\n        url: https://new\n      - {version: '3'"),
        (set_mirror("A", "3"), "https://m/3", "https://new"),
        (set_url("A", "4"), "https://x/4", "https://new"),
        (RemoveVersion("A", "2"), "      - <<: *one\n        version: '2'\n", ""),
        (SetImageField("D", "min_ram", 3), "    name: D\n", "    name: D\n    min_ram: 3\n"),
        (RemoveVersion("H", "1"), "{version: '1', url: https://x/1}\n      - *x", "*x"),
        (add_to("H"), "    versions:\n      - {version: '1', url: https://x/1}\n      - *x\n", ADDED_BEHIND_AN_ALIAS),
    ],
)
def test_what_stands_beside_anchors_can_be_changed(change: Edit, old: str, new: str) -> None:
    assert SHARED.count(old) == 1
    assert edit(SHARED, [change], "a.yml") == SHARED.replace(old, new)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("\ufeff\ufeff" + ONE, "a.yml: begins with two byte order marks; remove one"),
        (ONE + "# \ud800", "a.yml: contains half a character (surrogate), which is not valid UTF-8; remove it"),
        (ONE + "\turl: x", "a.yml:7:1: line 7 is indented with a tab; YAML allows only spaces"),
        (ONE + "        url: x", "a.yml:7:9: A: versions[0].url: 'url' stands here a second time; first at 6:9"),
        ("", "a.yml: contains no definitions"),
    ],
)
def test_a_file_with_mistakes_is_not_edited(text: str, message: str) -> None:
    with pytest.raises(Error) as caught:
        edit(text, [add_to("A")], "a.yml")
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"version": "latest"}, "a.yml:5:18: A: versions[0].version: version latest follows a checksum file"),
        ({"source": "\ud800"}, "a.yml:7:"),
        ({"meta": {"<<": "x"}}, "a.yml:8:15: A: versions[0].meta.<<: '<<' takes an alias of a mapping"),
    ],
)
def test_an_edit_that_makes_the_file_wrong_is_refused(fields: dict[str, Value], message: str) -> None:
    with pytest.raises(Error) as caught:
        edit(ONE, [AddVersion("A", {**NEW, **fields})], "a.yml")
    assert str(caught.value).startswith(f"a.yml: left as it is, because after this edit it would be wrong: {message}")


def test_a_result_that_says_something_else_is_no_result() -> None:
    definitions, _ = read("a.yml", ONE.encode())
    check_result("a.yml", ONE, list(definitions))
    with pytest.raises(Error, match=r"^a.yml: A: left as it is, because after this edit it would say something else"):
        check_result("a.yml", ONE.replace("/1", "/2"), list(definitions))


def test_a_result_that_another_reader_takes_otherwise_is_no_result() -> None:
    plain, odd = "a: {u: 'https://x/?b'}\n", "a: {u: https://x/?b}\n"
    for old, new in [(plain, plain + "b: 1\n"), (odd, odd), (odd, odd + "b: 1\n"), (odd, plain)]:
        check_readers("a.yml", old, new)
    with pytest.raises(Error, match=r"^a.yml: left as it is, because after this edit PyYAML without libyaml"):
        check_readers("a.yml", plain, odd)


def test_where_things_stand_is_asked_of_valid_texts_only() -> None:
    with pytest.raises(Error, match=r"^a.yml:2:1: not valid YAML: "):
        Layout("[\n", "a.yml")
