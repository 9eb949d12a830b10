"""docs/architecture.md and its picture are about the folders that there are."""

from __future__ import annotations

import re
import runpy
from pathlib import Path

import pytest

import openstack_image_manager

ROOT = Path(__file__).parents[3]
PACKAGE = Path(openstack_image_manager.__file__).parent
SCRIPT = runpy.run_path(str(ROOT / "script" / "architecture-docs"))
PAGES = ("docs/architecture.md", "CONTRIBUTING.md")


def test_the_picture_is_up_to_date() -> None:
    written = (ROOT / "docs" / "pictures" / "folders.svg").read_text(encoding="utf-8")
    assert written == SCRIPT["picture"](), "run script/architecture-docs"


def test_a_folder_is_above_all_that_it_imports() -> None:
    needs = SCRIPT["arrows"]()
    floors = SCRIPT["floors"](needs)
    assert all(floors[name] > floors[other] for name, others in needs.items() for other in others)
    assert SCRIPT["direct"]({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == {"a": {"b"}, "b": {"c"}, "c": set()}


@pytest.mark.parametrize("page", PAGES)
def test_the_files_that_are_named_exist(page: str) -> None:
    names = re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|yml|md)|(?:script|tests)/[\w./-]+)`", (ROOT / page).read_text())
    places = [PACKAGE, ROOT, *(path for path in PACKAGE.iterdir() if path.is_dir())]
    assert len(names) > 10
    assert [name for name in names if not any((place / name).exists() for place in places)] == []
