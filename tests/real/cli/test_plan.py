"""Plans as they are shown and asked about: forms, exit codes, dry runs, and `apply` that plans by itself."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys

from tests.support.bench import Bench, run_main
from tests.support.proxy import Proxy


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
    assert (outcome.code, outcome.err) == (2, "error: not a terminal: add --yes to apply without asking\n")
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
    (plan,) = json.loads(bench.run("plan", "--output", "json").out)["clouds"]
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


def test_definitions_as_an_argument(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    folder = str(bench.directory / "images")
    common = ["--cloud", bench.cloud, "--tag", bench.tag]
    outcome = run_main(["plan", folder, *common], bench.environment)
    assert (outcome.code, "1 to import" in outcome.out) == (0, True), outcome.text
    for command in ("plan", "apply"):
        outcome = run_main([command, folder, "--images", folder, *common], bench.environment)
        assert (outcome.code, outcome.err) == (2, "error: PATH and --images mean the same; give one of them\n")
        outcome = run_main([command, "--images", f"{folder}/none", *common], bench.environment)
        assert (outcome.code, "No such file or directory" in outcome.err) == (2, True), outcome.text
    outcome = run_main(["apply", f"{folder}/images.yml", "--yes", *common], bench.environment)
    assert outcome.code == 0, outcome.text
    bench.converged()
    # Where PATH is no plan file, its definitions are planned anew.
    outcome = run_main(["apply", folder, "--yes", *common], bench.environment)
    assert (outcome.code, "no changes" in outcome.out) == (0, True), outcome.text
