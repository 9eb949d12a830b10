"""The tutorial, run as it stands: every command in its order, and every line that the page shows is printed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from openstack.connection import Connection
from tests.real.conftest import delete_images

import openstack_image_manager
from openstack_image_manager.defaults import DEFAULT_TAG
from openstack_image_manager.sandbox import Sandbox

PAGE = Path(__file__).parents[3] / "docs" / "tutorial.md"
# Done by the fixtures of this test, or not to be done to a sandbox that other tests use.
NOT_RUN = ("python3 -m venv", "pip install", "openstack-image-manager sandbox reset")
NAME = "Ubuntu 99.04"
END = "--- end of a command"


def blocks() -> Iterator[tuple[str, list[str]]]:
    """Each command of the page (with the text that it reads) and the lines shown below it."""
    for block in re.findall(r"^```console\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M):
        for part in re.split(r"^\$ ", block, flags=re.M)[1:]:
            here = re.match(r"[^\n]*<<END\n.*?^END\n", part, re.S | re.M)
            command = here.group() if here else part.partition("\n")[0] + "\n"
            # Other tests bring that image of the catalogue into the same clouds, and the plan tells of it.
            shown = part.removeprefix(command).replace("Ubuntu 24.04", NAME)
            yield command.replace("Ubuntu 24.04", NAME), shown.splitlines()


def masked(line: str) -> str:
    """The line without what differs from run to run: ids, ports, checksums of plans, ages, widths of columns."""
    line = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "ID", line)
    line = re.sub(r"127\.0\.0\.1:\d+", "SITE", line)
    line = re.sub(r"plan [0-9a-f]{16}", "plan SUM", line)
    line = re.sub(r"\b\d+ d\b", "AGE", line)
    return " ".join(line.split())


@pytest.fixture
def home(tmp_path: Path, sandbox: Sandbox, connections: dict[str, Connection]) -> Iterator[Path]:
    """A home directory with the tool on its path, where the running sandbox is the user's own."""
    share = tmp_path / ".local" / "share" / "openstack-image-manager"
    share.mkdir(parents=True)
    (share / "sandbox").symlink_to(sandbox.state, target_is_directory=True)
    tool = tmp_path / "bin" / "openstack-image-manager"
    tool.parent.mkdir()
    tool.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -m openstack_image_manager "$@"\n')
    tool.chmod(0o755)
    delete_images(connections["openstack"], DEFAULT_TAG)
    yield tmp_path
    delete_images(connections["openstack"], DEFAULT_TAG)


@pytest.mark.timeout(300)  # two dozen runs of the command
def test_the_tutorial_does_what_it_shows(home: Path) -> None:
    steps = [(command, shown) for command, shown in blocks() if not command.startswith(NOT_RUN)]
    assert sum(command.startswith("openstack-image-manager") for command, _ in steps) >= 12
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "XDG_"))}
    source = Path(openstack_image_manager.__file__).parents[1]
    environment = {
        **clean,
        "HOME": str(home),
        "PATH": f"{home / 'bin'}:{clean['PATH']}",
        "PYTHONPATH": str(source),
        "NO_COLOR": "1",
        "COLUMNS": "120",
    }
    script = "".join(f"{command}echo '{END}'\n" for command, _ in steps)
    run = subprocess.run(
        ["bash", "-c", script],
        cwd=home,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=True,
        timeout=280,
    )
    answers = run.stdout.split(f"{END}\n")
    assert len(answers) == len(steps) + 1
    for (command, shown), answer in zip(steps, answers, strict=False):
        printed = iter([masked(line) for line in answer.splitlines()])
        for line in shown:
            # `in` moves the iterator on: the lines come in this order, others may stand between them.
            assert line.strip() == "…" or masked(line) in printed, f"{command}\ndoes not print\n{line}\nbut\n{answer}"
