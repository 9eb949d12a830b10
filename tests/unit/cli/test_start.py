"""How the program starts: which clouds are asked before the command line is read, and what --help loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = "openstack_image_manager"
NOWHERE = (
    "clouds:\n  nowhere:\n    auth: {auth_url: 'http://127.0.0.1:9/v3', username: a, password: b, project_name: c}\n"
)
COMMANDS = (
    *("plan", "apply", "adopt", "explain", "list", "show", "validate", "update", "check-updates"),
    *("mirror", "scs", "doctor", "catalogue", "keys", "sandbox"),
)
IMAGES = "images:\n  - {name: A, format: raw, versions: []}\n"


def started(directory: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], bool]:
    """The program with these words, and whether it made ready to log in before Typer was there."""
    (directory / "clouds.yaml").write_text(NOWHERE)
    (directory / "images.yml").write_text(IMAGES)
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    done = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", PACKAGE, *words],
        cwd=directory,
        env={**clean, "OS_CLIENT_CONFIG_FILE": "clouds.yaml", "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    loaded = [line.rpartition("|")[2].strip() for line in done.stderr.splitlines() if line.startswith("import time:")]
    done.stderr = "".join(line for line in done.stderr.splitlines(True) if not line.startswith("import time:"))
    place = {name: number for number, name in enumerate(loaded)}
    return done, place.get("openstack.config", len(loaded)) < place["typer"]


@pytest.mark.parametrize(
    "words",
    [
        ("--cloud", "nowhere", "--images", "images.yml"),
        ("plan", "--cloud=nowhere", "--images", "images.yml"),
        ("--images", "images.yml", "--tag", "a", "--cloud", "nowhere"),
    ],
)
def test_the_cloud_that_a_run_names_is_asked_first(tmp_path: Path, words: tuple[str, ...]) -> None:
    done, early = started(tmp_path, *words)
    assert (done.returncode, early) == (1, True), done.stderr
    said = "cloud 'nowhere': no connection to http://127.0.0.1:9/v3/auth/tokens (Connection refused)"
    assert f"error: {said}; check that address\n" in done.stderr


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--version",), 0),
        (("--cloud", "nowhere", "--help"), 0),
        (("validate", "--images", "images.yml"), 0),
        (("--cloud", "nowhere", "--images", "images.yml", "--check-only"), 0),
        (("--cloud", "nowhere", "--cloud", "elsewhere", "--images", "images.yml"), 1),
        (("--cloud", "nowhere", "--images", "images.yml", "--log-format=json"), 1),
        (("doctor", "--cloud", "nowhere", "--images", "images.yml"), 3),
    ],
)
def test_what_asks_no_cloud_or_several_does_not_begin_with_one(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    done, early = started(tmp_path, *words)
    assert (done.returncode, early) == (code, False), done.stderr


def test_a_mistake_in_the_command_line_is_what_is_told(tmp_path: Path) -> None:
    done, early = started(tmp_path, "--cloud", "nowhere", "--images", "images.yml", "--filter", "(")
    assert (done.returncode, early) == (2, True)
    assert done.stderr.startswith("error: --filter '(' is not a regular expression")


HELP = f"""
import contextlib, io, json, sys
from {PACKAGE}.cli.app import main
commands, sys.argv[:] = json.loads(sys.argv[1]), ["openstack-image-manager"]
for command in commands:
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*command, "--help"])
    print(json.dumps([command, out.getvalue().lstrip(), sorted(sys.modules)]))
"""
HEAVY = {"boto3", "botocore", "distributed", "openstack", "keystoneauth1", "requests", "yaml", "rich", "oslo_utils"}
HEAVY |= {"zstandard", "cryptography", "jinja2"}


# Before a subcommand Typer reads the options of the root command, for which it takes pydantic itself.
@pytest.mark.parametrize(("commands", "more"), [([[]], {"pydantic"}), ([[name] for name in COMMANDS], set())])
def test_help_answers_without_loading_what_only_work_needs(commands: list[list[str]], more: set[str]) -> None:
    """One process for all commands: what one of them loads stays loaded."""
    run = subprocess.run(
        [sys.executable, "-c", HELP, json.dumps(commands)], capture_output=True, text=True, check=True, timeout=100
    )
    answers = [json.loads(line) for line in run.stdout.splitlines()]
    assert [command for command, _, _ in answers] == commands
    for command, text, loaded in answers:
        assert text.startswith(f"Usage: {' '.join(['openstack-image-manager', *command])} "), command
        assert f"{PACKAGE}.cli.app" in loaded
        assert f"{PACKAGE}.model" not in loaded, command
        assert {name.partition(".")[0] for name in loaded} & (HEAVY | more) == set(), command


def test_an_interrupt_while_libraries_are_loaded(tmp_path: Path) -> None:
    """Many make code from text, where Python remembers an interrupt as one that nobody handles."""
    (tmp_path / "typer.py").write_text('exec("raise KeyboardInterrupt")\n')
    done = subprocess.run(
        [sys.executable, "-m", PACKAGE, "--help"],
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, (str(tmp_path), os.environ.get("PYTHONPATH"))))},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


LATE = """
import time
def beyond():
    raise OverflowError("timestamp too large to convert to C _PyTime_t")
time.time = beyond
"""


@pytest.mark.parametrize("words", [("validate", "--images", "images.yml"), ("plan", "--cloud", "nowhere"), ()])
@pytest.mark.parametrize("script", [True, False])
def test_a_clock_beyond_what_python_can_count(tmp_path: Path, words: tuple[str, ...], script: bool) -> None:
    """From 2262 on, where nanoseconds since 1970 need more than 63 bits."""
    (tmp_path / "sitecustomize.py").write_text(LATE)
    (tmp_path / "images.yml").write_text(IMAGES)
    installed = [str(Path(sys.executable).with_name("openstack-image-manager"))]
    done = subprocess.run(
        [*(installed if script else [sys.executable, "-m", PACKAGE]), *words],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    said = "error: the clock of this machine is past 2262-04-11, which Python cannot handle; set it\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", said)
