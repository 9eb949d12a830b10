"""The table of options for people who come from the existing tool is made from the help texts of both."""

from __future__ import annotations

import runpy
from pathlib import Path

from openstack_image_manager.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = runpy.run_path(str(ROOT / "script" / "coming-from-docs"))


def test_the_table_has_each_option_of_the_newest_release(sandbox: Sandbox) -> None:
    page = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    assert page == SCRIPT["document"](page, sandbox.state), "run script/coming-from-docs"
