"""`resolve:` in definitions: what is refused before any site is asked, with which words and where."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from openstack_image_manager.definitions import DefinitionErrors, json_schema, load
from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.format import Checksum, Definition, Version
from openstack_image_manager.reasons import reason
from openstack_image_manager.records import plain
from openstack_image_manager.upstreams import placeholders, shipped, soundness, variables
from openstack_image_manager.upstreams.published import (
    Build,
    check_address,
    check_beginning,
    check_recorded,
    comparable_by,
    day,
    file_name,
    is_new,
    is_same,
    placed,
    recorded,
)
from openstack_image_manager.upstreams.resolver import KINDS, Resolver, Step
from openstack_image_manager.yamltree import Broken

HEAD = """\
images:
  - name: A
    format: raw
    meta: {architecture: x86_64, os_distro: linux, os_version: '1'}
    versions: []
"""
GOOD = """\
    resolve:
      variables:
        site: https://x
        arch: {by: architecture, values: {x86_64: amd64}}
      steps:
        - listing: '{site}/'
          match: '(?P<minor>[0-9]+)/'
        - checksum-file: '{site}/{minor}/SUMS'
          match: 'a-{arch}-(?P<version>[0-9]{8})[.]img'
      build_date: '{version}'
      checksum: {url: '{url}.sums'}
      signature: {kind: detached, over: checksum, url: '{checksum_url}.asc', keys: '%s'}
