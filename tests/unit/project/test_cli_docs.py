"""The reference of the command line is what the command line says, and it says something about everything."""

from __future__ import annotations

import subprocess
import sys

import pytest
from tests.support.reference import COMMANDS, ROOT, SCRIPT

from openstack_image_manager import __version__


def test_the_reference_is_up_to_date(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    written = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    assert written == SCRIPT["document"](), "run script/cli-docs"


def test_the_reference_has_every_command_and_no_terminal_escapes() -> None:
    text = SCRIPT["document"]()
    assert [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")] == list(COMMANDS)
    assert "\x1b" not in text
    assert max(map(len, text.splitlines())) < 121
    for command in ("plan", "apply", "validate", "schema", "sandbox up"):
        assert f"openstack-image-manager {command}" in COMMANDS


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_and_every_option_has_a_help_text(path: str) -> None:
    command = COMMANDS[path]
    assert command.help, f"{path} says nothing"
    for param in command.params:
        assert param.help, f"{path}: {param.name} says nothing"
        assert param.help.endswith("."), f"{path}: {param.name} has no sentence: {param.help}"


def test_the_package_can_be_run_as_a_module() -> None:
    command = [sys.executable, "-m", "openstack_image_manager", "--version"]
    run = subprocess.run(command, check=False, capture_output=True, text=True, timeout=60)
    assert (run.returncode, run.stdout, run.stderr) == (0, f"{__version__}\n", "")
