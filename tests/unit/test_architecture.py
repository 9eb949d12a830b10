"""The house rules that a machine can check: who imports what, what is pure, how long a module is, what --help loads."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import openstack_image_manager

PACKAGE = "openstack_image_manager"
ROOT = Path(openstack_image_manager.__file__).parent
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
LONGEST = 300  # lines

# Each library has one room, or one folder of rooms, that knows it.
LIBRARIES = {
    "openstack": ("glance",),
    "keystoneauth1": ("glance",),
    "requests": ("fetch",),
    "urllib3": ("fetch",),
    "urllib.request": ("fetch",),
    "yaml": ("definitions", "yamltree"),
    "rich": ("render",),
    "typer": ("cli/",),
    "click": ("cli/",),
    "pydantic": ("format", "definitions", "complaints", "schema"),
    "zstandard": ("stream",),
    "oslo_utils": ("stream",),
}
PURE = (
    "age",
    "checksums",
    "defaults",
    "desired",
    "errors",
    "format",
    "identity",
    "model",
    "plan",
    "retention",
    "scs",
    "stream",
)
DOORS = ("apply", "cli", "definitions", "fetch", "glance", "importer", "latest", "members", "sandbox", "yamltree")
WORLD = {"asyncio", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "sys", "tempfile", "time"}
CLOCKS = {"now", "today", "utcnow"}


def tree(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imports(module: str) -> Iterator[str]:
    """Full names of all that is imported, wherever in the module; of `from a import b` both a and a.b."""
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            yield node.module or ""
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms(module: str) -> set[str]:
    """The modules and folders of the package that a module imports."""
    own = [name.split(".")[1:] for name in imports(module) if name.startswith(f"{PACKAGE}.")]
    return {name[0] for name in own if (ROOT / name[0]).is_dir() or (ROOT / f"{name[0]}.py").exists()}


def is_or_below(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_is_known_in_one_place(library: str) -> None:
    allowed = LIBRARIES[library]
    users = {module for module in MODULES for name in imports(module) if is_or_below(name, library)}
    assert {
        each
        for each in users
        if not each.startswith(tuple(a for a in allowed if a.endswith("/"))) and each not in allowed
    } == set()
    assert users, f"nothing imports {library}: take it off the table"


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_know_no_door_and_nothing_of_the_world(module: str) -> None:
    assert rooms(module) & set(DOORS) == set()
    assert {name.partition(".")[0] for name in imports(module)} & WORLD == set()
    for node in ast.walk(tree(module)):
        if isinstance(node, ast.Attribute):
            assert node.attr not in CLOCKS, f"{module}:{node.lineno} asks the clock"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "__import__", "exec", "eval"}, (
                f"{module}:{node.lineno}"
            )


def test_imports_run_one_way() -> None:
    """Only the command line knows the command line; rendering and the doors do not know who uses them."""
    for module in MODULES:
        if not module.startswith("cli/") and module != "__main__":
            assert "cli" not in rooms(module), module
            assert "render" not in rooms(module), module
            assert "apply" not in rooms(module), module
        if module in ("glance", "fetch", "definitions", "yamltree"):
            assert rooms(module) & {"glance", "fetch", "importer", "latest", "members", "plan"} == set(), module
        if not module.startswith(("sandbox/", "cli/")):
            assert "sandbox" not in rooms(module), module


def test_no_two_modules_import_each_other() -> None:
    def reached(module: str, seen: set[str]) -> set[str]:
        for room in rooms(module) & set(MODULES):
            if room not in seen:
                reached(room, seen | {room})
                seen.add(room)
        return seen

    for module in MODULES:
        assert module not in {each for room in rooms(module) & set(MODULES) for each in reached(room, set())}, module


@pytest.mark.parametrize("module", MODULES)
def test_no_module_holds_two_ideas(module: str) -> None:
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST, f"{module} has {lines} lines: there are two ideas in it"


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    assert not {"utils", "util", "helpers", "common", "misc", "base"} & {name.rpartition("/")[2] for name in MODULES}
    assert not [module for module in MODULES for name in imports(module) if is_or_below(name, "asyncio")]


@pytest.mark.parametrize("command", [[], ["plan"], ["apply"], ["validate"], ["sandbox"]])
def test_help_answers_without_loading_what_only_work_needs(command: list[str]) -> None:
    code = f"import sys; sys.argv = ['openstack-image-manager', *{command!r}, '--help']; "
    code += f"from {PACKAGE}.cli.app import main; main()"
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert run.stdout.lstrip().startswith("Usage: openstack-image-manager")
    loaded = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines() if line.startswith("import time:")}
    heavy = ("openstack", "keystoneauth1", "requests", "urllib3", "pydantic", "yaml", "rich", "oslo_utils", "zstandard")
    assert f"{PACKAGE}.cli.app" in loaded
    assert [name for name in sorted(loaded) if any(is_or_below(name, each) for each in heavy)] == []
