"""Plans that are kept in files: applied as approved, refused when the world moved on."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from tests.support.bench import Bench, Outcome, run_main
from tests.support.reports import cases

from openstack_image_manager.plan.model import Policy
from openstack_image_manager.runs import planfile
from openstack_image_manager.runs.request import Request


def planned(bench: Bench, *arguments: str) -> Path:
    """The file of a plan that has something to do."""
    path = bench.directory / "today.plan"
    outcome = bench.run("plan", "--out", str(path), *arguments)
    assert outcome.code == 0, outcome.text
    return path


def apply(bench: Bench, *arguments: str | Path) -> Outcome:
    """`apply`, without the options that the bench adds otherwise: the file says them."""
    return run_main(["apply", *map(str, arguments)], bench.environment)


def rename(bench: Bench) -> None:
    bench.patch(bench.image("1"), {"op": "replace", "path": "/name", "value": "renamed by hand"})


def change_property(bench: Bench) -> None:
    bench.patch(bench.image("1"), {"op": "replace", "path": "/os_distro", "value": "debian"})


def make_the_version(bench: Bench) -> None:
    name = f"Ubuntu {bench.tag}"
    bench.make(b"x", name="by hand", image_name=name, internal_version="2", disk_format="raw")


def change_definitions(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2", min_ram=4096))


def test_exactly_the_plan_of_a_file_is_applied(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2"), bench.ubuntu("3", name=f"Other {bench.tag}"))
    path = planned(bench, "--filter", "^Ubuntu", "--latest")
    with contextlib.chdir("/"):
        outcome = apply(bench, path, "--yes")
    assert outcome.code == 0, outcome.text
    assert bench.names() == {f"Ubuntu {bench.tag}": "2"}
    # Once more, as after a run that was killed: what is done is done.
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 0, outcome.text
    assert f"note: Ubuntu {bench.tag}: is already done, as approved\n" in outcome.out


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (rename, "name: Ubuntu {tag} → Ubuntu {tag} (1) was approved, renamed by hand → Ubuntu {tag} (1) now"),
        (change_property, "os_distro: no change was approved, debian → ubuntu now"),
        (make_the_version, "the import of Ubuntu {tag} (version 2) was approved and is not to be done now"),
        (change_definitions, "the import of Ubuntu {tag} (version 2) has another min_ram"),
    ],
)
def test_a_plan_is_refused_when_the_world_moved_on(bench: Bench, change: Callable[[Bench], None], said: str) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", "2"))
    path = planned(bench)
    change(bench)
    before = bench.images()
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 1, outcome.text
    what = "its definition" if change is change_definitions else "the cloud"
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: Ubuntu {bench.tag}: not done: {what} changed since the plan was made: ")
    assert said.format(tag=bench.tag) in line
    assert line.endswith("; make a new plan")
    assert "1 error, nothing else to do" in outcome.out
    assert bench.images() == before


def test_what_did_not_change_is_done_as_approved_and_nothing_else(bench: Bench) -> None:
    names = [f"{each} {bench.tag}" for each in ("Arch", "Debian", "Fedora", "Suse")]
    arch, debian, fedora, suse = names
    bench.define(*(bench.ubuntu("1", name=each) for each in names[:3]))
    assert bench.run().code == 0
    bench.define(*(bench.ubuntu("1", "2", name=each) for each in names[:2]), bench.ubuntu("1", name=fedora))
    path = planned(bench)
    # One definition changes, one that had nothing to do now has, and a new one comes.
    changed = [bench.ubuntu("1", "2", name=arch, min_ram=128), bench.ubuntu("1", "2", name=debian)]
    bench.define(*changed, bench.ubuntu("1", name=fedora, min_ram=128), bench.ubuntu("1", name=suse))
    before = {image.id: image for image in bench.images() if not image.name.startswith("Debian")}
    xml = bench.directory / "r.xml"
    outcome = apply(bench, path, "--yes", "--report", str(xml))
    assert outcome.code == 1, outcome.text
    assert cases(xml)[arch][0] == "failure"
    assert f"error: {arch}: not done: its definition changed since the plan was made: " in outcome.out
    for name in (fedora, suse):
        assert f"note: {name}: has changes that are not in the approved plan: they are not done; make" in outcome.out
    assert "1 to import, 1 to change, 0 to delete" in outcome.out
    after = {image.id: image for image in bench.images()}
    assert {key: after[key] for key in before} == before
    new = {image.name: image.properties["internal_version"] for key, image in after.items() if key not in before}
    assert new == {debian: "2", f"{debian} (1)": "1"}
    assert bench.run().code == 0
    bench.converged()


def test_a_definition_that_is_gone_is_a_failure_in_the_report(bench: Bench) -> None:
    names = [f"{each} {bench.tag}" for each in ("Arch", "Debian")]
    bench.define(*(bench.ubuntu("1", name=each) for each in names))
    path, xml = planned(bench), bench.directory / "r.xml"
    bench.define(bench.ubuntu("1", name=names[0]))
    assert apply(bench, path, "--yes", "--report", str(xml)).code == 1
    assert {each: state for each, (state, _) in cases(xml).items()} == {
        names[0]: "passed",
        names[1]: "failure",
        "run": "passed",
    }


def test_what_shares_a_name_with_what_changed_is_refused_too(bench: Bench) -> None:
    """A name that moves from one definition to another: half of that was never approved."""
    first, second = f"Box {bench.tag}", f"Box {bench.tag} 2"
    bench.define(bench.ubuntu("2", name=first, multi=False))
    assert bench.run().code == 0
    assert bench.image("2").name == second
    bench.define(bench.ubuntu("2", name=first, multi=False, separator="-"), bench.ubuntu("7", name=second))
    path = planned(bench)
    bench.patch(bench.image("2"), {"op": "replace", "path": "/min_ram", "value": 5})
    before = bench.images()
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 1, outcome.text
    assert f"error: {first}: not done: the cloud changed since" in outcome.out
    assert f"error: {second}: not done: it has to do with '{second}', as has {first}, which is not done" in outcome.out
    assert bench.images() == before


def test_the_limit_of_deletes_is_that_of_the_whole_plan(bench: Bench) -> None:
    meta = {"os_distro": "ubuntu", "uuid_validity": "none"}
    names = [f"{each} {bench.tag}" for each in ("Arch", "Debian")]
    bench.define(*(bench.ubuntu("1", "2", name=each, meta=meta) for each in names))
    assert bench.run().code == 0
    bench.define(*(bench.ubuntu("2", name=each, meta=meta) for each in names))
    deleting = ("--outdated", "delete", "--unknown-usage", "delete")
    refused = bench.run("plan", "--out", str(bench.directory / "no.plan"), *deleting, "--max-deletes", "1")
    assert (refused.code, "--max-deletes allows 1: " in refused.err) == (1, True), refused.text
    assert refused.err.endswith("; it would be refused\n")
    assert not (bench.directory / "no.plan").exists()
    files = [bench.directory / name for name in ("r.json", "r.xml", "r.md", "r.prom")]
    options = [part for path in files[:3] for part in ("--report", str(path))] + ["--metrics", str(files[3])]
    again = bench.run("--dry-run", *deleting, "--max-deletes", "1", *options)
    assert (again.code, again.err) == (1, refused.err)
    told = json.loads(files[0].read_text())
    assert (told["exit_code"], f"error: {told['failed']['openstack']}\n") == (1, refused.err)
    (failure,) = ElementTree.parse(files[1]).getroot().iter("failure")
    assert failure.text == told["failed"]["openstack"]
    assert "it would be refused" in files[2].read_text()
    assert 'failures{class="other",cloud="openstack",command="run"} 1.0\n' in files[3].read_text()
    assert "last_success" not in files[3].read_text()
    path = planned(bench, *deleting)
    path.write_text(path.read_text().replace('"max_deletes": 5', '"max_deletes": 1'))
    bench.define(bench.ubuntu("2", name=names[0], meta=meta), bench.ubuntu("2", name=names[1], meta=meta, min_ram=1))
    before = bench.images()
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 1
    assert outcome.err == "error: the approved plan deletes 2 images, and --max-deletes allows 1; nothing was done\n"
    assert bench.images() == before


def test_a_plan_is_for_one_project_and_region(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", visibility="private"))
    path = planned(bench)
    other = bench.directory / "other-clouds.yaml"
    other.write_text(bench.clouds.read_text().replace("RegionOne", "RegionTwo"))
    bench.clouds = other
    outcome = apply(bench, path, "--yes")
    assert (outcome.code, "another project or region" in outcome.err) == (1, True), outcome.text
    assert bench.images() == []


def test_options_beside_a_plan_file_are_refused(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    path = planned(bench)
    for options in (["--cloud", "second"], ["--filter", "x"], ["--latest"], ["--tag", "other"]):
        outcome = apply(bench, path, "--yes", *options)
        assert (outcome.code, f"error: {options[0]} is already part of the plan file" in outcome.err) == (2, True)
    assert bench.images() == []


VALID = {
    "format": 3,
    "request": {
        "cloud": "openstack",
        "images": "/nowhere",
        "filter": None,
        "policy": {**asdict(Policy())},
        "roll_back": {},
    },
    "where": {"project": "p", "region": None},
    "day": "2026-01-02",
    "definitions": {},
    "plan": {"changes": []},
}
INVALID = "is not a valid plan file; make one with `plan --out`"


def edited(**policy: Any) -> str:
    """A plan file whose policy was edited by hand."""
    request = {**VALID["request"], "policy": {**asdict(Policy()), **policy}}
    return json.dumps({**VALID, "request": request})


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", INVALID),
        ("no json", INVALID),
        ("[" * 100_000, INVALID),
        (b"\xff\xfe", INVALID),
        ("[]", INVALID),
        ('{"images": []}', INVALID),
        ('{"format": 99}', "is a plan file of another release; make a new one with `plan --out`"),
        ('{"format": 2, "request": {}}', "is a plan file of another release; make a new one with `plan --out`"),
        (json.dumps({**VALID, "format": "3"}), f"{INVALID} (format: input should be 3)"),
        (json.dumps({**VALID, "more": 1}), f"{INVALID} (more: extra inputs are not permitted)"),
        (json.dumps({**VALID, "request": []}), f"{INVALID} (request: "),
        (json.dumps({**VALID, "day": "today"}), f"{INVALID} (day: "),
        (json.dumps({**VALID, "where": {"project": 1}}), f"{INVALID} (where.project: "),
        (json.dumps({**VALID, "plan": {}}), INVALID),
        (json.dumps({**VALID, "plan": {"changes": [{}]}}), INVALID),
        (edited(outdated="explode"), f"{INVALID} (request.policy.outdated: input should be 'keep', 'hide', "),
        (edited(grace="x"), f"{INVALID} (request.policy.grace: "),
        (edited(grace=-1), f"{INVALID} (request.policy.grace: "),
        (edited(max_deletes=10**30), f"{INVALID} (request.policy.max_deletes: "),
        (edited(max_deletes=True), f"{INVALID} (request.policy.max_deletes: "),
        (edited(keep=1), f"{INVALID} (request.policy.keep: "),
        (edited(tag=" "), f"{INVALID} (request.policy.tag: "),
        (edited(x=1), f"{INVALID} (request.policy.x: extra inputs are not permitted)"),
        (json.dumps(VALID), "/nowhere: No such file or directory; name the definitions with --images PATH"),
        (" " * (planfile.MAX_BYTES + 1), f"has more than 64 MiB: {INVALID}"),
        (None, "No such file or directory"),
    ],
    ids=range(26),
)
def test_broken_plan_files(tmp_path: Path, content: str | bytes | None, said: str) -> None:
    path = tmp_path / "broken.plan"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    outcome = run_main(["apply", str(path), "--yes"], {})
    assert outcome.out == ""
    assert outcome.err.count("\n") == 1
    assert outcome.code == (2 if "No such file" in said else 1)
    assert outcome.err.startswith("error: /nowhere: " if "/nowhere" in said else f"error: {path}: ")
    assert said in outcome.err


def test_only_a_regular_file_is_read(tmp_path: Path) -> None:
    """A device never ends, and a pipe waits for someone to write."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for path in (Path("/dev/zero"), pipe):
        outcome = run_main(["apply", str(path), "--yes"], {})
        assert (outcome.code, outcome.out) == (1, "")
        assert outcome.err == f"error: {path}: is not a file; make a plan file with `plan --out`\n"


