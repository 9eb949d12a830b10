"""Whole files that are refused: no YAML, nothing in them, names and ids twice; and all complaints at once."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from tests.support.definition_files import HEAD, NOT_A_URL, TAIL, UBUNTU, read, refused

from openstack_image_manager.definitions.loader import DefinitionErrors, load

FORMATS = "aki, ari, ami, raw, iso, vhd, vhdx, vdi, qcow2, vmdk, ploop"
NAME = "images:\n  - format: raw\n    versions: []\n"
FILE_COMPLAINTS: list[tuple[str | bytes, str]] = [
    ("", "a.yml: contains no definitions"),
    ("# nothing\n", "a.yml: contains no definitions"),
    ("---\n", "a.yml: contains no definitions"),
    ("images:\n", "a.yml: contains no definitions"),
    ("{}", "a.yml: contains no definitions"),
    ("image: []\n", "a.yml:1:1: image: unknown field; did you mean 'images'?"),
    ("x: 1\nimages: []\n", "a.yml:1:1: x: unknown field"),
    ("- a\n", "a.yml:1:1: must be a mapping with 'images:' and a list of definitions"),
    ("images: {a: b}\n", "a.yml:1:9: images: must be a list: '- name: …' for each image"),
    ("!x {}\n", "a.yml:1:1: the tag !x is not allowed; remove it"),
    ("images: [a]\n", "a.yml:1:10: images[0]: must be a mapping that begins with '- name: …'"),
    ("images: &a [*a]\n", "a.yml:1:9: images[0]: must be a mapping that begins with '- name: …'"),
    (NAME, "a.yml:2:5: images[0].name: is missing; add it"),
    (NAME + "    name: ''\n", "a.yml:4:11: images[0].name: must not be empty"),
    (NAME + "    name: [a]\n", "a.yml:4:11: images[0].name: must be a text, not a list"),
    (NAME + "    name: ' a'\n", "a.yml:4:11:  a: name: begins or ends with a blank; remove it"),
    (NAME + '    name: "a\\e\\nb"\n', "a.yml:4:11: a\\x1b\\nb: name: contains an invisible character; remove it"),
    (NAME + f"    name: {'n' * 256}\n", f"a.yml:4:11: {'n' * 256}: name: has 256 characters, at most 255 can be"),
    (HEAD, "a.yml:2:5: A: versions: is missing; add it"),
    (HEAD + "    versions: x\n", "a.yml:4:15: A: versions: must be a list, not a text"),
    (HEAD + "    versions: [x]\n", "a.yml:4:16: A: versions[0]: must be a mapping of fields to values, not a text"),
    (b"images:\n - \xff\n", "a.yml:2:4: byte 0xff at offset 11 is not UTF-8; save the file as UTF-8"),
    ("images:\n \x00\n", "a.yml:2:2: control character U+0000 is not allowed; remove it"),
    ("images:\n\t- a: b\n", "a.yml:2:1: line 2 is indented with a tab; YAML allows only spaces"),
    (
        "a: b: c\n",
        "a.yml:1:5: not valid YAML: a ': ' where none can be; check the indentation, and quote texts that hold ': '",
    ),
    ("images: *x\n", "a.yml:1:9: not valid YAML: no anchor of this name stands before this alias"),
    (
        "images: [\n",
        "a.yml:2:1: not valid YAML: did not find expected node content (while parsing a flow node at line 2)",
    ),
    (
        "--- {}\n--- {}\n",
        "a.yml:2:1: not valid YAML: a second document begins here; a file holds only one, "
        "so remove this '---' or split the file",
    ),
    ("[" * 900, "a.yml:1:100: nested deeper than 100 levels"),
    ("- " * 10_000, "a.yml:1:199: nested deeper than 100 levels"),
    (b"#" * (8 * 1024**2 + 1), "a.yml: has 8.0 MiB, at most 8 MiB can be read; split it"),
]


@pytest.mark.parametrize(("text", "expected"), FILE_COMPLAINTS, ids=range(len(FILE_COMPLAINTS)))
def test_a_wrong_file_is_one_line(tmp_path: Path, text: str | bytes, expected: str) -> None:
    assert refused(tmp_path, text) == [expected]


def test_nesting_that_the_parser_itself_gives_up(tmp_path: Path) -> None:
    (complaint,) = refused(tmp_path, "[" * 10_000)
    assert complaint.endswith("nested deeper than 100 levels")


def test_all_complaints_come_at_once_in_the_order_of_files_and_lines(tmp_path: Path) -> None:
    one = HEAD.replace("raw", "row") + "    mindisk: 1\n" + TAIL.replace("https:", "gopher:")
    assert refused(tmp_path, "x: [", one, one.replace("A", "B")) == [
        "a.yml:2:1: not valid YAML: did not find expected node content (while parsing a flow node at line 2)",
        "b.yml:3:13: A: format: must be one of " + FORMATS + "; did you mean 'raw'?",
        "b.yml:4:5: A: mindisk: unknown field; did you mean 'min_disk'?",
        "b.yml:7:14: A: versions[0].url: " + NOT_A_URL,
        "c.yml:3:13: B: format: must be one of " + FORMATS + "; did you mean 'raw'?",
        "c.yml:4:5: B: mindisk: unknown field; did you mean 'min_disk'?",
        "c.yml:7:14: B: versions[0].url: " + NOT_A_URL,
    ]


def versions(*lines: str) -> str:
    return "    versions:\n" + "".join(f"      - {{url: 'https://x/1', {line}}}\n" for line in lines)


def test_what_must_be_unique_names_both_places(tmp_path: Path) -> None:
    uuid = "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
    sums = "checksums_url: 'https://x/S'"
    first = HEAD + versions("version: '1'", "version: '1'", f"version: latest, {sums}", f"version: latest, {sums}")
    second = HEAD + versions(f"version: '2', id: {uuid}")
    third = HEAD.replace("A", "B") + versions(f"version: '3', id: {uuid.upper()}")
    place = f"{tmp_path}{os.sep}"
    with pytest.raises(DefinitionErrors) as caught:
        read(tmp_path, first, second, third)
    assert str(caught.value).splitlines() == [
        f"{place}a.yml:6:39: A: versions[1].version: this version is already defined at {place}a.yml:5:39",
        f"{place}a.yml:8:39: A: versions[3].version: only one version can be latest; "
        f"the first stands at {place}a.yml:7:39",
        f"{place}b.yml:2:11: A: name: this image is already defined at {place}a.yml:2:11",
        f"{place}c.yml:5:48: B: versions[0].id: this id is already used at {place}b.yml:5:48",
    ]


def image(name: str, multi: bool, *builds: str) -> str:
    lines = "".join(f"      - {{version: '{build}', url: 'https://x/1'}}\n" for build in builds)
    return f"  - name: {name}\n    format: raw\n    multi: {str(multi).lower()}\n    versions:\n{lines}"


@pytest.mark.parametrize(
    ("images", "expected"),
    [
        (image("A 1", True, "9", "10") + image("A", False, "1"), "12:9: A: versions[0]"),
        (image("A", True, "9", "10") + image("A", True, "x").replace("A", "A (9)"), "12:9: A (9): versions[0]"),
        (image("A", False, "1 2") + image("A 1", False, "2"), "11:9: A 1: versions[0]"),
    ],
)
def test_two_images_of_one_name_in_glance(tmp_path: Path, images: str, expected: str) -> None:
    (line,) = refused(tmp_path, "images:\n" + images)
    assert line.startswith(f"a.yml:{expected}: another image gets the same name, from ")


def test_a_former_name_leads_to_one_definition(tmp_path: Path) -> None:
    def named(name: str, former: str) -> str:
        return image(name, True, "1").replace("    format", f"    former_names: {former}\n    format")

    text = "images:\n" + named("A", "[B, C, D, B]") + named("C", "[A, D]")
    assert refused(tmp_path, text) == [
        "a.yml:3:29: A: former_names[3]: this former name is already used at a.yml:3:20",
        "a.yml:8:11: C: name: is a former name of the image at a.yml:3:23; take it out there",
        "a.yml:9:20: C: former_names[0]: is the name of the image at a.yml:2:11; rename that one, or remove this line",
        "a.yml:9:23: C: former_names[1]: this former name is already used at a.yml:3:26",
    ]


def test_equal_versions_of_different_images_do_not_collide(tmp_path: Path) -> None:
    text = "images:\n" + image("A", True, "9", "10") + image("B", True, "9", "10") + image("C", False, "9")
    assert len(read(tmp_path, text).definitions) == 3


def test_a_dated_name_can_be_too_long(tmp_path: Path) -> None:
    name = "n" * 250
    read(tmp_path, "images:\n" + image("n" * 248, True, "9", "2024"))
    assert refused(tmp_path, "images:\n" + image(name, False, "2024-1")) == [
        f"a.yml:6:9: {name}: versions[0]: the image's name would have 257 characters, at most 255 can be"
    ]


def test_an_unreadable_file_is_a_complaint(tmp_path: Path) -> None:
    (tmp_path / "b.yml").symlink_to(tmp_path / "nowhere")
    (tmp_path / "a.yml").write_text(UBUNTU)
    with pytest.raises(DefinitionErrors, match=r"b\.yml: cannot be read: No such file or directory"):
        load(str(tmp_path))


def test_ftp_is_warned_of_and_stops_nothing_else(tmp_path: Path) -> None:
    urls = "    versions:\n      - version: '1'\n        url: FTP://h/1\n        checksums_url: ftp://h/S\n"
    loaded = read(tmp_path, HEAD + "    latest_url: ftp://h/l\n" + urls)
    advice = "ftp is not supported and cannot be downloaded; use https"
    assert [str(warning).removeprefix(f"{tmp_path}/") for warning in loaded.warnings] == [
        f"a.yml:4:17: A: latest_url: {advice}",
        f"a.yml:7:14: A: versions[0].url: {advice}",
        f"a.yml:8:24: A: versions[0].checksums_url: {advice}",
    ]
