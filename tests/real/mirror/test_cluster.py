"""The mirror on a real Dask cluster: three workers, one of which is killed in mid-transfer."""

from __future__ import annotations

import os
import signal
import threading
from pathlib import Path

import pytest
from tests.support.bucket_mirrors import BIG, KEY, Mirror, image, left, sha256
from tests.support.clusters import Wire, cluster, free_port
from tests.support.proxy import Rule


@pytest.mark.timeout(240)
def test_a_worker_is_killed_in_mid_transfer_and_the_result_is_complete(mirror: Mirror, tmp_path: Path) -> None:
    data = {str(number): image(str(number), 20) for number in range(6)}
    versions = [mirror.version(name, each) for name, each in data.items()]
    secret = {**mirror.version("private", private := image("private")), "checksum": None}
    secret["url"] = secret["url"].replace("//", "//reader:url-password@")
    mirror.define(*versions, secret, password="image-password")
    environment = mirror.environment()
    here = {key: value for key, value in environment.items() if key.startswith("AWS_")}
    arrived, hold = threading.Event(), threading.Event()
    with cluster(tmp_path) as running:
        wire = Wire(running.port)
        wire.start()
        try:
            # One worker alone gets the first task: it is at work on this one when it is killed.
            running.start_workers(["first"], here)
            mirror.proxy.add(Rule("PUT", ".*/0-a.raw", after=arrived.set))
            mirror.proxy.add(Rule("PUT", ".*/0-a.raw", hold=hold))
            run = mirror.start("--executor", wire.executor, "--workers", "8")
            assert arrived.wait(60)
            running.start_workers(["second", "third"], here)
            os.kill(running.workers["first"].pid, signal.SIGKILL)
            hold.set()
            text, _ = run.communicate(timeout=120)
        finally:
            wire.close()
        assert run.returncode == 0, (text, running.logs)
        assert "7 ok, 0 failed, 0 skipped" in text
        sent = bytes(wire.sent)
    names = [*data, "private"]
    assert left(mirror)[0] == sorted(f"m/a/{name}-a.raw{end}" for name in names for end in ("", ".mirror.json"))
    for name, each in {**data, "private": private}.items():
        assert mirror.content(f"m/a/{name}-a.raw") == each
        assert mirror.record(f"m/a/{name}-a.raw")["sha256"] == sha256(each)
    # one at a time of a worker, the private one on this machine, and never more than four of one upstream
    assert mirror.site.busiest <= 4
    assert b"run_job" in sent
    assert f"{mirror.site.url}/0.raw".encode() in sent
    for password in (mirror.account.secret_key, mirror.account.access_key, "url-password", "image-password"):
        assert password.encode() not in sent
        assert password not in "\n".join([text, *running.logs])
    # what the killed worker had begun can't be told from what goes on, and is swept when it is a day old
    assert {each["Key"] for each in left(mirror)[1]} <= {"m/a/0-a.raw"}


@pytest.mark.timeout(240)
def test_what_goes_wrong_on_workers_is_told_here(mirror: Mirror, tmp_path: Path) -> None:
    port = free_port(set())
    nobody = mirror.run("--executor", f"dask://127.0.0.1:{port}")
    assert (nobody.code, nobody.out) == (1, "")
    assert nobody.err.startswith(f"error: --executor dask://127.0.0.1:{port}: the scheduler does not answer")
    mirror.define(mirror.version("1", BIG), mirror.version("2", image("2")))
    arrived, hold = threading.Event(), threading.Event()
    with cluster(tmp_path, DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES="0") as running:
        text, _ = (run := mirror.start("--executor", running.executor)).communicate(timeout=60)
        assert (run.returncode, "the cluster has no workers; start some with: dask worker tcp://" in text) == (1, True)
        running.start_workers(["blind"], dict.fromkeys(("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"), ""))
        text, _ = (run := mirror.start("--executor", running.executor)).communicate(timeout=60)
        assert (run.returncode, text.count("no credentials; set AWS_ACCESS_KEY_ID")) == (1, 2), text
        assert left(mirror) == ([], [])
        running.workers["blind"].kill()
        running.start_workers(["good"], {k: v for k, v in mirror.environment().items() if k.startswith("AWS_")})
        mirror.define(mirror.version("1", BIG))
        mirror.proxy.add(Rule("PUT", f".*{KEY}", after=arrived.set))
        mirror.proxy.add(Rule("PUT", f".*{KEY}", hold=hold))
        run = mirror.start("--executor", running.executor)
        assert arrived.wait(60)
        running.workers["good"].kill()
        hold.set()
        text, _ = run.communicate(timeout=60)
        told = f"failed: A 1: {KEY}: lost 1 worker that copied it; check their logs\n"
        assert (run.returncode, told in text, left(mirror)[0]) == (1, True, []), text
