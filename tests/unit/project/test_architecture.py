"""The house rules that a machine can check: which folder may import which, which library belongs where."""

from __future__ import annotations

import ast
from collections.abc import Mapping
from functools import cache
from pathlib import Path

import pytest

import openstack_image_manager

PACKAGE = "openstack_image_manager"
ROOT = Path(openstack_image_manager.__file__).parent
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
LONGEST = 60  # lines of a function, without its signature (a command's is the list of its options) and late imports

# Which folder may import which. Modules of the root are for everybody, and import each other only.
FOLDERS: Mapping[str, set[str]] = {
    "definitions": set(),
    "sandbox": set(),
    "transfer": {"definitions"},
    "cloud": {"definitions"},
    "catalogue": {"definitions"},
    "plan": {"definitions", "transfer"},
    "apply": {"plan", "cloud", "transfer", "definitions"},
    "report": {"plan", "definitions"},
    "adopt": {"plan", "definitions", "transfer"},
    "endoflife": {"plan", "definitions", "transfer"},
    "scs": {"plan", "definitions", "report"},
    "upstreams": {"plan", "definitions", "transfer", "report"},
    "signatures": {"upstreams", "definitions", "transfer", "report"},
    "mirror": {"signatures", "upstreams", "transfer", "definitions", "report"},
    "runs": {"apply", "plan", "cloud", "upstreams", "signatures", "report", "definitions"},
    "doctor": {"runs", "cloud", "plan", "upstreams", "transfer", "definitions", "report"},
    "site": {"runs", "cloud", "plan", "endoflife", "catalogue", "definitions", "report"},
}
# The command line may import all of them, and only it: it is not in the table.
PURE = "plan"  # the folder without input and output; of `transfer` it knows functions of values only
LIBRARIES: Mapping[str, set[str]] = {
    "boto3": {"mirror"},
    "botocore": {"mirror"},
    "distributed": {"mirror"},
    "openstack": {"cloud"},
    "keystoneauth1": {"cloud"},
    "requests": {"cloud", "transfer"},
    "urllib3": {"cloud", "transfer"},
    "zstandard": {"transfer"},
    "oslo_utils": {"transfer"},
    "yaml": {"definitions", "scs"},
    "pydantic": {"definitions", "runs", "site"},
    "natsort": {"definitions"},
    "regex": {"definitions", "upstreams"},
    "cryptography": {"signatures"},
    "pysequoia": {"signatures"},
    "jinja2": {"site"},
    "prometheus_client": {"report"},
    "rich": {"report"},
    "typer": {"cli"},
}
WORLD = {"asyncio", "os", "pathlib", "random", "secrets", "shutil", "socket", "subprocess", "sys", "tempfile", "time"}
CLOCKS = {"now", "today", "utcnow"}


@cache
def nodes(module: str) -> list[ast.AST]:
    return list(ast.walk(ast.parse(MODULES[module].read_text(encoding="utf-8"))))


@cache
def imports(module: str) -> frozenset[str]:
    """Full names of all that is imported, wherever in the module; of `from a import b` both a and a.b."""
    names: set[str] = set()
    for node in nodes(module):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module, f"{module} imports relatively"
            names.update({node.module, *(f"{node.module}.{alias.name}" for alias in node.names)})
    return frozenset(names)


@cache
def neighbours(module: str) -> frozenset[str]:
    """The modules of the package that a module imports."""
    ours = [name for name in imports(module) if is_or_below(name, PACKAGE)]
    paths = {name.removeprefix(f"{PACKAGE}.").replace(".", "/") for name in ours}
    within = {path.rpartition("/")[0] for path in paths & {*MODULES}}  # `from folder import module` is not the folder's
    return frozenset((paths | {f"{path}/__init__" for path in paths - within}) & {*MODULES})


def folder(module: str) -> str:
    """The folder that a module is in; of a folder in it, the outer one; empty for the root."""
    return module.partition("/")[0] if "/" in module else ""


def is_or_below(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")


def circle(arrows: Mapping[str, set[str]]) -> set[str]:
    """What is left when all that needs nothing of the rest is taken away, again and again."""
    left = dict(arrows)
    while free := {name for name, needed in left.items() if not needed & {*left} - {name}}:
        left = {name: needed for name, needed in left.items() if name not in free}
    return set(left)


def test_the_table_names_every_folder() -> None:
    assert {folder(module) for module in MODULES} == {"", "cli", *FOLDERS}


@pytest.mark.parametrize("module", MODULES)
def test_a_folder_imports_only_what_the_table_allows(module: str) -> None:
    if (own := folder(module)) == "cli" or module == "__main__":
        return
    allowed = {"", own, *FOLDERS.get(own, ())}
    assert {name for name in neighbours(module) if folder(name) not in allowed} == set()


@pytest.mark.parametrize("own", FOLDERS)
def test_the_table_allows_nothing_that_nobody_needs(own: str) -> None:
    used = {folder(name) for module in MODULES if folder(module) == own for name in neighbours(module)}
    assert FOLDERS[own] - used == set()


def test_neither_files_nor_folders_import_in_a_circle() -> None:
    assert circle({module: {*neighbours(module)} for module in MODULES}) == set()
    assert circle({name: {*allowed} for name, allowed in FOLDERS.items()}) == set()
    assert circle({"a": {"b"}, "b": {"c"}, "c": {"b"}, "d": set()}) == {"a", "b", "c"}


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_belongs_to_a_folder(library: str) -> None:
    users = {folder(module) for module in MODULES for name in imports(module) if is_or_below(name, library)}
    assert users == LIBRARIES[library]


@pytest.mark.parametrize("module", [module for module in MODULES if folder(module) == PURE])
def test_plans_are_made_without_input_and_output(module: str) -> None:
    assert {name.partition(".")[0] for name in imports(module)} & {*WORLD, *LIBRARIES} == set()
    for node in nodes(module):
        if isinstance(node, ast.Attribute):
            assert node.attr not in CLOCKS, f"{module}:{node.lineno} asks the clock"
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            assert node.func.id not in {"open", "print", "input", "__import__", "exec", "eval"}, (
                f"{module}:{node.lineno}"
            )


@pytest.mark.parametrize("module", MODULES)
def test_no_function_is_too_long_to_read(module: str) -> None:
    for node in nodes(module):
        if isinstance(node, ast.FunctionDef):
            body = [each for each in node.body if not isinstance(each, ast.Import | ast.ImportFrom)]
            body = body[1:] if ast.get_docstring(node) is not None and len(body) > 1 else body
            lines = sum((each.end_lineno or 0) - each.lineno + 1 for each in body)
            assert lines <= LONGEST, f"{module}: {node.name} has {lines} lines"


def test_the_root_is_for_what_everybody_needs() -> None:
    assert len([path for path in ROOT.iterdir() if path.is_file()]) <= 14


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    assert not {"utils", "util", "helpers", "common", "misc", "base"} & {name.rpartition("/")[2] for name in MODULES}
    assert not [module for module in MODULES for name in imports(module) if is_or_below(name, "asyncio")]
