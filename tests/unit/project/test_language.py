"""script/language finds each pattern that the project does not use, and nothing in plain English."""

from __future__ import annotations

import runpy
import subprocess
import sys
from fnmatch import fnmatch
from pathlib import Path

import pytest

ROOT = next(folder for folder in Path(__file__).parents if (folder / "pyproject.toml").exists())
SCRIPT = runpy.run_path(str(ROOT / "script" / "language"))
BAD = [
    "Three images stay in sight.",
    "A second run goes no further.",
    "This image is on its way out.",
    "The deletion is held back.",
    "The one that stands for the others.",
    "Its twin is deleted.",
    "A newer build has taken its place.",
    "An administrator takes the rollback back.",
    "The image is given away.",
    "The image is being imported already.",
    "The image is as it shall be.",
    "The quota can't be seen.",
    "Nobody knows the date.",
    "Stop it for whoever runs next.",
    "'ABC' is no fingerprint.",
    "The result is told line by line.",
    "Output format; give it again.",
    "Mend the file.",
    "All complaints have a position.",
    "A digest is to be had from the site.",
    "It stands beside the image.",
    "The image is uploaded anew.",
    "By then the run has ended.",
    "It is uploaded all the same.",
    "It fails for want of a digest.",
    "Five images, of which two are hidden.",
    "Another run may meanwhile change it.",
    "After the end of its support it is hidden.",
    "The site takes you back to an older build.",
    "Door to Glance.",
    "The plan. What differs is changed.",
    "Who deletes it loses it.",
]
GOOD = """# Image lifecycle

A run compares all images with the definitions. There is no state file, and the image is no longer changed.
What does a run do? Each definition succeeds or fails on its own. What to do with outdated images.

    Ubuntu 24.04: already up to date (abc)
"""


def found(text: str) -> list[str]:
    return [words for _, words, _ in SCRIPT["hits"](text)]


@pytest.mark.parametrize("line", BAD)
def test_a_bad_line_is_found(line: str) -> None:
    assert found(line)


def test_every_pattern_has_a_bad_line() -> None:
    text = "\n".join(BAD)
    assert [rule.pattern for rule, _ in SCRIPT["RULES"] if not rule.search(text)] == []


def test_plain_english_is_not_found() -> None:
    assert found(GOOD) == []


@pytest.mark.parametrize(
    "text",
    [
        '"leaves what is in "\n    f"sight"',
        "# an image out\n# of sight",
        "def out_of_sight() -> None:",
        '"""What it is."""',
    ],
)
def test_words_are_found_across_lines_strings_and_in_names(text: str) -> None:
    assert len(found(text)) == 1


@pytest.mark.parametrize(
    ("text", "code", "printed"),
    [("All is well.\n", 0, ""), ("One.\n\nMend it.\n", 1, "build/bad.md:3: “Mend” -> fix, correct\n")],
)
def test_the_script_names_file_line_and_replacement(tmp_path: Path, text: str, code: int, printed: str) -> None:
    (tmp_path / "script").mkdir()
    (tmp_path / "build").mkdir()
    program = tmp_path / "script" / "language"
    program.write_text((ROOT / "script" / "language").read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "build" / "bad.md").write_text(text, encoding="utf-8")
    run = subprocess.run(
        [sys.executable, program, tmp_path / "build"], check=False, capture_output=True, text=True, timeout=60
    )
    assert (run.returncode, run.stdout) == (code, printed)


def test_every_exception_has_a_reason_and_matches_a_file() -> None:
    paths = [
        str(path.relative_to(ROOT))
        for folder in ("src", "docs", "script", "tests")
        for path in (ROOT / folder).rglob("*")
    ]
    for name, _, reason in SCRIPT["EXCEPTIONS"]:
        assert reason
        assert any(fnmatch(path, name) for path in paths), f"{name}: no such file"
