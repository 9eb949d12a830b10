"""The Containerfile: what a linter says, and what can be told without an engine. `installed` runs its build stage."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

from tests.release.container import CONTAINERFILE, ROOT, instructions, of

pytestmark = pytest.mark.timeout(300)  # whoever comes first installs


def test_the_linter_has_nothing_to_say() -> None:
    linter = Path(sys.executable).parent / "hadolint"
    checked = subprocess.run([linter, CONTAINERFILE], capture_output=True, text=True, timeout=60, check=False)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_the_second_stage_takes_what_the_first_one_made(installed: Path) -> None:
    (copied,) = of("", "COPY")
    option, source, target = copied.split()
    assert (option, source) == ("--from=build", target)  # a virtual environment can't be moved
    assert (installed / source.lstrip("/") / "bin" / "openstack-image-manager").is_file()
    (path,) = of("", "ENV")
    assert path == f"PATH={target}/bin:$PATH"
    assert [shlex.split(each.strip("[]").replace(",", " ")) for each in of("", "ENTRYPOINT")] == [
        ["openstack-image-manager"]
    ]


def test_both_stages_have_the_same_python_and_it_is_one_that_the_package_takes() -> None:
    arguments = dict(each.split("=") for each in of("", "ARG"))
    bases = {each.partition(" AS ")[0] for _, word, each in instructions() if word == "FROM"}
    assert bases == {"docker.io/library/python:${PYTHON}-slim-${DEBIAN}"}
    assert arguments["PYTHON"] in SpecifierSet(">=3.11")


def test_the_user_is_not_root_and_a_number() -> None:
    (user,) = of("", "USER")
    assert int(user) >= 1000
    assert any(f"useradd --uid {user} " in command for command in of("", "RUN"))


def test_annotations_are_those_of_oci() -> None:
    (labels,) = of("", "LABEL")
    keys = {each.partition("=")[0] for each in shlex.split(labels)}
    assert keys == {f"org.opencontainers.image.{name}" for name in ("title", "description", "licenses", "version")}


def test_the_engine_sees_only_what_is_copied() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    let_in = [line[1:] for line in lines if line.startswith("!")]
    copied = [word for each in of("build", "COPY") for word in each.split()[:-1]]
    assert sorted(let_in) == sorted(copied)
