"""How bytes come in: verified before anyone can use them, unpacked and inspected in passing, several side by side."""

from __future__ import annotations

import gzip
import hashlib
import io
import lzma
import os
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import pytest
import zstandard
from tests.support.bench import Bench
from tests.support.imports import define, digest, imported, refused
from tests.support.proxy import Proxy
from tests.support.site import Gate, Switches

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox.disks import disk_image


def test_a_sha256_is_verified_before_the_import(watched: Bench, proxy: Proxy) -> None:
    define(watched)
    assert imported(watched) == f"{digest(watched, 'sha256')} before import"
    assert proxy.count("PUT", "/v2/images/[^/]+/stage") == 1


def test_without_a_checksum_glance_fetches(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    assert imported(watched) == "none"
    assert proxy.count("PUT") == 0
    assert watched.site.requests[-1].headers["user-agent"].startswith("Python-urllib")


def test_a_sha512_is_verified_after_a_web_download_once_the_cloud_is_known(watched: Bench, proxy: Proxy) -> None:
    define(watched)
    value = digest(watched)
    define(watched, checksum=value)
    assert imported(watched) == f"{value} before import"
    two = watched.version("2")
    two["checksum"] = "sha512:" + hashlib.sha512((watched.site.directory / "2.img").read_bytes()).hexdigest()
    watched.define(watched.ubuntu(watched.version("1", checksum=value), two, visibility="private"))
    proxy.clear()
    assert watched.run().code == 0
    assert watched.image("2").properties[markers.VERIFIED] == f"{two['checksum']} after import"
    assert proxy.count("PUT") == 0
    watched.converged()


def test_wrong_bytes_of_a_web_download_are_never_published(bench: Bench) -> None:
    define(bench)
    assert bench.run().code == 0
    two = bench.version("2", checksum="sha512:" + "0" * 128)
    name = bench.ubuntu()["name"]
    bench.define(bench.ubuntu(bench.version("1"), two))
    outcome = bench.run()
    assert outcome.code == 1
    assert "wrong checksum: expected sha512:000" in outcome.out
    assert bench.names() == {name: "1"}


def test_wrong_bytes_are_not_even_imported(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum="sha256:" + "0" * 64)
    text = refused(watched)
    assert f"wrong checksum: expected sha256:{'0' * 64}, got {digest(watched, 'sha256')}; nothing was published" in text
    assert proxy.count("POST", ".*/import") == 0


@pytest.mark.parametrize(
    ("arguments", "checksum", "way"),
    [
        (["--import-method", "glance-direct"], None, "none"),
        (["--import-method", "web-download", "--no-verify-checksum"], "sha256", "none"),
        (["--no-verify-checksum"], "sha256", "none"),
        (["--prefetch", "always"], None, "none"),
        (["--verify-checksum"], "sha256", "before import"),
    ],
)
def test_ways_asked_for(bench: Bench, arguments: list[str], checksum: str | None, way: str) -> None:
    define(bench)
    if not checksum:
        define(bench, checksum=None)
    assert imported(bench, *arguments).endswith(way)


@pytest.mark.parametrize(
    ("arguments", "version", "message"),
    [
        (["--verify-checksum"], {"checksum": None}, "has no checksum to verify (--verify-checksum)"),
        (["--import-method", "web-download"], {}, "its checksum cannot be verified after web-download"),
    ],
)
def test_ways_that_would_not_verify_are_refused(
    bench: Bench, arguments: list[str], version: dict[str, Any], message: str
) -> None:
    define(bench, **version)
    assert message in refused(bench, *arguments)


def _tar(content: bytes) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:xz") as archive:
        for name, data in (("build.log", b"log"), ("disk.qcow2", content)):
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()


def _zip(content: bytes) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("disk.qcow2", content)
    return out.getvalue()


@pytest.mark.parametrize(
    ("suffix", "pack"),
    [
        ("gz", gzip.compress),
        ("xz", lzma.compress),
        ("zst", zstandard.ZstdCompressor().compress),
        ("zip", _zip),
        ("tar.xz", _tar),
    ],
)
@pytest.mark.parametrize("of", ["published", "image"])
def test_packed_images_are_unpacked_on_the_way(bench: Bench, suffix: str, pack: Any, of: str) -> None:
    bench.version("1")
    image = (bench.site.directory / "1.img").read_bytes()
    packed = pack(image)
    url = bench.site.put(f"/1.img.{suffix}", packed)
    checksum = f"sha256:{hashlib.sha256(packed if of == 'published' else image).hexdigest()}"
    define(bench, url=url, checksum=checksum)
    assert imported(bench) == f"{checksum} before import"
    assert bench.image("1").hash_value == hashlib.sha512(image).hexdigest()
    define(bench, url=url, checksum=None)
    bench.converged()


def test_a_local_file(bench: Bench) -> None:
    bench.version("1")
    local = bench.site.directory / "1.img"
    define(bench, url=local.as_uri(), checksum=digest(bench))
    assert imported(bench) == f"{digest(bench)} before import"
    assert bench.image("1").properties["image_source"] == "private"
    assert str(local) not in str(bench.image("1"))


def test_a_local_file_that_is_missing(bench: Bench) -> None:
    define(bench, url="file:///nowhere/a.img", checksum=None)
    assert "file:///nowhere/a.img: No such file or directory" in refused(bench)


def test_what_is_no_image_is_refused_before_glance_sees_it(watched: Bench, proxy: Proxy, tmp_path: Path) -> None:
    raw = tmp_path / "disk.raw"
    disk_image(raw, "raw", "raw", 8)
    cases = [
        (b"<!DOCTYPE html><html>not found</html>", "a web page came instead of an image"),
        (b"", "the file is empty"),
        (raw.read_bytes(), "its content is none of the known formats, but the definition says format: qcow2"),
        (_backed(watched), "unsafe qcow2"),
    ]
    for content, message in cases:
        url = watched.site.put("/x.img", content)
        define(watched, url=url, checksum=f"sha256:{hashlib.sha256(content).hexdigest()}")
        assert message in refused(watched)
    assert proxy.count("POST", ".*/import") == 0


def _backed(bench: Bench) -> bytes:
    """A qcow2 that says that its data is in /etc/passwd: its header names a backing file."""
    bench.version("1")
    content = bytearray((bench.site.directory / "1.img").read_bytes())
    content[8:16] = (512).to_bytes(8, "big")
    content[16:20] = len(b"/etc/passwd").to_bytes(4, "big")
    content[512 : 512 + 11] = b"/etc/passwd"
    return bytes(content)


def test_imports_run_side_by_side(bench: Bench) -> None:
    """The bodies are held back until four downloads are in flight: only a parallel run opens the gate."""
    gate = Gate(4)
    definitions = []
    for number in range(4):
        definition = bench.ubuntu(bench.version(f"v{number}"), name=f"{bench.tag} {number}", visibility="private")
        bench.site.on(f"/v{number}.img", Switches(gate=gate))
        definitions.append(definition)
    bench.define(*definitions)
    outcome = bench.run("--workers", "4")
    assert outcome.code == 0, outcome.text
    assert gate.opened
    assert "4 ok, 0 failed, 0 skipped" in outcome.out


def test_one_failure_stops_one_definition_only(bench: Bench) -> None:
    broken = bench.ubuntu(bench.version("2", checksum="sha256:" + "0" * 64), "1", name=f"{bench.tag} broken")
    bench.define(broken, bench.ubuntu("1"))
    outcome = bench.run()
    assert outcome.code == 1
    assert "1 ok, 1 failed, 0 skipped" in outcome.out
    assert bench.names() == {bench.ubuntu()["name"]: "1"}


def test_a_path_relative_to_the_current_directory(bench: Bench) -> None:
    bench.publish("/local.img")
    relative = os.path.relpath(bench.site.directory / "local.img")
    bench.define(bench.ubuntu({"version": "1", "url": f"file:{relative}"}))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert bench.image("1").properties["image_source"] == "private"
    bench.converged()


def test_latest_brings_in_what_is_new(bench: Bench) -> None:
    name = bench.ubuntu()["name"]

    def publish(text: str) -> None:
        bench.publish("/current.img", text)
        content = (bench.site.directory / "current.img").read_bytes()
        bench.site.put("/SHA256SUMS", f"{hashlib.sha256(content).hexdigest()} *current.img\n".encode())

    sums = bench.site.url + "/SHA256SUMS"
    version = {"version": "latest", "url": bench.site.url + "/current.img", "checksums_url": sums}
    bench.define(bench.ubuntu(version))
    publish("one")
    assert bench.run().code == 0
    (first,) = bench.images()
    assert first.properties["upstream_checksum"] in (bench.site.directory / "SHA256SUMS").read_text()
    day = first.properties["internal_version"]
    assert len(day) == 8
    bench.converged()
    more = hashlib.sha512((bench.site.directory / "current.img").read_bytes()).hexdigest()
    before = (bench.site.directory / "SHA256SUMS").read_bytes()
    bench.site.put(
        "/SHA256SUMS", before.upper().replace(b"CURRENT.IMG", b"current.img") + f"{more}  current.img\n".encode()
    )
    bench.converged()
    publish("two")
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert bench.names() == {name: f"{day}.1", f"{name} ({day})": day}
    bench.converged()
    bench.site.on("/SHA256SUMS", Switches(status=404))
    bench.define(bench.ubuntu(version, enable=False))
    assert bench.run().code == 0
    bench.define(bench.ubuntu(version))
    outcome = bench.run()
    assert outcome.code == 1
    assert "left alone, because its upstream cannot be queried" in outcome.out
    assert len(bench.images()) == 2
