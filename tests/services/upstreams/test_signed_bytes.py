"""What a signature vouches for is recorded: a digest, and not a word about a file that may change."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile

import yaml
from tests.support.distribution import Distribution, image
from tests.support.site import Switches


def alone(distribution: Distribution, data: bytes, rule: str, step: str = "") -> None:
    """An image beside its signature, without any checksum file."""
    site = distribution.site
    site.put("/p/x-1.qcow2", data)
    site.put("/p/x-1.qcow2.asc", distribution.key.sign(data))
    site.put("/p/index.json", b'[{"name": "x-1.qcow2"}]')
    site.put("/p/index.json.asc", distribution.key.sign(b'[{"name": "x-1.qcow2"}]'))
    site.put("/p/last", b"x-1.qcow2\n")
    distribution.write(f"""\
  - name: P
    format: qcow2
    resolve:
      steps:
        - {step or f"pointer: {site.url}/p/last"}
          match: '(?P<file>x-(?P<version>\\d+)\\.qcow2)'
      url: {site.url}/p/{{file}}
      signature: {{kind: detached, keys: {distribution.key.fingerprint}, {rule}}}
    versions: []
""")


def test_the_digest_that_was_verified_is_recorded(distribution: Distribution) -> None:
    alone(distribution, image("one"), "over: image, url: '{url}.asc'")
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    written = (distribution.images / "a.yml").read_text()
    assert f"checksum: sha256:{hashlib.sha256(image('one')).hexdigest()}\n" in written
    assert f"signed_by: {distribution.key.fingerprint}" in written


def test_a_digest_that_can_be_forged_is_not_what_is_recorded_of_a_verified_image(distribution: Distribution) -> None:
    """Other bytes of the same MD5 could take their place."""
    for algorithm, is_kept in (("md5", False), ("sha1", False), ("sha512", True)):
        alone(distribution, image("one"), "over: image, url: '{url}.asc'")
        distribution.site.put("/p/SUMS", f"{hashlib.new(algorithm, image('one')).hexdigest()}  x-1.qcow2\n".encode())
        text = (distribution.images / "a.yml").read_text()
        sums = f"      checksum: {{url: {distribution.site.url}/p/SUMS}}\n      signature:"
        (distribution.images / "a.yml").write_text(text.replace("      signature:", sums))
        outcome = distribution.run()
        assert outcome.code == 0, outcome.text
        (version,) = yaml.safe_load((distribution.images / "a.yml").read_text())["images"][0]["versions"]
        kind = algorithm if is_kept else "sha256"
        assert version["checksum"] == f"{kind}:{hashlib.new(kind, image('one')).hexdigest()}"
        assert version["signed_by"] == distribution.key.fingerprint
        assert ("checksums_url" in version) == is_kept
        again = distribution.run()
        assert (again.code, "1 is the newest build" in again.out, "warning" in again.text) == (0, True, False), (
            again.text
        )


def test_the_digest_is_that_of_the_whole_file(distribution: Distribution) -> None:
    """A zip archive goes on behind the image in it, which alone is signed."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("x-1.qcow2", image("one"))
    alone(distribution, image("one"), "over: unpacked-image, url: '{url}.asc'")
    distribution.site.put("/p/x-1.qcow2.zip", packed.getvalue())
    distribution.site.put("/p/x-1.qcow2.zip.asc", distribution.key.sign(image("one")))
    text = (distribution.images / "a.yml").read_text()
    (distribution.images / "a.yml").write_text(text.replace("/p/{file}", "/p/{file}.zip"))
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    (version,) = yaml.safe_load((distribution.images / "a.yml").read_text())["images"][0]["versions"]
    assert version["checksum"] == f"sha256:{hashlib.sha256(packed.getvalue()).hexdigest()}"
    assert version["signed_by"] == distribution.key.fingerprint


def test_an_unsigned_image_gets_no_digest_of_ours(distribution: Distribution) -> None:
    """Nobody vouches for the bytes that came: their digest is no evidence."""
    alone(distribution, image("one"), "over: image, url: '{url}.none', policy: optional")
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    written = (distribution.images / "a.yml").read_text()
    assert ("checksum:" in written, "signed_by:" in written) == (False, False)


def test_an_index_that_can_not_have_digests(distribution: Distribution) -> None:
    """Nobody need be asked."""
    site = distribution.site
    over_index = f"over: index, url: {site.url}/p/index.json.asc"
    for step, what in (
        (
            f"json: {site.url}/p/index.json\n          fields: {{file: name}}",
            "the index has no digests, so its signature ",
        ),
        (f"pointer: {site.url}/p/last", "the last step (pointer) reads no index that has digests; json, "),
    ):
        alone(distribution, image("one"), over_index, step)
        outcome = distribution.run()
        assert (outcome.code, f"P: resolve.signature.over: {what}" in outcome.err) == (1, True), outcome.text
        assert re.search(r"a\.yml:\d+:\d+: P: resolve", outcome.err)
    assert site.requests == []


def test_a_signed_index_without_digests_proves_nothing(distribution: Distribution) -> None:
    site = distribution.site
    item = {"ftype": "disk", "path": "p/x-1.qcow2"}
    products = {"p": {"versions": {"1": {"items": {"disk": item}}}}}
    index = json.dumps({"format": "products:1.0", "products": products}).encode()
    site.put("/p/x-1.qcow2", image("one"))
    site.put("/p/streams", index)
    site.put("/p/streams.asc", distribution.key.sign(index))
    for policy in ("required", "optional"):
        distribution.write(f"""\
  - name: P
    format: qcow2
    resolve:
      steps: [{{simplestreams: {site.url}/p/streams, product: p, item: disk, root: {site.url}/}}]
      signature:
        kind: detached
        keys: {distribution.key.fingerprint}
        over: index
        url: {site.url}/p/streams.asc
        policy: {policy}
    versions: []
""")
        outcome = distribution.run()
        assert outcome.code == 1, outcome.text
        assert "has no digest of x-1.qcow2, so its signature does not vouch for the image" in outcome.out
        assert "signed_by" not in (distribution.images / "a.yml").read_text()
    site.on("/p/streams.asc", Switches(status=404))
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    assert "signed_by" not in (distribution.images / "a.yml").read_text()


def test_a_signed_checksum_file_with_broken_digests_only(distribution: Distribution) -> None:
    """MD5 and SHA-1 are refused as the hash of a signature; what is signed may not rest on them either."""
    site = distribution.site
    for algorithm in ("md5", "sha1"):
        sums = f"{hashlib.new(algorithm, image('one')).hexdigest()}  20240416.qcow2\n".encode()
        site.put("/a/20240416.qcow2", image("one"))
        site.put("/a/SUMS", sums)
        site.put("/a/SUMS.asc", distribution.key.sign(sums))
        distribution.write(distribution.definition())
        outcome = distribution.run()
        assert outcome.code == 1, outcome.text
        assert f"the signed digest of 20240416.qcow2 is {algorithm}" in outcome.out
