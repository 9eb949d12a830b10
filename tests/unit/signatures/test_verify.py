"""Who signed this: real signatures, checked by the real gpgv and by pysequoia."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pysequoia
import pytest
from tests.support.signers import (
    DATA,
    DAY,
    FORGED,
    HAND,
    INLINE,
    OTHER,
    THEN,
    Hand,
    Made,
    made,
    packet,
    refused,
    seconds,
    stored,
    subpacket,
)

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.verdict import VerifiedSignature
from openstack_image_manager.signatures.verify import OpenPGP, verify_clearsigned, verify_detached

Keys = Callable[..., Keyring]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    """Makes a keyring of binary certificates."""
    return lambda *certificates: Keyring([stored(tmp_path / "keys", *certificates)])


def test_a_signature_of_a_text_does_not_count_for_an_image(keys: Keys) -> None:
    """Line ends are not signed in it, so that it is good for images with other bytes."""
    of_text = HAND.signature(DATA.replace(b"\n", b"\r\n"), 0x01, THEN + DAY)
    keyring = keys(HAND.certificate)
    assert verify_detached(DATA, of_text, [HAND.fingerprint], keyring).fingerprint == HAND.fingerprint
    with pytest.raises(VerificationError, match="the signature is a text signature, which also matches other bytes"):
        OpenPGP(of_text, [HAND.fingerprint], keyring).close()


@pytest.fixture(params=["gpgv", "pysequoia"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two programs; pysequoia is what is used where there is no gpgv."""
    if request.param == "pysequoia":
        monkeypatch.setenv("PATH", "/nonexistent")
    return str(request.param)


@pytest.mark.parametrize("armor", [True, False])
def test_a_subkey_signs_for_its_pinned_primary_key(program: str, keys: Keys, armor: bool) -> None:
    key = made()
    found = verify_detached(DATA, key.sign(DATA, armor), [key.fingerprint.lower()], keys(key.certificate))
    assert found.fingerprint == key.fingerprint
    assert found.created is not None
    assert abs((found.created - datetime.now(UTC)).total_seconds()) < 600
    key_id = found.fingerprint[-16:]
    assert key_id not in str(pysequoia.Sig.from_bytes(key.sign(DATA)).issuer_fingerprint).upper()


def test_keys_of_version_6(keys: Keys) -> None:
    key = made(v6=True)
    keyring = keys(made().certificate, key.certificate)
    assert verify_detached(DATA, key.sign(DATA), [key.fingerprint], keyring).fingerprint == key.fingerprint
    refused("no good signature", FORGED, key.sign(DATA), key.fingerprint, keyring)
    both = made().sign(DATA) + key.sign(DATA)
    assert verify_detached(DATA, both, [made().fingerprint, key.fingerprint], keyring).created
    with pytest.raises(VerificationError, match="no good signature"):
        verify_detached(DATA, made().sign(DATA) + key.sign(FORGED), [made().fingerprint, key.fingerprint], keyring)


def test_signatures_of_version_3(keys: Keys, monkeypatch: pytest.MonkeyPatch) -> None:
    signature, keyring = HAND.sign(DATA, version=3), keys(HAND.certificate)
    expected = VerifiedSignature(HAND.fingerprint, datetime.fromtimestamp(THEN + DAY, UTC))
    assert verify_detached(DATA, signature, [HAND.fingerprint], keyring) == expected
    refused("BAD signature", FORGED, signature, HAND.fingerprint, keyring)
    monkeypatch.setenv("PATH", "/nonexistent")
    refused(r"version 3, which only gpgv can check: install gpgv", DATA, signature, HAND.fingerprint, keyring)
    both = signature + HAND.sign(DATA)
    assert verify_detached(DATA, both, [HAND.fingerprint], keyring) == expected


def test_other_bytes_than_the_signed_ones(program: str, keys: Keys) -> None:
    keyring = keys(HAND.certificate)
    for other in (FORGED, b"", DATA[:-1], DATA + b"\n", DATA.replace(b"\n", b"\r\n")):
        refused(f"signature by {HAND.fingerprint}: the file was", other, HAND.sign(DATA), HAND.fingerprint, keyring)


