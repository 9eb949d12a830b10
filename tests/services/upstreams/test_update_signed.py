"""`update` with real signatures: over the index, and over packed images, which are read for it."""

from __future__ import annotations

import base64
import bz2
import hashlib

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from tests.support.distribution import Distribution, image, sums
from tests.support.site import Switches

from openstack_image_manager.errors import FetchError
from openstack_image_manager.signatures.evidence import SignatureVerifier
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.transfer.download import fetch_bytes
from openstack_image_manager.upstreams.build import Signature


def packed(distribution: Distribution, content: bytes, signature: bytes, rule: str) -> None:
    """An image that is published packed, with a signature over it or over what is in it."""
    distribution.site.put("/p/x-1.qcow2.bz2", content)
    distribution.site.put("/p/x-1.sig", signature)
    digest = hashlib.sha256(content).hexdigest()
    distribution.site.put("/p/SUMS", f"SHA256 (x-1.qcow2.bz2) = {digest}\n".encode())
    distribution.write(f"""\
  - name: P
    format: qcow2
    resolve:
      steps:
        - checksum-file: {distribution.site.url}/p/SUMS
          match: 'x-(?P<version>\\d+)\\.qcow2\\.bz2'
      signature: {{{rule}, url: '{distribution.site.url}/p/x-{{version}}.sig'}}
    versions: []
""")


def test_a_packed_image_that_was_replaced_is_noticed(distribution: Distribution) -> None:
    content = bz2.compress(image("one"))
    rule = f"kind: detached, over: image, policy: none, keys: {distribution.key.fingerprint}"
    packed(distribution, content, b"", rule)
    assert distribution.run().code == 0
    written = distribution.images / "a.yml"
    text = written.read_text()
    packed(distribution, bz2.compress(image("two")), b"", rule)
    written.write_text(text)
    outcome = distribution.run()
    assert (outcome.code, "the upstream has replaced build 1" in outcome.out) == (1, True), outcome.text


def test_what_only_a_signature_over_the_image_would_prove_is_not_added(distribution: Distribution) -> None:
    content = bz2.compress(image("one"))
    rule = f"kind: detached, over: image, keys: {distribution.key.fingerprint}"
    packed(distribution, content, distribution.key.sign(content + b"x"), rule)
    file = distribution.images / "a.yml"
    url = f"{distribution.site.url}/p/x-1.qcow2.bz2"
    file.write_text(file.read_text().replace("versions: []", f"versions: [{{version: '1', url: {url}}}]"))
    assert distribution.run().code == 0
    assert "checksum:" not in file.read_text()


def test_a_clearsigned_index(distribution: Distribution) -> None:
    data = image("one")
    signed = distribution.key.clearsign(sums(**{"20240416": data}))
    forged = b"0" * 64 + b"  20990101.qcow2\n" + signed + b"0" * 64 + b"  20990102.qcow2\n"
    distribution.site.put("/a/20240416.qcow2", data)
    distribution.site.put("/a/SUMS", forged)
    text = distribution.definition().replace("kind: detached", "kind: clearsigned")
    distribution.write(text.replace("url: '{checksum_url}.asc', ", ""))
    outcome = distribution.run()
    assert "A: nothing → 20240416" in outcome.out, outcome.text
    assert f"signed by {distribution.key.fingerprint}" in outcome.out
    distribution.site.put("/a/SUMS", signed.replace(b"20240416", b"20990101"))
    assert distribution.run().code == 1


def test_a_signature_over_the_image(distribution: Distribution) -> None:
    content = bz2.compress(image("one"))
    rule = f"kind: detached, over: image, keys: {distribution.key.fingerprint}"
    packed(distribution, content, distribution.key.sign(content, armor=False), rule)
    outcome = distribution.run()
    assert f"signed by {distribution.key.fingerprint}" in outcome.out, outcome.text
    packed(distribution, content, distribution.key.sign(content + b"x"), rule)
    assert distribution.run().code == 1


def test_an_image_that_takes_for_ever_to_be_read(distribution: Distribution) -> None:
    """One chunk, a little later the next: nothing hangs, and yet it must end."""
    content = image("one") * 400
    rule = f"kind: detached, over: image, keys: {distribution.key.fingerprint}"
    packed(distribution, content, distribution.key.sign(content), rule)
    distribution.site.on("/p/x-1.qcow2.bz2", Switches(delay=0.2))
    keyring = Keyring([distribution.keys])
    url = f"{distribution.site.url}/p/x-1"
    wanted = Signature("detached", "image", f"{url}.qcow2.bz2", f"{url}.sig", (distribution.key.fingerprint,))
    with pytest.raises(FetchError, match=rf"^{url}\.qcow2\.bz2: not finished in time, after \d+ bytes$"):
        SignatureVerifier(keyring, timeout=0.5)(wanted, b"", fetch_bytes)
    assert SignatureVerifier(keyring)(wanted, b"", fetch_bytes)[1] == distribution.key.fingerprint


def test_an_rsa_signature_over_the_unpacked_image(distribution: Distribution) -> None:
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key()
    der = public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    (distribution.keys / "x.pub").write_bytes(pem)
    pin = hashlib.sha256(der).hexdigest().upper()
    signature = base64.b64encode(key.sign(image("one"), padding.PKCS1v15(), hashes.SHA256()))
    rule = f"kind: openssl-rsa, over: unpacked-image, keys: {pin}"
    packed(distribution, bz2.compress(image("one")), signature, rule)
    outcome = distribution.run()
    assert f"signed by {pin}" in outcome.out, outcome.text
    packed(distribution, bz2.compress(image("two")), signature, rule)
    assert (distribution.run().code, "BAD signature" in distribution.run().out) == (1, True)


def test_an_image_that_is_not_the_one_of_the_checksum_file(distribution: Distribution) -> None:
    content = bz2.compress(image("one"))
    rule = f"kind: detached, over: image, keys: {distribution.key.fingerprint}"
    packed(distribution, content, distribution.key.sign(content), rule)
    other = bz2.compress(image("two"))
    distribution.site.put("/p/SUMS", f"SHA256 (x-1.qcow2.bz2) = {hashlib.sha256(other).hexdigest()}\n".encode())
    assert "wrong checksum: expected sha256:" in distribution.run().out
