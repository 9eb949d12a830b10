"""The mirror in a directory: whole files under their names or none, and what may be in the way."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from xml.etree import ElementTree

import pytest
from tests.support.mirrors import KEY, Carried, carried, image, sha256
from tests.support.site import Switches

from openstack_image_manager.errors import StorageError
from openstack_image_manager.mirror.directory import Directory
from openstack_image_manager.mirror.store import EXISTS

INDEX = ["a/SHA256SUMS", "streams/v1/images.json", "streams/v1/index.json"]
WHOLE = sorted([KEY, f"{KEY}.mirror.json", *INDEX])


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Carried]:
    with carried(tmp_path) as made:
        yield made


def test_what_is_missing_is_copied_once(mirror: Carried) -> None:
    assert mirror.run("--dry-run")[0] == 0
    assert mirror.files() == []
    code, text = mirror.run("--write")
    assert (code, mirror.files()) == (0, WHOLE), text
    assert (mirror.tree / KEY).read_bytes() == image("1", 2)
    assert mirror.record()["sha256"] == sha256(image("1", 2))
    assert f"mirror_url: {(mirror.tree / KEY).as_uri()}\n" in mirror.file.read_text()
    times = [(mirror.tree / name).stat().st_mtime_ns for name in WHOLE]
    asked = len(mirror.site.requests)
    code, text = mirror.run("--write", "--verify")
    read = "1 CURRENT\nverified: 1 object read again (2.0 MiB), as recorded\n"
    assert (code, read in text) == (0, True), text
    assert [(mirror.tree / name).stat().st_mtime_ns for name in WHOLE] == times
    assert len(mirror.site.requests) == asked


@pytest.mark.parametrize("served", [True, False])
def test_a_new_address_is_looked_at(mirror: Carried, served: bool) -> None:
    mirror.define(mirror.version("1", image("1")))
    if served:
        mirror.site.put(f"/public/{KEY}", image("1"))
    code, text = mirror.run("--write", "--public-url", f"{mirror.site.url}/public")
    assert code == 0, text
    url = f"{mirror.site.url}/public/{KEY}"
    assert f"mirror_url: {url}\n" in mirror.file.read_text()
    warning = "mirror_url: warning: this address cannot be fetched without a login, so imports use the upstream; make "
    assert (warning in text, f"{url}: 404" in text) == (not served, not served), text
    asked = len(mirror.site.requests)
    assert mirror.run("--write", "--public-url", f"{mirror.site.url}/public")[0] == 0
    assert len(mirror.site.requests) == asked


def test_what_is_wrong_is_replaced_what_is_foreign_stays_and_what_nobody_needs_goes(mirror: Carried) -> None:
    new = image("new")
    mirror.define(mirror.version("1", image("1", 2)), mirror.version("2", image("2")), mirror.version("3", new))
    (mirror.tree / "a").mkdir()
    (mirror.tree / "a/3-a.raw").write_bytes(b"theirs")
    code, text = mirror.run()
    assert (code, "FOREIGN     A 3  a/3-a.raw: an object of another owner is there" in text) == (1, True), text
    damaged = bytearray(image("1", 2))
    damaged[-1] ^= 1
    (mirror.tree / KEY).write_bytes(damaged)
    mirror.define(mirror.version("1", image("1", 2)))
    code, text = mirror.run("--verify", "--prune", "--grace", "0")
    assert (code, f"MISMATCH    A 1  {KEY}: its bytes have sha256:{sha256(bytes(damaged))}" in text) == (0, True), text
    assert (mirror.tree / KEY).read_bytes() == image("1", 2)
    assert (mirror.tree / "a/3-a.raw").read_bytes() == b"theirs"
    assert mirror.files() == sorted([*WHOLE, "a/3-a.raw"])
    mirror.define(mirror.version("1", image("1", 2)), shortname="b")
    assert mirror.run("--prune", "--grace", "0")[0] == 0
    assert mirror.files() == sorted(
        [name.replace("a/1-a", "b/1-b").replace("a/S", "b/S") for name in WHOLE] + ["a/3-a.raw"]
    )
    (mirror.tree / "a/3-a.raw").unlink()


def test_an_object_whose_record_is_damaged_is_not_touched(mirror: Carried) -> None:
    assert mirror.run()[0] == 0
    record = mirror.tree / f"{KEY}.mirror.json"
    record.write_bytes(record.read_bytes()[:100])
    code, text = mirror.run()
    assert (code, f"FOREIGN     A 1  {KEY}: its record {KEY}.mirror.json is damaged: the owner" in text) == (1, True), (
        text
    )
    assert (mirror.tree / KEY).read_bytes() == image("1", 2)
    record.unlink()
    (mirror.tree / KEY).unlink()
    assert mirror.run()[0] == 0
    assert mirror.record()["sha256"] == sha256(image("1", 2))


def test_a_new_file_is_not_written_over_another_one(mirror: Carried) -> None:
    with Directory(str(mirror.tree), writes=True) as folder:
        folder.put("a/b", b"1", new=True)
        with pytest.raises(StorageError, match="writing a/b: a file already exists") as caught:
            folder.put("a/b", b"2", new=True)
        assert (caught.value.code, folder.get("a/b")) == (EXISTS, b"1")
        folder.put("a/b", b"2")
        assert folder.get("a/b") == b"2"


def test_a_terminal_shows_each_image_and_the_total(mirror: Carried) -> None:
    mirror.define(mirror.version("1", image("1", 2)), mirror.version("2", image("2", 2)))
    for name in ("1", "2"):
        mirror.site.on(f"/{name}.raw", Switches(delay=0.02))  # long enough for a picture of it
    terminal, end = os.openpty()
    command = [sys.executable, "-m", "openstack_image_manager", "mirror", "--images", str(mirror.file)]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "150"}
    run = subprocess.Popen([*command, "--bucket", mirror.tree.as_uri()], stdout=end, stderr=end, env=environment)
    os.close(end)
    text = b""
    with open(terminal, "rb", buffering=0) as reader, suppress(OSError):  # EIO: the other end was closed
        while chunk := reader.read(65536):
            text += chunk
    assert run.wait(60) == 0, text
    assert b"copying " in text
    assert re.search(rb"in total.*[01] of 2 images, \d+ MiB", text)


def test_a_failed_copy_leaves_nothing(mirror: Carried) -> None:
    mirror.site.on("/1.raw", Switches(contents=[image("other", 2)]))
    code, text = mirror.run()
    assert (code, mirror.files()) == (1, []), text
    assert "wrong checksum: expected sha256:" in text


def test_what_fails_after_the_copies_is_in_the_reports(mirror: Carried, tmp_path: Path) -> None:
    (mirror.tree / "a").mkdir()
    (mirror.tree / "a/SHA256SUMS").write_text("theirs\n")
    mirror.file.chmod(0o444)
    files = {suffix: tmp_path / f"r{suffix}" for suffix in (".json", ".md", ".xml")}
    options = [part for path in files.values() for part in ("--report", str(path))]
    code, text = mirror.run("--write", "--metrics", str(tmp_path / "r.prom"), *options)
    assert code == 1, text
    read_only = f"{mirror.file}: is read-only; chmod u+w lets it be changed"
    foreign = "a/SHA256SUMS: a file of another owner is there, and is never changed; move it, or add --no-index"
    data = json.loads(files[".json"].read_text())
    assert (data["exit_code"], data["error"], data["versions"][0]["state"]) == (1, None, "ok")
    assert data["failed"] == {str(mirror.file): read_only, "index": foreign}
    assert f"**error** index: {foreign}\n" in files[".md"].read_text()
    cases = {each.attrib["name"]: [*each] for each in ElementTree.parse(files[".xml"]).getroot().iter("testcase")}
    assert {name: [each.tag for each in its] for name, its in cases.items()} == {
        "A 1": [],
        str(mirror.file): ["failure"],
        "index": ["failure"],
        "run": [],
    }
    assert cases["index"][0].attrib["message"] == foreign
    assert 'failures{class="storage",command="mirror"} 1.0\n' in (tmp_path / "r.prom").read_text()
    mirror.file.chmod(0o644)
    (mirror.tree / "a/SHA256SUMS").unlink()
    code, text = mirror.run("--write", *options)
    data = json.loads(files[".json"].read_text())
    assert (code, data["exit_code"], data["failed"]) == (0, 0, {}), text
    assert 'tests="2" failures="0"' in files[".xml"].read_text()


def start(mirror: Carried) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "openstack_image_manager", "mirror", "--images", str(mirror.file)]
    return subprocess.Popen(
        [*command, "--bucket", mirror.tree.as_uri()], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )


def test_a_killed_run_leaves_nothing_that_can_be_seen_and_one_run_is_at_work_at_a_time(mirror: Carried) -> None:
    data = image("big", 8)
    mirror.define(mirror.version("1", data))
    reading, hold = threading.Event(), threading.Event()
    mirror.site.on("/1.raw", Switches(hold=hold, times=1, entered=reading))
    run = start(mirror)
    assert reading.wait(60)
    code, text = mirror.run()
    assert (code, text) == (1, f"error: {mirror.tree.as_uri()}: another run uses it; wait until that run ends\n")
    assert mirror.run("--dry-run")[0] == 0
    os.kill(run.pid, signal.SIGKILL)
    run.communicate(timeout=30)
    hold.set()
    stale = mirror.tree / "a" / ".1-a.raw.0123abcd.mirror-partial"
    stale.parent.mkdir(exist_ok=True)
    stale.write_bytes(data[:100])
    code, text = mirror.run()
    assert (code, "a/1-a.raw: aborted an unfinished upload of " in text) == (0, True), text
    assert ((mirror.tree / KEY).read_bytes(), mirror.files()) == (data, WHOLE)


def test_a_run_that_was_killed_before_the_name_was_given_is_made_good(mirror: Carried) -> None:
    """The record comes first, so that a file is never without one."""
    assert mirror.run()[0] == 0
    (mirror.tree / KEY).unlink()
    code, text = mirror.run()
    assert (code, f"MISSING     A 1  {KEY}: not there" in text) == (0, True), text
    assert mirror.files() == WHOLE


def test_links_out_of_the_directory_are_not_followed(mirror: Carried, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (mirror.tree / "a").symlink_to(outside)
    code, text = mirror.run()
    assert (code, list(outside.iterdir())) == (1, []), text
    assert f"{KEY} points outside the directory, to {outside}; remove that link" in text


@pytest.mark.parametrize(
    ("mirror_url", "message"),
    [
        ("/../x.raw", "'../x.raw' is not a valid object key"),
        ("/a/%2e%2e/%2e%2e/x.raw", "'a/../../x.raw' is not a valid object key"),
        ("/streams/v1/index.json", "'streams/v1/index.json': this name is reserved for the index"),
        ("/x/SHA256SUMS.gpg", "'x/SHA256SUMS.gpg': this name is reserved for the index"),
        (
            "/x/.y.mirror-partial",
            "'x/.y.mirror-partial': this name is reserved for unfinished files; set another mirror_url",
        ),
        (f"/{'x' * 250}", "the name is too long for the file system; set mirror_url or shortname"),
    ],
)
def test_names_that_can_not_be(mirror: Carried, mirror_url: str, message: str) -> None:
    version = mirror.version("1", image("1"))
    mirror.define({**version, "mirror_url": f"{mirror.tree.as_uri()}{mirror_url}"})
    code, text = mirror.run()
    assert (code, mirror.files()) == (1, []), text
    assert message in text


def test_a_directory_that_is_not_there_or_may_not_be_written_to(mirror: Carried, tmp_path: Path) -> None:
    code, text = mirror.run(tree=tmp_path / "none")
    assert (code, text) == (
        2,
        f"error: {(tmp_path / 'none').as_uri()}: there is no such directory; create it, or mount it\n",
    )
    code, text = mirror.run(tree=mirror.file)
    assert (code, "there is no such directory" in text) == (2, True)
    (mirror.tree / "a").write_text("a file")
    code, text = mirror.run()
    assert (code, mirror.files()) == (1, ["a"]), text
    assert "File exists" in text
