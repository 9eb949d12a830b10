"""What a signature vouches for is recorded: a digest, and not a word about a file that may change."""

from __future__ import annotations

import hashlib

from tests.services.distribution import Distribution, image
from tests.services.site import Switches


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


def test_an_unsigned_image_gets_no_digest_of_ours(distribution: Distribution) -> None:
    """Nobody vouches for the bytes that came: their digest is no evidence."""
    alone(distribution, image("one"), "over: image, url: '{url}.none', policy: optional")
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    written = (distribution.images / "a.yml").read_text()
    assert ("checksum:" in written, "signed_by:" in written) == (False, False)


def test_a_signed_index_without_digests_proves_nothing(distribution: Distribution) -> None:
    site = distribution.site
    alone(
        distribution,
        image("one"),
        f"over: index, url: {site.url}/p/index.json.asc",
        f"json: {site.url}/p/index.json\n          fields: {{file: name}}",
    )
    outcome = distribution.run()
    assert outcome.code == 1, outcome.text
    assert "has no digest of x-1.qcow2, so its signature does not vouch for the image" in outcome.out
    assert "signed_by" not in (distribution.images / "a.yml").read_text()
    site.on("/p/index.json.asc", Switches(status=404))
    distribution.write(
        (distribution.images / "a.yml")
        .read_text()
        .partition("images:\n")[2]
        .replace("over: index,", "over: index, policy: optional,")
    )
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text


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
