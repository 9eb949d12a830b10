"""How the images stand, on a real Glance."""

from __future__ import annotations

import json

from tests.support.bench import Bench

from openstack_image_manager.plan import markers

META = {"os_distro": "ubuntu", "replace_frequency": "monthly", "provided_until": "2090-06-30"}


def rows(bench: Bench, *options: str) -> dict[str, dict[str, object]]:
    outcome = bench.run("status", "--output", "json", *options)
    return {row["version"]: row for row in json.loads(outcome.out)["clouds"]["openstack"]}


def test_age_drift_and_verification(bench: Bench) -> None:
    bench.define(bench.ubuntu("20240416", bench.version("20240514", build_date="2024-05-15"), meta=META))
    assert bench.run("--latest").code == 0
    bench.patch(bench.image("20240514"), {"op": "replace", "path": "/os_distro", "value": "debian"})
    outcome = bench.run("status")
    assert outcome.code == 3
    head, newest, missing = outcome.out.splitlines()[:3]
    assert head.split() == ["Image", "Version", "Built", "Age", "Due", "State", "Verified"]
    assert "2024-06-18 OVERDUE" in newest
    assert "differs: os_distro" in newest
    assert "missing" in missing
    found = rows(bench)
    row = found["20240514"]
    assert (row["built"], row["due"], row["overdue"], row["current"]) == ("2024-05-15", "2024-06-18", True, True)
    assert str(row["verified"]).startswith("sha256:")
    assert (found["20240416"]["state"], found["20240416"]["due"]) == ("missing", None)


def test_exit_code_and_other_states(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", "2"))
    outcome = bench.run("status", "--report", str(bench.directory / "status.xml"))
    assert (outcome.code, outcome.out.count("missing: the current build")) == (3, 1), outcome.text
    assert 'failures="1"' in (bench.directory / "status.xml").read_text()
    assert bench.run().code == 0
    outcome = bench.run("status")
    assert (outcome.code, outcome.out.count(" ok ")) == (0, 2), outcome.text
    assert bench.run("status", "--max-age", "1").code == 0
    bench.define(bench.ubuntu("1", bench.version("2", build_date="2024-01-01")))
    assert bench.run().code == 0
    assert bench.run("status").code == 0
    assert bench.run("status", "--max-age", "90").code == 3
    change = {"op": "add", "path": f"/{markers.VERIFIED}", "value": f"{markers.PENDING}none"}
    bench.patch(bench.image("2"), change)
    assert rows(bench)["2"]["state"] == "unfinished"
    bench.define(bench.ubuntu("1", "2", enable=False))
    assert rows(bench)["1"]["state"] == "disabled"
    bench.define(bench.ubuntu("2"))
    assert rows(bench)["1"]["state"] == "ok"


def test_several_clouds(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    outcome = bench.run("status", "--cloud", "second")
    assert outcome.out.count("missing") == 2
    outcome = bench.run("status", "--cloud", "nowhere")
    assert outcome.code == 1
    assert "Cloud openstack" in outcome.out
    assert "cloud 'nowhere': not in " in outcome.err
