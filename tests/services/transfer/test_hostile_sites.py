"""What sites do that want all memory, time or disk: each in a process of its own, whose peak and time are measured."""

from __future__ import annotations

import gzip
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support import hostile as site
from tests.support.hostile import GIB, MIB, MOVED, OK, Behaviour, hostile
from tests.support.measured_program import DOCUMENT

SECONDS = 3.0  # until the deadline
MOST_MEMORY = 200  # MiB above idle
MOST_LATE = 5.0  # seconds
LATE = "not finished in time"


@cache
def big() -> bytes:
    """A GiB of zeros in a MiB."""
    return site.gz_of_zeros(GIB)


ENDLESS: dict[str, Behaviour] = {
    "endless body": site.flood(OK + b"\r\n", bytes(MIB)),
    "dripping body": site.drip(OK + b"\r\n", b"\0"),
    "dripping status line": site.drip(b"", b"H"),
    "dripping header line": site.drip(OK + b"X: ", b"x"),
    "dripping header lines": site.drip(OK, b"X: x\r\n"),
    "dripping redirect headers": site.drip(MOVED, b"x"),
    "endless 100 Continue": site.flood(b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 100),
    "dripping 100 Continue": site.drip(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "dripping chunk size": site.drip(OK + b"Transfer-Encoding: chunked\r\n\r\n", b"0"),
    "dripping trailer": site.drip(OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: x\r\n"),
    "nothing at all": site.drip(b"", b""),
}
REFUSED: dict[str, tuple[Callable[[], Behaviour], str, str]] = {
    "redirect with an endless body": (lambda: site.flood(MOVED + b"\r\n", bytes(MIB)), "raw", "redirected 10 times"),
    "redirect with a packed body": (
        lambda: site.flood(MOVED + b"Content-Encoding: gzip\r\n\r\n", big(), 1),
        "raw",
        "redirected 10 times",
    ),
    "redirect with a dripping body": (lambda: site.drip(MOVED + b"\r\n", b"x"), "raw", "redirected 10 times"),
    "endless header line": (lambda: site.flood(OK + b"X: ", b"x" * MIB), "raw", LATE),
    "endless header lines": (lambda: site.flood(OK, b"X: x\r\n" * 1000), "raw", LATE),
    "sparse tar": (lambda: site.body(site.sparse()), "raw", "sparse member"),
    "long name of 1 GiB": (
        lambda: site.body(site.long_header(b"L", GIB)),
        "raw",
        "an extended header of the tar has 1073741824 bytes",
    ),
    "pax header of 1 GiB": (
        lambda: site.body(site.long_header(b"x", GIB)),
        "raw",
        "an extended header of the tar has 1073741824 bytes",
    ),
    "xz dictionary of 1.5 GiB": (lambda: site.body(site.xz_with_dictionary(3 * GIB // 2)), "raw", "Memory usage limit"),
    "zst window of 1 GiB": (lambda: site.body(site.zst_with_window(30)), "raw", "too much memory"),
    "qcow2 of 2^60": (lambda: site.body(site.qcow2_of(2**60)), "qcow2", "its disk has 1152921504606846976 bytes"),
    "qcow2 of 2^63-512": (lambda: site.body(site.qcow2_of(2**63 - 512)), "qcow2", "its disk has 9223372036854775296"),
}


def taking(url: str, disk_format: str, seconds: float) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "tests.support.measured_program", url, disk_format, str(seconds)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def result(process: subprocess.Popen[str]) -> dict[str, Any]:
    assert process.stdout is not None
    with process:  # communicate() would miss what came together with the line that was read already
        found: dict[str, Any] = json.loads(process.stdout.read())
    return found


@pytest.mark.parametrize("name", ENDLESS)
def test_what_never_ends_ends_at_the_deadline(name: str, record_property: Any) -> None:
    with hostile(ENDLESS[name]) as url:
        found = result(taking(url, "raw", SECONDS))
    record_property("measured", found)
    assert LATE in found["said"]
    assert found["memory"] <= MOST_MEMORY
    assert found["seconds"] <= SECONDS + MOST_LATE


@pytest.mark.parametrize("name", ["endless body", "dripping header line", "endless 100 Continue", "dripping trailer"])
def test_a_document_that_never_ends(name: str, record_property: Any) -> None:
    with hostile(ENDLESS[name]) as url:
        found = result(taking(url, DOCUMENT, SECONDS))
    record_property("measured", found)
    assert ("larger than 33554432 bytes" if name == "endless body" else "not finished in time") in found["said"]
    assert found["memory"] <= MOST_MEMORY
    assert found["seconds"] <= SECONDS + MOST_LATE


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_too_much_is_refused(name: str, record_property: Any) -> None:
    make, disk_format, message = REFUSED[name]
    with hostile(make()) as url:
        found = result(taking(url, disk_format, 2 * SECONDS))
    record_property("measured", found)
    assert message in found["said"]
    assert found["memory"] <= MOST_MEMORY
    assert found["seconds"] <= 2 * SECONDS + MOST_LATE


def test_the_deadline_holds_for_what_comes_out_of_few_bytes() -> None:
    """Packed twice, a MiB that was read long ago makes GiB after GiB."""
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    ballast = gzip.compress(random.Random(1).randbytes(16 * MIB), 1)  # for these, as much is what a disk may have
    packed = packer.compress(ballast + big() * 20) + packer.flush()
    with hostile(site.body(packed)) as url:
        found = result(taking(url, "raw", 1.0))
    assert LATE in found["said"]
    assert found["memory"] <= MOST_MEMORY
    assert found["seconds"] <= 1 + MOST_LATE


FINGERPRINT = "BF18AC2876178908D6E71267D36CB86CB86B3716"
MIRROR = ["mirror", "--images", "a.yml", "--bucket", "file://{here}/mirror"]
FOUND = {"match": r"(?P<version>\d+)[.]img"}
RELEASES = {"listing": "{url}", **FOUND}


def signature(step: dict[str, str], kind: str, over: str, **fields: str) -> dict[str, Any]:
    """What makes a definition say where its signatures are."""
    rule = {"kind": kind, "over": over, "keys": [FINGERPRINT], "policy": "required", **fields}
    return {"resolve": {"steps": [step], "signature": rule}}


# The command, and what the definition has besides a version whose addresses are all those of the site.
WAITING: dict[str, tuple[list[str], dict[str, Any]]] = {
    "end of life": (["check-updates", "--images", "a.yml", "--eol-url", "{url}"], {}),
    "checksum file of a copy": (MIRROR, {}),
    "signed checksum file": (MIRROR, signature({"checksum-file": "{url}/sums", **FOUND}, "clearsigned", "checksum")),
    "signature of an image": (MIRROR, signature(RELEASES, "detached", "image", url="{{url}}.sig")),
    "moving version": (MIRROR, {"versions": [{"version": "latest", "url": "{url}/a", "checksums_url": "{url}/sums"}]}),
    "checksum file for the doctor": (["doctor", "--images", "a.yml", "--cloud", "nowhere"], {}),
    "key": (["keys", "fetch", "{url}", FINGERPRINT], {}),
    "newest build": (["update", "--images", "a.yml"], {"resolve": {"steps": [RELEASES]}}),
}


def filled(value: Any, **names: str) -> Any:
    """The same with these names in all its texts."""
    if isinstance(value, dict):
        return {key: filled(each, **names) for key, each in value.items()}
    if isinstance(value, list):
        return [filled(each, **names) for each in value]
    return value.format(**names) if isinstance(value, str) else value


def definition(path: Path, url: str, fields: dict[str, Any]) -> None:
    version = {"version": "1", "url": f"{url}/a.img", "checksums_url": f"{url}/sums"}
    meta = {"os_distro": "ubuntu", "os_version": "24.04", "architecture": "x86_64"}
    size = {"login": "x", "min_disk": 1, "min_ram": 64, "visibility": "private", "multi": True}
    whole = {"name": "A", "format": "raw", **size, "meta": meta, "versions": [version], **filled(fields, url=url)}
    path.write_text(yaml.safe_dump({"images": [whole]}), encoding="utf-8")


def environment(home: Path) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "XDG_", "OPENSTACK_IMAGE"))}
    return {**clean, "HOME": str(home)}


@pytest.mark.parametrize("name", ["dripping header line", "endless 100 Continue", "nothing at all", "endless body"])
def test_an_event_ends_it(name: str) -> None:
    with hostile(ENDLESS[name]) as url:
        process = taking(url, "raw", 60.0)
        process.send_signal(signal.SIGINT)
        found = result(process)
    assert found["said"] == "interrupted"
    assert found["seconds"] <= MOST_LATE


@pytest.mark.parametrize("name", WAITING)
def test_ctrl_c_ends_every_command(tmp_path: Path, name: str) -> None:
    arguments, fields = WAITING[name]
    asked = threading.Event()
    with hostile(site.asking(ENDLESS["dripping body"], asked)) as address:
        url = address.rpartition("/")[0]
        (tmp_path / "mirror").mkdir()
        definition(tmp_path / "a.yml", url, fields)
        with subprocess.Popen(
            [sys.executable, "-m", "openstack_image_manager", *filled(arguments, url=url, here=str(tmp_path))],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=environment(tmp_path),
            cwd=tmp_path,
        ) as process:
            try:
                while not asked.wait(0.05):
                    assert process.poll() is None, process.communicate()[0]
                begun = time.monotonic()
                process.send_signal(signal.SIGINT)
                out, _ = process.communicate(timeout=20)
            finally:
                process.kill()
    assert time.monotonic() - begun < MOST_LATE, out
    assert process.returncode == 130, out
    assert "Traceback" not in out
