"""Signatures of upstreams when the mirror copies: verified again, recorded, or missing; bad ones stop the copy."""

from __future__ import annotations

import hashlib
import json
import lzma
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.mirrors import KEY, Carried, carried, image, sha256
from tests.support.signers import Made
from tests.support.site import Switches

DATA = image("signed", 2)
OTHER = "A" * 40


@pytest.fixture(scope="module")
def key() -> Made:
    return Made()


@pytest.fixture
def mirror(tmp_path: Path, key: Made) -> Iterator[Carried]:
    with carried(tmp_path) as made:
        (tmp_path / "keys").mkdir()
        (tmp_path / "keys" / "upstream.asc").write_bytes(key.armored)
        yield made


def define(mirror: Carried, key: Made, over: str, kind: str = "detached", **fields: Any) -> None:
    """One version whose definition says who signs what; None takes a field away."""
    url = None if kind == "clearsigned" else ("{url}.sig" if "image" in over else "{checksum_url}.sig")
    if over == "index":
        url = f"{mirror.site.url}/SUMS.sig"
    policy = fields.pop("policy", "required")
    signature = {"kind": kind, "over": over, "url": url, "keys": [key.fingerprint], "policy": policy}
    step: dict[str, Any] = {"listing": mirror.site.url, "match": r"(?P<version>\d+)[.]raw"}
    if over in ("index", "checksum"):
        step = {"checksum-file": f"{mirror.site.url}/SUMS", "match": step["match"]}
    if over == "index":
        step = {"json": f"{mirror.site.url}/SUMS", "items": "builds"}
        step["fields"] = {"url": "url", "version": "version", "checksum": "sha512"}
    resolve = {"steps": [step], "signature": {name: value for name, value in signature.items() if value}}
    version = {**mirror.version("1", DATA), "checksums_url": f"{mirror.site.url}/SUMS", **fields}
    mirror.define(version, resolve=resolve)


def run(mirror: Carried) -> tuple[int, str]:
    return mirror.run("--keys", str(mirror.directory / "keys"), XDG_DATA_HOME=str(mirror.directory))


def sums(data: bytes = DATA) -> bytes:
    return f"{sha256(data)}  1.raw\n".encode()


@pytest.mark.parametrize("checksum", [f"sha256:{sha256(DATA)}", None])
def test_a_checksum_file_with_a_detached_signature(mirror: Carried, key: Made, checksum: str | None) -> None:
    mirror.site.put("/SUMS", sums())
    mirror.site.put("/SUMS.sig", key.sign(sums()))
    define(mirror, key, "checksum", checksum=checksum)
    code, text = run(mirror)
    assert (code, "A 1: copied, its signature verified\n" in text) == (0, True), text
    record = mirror.record()
    assert (record["signature"], record["signed_by"]) == ("verified", key.fingerprint)
    assert record["signed_at"]
    assert record["proof"] == ("definition" if checksum else "checksums_url")


def test_a_clearsigned_checksum_file(mirror: Carried, key: Made) -> None:
    mirror.site.put("/SUMS", key.clearsign(sums()))
    define(mirror, key, "checksum", "clearsigned")
    assert run(mirror)[0] == 0
    assert mirror.record()["signature"] == "verified"


def test_an_index_that_has_the_digest(mirror: Carried, key: Made) -> None:
    index = json.dumps({"builds": [{"version": "1", "url": "1.raw", "sha512": hashlib.sha512(DATA).hexdigest()}]})
    mirror.site.put("/SUMS", index.encode())
    mirror.site.put("/SUMS.sig", key.sign(index.encode()))
    define(mirror, key, "index", checksum=f"sha512:{hashlib.sha512(DATA).hexdigest()}")
    code, text = run(mirror)
    assert code == 0, text
    assert mirror.record()["signature"] == "verified"


