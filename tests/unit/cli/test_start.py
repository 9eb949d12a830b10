"""How the program starts and ends, and which modules a command loads."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_group

from openstack_image_manager.cli.app import COMMANDS, application

PACKAGE = "openstack_image_manager"
NAMES = sorted(name for commands in COMMANDS.values() for name in commands)
NOWHERE = (
    "clouds:\n  nowhere:\n    auth: {auth_url: 'http://127.0.0.1:9/v3', username: a, password: b, project_name: c}\n"
)
IMAGES = "images:\n  - {name: A, format: raw, versions: []}\n"


def started(directory: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The program with these words, and the modules that it loaded, in their order."""
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
    return done, loaded


@pytest.mark.parametrize("words", [(), ("plan",)])
def test_a_run_loads_no_more_of_openstacksdk_than_the_login_needs(tmp_path: Path, words: tuple[str, ...]) -> None:
    done, loaded = started(tmp_path, *words, "--cloud", "nowhere", "--images", "images.yml")
    message = "cloud 'nowhere': no connection to http://127.0.0.1:9/v3/auth/tokens (Connection refused)"
    assert (done.returncode, done.stderr.endswith(f"error: {message}; check that address\n")) == (1, True), done.stderr
    assert "openstack.config" in loaded
    assert not {"openstack.connection", "openstack.image.v2.image", "openstack.compute.v2.server"} & {*loaded}


# What a run needs only after the cloud was asked.
LATER = ("runs.run", "plan.planner", "plan.definition_plan", "definitions.model", "definitions.loader")


@pytest.mark.parametrize("command", ["", "plan", "apply", "status"])
def test_a_run_loads_its_other_modules_after_those_of_the_login(tmp_path: Path, command: str) -> None:
    words = [command] if command else []
    done, loaded = started(tmp_path, *words, "--cloud", "nowhere", "--images", "images.yml")
    assert done.returncode == 1, done.stderr
    login = loaded.index("openstack.config")
    assert [name for name in LATER if loaded.index(f"{PACKAGE}.{name}") < login] == []
    # Nothing is to be applied, so what applies it is not loaded at all.
    assert {"rich", "natsort", "jinja2", f"{PACKAGE}.apply.executor", f"{PACKAGE}.report.progress"} & {*loaded} == set()


@pytest.mark.parametrize("command", ["", "plan", "validate"])
def test_a_command_loads_no_module_of_another_command(tmp_path: Path, command: str) -> None:
    words = [command] if command else ["--check-only"]
    done, loaded = started(tmp_path, *words, "--images", "images.yml", *(["--cloud", "nowhere"] * (command == "plan")))
    others = {module for module, commands in COMMANDS.items() if command not in commands}
    assert {name for name in others if f"{PACKAGE}.cli.{name}" in loaded} == set(), done.stderr


def test_the_table_of_modules_names_their_commands() -> None:
    """Otherwise a command would be unknown unless it stands first."""
    registered = {module: {*get_group(application([module])).commands} for module in COMMANDS}
    assert registered == COMMANDS


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("--version",), 0),
        (("--cloud", "nowhere", "--help"), 0),
        (("validate", "--images", "images.yml"), 0),
        (("--cloud", "nowhere", "--images", "images.yml", "--check-only"), 0),
        (("--cloud", "nowhere", "--images", "images.yml", "--filter", "("), 2),
        (("plan", "--cloud", "nowhere", "--images", "images.yml", "--max-deletes", "-1"), 2),
    ],
)
def test_no_login_without_a_valid_command_line_that_needs_one(
    tmp_path: Path, words: tuple[str, ...], code: int
) -> None:
    done, loaded = started(tmp_path, *words)
    assert (done.returncode, "openstack.config" in loaded) == (code, False), done.stderr


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
HEAVY |= {"zstandard", "cryptography", "jinja2", "prometheus_client"}


# Before a subcommand Typer reads the options of the root command, for which it takes pydantic itself.
@pytest.mark.parametrize(("commands", "more"), [([[]], {"pydantic"}), ([[name] for name in NAMES], set())])
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
