"""Plans: kept in files and applied as approved, shown in several forms, refused when the world moved on."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import re
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from openstack_image_manager.glance import Glance
from openstack_image_manager.looking import Looks
from openstack_image_manager.model import Image
from tests.real.bench import Bench, Outcome, run_main
from tests.services.proxy import Proxy, Rule


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
    assert f"note: Ubuntu {bench.tag}: is done already, as approved\n" in outcome.out


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
    outcome = apply(bench, path, "--yes")
    assert outcome.code == 1, outcome.text
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
    assert 'failures{command="run",cloud="openstack",class="other"} 1\n' in files[3].read_text()
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
        assert (outcome.code, f"error: {options[0]} has no effect beside a plan file" in outcome.err) == (2, True)
    assert bench.images() == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "is no plan file"),
        ("no json", "is no plan file"),
        (b"\xff\xfe", "is no plan file"),
        ("[]", "is no plan file"),
        ('{"images": []}', "is no plan file"),
        ('{"format": 99}', "a plan file of another release"),
        ('{"format": 2, "request": {"policy": {}}, "plan": {"changes": []}, "where": {}}', "is no plan file"),
        ('{"format": 2, "request": {"policy": {"x": 1}}, "plan": {"changes": []}, "where": {}}', "is no plan file"),
        ('{"format": 2, "request": [], "plan": {}, "where": {}}', "is no plan file"),
        (
            '{"format": 2, "request": {"policy": {}}, "plan": {"changes": [{}]}, "day": "", "definitions": {}}',
            "is no plan",
        ),
        (None, "No such file or directory"),
    ],
)
def test_broken_plan_files(tmp_path: Path, content: str | bytes | None, said: str) -> None:
    path = tmp_path / "broken.plan"
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    outcome = run_main(["apply", str(path), "--yes"], {})
    assert (outcome.code, outcome.out) == (1, "")
    assert outcome.err.startswith(f"error: {path}: ")
    assert said in outcome.err
    assert outcome.err.count("\n") == 1


def test_a_plan_that_cannot_be_written(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    for path in (bench.directory / "missing" / "x.plan", bench.directory):
        outcome = bench.run("plan", "--out", str(path))
        assert (outcome.code, outcome.err.startswith(f"error: {path}: the plan can't be written: ")) == (1, True)


def test_expect(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    made = re.search(r"plan (\w{16})$", bench.run("plan").out.strip())
    assert made
    outcome = bench.run("apply", "--yes", "--expect", "0123456789abcdef")
    assert outcome.code == 2
    assert f"the plan is {made[1]} now, not 0123456789abcdef; nothing was changed" in outcome.err
    assert bench.images() == []
    outcome = bench.run("apply", "--yes", "--expect", made[1])
    assert outcome.code == 0, outcome.text
    bench.converged()


def on_a_terminal(bench: Bench, answer: str) -> tuple[int, str]:
    """Exit code and screen of `apply`, with somebody there who answers."""
    keyboard, terminal = pty.openpty()
    command = [sys.executable, "-m", "openstack_image_manager", *bench.arguments("apply")]
    with subprocess.Popen(command, env=bench.environment, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        os.write(keyboard, answer.encode())
        screen = b""
        try:
            while piece := os.read(keyboard, 65536):
                screen += piece
        except OSError:  # how a pseudo terminal says that the other side is closed
            pass
    os.close(keyboard)
    return process.returncode, screen.decode()


def test_apply_asks(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    outcome = bench.run("apply")
    assert (outcome.code, outcome.err) == (2, "error: nobody can be asked here; add --yes to apply without asking\n")
    assert "1 to import" in outcome.out
    for answer in ("n\n", "\x04"):
        code, screen = on_a_terminal(bench, answer)
        assert (code, "Apply this plan? [y/N]" in screen, "Aborted" in screen) == (1, True, True), screen
        assert "Traceback" not in screen
    assert bench.images() == []
    code, screen = on_a_terminal(bench, "y\n")
    assert (code, "1 ok, 0 failed, 0 skipped" in screen) == (0, True), screen
    assert bench.run("apply").code == 0  # nothing to do, nothing to ask


def test_exit_codes_of_plan(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run("plan").code == 0
    assert bench.run("plan", "--exit-code").code == 3
    gone = {"version": "latest", "url": f"{bench.site.url}/x.img", "checksum_url": f"{bench.site.url}/missing"}
    bench.define(bench.ubuntu("1"), bench.ubuntu(gone, name=f"Moving {bench.tag}"))
    for arguments in (("plan",), ("plan", "--exit-code"), ("--dry-run",)):
        outcome = bench.run(*arguments)
        assert outcome.code == 1
        assert f"error: Moving {bench.tag}: left alone" in outcome.out
    assert bench.run().code == 1
    bench.define(bench.ubuntu("1"))
    bench.converged()


def test_forms_of_a_plan(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", meta={"os_distro": "ubuntu", "os_purpose": "generic", "note": "a|b"}))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", "2", min_ram=128))
    plan = json.loads(bench.run("plan", "--output", "json").out)
    assert (plan["cloud"], plan["definitions"], plan["images"]) == ("openstack", 1, 1)
    created, changed = plan["changes"]
    assert (created["action"], created["version"], created["visibility"]) == ("import", "2", "public")
    assert created["properties"]["internal_version"] == "2"
    assert (changed["action"], changed["id"], changed["reason"]) == ("change", bench.image("1").id, "superseded by 2")
    fields = {field.pop("field"): field for field in changed["fields"]}
    assert fields["min_ram"] == {"before": 64, "after": 128, "reason": "as defined"}
    assert fields["name"]["after"] == f"Ubuntu {bench.tag} (1)"
    assert fields["note"] == {"before": "a|b", "after": None, "reason": "no longer in the definition"}
    assert all(field["reason"] for field in fields.values())

    markdown = bench.run("plan", "--output", "markdown").out
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert rows[0] == "| image | field | before | after | reason |"
    assert {len(re.findall(r"(?<!\\)\|", row)) for row in rows} == {6}
    assert f"| Ubuntu {bench.tag} | min_ram | 64 | 128 | as defined |" in markdown.replace("\\_", "_")
    assert plan["checksum"] in markdown
    assert plan["checksum"] in bench.run("plan").out


def test_a_dry_run_is_the_plan_and_writes_nothing(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2", min_ram=128))
    proxy.clear()
    dry = watched.run("--dry-run")
    assert dry.code == 0, dry.text
    assert dry == watched.run("plan")
    assert "1 to import, 1 to change, 0 to delete" in dry.out
    assert {call.method for call in proxy.calls} == {"GET"}


BROKEN = {"name": "Broken", "format": "qcow2", "visibility": "everybody", "versions": []}


def test_wrong_usage_and_wrong_definitions_end_a_run_before_anything_is_written(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    for arguments, said in [
        (("--filter", "("), "--filter '(' is not a regular expression"),
        (("plan", "--filter", "["), "--filter '[' is not a regular expression"),
        (("--delete",), "--delete goes with --yes-i-really-know-what-i-do"),
        (("--grace", "soon"), "--grace soon: give a number of days"),
        (("--workers", "0"), "--workers"),
        (("--hidden-visibility", "public"), "--hidden-visibility"),
    ]:
        outcome = watched.run(*arguments)
        assert (outcome.code, said in outcome.err) == (2, True), outcome.text
    for command in ("plan", "apply", "validate"):
        outcome = run_main(["--cloud", "openstack", command], watched.environment)
        assert outcome.code == 2
        assert outcome.err == (
            f"error: --cloud stands before '{command}', where it has no effect; "
            f"write: openstack-image-manager {command} --cloud …\n"
        )
    watched.define(watched.ubuntu("1"), BROKEN)
    for arguments in ((), ("--dry-run",), ("plan",), ("apply", "--yes"), ("--check-only",)):
        outcome = watched.run(*arguments)
        assert (outcome.code, "images.yml:" in outcome.err, "visibility" in outcome.err) == (1, True, True)
    # What the cloud has is asked for meanwhile, and nothing else.
    assert proxy.count("(?!GET).*") == proxy.count(path="(?!/v2/images).*") == 0


def test_what_someone_changes_during_a_run_is_not_overwritten(watched: Bench, proxy: Proxy) -> None:
    other = watched.ubuntu("2", name=f"Other {watched.tag}")
    watched.define(watched.ubuntu("1"), other)
    assert watched.run().code == 0
    image = watched.image("1")

    def interfere() -> None:
        watched.patch(
            image,
            {"op": "replace", "path": "/min_disk", "value": 7},
            {"op": "add", "path": "/theirs", "value": "new"},
        )

    proxy.add(Rule("GET", f"/v2/images/{image.id}", before=interfere))
    watched.define(watched.ubuntu("1", min_ram=128), {**other, "min_ram": 256})
    outcome = watched.run()
    assert outcome.code == 1, outcome.text
    assert f"{image.id} was changed by someone since the plan was made (min_disk, theirs); plan again" in outcome.out
    assert "1 ok, 1 failed, 0 skipped" in outcome.out
    found = watched.image("1")
    assert (found.min_ram, found.min_disk, watched.image("2").min_ram) == (64, 7, 256)
    assert watched.run().code == 0
    found = watched.image("1")
    assert (found.min_ram, found.properties["theirs"]) == (128, "new")
    watched.converged()


def patched(bench: Bench, level: str) -> dict[str, Any]:
    """Version 1 with one property more."""
    meta = bench.ubuntu("1")["meta"]
    return bench.ubuntu("1", meta={**meta, "patchlevel": level})


def looked(watched: Bench, proxy: Proxy, before: Callable[[], object]) -> Outcome:
    """A run that changes a property of version 1, where someone is quicker than its look before that."""
    watched.define(patched(watched, "1"))
    proxy.clear()
    # What comes first are the listings of visible and of hidden images.
    rule = proxy.add(Rule("GET", "/v2/images", nth=3, before=before))
    outcome = watched.run()
    assert rule.seen == 3
    return outcome


def test_a_property_is_not_set_when_someone_changed_the_image_since_the_plan(watched: Bench, proxy: Proxy) -> None:
    other = watched.ubuntu("2", name=f"Other {watched.tag}")
    watched.define(watched.ubuntu("1"), other)
    assert watched.run().code == 0
    image = watched.image("1")
    path = f"/v2/images/{image.id}"
    theirs = [
        {"op": "replace", "path": "/min_disk", "value": 7},
        {"op": "add", "path": "/patchlevel", "value": "theirs"},
    ]
    outcome = looked(watched, proxy, lambda: watched.patch(image, *theirs))
    assert outcome.code == 1, outcome.text
    said = f"{image.id} was changed by someone since the plan was made (min_disk, patchlevel); plan again"
    assert said in outcome.out
    found = watched.image("1")
    assert (found.min_disk, found.properties["patchlevel"]) == (7, "theirs")
    assert proxy.count("PATCH", path) == 0
    assert watched.run().code == 0
    found = watched.image("1")
    assert (found.min_disk, found.properties["patchlevel"]) == (1, "1")
    watched.converged()


@pytest.mark.parametrize("theirs", ["hidden", "gone", "refused"])
def test_an_image_that_the_common_look_does_not_show(watched: Bench, proxy: Proxy, theirs: str) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    image = watched.image("1")
    hide = {"op": "replace", "path": "/os_hidden", "value": True}
    path = f"/v2/images/{image.id}"
    if theirs == "refused":
        watched.define(patched(watched, "1"))
        proxy.clear()
        proxy.add(Rule("GET", "/v2/images", nth=3, status=400, body="not now"))
        outcome = watched.run()
        assert (outcome.code, proxy.count("GET", path), proxy.count("PATCH", path)) == (0, 1, 1), outcome.text
    elif theirs == "hidden":
        outcome = looked(watched, proxy, lambda: watched.patch(image, hide))
        assert (outcome.code, proxy.count("PATCH", path)) == (1, 0)
        assert f"{image.id} was changed by someone since the plan was made (hidden); plan again" in outcome.out
    else:
        outcome = looked(watched, proxy, lambda: watched.admin.image.delete(path.removeprefix("/v2")))
        assert (outcome.code, f"{image.id} is gone since the plan was made; plan again" in outcome.out) == (1, True)
    assert watched.run().code == 0
    watched.converged()


def test_many_are_looked_at_with_one_question(watched: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch) -> None:
    watched.define(watched.ubuntu("1"), watched.ubuntu("2", name=f"Other {watched.tag}"))
    assert watched.run().code == 0
    one, two = watched.image("1"), watched.image("2")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(watched.clouds))
    with closing(Glance.connect("openstack")) as glance:
        looks = Looks(glance, [one.id, two.id])
        proxy.clear()
        assert [looks.at(two.id).id, looks.at(one.id).id] == [two.id, one.id]
        assert [call.path for call in proxy.calls] == ["/v2/images"]
        # Each answer is good for one change, and not for long.
        assert looks.at(one.id).id == one.id
        looks = Looks(glance, [one.id, two.id], fresh=-1.0)
        looks.at(one.id)
        proxy.clear()
        assert looks.at(two.id).id == two.id
        assert [call.path for call in proxy.calls] == [f"/v2/images/{two.id}"]


def test_an_image_that_is_gone_during_a_run(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    image = watched.image("1")
    proxy.add(Rule("GET", f"/v2/images/{image.id}", before=lambda: watched.admin.image.delete(f"/images/{image.id}")))
    watched.define(watched.ubuntu("1", min_ram=128))
    outcome = watched.run()
    assert (outcome.code, f"{image.id} is gone since the plan was made; plan again" in outcome.out) == (1, True)
    assert watched.run().code == 0
    watched.converged()


def test_checks_look_at_definitions_alone(watched: Bench, proxy: Proxy) -> None:
    def build(days: int) -> dict[str, Any]:
        day = (datetime.now(UTC) - timedelta(days=days)).date().isoformat()
        return watched.version("1", build_date=day)

    old = watched.ubuntu(build(100), name=f"Old {watched.tag}")
    watched.define(watched.ubuntu(build(50)), old)
    outcome = watched.run("--check-only")
    assert (outcome.code, outcome.out) == (0, "2 definitions checked: 0 too old\n")
    outcome = watched.run("--check-age")
    assert outcome.code == 0
    assert outcome.out == (
        f"Old {watched.tag}: newest build 1 is 100 days old, more than 90\n2 definitions checked: 1 too old\n"
    )
    assert "2 definitions checked: 2 too old" in watched.run("--check-age", "--max-age", "49").out
    assert watched.run("--check-age", "--filter", "Ubuntu").out == "1 definition checked: 0 too old\n"
    assert proxy.calls == []


def look(image: Image) -> tuple[str, bool, str]:
    return image.visibility, image.hidden, image.status


def test_what_retired_images_become(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2", meta={"os_distro": "ubuntu", "uuid_validity": "last-1"}))
    assert bench.run().code == 0
    for options, expected in [
        ((), ("community", False, "active")),
        (("--hide",), ("community", False, "active")),
        (("--hidden-visibility", "private"), ("private", False, "active")),
        (("--use-os-hidden",), ("public", True, "active")),
        # Still defined: it goes no further than hidden.
        (("--deactivate",), ("community", False, "active")),
    ]:
        bench.patch(
            bench.image("1"),
            {"op": "replace", "path": "/visibility", "value": "public"},
            {"op": "replace", "path": "/os_hidden", "value": False},
        )
        outcome = bench.run(*options)
        assert outcome.code == 0, outcome.text
        assert (options, look(bench.image("1"))) == (options, expected)
        assert look(bench.image("2")) == ("public", False, "active")
    assert "no changes" in bench.run("--dry-run", *options).out


def test_latest_keep_and_force(bench: Bench) -> None:
    name = f"Ubuntu {bench.tag}"
    meta = {"os_distro": "ubuntu", "uuid_validity": "last-1"}
    bench.define(bench.ubuntu("1", "2", enable=False, meta=meta))
    outcome = bench.run("--latest")
    assert (outcome.code, f"note: {name}: enable is false" in outcome.out, bench.images()) == (0, True, [])
    assert bench.run("--latest", "--force").code == 0
    assert bench.names() == {name: "2"}
    bench.define(bench.ubuntu("3", meta=meta))
    assert bench.run("--keep").code == 0
    assert bench.names() == {name: "3", f"{name} (2)": "2"}
    assert bench.image("2").visibility == "public"
    assert bench.run().code == 0
    assert bench.image("2").visibility == "community"
    bench.converged()
