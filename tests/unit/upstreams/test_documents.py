"""Documents of sites, YAML and JSON: read as they are written, and refused where they can't be trusted."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.damage import answered

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.nodes import plain
from openstack_image_manager.definitions.yaml_tree import InvalidYamlError
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.upstreams import documents, indexes, listings

A, B = "a" * 64, "b" * 64
ROOT = "https://x/"


def test_yaml_of_sites() -> None:
    assert plain(b"a: [1.10, {b: ~}]\nc: 2026-01-01\n") == {"a": ["1.10", {"b": None}], "c": "2026-01-01"}
    assert plain(b"# nothing\n") is None
    for wrong, message in (
        (b"&a [*a]", "an alias refers to"),
        (b"{a: 1, a: 2}", "a second time"),
        (b"!x {}", "tag"),
    ):
        with pytest.raises(InvalidYamlError, match=message):
            plain(wrong)


def test_documents_that_would_fill_the_memory() -> None:
    with pytest.raises(InvalidYamlError, match="holds more than 100000 values"):
        plain(b"- a\n" * 100_001)
    assert len(plain(b"- a\n" * 99_999)) == 99_999
    with pytest.raises(VerificationError, match="the document holds more than 1000000 values"):
        documents.load_json("[" + "[]," * 500_000 + "1]")
    assert len(documents.load_json("[" + "[]," * 499_999 + "1]")) == 500_000


def test_a_key_that_stands_twice_is_found_at_once() -> None:
    """One in many: to compare each with all that come before would take hours."""
    text = "{" + "".join(f'"{number}":1,' for number in range(300_000)) + '"299999":1}'
    with pytest.raises(VerificationError, match="the key '299999' twice in one place"):
        documents.load_json(text)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is not valid JSON, or was cut off: "),
        ("", "is not valid JSON, or was cut off: "),
        ("[" * 200_000, "the document is nested too deeply"),
        ('{"a": ' * 200_000, "the document is nested too deeply"),
        ("1" * 10_000, "is not valid JSON, or was cut off: "),
        ('{"a": 1, "b": 2, "a": 3}', "the document has the key 'a' twice in one place"),
    ],
)
def test_documents_that_are_no_json(text: str, message: str) -> None:
    with pytest.raises(VerificationError) as caught:
        documents.load_json(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_values_of_documents() -> None:
    assert [documents.text(value, "x") for value in ("a", 1, 1.5, True, False)] == ["a", "1", "1.5", "true", "false"]
    for wrong in (None, [], {}, "a\nb", "\x1b"):
        with pytest.raises(VerificationError, match=r"x is .* where a plain text is expected"):
            documents.text(wrong, "x")
    assert [documents.size(value) for value in (1, "397475840")] == [1, 397475840]
    for wrong in (0, -1, "0", "1.5", "x", "9" * 19, 10**18, True, None, 1.5, []):
        assert documents.size(wrong) is None
    assert documents.path("a/b c.img", "x") == "a/b c.img"
    for path in ("/a", "a/../b", "..", "a//b", "./a", "", "a\nb", "a/"):
        with pytest.raises(VerificationError, match="x is not a path below the root"):
            documents.path(path, "x")
    with pytest.raises(VerificationError, match="x: 'zz' is not a hexadecimal digest"):
        documents.checksum("zz", "x")
    tree = {"a": [{"b": 1}], "c": {"d": {"e": 2}}}
    found = [documents.value_at(tree, path) for path in ("a.0.b", "c.d.e", "a.1", "a.x", "c.d.e.f", "z", "")]
    assert found == [1, 2, None, None, None, None, tree]
    assert documents.rows(["x", "y"], "") == [("0", "x"), ("1", "y")]
    assert documents.rows({"k": {"n": 1}}, "") == [("k", {"n": 1})]
    assert documents.rows({"k": {"n": 1}}, "k") == [("", {"n": 1})]
    assert documents.rows({"a": {}, "b": 1}, "") == [("", {"a": {}, "b": 1})]
    for path, message in (("x", "the document has nothing at 'x'"), ("", "the document is empty")):
        with pytest.raises(VerificationError, match=message):
            documents.rows({} if path else None, path)


def test_items_of_any_json() -> None:
    rows = [
        {"v": "44", "link": "https://x/a-44.img?x=1", "d": A, "n": "397475840"},
        {"v": 45, "link": "https://x/b-45.img", "d": B, "n": 7, "beta": True},
        {"v": "46", "link": ""},
        {"v": "47"},
        "no mapping",
    ]
    fields = {"url": "link", "checksum": "d", "size": "n", "release": "v"}
    found = list(indexes.json_items({"all": rows}, "all", {}, fields))
    assert [(name, size) for name, _, _, size in found] == [("a-44.img", 397475840), ("b-45.img", 7)]
    assert found[1][1] == {"url": "https://x/b-45.img", "file": "b-45.img", "release": "45"}
    assert found[1][2] == Checksum("sha256", B)
    assert [name for name, *_ in indexes.json_items(rows, "", {"v": "45", "beta": "true"}, {"url": "link"})] == [
        "b-45.img"
    ]
    assert list(indexes.json_items(rows, "", {"v": "99"}, {})) == []
    assert [name for name, *_ in indexes.json_items(["v1", "v2"], "", {}, {})] == ["v1", "v2"]
    assert [name for name, *_ in indexes.json_items({"k": {"a": 1}}, "", {}, {"n": "a"})] == ["k"]
    (found_file,) = indexes.json_items({"key": "objects/a/a.img"}, "", {}, {"file": "key"})
    assert found_file[:2] == ("a.img", {"file": "a.img"})
    for wrong in ({"d": "x"}, {"d": []}):
        with pytest.raises(VerificationError, match="a checksum"):
            list(indexes.json_items([wrong], "", {}, {"checksum": "d"}))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(list("abc")), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON_VALUES, st.sampled_from(["", "a", "a.b", "0", "0.a"]))
def test_any_json_gives_items_or_an_error(value: Any, path: str) -> None:
    text = json.dumps(value)
    for read in (
        lambda: list(indexes.json_items(documents.load_json(text), path, {"a": "1"}, {"url": "b", "checksum": "c"})),
        lambda: list(indexes.json_items(documents.load_json(text), path, {}, {"version": "a"})),
        lambda: indexes.simplestreams(text, "a", "b", ROOT),
        lambda: indexes.debian_manifest(text, ROOT, "qcow2"),
        lambda: indexes.github_releases(text, True),
        lambda: listings.names(text),
    ):
        answered(read)
