"""Resolvers that can't work, found before any site is asked: steps, what they give, and what is signed."""

from __future__ import annotations

from typing import Any

import pytest

from openstack_image_manager.definitions.resolvers import validation
from openstack_image_manager.definitions.resolvers.model import Resolver, Step

STEPS = [
    ({"simplestreams": "https://x/y", "product": "p"}, (), "simplestreams needs item; add it"),
    ({"debian-manifest": "https://x/y", "root": "https://x/"}, (), "debian-manifest needs format; add it"),
    ({"debian-manifest": "https://x/y", "root": "x", "format": "qcow2"}, ("root",), "is not a URL; it must begin "),
    ({"github-release": "project", "match": "x"}, ("github-release",), "must be OWNER/PROJECT"),
    ({"github-release": "a/b", "match": "x", "tag": "("}, ("tag",), "'(' is not a regular expression"),
    ({"github-release": "{x}", "match": "x"}, ("github-release",), "{x} is unknown here"),
    ({"pointer": "https://x/y"}, (), "pointer needs exactly one of keys, match, redirect"),
    (
        {"pointer": "https://x/y", "match": "x", "redirect": "y"},
        (),
        "pointer needs exactly one of keys, match, redirect",
    ),
    ({"pointer": "https://x/y", "keys": {"A": "B"}}, ("keys", "A"), "'A' is not a valid variable name"),
    ({"json": "https://x/y"}, (), "json needs fields, or match for a list of texts"),
    ({"json": "https://x/y", "fields": {"A": "b"}}, ("fields", "A"), "'A' is not a valid variable name"),
    (
        {"json": "https://x/y", "fields": {"a": "b"}, "where": {"c": "{d}"}},
        ("where", "c"),
        "{d} is unknown here",
    ),
    ({"json": "https://x/y", "fields": {"a": "b"}, "items": "{d}"}, ("items",), "{d} is unknown here"),
]


@pytest.mark.parametrize(("step", "loc", "message"), STEPS, ids=range(len(STEPS)))
def test_mistakes_in_steps(step: dict[str, Any], loc: tuple[str, ...], message: str) -> None:
    resolver = Resolver.model_validate({"steps": [step], "url": "https://x/a", "version": "1"})
    assert any(
        where == ("steps", 0, *loc) and said.startswith(message) for where, said in validation.problems(resolver)
    ), validation.problems(resolver)


def test_what_steps_give_is_known_to_what_follows() -> None:
    steps: list[dict[str, Any]] = [
        {"static": [{"a": "1", "b": "2"}, {"a": "2"}]},
        {"github-release": "a/b", "tag": "(?P<c>.*)", "match": "{tag}{c}(?P<d>.*)"},
        {"pointer": "{url}", "keys": {"e": "E"}},
        {"json": "{url}", "fields": {"url": "u", "f": "f"}, "where": {"x": "{a}"}},
    ]
    resolver = Resolver.model_validate({"steps": steps, "version": "{a}{c}{d}{e}{f}{file}{published}"})
    assert validation.problems(resolver) == []
    resolver = resolver.model_copy(update={"version": "{b}"})
    assert [loc for loc, _ in validation.problems(resolver)] == [("version",)]
    assert validation.problems(Resolver()) == [(("steps",), "is missing; add the steps that lead to the newest build")]
    rule = {"kind": "detached", "over": "checksum", "url": "https://x/y", "keys": "{a}"}
    resolver = Resolver.model_validate({"steps": steps, "version": "{a}", "signature": rule})
    assert validation.problems(resolver) == [
        (("signature", "over"), "no checksum file is read here: neither by the last step nor by checksum")
    ]


NO_DIGESTS = "reads no index that has digests; json, simplestreams, debian-manifest, github-release do"


@pytest.mark.parametrize(
    ("last", "checksum", "message"),
    [
        ({"checksum-file": "https://x/S", "match": "(?P<a>x)"}, None, f"the last step (checksum-file) {NO_DIGESTS}"),
        ({"listing": "https://x/", "match": "(?P<a>x)"}, None, f"the last step (listing) {NO_DIGESTS}"),
        ({"static": {"a": "b"}}, None, f"the last step (static) {NO_DIGESTS}"),
        ({"pointer": "https://x/", "redirect": "(?P<a>.*)"}, None, f"the last step (redirect) {NO_DIGESTS}"),
        ({"pointer": "https://x/", "match": "(?P<a>.*)"}, None, f"the last step (pointer) {NO_DIGESTS}"),
        ({"json": "https://x/", "fields": {"a": "b"}}, None, "the index has no digests, so its signature does not "),
        ({"json": "https://x/", "fields": {"a": "b", "checksum": "c"}}, {"url": "https://x/S"}, "which is not signed"),
        ({"json": "https://x/", "fields": {"a": "b", "checksum": "c"}}, None, None),
        ({"github-release": "a/b", "match": "(?P<a>.*)"}, None, None),
    ],
)
def test_what_is_signed_is_what_the_digest_comes_from(last: Any, checksum: Any, message: str | None) -> None:
    rule = {"kind": "detached", "over": "index", "url": "https://x/y", "keys": "A" * 40}
    values = {"steps": [last], "url": "https://x/{a}", "version": "{a}", "signature": rule}
    if checksum:
        values["checksum"] = checksum
    found = validation.problems(Resolver.model_validate(values))
    assert [loc for loc, _ in found] == ([("signature", "over")] if message else [])
    assert message is None or message in found[0][1]


