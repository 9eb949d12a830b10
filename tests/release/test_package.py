"""The package is complete, says what it is, and runs with nothing but what it asks for."""

from __future__ import annotations

import ast
import json
import os
import re
import subprocess
import sys
import tarfile
import textwrap
import tomllib
import zipfile
from importlib.metadata import distributions, packages_distributions
from itertools import chain
from pathlib import Path

import jsonschema
import pytest
from packaging.metadata import Metadata
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from openstack_image_manager import __version__
from tests.release.container import ROOT
from tests.support.signers import DATA, HAND, stored

pytestmark = pytest.mark.timeout(300)  # whoever comes first builds and installs
SOURCE = ROOT / "src"
PACKAGE = "openstack_image_manager"
# Of libraries that are asked for: parts of them, and what they are built on. What the sandbox runs has its own Python.
IMPORTED_WITH_ANOTHER = {"botocore", "keystoneauth1", "pydantic_core", "urllib3"}
# Runs in the installed package's own Python: the help of every command, in one process.
EVERY_HELP = """
import contextlib, io, sys, typer
from openstack_image_manager.cli.app import application, main

def paths(command, path):
    yield path
    for name, each in getattr(command, "commands", {}).items():
        yield from paths(each, [*path, name])

for path in paths(typer.main.get_command(application()), []):
    out = io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.suppress(SystemExit):
        main([*path, "--help"])
    print(" ".join(path), len(out.getvalue()))
"""
# Without any program in its PATH.
VERIFY = """
import os, sys
from pathlib import Path
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.verify import verify_detached

os.environ["PATH"] = "/nonexistent"
data, signature = Path("data").read_bytes(), Path("signature").read_bytes()
print(verify_detached(data, signature, sys.argv[1:], Keyring([Path("keys")])).fingerprint)
"""
# Imports every module, as no lazy import must find something missing.
EVERY_MODULE = """
import importlib, pkgutil, sys
import openstack_image_manager as package

for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
    if not module.name.endswith((".__main__", ".accounts", ".sequoia")):
        importlib.import_module(module.name)
print("imported")
"""


def wheel_of(folder: Path) -> Path:
    (wheel,) = folder.glob("*.whl")
    return wheel


