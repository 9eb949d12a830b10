"""Faults of the cloud at every call of a rotation: nothing wrong is visible, and the next run converges."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import threading
import time
from typing import Any

import pytest
from tests.support.bench import Bench
from tests.support.other_clients import record, web_download
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

KILLS = int(os.environ.get("OIM_KILLS", "3"))
CALLS = {
    "list": ("GET", "/v2/images"),
    "methods": ("GET", "/v2/info/import"),
    "create": ("POST", "/v2/images"),
    "stage": ("PUT", ".*/stage"),
    "import": ("POST", ".*/import"),
    "poll": ("GET", "/v2/images/.+"),
    "publish": ("PATCH", ".*"),
    "rename": ("PATCH", ".*"),
}
SECOND = ("rename",)  # the first request of its kind is another step's
FAULTS: dict[str, dict[str, Any]] = {
    "503": {"status": 503, "body": "try later"},
    "500": {"status": 500},
    "reset before": {"reset": "before"},
    "answer lost": {"reset": "after"},
    "delay": {"before": lambda: threading.Event().wait(0.5)},
}


def rotation(bench: Bench, label: str = "") -> str:
    """Version 1 is in the cloud, version 2 is defined; the plain name."""
    name = f"Ubuntu {bench.tag}{label}"
    bench.define(bench.ubuntu("1", name=name))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    bench.define(bench.ubuntu("1", "2", name=name))
    return name


def plain_name_is_there(bench: Bench, name: str, *versions: str) -> None:
    """Someone who boots from the plain name finds a public, active image that is version 1 or 2 (or one of these)."""
    found = [image for image in bench.images() if image.name == name]
    assert found, "no image has the plain name"
    assert all(image.visibility == "public" and image.status == "active" for image in found)
    assert {image.properties["internal_version"] for image in found} <= {*(versions or ("1", "2"))}


def rotated(bench: Bench, name: str) -> None:
    """A run without faults makes it right, and leaves nothing else."""
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    mine = [image for image in bench.images() if image.properties["image_name"] == name]
    assert {image.name: image.properties["internal_version"] for image in mine} == {name: "2", f"{name} (1)": "1"}
    assert len(mine) == 2
    bench.converged()


@pytest.mark.timeout(600)
@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_that_passes(watched: Bench, proxy: Proxy, fault: str) -> None:
    """It meets one call after the other, each in a rotation of its own."""
    name = rotation(watched)
    for number, (call, (method, path)) in enumerate(CALLS.items(), 2):
        before, now = str(number - 1), str(number)
        watched.define(watched.ubuntu(before, now))
        nth = 1 + (call in SECOND)
        rule = proxy.add(Rule(method=method, path=path, nth=nth, **FAULTS[fault]))
        outcome = watched.run()
        assert rule.seen >= nth, f"the fault was never met: {call}"
        assert outcome.code in (0, 1)
        assert "Traceback" not in outcome.text
        # Whatever is retried is healed; only a plain 500 to a single call is taken at its word.
        assert (outcome.code == 0) == (fault != "500" or call == "stage"), (call, outcome.text)
        plain_name_is_there(watched, name, before, now)
        proxy.clear()
        outcome = watched.run()
        assert outcome.code == 0, (call, outcome.text)
        assert watched.names() == {name: now, f"{name} ({before})": before}, call
        delete_image(watched, before)
    watched.define(watched.ubuntu(now))
    watched.converged()


def delete_image(bench: Bench, version: str) -> None:
    """So that the next rotation has no more images than this one."""
    answer = bench.admin.image.delete(f"/images/{bench.image(version).id}")
    assert answer.status_code == 204, answer.text


REFUSALS = [
    ("create", {"status": 403, "body": "<h1>403 Forbidden</h1>no rights here"}, "Glance answered 403: no rights here"),
    ("create", {"status": 400, "body": "bad attribute"}, "Glance answered 400: bad attribute"),
    ("stage", {"status": 413, "body": "over quota"}, "Glance answered 413: over quota"),
    ("import", {"status": 409, "body": "locked"}, "Glance answered 409: locked"),
    ("publish", {"status": 403, "body": "not authorized"}, "lacks the right publicize_image"),
]


def test_a_refusal_is_shown_and_leaves_nothing(watched: Bench, proxy: Proxy) -> None:
    name = rotation(watched)
    for call, answer, message in REFUSALS:
        method, path = CALLS[call]
        proxy.add(Rule(method=method, path=path, times=None, **answer))
        outcome = watched.run()
        assert outcome.code == 1
        assert message in outcome.out
        assert watched.names() == {name: "1"}, message
        proxy.clear()
    rotated(watched, name)


def test_a_fault_while_drift_is_corrected(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    assert watched.run().code == 0
    before = 64
    for number, fault in enumerate(FAULTS, 1):
        now, distro = 64 + number, f"distro-{number}"
        watched.define(watched.ubuntu("1", min_ram=now, meta={"os_distro": distro}))
        rule = proxy.add(Rule(method="PATCH", **FAULTS[fault]))
        outcome = watched.run()
        assert rule.seen, fault
        assert outcome.code == (1 if fault == "500" else 0), (fault, outcome.text)
        assert watched.image("1").min_ram == (before if fault == "500" else now), fault
        proxy.clear()
        assert watched.run().code == 0
        image, before = watched.image("1"), now
        assert (image.min_ram, image.properties["os_distro"]) == (now, distro), fault
    watched.converged()


def test_a_rename_that_fails_is_made_up_for(watched: Bench, proxy: Proxy) -> None:
    name = rotation(watched)
    proxy.add(Rule(method="PATCH", nth=2, times=None, status=409, body="busy"))
    outcome = watched.run()
    assert outcome.code == 1
    assert "Glance answered 409: busy" in outcome.out
    plain_name_is_there(watched, name)
    proxy.clear()
    rotated(watched, name)


def kill_at(bench: Bench, proxy: Proxy, number: int) -> bool:
    """Run as a process that is killed when Glance has taken its n-th request; False if it ended before that."""
    started: list[subprocess.Popen[str]] = []
    proxy.clear()
    proxy.add(Rule(nth=number, after=lambda: os.kill(started[0].pid, signal.SIGKILL)))
    with bench.start() as process:
        started.append(process)
        process.communicate(timeout=60)
    proxy.clear()
    return process.returncode == -signal.SIGKILL


@pytest.mark.timeout(1500)
def test_a_kill_after_a_call_of_a_rotation(watched: Bench, proxy: Proxy) -> None:
    """After every fifth call, and with OIM_KILLS in the environment after each."""
    number, killed, step = 0, True, 1 if "OIM_KILLS" in os.environ else 5
    while killed:
        number += step
        name = rotation(watched, f" {number}")
        killed = kill_at(watched, proxy, number)
        plain_name_is_there(watched, name)
        rotated(watched, name)
    assert number > 9, "a rotation has more calls than that"


@pytest.mark.timeout(120 + 60 * KILLS)
def test_kills_at_random_moments(bench: Bench) -> None:
    """As many as OIM_KILLS says, spread over the time that a whole run takes."""
    name = rotation(bench, " whole")
    begin = time.monotonic()
    with bench.start() as process:
        process.communicate(timeout=60)
    whole, killed, chance = time.monotonic() - begin, 0, random.Random(os.environ.get("OIM_SEED", "0"))
    for number in range(KILLS):
        name = rotation(bench, f" {number}")
        with bench.start() as process:
            try:
                process.communicate(timeout=chance.uniform(0.2, whole))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=60)
                killed += 1
        plain_name_is_there(bench, name)
        rotated(bench, name)
    print(f"{killed} of {KILLS} runs were killed, within {whole:.1f} s")
    assert killed


def test_a_kill_in_the_middle_of_a_download(bench: Bench) -> None:
    name = rotation(bench)
    with bench.start() as process:
        switches = Switches(delay=0.05)
        bench.site.on("/2.img", switches)
        while not bench.site.count("/2.img"):
            assert process.poll() is None
        process.kill()
        process.communicate(timeout=60)
    bench.site.on("/2.img", Switches())
    plain_name_is_there(bench, name)
    rotated(bench, name)


def test_interrupt_ends_in_order_and_the_next_run_goes_on(bench: Bench) -> None:
    name = rotation(bench)
    bench.site.on("/2.img", Switches(delay=0.5))
    with bench.start() as process:
        while not bench.site.count("/2.img"):
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=60)
    assert process.returncode == 130, out
    assert "Traceback" not in out
    assert "0 ok, 0 failed, 1 skipped" in out
    bench.site.on("/2.img", Switches())
    plain_name_is_there(bench, name)
    rotated(bench, name)


@pytest.mark.parametrize("state", ["queued", "importing", "killed by Glance", "unpublished"])
def test_what_others_left_is_finished(bench: Bench, state: str) -> None:
    """Records of a run that died: empty, at work, failed, or complete but not yet published."""
    name = rotation(bench)
    version = bench.version("2")
    body = {
        "name": f"{name} (2)",
        "image_name": name,
        "internal_version": "2",
        "image_manager_verified": f"pending {version['checksum']} before import",
        "visibility": "private",
    }
    if state == "unpublished":
        bench.make((bench.site.directory / "2.img").read_bytes(), **body)
    else:
        left = record(bench, body)
        if state != "queued":
            path = version["url"] if state == "importing" else bench.site.url + "/nothing.img"
            web_download(bench, left, path)
    rotated(bench, name)
    assert bench.image("2").properties["image_manager_verified"].startswith(version["checksum"])
