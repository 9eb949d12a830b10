"""Behind an air gap: a mirror that was carried there, as a directory or a bucket, and imports without any upstream."""

from __future__ import annotations

import gzip
import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench import Bench, run_main
from tests.support.bucket_mirrors import Mirror
from tests.support.s3 import keys, remove_bucket, swift
from tests.support.site import Switches

from openstack_image_manager.sandbox import Account

COPY = "noble/20240416-noble.qcow2"


@pytest.fixture
def ubuntu(mirror: Mirror, bench: Bench) -> Mirror:
    """The mirror with a real image defined, which only its upstream has."""
    bench.define(bench.ubuntu("20240416", shortname="noble", visibility="private"))
    mirror.file = bench.directory / "images" / "images.yml"
    return mirror


def behind_the_gap(bench: Bench) -> None:
    """No upstream answers any more."""
    for request in {request.path for request in bench.site.requests}:
        bench.site.on(request, Switches(status=404))
    bench.site.requests.clear()


@pytest.mark.parametrize("promised", [True, False], ids=["checksum", "no checksum"])
def test_a_directory_is_carried(ubuntu: Mirror, bench: Bench, tmp_path: Path, promised: bool) -> None:
    """Also where nothing could be verified, and Glance might fetch by itself: it can't from this disk. Then the
    definitions carry the digest of what was copied."""
    if not promised:
        text = ubuntu.file.read_text()
        ubuntu.file.write_text("".join(line for line in text.splitlines(True) if "checksum:" not in line))
    here, there = tmp_path / "here", tmp_path / "there mirror"
    here.mkdir()
    copy = ["mirror", "--images", str(ubuntu.file), "--bucket", here.as_uri()]
    outside = run_main(copy if promised else [*copy, "--public-url", there.as_uri(), "--write"], ubuntu.environment())
    assert outside.code == 0, outside.text
    behind_the_gap(bench)
    shutil.move(here, there)
    if promised:  # else the definitions know the address already
        assert bench.run().code == 1
    arguments = ["mirror", "--images", str(ubuntu.file), "--bucket", there.as_uri(), "--verify", "--write"]
    inside = run_main(arguments, ubuntu.environment())
    assert (inside.code, "1 CURRENT\n" in inside.out) == (0, True), inside.text
    assert ubuntu.urls() == [(there / COPY).as_uri()]
    bench.site.requests.clear()
    imported = bench.run()
    assert imported.code == 0, imported.text
    assert [request.path for request in bench.site.requests] == []
    assert bench.image("20240416").hash_value == hashlib.sha512((there / COPY).read_bytes()).hexdigest()
    bench.converged()


def test_a_bucket_is_carried(ubuntu: Mirror, bench: Bench, s3: Any, object_storage: Account) -> None:
    assert ubuntu.run(endpoint=object_storage.url).code == 0
    behind_the_gap(bench)
    carried = f"{ubuntu.bucket}-carried"
    s3.create_bucket(Bucket=carried)
    try:
        s3.put_bucket_acl(Bucket=carried, ACL="public-read")
        for key in keys(s3, ubuntu.bucket):  # as any tool that copies objects, with nothing but their names and bytes
            s3.put_object(Bucket=carried, Key=key, Body=ubuntu.content(key))
        record = ubuntu.record(f"m/{COPY}")
        storage, _ = swift(object_storage)
        ubuntu.bucket = carried
        public = f"{storage}/{carried}/m"
        inside = ubuntu.run("--verify", "--write", "--public-url", public, endpoint=object_storage.url)
        assert (inside.code, "1 CURRENT\n" in inside.out) == (0, True), inside.text
        assert ubuntu.urls() == [f"{public}/{COPY}"]
        bench.site.requests.clear()
        imported = bench.run()
        assert imported.code == 0, imported.text
        assert [request.path for request in bench.site.requests] == []
        assert bench.image("20240416").hash_value == record["sha512"]
        bench.converged()
    finally:
        remove_bucket(s3, carried)


def test_what_was_packed_is_known_by_the_digest_of_the_copy(ubuntu: Mirror, bench: Bench, tmp_path: Path) -> None:
    """The definition has the checksum of the packed file, and the mirror what was in it."""
    bench.version("1")
    image = (bench.site.directory / "1.img").read_bytes()
    packed = gzip.compress(image)
    url = bench.site.put("/1.qcow2.gz", packed)
    version = {"version": "1", "url": url, "checksum": f"sha256:{hashlib.sha256(packed).hexdigest()}"}
    bench.define(bench.ubuntu(version, shortname="noble", visibility="private"))
    folder = tmp_path / "mirror"
    folder.mkdir()
    arguments = ["mirror", "--images", str(ubuntu.file), "--bucket", folder.as_uri(), "--write"]
    made = run_main(arguments, ubuntu.environment())
    assert (made.code, "mirror_url written: 1\n" in made.out) == (0, True), made.text
    assert f"mirror_checksum: sha256:{hashlib.sha256(image).hexdigest()}\n" in ubuntu.file.read_text()
    before = ubuntu.file.read_text()
    assert run_main(arguments, ubuntu.environment()).code == 0
    assert ubuntu.file.read_text() == before
    behind_the_gap(bench)
    copy = folder / "noble" / "1-noble.qcow2"
    right = copy.read_bytes()
    copy.write_bytes(right[:-1] + b"!")
    refused = bench.run()
    assert (refused.code, "wrong checksum: expected sha256:" in refused.text) == (1, True), refused.text
    copy.write_bytes(right)
    bench.site.requests.clear()
    imported = bench.run()
    assert imported.code == 0, imported.text
    assert [request.path for request in bench.site.requests] == []
    assert bench.image("1").hash_value == hashlib.sha512(image).hexdigest()
    bench.converged()
