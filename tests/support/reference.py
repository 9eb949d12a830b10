"""The commands of the program with their options, as the script reads them that writes their reference."""

from __future__ import annotations

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "script" / "cli-docs"))
COMMANDS = {path: command for path, command, _ in SCRIPT["commands"]()}
