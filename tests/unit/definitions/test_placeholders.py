"""Placeholders and variables: what stands for what, in texts and in patterns."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers import placeholders, variables
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.errors import Error


def test_placeholders() -> None:
    assert placeholders.used(r"{a}-\d{8}-{b_2}{A}{}") == ["a", "b_2"]
    assert [placeholders.has_stray_brace(text) for text in ("{a}b", "{A}", "a}", "")] == [False, True, True, False]
    assert placeholders.fill("{a}-{b}", {"a": "1", "b": "{a}"}) == "1-{a}"
    with pytest.raises(Error, match=r"'x\{c\}': \{c\} is unknown"):
        placeholders.fill("x{c}", {})
    wanted = placeholders.pattern(r"{a}-\d{2}(?P<x>y)?", {"a": "1.5+"})
    match = wanted.fullmatch("1.5+-12")
    assert match
    assert placeholders.groups(match) == {"x": ""}
    assert not wanted.fullmatch("1x5+-12")
    for broken, said in (("(", "missing"), ("(?L)", "bad inline flags"), ("(" * 990, "maximum recursion")):
        with pytest.raises(Error, match=rf"^'{re.escape(broken)}' is not a regular expression: {said}"):
            placeholders.pattern(broken, {})
    assert not placeholders.pattern(r"\d+", {}).fullmatch("٢٠٢٦")


@given(st.text(max_size=100), st.dictionaries(st.sampled_from(["a", "b"]), st.text(max_size=100)))
def test_values_in_patterns_stand_for_themselves(text: str, values: dict[str, str]) -> None:
    known = {"a": "", "b": "", **values}
    assert placeholders.pattern("{a}x{b}", known).fullmatch(f"{known['a']}x{known['b']}")
    said = text
    try:
        placeholders.pattern(text, known)
    except Error as error:
        said = str(error)
    assert text in said


def test_variables() -> None:
    fields = {"name": "A", "format": "raw", "versions": [], "meta": {"os_version": "9", "architecture": None}}
    assert variables.initial(Definition.model_validate(fields)) == {"name": "A", "os_version": "9"}
    resolver = Resolver.model_validate(
        {
            "variables": {
                "a": "x{os_version}",
                "b": {"by": "a", "values": {"x9": "{a}y"}},
                "c": {"by": "a", "values": {}, "otherwise": "z"},
                "d": {"by": "a", "values": {}},
                "e": {"by": "nothing", "values": {}},
            },
            "steps": [{"static": {"f": "{b}{c}"}}],
        }
    )
    known = variables.evaluate(resolver, {"os_version": "9"})
    assert known == {"os_version": "9", "a": "x9", "b": "x9y", "c": "z"}
    needs_d = resolver.model_copy(update={"version": "{d}"})
    with pytest.raises(Error, match="no d is known for a 'x9', only for "):
        variables.evaluate(needs_d, {"os_version": "9"})
    with pytest.raises(Error, match="the definition has no nothing, which the variable e depends on; add it, or set e"):
        variables.evaluate(resolver.model_copy(update={"version": "{e}"}), {"os_version": "9"})
