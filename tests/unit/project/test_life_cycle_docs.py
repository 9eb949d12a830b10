"""The tables of docs/life-cycle.md are those of the rule that decides."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = runpy.run_path(str(ROOT / "script" / "life-cycle-docs"))


def test_the_tables_are_up_to_date() -> None:
    written = (ROOT / "docs" / "life-cycle.md").read_text(encoding="utf-8")
    assert "**deleted**" in written
    assert written == SCRIPT["document"](written), "run script/life-cycle-docs"
