"""`doctor` on real clouds: what users may do, what is out of order, and that nothing is left behind."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import openstack
import pytest
import yaml
from openstack.connection import Connection

from openstack_image_manager.doctor.needs import Needs
from openstack_image_manager.doctor.probe import TAG, Probe, rights
from openstack_image_manager.glance import Glance
from openstack_image_manager.sandbox import Account, Sandbox
from tests.real.bench import Bench, Outcome, run_main
from tests.real.conftest import connection
from tests.services.proxy import Proxy, Rule
from tests.services.site import Switches

CLOSED = "http://127.0.0.1:9"  # discard: nobody listens there
Checks = dict[str, dict[str, Any]]
LIMITS = {"image_size_total": 1, "image_count_total": 10, "image_stage_total": 1000, "image_count_uploading": 10}


def doctor(bench: Bench, *arguments: str) -> Outcome:
    common = ["--cloud", bench.cloud, "--tag", bench.tag]
    if (bench.directory / "images").exists():
        common += ["--images", str(bench.directory / "images")]
    return run_main(["doctor", *common, *arguments], bench.environment)


def checks(bench: Bench, *arguments: str) -> tuple[int, Checks, Checks]:
    """The exit code, and what was found in the cloud and from here, by topic."""
    outcome = doctor(bench, "--output", "json", *arguments)
    found = json.loads(outcome.out)
    (cloud,) = found["clouds"].values()
    return outcome.code, {each["topic"]: each for each in cloud}, {each["topic"]: each for each in found["here"]}


def states(found: Checks) -> dict[str, str]:
    return {topic: each["state"] for topic, each in found.items()}


def left(bench: Bench) -> list[str]:
    """Records of the test's own runs of `doctor` that are still there."""
    answer = bench.admin.image.get(f"/images?tag={TAG}&os_hidden=true&visibility=all")
    openstack.exceptions.raise_from_response(answer)
    return [each["id"] for each in answer.json()["images"] if each["name"] == f"doctor of {bench.tag}"]


@pytest.fixture(autouse=True)
def nothing_is_left(bench: Bench) -> Iterator[None]:
    yield
    assert left(bench) == []


@pytest.fixture
def restricted(bench: Bench, sandbox: Sandbox, connections: dict[str, Connection]) -> Iterator[Callable[..., Bench]]:
    """A bench of a user of their own in the project of `member`, from whom Glance's policy takes rights; from no one
    else, for others are at work meanwhile."""
    keystone = bench.admin.identity
    user = keystone.create_user(name=f"restricted-{bench.tag}", password=bench.tag, domain_id="default")
    project = connections["member"].current_project_id
    keystone.assign_project_role_to_user(project, user, keystone.find_role("member"))
    clouds = yaml.safe_load(bench.clouds.read_text())
    clouds["clouds"]["member"]["auth"] |= {"username": user.name, "password": bench.tag}
    bench.clouds = bench.directory / "restricted.yaml"
    bench.clouds.write_text(yaml.safe_dump(clouds))
    bench.cloud = "member"
    path = sandbox.state / "data" / "glance-one" / "policy.d" / f"{bench.tag}.yaml"

    def without(*rights: str) -> Bench:
        as_shipped = "role:admin or (role:member and project_id:%(project_id)s)"
        path.write_text(yaml.safe_dump(dict.fromkeys(rights, f"({as_shipped}) and not user_id:{user.id}")))
        return bench

    yield without
    path.unlink()
    keystone.delete_user(user)


RIGHTS = ("add_image", "publicize_image", "communitize_image", "deactivate", "copy_image", "delete_image")