def test_the_model_of_a_plan_file_knows_every_option() -> None:
    assert [*planfile._Policy.model_fields] == [field.name for field in fields(Policy)]
    assert [*planfile._Request.model_fields] == [field.name for field in fields(Request)]


def test_the_bytes_that_a_checksum_file_named_are_approved(bench: Bench) -> None:
    """Upstream replaces the image and its checksum file after the approval: nobody approved those bytes."""
    one, two = (bench.version(name) for name in ("1", "2"))
    digests = {each: version["checksum"].removeprefix("sha256:") for each, version in (("1", one), ("2", two))}
    sums = bench.site.put("/SUMS", "".join(f"{digest}  {name}.img\n" for name, digest in digests.items()).encode())
    moving = [{"version": each["version"], "url": each["url"], "checksums_url": sums} for each in (one, two)]
    other = bench.ubuntu("3", name=f"Other {bench.tag}")
    bench.define(bench.ubuntu(*moving), other)
    before = bench.site.count("/SUMS")
    path = planned(bench)
    assert bench.site.count("/SUMS") == before + 1
    changes = json.loads(path.read_text())["plan"]["changes"]
    assert {change["checksum"] for change in changes} == {each["checksum"] for each in (one, two, bench.version("3"))}
    bench.publish("/2.img", "replaced")
    now = hashlib.sha256((bench.site.directory / "2.img").read_bytes()).hexdigest()
    bench.site.put("/SUMS", f"{digests['1']}  1.img\n{now}  2.img\n".encode())
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 1, outcome.text
    (line,) = [line for line in outcome.out.splitlines() if line.startswith("error: ")]
    assert line == (
        f"error: Ubuntu {bench.tag}: not done: its checksum file changed since the plan was made: the import of "
        f"Ubuntu {bench.tag} (version 2): checksum {two['checksum']} was approved, sha256:{now} now; make a new plan"
    )
    assert bench.names() == {f"Other {bench.tag}": "3"}
    # Without the file nobody knows which bytes would come.
    bench.site.put("/SUMS", b"gone")
    for outcome in (apply(bench, path, "--yes"), bench.run("plan", "--out", str(path))):
        assert outcome.code == 1, outcome.text
        assert (
            f"error: Ubuntu {bench.tag}: left alone: {bench.site.url}/SUMS: the checksum file has no digest"
            in outcome.out
        )
    assert bench.names() == {f"Other {bench.tag}": "3"}