@pytest.mark.parametrize("over", ["image", "unpacked-image"])
def test_a_signature_over_the_image_is_checked_as_it_passes(mirror: Carried, key: Made, over: str) -> None:
    packed = lzma.compress(DATA)
    signed = packed if over == "image" else DATA
    url = mirror.site.put("/1.raw.xz", packed)
    mirror.site.put("/1.raw.xz.sig", key.sign(signed))
    define(mirror, key, over, url=url, checksum=f"sha256:{sha256(packed)}", checksums_url=None)
    code, text = run(mirror)
    assert (code, mirror.site.count("/1.raw.xz")) == (0, 1), text
    assert (mirror.record()["signature"], mirror.record()["signed_by"]) == ("verified", key.fingerprint)
    assert (mirror.tree / KEY).read_bytes() == DATA
    (mirror.tree / KEY).unlink()
    mirror.site.put("/1.raw.xz.sig", key.sign(b"something else"))
    code, text = run(mirror)
    assert (code, f"failed: A 1: {url}: BAD signature by {key.fingerprint}" in text) == (1, True), text
    assert not (mirror.tree / KEY).exists()


@pytest.mark.parametrize("over", ["image", "unpacked-image"])
def test_the_digest_of_what_was_verified_is_recorded(mirror: Carried, key: Made, over: str) -> None:
    """The definition has none: what passed by while its signature was checked is the evidence."""
    packed = lzma.compress(DATA)
    url = mirror.site.put("/1.raw.xz", packed)
    mirror.site.put("/1.raw.xz.sig", key.sign(packed if over == "image" else DATA))
    define(mirror, key, over, url=url, checksum=None, checksums_url=None)
    code, text = run(mirror)
    assert (code, "A 1: copied, its signature verified\n" in text) == (0, True), text
    record = mirror.record()
    assert (record["signature"], record["signed_by"]) == ("verified", key.fingerprint)
    assert (record["checksum"], record["proof"]) == (f"sha256:{sha256(packed)}", "signature")
    # Bytes that are swapped afterwards are not copied as signed ones.
    (mirror.tree / KEY).unlink()
    mirror.site.put("/1.raw.xz", lzma.compress(image("swapped", 2)))
    code, text = run(mirror)
    assert (code, f"failed: A 1: {url}: BAD signature by {key.fingerprint}" in text) == (1, True), text
    assert not (mirror.tree / KEY).exists()


@pytest.mark.parametrize("policy", ["optional", "none"])
def test_no_signer_without_the_digest_that_the_signature_vouched_for(mirror: Carried, key: Made, policy: str) -> None:
    """Neither without any digest, nor with one that was fetched only now, nor with one that can be forged."""
    md5 = f"md5:{hashlib.md5(DATA).hexdigest()}"
    mirror.site.put("/SUMS", sums())
    for fields in (
        {"checksum": None, "checksums_url": None},
        {"checksum": None},
        {"checksum": md5, "checksums_url": None},
    ):
        define(mirror, key, "image", policy=policy, signed_by=key.fingerprint, signed_at="2026-01-01", **fields)
        code, text = run(mirror)
        assert code == 0, text
        record = mirror.record()
        assert (record["signature"], record["signed_by"], record["signed_at"]) == (None, None, None)
        (mirror.tree / KEY).unlink()
    define(mirror, key, "image", policy=policy, signed_by=key.fingerprint, signed_at="2026-01-01")
    assert run(mirror)[0] == 0
    expected = "recorded" if policy == "optional" else None
    assert (mirror.record()["signature"], mirror.record()["signed_by"]) == (expected, key.fingerprint)


@pytest.mark.parametrize("recorded", [True, False])
def test_a_signed_checksum_file_with_broken_digests_only(mirror: Carried, key: Made, recorded: bool) -> None:
    digest = hashlib.md5(DATA).hexdigest()
    text_ = f"{digest}  1.raw\n".encode()
    mirror.site.put("/SUMS", text_)
    mirror.site.put("/SUMS.sig", key.sign(text_))
    checksum = f"md5:{digest}" if recorded else None
    define(mirror, key, "checksum", checksum=checksum, signed_by=key.fingerprint)
    code, text = run(mirror)
    assert (code, mirror.files()) == (1, []), text
    assert "its signed digest is md5, which can be forged; its signature is required" in text
    define(mirror, key, "checksum", checksum=checksum, signed_by=key.fingerprint, policy="optional")
    assert run(mirror)[0] == 0
    assert (mirror.record()["signature"], mirror.record()["signed_by"]) == (None, None)


