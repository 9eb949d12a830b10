"""Resolvers that can't work, found before any site is asked: steps, what they give, and what is signed."""

from __future__ import annotations

from typing import Any

import pytest

from openstack_image_manager.upstreams import soundness
from openstack_image_manager.upstreams.resolver import Resolver, Step

STEPS = [
    ({"simplestreams": "https://x/y", "product": "p"}, (), "simplestreams needs item; add it"),
    ({"debian-manifest": "https://x/y", "root": "https://x/"}, (), "debian-manifest needs format; add it"),
    ({"debian-manifest": "https://x/y", "root": "x", "format": "qcow2"}, ("root",), "is not a URL; it must begin "),
    ({"github-release": "project", "match": "x"}, ("github-release",), "must be OWNER/PROJECT"),
    ({"github-release": "a/b", "match": "x", "tag": "("}, ("tag",), "'(' is not a regular expression"),
    ({"github-release": "{x}", "match": "x"}, ("github-release",), "nothing is known here that {x} could stand for"),
    ({"pointer": "https://x/y"}, (), "pointer needs exactly one of keys, match, redirect"),
    (
        {"pointer": "https://x/y", "match": "x", "redirect": "y"},
        (),
        "pointer needs exactly one of keys, match, redirect",
    ),
    ({"pointer": "https://x/y", "keys": {"A": "B"}}, ("keys", "A"), "'A' is no name of a variable"),
    ({"json": "https://x/y"}, (), "json needs fields, or match for a list of texts"),
    ({"json": "https://x/y", "fields": {"A": "b"}}, ("fields", "A"), "'A' is no name of a variable"),
    (
        {"json": "https://x/y", "fields": {"a": "b"}, "where": {"c": "{d}"}},
        ("where", "c"),
        "nothing is known here that {d}",
    ),
    ({"json": "https://x/y", "fields": {"a": "b"}, "items": "{d}"}, ("items",), "nothing is known here that {d}"),
]


@pytest.mark.parametrize(("step", "loc", "message"), STEPS, ids=range(len(STEPS)))
def test_mistakes_in_steps(step: dict[str, Any], loc: tuple[str, ...], message: str) -> None:
    resolver = Resolver.model_validate({"steps": [step], "url": "https://x/a", "version": "1"})
    assert any(
        where == ("steps", 0, *loc) and said.startswith(message) for where, said in soundness.problems(resolver)
    ), soundness.problems(resolver)


def test_what_steps_give_is_known_to_what_follows() -> None:
    steps: list[dict[str, Any]] = [
        {"static": [{"a": "1", "b": "2"}, {"a": "2"}]},
        {"github-release": "a/b", "tag": "(?P<c>.*)", "match": "{tag}{c}(?P<d>.*)"},
        {"pointer": "{url}", "keys": {"e": "E"}},
        {"json": "{url}", "fields": {"url": "u", "f": "f"}, "where": {"x": "{a}"}},
    ]
    resolver = Resolver.model_validate({"steps": steps, "version": "{a}{c}{d}{e}{f}{file}{published}"})
    assert soundness.problems(resolver) == []
    resolver = resolver.model_copy(update={"version": "{b}"})
    assert [loc for loc, _ in soundness.problems(resolver)] == [("version",)]
    assert soundness.problems(Resolver()) == [(("steps",), "is missing; add the steps that lead to the newest build")]
    rule = {"kind": "detached", "over": "checksum", "url": "https://x/y", "keys": "{a}"}
    resolver = Resolver.model_validate({"steps": steps, "version": "{a}", "signature": rule})
    assert soundness.problems(resolver) == [
        (("signature", "over"), "no checksum file is read here: neither by the last step nor by checksum")
    ]


@pytest.mark.parametrize(
    ("last", "checksum", "message"),
    [
        ({"checksum-file": "https://x/S", "match": "(?P<a>x)"}, None, "the last step (checksum-file) reads no index"),
        ({"listing": "https://x/", "match": "(?P<a>x)"}, None, "the last step (listing) reads no index"),
        ({"static": {"a": "b"}}, None, "the last step (static) reads no index"),
        ({"pointer": "https://x/", "redirect": "(?P<a>.*)"}, None, "the last step (redirect) reads no index"),
        ({"pointer": "https://x/", "match": "(?P<a>.*)"}, {"url": "https://x/S"}, "which nobody signs then"),
        ({"pointer": "https://x/", "match": "(?P<a>.*)"}, None, None),
    ],
)
def test_what_is_signed_is_what_the_digest_comes_from(last: Any, checksum: Any, message: str | None) -> None:
    rule = {"kind": "detached", "over": "index", "url": "https://x/y", "keys": "A" * 40}
    values = {"steps": [last], "url": "https://x/{a}", "version": "{a}", "signature": rule}
    if checksum:
        values["checksum"] = checksum
    found = soundness.problems(Resolver.model_validate(values))
    assert [loc for loc, _ in found] == ([("signature", "over")] if message else [])
    assert message is None or message in found[0][1]


def test_steps_know_what_they_are_given() -> None:
    step = Step.model_validate({"checksum-file": "https://x/", "match": "x"})
    assert (step.kind, step.given) == ("checksum-file", {"checksum-file", "match"})
    assert Step.model_validate({}).kind == ""
    assert step.model_dump(exclude_unset=True) == {"checksum-file": "https://x/", "match": "x"}


def test_keys_of_both_kinds() -> None:
    def said(kind: str, key: str) -> list[str]:
        rule = {"kind": kind, "over": "image", "url": "https://x/s", "keys": key}
        fields = {"steps": [{"static": {"version": "1"}}], "url": "https://x/a", "signature": rule}
        return [message for _, message in soundness.problems(Resolver.model_validate(fields))]

    assert said("detached", "AB" * 20) == said("detached", "ab" * 32) == said("openssl-rsa", "ab" * 32) == []
    assert said("detached", "AB" * 8) == ["must be the whole fingerprint of a primary key: 40 or 64 digits"]
    assert said("openssl-rsa", "AB" * 20) == ["must be the whole SHA-256 of a public key: 64 digits"]