""" % ("AB" * 20)


def complaints(folder: Path, text: str) -> list[str]:
    (folder / "a.yml").write_text(text)
    try:
        load(str(folder / "a.yml"))
    except DefinitionErrors as error:
        lines = [line.removeprefix(f"{folder / 'a.yml'}:") for line in str(error).splitlines()]
        return [line.replace("A: resolve.", "") for line in lines]
    return []


def test_a_good_one_loads(tmp_path: Path) -> None:
    assert complaints(tmp_path, HEAD + GOOD) == []


# What replaces what in the good one, and the complaint: line, column, field and message.
MISTAKES = [
    ("site: https://x", "Site: https://x", "8:15: variables.Site: 'Site' is no name of a variable"),
    (
        "by: architecture,",
        "by: arcitecture,",
        "9:20: variables.arch.by: nothing is known here that {arcitecture}",
    ),
    ("by: architecture,", "bi: architecture,", "9:16: variables.arch.bi: unknown field; known are by, values, oth"),
    (
        "{by: architecture, values: {x86_64: amd64}}",
        "{values: {x86_64: amd64}}",
        "9:15: variables.arch: must be a text, or",
    ),
    (
        "{x86_64: amd64}",
        "{aarch64: arm64}",
        "7:7: A: resolve: no arch is known for architecture 'x86_64', only for aarch64",
    ),
    (
        "{x86_64: amd64}",
        "{x86_64: '{nothing}'}",
        "9:15: variables.arch: nothing is known here that {nothing}",
    ),
    (
        "'{site}/{minor}",
        "'{sit}/{minor}",
        "13:26: steps[1].checksum-file: nothing is known here that {sit} could stand for; did you mean 'site'?",
    ),
    (
        "'{site}/{minor}",
        "'{site}/{version}",
        "13:26: steps[1].checksum-file: nothing is known here that {version}",
    ),
    (
        "'{site}/{minor}",
        "'{site}/{Minor}",
        "13:26: steps[1].checksum-file: has a brace that is no placeholder",
    ),
    (
        "'{site}/{minor}",
        "'ssh://x/{minor}",
        "13:26: steps[1].checksum-file: is not a URL; it must begin with https://",
    ),
    (
        "[0-9]+)/'",
        "[0-9]+/'",
        "12:18: steps[0].match: '(?P<minor>[0-9]+/' is not a regular expression: missing )",
    ),
    (
        "(?P<minor>",
        "(?P<Minor>",
        "12:18: steps[0].match: 'Minor' is no name of a variable: lower-case letters, digits and _",
    ),
    (
        "a-{arch}-",
        "a-{arc}-",
        "14:18: steps[1].match: nothing is known here that {arc} could stand for; did you mean 'arch'?",
    ),
    (
        "          match: '(?P<minor>[0-9]+)/'\n",
        "          macth: x\n",
        "12:11: steps[0].macth: unknown field; did you mean 'match'?",
    ),
    ("- listing:", "- lisitng:", "11:11: steps[0].lisitng: unknown field; did you mean 'listing'?"),
    ("          match: '(?P<minor>[0-9]+)/'\n", "", "11:11: steps[0]: listing needs match; add it"),
    (
        "- listing: '{site}/'",
        "- json: '{site}/'\n          listing: '{site}'",
        "11:11: steps[0]: must have exactly one of " + ", ".join(KINDS) + "; these are listing, json",
    ),
    (
        "- listing: '{site}/'",
        "- order: x",
        "11:11: steps[0]: must have exactly one of " + ", ".join(KINDS) + "; here is none",
    ),
    (
        "- listing: '{site}/'",
        "- listing: '{site}/'\n          product: x",
        "12:20: steps[0].product: is no option of listing; it takes match, order",
    ),
    (
        "- listing: '{site}/'",
        "- listing: '{site}/'\n          order: '{x}'",
        "12:18: steps[0].order: nothing is known here that {x}",
    ),
    ("- listing: '{site}/'", "- listing: [a]", "11:20: steps[0].listing: must be a text, not a list"),
    ("- listing: '{site}/'", "- listing:", "11:11: steps[0]: must have exactly one of"),
    (
        "build_date: '{version}'",
        "build_date: '{day}'",
        "15:19: build_date: nothing is known here that {day}",
    ),
    ("build_date: '{version}'", "version: '{day}'", "15:16: version: nothing is known here that {day}"),
    ("build_date: '{version}'", "url: '{day}/a'", "15:12: url: nothing is known here that {day}"),
    ("build_date: '{version}'", "exclude: ['1', '(']", "15:22: exclude[1]: '(' is not a regular expression"),
    (
        "build_date: '{version}'",
        "prereleases: maybe",
        "15:20: prereleases: must be true or false, not a text",
    ),
    ("build_date: '{version}'", "buildate: x", "15:7: buildate: unknown field; did you mean 'build_date'?"),
    (
        "build_date: '{version}'",
        "zzz: x",
        "15:7: zzz: unknown field; known are use, variables, steps, url, version,",
    ),
    (
        "checksum: {url: '{url}.sums'}",
        "checksum: {url: '{x}.sums'}",
        "16:23: checksum.url: nothing is known here that {x}",
    ),
    ("checksum: {url: '{url}.sums'}", "checksum: {ulr: x}", "16:17: checksum.url: is missing; add it"),
    (
        "checksum: {url: '{url}.sums'}",
        "checksum: {url: '{url}.sums', algorithm: sha3}",
        "16:48: checksum.algorithm: must be one of md5, sha1, sha224, sha256, sha384, sha512; did you mean",
    ),
    (
        "checksum: {url: '{url}.sums'}",
        "checksum: x",
        "16:17: checksum: must be a mapping of fields to values, not a text",
    ),
    (
        "kind: detached",
        "kind: attached",
        "17:25: signature.kind: must be one of detached, clearsigned, openssl-rsa; did you mean 'detached'?",
    ),
    (
        "over: checksum",
        "over: images",
        "17:41: signature.over: must be one of index, checksum, image, unpacked-image; did you mean 'image'?",
    ),
    (
        "kind: detached",
        "kind: clearsigned",
        "17:18: signature: clearsigned texts are an index or a checksum file and hold their signature; no url",
    ),
    (
        ", url: '{checksum_url}.asc'",
        "",
        "17:18: signature: detached needs url, where the signature is; add it",
    ),
    (
        "{checksum_url}.asc",
        "{checksum}.asc",
        "17:56: signature.url: nothing is known here that {checksum} could stand for; did you mean 'checksum_url'?",
    ),
    (
        "'" + "AB" * 20 + "'",
        "'1234'",
        "17:84: signature.keys[0]: must be the whole fingerprint of a primary key: 40 or 64 digits",
    ),
    ("'" + "AB" * 20 + "'", "['{key}']", "17:85: signature.keys[0]: nothing is known here that {key}"),
    (
        ", keys: '" + "AB" * 20 + "'",
        "",
        "17:18: signature: needs keys, who may sign; add them, or 'policy: none'",
    ),
    (
        "kind: detached",
        "policy: never, kind: detached",
        "17:27: signature.policy: must be one of required, optional, none",
    ),
    (
        "kind: detached",
        "policy: requird, kind: detached",
        "17:27: signature.policy: must be one of required, optional, none; did you mean 'required'?",
    ),
    (
        "kind: detached",
        "foo: x, kind: detached",
        "17:19: signature.foo: unknown field; known are kind, over, url, keys, policy",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    said = complaints(tmp_path, HEAD + GOOD.replace(old, new, 1))
    assert said
    assert [line for line in said if line.startswith(expected)], said


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


@pytest.mark.parametrize("name", shipped.shipped().resolvers)
def test_shipped_resolvers_are_sound(name: str) -> None:
    resolver = shipped.shipped().resolvers[name]
    assert soundness.problems(resolver) == []
    for rule in filter(None, [resolver.signature]):
        keys = [text for lookup in resolver.variables.values() for text in lookup.values.values()]
        keys += [lookup.otherwise or "" for lookup in resolver.variables.values()]
        assert all(
            re.fullmatch("[0-9A-F]{40}", key) for key in keys if re.fullmatch("[0-9A-Fa-f]{30,}", key) and key.isupper()
        )
        assert rule.keys == ["{key}"]


def test_defaults_are_shipped() -> None:
    assert set(shipped.shipped().defaults.values()) <= set(shipped.shipped().resolvers)


def test_names_and_parts_of_shipped_ones(tmp_path: Path) -> None:
    assert (
        complaints(
            tmp_path, HEAD.replace("linux, os_version: '1'", "ubuntu, os_version: '24.04'") + "    resolve: ubuntu\n"
        )
        == []
    )
    assert complaints(tmp_path, HEAD + "    resolve: ubunut\n") == [
        "6:14: A: resolve: no resolver is called 'ubunut'; did you mean 'ubuntu'?"
    ]
    (said,) = complaints(tmp_path, HEAD + "    resolve: nothing-like-it\n")
    assert said.startswith("6:14: A: resolve: no resolver is called 'nothing-like-it'; almalinux, centos-stream, ")
    (said,) = complaints(tmp_path, HEAD + "    resolve: {use: rocky}\n")
    assert said.startswith(
        "6:14: A: resolve: no key is known for os_version '1', only for 8, 9, 10; set it below resolve"
    )
    assert complaints(tmp_path, HEAD + "    resolve: {use: rocky, variables: {key: '%s'}}\n" % ("AB" * 20)) == []
    assert complaints(tmp_path, HEAD + "    resolve: {use: rocky, variables: {key: x}, version: '{nothing}'}\n") == [
        "6:57: version: nothing is known here that {nothing} could stand for"
    ]
    bare = HEAD.replace(", os_version: '1'", "").replace("architecture: x86_64, ", "")
    said_lines = complaints(tmp_path, bare + "    resolve: rocky\n")
    assert (
        "6:14: A: resolve: {os_version} stands for meta.os_version, which the definition has not; add it" in said_lines
    )
    assert (
        "6:14: A: resolve: {architecture} stands for meta.architecture, which the definition has not; add it"
        in said_lines
    )
    # A variable that depends on what the definition does not say, and that it needs not.
    assert complaints(tmp_path, bare + "    resolve: {use: flatcar, variables: {arch: amd64-usr}}\n") == []
    (said,) = complaints(tmp_path, bare + "    resolve: flatcar\n")
    assert said.endswith(
        "the definition has no meta.architecture, which the variable arch depends on; add it, or set arch"
    )
    (said, _) = complaints(tmp_path, HEAD + "    resolve: &a [*a]\n")
    assert said.startswith("6:14: A: resolve[0]: this alias stands within")
    assert "6:22: steps[0]: this alias stands within what it is an alias of" in complaints(
        tmp_path, HEAD + "    resolve: {steps: &a [*a]}\n"
    )
    assert complaints(tmp_path, HEAD + "    resolve: {steps: [{static: {a: {b: c}}}]}\n")
    assert complaints(tmp_path, HEAD + "    resolve:\n") == []
    shortname = "    resolve: {steps: [{static: {version: '{shortname}'}}], url: 'https://x/{shortname}'}\n"
    assert complaints(tmp_path, HEAD + shortname) == [
        "6:32: steps[0].static[0].version: {shortname} stands for shortname, which the definition has not; add it",
        "6:65: url: {shortname} stands for shortname, which the definition has not; add it",
    ]
    assert complaints(tmp_path, HEAD + "    shortname: x\n" + shortname) == []


def test_values_that_yaml_would_change(tmp_path: Path) -> None:
    text = "    resolve: {steps: [{static: {version: %s}}], url: 'https://x/a'}\n"
    assert complaints(tmp_path, HEAD + text % "5") == []
    assert "and so would take 1.1 and 1.10 for the same" in complaints(tmp_path, HEAD + text % "1.10")[0]
    assert (
        "means true in YAML" in complaints(tmp_path, HEAD + text.replace("{version", "{version: '1', file") % "yes")[0]
    )


def test_the_schema_knows_resolvers(tmp_path: Path) -> None:
    schema = json_schema()
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)

    def errors(text: str) -> list[Any]:
        return list(validator.iter_errors(yaml.safe_load(text)))

    assert errors(HEAD + GOOD) == []
    for resolve in (
        "rocky",
        "{use: rocky, variables: {a: 5, b: {by: a, values: {c: d}}}}",
        "{exclude: x}",
        "{exclude: [x]}",
        "{steps: [{static: {a: b}}, {static: [{a: b}]}]}",
        "{prereleases: true}",
        "",
    ):
        assert errors(f"{HEAD}    resolve: {resolve}\n") == [], resolve
    for resolve in (
        "{usee: rocky}",
        "[]",
        "{steps: [{listing: x}]}",
        "{steps: [{static: {a: b}, match: x}]}",
        "{steps: [{}]}",
        "{checksum: {}}",
        "{signature: {kind: x, over: index}}",
        "{variables: {a: []}}",
        "{prereleases: x}",
    ):
        assert errors(f"{HEAD}    resolve: {resolve}\n") != [], resolve
    shipped_data = yaml.safe_load((Path(shipped.__file__).parents[1] / "catalogue" / "resolvers.yml").read_text())
    for name, resolver in shipped_data["resolvers"].items():
        resolve = yaml.safe_dump({"resolve": resolver}, default_flow_style=True, width=10_000)
        assert errors(HEAD + "    " + resolve[1:-2]) == [], name
    for kind in KINDS:
        assert kind in [step["required"][0] for step in schema["$defs"]["Step"]["oneOf"]]
    fields = [
        *schema["$defs"]["Resolver"]["properties"].values(),
        *schema["$defs"]["SignatureRule"]["properties"].values(),
    ]
    assert all(field["description"] for field in fields)


def test_which_resolver_a_definition_gets() -> None:
    def definition(**fields: Any) -> Definition:
        return Definition.model_validate({"name": "A", "format": "raw", "versions": [], **fields})

    ubuntu = {"os_distro": "ubuntu"}
    assert shipped.resolver_of(definition(meta=ubuntu)) is shipped.shipped().resolvers["ubuntu"]
    assert shipped.resolver_of(definition(meta=ubuntu, latest_url="https://x/1")) is None
    assert shipped.resolver_of(definition(meta={"os_distro": None})) is None
    assert shipped.resolver_of(definition()) is None
    chosen = shipped.resolver_of(definition(meta=ubuntu, resolve={"use": "rocky", "variables": {"flavour": "LVM"}}))
    assert chosen
    assert chosen.variables["flavour"].otherwise == "LVM"
    assert chosen.steps == shipped.shipped().resolvers["rocky"].steps
    assert [shipped.has_default(definition(meta=meta)) for meta in (ubuntu, {"os_distro": "x"}, {})] == [
        True,
        False,
        False,
    ]


def test_fields_of_versions() -> None:
    fields = {"version": "1", "url": "https://x/1"}
    assert Version.model_validate({**fields, "size": 1}).size == 1
    for wrong in ({"size": 0}, {"size": "1"}, {"signed_by": "1234"}, {"signed_at": "yesterday"}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Version.model_validate({**fields, **wrong})


def test_sizes_are_told_with_their_place(tmp_path: Path) -> None:
    text = HEAD.replace("versions: []", "versions: [{version: '1', url: 'https://x/1', size: 0, signed_by: ab}]")
    assert complaints(tmp_path, text) == [
        "5:57: A: versions[0].size: must be more than 0",
        "5:71: A: versions[0].signed_by: 'ab' is not a fingerprint: 40 or 64 hexadecimal digits",
    ]


def test_placeholders() -> None:
    assert placeholders.used(r"{a}-\d{8}-{b_2}{A}{}") == ["a", "b_2"]
    assert [placeholders.has_stray_brace(text) for text in ("{a}b", "{A}", "a}", "")] == [False, True, True, False]
    assert placeholders.fill("{a}-{b}", {"a": "1", "b": "{a}"}) == "1-{a}"
    with pytest.raises(Error, match=r"'x\{c\}': nothing is known that \{c\} could stand for"):
        placeholders.fill("x{c}", {})
    wanted = placeholders.pattern(r"{a}-\d{2}(?P<x>y)?", {"a": "1.5+"})
    match = wanted.fullmatch("1.5+-12")
    assert match
    assert placeholders.groups(match) == {"x": ""}
    assert not wanted.fullmatch("1x5+-12")
    for broken, said in (("(", "missing"), ("(?L)", "ASCII, LOCALE and UNICODE"), ("(" * 3000, "maximum recursion")):
        with pytest.raises(Error, match=rf"^'{re.escape(broken)}' is not a regular expression: {said}"):
            placeholders.pattern(broken, {})
    assert not placeholders.pattern(r"\d+", {}).fullmatch("٢٠٢٦")


@given(st.text(), st.dictionaries(st.sampled_from(["a", "b"]), st.text()))
def test_values_in_patterns_stand_for_themselves(text: str, values: dict[str, str]) -> None:
    known = {"a": "", "b": "", **values}
    assert placeholders.pattern("{a}x{b}", known).fullmatch(f"{known['a']}x{known['b']}")
    try:
        placeholders.pattern(text, known)
    except Error as error:
        assert text in str(error)  # noqa: PT017


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


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260712-2537", "2026-07-12"),
        ("20260705.1", "2026-07-05"),
        ("2026-07-22", "2026-07-22"),
        ("2026-07-22T10:00:00Z", "2026-07-22"),
        ("202607121", None),
        ("20261312", None),
        ("44-1.7", None),
        ("", None),
        ("Sun, 22 Nov 2026 10:00:00 GMT", "2026-11-22 10:00:00"),
        ("Sun, 22 Nov 2026 10:00:00 +0200", "2026-11-22 08:00:00"),
        ("Sun, 22 Nov 2026 10:00:00 -0000", "2026-11-22 10:00:00"),
        ("Sun, 99 Nov 2026 10:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_days(text: str, expected: str | None) -> None:
    assert day(text) == expected


def test_names_and_messages() -> None:
    assert [file_name(url) for url in ("https://x/a%20b.img?x=/y#/z", "https://x/", "https://[x/a")] == [
        "a b.img",
        "",
        "a",
    ]
    assert placed("https://u:p@x/a", Error("is \x1b[31mred\n")) == "https://x/a: is \\x1b[31mred\\n"
    assert placed("https://x/a", Error("https://x/a: is red")) == "https://x/a: is red"
    assert reason("two\nlines of https://u:p@x/") == "two lines of https://x/"


def test_the_innermost_reason() -> None:
    inner = ConnectionError("<urllib3.connection object at 0x7f00>: Connection refused")
    assert reason(OSError(ValueError("outer"), inner)) == "outer"
    assert reason(OSError(inner)) == "Connection refused"
    assert reason(OSError(2, "No such file")) == "No such file"
    assert reason(EOFError()) == "EOFError"


def test_reasons_in_words() -> None:
    said = "No connection adapters were found for 'gopher://u:p@x/'"
    assert reason(ValueError(said)) == "redirected to gopher://x/, which is neither http: nor https:, and not followed"
    said = "Failed to establish a new connection: [Errno 111] Connection refused"
    assert reason(ValueError(f"HTTPSConnection(host='127.0.0.1', port=9): {said}")) == said
    assert reason(ValueError("Exceeded 30 redirects.")) == "redirected 30 times, without an end"


SITE = "https://x/a"


@pytest.mark.parametrize(
    ("url", "sources", "own", "fine"),
    [
        (SITE, (SITE,), False, True),
        (SITE, ("http://x/a", None), False, True),
        ("http://x/a", (SITE,), True, True),
        ("http://x/a", ("http://x/b",), False, True),
        ("http://x/a", (), False, True),
        ("file:///a", ("file:///b",), False, True),
        ("file:///a", (), True, True),
        ("http://x/a", (SITE,), False, False),
        ("http://x/a", (SITE, "http://x/b"), False, False),
        ("file:///a", (SITE,), False, False),
        ("file:///a", ("http://x/b",), False, False),
        ("file:///a", (), False, False),
        ("gopher://x", (), True, False),
        ("https://x/a b", (), True, False),
        ("https://[x", (), True, False),
    ],
)
def test_addresses_that_may_be_recorded(url: str, sources: tuple[str | None, ...], own: bool, fine: bool) -> None:
    if fine:
        check_address(url, sources, own)
        return
    with pytest.raises(VerificationError, match=r"is no address of an image|is not trusted; set url"):
        check_address(url, sources, own)


def test_how_images_begin() -> None:
    check_beginning("https://x/a.img", b"QFI\xfb\0", "qcow2")
    check_beginning("https://x/a.qcow2.xz", b"\xfd7zXZ", "qcow2")
    check_beginning("https://x/a.raw", b"anything", "raw")
    with pytest.raises(VerificationError, match=r"https://x/a\.img\?x=\.xz: does not begin like a qcow2"):
        check_beginning("https://x/a.img?x=.xz", b"<xml>", "qcow2")


def test_yaml_of_sites() -> None:
    assert plain(b"a: [1.10, {b: ~}]\nc: 2026-01-01\n") == {"a": ["1.10", {"b": None}], "c": "2026-01-01"}
    assert plain(b"# nothing\n") is None
    for wrong, message in (
        (b"&a [*a]", "an alias stands within"),
        (b"{a: 1, a: 2}", "a second time"),
        (b"!x {}", "tag"),
    ):
        with pytest.raises(Broken, match=message):
            plain(wrong)


def build(version: str = "2", url: str = "https://x/2", digest: str | None = "a" * 64) -> Build:
    return Build(version, url, Checksum.parse(digest) if digest else None, None, None, None, None, None)


def having(*versions: dict[str, Any]) -> Definition:
    return Definition.model_validate({"name": "A", "format": "raw", "versions": list(versions)})


def test_what_is_new() -> None:
    one = {"version": "1", "url": "https://x/1", "checksum": "b" * 64}
    assert recorded(having()) is None
    assert is_new(having(one), build())
    assert not is_new(having({**one, "version": "2"}), build())
    same_file = {"version": "today", "url": "https://x/2", "checksum": "a" * 64}
    assert not is_new(having(same_file), build())
    assert not is_new(having({**same_file, "url": "https://mirror/2"}), build())
    for other in ({"checksum": "b" * 64}, {"checksum": None}):
        assert is_new(having({**same_file, **other}), build())
    check_recorded(having(one), build())
    check_recorded(having(), build())
    check_recorded(having({**same_file, "version": "2"}), build(digest=None))
    check_recorded(having({**same_file, "version": "2", "checksum": None}), build())
    check_recorded(having({**same_file, "version": "2", "checksum": "b" * 32}), build())
    packed = {**same_file, "version": "2", "url": "https://x/2.xz", "checksum": "b" * 64}
    check_recorded(having(packed), build(url="https://x/2.xz"))
    with pytest.raises(VerificationError, match="the upstream has replaced build 2"):
        check_recorded(having({**same_file, "version": "2", "checksum": "b" * 64}), build())
    with pytest.raises(Error, match=r"newest build 2 \(https://x/2\) is older than 10, which is there already"):
        check_recorded(having(one, {"version": "10", "url": "https://x/10"}), build())


SHA256, SHA512, MD5 = ("a" * 64, "a" * 128, "a" * 32)
MOVING = "https://x/latest"


@pytest.mark.parametrize(
    ("version", "same"),
    [
        ({"version": "2", "checksum": "b" * 64}, True),
        # A digest of one algorithm decides, whichever of them it is.
        ({"version": "today", "checksum": SHA256}, True),
        ({"version": "today", "checksum": SHA512}, True),
        ({"version": "today", "checksum": "b" * 128, "url": "https://x/2"}, False),
        ({"version": "9", "checksum": "b" * 64, "url": MOVING}, False),
        # Else the address, if it is the build's own.
        ({"version": "today", "checksum": MD5, "url": "https://x/2"}, True),
        ({"version": "today", "checksum": MD5, "url": "https://x/3"}, False),
        ({"version": "today", "url": "https://x/2"}, False),
        # Or one that moves, and was recorded when the build was there already.
        ({"version": "3", "checksum": MD5, "url": MOVING}, True),
        ({"version": "3", "url": MOVING}, True),
        ({"version": "1", "url": MOVING}, False),
        ({"version": "latest", "checksums_url": "https://x/SUMS", "url": MOVING}, False),
    ],
)
def test_which_version_is_the_build(version: dict[str, Any], same: bool) -> None:
    found = replace(build(), others=(Checksum.parse(SHA512),))
    definition = having({"url": "https://x/else", **version}).model_copy(update={"latest_url": MOVING})
    assert is_same(definition, definition.versions[0], found) is same


def test_a_part_of_a_number_in_an_address_is_no_build() -> None:
    had = {"version": "today", "checksum": MD5, "url": "https://x/20260712"}
    definition = having(had)
    assert not is_same(definition, definition.versions[0], build("2026071", had["url"]))
    assert is_same(definition, definition.versions[0], build("20260712", had["url"]))


def test_what_a_build_could_be_compared_by() -> None:
    had = {"version": "1", "url": "https://x/1", "checksum": MD5}
    assert comparable_by(having(had), build()) == []
    assert comparable_by(having({**had, "url": "https://x/2"}), build()) == ["md5"]
    assert comparable_by(having({**had, "version": "2"}, {**had, "version": "3", "checksum": SHA512}), build()) == [
        "md5",
        "sha512",
    ]
    assert comparable_by(having({**had, "version": "2", "checksum": SHA256}), build()) == []
    assert comparable_by(having({**had, "version": "2"}), build(digest=None)) == []
    moved = having({**had, "url": MOVING}).model_copy(update={"latest_url": MOVING})
    assert comparable_by(moved, build()) == ["md5"]


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
