"""Values that Glance or the planner could do nothing with: refused with their place."""

from __future__ import annotations

import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.support.definition_files import HEAD, TAIL, read, refused

from openstack_image_manager.errors import Error
from openstack_image_manager.runs.planfile import read as read_plan

PLACE = "contains a character that Glance cannot store, such as an emoji; remove it"


def versions(*lines: str) -> str:
    return HEAD + "    versions:\n" + "".join(f"      - {{{line}, url: 'https://x/1'}}\n" for line in lines)


@pytest.mark.parametrize("name", ["hidden", "location", "locations", "deleted", "deleted_at", "direct_url", "self"])
def test_no_property_has_a_name_that_glance_reserves(tmp_path: Path, name: str) -> None:
    (complaint,) = refused(tmp_path, f"{HEAD}    meta: {{{name}: x}}\n{TAIL}")
    assert complaint.startswith(f"a.yml:4:{14 + len(name)}: A: meta.{name}: is not a valid property: ")


def test_characters_of_four_bytes(tmp_path: Path) -> None:
    text = f"{HEAD}    meta: {{a: 😀}}\n    tags: [😀]\n{TAIL}"
    assert refused(tmp_path, text) == [f"a.yml:4:15: A: meta.a: {PLACE}", f"a.yml:5:12: A: tags[0]: {PLACE}"]


@pytest.mark.parametrize(
    ("version", "complaint"),
    [
        ("1😀", PLACE),
        ("1\\n2", "contains an invisible character; remove it"),
        ("1\\u202e2", "contains an invisible character; remove it"),
        (" 1", "begins or ends with a blank; remove it"),
    ],
)
def test_a_version_is_a_part_of_a_name(tmp_path: Path, version: str, complaint: str) -> None:
    assert refused(tmp_path, versions(f'version: "{version}"')) == [f"a.yml:5:19: A: versions[0].version: {complaint}"]


def test_a_separator_is_a_part_of_a_name(tmp_path: Path) -> None:
    text = f'{HEAD}    separator: "😀"\n{TAIL}'
    assert refused(tmp_path, text) == [f"a.yml:4:16: A: separator: {PLACE}"]


@pytest.mark.parametrize(("one", "other"), [("1.0", "1.00"), ("1", "01"), ("24.04", "24.4")])
def test_no_two_versions_compare_equal(tmp_path: Path, one: str, other: str) -> None:
    text = versions(f"version: '{one}'", f"version: '{other}'")
    (complaint,) = refused(tmp_path, text)
    assert re.match(r"a.yml:6:19: A: versions\[1\].version: is neither older nor newer than the version at", complaint)


def test_a_version_of_5000_digits(tmp_path: Path) -> None:
    text = versions(f"version: '{'9' * 5000}'")
    assert refused(tmp_path, text) == ["a.yml:5:19: A: versions[0].version: has 5000 characters, at most 255 can be"]


def test_a_promise_of_5000_digits(tmp_path: Path) -> None:
    (complaint,) = refused(tmp_path, f"{HEAD}    meta: {{uuid_validity: last-{'9' * 5000}}}\n{TAIL}")
    assert complaint.startswith("a.yml:4:27: A: meta.uuid_validity: 'last-999")
    assert "must be last-N" in complaint


def test_one_version_at_least_is_not_withdrawn(tmp_path: Path) -> None:
    (complaint,) = refused(tmp_path, versions("version: '1', withdrawn: true", "version: '2', withdrawn: true"))
    assert complaint.startswith("a.yml:5:7: A: versions: all versions are withdrawn")
    assert read(tmp_path, versions("version: '1', withdrawn: true", "version: '2'")).definitions


@pytest.mark.parametrize("name", ["image_name", "internal_version", "image_source"])
def test_what_the_tool_sets_itself_has_no_effect(tmp_path: Path, name: str) -> None:
    loaded = read(tmp_path, versions(f"version: '1', meta: {{{name}: x}}"))
    assert any(f"versions[0].meta.{name}: has no effect" in str(warning) for warning in loaded.warnings)


def test_a_plan_file_that_is_nested_too_deeply(tmp_path: Path) -> None:
    (tmp_path / "p.plan").write_text('{"a":' * 5000)
    with pytest.raises(Error, match="is not a valid plan file"):
        read_plan(tmp_path / "p.plan")


TAGS = ["", "  ", "a,b", "x" * 256, "😀", "a\nb"]


@pytest.mark.parametrize(("command", "tag"), [*(("plan", tag) for tag in TAGS), ("status", ""), ("--cloud=x", "")])
def test_a_tag_that_no_image_can_have(command: str, tag: str) -> None:
    words = [sys.executable, "-m", "openstack_image_manager", command, "--tag", tag]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 2, done.stderr
    assert "--tag" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_error(tmp_path: Path, closed: str) -> None:
    (tmp_path / "a.yml").write_text(HEAD + TAIL)
    line = f'"$0" -m openstack_image_manager validate --images a.yml {closed}'
    words = ["sh", "-c", line, sys.executable]
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=100, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_a_build_of_the_future_is_refused(tmp_path: Path) -> None:
    """It would never be overdue, and fail the conformance test. Today is allowed, also at a later hour."""
    today = datetime.now(UTC).date()
    later = today + timedelta(2)

    def built(day: object, time: str = "") -> str:
        version = f"{{version: '1', url: 'https://x/1', build_date: {day}{time}}}"
        return f"{HEAD}    meta: {{image_build_date: '{day}'}}\n    versions: [{version}]\n"

    assert [line.split(": ", 1)[1] for line in refused(tmp_path, built(later))] == [
        f"{place}: '{later}' is in the future; write the day of the build (UTC)"
        for place in ("A: meta.image_build_date", "A: versions[0].build_date")
    ]
    assert read(tmp_path, built(today, " 23:59")).definitions