def test_a_bad_signature_stops_the_copy_whatever_the_checksum_says(mirror: Carried, key: Made) -> None:
    mirror.site.put("/SUMS", sums())
    mirror.site.put("/SUMS.sig", key.sign(b"something else"))
    for policy in ("required", "optional"):
        define(mirror, key, "checksum", policy=policy, signed_by=key.fingerprint)
        code, text = run(mirror)
        assert (code, mirror.files()) == (1, []), text
        assert f"failed: A 1: {mirror.site.url}/SUMS: BAD signature by {key.fingerprint}" in text
    define(mirror, key, "checksum", policy="none")
    assert run(mirror)[0] == 0
    assert mirror.record()["signature"] is None


def test_a_key_that_is_not_there_is_told(mirror: Carried, key: Made) -> None:
    mirror.site.put("/SUMS", sums())
    mirror.site.put("/SUMS.sig", key.sign(sums()))
    define(mirror, key, "checksum")
    code, text = mirror.run(XDG_DATA_HOME=str(mirror.directory))
    assert (code, mirror.files()) == (1, [])
    assert f"failed: A 1: {mirror.site.url}/SUMS: no key {key.fingerprint} in " in text


@pytest.mark.parametrize("gone", ["/SUMS", "/SUMS.sig", "unlisted"])
def test_what_can_not_be_verified_again_counts_as_recorded(mirror: Carried, key: Made, gone: str) -> None:
    text_ = sums(b"the next build") if gone == "unlisted" else sums()
    mirror.site.put("/SUMS", text_)
    mirror.site.put("/SUMS.sig", key.sign(text_))
    if gone != "unlisted":
        mirror.site.on(gone, Switches(status=404))
    define(mirror, key, "checksum")
    code, text = run(mirror)
    assert (code, mirror.files()) == (1, []), text
    assert "the definition has no signed_by with a checksum: run update to record one" in text
    define(mirror, key, "checksum", signed_by=OTHER, signed_at="2026-01-01 10:00:00")
    assert run(mirror)[0] == 0
    record = mirror.record()
    assert (record["signature"], record["signed_by"], record["signed_at"]) == ("recorded", OTHER, "2026-01-01 10:00:00")


def test_a_recorded_signature_without_the_digest_it_vouched_for(mirror: Carried, key: Made) -> None:
    define(mirror, key, "image", signed_by=key.fingerprint, checksum=None, checksums_url=None)
    code, text = run(mirror)
    assert (code, mirror.files()) == (1, []), text
    assert "its signature is required, and the definition has no signed_by with a checksum" in text


def test_without_a_signature_where_none_is_needed(mirror: Carried, key: Made) -> None:
    mirror.site.put("/SUMS", sums())
    define(mirror, key, "checksum", "clearsigned", policy="optional")
    assert run(mirror)[0] == 0
    assert mirror.record()["signature"] is None
    (mirror.tree / KEY).unlink()
    define(mirror, key, "checksum", checksums_url=None)
    code, text = run(mirror)
    assert (code, "the definition does not say where the signed checksum is; its signature is required" in text) == (
        1,
        True,
    ), text
    mirror.site.on("/SUMS", Switches(status=403))
    define(mirror, key, "checksum", signed_by=OTHER)
    code, text = run(mirror)
    assert (code, f"{mirror.site.url}/SUMS: 403 Forbidden" in text) == (1, True), text


def test_a_bare_checksum_that_the_signed_file_does_not_have(mirror: Carried, key: Made) -> None:
    signed = f"{sha256(DATA)}  2.raw\n".encode()
    mirror.site.put("/SUMS", signed)
    mirror.site.put("/SUMS.sig", key.sign(signed))
    define(mirror, key, "checksum", checksum=None)
    code, text = run(mirror)
    assert (code, "SUMS: the checksum file has no digest of 1.raw; it has " in text) == (1, True), text
