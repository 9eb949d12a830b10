"""Faults of the cloud at every call of a rotation: nothing wrong is visible, and the next run converges."""

from __future__ import annotations

import itertools
import os
import random
import signal
import subprocess
import threading
import time
from typing import Any

import pytest
from tests.support.bench import Bench, Outcome
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
APART = {"poll", "rename"}
FAULTS: dict[str, dict[str, Any]] = {
    "503": {"status": 503, "body": "try later"},
    "500": {"status": 500},
    "reset before": {"reset": "before"},
    "answer lost": {"reset": "after"},
    "delay": {"before": lambda: threading.Event().wait(0.5)},
}


def rotation(bench: Bench) -> str:
    """Version 1 is in the cloud, version 2 is defined; the plain name."""
    bench.define(bench.ubuntu("1"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    bench.define(bench.ubuntu("1", "2"))
    return f"Ubuntu {bench.tag}"


def plain_name_is_there(bench: Bench, name: str, *versions: str) -> None:
    """Someone who boots from the plain name finds a public, active image that is version 1 or 2 (or one of these)."""
    found = [image for image in bench.images() if image.name == name]
    assert found, "no image has the plain name"
    assert all(image.visibility == "public" and image.status == "active" for image in found)
    assert {image.properties["internal_version"] for image in found} <= {*(versions or ("1", "2"))}


def rotated(bench: Bench, name: str, before: str = "1", now: str = "2") -> None:
    """A run without faults makes it right, and leaves nothing else."""
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert bench.names() == {name: now, f"{name} ({before})": before}
    bench.converged()


def met(watched: Bench, proxy: Proxy, fault: str, *calls: str) -> Outcome:
    """Run while each of these calls meets the fault once, and see that it did."""
    rules = {}
    for call in calls:
        method, path = CALLS[call]
        nth = 1 + (call in SECOND)
        rules[call] = proxy.add(Rule(method=method, path=path, nth=nth, **FAULTS[fault]))
    outcome = watched.run()
    print(*proxy.calls, sep="\n")  # which one had the fault, if this fails
    assert [call for call, rule in rules.items() if rule.seen < rule.nth] == [], outcome.text
    assert "Traceback" not in outcome.text
    proxy.clear()
    return outcome


@pytest.mark.parametrize("fault", [fault for fault in FAULTS if fault != "500"])
def test_a_fault_that_passes(watched: Bench, proxy: Proxy, fault: str) -> None:
    """Whatever is retried is healed: every call of one rotation meets the fault, and the rotation is complete.

    Polls and renames have a rotation of their own: retries of other calls look like them.
    """
    name = rotation(watched)
    for before, now, calls in (("1", "2", CALLS.keys() - APART), ("2", "3", APART)):
        watched.define(watched.ubuntu(before, now))
        outcome = met(watched, proxy, fault, *calls)
        assert outcome.code == 0, outcome.text
        plain_name_is_there(watched, name, now)
        assert watched.names() == {name: now, f"{name} ({before})": before}
        delete_image(watched, before)
    watched.define(watched.ubuntu("3"))
    watched.converged()


@pytest.mark.timeout(300)
def test_a_single_call_that_ends_a_run(watched: Bench, proxy: Proxy) -> None:
    """A plain 500 is taken at its word: it meets one call after the other, each in a rotation of its own."""
    name = rotation(watched)
    for number, call in enumerate(CALLS, 2):
        before, now = str(number - 1), str(number)
        watched.define(watched.ubuntu(before, now))
        outcome = met(watched, proxy, "500", call)
        assert outcome.code == (0 if call == "stage" else 1), (call, outcome.text)
        plain_name_is_there(watched, name, before, now)
        if outcome.code:
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
        if outcome.code:
            assert watched.run().code == 0, fault
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


def next_rotation(bench: Bench, number: int) -> tuple[str, str]:
    """Version `number` + 1 is defined, version `number` is the only one in the cloud; both."""
    before, now = str(number), str(number + 1)
    if number > 1:
        delete_image(bench, str(number - 1))
    bench.define(bench.ubuntu(before, now))
    return before, now


@pytest.mark.timeout(1500)
def test_a_kill_after_a_call_of_a_rotation(watched: Bench, proxy: Proxy) -> None:
    """After every fifth call, and with OIM_KILLS in the environment after each."""
    call, killed, step = 0, True, 1 if "OIM_KILLS" in os.environ else 5
    name = rotation(watched)
    for number in itertools.count(1):
        call += step
        versions = next_rotation(watched, number)
        killed = kill_at(watched, proxy, call)
        plain_name_is_there(watched, name, *versions)
        rotated(watched, name, *versions)
        if not killed:
            break
    assert call > 9, "a rotation has more calls than that"


@pytest.mark.timeout(120 + 60 * KILLS)
def test_kills_at_random_moments(bench: Bench) -> None:
    """As many as OIM_KILLS says, spread over the time that a whole run takes."""
    name = rotation(bench)
    begin = time.monotonic()
    with bench.start() as process:
        process.communicate(timeout=60)
    whole, killed, chance = time.monotonic() - begin, 0, random.Random(os.environ.get("OIM_SEED", "0"))
    for number in range(2, 2 + KILLS):
        versions = next_rotation(bench, number)
        with bench.start() as process:
            try:
                process.communicate(timeout=chance.uniform(0.2, whole))
            except subprocess.TimeoutExpired:
                process.kill()
                process.communicate(timeout=60)
                killed += 1
        plain_name_is_there(bench, name, *versions)
        rotated(bench, name, *versions)
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
