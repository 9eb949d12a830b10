"""Completion, help and colours, as a person at a terminal has them."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
from pathlib import Path

import pytest
from tests.support.reference import COMMANDS

from openstack_image_manager.definitions import nodes

PROGRAM = "openstack-image-manager"
CODE = "import sys; sys.argv[0] = 'openstack-image-manager'; from openstack_image_manager.cli.app import main; main()"
VARIABLE = "_OPENSTACK_IMAGE_MANAGER_COMPLETE"
NAMED_SHELL = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # the one that is named, not the one we are in
COLOURS = ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE")
CLOUDS = "clouds:\n  prod-one: {auth: {}}\n  prod-two: {}\n  test: {}\n"


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "clouds.yaml").write_text(CLOUDS)
    images = "images:\n" + "".join(
        f"  - name: {name}\n    format: raw\n    versions: []\n" for name in ("Debian 13", "Debian 12", "Ubuntu")
    )
    (tmp_path / "etc" / "images").mkdir(parents=True)
    (tmp_path / "etc" / "images" / "a.yml").write_text(images)
    return tmp_path


def completed(place: Path, shell: str, line: list[str], **environment: str) -> list[str]:
    """Return the completions of the last word, requested as each shell does."""
    words = [PROGRAM, *line]
    asked = {
        "bash": {"COMP_WORDS": "\n".join(word.replace(" ", "\\ ") for word in words), "COMP_CWORD": str(len(line))},
        "zsh": {"_TYPER_COMPLETE_ARGS": " ".join(words)},
        "fish": {"_TYPER_COMPLETE_ARGS": " ".join(words), "_TYPER_COMPLETE_FISH_ACTION": "get-args"},
    }[shell]
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "XDG_"))}
    run = subprocess.run(
        [sys.executable, "-c", CODE],
        env={
            **clean,
            "HOME": str(place),
            "_OPENSTACK_IMAGE_MANAGER_COMPLETE": f"complete_{shell}",
            **asked,
            **environment,
        },
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stderr == ""
    found = re.findall(r'"([^":]+)"', run.stdout) if shell == "zsh" else run.stdout.splitlines()
    return [name.partition("\t")[0].replace("\\ ", " ") for name in found if name]


def test_names_are_completed(place: Path) -> None:
    assert completed(place, "bash", ["expl"]) == ["explain"]
    assert completed(place, "bash", ["plan", "--cloud", "prod"]) == ["prod-one", "prod-two"]
    assert completed(place, "bash", ["plan", "--outdated", "del"]) == ["delete"]


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_names_with_blanks_are_completed_in_each_shell(place: Path, shell: str) -> None:
    assert completed(place, shell, ["show", "Deb"]) == ["Debian 12", "Debian 13"]


def test_where_names_come_from(place: Path) -> None:
    (place / "more.yml").write_text("images: [{name: Own, format: raw, versions: []}]")
    assert completed(place, "bash", ["show", "--images", "more.yml", ""]) == ["Own"]
    assert completed(place, "bash", ["show", "--images", "none.yml", ""]) == []
    other = place / "other.yaml"
    other.write_text("clouds: {mine: {}}")
    assert completed(place, "bash", ["plan", "--cloud", ""], OS_CLIENT_CONFIG_FILE=str(other)) == ["mine"]
    (place / "clouds.yaml").unlink()
    assert completed(place, "bash", ["plan", "--cloud", "x"]) == []


@pytest.mark.parametrize("text", ["", "[]", "clouds: []", "clouds", "other: {}", "clouds: {a: 1", "\x00"])
def test_a_broken_file_has_no_names(text: str) -> None:
    assert nodes.keys_below(text.encode(), "clouds") == []


@pytest.fixture
def installed(place: Path) -> dict[str, str]:
    """The environment of a shell that finds the program."""
    launcher = place / PROGRAM
    launcher.write_text(f'#!/bin/sh\nexec {sys.executable} -c "{CODE}" "$@"\n')
    launcher.chmod(0o755)
    home = {"HOME": str(place), "TERM": "dumb"}
    return {**os.environ, **home, **NAMED_SHELL, "PATH": f"{place}:{os.environ['PATH']}"}


def test_a_real_fish_completes(place: Path, installed: dict[str, str]) -> None:
    script = f"{PROGRAM} --show-completion fish | source; complete -C '{PROGRAM} show Deb'"
    run = subprocess.run(
        ["fish", "--no-config", "-c", script],
        env=installed,
        cwd=place,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert run.stdout.splitlines() == ["Debian 12", "Debian 13"], run.stderr


def test_a_real_zsh_completes(place: Path, installed: dict[str, str]) -> None:
    """Return the output after pressing the tab key twice."""
    main, terminal = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], cwd=place, env=installed, stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    shown = b""

    def until(text: bytes) -> None:
        nonlocal shown
        while text not in shown:
            assert select.select([main], [], [], 60)[0], shown
            shown += os.read(main, 65536)

    try:
        script = f"autoload -U compinit; compinit -u; source <({PROGRAM} --show-completion zsh); print rea''dy\n"
        os.write(main, script.encode())
        until(b"\nready\r\n")
        os.write(main, f"{PROGRAM} show Deb\t\t".encode())
        until(b"Debian 12  Debian 13")
    finally:
        shell.kill()
        shell.wait()
        os.close(main)


def test_a_real_bash_completes(place: Path, installed: dict[str, str]) -> None:
    """The script that the program gives for bash, in a bash that asks as it does for a person."""
    line = f"{PROGRAM} show Debian\\ 1"
    script = f"""
        source <({PROGRAM} --show-completion bash)
        complete -p {PROGRAM}
        COMP_LINE='{line}' COMP_POINT={len(line)} COMP_CWORD=2 COMP_WORDS=({PROGRAM} show 'Debian\\ 1')
        function_=$(complete -p {PROGRAM} | sed 's/.*-F \\([^ ]*\\).*/\\1/')
        $function_ {PROGRAM}
        printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run(
        ["bash", "-c", script], env=installed, cwd=place, capture_output=True, text=True, timeout=60, check=False
    )
    assert run.stdout.splitlines()[1:] == ["Debian\\ 12", "Debian\\ 13"], run.stdout + run.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_gets_its_script(shell: str) -> None:
    environment = {**os.environ, **NAMED_SHELL}
    command = [sys.executable, "-c", CODE, "--show-completion", shell]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=True)
    assert f"_OPENSTACK_IMAGE_MANAGER_COMPLETE=complete_{shell}" in run.stdout


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_shows_an_example_of_itself(path: str) -> None:
    help_ = COMMANDS[path].help or ""
    assert re.search(rf"Examples?:\s*(\n\s*)?{path}\b", help_), help_


