"""The house rules that a machine can check: who imports what, what is pure, how long a module is."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

import openstack_image_manager

PACKAGE = "openstack_image_manager"
ROOT = Path(openstack_image_manager.__file__).parent
MODULES = {path.relative_to(ROOT).with_suffix("").as_posix(): path for path in sorted(ROOT.rglob("*.py"))}
LONGEST = 450  # lines

# Each library has one room, or one folder of rooms, that knows it.
LIBRARIES = {
    "boto3": ("mirroring/bucket",),
    "botocore": ("mirroring/bucket",),
    "jinja2": ("tenants/pages",),
    "distributed": ("mirroring/cluster",),
    "openstack": ("glance", "login"),
    "keystoneauth1": ("glance", "login"),
    "requests": ("answers", "fetch", "redirects"),
    "urllib3": ("answers", "fetch"),
    "yaml": ("upstreams/shipped", "reading", "records", "yamltree", "editing", "scs/lint"),
    "rich": ("progress", "render"),
    "typer": ("cli",),
    "pydantic": ("format", "upstreams/resolver", "reading", "complaints", "schema", "editing/edit", "tenants/offers"),
    "zstandard": ("stream",),
    "oslo_utils": ("stream",),
    "regex": ("upstreams/patience", "upstreams/placeholders", "upstreams/steps"),
    "pysequoia": ("signing/sequoia",),
    "cryptography": (
        "signing/revocations",
        "signing/signatures",
    ),
}
PURE = (
    "adopting/adopt",
    "adopting/describe",
    "adopting/groups",
    "adopting/text",
    "age",
    "approval",
    "signing/armor",
    "checksums",
    "deciding",
    "defaults",
    "desired",
    "doctor/advice",
    "doctor/needs",
    "doctor/report",
    "doctor/sites",
    "editing/edit",
    "upstreams/ages",
    "upstreams/endoflife",
    "errors",
    "explain",
    "inventory",
    "metrics",
    "build_findings",
    "builds",
    "upstreams/candidates",
    "changes",
    "compare",
    "format",
    "handover",
    "leftovers",
    "orphans",
    "identity",
    "junit",
    "editing/layout",
    "editing/lines",
    "lineup",
    "upstreams/documents",
    "upstreams/indexes",
    "upstreams/limits",
    "upstreams/listings",
    "mirroring/index",
    "mirroring/memo",
    "mirroring/record",
    "mirroring/report",
    "mirroring/store",
    "mirroring/target",
    "mirroring/verdict",
    "model",
    "upstreams/news",
    "signing/openpgp",
    "plan",
    "reading",
    "records",
    "redaction",
    "upstreams/placeholders",
    "upstreams/published",
    "reasons",
    "upstreams/resolver",
    "upstreams/releases",
    "retention",
    "retiring",
    "scs/check",
    "scs/lint",
    "scs/metadata",
    "scs/properties",
    "scs/recency",
    "scs/report",
    "scs/rules",
    "scs/standard",
    "scs/verdict",
    "sizes",
    "editing/splices",
    "status",
    "upstreams/soundness",
    "stream",
    "tar",
    "tenants/feed",
    "tenants/offers",
    "tenants/pages",
    "tenants/snippets",
    "tenants/survey",
    "tenants/timeline",
    "signing/verdict",
    "editing/versionlist",
    "values",
    "upstreams/variables",
    "ways",
    "editing/yamlstyle",
    "yamltree",
    "wire",
)
DOORS = (
    "answers",
    "addresses",
    "altering",
    "apply",
    "claim",
    "upstreams/cache",
    "catalogue",
    "cli",
    "definitions",
    "doctor/cloud",
    "doctor/examine",
    "doctor/probe",
    "doctor/reach",
    "signing/evidence",
    "upstreams/eoldata",
    "fetch",
    "upstreams/follow",
    "redirects",
    "watch",
    "glance",
    "importer",
    "signing/gpg",
    "signing/keys",
    "latest",
    "login",
    "members",
    "mirroring/after",
    "mirroring/bucket",
    "mirroring/cluster",
    "mirroring/copying",
    "mirroring/folder",
    "mirroring/jobs",
    "mirroring/mirror",
    "mirroring/proof",
    "mirroring/publishing",
    "outlook",
    "output",
    "relations",
    "search",
    "stored",
    "editing/rewrite",
    "sandbox",
    "signing/sequoia",
    "signing/signatures",
    "tenants/folder",
    "tenants/look",
    "usage",
    "signing/verifier",
    "upstreams/comparing",
    "upstreams/look",
    "upstreams/moving",
    "upstreams/patience",
    "upstreams/search",
    "upstreams/shipped",
    "upstreams/sites",
    "upstreams/steps",
    "upstreams/update",
    "upstreams/upstream",
    "written",
    "others",
)
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
def rooms(module: str) -> set[str]:
    """The modules and folders of the package that a module imports."""
    paths = [name.split(".")[1:] for name in imports(module) if name.startswith(f"{PACKAGE}.")]
    known = {*MODULES, *(name.partition("/")[0] for name in MODULES)}
    return known & {"/".join(path[:length]) for path in paths for length in (1, 2)}


def is_or_below(name: str, parent: str) -> bool:
    return name == parent or name.startswith(f"{parent}.")


@pytest.mark.parametrize("library", LIBRARIES)
def test_each_library_is_known_in_one_place(library: str) -> None:
    users = {module for module in MODULES for name in imports(module) if is_or_below(name, library)}
    allowed = {user for user in users for room in LIBRARIES[library] if user == room or user.startswith(f"{room}/")}
    assert users - allowed == set()
    assert users, f"nothing imports {library}: take it off the table"


@pytest.mark.parametrize("module", PURE)
def test_pure_rooms_know_no_door_and_nothing_of_the_world(module: str) -> None:
    assert rooms(module) & set(DOORS) == set()
    assert {name.partition(".")[0] for name in imports(module)} & WORLD == set()
    for node in nodes(module):
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
            assert module == "progress" or "render" not in rooms(module), module
            assert "apply" not in rooms(module), module
        if module in ("glance", "fetch", "definitions", "rewrite"):
            assert rooms(module) & {"glance", "fetch", "importer", "latest", "members", "plan"} == set(), module
        if not module.startswith(("sandbox/", "cli/")):
            assert "sandbox" not in rooms(module), module


def test_no_two_modules_import_each_other() -> None:
    left = {module: rooms(module) & set(MODULES) for module in MODULES}
    while free := {module for module, needed in left.items() if not needed & set(left)}:
        left = {module: needed for module, needed in left.items() if module not in free}
    assert left == {}


@pytest.mark.parametrize("module", MODULES)
def test_no_module_holds_two_ideas(module: str) -> None:
    lines = MODULES[module].read_text(encoding="utf-8").count("\n")
    assert lines <= LONGEST, f"{module} has {lines} lines: there are two ideas in it"


def test_there_is_no_drawer_for_odds_and_ends() -> None:
    assert not {"utils", "util", "helpers", "common", "misc", "base"} & {name.rpartition("/")[2] for name in MODULES}
    assert not [module for module in MODULES for name in imports(module) if is_or_below(name, "asyncio")]
