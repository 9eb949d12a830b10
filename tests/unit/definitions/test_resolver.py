"""`resolve:` in definitions: what is refused before any site is asked, with which words and where."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.resolver_files import DEFINITION, GOOD, complaints

from openstack_image_manager.definitions.resolvers.model import KINDS

FTP = "ftp is not supported and cannot be downloaded; use https"


def test_a_good_one_loads(tmp_path: Path) -> None:
    assert complaints(tmp_path, DEFINITION + GOOD) == []


# What replaces what in the good one, and the complaint: line, column, field and message.
MISTAKES = [
    ("site: https://x", "Site: https://x", "8:15: variables.Site: 'Site' is not a valid variable name"),
    ("by: architecture,", "by: arcitecture,", "9:20: variables.arch.by: {arcitecture} is unknown here"),
    ("by: architecture,", "bi: architecture,", "9:16: variables.arch.bi: unknown field; known are by, values, oth"),
    (
        "{by: architecture, values: {x86_64: amd64}}",
        "{values: {x86_64: amd64}}",
        "9:15: variables.arch: must be a text, or",
    ),
    (
        "{x86_64: amd64}",
        "{aarch64: arm64}",
        "9:15: variables.arch: no arch is known for architecture 'x86_64', only for aarch64",
    ),
    ("{x86_64: amd64}", "{x86_64: '{nothing}'}", "9:15: variables.arch: {nothing} is unknown here"),
    (
        "'{site}/{minor}",
        "'{sit}/{minor}",
        "13:26: steps[1].checksum-file: {sit} is unknown here; did you mean 'site'?",
    ),
    ("'{site}/{minor}", "'{site}/{version}", "13:26: steps[1].checksum-file: {version} is unknown here"),
    ("'{site}/{minor}", "'{site}/{Minor}", "13:26: steps[1].checksum-file: has a brace outside of a placeholder"),
    ("'{site}/{minor}", "'ssh://x/{minor}", "13:26: steps[1].checksum-file: is not a URL; it must begin with https://"),
    ("'{site}/{minor}", "'FTP://x/{minor}", f"13:26: steps[1].checksum-file: {FTP}"),
    ("- listing: '{site}/'", "- listing: 'ftp://x/'", f"11:20: steps[0].listing: {FTP}"),
    ("site: https://x", "site: ftp://x", f"8:15: variables.site: {FTP}"),
    ("      build_date", "      url: ftp://x/a\n      build_date", f"15:12: url: {FTP}"),
    ("[0-9]+)/'", "[0-9]+/'", "12:18: steps[0].match: '(?P<minor>[0-9]+/' is not a regular expression: missing )"),
    (
        "(?P<minor>",
        "(?P<Minor>",
        "12:18: steps[0].match: 'Minor' is not a valid variable name: lower-case letters, digits and _",
    ),
    (
        "a-{arch}-",
        "a-{arc}-",
        "14:18: steps[1].match: {arc} is unknown here; did you mean 'arch'?",
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
        "12:20: steps[0].product: is not an option of listing; it takes match, order",
    ),
    (
        "- listing: '{site}/'",
        "- listing: '{site}/'\n          order: '{x}'",
        "12:18: steps[0].order: {x} is unknown here",
    ),
    ("- listing: '{site}/'", "- listing: [a]", "11:20: steps[0].listing: must be a text, not a list"),
    ("- listing: '{site}/'", "- listing:", "11:11: steps[0]: must have exactly one of"),
    ("build_date: '{version}'", "build_date: '{day}'", "15:19: build_date: {day} is unknown here"),
    ("build_date: '{version}'", "version: '{day}'", "15:16: version: {day} is unknown here"),
    ("build_date: '{version}'", "url: '{day}/a'", "15:12: url: {day} is unknown here"),
    ("build_date: '{version}'", "exclude: ['1', '(']", "15:22: exclude[1]: '(' is not a regular expression"),
    ("build_date: '{version}'", "prereleases: maybe", "15:20: prereleases: must be true or false, not a text"),
    ("build_date: '{version}'", "buildate: x", "15:7: buildate: unknown field; did you mean 'build_date'?"),
    ("build_date: '{version}'", "zzz: x", "15:7: zzz: unknown field; known are use, variables, steps, url, version,"),
    (
        "checksum: {url: '{url}.sums'}",
        "checksum: {url: '{x}.sums'}",
        "16:23: checksum.url: {x} is unknown here",
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
    (", url: '{checksum_url}.asc'", "", "17:18: signature: detached needs url, where the signature is; add it"),
    (
        "{checksum_url}.asc",
        "{checksum}.asc",
        "17:56: signature.url: {checksum} is unknown here; did you mean 'checksum_url'?",
    ),
    (
        "'" + "AB" * 20 + "'",
        "'1234'",
        "17:84: signature.keys[0]: must be the whole fingerprint of a primary key: 40 or 64 digits",
    ),
    ("'" + "AB" * 20 + "'", "['{key}']", "17:85: signature.keys[0]: {key} is unknown here"),
    (", keys: '" + "AB" * 20 + "'", "", "17:18: signature: needs keys, who may sign; add them, or 'policy: none'"),
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
        "over: checksum",
        "over: checksum, max_age: 0",
        "17:60: signature.max_age: must be more than 0",
    ),
    ("over: checksum", "over: checksum, max_age: soon", "17:60: signature.max_age: must be a whole number"),
    (
        "checksum: {url: '{url}.sums'}",
        "checksum: {url: '{url}.sums', algorithm: md5}",
        "16:48: checksum.algorithm: md5 can be forged, so a signature over it does not vouch for the image",
    ),
    (
        "over: checksum",
        "over: index",
        "17:41: signature.over: the last step (checksum-file) reads no index that has digests; json, simplestreams,",
    ),
    (
        "- listing: '{site}/'",
        "- listing: '{site}/'\n          signature: {kind: detached}",
        "12:22: steps[0].signature: is not an option of listing; it takes match, order",
    ),
    (
        "- listing: '{site}/'\n",
        "- pointer: '{site}/'\n          signature: {kind: detached, url: 'x', keys: 'AB'}\n",
        "12:44: steps[0].signature.url: is not a URL; it must begin with https://, http://, file:// or a placeholder",
    ),
    (
        "kind: detached",
        "foo: x, kind: detached",
        "17:19: signature.foo: unknown field; known are kind, url, keys, policy, over, max_age",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), MISTAKES, ids=range(len(MISTAKES)))
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    said = complaints(tmp_path, DEFINITION + GOOD.replace(old, new, 1))
    assert said
    assert [line for line in said if line.startswith(expected)], said


def test_values_that_yaml_would_change(tmp_path: Path) -> None:
    text = "    resolve: {steps: [{static: {version: %s}}], url: 'https://x/a'}\n"
    assert complaints(tmp_path, DEFINITION + text % "5") == []
    assert "and so would take 1.1 and 1.10 for the same" in complaints(tmp_path, DEFINITION + text % "1.10")[0]
    assert (
        "means true in YAML"
        in complaints(tmp_path, DEFINITION + text.replace("{version", "{version: '1', file") % "yes")[0]
    )


def test_sizes_are_told_with_their_place(tmp_path: Path) -> None:
    text = DEFINITION.replace("versions: []", "versions: [{version: '1', url: 'https://x/1', size: 0, signed_by: ab}]")
    assert complaints(tmp_path, text) == [
        "5:57: A: versions[0].size: must be more than 0",
        "5:71: A: versions[0].signed_by: 'ab' is not a fingerprint: 40 or 64 hexadecimal digits",
    ]


def test_an_index_without_digests_is_told_with_its_place(tmp_path: Path) -> None:
    """Its signature would vouch for nothing."""
    text = """\
    resolve:
      steps: [{json: 'https://x/', fields: {url: u, version: v}}]
      signature: {kind: detached, over: index, url: 'https://x/s', keys: '%s'}
""" % ("AB" * 20)
    assert complaints(tmp_path, DEFINITION + text) == [
        "8:41: signature.over: the index has no digests, so its signature does not vouch for the image; add fields: "
        "checksum"
    ]
    assert complaints(tmp_path, DEFINITION + text.replace("version: v", "version: v, checksum: c")) == []
