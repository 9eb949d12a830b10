"""Several runs at once, runs that are killed, others who write meanwhile: nothing wrong is ever visible."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.bucket_mirrors import BIG, BOTH, KEY, Mirror, assert_next_run_completes, held, image, left, sha256
from tests.support.proxy import Rule
from tests.support.site import Gate, Switches

from openstack_image_manager.mirror import mirror as glue
from openstack_image_manager.mirror.location import Target
from openstack_image_manager.mirror.s3 import Bucket


def test_two_runs_at_the_same_moment(mirror: Mirror) -> None:
    """Both have read that the object is missing; the second completion is refused."""
    gate = Gate(2)
    mirror.site.on("/1.raw", Switches(gate=gate))
    runs = [mirror.start() for _ in range(2)]
    texts = [run.communicate(timeout=60)[0] for run in runs]
    assert ([run.returncode for run in runs], gate.opened) == ([0, 0], True), texts
    assert left(mirror) == (BOTH, [])
    assert_next_run_completes(mirror)


def test_somebody_else_writes_the_key_meanwhile(mirror: Mirror) -> None:
    def theirs() -> None:
        mirror.client.put_object(Bucket=mirror.bucket, Key=KEY, Body=b"theirs")

    mirror.proxy.add(Rule("POST", f".*{KEY}", nth=2, before=theirs))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([KEY], []))
    assert "another program has changed it: FOREIGN, an object of another owner is there" in outcome.out
    assert mirror.content(KEY) == b"theirs"


def test_a_repair_that_fails_at_its_end_leaves_nothing_wrong(mirror: Mirror) -> None:
    assert mirror.run().code == 0
    new = image("new")
    mirror.site.put("/1.raw", new)
    mirror.define({**mirror.version("1", new), "checksum": f"sha256:{sha256(new)}"})
    mirror.proxy.add(
        Rule("POST", f".*{KEY}", nth=2, times=None, status=403, body="<Error><Code>AccessDenied</Code></Error>")
    )
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], [])), outcome.text
    mirror.proxy.clear()
    assert (mirror.run("--verify").code, mirror.content(KEY)) == (0, new)


def killed(mirror: Mirror, how: signal.Signals) -> subprocess.Popen[str]:
    """Start a run, and end it when a part has arrived and others have not."""
    arrived = threading.Event()
    mirror.proxy.add(Rule("PUT", f".*{KEY}", after=arrived.set))
    mirror.proxy.add(Rule("PUT", f".*{KEY}", times=None, hold=(hold := threading.Event())))
    run = mirror.start()
    assert arrived.wait(60)
    os.kill(run.pid, how)
    hold.set()
    return run


def test_a_killed_run_leaves_nothing_that_can_be_seen(mirror: Mirror) -> None:
    run = killed(mirror, signal.SIGKILL)
    assert run.wait(30) == -signal.SIGKILL
    run.communicate()
    visible, begun = left(mirror)
    assert (visible, [each["Key"] for each in begun]) == ([], [KEY])
    mirror.proxy.clear()
    assert mirror.run("--verify").code == 0
    assert (mirror.content(KEY), len(left(mirror)[1])) == (BIG, 1)  # it might be that of a run that goes on
    where = Target(mirror.bucket, "m/", "")
    os.environ.update(environment := {k: v for k, v in mirror.environment().items() if k.startswith("AWS_")})
    try:
        with Bucket(mirror.bucket, mirror.endpoint) as bucket:
            now = datetime.now(UTC)
            assert glue.abort_stale_uploads(bucket, where, [], now + timedelta(hours=23)) == []
            assert (
                glue.abort_stale_uploads(bucket, Target(mirror.bucket, "", ""), ["m/other"], now + timedelta(days=2))
                == []
            )
            assert len(glue.abort_stale_uploads(bucket, where, [], now + timedelta(hours=25))) == 1
            assert glue.abort_stale_uploads(bucket, where, [], now + timedelta(hours=25)) == []
    finally:
        for name in environment:
            del os.environ[name]
    assert left(mirror) == (BOTH, [])


def ended(run: subprocess.Popen[str], since: float) -> str:
    """What a run says that was interrupted then, and ends soon."""
    try:
        text, _ = run.communicate(timeout=20)
    finally:
        run.kill()
    assert time.monotonic() - since < 5, text
    assert run.returncode == 130, text
    assert "Traceback" not in text
    return text


def interrupted(run: subprocess.Popen[str]) -> str:
    """Press Ctrl-C; see `ended`."""
    since = time.monotonic()
    os.kill(run.pid, signal.SIGINT)
    return ended(run, since)


def test_an_interrupted_run_aborts_its_upload(mirror: Mirror) -> None:
    mirror.site.on("/1.raw", Switches(delay=0.01))
    run = killed(mirror, signal.SIGINT)
    text = ended(run, time.monotonic())
    assert left(mirror) == ([], []), text
    assert "skipped: A 1: interrupted; the next run continues from here" in text
    mirror.site.on("/1.raw", Switches())
    assert_next_run_completes(mirror)


def test_downloads_go_side_by_side_but_no_more_than_four_of_one_upstream(mirror: Mirror) -> None:
    gate = Gate(4)
    versions = [mirror.version(str(number), image(str(number))) for number in range(2, 10)]
    for version in versions:
        mirror.site.on(f"/{version['version']}.raw", Switches(gate=gate, delay=0.01))
    mirror.define(*versions)
    outcome = mirror.run("--workers", "8")
    assert (outcome.code, gate.opened, mirror.site.busiest) == (0, True, 4), outcome.text


def test_another_run_was_faster_and_has_written_its_record(mirror: Mirror) -> None:
    def other() -> None:
        text, _ = (run := mirror.start()).communicate(timeout=60)
        assert run.returncode == 0, text

    mirror.proxy.add(Rule("POST", f".*{KEY}", nth=2, before=other))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (0, (BOTH, [])), outcome.text
    assert "A 1: another run has already copied it\n" in outcome.out


def test_another_run_was_faster_and_was_killed_before_its_record(mirror: Mirror) -> None:
    def other() -> None:
        ours = {"made-by": "openstack-image-manager"}
        mirror.client.put_object(Bucket=mirror.bucket, Key=KEY, Body=BIG, Metadata=ours)

    mirror.proxy.add(Rule("POST", f".*{KEY}", nth=2, before=other))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (0, (BOTH, [])), outcome.text
    assert "A 1: another run has already copied it; the record was written\n" in outcome.out
    assert_next_run_completes(mirror)


def test_what_was_written_meanwhile_is_gone_again(mirror: Mirror) -> None:
    def theirs() -> None:
        mirror.client.put_object(Bucket=mirror.bucket, Key=KEY, Body=b"theirs")

    def gone() -> None:
        mirror.client.delete_object(Bucket=mirror.bucket, Key=KEY)

    mirror.proxy.add(Rule("POST", f".*{KEY}", nth=2, before=theirs, after=gone))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert "changed it: MISSING, not there" in outcome.out
    assert_next_run_completes(mirror)


# What the storage does, and when: method, path and query; and which objects there are then.
MOMENTS = {
    "the listing drips": ("GET", ".*", "list-type.*", []),
    "the record hangs": ("GET", f".*{KEY}.mirror.json", ".*", BOTH),
    "the look at it hangs": ("HEAD", f".*{KEY}", ".*", BOTH),
    "the begin of an upload hangs": ("POST", f".*{KEY}", "uploads.*", []),
    "the begin of an upload drips": ("POST", f".*{KEY}", "uploads.*", []),
    "a part hangs": ("PUT", f".*{KEY}", ".*", []),
    "the completion drips": ("POST", f".*{KEY}", "uploadId.*", []),
    "the index hangs": ("PUT", ".*SHA256SUMS", ".*", BOTH),
}


@pytest.mark.parametrize("moment", MOMENTS)
def test_ctrl_c_does_not_wait_for_the_storage(mirror: Mirror, moment: str) -> None:
    method, path, query, visible = MOMENTS[moment]
    if moment == "the record hangs":
        assert mirror.run().code == 0
    asked, over = threading.Event(), threading.Event()
    rule = Rule(method, path, query=query, times=None, before=asked.set)
    mirror.proxy.add(replace(rule, drip=over) if "drips" in moment else replace(rule, hold=over, reset="before"))
    run = mirror.start()
    try:
        assert asked.wait(60)
        text = interrupted(run)
    finally:
        over.set()
    assert held(mirror.client, mirror.bucket) == visible, text
    mirror.proxy.clear()
    assert mirror.run("--verify").code == 0
    assert mirror.content(KEY) == BIG


@pytest.mark.parametrize("how", ["hangs", "drips"])
def test_a_verification_can_be_interrupted(mirror: Mirror, how: str) -> None:
    assert mirror.run().code == 0
    reading, over = threading.Event(), threading.Event()
    rule = Rule("GET", f".*{KEY}", before=reading.set)
    mirror.proxy.add(replace(rule, drip=over) if how == "drips" else replace(rule, hold=over, reset="before"))
    run = mirror.start("--verify")
    try:
        assert reading.wait(60)
        text = interrupted(run)
    finally:
        over.set()
    assert text == "interrupted: finishing the copies in progress\nerror: interrupted; nothing was changed\n"