def test_an_administrator(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    code, cloud, here = checks(bench)
    assert (code, states(here)) == (0, {"addresses": "ok"})
    assert "user 'admin', project 'admin', roles admin, " in cloud["login"]["what"]
    assert {cloud[f"right {name}"]["state"] for name in RIGHTS} == {"ok"}
    assert cloud["stores"]["what"] == "fast (file), slow (file)"
    assert cloud["import methods"]["what"] == "copy-image, glance-direct, web-download"
    assert (cloud["conversion to raw"]["state"], cloud["staging"]["state"]) == ("ok", "ok")
    assert (cloud["clock"]["state"], cloud["quota"]["state"]) == ("ok", "unknown")
    assert "nothing is to be imported" in cloud["quota"]["what"]
    (site,) = [each for topic, each in cloud.items() if topic.startswith("web-download from")]
    assert (site["state"], "as shipped refuses it (port " in site["what"]) == ("warning", True)
    outcome = doctor(bench)
    assert (outcome.code, outcome.err) == (0, ""), outcome.text
    assert "ok       right publicize_image: allowed\n         why: public images" in outcome.out
    assert outcome.out.splitlines()[-1].endswith("0 problems, 1 unknown")


def test_an_ordinary_user(bench: Bench) -> None:
    bench.cloud = "member"
    bench.define(bench.ubuntu("1"))
    code, cloud, _ = checks(bench)
    assert code == 3
    assert {topic for topic, state in states(cloud).items() if state == "problem"} == {"right publicize_image"}
    assert "You are not authorized to complete publicize_image" in cloud["right publicize_image"]["what"]
    assert "policy.yaml" in cloud["right publicize_image"]["change"]
    assert cloud["stores"]["what"] == "fast, slow"
    assert "1 image to import: " in cloud["quota"]["what"]
    bench.define(bench.ubuntu("1", visibility="private"))
    code, cloud, _ = checks(bench)
    assert (code, cloud["right publicize_image"]["what"]) == (0, "not allowed, and no definition needs it")


def test_without_definitions(bench: Bench) -> None:
    bench.cloud = "member"
    code, cloud, here = checks(bench)
    assert (code, here, "definitions" in cloud) == (0, {}, False)
    assert (cloud["right publicize_image"]["state"], cloud["right deactivate"]["state"]) == ("warning", "ok")


def test_what_a_policy_forbids(restricted: Callable[..., Bench], connections: dict[str, Connection]) -> None:
    bench = restricted("communitize_image", "deactivate")
    bench.define(bench.ubuntu("1", visibility="community", stores=["fast", "far"], status="deactivated"))
    project = connections["member"].current_project_id
    bench.make(b"\0" * 512, visibility="private", disk_format="raw", owner=project)
    _, cloud, _ = checks(bench)
    assert {topic: state for topic, state in states(cloud).items() if state in ("warning", "problem")}.items() >= {
        ("definitions", "problem"),
        ("stores", "problem"),
        ("right communitize_image", "problem"),
        ("right deactivate", "problem"),
        ("right copy_image", "warning"),
    }
    assert "far" in cloud["stores"]["what"]
    assert "complete copy_image" in cloud["right copy_image"]["what"]
    code, cloud, _ = checks(restricted("add_image"))
    assert (code, states(cloud)["right add_image"], "right deactivate" in cloud) == (3, "problem", False)


def test_a_record_that_cannot_be_deleted(watched: Bench, proxy: Proxy, sandbox: Sandbox) -> None:
    proxy.add(Rule("DELETE", "/v2/images/.*", status=403, body="no"))
    code, cloud, _ = checks(watched)
    assert (code, states(cloud)["right delete_image"]) == (3, "problem")
    (record,) = left(watched)
    assert f"the empty record {record} is left" in cloud["right delete_image"]["what"]
    # Who comes later clears it away; who comes at once might take it from a run that is alive.
    glance = Glance(watched.admin, sandbox.url("glance-one"), "openstack")
    rights(Probe(glance, watched.tag), [], [], Needs())
    assert left(watched) == [record]
    rights(Probe(glance, watched.tag, stale=0), [], [], Needs())
    assert left(watched) == []


def test_an_interrupt_leaves_nothing(watched: Bench, proxy: Proxy) -> None:
    """While Glance has the record, and is about to be asked for a right."""
    asked, go_on = threading.Event(), threading.Event()
    proxy.add(Rule("PATCH", "/v2/images/.*", before=asked.set, hold=go_on))
    command = ["doctor", "--cloud", "openstack", "--tag", watched.tag]
    with start(watched, command) as process:
        assert asked.wait(60)
        assert len(left(watched)) == 1
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    go_on.set()
    assert process.returncode != 0
    assert left(watched) == []


def start(bench: Bench, command: list[str]) -> Any:
    return subprocess.Popen(
        [sys.executable, "-m", "openstack_image_manager", *command],
        env=bench.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def test_a_creation_whose_answer_is_lost(watched: Bench, proxy: Proxy) -> None:
    proxy.add(Rule("POST", "/v2/images", reset="after"))
    code, cloud, _ = checks(watched)
    assert (code, states(cloud)["right add_image"]) == (0, "ok")  # what is there under our id is ours
    assert left(watched) == []


def test_what_glance_should_have_refused(watched: Bench, proxy: Proxy) -> None:
    proxy.add(Rule("PATCH", ".*", status=200, body="{}", times=2))
    proxy.add(Rule("POST", ".*/actions/deactivate", status=204))
    proxy.add(Rule("PUT", ".*/stage", status=410, body="elsewhere"))
    code, cloud, _ = checks(watched)
    assert code == 3
    assert {states(cloud)[f"right {name}"] for name in RIGHTS[1:4]} == {"unknown"}
    assert "Glance answered 410: elsewhere" in cloud["staging"]["what"]


def test_a_project_that_is_full(watched: Bench, proxy: Proxy) -> None:
    proxy.add(Rule("POST", "/v2/images", status=413, body="Resource image_count_total is over limit"))
    code, cloud, _ = checks(watched)
    assert (code, cloud["quota"]["state"], "right add_image" in cloud) == (3, "problem", False)
    assert "image_count_total is over limit" in cloud["quota"]["what"]


def test_a_cloud_with_other_settings(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    usage = {"image_size_total": {"usage": 9, "limit": 9}, "image_count_total": {"usage": 1, "limit": -1}}
    proxy.add(Rule("GET", "/v2/info/usage", status=200, body=json.dumps({"usage": usage})))
    methods = {"import-methods": {"value": ["web-download"]}}
    proxy.add(Rule("GET", "/v2/info/import", status=200, body=json.dumps(methods), times=None))
    proxy.add(Rule("GET", "/v2/info/stores/detail", status=200, body='{"stores": [{"id": "x", "type": "rbd"}]}'))
    proxy.add(Rule("GET", "/v2/info/stores", status=404))
    code, cloud, _ = checks(watched)
    assert code == 3
    found = states(cloud)
    assert (found["limit image_size_total"], found["limit image_count_total"]) == ("problem", "ok")
    assert (found["import methods"], found["conversion to raw"]) == ("warning", "unknown")
    assert "a store is Ceph RBD" in cloud["conversion to raw"]["what"]
    assert {"staging", "right copy_image"} & set(cloud) == set()


@pytest.fixture
def limited(sandbox: Sandbox, bench: Bench, connections: dict[str, Connection], tmp_path: Path) -> Iterator[Bench]:
    """A bench at a cloud of its own that converts, and whose Glance goes by unified limits."""
    state = tmp_path / "limited"
    state.mkdir()
    (state / "venv").symlink_to(sandbox.state / "venv", target_is_directory=True)
    shutil.copytree(sandbox.state / "template", state / "template")
    made = Sandbox(state)
    made.up()
    with connection(made.clouds_yaml, "openstack") as admin:
        (service,) = [each for each in admin.identity.services() if each.type == "image"]
        for name, limit in LIMITS.items():
            admin.identity.create_registered_limit(
                service_id=service.id, resource_name=name, default_limit=limit, region_id="RegionOne"
            )
        (endpoint,) = [
            each
            for each in admin.identity.endpoints(service_id=service.id, interface="public")
            if each.region_id == "RegionOne"
        ]
        auth = yaml.safe_load(made.clouds_yaml.read_text())["clouds"]["openstack"]["auth"]
    made.down()
    limits = {"endpoint_id": endpoint.id, "auth_type": "password", **auth}
    made.up(convert=True, glance={"DEFAULT": {"use_keystone_limits": "true"}, "oslo_limit": limits})
    with connection(made.clouds_yaml, "openstack") as admin:
        yield Bench(tmp_path, made.clouds_yaml, bench.tag, bench.site, admin)
    made.down()


def test_a_cloud_that_converts_and_has_limits(limited: Bench) -> None:
    limited.define(limited.ubuntu("1"))
    code, cloud, _ = checks(limited)
    assert cloud["limit image_count_total"]["what"] == "0 used of 10, and the imports need 1 more"
    full = "0 MiB used of 1 MiB, and the imports need 1 MiB more: nearly full"
    assert cloud["limit image_size_total"]["what"] == full
    assert (code, cloud["limit image_size_total"]["state"], "quota" in cloud) == (0, "warning", False)
    assert cloud["conversion to raw"]["state"] == "unknown"
    assert limited.run().code == 0
    limited.define(limited.ubuntu("1", "2"))
    code, cloud, _ = checks(limited)
    assert cloud["conversion to raw"]["what"] == "this cloud converts what it imports, as its images show"
    assert cloud["limit image_size_total"]["what"] == "8 MiB used of 1 MiB, and the imports need 1 MiB more"
    assert (code, cloud["limit image_size_total"]["state"], cloud["right add_image"]["state"]) == (3, "problem", "ok")


def test_limits_that_glance_does_not_go_by(bench: Bench, proxy: Proxy, watched: Bench) -> None:
    identity = bench.admin.identity
    (service,) = [each for each in identity.services() if each.type == "image"]
    limit = identity.create_registered_limit(
        service_id=service.id, resource_name="image_size_total", default_limit=1000, region_id=None
    )
    try:
        proxy.add(Rule("GET", "/v2/info/usage", status=404))
        _, cloud, _ = checks(watched)
    finally:
        identity.delete_registered_limit(limit)
    assert cloud["quota"]["state"] == "warning"
    assert "image_size_total 1000" in cloud["quota"]["what"]


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
    assert (code, states(cloud), states(here)) == (3, {"login": "problem"}, {"addresses": "ok"})
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
        "ok       addresses: 2 of 5 addresses answer from here",
        f"problem  address: {name} 1: {site}/gone.img: 404 Not Found",
        f"problem  address: {name} 2: {site}/2.img: a web page comes instead of an image",
        f"warning  address: {name} 3: {site}/no-copy.img: 404 Not Found; its upstream is used instead",
        f"warning  address: {site}/4.img refuses Python's own client (403 Forbidden), which web-download is",
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
        "ok       addresses: 5 of 7 addresses answer from here",
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
        (found,) = json.loads(outcome.out)["here"]
        assert outcome.code == (0 if found["state"] == "ok" else 3)
        return dict(found)

    assert look(bucket)["what"] == f"s3://{bucket} at {object_storage.url} can be looked at"
    assert "there is no such bucket" in look("nowhere")["what"]
    assert "these credentials may not do that here" in look(bucket, "wrong")["what"]


def test_a_report_of_the_checks(bench: Bench) -> None:
    json_, note, xml = (bench.directory / f"r.{suffix}" for suffix in ("json", "md", "xml"))
    options = [part for path in (json_, note, xml) for part in ("--report", str(path))]
    bench.define(bench.ubuntu(bench.version("1", url=f"{bench.site.url}/gone.img")))
    outcome = doctor(bench, "--cloud", "nowhere", "--output", "json", *options)
    report = json.loads(json_.read_text())
    assert (outcome.code, report["command"], report["exit_code"], report["error"]) == (3, "doctor", 3, None)
    assert {key: report[key] for key in ("clouds", "here")} == json.loads(outcome.out)
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