def contents(wheel: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def run(installed: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    program = installed / "opt" / "openstack-image-manager" / "bin" / arguments[0]
    clean = {"PATH": "/usr/bin:/bin", "HOME": str(cwd), "LANG": "C.UTF-8"}
    command = [program, *arguments[1:]]
    return subprocess.run(command, cwd=cwd, env=clean, capture_output=True, text=True, timeout=110, check=False)


def test_the_wheel_is_the_same_from_the_checkout_and_from_the_sdist(packages: Path) -> None:
    assert contents(wheel_of(packages)) == contents(wheel_of(packages / "direct"))


def test_the_wheel_has_every_file_of_the_source_and_no_other(packages: Path) -> None:
    files = {path for path in (SOURCE / PACKAGE).rglob("*") if path.is_file() and path.suffix != ".pyc"}
    wanted = {path.relative_to(SOURCE).as_posix(): path.read_bytes() for path in files}
    assert {f"{PACKAGE}/py.typed", f"{PACKAGE}/catalogue/resolvers.yml", f"{PACKAGE}/catalogue/endoflife.json"} <= {
        *wanted
    }
    found = {name: content for name, content in contents(wheel_of(packages)).items() if ".dist-info/" not in name}
    assert found == wanted
    command = [Path(sys.executable).parent / "check-wheel-contents", wheel_of(packages)]
    checked = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_sdist_has_what_a_rebuild_and_the_tests_need(packages: Path) -> None:
    (sdist,) = packages.glob("*.tar.gz")
    with tarfile.open(sdist) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    assert {"pyproject.toml", "LICENSE", "README.md", "CHANGELOG.md", "Containerfile", "script/bootstrap"} <= names
    assert {"docs/index.md", "tests/conftest.py", f"src/{PACKAGE}/sandbox/requirements.txt"} <= names
    assert not [name for name in names if name.startswith((".ci", ".venv", ".sandbox", "build", "dist"))]


def test_metadata_are_valid_and_complete(packages: Path) -> None:
    found = contents(wheel_of(packages))
    (name,) = [name for name in found if name.endswith(".dist-info/METADATA")]
    metadata = Metadata.from_email(found[name], validate=True)
    assert (metadata.name, str(metadata.version)) == ("openstack-image-manager", __version__)
    assert (metadata.license_expression, metadata.license_files) == ("Apache-2.0", ["LICENSE"])
    assert name.replace("METADATA", "licenses/LICENSE") in found
    assert str(metadata.requires_python) == ">=3.11"
    assert metadata.description_content_type == "text/markdown"
    assert (metadata.description or "").startswith("# openstack-image-manager")
    assert metadata.provides_extra == ["dask", "socks"]
    assert "Typing :: Typed" in (metadata.classifiers or [])
    entry_points = found[name.replace("METADATA", "entry_points.txt")].decode()
    assert entry_points == "[console_scripts]\nopenstack-image-manager = openstack_image_manager.cli.start:main\n"


def test_it_runs_with_runtime_dependencies_alone(installed: Path, tmp_path: Path) -> None:
    """What the tests and the documentation need is not there, and every module can be imported all the same."""
    place = next((installed / "opt" / "openstack-image-manager" / "lib").glob("python3*/site-packages"))
    there = {canonicalize_name(each.metadata["Name"]): each for each in distributions(path=[str(place)])}
    assert {"pip", "hatchling", "pytest", "hypothesis", "sphinx", "mypy"} & {*there} == set()
    wanted, reached = ["openstack-image-manager"], set()
    while wanted:
        name = wanted.pop()
        if name not in reached:
            reached.add(name)
            needed = [Requirement(each) for each in there[name].requires or ()]
            without_extras = [each for each in needed if not each.marker or each.marker.evaluate({"extra": ""})]
            wanted += [canonicalize_name(each.name) for each in without_extras]
    assert reached == {*there}
    imported = run(installed, "python", "-I", "-c", EVERY_MODULE, cwd=tmp_path)
    assert (imported.returncode, imported.stdout) == (0, "imported\n"), imported.stderr


def test_it_verifies_signatures_where_there_is_no_gpgv(installed: Path, tmp_path: Path) -> None:
    """As on Debian 13."""
    stored(tmp_path / "keys", HAND.certificate)
    (tmp_path / "signature").write_bytes(HAND.sign(DATA))
    (tmp_path / "data").write_bytes(DATA)
    verified = run(installed, "python", "-I", "-c", VERIFY, HAND.fingerprint, cwd=tmp_path)
    assert (verified.returncode, verified.stdout) == (0, f"{HAND.fingerprint}\n"), verified.stderr


def test_whatever_is_imported_is_asked_for() -> None:
    """By name in pyproject.toml, and not by luck because something else asks for it."""
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in (SOURCE / PACKAGE).rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module}
    modules = {name.partition(".")[0] for name in names} - {*sys.stdlib_module_names, PACKAGE}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    asked = [*project["dependencies"], *chain(*project["optional-dependencies"].values())]
    known = packages_distributions()
    owners = {module: {canonicalize_name(name) for name in known.get(module, ())} for module in modules}
    direct = {canonicalize_name(Requirement(each).name) for each in asked}
    assert {module for module, names in owners.items() if not names & direct} == IMPORTED_WITH_ANOTHER
    # urllib3 imports PySocks, where it is there.
    assert direct - {name for names in owners.values() for name in names} == {"pysocks"}


def test_the_installed_command_works(installed: Path, tmp_path: Path) -> None:
    version = run(installed, "openstack-image-manager", "--version", cwd=tmp_path)
    assert (version.returncode, version.stdout, version.stderr) == (0, f"{__version__}\n", "")
    schema = run(installed, "openstack-image-manager", "schema", cwd=tmp_path)
    jsonschema.Draft202012Validator.check_schema(json.loads(schema.stdout))
    listed = run(installed, "openstack-image-manager", "catalogue", "list", cwd=tmp_path)
    assert (listed.returncode, listed.stderr) == (0, "")
    assert "Debian 13" in listed.stdout
    example = re.search(r"^ *```yaml\n(.*?)^ *```", (ROOT / "README.md").read_text(encoding="utf-8"), re.S | re.M)
    assert example
    (tmp_path / "images.yml").write_text(textwrap.dedent(example.group(1)), encoding="utf-8")
    valid = run(installed, "openstack-image-manager", "validate", "images.yml", cwd=tmp_path)
    assert (valid.returncode, valid.stdout, valid.stderr) == (0, "1 definition in 1 file is valid\n", "")
    plan = run(installed, "openstack-image-manager", "plan", "--images", "images.yml", cwd=tmp_path)
    assert (plan.returncode, plan.stdout) == (1, "")
    assert plan.stderr.startswith("error: ")
    assert "Traceback" not in plan.stderr


def test_the_help_of_every_command_is_there(installed: Path, tmp_path: Path) -> None:
    helped = run(installed, "python", "-I", "-c", EVERY_HELP, cwd=tmp_path)
    assert (helped.returncode, helped.stderr) == (0, "")
    lengths = [int(line.rpartition(" ")[2]) for line in helped.stdout.splitlines()]
    assert len(lengths) > 20
    assert min(lengths) > 100


def release(clone: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHON": sys.executable, "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org"}
    env |= {"GIT_COMMITTER_NAME": "a", "GIT_COMMITTER_EMAIL": "a@example.org"}
    command = [clone / "script" / "release", *arguments]
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=110, check=False)


def git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=directory, check=True, capture_output=True, text=True).stdout