def in_a_terminal(place: Path, **environment: str) -> str:
    """Return the output of `list` on a terminal."""
    main, terminal = pty.openpty()
    clean = {key: value for key, value in os.environ.items() if key not in COLOURS}
    process = subprocess.Popen(
        [sys.executable, "-c", CODE, "list"],
        cwd=place,
        env={**clean, "TERM": "xterm-256color", **environment},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    written = b""
    try:
        while chunk := os.read(main, 65536):
            written += chunk
    except OSError:  # Linux' way to say that nobody holds the terminal any more
        pass
    finally:
        os.close(main)
    assert process.wait(60) == 0, written
    return written.decode()


def test_colours_need_a_terminal_or_a_variable(place: Path) -> None:
    assert "\x1b[1m" in in_a_terminal(place)
    plain = in_a_terminal(place, NO_COLOR="1")
    assert "Debian 13" in plain
    assert not re.search("\x1b\\[[0-9;]*[34][0-9][;m]", plain)
    assert "\x1b" not in in_a_terminal(place, TERM="dumb")
    command = [sys.executable, "-c", CODE, "list"]
    piped = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=60, check=True)
    assert "\x1b" not in piped.stdout


def test_help_answers_at_once() -> None:
    """Processor time, and in that of a bare Python's start: clocks on the wall measure whatever the machine does."""
    unmeasured = {key: value for key, value in os.environ.items() if not key.startswith("COVERAGE")}

    def needs(*arguments: str) -> float:
        before = os.times()
        command = [sys.executable, *arguments]
        subprocess.run(command, env=unmeasured, stdout=subprocess.DEVNULL, timeout=60, check=True)
        after = os.times()
        return after.children_user - before.children_user + after.children_system - before.children_system

    turns = [(needs("-c", CODE, "--help"), needs("-c", "import typer, rich.console")) for _ in range(5)]
    assert min(help for help, _ in turns) < 2.5 * min(floor for _, floor in turns)


def test_output_that_can_not_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.yml").write_text("images: []\n")
    command = [sys.executable, "-m", "openstack_image_manager", "list", "--images", str(tmp_path), "--output", "json"]
    with open("/dev/full", "wb") as full:
        ended = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, timeout=60, check=False)
    assert (ended.returncode, ended.stderr) == (1, "error: cannot write the output: No space left on device\n")


@pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["list", "--images", "/nonexistent"]])
def test_output_without_a_reader_is_dropped(arguments: list[str]) -> None:
    """As in `… 2>&1 | head -1`: the exit code is that of the work, and no message is about the pipe."""
    command = [sys.executable, "-m", "openstack_image_manager", *arguments]
    read = subprocess.run(command, capture_output=True, timeout=60, check=False)
    for err in (subprocess.STDOUT, subprocess.PIPE):
        reader, writer = os.pipe()
        os.close(reader)
        unread = subprocess.run(command, stdout=writer, stderr=err, timeout=60, check=False)
        os.close(writer)
        assert unread.returncode == read.returncode
        assert unread.stderr == (None if err == subprocess.STDOUT else read.stderr)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("clouds:\n  a:\n    auth:\n      x: 1\n", 4),
        ("clouds:\n  a:\n    auth: {}\n", 3),
        ("clouds:\n  b: {}\n", 1),
        ("clouds:\n  a: text\n", 2),
        ("other: {}\n", None),
        ("- clouds\n", None),
        ("clouds: [\n", None),
        ("", None),
    ],
)
def test_the_line_of_a_key_or_of_its_parent(text: str, line: int | None) -> None:
    assert nodes.line_of(text.encode(), ("clouds", "a", "auth", "x")) == line
