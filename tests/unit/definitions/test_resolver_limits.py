"""Resolvers of people who are not trusted: what takes too much memory or time is refused, and where it stands."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.resolver_files import DEFINITION, GOOD, complaints

from openstack_image_manager.definitions.resolvers import limits, placeholders
from openstack_image_manager.definitions.resolvers.shipped import shipped
from openstack_image_manager.errors import Error, VerificationError

STEP = "    resolve: {steps: [{pointer: 'http://h/x', match: '%s'}], url: 'http://h/{version}'}\n"
TENFOLD = "".join(f"        a{n}: '{f'{{a{n - 1}}}' * 10}'\n" for n in range(1, 9))
# Each of them took gigabytes or minutes before there were limits.
BOMBS = {
    "counted": STEP % "(?P<version>a{100000000})",
    "nested": STEP % "(?P<version>((((a{100}){100}){100}){100}))",
    "at least": STEP % "(?P<version>[ab]{100000000,})",
    "alternatives": STEP % f"(?P<version>{'|'.join('a' * n for n in range(1, 3000))})",
    "variables": "    resolve:\n      variables:\n        a0: '0123456789'\n"
    + TENFOLD
    + "      steps: [{static: {version: '{a8}'}}]\n      url: http://h/{version}\n",
}
ALONE = """\
import resource, sys
resource.setrlimit(resource.RLIMIT_AS, (1 << 29, 1 << 29))
from openstack_image_manager.cli.start import main
main()
"""


@pytest.mark.parametrize("name", BOMBS)
def test_validate_refuses_in_little_time_and_memory(tmp_path: Path, name: str) -> None:
    """In half a GiB of addresses, most of which libraries take, and in some seconds."""
    (tmp_path / "a.yml").write_text(DEFINITION + BOMBS[name])
    ran = subprocess.run(
        [sys.executable, "-c", ALONE, "validate", str(tmp_path / "a.yml")],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ran.returncode == 1
    assert re.match(rf"{tmp_path}/a\.yml:\d+:\d+: A: resolve\.(steps\[0\]\.match|variables\.a\d): ", ran.stderr), ran
    assert "Traceback" not in ran.stderr
    assert ran.stderr.count("\n") == 2
    assert len(ran.stderr) < 1000


LONG = "x" * (limits.VALUE + 1)
TOO_MUCH = [
    (
        "[0-9]{8}",
        "[0-9]{1001}",
        r"14:18: steps[1].match: 'a-x-(?P<version>[0-9]{1001})[.]img' has 1009 characters with its repeats such as {8} "
        "written out, a regular expression has at most 1000; write + or * for many",
    ),
    ("[0-9]{8}", "x" * 990, "14:18: steps[1].match: 'a-x-(?P<version>xxxx"),
    ("site: https://x", f"site: 'https://{LONG}'", "8:15: variables.site: has 4105 characters, at most 4096 can be"),
    ("'{version}'", f"'{LONG}'", "15:19: build_date: has 4097 characters, at most 4096 can be"),
    (
        "      steps:\n",
        "      steps:\n" + "        - listing: '{site}/'\n          match: x\n" * 9,
        "11:9: steps: has 11 entries, at most 10 can be",
    ),
    (
        "{x86_64: amd64}",
        "{" + ", ".join(f"a{number}: b" for number in range(101)) + "}",
        "9:42: variables.arch.values: has 101 entries, at most 100 can be",
    ),
    (
        "      build_date",
        "      exclude: [" + ", ".join(["x"] * 101) + "]\n      build_date",
        "15:16: exclude: has 101 entries, at most 100 can be",
    ),
    (
        "{x86_64: amd64}",
        f"{{? {LONG}\n          : b}}",
        "9:42: variables.arch.values: has a key of 4097 characters, at most 4096 can be",
    ),
    (
        "site: https://x",
        f"site: https://x\n        {'n' * 65}: y",
        f"9:76: variables.{'n' * 65}: '{'n' * 65}' is ",
    ),
    (
        "site: https://x",
        f"a: '{'y' * 4000}'\n        b: '{{a}}{{a}}'\n        site: https://x{{b}}",
        "9:12: variables.b: '{a}{a}' is longer than 4096 characters with its values",
    ),
]


@pytest.mark.parametrize(("old", "new", "expected"), TOO_MUCH, ids=range(len(TOO_MUCH)))
def test_what_is_too_much_is_told_with_its_place(tmp_path: Path, old: str, new: str, expected: str) -> None:
    assert old in GOOD
    said = complaints(tmp_path, DEFINITION + GOOD.replace(old, new, 1))
    assert [line for line in said if line.startswith(expected)], said


def test_web_addresses_after_a_local_file(tmp_path: Path) -> None:
    text = DEFINITION + GOOD.replace("'{site}/'", "FILE:///srv/", 1)
    assert complaints(tmp_path, text) == []
    said = complaints(tmp_path, text.replace("'{site}/{minor}", "'https://x/{minor}"))
    reason = "comes after a step that reads a file of this machine; what is in it could leave this machine"
    assert said == [f"13:26: steps[1].checksum-file: {reason}"]
    said = complaints(tmp_path, text.replace("      checksum:", "      url: http://x/{file}\n      checksum:"))
    assert said == [f"16:12: url: {reason}"]
    assert (
        complaints(tmp_path, DEFINITION + GOOD.replace("      checksum:", "      url: file:///x\n      checksum:"))
        == []
    )


def test_as_much_as_is_allowed(tmp_path: Path) -> None:
    for old, new in (
        ("[0-9]{8}", "[0-9]{992}"),
        ("site: https://x", f"site: 'https://{'x' * 4088}'"),
        ("steps:\n", "steps:\n" + "        - listing: '{site}/'\n          match: x\n" * 8),
        ("{x86_64: amd64}", "{x86_64: amd64, " + ", ".join(f"a{number}: b" for number in range(99)) + "}"),
        ("site: https://x", f"site: https://x\n        {'n' * 64}: y"),
    ):
        assert complaints(tmp_path, DEFINITION + GOOD.replace(old, new, 1)) == []


def test_not_more_is_told_of_one_resolver_than_somebody_reads(tmp_path: Path) -> None:
    wrong = "".join(f"        - listing: '{{nothing{number}}}'\n          match: x\n" for number in range(8))
    assert len(complaints(tmp_path, DEFINITION + GOOD.replace("steps:\n", "steps:\n" + wrong, 1))) == 8
    many = "        - static: {" + ", ".join(f"a{number}: '{{b{number}}}'" for number in range(50)) + "}\n"
    assert len(complaints(tmp_path, DEFINITION + GOOD.replace("steps:\n", "steps:\n" + many, 1))) == 20


@pytest.mark.parametrize(
    ("text", "length"),
    [
        ("", 1),
        ("a{1000}", 1000),
        ("(?:a|b){500}", 1000),
        ("(a{10}){100}", 1000),
        ("a{0,1000}", 1000),
        ("a{1000,}", 1000),
        ("(?:a{1,10}?){100}", 1000),
        ("(?>a{500}){2}", 1000),
        ("(?=a{500})(?!a{500})", 1000),
        (r"(a)?(?(1)b{499}|c{500})", 1000),
        (r"[a-z\d]{499}\d*(?i:x)", 1000),
        # Characters and numbers of groups that are equal to numbers in Python's parser.
        ("[+-9]{1000}", 1000),
        ("[!-9]", 1),
        ("(a)" * 60, 60),
        ("(" * 50 + "a{1000}" + ")" * 50, 1000),
    ],
)
def test_repeats_count_as_if_they_were_written_out(text: str, length: int) -> None:
    assert limits.groups(text) == []
    rest = f"x{{{limits.PATTERN - length + 1}}}"
    with pytest.raises(Error, match=r"has 1001 characters with its repeats such as \{8\} written out"):
        limits.groups(f"(?:{text}|{rest})")


# What only the library regex knows; the first three take all memory, and no limit of time stops that in time.
@pytest.mark.parametrize(
    "text",
    ["(?R)|a", "(?P<x>(?&x)?a)", "(a?(?1))", "(?P<x>(?P>x)a)", r"\L<a>", "(?|a)", "(?V1)a", "(?e)a", r"\X", "a{2}{3}"],
)
def test_there_is_no_recursion(text: str) -> None:
    with pytest.raises(Error, match=f"^'{re.escape(text)}' is not a regular expression: "):
        placeholders.pattern(text, {})


def test_values_in_patterns_count_too() -> None:
    assert placeholders.pattern("{a}", {"a": "a" * 1000}).fullmatch("a" * 1000)
    for text, value in (("{a}", "a" * 1001), ("{a}", "." * 501), ("x{a}{a}", "a" * 500)):
        with pytest.raises(Error, match=rf"^'{re.escape(text)}' is longer than 1000 characters with its values$"):
            placeholders.pattern(text, {"a": value})
    assert placeholders.fill("{a}{a}", {"a": "a" * 2048}) == "a" * 4096
    with pytest.raises(Error, match=r"'x\{a\}\{a\}' is longer than 4096 characters with its values"):
        placeholders.fill("x{a}{a}", {"a": "a" * 2048})


_CHARACTERS = st.characters(min_codepoint=1, max_codepoint=0x2FF).map(re.escape)
_RANGES = st.tuples(st.integers(1, 0x2FF), st.integers(1, 0x2FF)).map(
    lambda ends: f"[{re.escape(chr(min(ends)))}-{re.escape(chr(max(ends)))}]"
)
EXPRESSIONS = st.recursive(
    st.one_of(_CHARACTERS, _RANGES, st.sampled_from([r"\d", r"[^+-9]", ".", "^", "$", "(?!)", ""])),
    lambda part: st.one_of(
        part.map(lambda text: f"({text})"),
        part.map(lambda text: f"(?:{text})"),
        part.map(lambda text: f"(?>{text})"),
        part.map(lambda text: f"(?={text})"),
        st.tuples(part, part).map("|".join),
        st.lists(part, max_size=4).map("".join),
        st.tuples(part, st.integers(1, 60)).map(lambda some: f"({some[0]})" * some[1]),
        st.tuples(part, st.integers(1, 60)).map(lambda some: "(" * some[1] + some[0] + ")" * some[1]),
        st.tuples(part, st.sampled_from(["*", "+?", "?", "{2}", "{1,3}", "{3,}"])).map(
            lambda some: f"(?:{some[0]}){some[1]}"
        ),
    ),
    max_leaves=12,
)


@given(EXPRESSIONS)
def test_a_legal_expression_is_taken_or_refused_with_a_message(text: str) -> None:
    re.compile(text, re.ASCII)
    try:
        names = list(placeholders.pattern(text, {}).groupindex)
    except Error as error:
        assert "characters" in str(error) or "is not a regular expression: " in str(error)  # noqa: PT017
    else:
        assert names == []


@given(st.text(st.sampled_from("ab(|)[]{}1,9?*+.\\d^$:P<>=!-"), max_size=30))
def test_whatever_is_taken_compiles_at_once(text: str) -> None:
    with suppress(Error):
        names = limits.groups(text)
        assert names == list(placeholders.pattern(text, {}).groupindex)


def test_a_build_of_many_long_values_is_refused() -> None:
    limits.check_build("n" * 4, {"a": "a" * (limits.BUILD - 8), "b": "bbbb"})
    with pytest.raises(VerificationError, match="gives 16385 characters for one build, at most 16384 can be"):
        limits.check_build("n" * 5, {"a": "a" * (limits.BUILD - 8), "b": "bbbb"})


def test_shipped_resolvers_are_far_from_all_limits() -> None:
    for resolver in shipped().resolvers.values():
        assert list(limits.problems(resolver.model_dump(exclude_unset=True))) == []
        patterns = [text for step in resolver.steps for text in (step.match, step.tag, step.redirect) if text]
        assert all(len(text) < limits.PATTERN / 4 for text in patterns)
