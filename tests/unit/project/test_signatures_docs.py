"""docs/signatures.md: its tests exist, and its table has every shipped resolver."""

from __future__ import annotations

import re
from pathlib import Path

from openstack_image_manager.definitions.resolvers import shipped

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs" / "signatures.md").read_text(encoding="utf-8")


def section(title: str) -> str:
    return TEXT.split(f"## {title}\n")[1].split("\n## ")[0]


def test_each_attack_has_tests_that_exist() -> None:
    rows = [line for line in section("Attacks").splitlines() if line.startswith("| ")][1:]
    named = {name for row in rows for name in re.findall(r"`(test_\w+)`", row)}
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE)
    }
    assert named - there == set()
    untested = [row.split("|")[1].strip() for row in rows if "test_" not in row]
    assert untested == ["extraneous dependencies"]


def test_the_page_describes_the_signature_of_every_shipped_resolver() -> None:
    rows = [line for line in section("Signature coverage").splitlines() if line.startswith("| `")]
    named = [name for row in rows for name in re.findall(r"`([\w-]+)`", row.split("|")[1])]
    assert sorted(named) == sorted(shipped.shipped().resolvers)
    signed = {name for name, resolver in shipped.shipped().resolvers.items() if resolver.signature}
    told = {
        name
        for row in rows
        if row.split("|")[2].strip() != "nothing"
        for name in re.findall(r"`([\w-]+)`", row.split("|")[1])
    }
    assert told == signed