def test_keys_that_are_not_pinned(program: str, keys: Keys) -> None:
    keyring = keys(HAND.certificate, OTHER.certificate)
    signer = f"^signed by {OTHER.fingerprint[-16:]}, not by a pinned key .{HAND.fingerprint}.*new key"
    refused(signer, DATA, OTHER.sign(DATA), HAND.fingerprint, keyring)
    refused(f"^no key {'AB' * 20} in .*keys fetch URL {'AB' * 20}", DATA, HAND.sign(DATA), "ab" * 20, keyring)
    silent = packet(2, b"\x04\x00\x01\x08\x00\x00\x00\x00rest")
    refused("^signed by an unnamed key", DATA, silent, HAND.fingerprint, keyring)


def test_a_second_signer_that_nobody_knows(program: str, keys: Keys) -> None:
    keyring = keys(HAND.certificate)
    for both in (OTHER.sign(DATA) + HAND.sign(DATA), HAND.sign(DATA) + OTHER.sign(FORGED)):
        assert verify_detached(DATA, both, [HAND.fingerprint], keyring).fingerprint == HAND.fingerprint


def test_a_bad_signature_beside_a_good_one(program: str, keys: Keys) -> None:
    refused("signature by", DATA, HAND.sign(DATA) + HAND.sign(FORGED), HAND.fingerprint, keys(HAND.certificate))


def test_revoked_keys(program: str, keys: Keys) -> None:
    revoked, key = Hand(revoked=True), Made()
    keyring = keys(revoked.certificate, key.certificate + key.revocation())
    for signer in (revoked, key):
        refused("was revoked by its owner", DATA, signer.sign(DATA), signer.fingerprint, keyring)


def test_expired_keys(program: str, keys: Keys) -> None:
    key = Hand(lives=10 * DAY)
    found = verify_detached(DATA, key.sign(DATA, THEN + 9 * DAY), [key.fingerprint], keys(key.certificate))
    assert found.created == datetime.fromtimestamp(THEN + 9 * DAY, UTC)
    for late in (THEN + 10 * DAY, THEN + 11 * DAY):
        refused("expired on 2023-11-24 .* is not older", DATA, key.sign(DATA, late), key.fingerprint, keys())


def test_an_extension_that_the_key_did_not_sign(program: str, keys: Keys) -> None:
    key = Hand(lives=10 * DAY)
    lives = subpacket(9, seconds(9999 * DAY)) + subpacket(27, b"\x03")
    forged = key.signature(b"not about the key", 0x13, THEN + DAY, lives)
    keyring = keys(key.certificate + forged)
    message = "expired on 2023-11-24" if program == "gpgv" else "no good signature"
    refused(message, DATA, key.sign(DATA, THEN + 11 * DAY), key.fingerprint, keyring)


def test_a_subkey_that_the_primary_key_did_not_bind(program: str, keys: Keys) -> None:
    by_other = OTHER.signature(b"", 0x18, THEN, subpacket(27, b"\x02"))
    binding = HAND.signature(b"about something else", 0x18, THEN, subpacket(27, b"\x02"))
    for forged in (packet(14, OTHER.body) + binding, packet(14, OTHER.body) + by_other, packet(14, OTHER.body)):
        keyring = keys(HAND.certificate + forged)
        refused("signature by", DATA, OTHER.sign(DATA), HAND.fingerprint, keyring)


def test_expired_signatures(program: str, keys: Keys) -> None:
    signature = HAND.sign(DATA, expires=DAY)
    refused("the signature has expired on 2023-11-16", DATA, signature, HAND.fingerprint, keys(HAND.certificate))


def test_times_that_cannot_be(program: str, keys: Keys) -> None:
    keyring = keys(HAND.certificate)
    refused("check the clock", DATA, HAND.sign(DATA, made=2**32 - 1), HAND.fingerprint, keyring)
    refused("signature by", DATA, HAND.sign(DATA, made=THEN - DAY), HAND.fingerprint, keyring)


