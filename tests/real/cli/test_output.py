"""No line that a command prints is a command to a CI runner or a terminal, and no own value is taken for a secret."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
import yaml
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule

# GitHub's runner obeys a line that begins so, after blanks; it and Azure's agent obey the others wherever they stand.
BEGINNING = "::"
ANYWHERE = ("##[", "##vso[", "##teamcity[")
DEFINED = ["::set-output name=pwn::1", "##[error]pwn", "a ##vso[task.setvariable variable=a]pwn"]
FOUND = [
    "::error title=x::pwn",
    "x\n::add-mask::pwn",
    "section_start:1560896352:pwn\r\x1b[0Kpwn",
    "\u202e\x9b2J\u2028::warning::pwn\x7f",
    "##[group]pwn",
]


def check(text: str) -> None:
    """Assert that nobody obeys a line of the output."""
    assert text.endswith("\n") or not text
    # Terminals and runners end lines at these; what else ends one for Python is no printable character.
    for line in re.split("[\r\n]", text):
        assert line.replace("\t", "").isprintable(), repr(line)
        assert not line.lstrip().startswith(BEGINNING), line
        assert not any(word in line for word in ANYWHERE), line


def run(bench: Bench, *arguments: str, common: bool = True, codes: tuple[int, ...] = (0,), **variables: str) -> str:
    """The standard output of the command as a process of its own; both of its outputs are checked."""
    words = bench.arguments(*arguments) if common else list(arguments)
    done = subprocess.run(
        [sys.executable, "-m", "openstack_image_manager", *words],
        env={**bench.environment, **variables},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode in codes, done.stdout + done.stderr
    check(done.stdout)
    check(done.stderr)
    return done.stdout


@pytest.fixture
def hostile(watched: Bench) -> Bench:
    """Definitions and images with names that are commands."""
    meta = {"architecture": "x86_64", "os_distro": "ubuntu", "os_version": "24.04", "::error title=m::pwn": "::pwn"}
    watched.define(
        *(
            watched.ubuntu(
                watched.version("1", source="::debug::pwn"),
                name=f"{name} {watched.tag}",
                shortname=f"s{number}",
                meta=meta,
                visibility="private",
            )
            for number, name in enumerate(DEFINED)
        )
    )
    for name in FOUND:
        watched.make(bytes(1024), name=name, disk_format="raw", **{"::notice::pwn": "a\n::debug::pwn ##[x]"})
    return watched


def test_plans_and_runs(hostile: Bench) -> None:
    run(hostile, "plan")
    (plan,) = json.loads(run(hostile, "plan", "--output", "json"))["clouds"]
    # What a program reads is the name itself.
    assert {change["image"] for change in plan["changes"]} >= {f"{name} {hostile.tag}" for name in DEFINED}
    run(hostile, "plan", "--output", "markdown")
    run(hostile, "apply", "--yes", "--debug")
    for form in ("text", "json"):
        run(hostile, "status", "--output", form, codes=(0, 3))


@pytest.mark.parametrize("form", ["text", "json"])
def test_what_is_asked_about_one_definition(hostile: Bench, form: str, connections: dict[str, Connection]) -> None:
    name = f"{DEFINED[0]} {hostile.tag}"
    assert hostile.run().code == 0
    run(hostile, "explain", name, "--output", form)
    run(hostile, "show", name, "--output", form)
    run(hostile, "rollback", name, "--dry-run", codes=(0, 1, 2), **({} if form == "text" else {"FORCE_COLOR": "1"}))
    for image in FOUND[:2]:
        other = ["--project", connections["member"].current_project_id or ""]
        shown = run(hostile, "share", image, *other)
        assert shown.count("\n") == 1
        run(hostile, "unshare", image, *other)


def test_definitions_and_images_as_they_are(hostile: Bench) -> None:
    images = ["--images", str(hostile.directory / "images")]
    for form in ("text", "json", "rst"):
        run(hostile, "list", "--output", form, *images, common=False)
    run(hostile, "validate", *images, common=False)
    adopted = run(hostile, "adopt", "--cloud", "openstack", "--tag", hostile.tag, common=False)
    assert yaml.safe_load(adopted)
    shown = [
        run(hostile, "scs", "check", "--output", form, "--cloud", "openstack", common=False, codes=(0, 1, 3))
        for form in ("text", "json", "junit")
    ]
    assert list(ElementTree.fromstring(shown[2].encode()).iter("testcase"))
    run(hostile, "doctor", "--cloud", "openstack", *images, common=False, codes=(0, 3))


def test_what_glance_says(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule("GET", "/v2/images", status=400, body="so\n::error::pwn\n##[pwn] \x1b[2J \u202e", times=None))
    run(watched, "plan", codes=(1,))
    run(watched, "plan", "--debug", codes=(1,))
    run(watched, "status", "--log-format", "json", codes=(1,))


def test_mirrors_and_updates(watched: Bench, tmp_path: Path) -> None:
    version = watched.version("1")
    gone = {**version, "version": "2", "url": f"{watched.site.url}/::error::pwn ".strip()}
    watched.define(watched.ubuntu(version, gone, name=DEFINED[0]), watched.ubuntu(version, name=DEFINED[1]))
    images = ["--images", str(watched.directory / "images")]
    where = ["--bucket", f"file://{tmp_path}/mirror"]
    (tmp_path / "mirror").mkdir()
    for form in ("text", "json", "markdown"):
        run(watched, "mirror", *where, *images, "--output", form, common=False, codes=(0, 1))
        run(watched, "update", "--dry-run", *images, "--output", form, common=False, codes=(0, 1, 3))
        run(watched, "check-updates", *images, "--output", form, common=False, codes=(0, 1, 3))
    wrong = 'images:\n  - name: "::error::pwn"\n    versoins: "##[x]"\n'
    (watched.directory / "images" / "wrong.yml").write_text(wrong)
    run(watched, "validate", *images, common=False, codes=(1,))
    run(watched, "plan", codes=(1,))
