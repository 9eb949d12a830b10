"""Reports and metrics of real runs: what they say is what happened, whatever happened."""

from __future__ import annotations

import json
import signal
import time

import yaml
from tests.support.bench import CLOSED, Bench, run_main
from tests.support.proxy import Proxy
from tests.support.reports import cases, metrics
from tests.support.site import Switches

from openstack_image_manager.plan.diff import FIELDS


def test_reports_and_metrics_of_a_run(bench: Bench) -> None:
    good = bench.ubuntu(bench.version("1", build_date="2024-01-01"), meta={"replace_frequency": "daily"})
    bad = {**bench.ubuntu("2"), "name": f"bad {bench.tag}"}
    bench.site.on("/2.img", Switches(status=404))
    bench.define(good, bad)
    files = {suffix: bench.directory / f"report{suffix}" for suffix in (".json", ".md", ".xml", ".prom")}
    options = [part for suffix in (".json", ".md", ".xml") for part in ("--report", str(files[suffix]))]
    started = time.time()
    outcome = bench.run(*options, "--metrics", str(files[".prom"]))
    assert outcome.code == 1, outcome.text

    report = json.loads(files[".json"].read_text())
    assert (report["command"], report["exit_code"], report["error"], report["failed"]) == ("run", 1, None, {})
    (cloud,) = report["clouds"]
    assert {change["definition"] for change in cloud["changes"]} == {good["name"], bad["name"]}
    assert {result["definition"]: result["state"] for result in cloud["results"]} == {
        good["name"]: "ok",
        bad["name"]: "failed",
    }
    note = files[".md"].read_text()
    assert f"| {good['name']} | ok |" in note
    assert "1 ok, 1 failed, 0 skipped" in note
    assert "ended with exit code 1" in note
    found = cases(files[".xml"])
    assert (found[good["name"]], found["run"]) == (("passed", ""), ("passed", ""))
    assert found[bad["name"]][0] == "failure"
    assert "404" in found[bad["name"]][1]

    sample = metrics(files[".prom"])
    assert sample["last_run_timestamp_seconds", "run"] >= started
    assert sample["run_exit_code", "run"] == 1
    assert ("last_success_timestamp_seconds", "run", "openstack") not in sample
    assert sample["failures", "run", "openstack", "download"] == 1
    assert sum(value for key, value in sample.items() if key[0] == "failures") == 1
    assert sample["definitions", "run", "openstack"] == 2
    # As the cloud is after the run: one image, and one that is still to be imported.
    assert sample["images", "run", "openstack"] == 1
    assert [sample["pending_changes", "run", "openstack", a] for a in ("import", "change", "delete")] == [1, 0, 0]
    assert sample["verified_images", "run", "openstack", "yes"] == 1
    assert sample["build_timestamp_seconds", "run", "openstack", good["name"]] == 1704067200
    assert sample["build_overdue", "run", "openstack", good["name"]] == 1

    bench.site.on("/2.img", Switches())
    assert bench.run("--metrics", str(files[".prom"])).code == 0
    sample = metrics(files[".prom"])
    success = sample["last_success_timestamp_seconds", "run", "openstack"]
    assert success >= started
    assert sum(value for key, value in sample.items() if key[0] in ("failures", "pending_changes")) == 0

    # A run that fails keeps the moment of the last success, and says what it does not know by leaving it out.
    bench.cloud = "nowhere"
    outcome = bench.run("--cloud", "openstack", "--metrics", str(files[".prom"]), *options)
    assert outcome.code == 1
    sample = metrics(files[".prom"])
    assert sample["cloud_up", "run", "nowhere"] == 0
    assert sample["cloud_up", "run", "openstack"] == 1
    assert ("images", "run", "nowhere") not in sample
    assert sample["last_success_timestamp_seconds", "run", "openstack"] >= success
    assert sample["last_success_timestamp_seconds", "run"] >= success
    assert cases(files[".xml"])["cloud"][0] == "failure"
    assert "nowhere" in json.loads(files[".json"].read_text())["failed"]
    (bench.directory / "images" / "images.yml").write_text("images: [{}]")
    assert bench.run("--metrics", str(files[".prom"]), *options).code == 1
    after = metrics(files[".prom"])
    key = ("last_success_timestamp_seconds", "run", "openstack")
    assert after[key] == sample[key]
    assert after["failures", "run", "definition"] == 1
    assert "is missing; add it" in json.loads(files[".json"].read_text())["error"]
    assert cases(files[".xml"])["run"][0] == "failure"
    assert "**error**" in files[".md"].read_text()


