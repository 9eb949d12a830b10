"""Where bytes come from, whatever the site does: resumed, from mirror or upstream, through Glance or this machine."""

from __future__ import annotations

import hashlib
import random
import signal
import threading
import time

import pytest
from tests.support import hostile
from tests.support.bench import Bench
from tests.support.doctors import doctor
from tests.support.imports import define, digest, imported, refused
from tests.support.proxy import Proxy
from tests.support.site import Switches

from openstack_image_manager.transfer import download


@pytest.mark.parametrize(
    "switches",
    [
        Switches(status=503, times=2),
        Switches(status=429, retry_after=1, times=1),
        Switches(truncate=100_000, times=1),
        Switches(reset=100_000, times=1),
        Switches(reset=100_000, times=1, ranges=False),
        Switches(ranges=False),
        Switches(picky=True),
        Switches(head_status=405),
    ],
    ids=["503", "429", "truncated", "reset", "reset without Range", "no Range", "picky", "no HEAD"],
)
def test_downloads_survive(bench: Bench, switches: Switches) -> None:
    define(bench)
    bench.site.on("/1.img", switches)
    assert imported(bench) == f"{digest(bench, 'sha256')} before import"


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects_are_followed(bench: Bench, status: int) -> None:
    define(bench)
    define(bench, url=bench.site.on("/moved", Switches(redirect=(status, bench.site.url + "/1.img"))))
    assert imported(bench) == f"{digest(bench, 'sha256')} before import"


def test_a_break_is_resumed_where_it_was(bench: Bench) -> None:
    define(bench)
    bench.site.on("/1.img", Switches(truncate=100_000, times=1))
    imported(bench)
    assert bench.site.requests[-1].headers["range"] == "bytes=100000-"


@pytest.mark.parametrize(
    ("switches", "message"),
    [
        (Switches(status=404), "/1.img: 404 Not Found"),
        (Switches(status=403), "/1.img: 403 Forbidden"),
        (Switches(status=503), f"/1.img: given up after {download.TRIES} tries: 503 Service Unavailable"),
        (Switches(html="<html>sorry</html>"), "a web page came instead of an image"),
        (Switches(contents=[b"QFI\xfb" + b"a" * 300_000, b"QFI\xfb" + b"b" * 300_000], truncate=100_000), "changed"),
    ],
    ids=["404", "403", "503 for ever", "page", "changes"],
)
def test_downloads_that_fail_leave_nothing_and_the_next_run_converges(
    bench: Bench, switches: Switches, message: str
) -> None:
    define(bench)
    right = (bench.site.directory / "1.img").read_bytes()
    bench.site.on("/1.img", switches)
    assert message in refused(bench)
    bench.site.on("/1.img", Switches())
    bench.site.put("/1.img", right)
    imported(bench)


def test_the_mirror_comes_first_and_the_upstream_when_it_fails(bench: Bench) -> None:
    bench.version("1")
    content = (bench.site.directory / "1.img").read_bytes()
    mirror = bench.site.put("/mirror.img", content)
    define(bench, mirror_url=mirror)
    imported(bench)
    assert bench.site.count("/1.img") == 0
    assert bench.image("1").properties["image_source"] == bench.site.url + "/1.img"
    for content in (b"other bytes", None):
        bench.admin.image.delete(f"/images/{bench.image('1').id}")
        bench.site.on("/mirror.img", Switches(contents=[content]) if content else Switches(status=404))
        outcome = bench.run()
        assert outcome.code == 0, outcome.text
        assert f"taken from {bench.site.url}/1.img" in outcome.out


@pytest.mark.parametrize("verified", [True, False], ids=["through this machine", "by Glance"])
def test_the_mirrors_of_the_environment_stand_for_the_upstream(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, verified: bool
) -> None:
    bench.version("1")
    upstream = "https://upstream.invalid/raw"
    define(bench, url=f"{upstream}/1.img", **({} if verified else {"checksum": None}))
    monkeypatch.setenv("OPENSTACK_IMAGE_MANAGER_MIRRORS", f"{upstream}/={bench.site.url}/")
    assert "1 of 1 URLs answer from this machine" in doctor(bench).out
    assert imported(bench) == (f"{digest(bench, 'sha256')} before import" if verified else "none")
    assert bench.image("1").properties["image_source"] == f"{upstream}/1.img"
    # The first one is that of `doctor`.
    by_glance = [request for request in bench.site.requests if "urllib" in request.headers.get("user-agent", "")][1:]
    assert bool(by_glance) != verified
    assert bench.run().out.endswith("no changes\n")


