"""What breaks under the mirror's feet: nothing wrong is ever visible, nothing stays behind, the next run completes."""

from __future__ import annotations

import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from openstack_image_manager.mirroring import mirror as glue
from openstack_image_manager.mirroring.bucket import Bucket
from openstack_image_manager.mirroring.target import Target
from openstack_image_manager.sandbox import Account, Sandbox
from openstack_image_manager.sandbox.site import serving
from tests.real.mirrors import Mirror, image, sha256
from tests.real.s3 import keys, uploads
from tests.real.test_object_storage import SLOW_DOWN, swift
from tests.services.proxy import Proxy, Rule
from tests.services.site import Gate, Switches, TestSite

BIG = image("big", 40)
KEY = "m/a/1-a.raw"
BOTH = [KEY, f"{KEY}.mirror.json"]
PAGE = "<!DOCTYPE html><html><body>Sorry</body></html>"


@pytest.fixture
def mirror(tmp_path: Path, site: TestSite, object_storage: Account, s3: Any, bucket: str) -> Iterator[Mirror]:
    with serving(Proxy(object_storage.url)) as proxy:
        made = Mirror(tmp_path, site, object_storage, s3, bucket, proxy)
        made.define(made.version("1", BIG))
        yield made


def left(mirror: Mirror) -> tuple[list[str], list[Any]]:
    """Keys of objects, and uploads that nobody ended."""
    return keys(mirror.client, mirror.bucket), uploads(mirror.client, mirror.bucket)


def assert_next_run_completes(mirror: Mirror) -> None:
    mirror.proxy.clear()
    outcome = mirror.run("--verify")
    assert outcome.code == 0, outcome.text
    assert left(mirror) == (BOTH, [])
    assert mirror.content(KEY) == BIG


@pytest.mark.parametrize(
    "rule",
    [
        Rule("PUT", f".*{KEY}", nth=2, status=503, body=SLOW_DOWN),
        Rule("PUT", f".*{KEY}", nth=2, cut=3 * 2**20),
        Rule("PUT", f".*{KEY}", nth=3, reset="after"),
        Rule("POST", f".*{KEY}", status=503, body=SLOW_DOWN),
        Rule("GET", ".*", status=503, body=SLOW_DOWN),
    ],
    ids=["slow down", "reset in mid-part", "answer lost", "begin refused", "listing refused"],
)
def test_what_passes_is_tried_again(mirror: Mirror, rule: Rule) -> None:
    mirror.proxy.add(rule)
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (0, (BOTH, [])), outcome.text
    assert mirror.content(KEY) == BIG


def test_a_storage_that_stays_overloaded_is_given_up(mirror: Mirror) -> None:
    mirror.proxy.add(Rule("PUT", f".*{KEY}", status=503, body=SLOW_DOWN, times=None))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert (
        f"failed: A 1: s3://{mirror.bucket} at {mirror.endpoint}: uploading {KEY}, part 1: 503 SlowDown" in outcome.out
    )
    assert "it is overloaded; given up after 5 tries" in outcome.out
    assert_next_run_completes(mirror)


def test_the_answer_to_the_completion_is_lost(mirror: Mirror) -> None:
    """It is asked again, hears that there is an object, finds that it is right, and writes its record."""
    mirror.proxy.add(Rule("POST", f".*{KEY}", nth=2, reset="after"))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)[0]) == (0, BOTH), outcome.text
    assert_next_run_completes(mirror)


def test_a_record_that_can_not_be_written_is_made_good(mirror: Mirror) -> None:
    mirror.proxy.add(Rule("PUT", ".*mirror.json", status=403, body="<Error><Code>AccessDenied</Code></Error>"))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([KEY], []))
    assert f"writing {KEY}.mirror.json: 403 AccessDenied: these credentials may not do that here" in outcome.out
    asked = mirror.site.count("/1.raw")
    assert_next_run_completes(mirror)
    assert mirror.site.count("/1.raw") == asked


def test_a_download_for_verification_that_breaks_goes_on(mirror: Mirror) -> None:
    assert mirror.run().code == 0
    mirror.proxy.add(Rule("GET", f".*{KEY}", cut=5 * 2**20))
    outcome = mirror.run("--verify")
    assert (outcome.code, "1 CURRENT" in outcome.out) == (0, True), outcome.text
    mirror.proxy.add(Rule("GET", f".*{KEY}", times=None, status=503, body=SLOW_DOWN))
    outcome = mirror.run("--verify")
    assert (outcome.code, "failed: A 1: s3://" in outcome.out) == (1, True), outcome.text
    assert left(mirror) == (BOTH, [])