def test_the_checksum_of_a_plan_with_its_bytes_can_be_expected(bench: Bench) -> None:
    version = bench.version("1")
    sums = bench.site.put("/SUMS", f"{version['checksum'].removeprefix('sha256:')}  1.img\n".encode())
    bench.define(bench.ubuntu({"version": "1", "url": version["url"], "checksums_url": sums}))
    outcome = bench.run("plan", "--out", str(bench.directory / "p.plan"))
    checksum = outcome.out.rpartition("; plan ")[2].strip()
    outcome = bench.run("apply", "--yes", "--expect", checksum)
    assert outcome.code == 0, outcome.text
    assert bench.names() == {f"Ubuntu {bench.tag}": "1"}


def test_a_plan_goes_with_definitions_that_were_moved(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    path = planned(bench)
    moved = bench.directory / "moved"
    (bench.directory / "images").rename(moved)
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 2
    assert outcome.err == (
        f"error: {bench.directory / 'images'}: No such file or directory; name the definitions with --images PATH\n"
    )
    outcome = apply(bench, path, "--yes", "--images", str(moved))
    assert outcome.code == 0, outcome.text
    assert bench.names() == {f"Ubuntu {bench.tag}": "1"}


def test_a_plan_that_cannot_be_written(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    for path in (bench.directory / "missing" / "x.plan", bench.directory):
        outcome = bench.run("plan", "--out", str(path))
        assert (outcome.code, outcome.err.startswith(f"error: {path}: cannot be written: ")) == (1, True)


def test_a_plan_that_cannot_be_written_whole_leaves_the_one_before(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    path = planned(bench)
    approved = path.read_text()
    there = sorted(bench.directory.iterdir())
    bench.define(bench.ubuntu("1", "2"))
    # Coverage would write a file too.
    environment = {key: value for key, value in bench.environment.items() if not key.startswith("COVERAGE_")}
    command = [sys.executable, "-m", "openstack_image_manager", *bench.arguments("plan", "--out", str(path))]
    full = ["sh", "-c", 'ulimit -f 0 && exec "$@"', "sh"]
    done = subprocess.run([*full, *command], env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (1, f"error: {path}: cannot be written: File too large\n"), done.stdout
    assert path.read_text() == approved
    assert sorted(bench.directory.iterdir()) == there