@pytest.mark.parametrize("algorithm", ["md5", "sha1", "sha256", None])
@pytest.mark.parametrize("policy", ["required", "optional", "none", "{a}"])
@pytest.mark.parametrize("place", ["checksum", "steps"])
def test_a_signature_over_digests_that_can_be_forged(place: str, policy: str, algorithm: str | None) -> None:
    rule = {"kind": "detached", "over": "checksum", "url": "https://x/y", "keys": "A" * 40, "policy": policy}
    chosen = {"algorithm": algorithm} if algorithm else {}
    sums = {"checksum-file": "https://x/S", "match": "(?P<a>x)", **(chosen if place == "steps" else {})}
    values = {"steps": [sums], "url": "https://x/{a}", "version": "{a}", "signature": rule}
    if place == "checksum":
        values["checksum"] = {"url": "https://x/S", **chosen}
    found = validation.problems(Resolver.model_validate(values))
    wrong = algorithm in ("md5", "sha1") and policy != "none"
    loc = ("checksum", "algorithm") if place == "checksum" else ("steps", 0, "algorithm")
    why = f"{algorithm} can be forged, so a signature over it does not vouch for the image"
    assert found == ([(loc, why)] if wrong else [])
    # A signature over the image vouches for the bytes, whatever the checksum file says of them.
    over_image = {**values, "signature": {**rule, "over": "image"}}
    assert validation.problems(Resolver.model_validate(over_image)) == []


def signed_step(rule: dict[str, Any] | None = None, step: dict[str, Any] | None = None, **more: Any) -> Any:
    """The complaints about a step with a signature before one with a checksum file."""
    signature = {"kind": "detached", "url": "https://x/y.sig", "keys": "A" * 40, **(rule or {})}
    first = {**(step or {"pointer": "https://x/y", "match": "(?P<a>.*)"}), "signature": signature}
    sums = {"checksum-file": "https://x/{a}", "match": "(?P<b>x)"}
    values = {"steps": [first, sums], "url": "https://x/{b}", "version": "{b}", **more}
    return validation.problems(Resolver.model_validate(values))


def test_signatures_of_steps() -> None:
    assert signed_step() == []
    at = ("steps", 0, "signature")
    assert signed_step({"url": "{nothing}"}) == [
        ((*at, "url"), "{nothing} is unknown here"),
    ]
    assert signed_step({"keys": "ab"}) == [
        ((*at, "keys", 0), "must be the whole fingerprint of a primary key: 40 or 64 digits")
    ]
    assert signed_step({"keys": []}) == [(at, "needs keys, who may sign; add them, or 'policy: none'")]
    assert signed_step({"keys": [], "policy": "none"}) == []
    assert signed_step({"url": None}) == [(at, "detached needs url, where the signature is; add it")]
    assert signed_step({"kind": "clearsigned"})[0][0] == at
    assert signed_step({"kind": "clearsigned", "url": None}) == []
    assert signed_step({"policy": "always"})[0][0] == (*at, "policy")
    redirect = {"pointer": "https://x/y", "redirect": "(?P<a>.*)"}
    assert signed_step(step=redirect) == [(at, "a redirect has no document that could be signed")]
    listing = {"listing": "https://x/", "match": "(?P<a>.*)"}
    assert signed_step(step=listing) == [(at, "is not an option of listing; it takes match, order")]


@pytest.mark.parametrize(("over", "own_sums", "twice"), [("checksum", False, True), ("checksum", True, False)])
def test_one_document_has_one_rule(over: str, own_sums: bool, twice: bool) -> None:
    rule = {"kind": "detached", "url": "https://x/y", "keys": "A" * 40}
    step = {"checksum-file": "https://x/S", "match": "(?P<a>x)", "signature": rule}
    values: dict[str, Any] = {"steps": [step], "url": "https://x/{a}", "version": "{a}"}
    values["signature"] = {**rule, "over": over}
    if own_sums:
        values["checksum"] = {"url": "https://x/S2"}
    found = validation.problems(Resolver.model_validate(values))
    message = f"signature: over: {over} is about this document already; remove one of them"
    assert found == ([(("steps", 0, "signature"), message)] if twice else [])
    index = {"json": "https://x/S", "fields": {"a": "b", "checksum": "c"}, "signature": rule}
    values = {**values, "steps": [index], "signature": {**rule, "over": "index"}}
    values.pop("checksum", None)
    assert validation.problems(Resolver.model_validate(values)) == [
        (("steps", 0, "signature"), "signature: over: index is about this document already; remove one of them")
    ]


def test_clearsigned_texts_are_no_images() -> None:
    rule = {"kind": "clearsigned", "over": "image", "keys": "A" * 40}
    fields = {"steps": [{"static": {"version": "1"}}], "url": "https://x/a", "signature": rule}
    assert validation.problems(Resolver.model_validate(fields)) == [
        (("signature", "over"), "clearsigned texts are an index or a checksum file")
    ]


def test_steps_know_what_they_are_given() -> None:
    step = Step.model_validate({"checksum-file": "https://x/", "match": "x"})
    assert (step.kind, step.given) == ("checksum-file", {"checksum-file", "match"})
    assert Step.model_validate({}).kind == ""
    assert step.model_dump(exclude_unset=True) == {"checksum-file": "https://x/", "match": "x"}


def test_keys_of_both_kinds() -> None:
    def said(kind: str, key: str) -> list[str]:
        rule = {"kind": kind, "over": "image", "url": "https://x/s", "keys": key}
        fields = {"steps": [{"static": {"version": "1"}}], "url": "https://x/a", "signature": rule}
        return [message for _, message in validation.problems(Resolver.model_validate(fields))]

    assert said("detached", "AB" * 20) == said("detached", "ab" * 32) == said("openssl-rsa", "ab" * 32) == []
    assert said("detached", "AB" * 8) == ["must be the whole fingerprint of a primary key: 40 or 64 digits"]
    assert said("openssl-rsa", "AB" * 20) == ["must be the whole SHA-256 of a public key: 64 digits"]