def test_a_release_writes_version_and_changelog_commits_tags_and_builds(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{ROOT}", str(clone))
    changelog = clone / "CHANGELOG.md"
    text = changelog.read_text()
    empty = re.sub(r"(?s)## Unreleased\n.*?(?=\n## [0-9])", "## Unreleased\n", text)
    changelog.write_text(empty.replace("## Unreleased\n", "## Unreleased\n\n### Fixed\n\n* A line.\n"))
    git(clone, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-a", "--allow-empty", "-m", "x")
    done = release(clone, "99.0.0")
    assert done.returncode == 0, done.stderr
    assert git(clone, "log", "-1", "--format=%s %(describe:tags)").strip() == "Release 99.0.0 v99.0.0"
    assert git(clone, "status", "--porcelain") == ""
    dated = "## Unreleased\n\n## 99.0.0 (DAY)\n\n### Fixed\n\n* A line.\n"
    assert dated in re.sub(r"\d{4}-\d\d-\d\d", "DAY", changelog.read_text())
    name = "openstack_image_manager-99.0.0"
    assert {path.name for path in (clone / "dist").iterdir()} == {f"{name}-py3-none-any.whl", f"{name}.tar.gz"}
    shown = git(clone, "grep", "-hF", "99.0.0", "--", "docs")
    assert len(shown.splitlines()) == 3, shown


@pytest.mark.parametrize(
    ("version", "message"),
    [
        ("", "give the new version, such as 0.3.0"),
        ("1.0", "give the new version"),
        ("0.0.1", "0.0.1 is not newer than"),
        ("99.0.0", "has no entries below Unreleased"),
    ],
)
def test_a_release_that_is_refused_changes_nothing(tmp_path: Path, version: str, message: str) -> None:
    clone = tmp_path / "clone"
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{ROOT}", str(clone))
    text = (clone / "CHANGELOG.md").read_text()
    (clone / "CHANGELOG.md").write_text(re.sub(r"(?s)## Unreleased\n.*?(?=\n## [0-9])", "## Unreleased\n", text))
    git(clone, "-c", "user.name=a", "-c", "user.email=a@example.org", "commit", "-q", "-a", "--allow-empty", "-m", "x")
    before = git(clone, "rev-parse", "HEAD")
    done = release(clone, version)
    assert (done.returncode, message in done.stderr) == (1, True), done.stderr
    assert (git(clone, "rev-parse", "HEAD"), git(clone, "status", "--porcelain"), git(clone, "tag")) == (before, "", "")