def test_bytes_that_turn_out_wrong_late_are_not_imported_and_the_upstream_is_tried(
    watched: Bench, proxy: Proxy
) -> None:
    """Most of it is in Glance's staging area when the end shows that the mirror's file is a wrong one."""
    content = random.Random(1).randbytes(12 * 1024**2)
    right = watched.site.put("/right.raw", content)
    wrong = watched.site.put("/wrong.raw", content[:-1] + b"x")
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    version = {"version": "1", "url": right, "mirror_url": wrong, "checksum": checksum}
    watched.define(watched.ubuntu(version, format="raw", visibility="private"))
    assert imported(watched) == f"{checksum} before import"
    assert [call.status for call in proxy.calls if call.path.endswith("/stage")] == [None, 204]
    watched.admin.image.delete(f"/images/{watched.image('1').id}")
    version["url"] = wrong
    watched.define(watched.ubuntu(version, format="raw", visibility="private"))
    assert "wrong checksum" in refused(watched)


def test_a_digest_at_the_mirror_does_not_replace_the_checksum(bench: Bench) -> None:
    content = random.Random(1).randbytes(1024**2)
    wrong = content[:-1] + b"x"
    version = {
        "version": "1",
        "url": bench.site.put("/right.raw", content),
        "checksum": f"sha256:{hashlib.sha256(content).hexdigest()}",
        "mirror_url": bench.site.put("/wrong.raw", wrong),
        "mirror_checksum": f"sha256:{hashlib.sha256(wrong).hexdigest()}",
    }
    bench.define(bench.ubuntu(version, format="raw", visibility="private"))
    imported(bench)
    assert bench.image("1").hash_value == hashlib.sha512(content).hexdigest()


def test_what_glance_may_not_fetch_goes_through_here(bench: Bench) -> None:
    define(bench, checksum=None)
    url = (bench.site.url + "/1.img").replace("127.0.0.1", "localhost")
    define(bench, url=url, checksum=None)
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert "URI for web-download does not pass filtering" in outcome.out
    assert bench.image("1").status == "active"


def test_glances_refusal_is_shown(bench: Bench) -> None:
    define(bench, checksum=None)
    define(bench, url=(bench.site.url + "/1.img").replace("127.0.0.1", "localhost"), checksum=None)
    assert "URI for web-download does not pass filtering" in refused(bench, "--import-method", "web-download")


def test_an_import_that_glance_fails_is_seen_at_once(bench: Bench) -> None:
    define(bench, checksum=None)
    bench.site.on("/1.img", Switches(status=404))
    text = refused(bench, "--import-method", "web-download", "--stuck-retry", "1")
    assert "Glance could not import it: Task failed due to Internal Error" in text
    assert "next try" in text
    bench.site.on("/1.img", Switches(status=404, times=1))
    outcome = bench.run("--stuck-retry", "1", "--import-method", "web-download")
    assert outcome.code == 0, outcome.text


def test_an_import_has_a_time_limit(bench: Bench) -> None:
    define(bench)
    bench.site.on("/1.img", Switches(delay=0.6))
    assert "(--import-timeout)" in refused(bench, "--import-timeout", "1")


def test_the_checksum_file_comes_within_the_time_of_the_import(bench: Bench) -> None:
    with hostile.hostile(hostile.drip(hostile.OK + b"\r\n", b"x")) as url:
        define(bench, checksum=None, checksums_url=url)
        begun = time.monotonic()
        said = refused(bench, "--import-timeout", "3")
    assert f"{url}: not finished in time, after " in said
    assert "(--import-timeout)" in said
    assert time.monotonic() - begun < 30


def test_ctrl_c_ends_an_import_that_waits_for_a_checksum_file(bench: Bench) -> None:
    asked = threading.Event()
    drip = hostile.drip(hostile.OK + b"\r\n", b"x")
    with hostile.hostile(hostile.asking(drip, asked)) as url:
        define(bench, checksum=None, checksums_url=url)
        with bench.start() as process:
            while not asked.wait(0.05):
                assert process.poll() is None
            begun = time.monotonic()
            process.send_signal(signal.SIGINT)
            out, _ = process.communicate(timeout=60)
    assert time.monotonic() - begun < 4, out  # not only after the patience that a run has with what hangs
    assert process.returncode == 130, out
    assert bench.images() == []
