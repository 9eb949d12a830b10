"""`doctor` on real clouds: login, definitions, addresses, object storage, and the output."""

from __future__ import annotations

import json
from typing import Any
from xml.etree import ElementTree

import pytest
import yaml
from tests.support.bench import CLOSED, Bench, run_main
from tests.support.doctors import Checks, checks, doctor, states
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

from openstack_image_manager.sandbox import Account

pytestmark = pytest.mark.usefixtures("no_records_of_doctor")


def test_a_cloud_that_cannot_be_reached(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    whole = yaml.safe_load(bench.clouds.read_text())
    bench.clouds = bench.directory / "spoilt.yaml"

    def spoilt(**changes: Any) -> tuple[int, Checks, Checks]:
        entry = whole["clouds"]["openstack"]
        auth = {**entry["auth"], **changes.pop("auth", {})}
        bench.clouds.write_text(yaml.safe_dump({"clouds": {"openstack": {**entry, **changes, "auth": auth}}}))
        return checks(bench)

    code, cloud, here = spoilt(auth={"password": "wrong-7f3a"})
    assert (code, states(cloud), states(here)) == (3, {"login": "problem"}, {"addresses": "ok", "signatures": "ok"})
    assert "login refused; check user, password" in cloud["login"]["what"]
    assert "wrong-7f3a" not in json.dumps(cloud)
    code, cloud, here = spoilt(image_endpoint_override=CLOSED)
    assert (code, states(cloud)) == (3, {"login": "ok", "image service": "problem"})
    assert f"no connection to {CLOSED}/v2/info/import (Connection refused)" in cloud["image service"]["what"]


def test_definitions_that_this_cloud_cannot_have(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", owner="no-such-project"), watched.ubuntu("2", name=f"Other {watched.tag}"))
    code, cloud, _ = checks(watched)
    assert (code, cloud["definitions"]["state"]) == (3, "problem")
    assert "no-such-project" in cloud["definitions"]["what"]
    proxy.add(Rule("GET", "/v2/images", status=403, body="not you", times=2))
    code, cloud, here = checks(watched)
    assert (code, "not you" in cloud["definitions"]["what"], here["addresses"]["state"]) == (3, True, "ok")


def test_addresses(bench: Bench) -> None:
    gone = bench.version("1", url=f"{bench.site.url}/gone.img")
    page = bench.version("2")
    bench.site.on("/2.img", Switches(html="<html>welcome"))
    mirrored = bench.version("3", mirror_url=f"{bench.site.url}/no-copy.img")
    picky = bench.version("4")
    bench.site.on("/4.img", Switches(picky=True, ranges=False))
    bench.define(bench.ubuntu(gone, page, mirrored, picky))
    outcome = doctor(bench)
    assert outcome.code == 3
    site, name = bench.site.url, f"Ubuntu {bench.tag}"
    for line in (
        "ok       addresses: 2 of 5 URLs answer from this machine",
        f"problem  address: {name} 1: {site}/gone.img: 404 Not Found",
        f"problem  address: {name} 2: {site}/2.img: a web page instead of an image",
        f"warning  address: {name} 3: {site}/no-copy.img: 404 Not Found; its upstream is used instead",
        f"warning  address: {site}/4.img refuses Python's urllib (403 Forbidden), which web-download uses",
    ):
        assert f"{line}\n" in outcome.out, outcome.out
    size = len((bench.site.directory / "3.img").read_bytes()) + len((bench.site.directory / "4.img").read_bytes())
    assert f"4 images to import: {size / 1024**2:.1f} MiB as published" in outcome.out
    assert "and 2 of unknown size" in outcome.out


def test_checksum_files(bench: Bench) -> None:
    """They are read from here alone: Glance need not reach their site."""
    site, name = bench.site.url, f"Ubuntu {bench.tag}"
    bench.site.on("/page", Switches(html="<html>welcome"))
    digest = bench.version("1")["checksum"].removeprefix("sha256:")
    sums = bench.site.put("/SUMS", f"{digest}  1.img\n".encode()).replace("127.0.0.1", "localhost")
    files = {"1": sums, "2": f"{site}/gone", "3": f"{site}/page"}
    listed = [bench.version(each, checksum=None, checksums_url=url) for each, url in files.items()]
    bench.define(bench.ubuntu(*listed, bench.version("4", checksums_url=f"{site}/never")))
    outcome = doctor(bench)
    assert outcome.code == 3
    for line in (
        "ok       addresses: 5 of 7 URLs answer from this machine",
        f"problem  checksum file: {name} 2: {site}/gone: 404 Not Found",
        f"problem  checksum file: {name} 3: {site}/page: a web page came instead of the file",
    ):
        assert f"{line}\n" in outcome.out, outcome.out
    assert "localhost" not in outcome.out
    assert (bench.site.count("/SUMS"), bench.site.count("/never")) == (1, 0)
    # An import says the same.
    bench.define(bench.ubuntu(listed[0]), bench.ubuntu(listed[1], name=f"{name} other"))
    outcome = bench.run()
    assert (outcome.code, f"{site}/gone: 404 Not Found" in outcome.text) == (1, True), outcome.text
    assert [image.name for image in bench.images()] == [name]


def test_glance_is_asked_to_fetch(bench: Bench) -> None:
    here = bench.version("1")
    elsewhere = bench.version("2", url=here["url"].replace("127.0.0.1", "localhost"))
    bench.define(bench.ubuntu(here, elsewhere))
    code, cloud, _ = checks(bench, "--ask-glance")
    asked = {topic.removeprefix("web-download from "): each for topic, each in cloud.items() if "from http" in topic}
    taken, refused = asked[bench.site.url], asked[bench.site.url.replace("127.0.0.1", "localhost")]
    assert (code, taken["state"], refused["state"]) == (0, "ok", "warning")
    assert "does not pass filtering" in refused["what"]
    assert "[import_filtering_opts]" in refused["change"]


def test_the_object_storage(bench: Bench, object_storage: Account, bucket: str) -> None:
    def look(name: str, secret: str = object_storage.secret_key) -> dict[str, Any]:
        bench_environment = bench.environment | {
            "AWS_ACCESS_KEY_ID": object_storage.access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
        }
        arguments = ["doctor", "--cloud", "openstack", "--bucket", f"s3://{name}", "--endpoint", object_storage.url]
        outcome = run_main([*arguments, "--output", "json"], bench_environment)
        (found,) = (each for each in json.loads(outcome.out)["here"] if each["topic"] == "object storage")
        assert outcome.code == (0 if found["state"] == "ok" else 3)
        return dict(found)

    assert look(bucket)["what"] == f"s3://{bucket} at {object_storage.url} can be read"
    assert "the bucket does not exist" in look("nowhere")["what"]
    assert "these credentials lack the permission" in look(bucket, "wrong")["what"]


def test_a_report_of_the_checks(bench: Bench) -> None:
    json_, note, xml = (bench.directory / f"r.{suffix}" for suffix in ("json", "md", "xml"))
    options = [part for path in (json_, note, xml) for part in ("--report", str(path))]
    bench.define(bench.ubuntu(bench.version("1", url=f"{bench.site.url}/gone.img")))
    outcome = doctor(bench, "--cloud", "nowhere", "--output", "json", *options)
    report = json.loads(json_.read_text())
    assert (outcome.code, report["command"], report["exit_code"], report["error"]) == (3, "doctor", 3, None)
    assert report == json.loads(outcome.out)
    found = {
        (each.attrib["classname"], each.attrib["name"]): [*each] for each in ElementTree.parse(xml).iter("testcase")
    }
    states = {"ok": [], "problem": ["failure"], "warning": ["skipped"], "unknown": ["skipped"]}
    groups = {**report["clouds"], "from this machine": report["here"]}
    for name, checks_ in groups.items():
        for each in checks_:
            assert [state.tag for state in found.pop((name, each["topic"]))] == states[each["state"]]
    assert found == {("doctor", "run"): []}  # it did what it was asked for
    assert groups["nowhere"][0]["state"] == groups["from this machine"][0]["state"] == "problem"
    assert "| problem | login | " in note.read_text()
    (bench.directory / "images" / "images.yml").write_text("images: [{}]")
    outcome = doctor(bench, *options)
    report = json.loads(json_.read_text())
    assert (outcome.code, report["exit_code"], report["clouds"]) == (1, 1, {})
    assert "is missing; add it" in report["error"]


def test_several_clouds(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    outcome = doctor(bench, "--cloud", "second", "--cloud", "nowhere")
    assert outcome.code == 3
    headings = [line for line in outcome.out.splitlines() if line.startswith(("Cloud", "From"))]
    assert headings == ["Cloud openstack", "Cloud second", "Cloud nowhere", "From this machine"]
    assert "problem  login: cloud 'nowhere': not in " in outcome.out
    assert bench.site.count("/1.img") == 2  # once for all clouds, and once as Glance
