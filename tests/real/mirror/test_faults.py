"""What breaks under the mirror's feet: nothing wrong is ever visible, nothing stays behind, the next run completes."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest
import requests
from tests.support.bucket_mirrors import BIG, BOTH, KEY, Mirror, assert_next_run_completes, image, left, sha256
from tests.support.proxy import Rule
from tests.support.s3 import SLOW_DOWN, swift
from tests.support.site import Switches

from openstack_image_manager.sandbox import Account, Sandbox

PAGE = "<!DOCTYPE html><html><body>Sorry</body></html>"


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


def test_an_answer_without_what_belongs_into_it(mirror: Mirror) -> None:
    mirror.proxy.add(Rule("HEAD", f".*{KEY}", status=200, headers={"ETag": '"1"'}))
    outcome = mirror.run()
    assert outcome.code == 1, outcome.text
    assert f"looking at {KEY}: the answer has no LastModified\n" in outcome.out
    assert_next_run_completes(mirror)


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
    """It is asked for again, and whatever the storage says then, the object is right and gets its record."""
    mirror.proxy.add(Rule("POST", f".*{KEY}", nth=2, reset="after"))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)[0]) == (0, BOTH), outcome.text
    assert_next_run_completes(mirror)


def test_a_record_that_can_not_be_written_is_made_good(mirror: Mirror) -> None:
    mirror.proxy.add(Rule("PUT", ".*mirror.json", status=403, body="<Error><Code>AccessDenied</Code></Error>"))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([KEY], []))
    assert f"writing {KEY}.mirror.json: 403 AccessDenied: these credentials lack the permission" in outcome.out
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
    assert "listing: 403 SignatureDoesNotMatch: the credentials are wrong; check AWS_ACCESS_KEY_ID" in wrong.err
    member = mirror.run(account=sandbox.account("member"))
    assert (member.code, "listing: 403 AccessDenied: these credentials lack" in member.err) == (1, True)
    empty = {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""}
    none = mirror.run(**empty)
    assert (none.code, "no credentials; set AWS_ACCESS_KEY_ID" in none.err) == (1, True)
    nobody = mirror.run(endpoint="http://127.0.0.1:9")
    assert (nobody.code, "Could not connect to the endpoint URL" in nobody.err) == (1, True)
    nonsense = mirror.run(endpoint="nonsense")
    told = f"error: s3://{mirror.bucket}: Invalid endpoint: nonsense; check --endpoint and the AWS_* variables\n"
    assert (nonsense.code, nonsense.err) == (1, told)
    bucket, mirror.bucket = mirror.bucket, "not-there"
    missing = mirror.run()
    assert (missing.code, "listing: 404 NoSuchBucket: the bucket does not exist; create it" in missing.err) == (2, True)
    mirror.bucket = bucket
    assert left(mirror) == ([], [])


def test_a_full_quota_is_told(mirror: Mirror, object_storage: Account) -> None:
    storage, token = swift(object_storage)
    quota = {"X-Container-Meta-Quota-Bytes": "10"}
    assert requests.post(f"{storage}/{mirror.bucket}", headers=token | quota, timeout=60).status_code == 204
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert "400 EntityTooLarge: the storage or its quota is full" in outcome.out


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        (Switches(truncate=30 * 2**20, ranges=False), "given up after 5 tries"),
        (Switches(reset=30 * 2**20, ranges=False), "given up after 5 tries"),
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
    mirror.define({**mirror.version("1", BIG), "checksum": f"sha256:{sha256(BIG)}"})
    mirror.site.put("/1.raw", image("newest"))
    assert mirror.run().code == 1
    assert mirror.content(KEY) == new  # what can't be replaced stays, and is told every time


def test_secrets_are_not_shown(mirror: Mirror, object_storage: Account) -> None:
    text, _ = (run := mirror.start("--debug", AWS_SESSION_TOKEN="x-session-token-x")).communicate(timeout=60)
    assert (run.returncode, "operationmodel(name=uploadpart)" in text.lower()) == (0, True)
    assert len(text) < 2**20  # no bytes of the image
    for secret in (object_storage.secret_key, "x-session-token-x", "Signature=0", "AWS4-HMAC-SHA256 Credential"):
        assert secret not in text, secret


def test_what_may_not_be_deleted_or_swept_is_told(mirror: Mirror) -> None:
    assert mirror.run().code == 0
    mirror.define(mirror.version("2", image("2")))
    denied = "<Error><Code>AccessDenied</Code></Error>"
    mirror.proxy.add(Rule("DELETE", f".*{KEY}", status=403, body=denied))
    mirror.proxy.add(Rule("GET", f"/{mirror.bucket}", nth=2, status=403, body=denied))
    outcome = mirror.run("--prune", "--grace", "0", "--output", "json")
    assert outcome.code == 1
    assert json.loads(outcome.out)["failed"].keys() == {KEY}
    mirror.proxy.clear()
    mirror.proxy.add(Rule("DELETE", f".*{KEY}", status=403, body=denied))
    mirror.proxy.add(Rule("GET", f"/{mirror.bucket}", nth=2, status=403, body=denied))
    outcome = mirror.run("--prune", "--grace", "0")
    assert outcome.code == 1
    assert f"{KEY}: s3://{mirror.bucket} at {mirror.endpoint}: deleting {KEY}: 403 AccessDenied" in outcome.out
    assert "unfinished uploads: s3://" in outcome.out
    mirror.proxy.clear()
    assert mirror.run("--prune", "--grace", "0").code == 0
    assert left(mirror)[0] == ["m/a/2-a.raw", "m/a/2-a.raw.mirror.json"]


def test_what_can_not_be_read_again_fails_in_a_dry_run_too(mirror: Mirror) -> None:
    assert mirror.run().code == 0
    mirror.proxy.add(Rule("GET", f".*{KEY}", status=403, body="<Error><Code>AccessDenied</Code></Error>"))
    report = mirror.file.with_name("r.xml")
    outcome = mirror.run("--dry-run", "--verify", "--report", str(report))
    assert outcome.code == 1, outcome.text
    assert f"failed: A 1: s3://{mirror.bucket} at {mirror.endpoint}: reading {KEY}: 403 AccessDenied" in outcome.out
    assert outcome.out.endswith("Nothing was changed (--dry-run).\n")
    assert 'tests="2" failures="1"' in report.read_text()


def test_an_index_that_can_not_be_written_is_told_and_written_next_time(mirror: Mirror) -> None:
    denied = "<Error><Code>AccessDenied</Code></Error>"
    mirror.proxy.add(Rule("PUT", ".*/images.json", status=403, body=denied))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, (BOTH, []))
    assert f"index: s3://{mirror.bucket} at {mirror.endpoint}: writing m/streams/v1/images.json: 403" in outcome.out
    again = mirror.run()
    assert (again.code, "index: 2 files written\n" in again.out) == (0, True), again.text


def test_a_file_that_can_not_be_edited_is_told_and_written_next_time(mirror: Mirror) -> None:
    mirror.file.chmod(0o444)
    outcome = mirror.run("--write")
    assert (outcome.code, left(mirror)) == (1, (BOTH, []))
    assert f"{mirror.file}: is read-only; chmod u+w lets it be changed" in outcome.out
    mirror.file.chmod(0o644)
    assert (mirror.run("--write").code, mirror.urls()) == (0, [f"{mirror.endpoint}/{mirror.bucket}/{KEY}"])


def test_a_version_that_moves_gets_the_name_that_an_import_would_give(mirror: Mirror) -> None:
    """Each build is kept under its own name; nothing of it goes while its upstream cannot be queried."""
    old, new = image("old"), image("new")
    moving = {**mirror.version("2", old), "version": "latest", "checksum": None}
    moving["checksums_url"] = mirror.site.put("/SUMS", f"{sha256(old)}  2.raw\n".encode())
    mirror.define(mirror.version("1", BIG), moving)
    assert (outcome := mirror.run("--write")).code == 0, outcome.text
    today = datetime.fromtimestamp((mirror.site.directory / "2.raw").stat().st_mtime, UTC).strftime("%Y%m%d")
    first = f"m/a/{today}-a.raw"
    assert (mirror.content(first), mirror.record(first)["version"]) == (old, today)
    assert mirror.urls() == [f"{mirror.endpoint}/{mirror.bucket}/{KEY}", None]  # a copy does not move
    assert (again := mirror.run()).code == 0
    assert "2 CURRENT\n" in again.out
    mirror.site.put("/2.raw", new)
    mirror.site.put("/SUMS", f"{sha256(new)}  2.raw\n".encode())
    assert (outcome := mirror.run()).code == 0, outcome.text
    second = f"m/a/{today}.1-a.raw"
    assert (mirror.content(first), mirror.content(second)) == (old, new)
    mirror.site.on("/SUMS", Switches(status=404))
    lost = mirror.run("--prune", "--grace", "0")
    assert (lost.code, "INVALID     A latest  (no key): its upstream cannot be queried: " in lost.out) == (1, True)
    assert mirror.content(first) == old
    assert mirror.run("--filter", "nobody", "--prune", "--grace", "0").code == 0
    assert mirror.content(first) == old
    mirror.site.on("/SUMS", Switches())
    assert mirror.run("--prune", "--grace", "0").code == 0
    assert left(mirror) == (sorted([*BOTH, second, f"{second}.mirror.json"]), [])


def test_a_version_that_moves_can_have_one_address(mirror: Mirror) -> None:
    """What mirror_url says is the key, and what lies there is replaced."""
    url = f"{mirror.endpoint}/{mirror.bucket}/m/newest.raw"
    for data in (image("old"), image("new")):
        moving = {**mirror.version("2", data), "version": "latest", "checksum": None, "mirror_url": url}
        moving["checksums_url"] = mirror.site.put("/SUMS", f"{sha256(data)}  2.raw\n".encode())
        mirror.define(moving)
        assert (outcome := mirror.run()).code == 0, outcome.text
        assert mirror.content("m/newest.raw") == data
    assert left(mirror) == (["m/newest.raw", "m/newest.raw.mirror.json"], [])


def test_a_clock_that_is_wrong_is_told(mirror: Mirror) -> None:
    skewed = "<Error><Code>RequestTimeTooSkewed</Code><Message>The difference is too large.</Message></Error>"
    mirror.proxy.add(Rule("POST", f".*{KEY}", status=403, body=skewed, times=None))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert f"uploading {KEY}: 403 RequestTimeTooSkewed: this machine's clock is wrong; set it" in outcome.out
    assert_next_run_completes(mirror)


def test_an_upstream_whose_checksums_change_while_it_is_copied(mirror: Mirror) -> None:
    """The file that is there does not belong to the checksum file that was read: nothing of it becomes visible."""
    sums = mirror.site.put("/SUMS", f"{sha256(BIG)}  1.raw\n".encode())
    mirror.define({**mirror.version("1", BIG), "checksum": None, "checksums_url": sums})
    mirror.site.on("/1.raw", Switches(contents=[BIG[:-1] + b"x"]))
    outcome = mirror.run()
    assert (outcome.code, left(mirror)) == (1, ([], []))
    assert f"wrong checksum: expected sha256:{sha256(BIG)}" in outcome.out
    mirror.site.on("/1.raw", Switches(contents=[BIG]))
    assert_next_run_completes(mirror)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--grace", "soon"], "error: --grace soon: give a number of days, like 7 or 7d\n"),
        (
            ["--images", "catalogue:debian"],
            "error: catalogue:debian follows its upstreams and has no versions to mirror",
        ),
        (["--bucket", "images"], "error: --bucket images: write it like s3://NAME or s3://NAME/prefix,"),
        (["--bucket", "file://srv"], "error: --bucket file://srv: write it like file:///srv/mirror\n"),
        (["--bucket", "file:///srv", "--executor", "dask://h:1"], "error: --executor needs a bucket, not a directory"),
        (["--executor", "h:1"], "error: --executor h:1: write it like dask://scheduler.example.org:8786\n"),
        (
            ["--public-url", "images"],
            "error: --public-url images is not a plain URL like https://example.org/images\n",
        ),
    ],
)
def test_wrong_options(mirror: Mirror, options: list[str], message: str) -> None:
    outcome = mirror.run(*options)
    assert (outcome.code, outcome.out) == (2, "")
    assert outcome.err.startswith(message)
