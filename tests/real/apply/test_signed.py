"""Signed images in a real cloud: the bytes that were verified are imported, and the image says who signed them."""

from __future__ import annotations

import hashlib
import json

import pytest
from tests.support.bench import Bench, Outcome, run_main
from tests.support.signers import Made, made

from openstack_image_manager.plan import markers


@pytest.fixture
def key(bench: Bench) -> Made:
    """The key of the upstream, where it is looked for."""
    (bench.directory / "keys").mkdir()
    (bench.directory / "keys" / "upstream.asc").write_bytes(made().armored)
    return made()


def follow(bench: Bench, key: Made) -> None:
    """A definition whose upstream publishes images beside their signatures, and no checksum file."""
    resolve = {
        "steps": [{"pointer": f"{bench.site.url}/last", "match": r"(?P<file>(?P<version>\d+)[.]img)"}],
        "url": f"{bench.site.url}/{{file}}",
        "signature": {"kind": "detached", "over": "image", "url": "{url}.asc", "keys": key.fingerprint},
    }
    bench.define(bench.ubuntu(visibility="private", resolve=resolve))


def publish(bench: Bench, key: Made, version: str) -> bytes:
    bench.publish(f"/{version}.img", version)
    data = (bench.site.directory / f"{version}.img").read_bytes()
    bench.site.put(f"/{version}.img.asc", key.sign(data))
    bench.site.put("/last", f"{version}.img\n".encode())
    return data


def update(bench: Bench) -> Outcome:
    """`update` of the definitions."""
    arguments = ["--images", str(bench.directory / "images"), "--keys", str(bench.directory / "keys"), "--no-cache"]
    return run_main(["update", *arguments], {**bench.environment, "HOME": str(bench.directory)})


@pytest.mark.parametrize("web_download", [True, False], ids=["web-download", "upload"])
def test_bytes_that_were_swapped_after_their_signature_was_verified(
    bench: Bench, key: Made, web_download: bool
) -> None:
    """Of the same size, and an image as well: only their digest tells."""
    follow(bench, key)
    right = publish(bench, key, "1")
    outcome = update(bench)
    assert outcome.code == 0, outcome.text
    how = [] if web_download else ["--import-method", "glance-direct"]
    swapped = right[:-4096] + bytes(4096 - 6) + b"attack"
    assert len(swapped) == len(right)
    bench.site.put("/1.img", swapped)
    outcome = bench.run(*how)
    assert outcome.code == 1, outcome.text
    assert "wrong checksum" in outcome.text
    assert bench.images() == []
    bench.site.put("/1.img", right)
    outcome = bench.run(*how)
    assert outcome.code == 0, outcome.text
    (image,) = bench.images()
    assert image.hash_value == hashlib.sha512(right).hexdigest()
    digest = f"sha256:{hashlib.sha256(right).hexdigest()}"
    assert image.properties[markers.VERIFIED].startswith(digest)
    assert image.properties[markers.SIGNED_BY].startswith(f"{key.fingerprint} 20")
    bench.converged()
    (row,) = json.loads(bench.run("status", "--output", "json").out)["clouds"][bench.cloud]
    assert (row["signed_by"], row["signed_days"]) == (key.fingerprint, 0)
    assert row["signed_at"] in image.properties[markers.SIGNED_BY]
    assert "Signed\n" in bench.run("status").out.replace(" ", "")


def test_a_signer_without_a_digest_is_not_told_of_any_image(bench: Bench, key: Made) -> None:
    """Written by hand, or by an update of old: nothing says which bytes were meant."""
    signed = {"signed_by": key.fingerprint, "signed_at": "2026-01-01 10:00:00"}
    bench.define(bench.ubuntu(bench.version("1", checksum=None, **signed), visibility="private"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    (image,) = bench.images()
    assert markers.SIGNED_BY not in image.properties
    bench.converged()
    (row,) = json.loads(bench.run("status", "--output", "json").out)["clouds"][bench.cloud]
    assert (row["signed_by"], row["signed_at"], row["signed_days"]) == (None, None, None)