def test_the_only_cloud_is_not_there(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    log = bench.directory / "x.prom"
    assert bench.run("--metrics", str(log)).code == 0
    before = metrics(log)
    clouds = yaml.safe_load(bench.clouds.read_text())
    clouds["clouds"]["openstack"]["auth"]["auth_url"] = f"{CLOSED}/v3"
    bench.clouds = bench.directory / "clouds-away.yaml"
    bench.clouds.write_text(yaml.safe_dump(clouds))
    assert bench.run("--metrics", str(log)).code == 1
    sample = metrics(log)
    assert (sample["cloud_up", "run", "openstack"], sample["failures", "run", "openstack", "cloud"]) == (0, 1)
    assert sum(value for key, value in sample.items() if key[0] == "failures") == 1
    key = ("last_success_timestamp_seconds", "run", "openstack")
    assert sample[key] == before[key]


def test_what_was_not_done_is_no_success(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    log = bench.directory / "x.prom"
    for arguments in (["apply", "--expect", "0" * 16, "--yes"], ["apply"]):
        outcome = bench.run(*arguments, "--metrics", str(log))
        assert outcome.code in (1, 2), outcome.text
        sample = metrics(log)
        assert sample["cloud_up", "apply", "openstack"] == 1
        assert [key for key in sample if key[0] == "last_success_timestamp_seconds"] == []
    assert bench.run("apply", "--yes", "--metrics", str(log)).code == 0
    assert ("last_success_timestamp_seconds", "apply", "openstack") in metrics(log)


def test_a_definition_with_an_error_is_a_failure_in_the_report_of_status(bench: Bench) -> None:
    gone = {"version": "latest", "url": f"{bench.site.url}/a.img", "checksums_url": f"{bench.site.url}/gone"}
    bench.define(bench.ubuntu(gone))
    files = {suffix: bench.directory / f"r{suffix}" for suffix in (".json", ".md", ".xml")}
    options = [part for path in files.values() for part in ("--report", str(path))]
    outcome = bench.run("status", "--output", "json", *options)
    assert outcome.code == 1, outcome.text
    state, said = cases(files[".xml"])[f"Ubuntu {bench.tag}"]
    assert (state, "its upstream cannot be queried" in said) == ("failure", True)
    assert "its upstream cannot be queried" in files[".md"].read_text()
    for text in (files[".json"].read_text(), outcome.out):
        assert json.loads(text)["findings"]["openstack"][0]["level"] == "error"


def test_a_file_that_can_t_be_written_is_told_before_anything_is_done(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    proxy.clear()
    folder = watched.directory / "nowhere"
    for option, path, message in (
        ("--report", folder / "x.json", "cannot be written: No such file or directory; nothing was done"),
        ("--report", watched.directory / "x.pdf", "the name must end in .json or .md or .xml"),
        ("--metrics", folder / "x.prom", "cannot be written: No such file or directory; nothing was done"),
        ("--metrics", watched.directory / "x.txt", "the name must end in .prom"),
    ):
        outcome = watched.run(option, str(path))
        assert (outcome.code, outcome.out) == (1 if path.parent == folder else 2, "")
        assert message in outcome.err
    assert proxy.calls == []


def test_an_interrupted_run_leaves_its_report(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    bench.site.on("/1.img", Switches(delay=0.5))
    path, log = bench.directory / "report.json", bench.directory / "run.prom"
    with bench.start("--report", str(path), "--metrics", str(log), "--log-format", "json") as process:
        while not bench.site.count("/1.img"):
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    report = json.loads(path.read_text())
    assert (report["exit_code"], report["clouds"][0]["results"][0]["state"]) == (130, "skipped")
    sample = metrics(log)
    assert sample["run_exit_code", "run"] == 130
    assert ("last_success_timestamp_seconds", "run", "openstack") not in sample
    records = [json.loads(line) for line in out.splitlines() if line.startswith("{")]
    assert records[-1]["message"].startswith("finishing the steps under way")


def test_logs_for_programs_say_where_they_belong(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    outcome = bench.run("--log-format", "json", "--debug")
    assert outcome.code == 0, outcome.text
    records = [json.loads(line) for line in outcome.err.splitlines()]
    (imported,) = [each for each in records if each["message"].startswith("imported as")]
    name = f"Ubuntu {bench.tag}"
    assert {key: imported[key] for key in ("level", "cloud", "definition", "image")} == {
        "level": "info",
        "cloud": "openstack",
        "definition": name,
        "image": name,
    }
    stages = [each for each in records if "/stage" in each["message"] and "keystoneauth" in each["logger"]]
    assert {(each["cloud"], each["definition"]) for each in stages} == {("openstack", name)}
    assert outcome.out.endswith("1 ok, 0 failed, 0 skipped\n")


def test_plan_status_and_rollback_report_too(bench: Bench) -> None:
    json_, xml = bench.directory / "r.json", bench.directory / "r.xml"
    options = ["--report", str(json_), "--report", str(xml)]
    bench.define(bench.ubuntu("1", bench.version("2", build_date="2024-01-01"), meta={"replace_frequency": "weekly"}))
    outcome = bench.run("plan", "--output", "json", *options)
    report = json.loads(json_.read_text())
    assert report == json.loads(outcome.out)
    assert set(FIELDS) - {"owner", "members", "stores"} <= set(report["clouds"][0]["changes"][0])
    assert cases(xml)[f"Ubuntu {bench.tag}"][0] == "skipped"
    (planned,) = report["clouds"]
    assert bench.run("apply", "--yes", *options).code == 0
    (applied,) = json.loads(json_.read_text())["clouds"]
    assert applied == planned | {"results": applied["results"]}
    outcome = bench.run("status", "--output", "json", *options)
    report = json.loads(json_.read_text())
    assert outcome.code == report["exit_code"] == 3
    assert report == json.loads(outcome.out)
    assert {name.rpartition(" ")[2]: state for name, (state, _) in cases(xml).items()} == {
        "1": "passed",
        "2": "failure",
        "run": "passed",
    }
    arguments = ["rollback", f"Ubuntu {bench.tag}", "--yes", "--images", str(bench.directory / "images")]
    arguments += ["--cloud", "openstack", "--tag", bench.tag]
    assert run_main([*arguments, *options], bench.environment).code == 0
    assert json.loads(json_.read_text())["clouds"][0]["results"][0]["state"] == "ok"


def test_sharing_reports_whom(bench: Bench) -> None:
    path = bench.directory / "r.json"
    bench.define(bench.ubuntu("1", visibility="shared"))
    assert bench.run().code == 0
    name = f"Ubuntu {bench.tag}"
    outcome = bench.run("share", name, "--project", "member", "--report", str(path))
    assert outcome.code == 0, outcome.text
    (line,) = json.loads(path.read_text())["lines"]
    assert (line["image"], line["state"].partition(",")[0]) == (name, "shared")
    assert f"{line['image']}: shared with {line['project']}, {line['state'].partition(', ')[2]}\n" == outcome.out
    outcome = bench.run("unshare", name, "--project", "member", "--report", str(path))
    assert json.loads(path.read_text())["lines"][0]["state"] == "no longer shared"