def test_who_may_not_and_what_is_not_there(mirror: Mirror, sandbox: Sandbox, object_storage: Account) -> None:
    wrong = mirror.run(AWS_SECRET_ACCESS_KEY="mistyped-key")
    assert (wrong.code, wrong.out) == (1, "")
    assert "listing: 403 SignatureDoesNotMatch: the credentials are wrong; look at AWS_ACCESS_KEY_ID" in wrong.err
    member = mirror.run(account=sandbox.account("member"))
    assert (member.code, "listing: 403 AccessDenied: these credentials may not" in member.err) == (1, True)
    empty = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    none = mirror.run(**empty)
    assert (none.code, "there are no credentials; set AWS_ACCESS_KEY_ID" in none.err) == (1, True)
    nobody = mirror.run(endpoint="http://127.0.0.1:9")
    assert (nobody.code, "Could not connect to the endpoint URL" in nobody.err) == (1, True)
    nonsense = mirror.run(endpoint="nonsense")
    told = f"error: s3://{mirror.bucket}: Invalid endpoint: nonsense; look at --endpoint and the AWS_* variables\n"
    assert (nonsense.code, nonsense.err) == (1, told)
    bucket, mirror.bucket = mirror.bucket, "not-there"
    missing = mirror.run()
    assert (missing.code, "listing: 404 NoSuchBucket: there is no such bucket; create it" in missing.err) == (1, True)
    mirror.bucket = bucket
    assert left(mirror) == ([], [])


def test_a_full_quota_is_told(mirror: Mirror, object_storage: Account) -> None:
    storage, token = swift(object_storage)
    quota = {"X-Container-Meta-Quota-Bytes": "10"}
    assert requests.post(f"{storage}/{mirror.bucket}", headers=token | quota, timeout=10).status_code == 204
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert "400 EntityTooLarge: it is full, or its quota is" in outcome.out


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        (Switches(truncate=30 * 2**20, ranges=False, times=9), "given up after 5 tries"),
        (Switches(reset=30 * 2**20, ranges=False, times=9), "given up after 5 tries"),
        (Switches(status=404), "404 Not Found"),
        (Switches(html=PAGE), "a web page came instead of an image"),
        (Switches(contents=[BIG[:-1]]), "wrong checksum: expected sha256:"),
        (Switches(contents=[BIG[:100]]), "wrong checksum: expected sha256:"),
    ],
    ids=["truncated", "reset", "missing", "page", "wrong bytes", "short"],
)
def test_what_the_upstream_gives_is_not_the_image(mirror: Mirror, switches: Switches, message: str) -> None:
    mirror.site.on("/1.raw", switches)
    other = mirror.version("2", image("2"))
    mirror.define(mirror.version("1", BIG), other)
    outcome = mirror.run("--write")
    assert outcome.code == 1
    assert f"failed: A 1: {mirror.site.url}/1.raw: {message}" in outcome.out
    assert left(mirror) == (["m/a/2-a.raw", "m/a/2-a.raw.mirror.json"], [])  # one stops no other
    assert mirror.urls()[0] is None
    assert mirror.urls()[1] is not None


def test_an_upstream_that_lies_about_the_length(mirror: Mirror) -> None:
    version = mirror.version("1", BIG)
    mirror.define({**version, "size": len(BIG) + 1, "checksum": None})
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert f"it has {len(BIG)} bytes, the definition says {len(BIG) + 1}" in outcome.out


def test_an_upstream_that_changes_between_two_runs(mirror: Mirror) -> None:
    assert mirror.run().code == 0
    new = image("new", 20)
    mirror.site.put("/1.raw", new)
    assert mirror.run("--verify").code == 0
    assert mirror.content(KEY) == BIG  # what was verified once stays
    mirror.define({**mirror.version("1", new), "checksum": f"sha256:{sha256(new)}"})
    outcome = mirror.run()
    assert (outcome.code, "MISMATCH" in outcome.out) == (0, True), outcome.text
    assert mirror.content(KEY) == new
    mirror.site.put("/1.raw", image("newest"))
    mirror.define({**mirror.version("1", BIG), "checksum": f"sha256:{sha256(BIG)}"})
    assert mirror.run().code == 1
    assert mirror.content(KEY) == new  # what can't be replaced stays, and is told every time


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
    assert "another program has written it meanwhile: FOREIGN, somebody else's object is there" in outcome.out
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


def test_secrets_are_not_shown(mirror: Mirror, object_storage: Account) -> None:
    outcome = mirror.run("--debug", AWS_SESSION_TOKEN="x-session-token-x")
    assert outcome.code == 0, outcome.out
    assert "upload_part" in outcome.err.lower() or "uploadid" in outcome.err.lower()
    for secret in (object_storage.secret_key, "x-session-token-x", "Signature=0", "AWS4-HMAC-SHA256 Credential"):
        assert secret not in outcome.text, secret


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
            assert glue.sweep(bucket, where, [], now + timedelta(hours=23)) == []
            assert glue.sweep(bucket, Target(mirror.bucket, "", ""), ["m/other"], now + timedelta(days=2)) == []
            assert len(glue.sweep(bucket, where, [], now + timedelta(hours=25))) == 1
            assert glue.sweep(bucket, where, [], now + timedelta(hours=25)) == []
    finally:
        for name in environment:
            del os.environ[name]
    assert left(mirror) == (BOTH, [])


def test_an_interrupted_run_aborts_its_upload(mirror: Mirror) -> None:
    mirror.site.on("/1.raw", Switches(delay=0.01))
    run = killed(mirror, signal.SIGINT)
    text, _ = run.communicate(timeout=60)
    assert (run.returncode, left(mirror)) == (130, ([], [])), text
    assert "skipped: A 1: interrupted; the next run goes on from here" in text
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
