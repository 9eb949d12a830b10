"""A wrong field of an image or of a version: its place, what is wrong, and the remedy."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.support.definition_files import HEAD, NOT_A_URL, TAIL, read, refused

# The definition is valid but for one line; the complaint is its place and words.
FIELD_COMPLAINTS = [
    ("    mindisk: 3\n", "5: A: mindisk: unknown field; did you mean 'min_disk'?"),
    ("    zzz: 3\n", "5: A: zzz: unknown field; properties of the image go below meta"),
    ("    checksum: x\n", "5: A: checksum: belongs to a version, not to the image"),
    ("    min_disk: x\n", "15: A: min_disk: must be a whole number, not a text"),
    ("    min_disk: 1.5\n", "15: A: min_disk: must be a whole number, not the number 1.5"),
    ("    min_disk: -1\n", "15: A: min_disk: must be 0 or more"),
    ("    min_disk: yes\n", "15: A: min_disk: must be a whole number, not true"),
    ("    min_disk: [1]\n", "15: A: min_disk: must be a whole number, not a list"),
    ("    min_ram: 2147483648\n", "14: A: min_ram: must be 2147483647 or less"),
    ("    min_disk: 2024-01-01\n", "15: A: min_disk: must be a whole number, not a date"),
    ("    min_disk:\n", "5: A: min_disk: is empty; give it a value or remove the line"),
    ("    min_disk: 010\n", "15: A: min_disk: 010 means 8 in YAML; write 8"),
    ("    keep: maybe\n", "11: A: keep: must be true or false, not a text"),
    ("    keep: 0\n", "11: A: keep: must be true or false, not the number 0"),
    ("    keep: {a: 1}\n", "11: A: keep: must be true or false, not a mapping"),
    ("    status: activ\n", "13: A: status: must be one of active, deactivated; did you mean 'active'?"),
    ("    status: 3\n", "13: A: status: must be one of active, deactivated"),
    ("    status: [3]\n", "13: A: status: must be one of active, deactivated"),
    ("    login: no\n", "12: A: login: no without quotes means false in YAML; put it in quotes: login: 'no'"),
    ("    login: {}\n", "12: A: login: must be a text, not a mapping"),
    (
        "    login: 0x10\n",
        "12: A: login: 0x10 without quotes is the number 16 to YAML; put it in quotes: login: '0x10'",
    ),
    ("    login: !x a\n", "12: A: login: the tag !x is not allowed; remove it"),
    ("    login: !!binary YQ==\n", "12: A: login: the tag !!binary is not allowed; remove it"),
    ("    login: !!python/object:x {}\n", "12: A: login: the tag !!python/object:x is not allowed; remove it"),
    ("    login: !!int x\n", "12: A: login: x is not a valid number; correct it, or put it in quotes: login: 'x'"),
    (
        "    password: 007\n",
        "15: A: password: this without quotes is a number to YAML; put it in quotes: password: '…'",
    ),
    (
        "    password: 1_000\n",
        "15: A: password: this without quotes is a number to YAML; put it in quotes: password: '…'",
    ),
    ("    separator:\n", "5: A: separator: is empty; give it a value or remove the line"),
    ("    tags: x\n", "11: A: tags: must be a list, not a text"),
    ("    tags: ['']\n", "12: A: tags[0]: must not be empty"),
    ("    tags: [a, [b]]\n", "15: A: tags[1]: must be a text, not a list"),
    ("    tags: [yes]\n", "12: A: tags[0]: yes without quotes means true in YAML; put it in quotes: the value: 'yes'"),
    ("    tags: [" + "x" * 256 + "]\n", "12: A: tags[0]: has 256 characters, at most 255 can be"),
    ("    tags: !x [a]\n", "11: A: tags: the tag !x is not allowed; remove it"),
    ("    meta: x\n", "11: A: meta: must be a mapping of keys to values, not a text"),
    ("    meta: [x]\n", "11: A: meta: must be a mapping of keys to values, not a list"),
    ("    meta: !x {a: b}\n", "11: A: meta: the tag !x is not allowed; remove it"),
    ("    meta: {a: [x]}\n", "15: A: meta.a: must be a text, not a list"),
    ("    meta: {a: {x: y}}\n", "15: A: meta.a: must be a text, not a mapping"),
    ("    meta: {'': x}\n", "16: A: meta.: must not be empty"),
    ("    meta: {[a]: x}\n", "12: A: meta: a key must be a text"),
    ("    meta: {a: 1, a: 2}\n", "18: A: meta.a: 'a' stands here a second time; first at 4:12"),
    ("    meta: {a: 010}\n", "15: A: meta.a: 010 without quotes is the number 8 to YAML; put it in quotes: a: '010'"),
    ("    meta: {a: 1_0}\n", "15: A: meta.a: 1_0 without quotes is the number 10 to YAML; put it in quotes: a: '1_0'"),
    (
        "    meta: {a: 10:30}\n",
        "15: A: meta.a: 10:30 without quotes is the number 630 to YAML; put it in quotes: a: '10:30'",
    ),
    (
        "    meta: {a: 24.10}\n",
        "15: A: meta.a: 24.10 without quotes is the number 24.1 to YAML; put it in quotes: a: '24.10'",
    ),
    (
        "    meta: {a: .inf}\n",
        "15: A: meta.a: .inf without quotes is the number inf to YAML; put it in quotes: a: '.inf'",
    ),
    ("    meta: {a: " + "1" * 101 + "}\n", "15: A: meta.a: this number is too long; put it in quotes: a: '…'"),
    (
        "    meta: {a: 2024-13-01}\n",
        "15: A: meta.a: 2024-13-01 is not a valid date; correct it, or put it in quotes: a: '2024-13-01'",
    ),
    (
        "    meta: {a: 0001-01-01T00:00:00+23:00}\n",
        "15: A: meta.a: 0001-01-01T00:00:00+23:00 is not a valid date; correct it, or put it in quotes: "
        "a: '0001-01-01T00:00:00+23:00'",
    ),
    ("    meta: {<<: x}\n", "16: A: meta.<<: '<<' takes an alias of a mapping or a list of such aliases"),
    ("    meta: &m {<<: *m}\n", "11: A: meta.<<: this mapping is merged into itself, or through too many others"),
    ("    meta: &m [*m]\n", "11: A: meta: must be a mapping of keys to values, not a list"),
    (
        "    meta: {uuid_validity: last-x}\n",
        "27: A: meta.uuid_validity: 'last-x' must be last-N with a whole number N from 1, such as last-3",
    ),
    (
        "    meta: {uuid_validity: last-0}\n",
        "27: A: meta.uuid_validity: 'last-0' must be last-N with a whole number N from 1, such as last-3",
    ),
    (
        "    latest_url: a.img\n",
        "17: A: latest_url: " + NOT_A_URL,
    ),
    ("    latest_url: 'http://u:secret@[x'\n", "17: A: latest_url: is a URL with a wrong host or port"),
    ("    latest_url: http://x:99999/\n", "17: A: latest_url: is a URL with a wrong host or port"),
    ("    latest_url: http:///x\n", "17: A: latest_url: is a URL with a wrong host or port"),
    ("    name: B\n", "5: A: name: 'name' stands here a second time; first at 2:5"),
    ("    members: shop\n", "14: A: members: must be a list, not a text"),
    (
        "    members: [{}]\n",
        "15: A: members[0]: names no one; write project: NAME, or domain: NAME for all projects of a domain",
    ),
    ("    members: [{projct: x}]\n", "16: A: members[0].projct: unknown field; did you mean 'project'?"),
    ("    members: [{x: y}]\n", "16: A: members[0].x: unknown field; a member has project and domain"),
    ("    stores: []\n", "13: A: stores: must not be empty"),
    (
        "    meta: {a: " + "ä" * 32_768 + "}\n",
        "15: A: meta.a: has 65536 bytes, Glance keeps at most 65535 of a property",
    ),
    ("    login: " + "x" * 65_536 + "\n", "12: A: login: has 65536 bytes, Glance keeps at most 65535 of a property"),
    (
        "    latest_url: http://x/" + "x" * 65_536 + "\n",
        "17: A: latest_url: has 65545 bytes, Glance keeps at most 65535 of a property",
    ),
    ("    min_ram: " + "9" * 5000 + "\n", "14: A: min_ram: this number is too long"),
    ("    min_ram: 2026-13-45\n", "14: A: min_ram: 2026-13-45 is not a valid date; correct it"),
    ("    min_ram: !!int x\n", "14: A: min_ram: x is not a valid number; correct it"),
    ("    " + "x" * 1000 + ": y\n", "5: A: " + "x" * 300 + "…: unknown field; properties of the image go below meta"),
    (
        "    meta: {? " + "x" * 5000 + " : y}\n",
        "5017: A: meta." + "x" * 295 + "…: has 5000 characters, at most 255 can be",
    ),
    (
        "    meta: {? " + "x" * 5000 + " : y, ? " + "x" * 5000 + " : y}\n",
        "5022: A: meta." + "x" * 295 + "…: '" + "x" * 1999 + "…",
    ),
]


@pytest.mark.parametrize(("line", "expected"), FIELD_COMPLAINTS)
def test_a_wrong_field_is_named_with_place_and_remedy(tmp_path: Path, line: str, expected: str) -> None:
    assert refused(tmp_path, HEAD + line + TAIL) == [f"a.yml:4:{expected}"]


VERSION_COMPLAINTS = [
    (
        "version: 1.10",
        "18: A: versions[0].version: YAML reads 1.10 as the number 1.1, and so would take 1.1 and "
        "1.10 for the same; put it in quotes: version: '1.10'",
    ),
    (
        "version: 1.1",
        "18: A: versions[0].version: YAML reads 1.1 as the number 1.1, and so would take 1.1 and "
        "1.10 for the same; put it in quotes: version: '1.1'",
    ),
    (
        "version: 0123",
        "18: A: versions[0].version: 0123 without quotes is the number 83 to YAML; put it in quotes: version: '0123'",
    ),
    (
        "version: yes",
        "18: A: versions[0].version: yes without quotes means true in YAML; put it in quotes: version: 'yes'",
    ),
    ("version: ''", "18: A: versions[0].version: must not be empty"),
    ("version:", "9: A: versions[0].version: is empty; give it a value or remove the line"),
    ("version: latest", "18: A: versions[0].version: version latest follows a checksum file; add checksums_url: URL"),
    (
        "build_date: 20240101",
        "21: A: versions[0].build_date: '20240101' is not a date; write YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)",
    ),
    (
        "build_date: '2024-02-30'",
        "21: A: versions[0].build_date: '2024-02-30' is not a date; write YYYY-MM-DD or YYYY-MM-DD hh:mm:ss (UTC)",
    ),
    (
        "checksum: xyz",
        "19: A: versions[0].checksum: 'xyz' is not a hexadecimal digest; write it like sha256:94e1e2c9…",
    ),
    (
        "checksum: abc",
        "19: A: versions[0].checksum: 'abc' names no known algorithm; use one of md5, sha1, sha224, sha256, "
        "sha384, sha512, like sha256:94e1e2c9…",
    ),
    ("checksum: md5:abc", "19: A: versions[0].checksum: a md5 digest has 32 digits, this one has 3"),
    ("id: 7", "13: A: versions[0].id: '7' is not a UUID like 6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"),
    ("login: x", "9: A: versions[0].login: belongs to the image, not to a version"),
    ("checksun: x", "9: A: versions[0].checksun: unknown field; did you mean 'checksum'?"),
    (
        "meta: {uuid_validity: last-}",
        "31: A: versions[0].meta.uuid_validity: 'last-' must be last-N with a whole number N from 1, such as last-3",
    ),
]


@pytest.mark.parametrize(("line", "expected"), VERSION_COMPLAINTS)
def test_a_wrong_version_is_named_with_place_and_remedy(tmp_path: Path, line: str, expected: str) -> None:
    fixed = "" if line.startswith("version") else "        version: '1'\n"
    text = f"{HEAD}    versions:\n      - url: https://x/1\n        {line}\n{fixed}"
    assert refused(tmp_path, text) == [f"a.yml:6:{expected}"]


VERSION = HEAD + "    versions:\n      - {version: %s, url: 'http://x/1', build_date: %s}\n"


@pytest.mark.parametrize(
    ("version", "build_date", "expected"),
    [
        (
            ".inf",
            "",
            "versions[0].version: .inf without quotes is the number inf to YAML; put it in quotes: version: '.inf'",
        ),
        (
            ".NaN",
            "",
            "versions[0].version: .NaN without quotes is the number nan to YAML; put it in quotes: version: '.NaN'",
        ),
        ("'1'", "2026-13-45", "versions[0].build_date: 2026-13-45 is not a valid date; correct it"),
    ],
)
def test_what_quotes_do_not_correct(tmp_path: Path, version: str, build_date: str, expected: str) -> None:
    (complaint,) = refused(tmp_path, VERSION % (version, build_date or "2026-01-02"))
    assert complaint.partition(": A: ")[2] == expected


def test_a_long_name_is_not_repeated_in_full(tmp_path: Path) -> None:
    (complaint,) = refused(tmp_path, HEAD.replace("A", "A" * 7_000_000, 1) + TAIL)
    assert complaint.endswith("…: name: has 7000000 characters, at most 255 can be")
    assert len(complaint) < 400


def test_more_than_glance_allows_by_default_is_a_warning(tmp_path: Path) -> None:
    def mapping(count: int, first: str = "a") -> str:
        return "{" + ", ".join(f"{first}{number}: b" for number in range(count)) + "}"

    many = "[" + ", ".join(f"t{number}" for number in range(129)) + "]"
    text = (
        HEAD
        + f"    tags: {many}\n    visibility: shared\n    members: {many}\n    meta: {mapping(117)}\n    versions:\n"
    )
    text += f"      - {{version: '1', url: 'http://x/1', meta: {mapping(1, 'b')}}}\n"
    text += "      - {version: '2', url: 'http://x/2', meta: {a0: null}}\n"
    allowed = "Glance allows 128 for an image, unless the cloud sets another limit"
    ours = f"properties, and this tool adds up to 12; {allowed}"
    assert [str(warning).partition(": A: ")[2] for warning in read(tmp_path, text).warnings] == [
        f"tags: has 129 tags; {allowed}",
        f"members: has 129 members; {allowed}",
        f"meta: has 117 {ours}",
        f"versions[0].meta: has 118 {ours}",
    ]
    assert read(tmp_path, HEAD + f"    meta: {mapping(116)}\n" + TAIL).warnings == ()