def test_keys_that_are_too_short(program: str, keys: Keys) -> None:
    """gpgv takes them, pysequoia does not."""
    short = Hand(bits=1024)
    message = f"the key {short.fingerprint} has 1024 bits, fewer than 2048, and can be forged"
    refused(message, DATA, short.sign(DATA), short.fingerprint, keys(short.certificate))


def test_weak_hashes(program: str, keys: Keys) -> None:
    refused("SHA-1, which can be forged", DATA, HAND.sign(DATA, hash_=2), HAND.fingerprint, keys(HAND.certificate))


def test_what_is_not_signed(program: str, keys: Keys) -> None:
    keyring = keys(made().certificate)
    inline = pysequoia.sign(made().secret.signer(), FORGED, mode=INLINE)
    for signature, message in (
        (b"", "no signature"),
        (b"<html>not found</html>", "no signature"),
        (inline, "its file also contains other data"),
        (made().clearsign(FORGED), "signature by"),
    ):
        refused(message, DATA, signature, made().fingerprint, keyring)


def test_clearsigned_texts(program: str, keys: Keys) -> None:
    key = made()
    keyring = keys(key.certificate)
    signed = key.clearsign(DATA)
    for text in (signed, FORGED + signed + FORGED, (FORGED + signed + FORGED).replace(b"\n", b"\r\n")):
        found, signer = verify_clearsigned(text, [key.fingerprint], keyring)
        assert found == DATA + b"\n"  # pysequoia signs the end of the last line as well
        assert signer.fingerprint == key.fingerprint
    for text, message in (
        (signed.replace(b" = aa", b" = ff"), "signature by"),
        (signed.replace(b"aa\n", b"aa\n" + FORGED), "signature by"),
        (signed + signed, "2 signed texts"),
        (DATA, "not signed"),
        (FORGED + made("other").clearsign(DATA), "not by a pinned key"),
    ):
        with pytest.raises(VerificationError, match=message):
            verify_clearsigned(text, [key.fingerprint], keyring)


@pytest.mark.parametrize("text", [b"", b"\n", b"a", b"a\n\n", b" a \t\n- b\n-\n-----BEGIN\n\n\nFrom c\r\n", b"\xff"])
def test_clearsigned_texts_are_read_as_gpgv_reads_them(keys: Keys, tmp_path: Path, text: bytes) -> None:
    key = made()
    (tmp_path / "key.gpg").write_bytes(key.certificate)
    (tmp_path / "text.asc").write_bytes(key.clearsign(text))
    command = ["gpgv", "--homedir", str(tmp_path), "--keyring", str(tmp_path / "key.gpg"), "--output", "-"]
    run = subprocess.run([*command, str(tmp_path / "text.asc")], capture_output=True, check=True)
    found, _ = verify_clearsigned((tmp_path / "text.asc").read_bytes(), [key.fingerprint], keys(key.certificate))
    assert found == run.stdout.replace(b"\r\n", b"\n")


def test_images_are_checked_as_they_stream_by(program: str, keys: Keys) -> None:
    key, keyring = HAND, keys(HAND.certificate)
    image = os.urandom(1024 * 1024) * 12
    signature = key.sign(image)
    with OpenPGP(signature, [key.fingerprint], keyring) as check:
        for start in range(0, len(image), 700_001):
            check.update(image[start : start + 700_001])
        assert check.finish().fingerprint == key.fingerprint
    with OpenPGP(signature, [key.fingerprint], keyring) as check:
        check.update(image[:-1])
        with pytest.raises(VerificationError, match="signature by"):
            check.finish()


def test_a_check_that_is_given_up_leaves_nothing_behind(
    program: str, keys: Keys, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Python's own setting of where temporary files go; the environment was read before.
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    keyring = keys(HAND.certificate)
    before = sorted(tmp_path.iterdir())

    def given_up() -> None:
        with OpenPGP(HAND.sign(DATA), [HAND.fingerprint], keyring) as check:
            check.update(DATA)
            assert sorted(tmp_path.iterdir()) != before
            check.close()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        given_up()
    assert sorted(tmp_path.iterdir()) == before
