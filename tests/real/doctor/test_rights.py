"""`doctor` on real clouds: what users may do there, asked with a record that is gone afterwards."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.doctors import checks, doctor, left, states
from tests.support.proxy import Proxy, Rule
from tests.support.users import ordinary_user

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.doctor.needs import Needs
from openstack_image_manager.doctor.probe import Probe, rights
from openstack_image_manager.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_records_of_doctor")
MEMBER_RIGHTS = ("get_members", "add_member", "delete_member")
RIGHTS = (
    "add_image",
    "publicize_image",
    "communitize_image",
    "deactivate",
    "copy_image",
    *MEMBER_RIGHTS,
    "delete_image",
)


@pytest.fixture
def restricted(bench: Bench, sandbox: Sandbox, connections: dict[str, Connection]) -> Iterator[Callable[..., Bench]]:
    """A bench of an ordinary user from whom Glance's policy takes rights; from no one else, for others are at work
    the same time."""
    with ordinary_user(bench, sandbox, connections) as (user, policy):

        def without(*rights: str) -> Bench:
            as_shipped = "role:admin or (role:member and project_id:%(project_id)s)"
            policy.write_text(yaml.safe_dump(dict.fromkeys(rights, f"({as_shipped}) and not user_id:{user}")))
            return bench

        yield without


def test_an_administrator(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    assert bench.run().code == 0
    code, cloud, here = checks(bench)
    assert (code, states(here)) == (0, {"addresses": "ok", "signatures": "ok"})
    assert "user 'admin', project 'admin', roles admin, " in cloud["login"]["what"]
    assert {cloud[f"right {name}"]["state"] for name in RIGHTS} == {"ok"}
    assert cloud["stores"]["what"] == "fast (file), slow (file)"
    assert cloud["import methods"]["what"] == "copy-image, glance-direct, web-download"
    assert (cloud["conversion to raw"]["state"], cloud["staging"]["state"]) == ("ok", "ok")
    assert (cloud["clock"]["state"], cloud["quota"]["state"]) == ("ok", "unknown")
    assert (cloud["usage: servers"]["state"], cloud["usage: volumes"]["state"]) == ("unknown", "ok")
    assert "no image to import" in cloud["quota"]["what"]
    (site,) = [each for topic, each in cloud.items() if topic.startswith("web-download from")]
    assert (site["state"], "default filter refuses it (port " in site["what"]) == ("warning", True)
    outcome = doctor(bench)
    assert (outcome.code, outcome.err) == (0, ""), outcome.text
    assert "ok       right publicize_image: allowed\n         why: public images" in outcome.out
    assert outcome.out.splitlines()[-1].endswith("0 problems, 2 unknown")


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
    assert (code, states(here), "definitions" in cloud) == (0, {"signatures": "ok"}, False)
    assert {states(cloud)[f"right {name}"] for name in MEMBER_RIGHTS} == {"ok"}
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


@pytest.mark.parametrize(
    ("right", "state"), [("get_members", "problem"), ("add_member", "problem"), ("delete_member", "warning")]
)
def test_the_rights_that_members_need(restricted: Callable[..., Bench], right: str, state: str) -> None:
    bench = restricted(right)
    bench.define(bench.ubuntu("1", visibility="shared", members=["member"]))
    _, cloud, _ = checks(bench)
    expected = {name: state if name == right else "ok" for name in MEMBER_RIGHTS}
    assert {name: states(cloud)[f"right {name}"] for name in MEMBER_RIGHTS} == expected
    assert f"complete {right}" in cloud[f"right {right}"]["what"]
    bench.define(bench.ubuntu("1", visibility="private"))
    code, cloud, _ = checks(bench)
    assert (code, cloud[f"right {right}"]["what"]) == (0, "not allowed, and no definition needs it")


@pytest.mark.parametrize(("method", "topic"), [("POST", "right add_image"), ("DELETE", "right delete_image")])
def test_a_failing_glance_leaves_rights_unknown(watched: Bench, proxy: Proxy, method: str, topic: str) -> None:
    proxy.add(Rule(method, "/v2/images(/[^/]+)?", status=500, body="no database", nth=1))
    if method == "POST":
        proxy.add(Rule("DELETE", "/v2/images/[^/]+", status=500, body="no database"))
    _, cloud, _ = checks(watched)
    assert (states(cloud)[topic], "no database" in cloud[topic]["what"]) == ("unknown", True)
    assert "not allowed" not in str(cloud)
    for record in left(watched):
        assert watched.admin.image.delete(f"/images/{record}").status_code == 204


def test_a_record_that_cannot_be_deleted(watched: Bench, proxy: Proxy, sandbox: Sandbox) -> None:
    proxy.add(Rule("DELETE", "/v2/images/[^/]+", status=403, body="no"))
    code, cloud, _ = checks(watched)
    assert (code, states(cloud)["right delete_image"]) == (3, "problem")
    (record,) = left(watched)
    assert f"the empty record {record} remains" in cloud["right delete_image"]["what"]
    # A later run deletes it; an immediate one must not, because its run may still be alive.
    glance = Glance(watched.admin, sandbox.url("glance-one"), "openstack")
    rights(Probe(glance, watched.tag), [], [], Needs())
    assert left(watched) == [record]
    rights(Probe(glance, watched.tag, stale=0), [], [], Needs())
    assert left(watched) == []


def test_an_interrupt_leaves_no_record(watched: Bench, proxy: Proxy) -> None:
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
