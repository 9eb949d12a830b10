"""Copies of a key from all places are one key; revocations count when the key itself made them, and only then."""

from __future__ import annotations

from pathlib import Path

import pysequoia
import pytest
from tests.support.gnupg import gnupg
from tests.support.signers import (
    DATA,
    DAY,
    DETACHED,
    HAND,
    OTHER,
    THEN,
    Hand,
    Made,
    integer,
    made,
    packet,
    refused,
    seconds,
    stored,
)

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import armor, openpgp
from openstack_image_manager.signatures import keyring as keys
from openstack_image_manager.signatures.keyring import Keyring, fetch_key, list_keys
from openstack_image_manager.signatures.openpgp import Certificate, certificates
from openstack_image_manager.signatures.revocations import hash_input, is_genuine
from openstack_image_manager.signatures.verify import verify_detached

REVOKED = "was revoked by its owner"


@pytest.fixture(params=["gpgv", "pysequoia"])
def program(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Each of the two programs; pysequoia is what is used where there is no gpgv."""
    if request.param == "pysequoia":
        monkeypatch.setenv("PATH", "/nonexistent")
    return str(request.param)


def revocation(hand: Hand = HAND, made: int = THEN + 5 * DAY) -> bytes:
    """A revocation certificate: the signature alone."""
    return hand.signature(hand._hashed_key(), 0x20, made)


def subkey(number: int = 2, revoked: bool = False, by: Hand = HAND) -> bytes:
    """A subkey of HAND that may sign, with its binding."""
    sub = Hand(number=number)
    pair = HAND._hashed_key() + sub._hashed_key()
    back = sub.signature(pair, 0x19, THEN)
    bound = HAND.signature(pair, 0x18, THEN, b"\x02\x1b\x02" + embedded(back))
    return packet(14, sub.body) + bound + (by.signature(pair, 0x28, THEN + DAY) if revoked else b"")


def embedded(signature: bytes) -> bytes:
    body = signature[6:]
    return b"\xff" + (len(body) + 1).to_bytes(4, "big") + b"\x20" + body


def accepted(signer: Hand | Made, keyring: Keyring, pinned: str = "") -> None:
    pin = pinned or signer.fingerprint
    assert verify_detached(DATA, signer.sign(DATA), [pin], keyring).fingerprint == pin


def test_a_revoked_copy_in_another_place_counts(program: str, tmp_path: Path) -> None:
    for folders in (("a", "b"), ("c", "c")):
        for number, (folder, hand) in enumerate(zip(folders, (HAND, Hand(revoked=True)), strict=True)):
            (tmp_path / folder).mkdir(exist_ok=True)
            (tmp_path / folder / f"{number}.gpg").write_bytes(hand.certificate)
        ring = Keyring([tmp_path / folder for folder in dict.fromkeys(folders)])
        refused(REVOKED, DATA, HAND.sign(DATA), HAND.fingerprint, ring)


@pytest.mark.parametrize("first", [True, False])
def test_a_revocation_in_a_file_of_its_own(program: str, tmp_path: Path, first: bool) -> None:
    key = made()
    names = ("0.rev", "1.asc") if first else ("2.asc", "1.asc")
    block = armor.armored(armor.Block("PGP PUBLIC KEY BLOCK", key.revocation())).encode()
    (tmp_path / names[0]).write_bytes(block)
    (tmp_path / names[1]).write_bytes(key.armored)
    refused(REVOKED, DATA, key.sign(DATA), key.fingerprint, Keyring([tmp_path]))
    (tmp_path / "3.gpg").write_bytes(HAND.certificate)
    accepted(HAND, Keyring([tmp_path]))


def test_a_revoked_subkey(program: str, tmp_path: Path) -> None:
    sub = Hand(number=2)
    fine, revoked = HAND.certificate + subkey(), HAND.certificate + subkey(revoked=True)
    accepted(sub, Keyring([stored(tmp_path / "fine", fine)]), HAND.fingerprint)
    ring = Keyring([stored(tmp_path / "both", fine, revoked)])
    refused(REVOKED, DATA, sub.sign(DATA), HAND.fingerprint, ring)
    accepted(HAND, ring)


def test_a_revocation_that_the_key_did_not_make(program: str, tmp_path: Path) -> None:
    """Anybody can append a packet to a key on its way."""
    bogus = OTHER.signature(HAND._hashed_key(), 0x20, THEN)
    named = bytearray(revocation())
    named[-1] ^= 1
    for number, wrong in enumerate((bogus, bytes(named), revocation(OTHER), made().revocation())):
        accepted(HAND, Keyring([stored(tmp_path / str(number), HAND.certificate + wrong, wrong)]))
    forged = HAND.certificate + subkey(revoked=True, by=OTHER)
    accepted(Hand(number=2), Keyring([stored(tmp_path / "sub", forged)]), HAND.fingerprint)


def test_a_stale_copy_hides_neither_an_extension_nor_a_subkey(program: str, tmp_path: Path) -> None:
    stale = Hand(lives=DAY)
    user_id = stale.user_id.encode()
    about = stale._hashed_key() + b"\xb4" + seconds(len(user_id)) + user_id
    extended = packet(6, stale.body) + packet(13, user_id) + stale.signature(about, 0x13, THEN + DAY, b"\x02\x1b\x03")
    signature = stale.sign(DATA, made=THEN + 5 * DAY)
    refused("expired", DATA, signature, stale.fingerprint, Keyring([stored(tmp_path / "old", stale.certificate)]))
    ring = Keyring([tmp_path / "old", stored(tmp_path / "new", extended)])
    assert verify_detached(DATA, signature, [stale.fingerprint], ring).fingerprint == stale.fingerprint
    ring = Keyring([stored(tmp_path / "one", HAND.certificate), stored(tmp_path / "two", HAND.certificate + subkey())])
    accepted(Hand(number=2), ring, HAND.fingerprint)


def fetched(tmp_path: Path, data: bytes, fingerprint: str = HAND.fingerprint) -> Path:
    (tmp_path / "fetched").write_bytes(data)
    return fetch_key((tmp_path / "fetched").as_uri(), fingerprint, tmp_path / "keys")


def test_fetch_merges_into_the_stored_copy(program: str, tmp_path: Path) -> None:
    revoked = HAND.certificate + subkey(revoked=True)
    fetched(tmp_path, revoked)
    path = fetched(tmp_path, HAND.certificate + subkey() + subkey(3))
    ring = Keyring([path])
    refused(REVOKED, DATA, Hand(number=2).sign(DATA), HAND.fingerprint, ring)
    accepted(Hand(number=3), ring, HAND.fingerprint)
    content = path.read_bytes()
    assert fetched(tmp_path, HAND.certificate).read_bytes() == content
    fetched(tmp_path, Hand(revoked=True).certificate)
    assert fetched(tmp_path, HAND.certificate) == path
    refused(REVOKED, DATA, HAND.sign(DATA), HAND.fingerprint, Keyring([path]))


def test_a_revocation_alone_is_fetched_for_a_stored_key(program: str, tmp_path: Path) -> None:
    for wrong in (revocation(OTHER), revocation()):
        with pytest.raises(VerificationError, match=f"no key {HAND.fingerprint} in it; nothing was stored"):
            fetched(tmp_path, wrong)
    path = fetched(tmp_path, HAND.certificate)
    with pytest.raises(VerificationError, match=f"no key {HAND.fingerprint} in it; nothing was stored"):
        fetched(tmp_path, revocation(OTHER))
    accepted(HAND, Keyring([path]))
    fetched(tmp_path, revocation())
    refused(REVOKED, DATA, HAND.sign(DATA), HAND.fingerprint, Keyring([path]))


def test_a_bogus_revocation_is_not_stored(tmp_path: Path) -> None:
    path = fetched(tmp_path, HAND.certificate + OTHER.signature(HAND._hashed_key(), 0x20, THEN))
    ((_, key),) = list_keys(path)
    assert isinstance(key, Certificate)
    assert (key.data, key.primary.revoked) == (HAND.certificate, False)


def test_a_stored_copy_that_is_damaged_is_replaced(tmp_path: Path) -> None:
    path = fetched(tmp_path, HAND.certificate)
    path.write_bytes(HAND.certificate[:-3])
    fetched(tmp_path, HAND.certificate)
    accepted(HAND, Keyring([path]))


def test_a_key_that_grows_without_end(tmp_path: Path) -> None:
    path = fetched(tmp_path, HAND.certificate)
    flood = b"".join(packet(13, bytes([65 + at]) * 500_000) for at in range(2))
    other = b"".join(packet(13, bytes([97 + at]) * 500_000) for at in range(7))
    fetched(tmp_path, HAND.certificate + flood)
    content = path.read_bytes()
    with pytest.raises(VerificationError, match=f"the stored copy would be larger than {keys.LARGEST_KEY} bytes"):
        fetched(tmp_path, HAND.certificate + other)
    assert path.read_bytes() == content


def test_revocations_are_listed_as_what_they_are(tmp_path: Path) -> None:
    (tmp_path / "a.asc").write_bytes(revocation())
    assert list(list_keys(tmp_path)) == [(tmp_path / "a.asc", keys.ONLY_REVOCATION)]


def parts(key: pysequoia.Tsk) -> tuple[bytes, bytes]:
    """The certificate and a revocation of it."""
    certificate = key.extract_certificate()
    return bytes(certificate), bytes(certificate.revoke(key.certifier()))


def check_revocation(certificate: bytes, revoked: bytes) -> None:
    """It counts, and counts no more when one bit of it, or of what it is about, is another one."""
    (found,) = certificates(certificate + revoked)
    assert found.primary.revoked
    for at in (-1, len(revoked) // 2):
        broken = bytearray(revoked)
        broken[at] ^= 1
        (found,) = certificates(certificate + bytes(broken))
        assert not found.primary.revoked
    (body,) = (packet[1] for packet in openpgp._packets(revoked))
    (key, *_) = (packet[1] for packet in openpgp._packets(certificate))
    assert is_genuine(key, hash_input(key), body) is True
    assert is_genuine(key, hash_input(key + b"x"), body) is False


@pytest.mark.parametrize("suite", ["Cv25519", "Cv448", "RSA2k", "P256", "P384", "P521"])
@pytest.mark.parametrize("profile", ["RFC4880", "RFC9580"])
def test_revocations_by_keys_of_all_kinds(suite: str, profile: str) -> None:
    kind, version = getattr(pysequoia.CipherSuite, suite), getattr(pysequoia.Profile, profile)
    check_revocation(*parts(pysequoia.Tsk.generate("A <a@example.org>", cipher_suite=kind, profile=version)))


def test_a_revocation_by_a_dsa_key_of_gnupg() -> None:
    """Its file has a colon that keeps it from being used by mistake."""
    with gnupg() as gpg:
        fingerprint = gpg.make("dsa", algorithm="dsa2048")
        text = (gpg.home / "openpgp-revocs.d" / f"{fingerprint}.rev").read_bytes()
        assert openpgp.revocations(text) == ()
        (revoked,) = openpgp.revocations(text.replace(b":-----BEGIN", b"-----BEGIN"))
        check_revocation(gpg.run("--export"), revoked)


def test_a_revocation_by_a_key_of_version_6() -> None:
    key = made("six", v6=True)
    assert certificates(key.certificate + key.revocation())[0].primary.revoked


def test_a_kind_of_key_that_is_not_checked_here(tmp_path: Path) -> None:
    """The program decides: it is told of the revocation."""
    suite, profile = pysequoia.CipherSuite.MLDSA65_Ed25519, pysequoia.Profile.RFC9580
    key = pysequoia.Tsk.generate("A <a@example.org>", cipher_suite=suite, profile=profile)
    certificate, revoked = parts(key)
    (found,) = certificates(certificate + revoked)
    assert (found.primary.revoked, found.data) == (
        False,
        found.primary.packets + b"".join(s.packets for s in found.subkeys),
    )
    assert revoked in found.data
    signature = pysequoia.sign(key.signer(), DATA, mode=DETACHED)
    pin = found.fingerprint
    assert verify_detached(DATA, signature, [pin], Keyring([stored(tmp_path / "fine", certificate)])).fingerprint == pin
    refused("no good signature", DATA, signature, pin, Keyring([stored(tmp_path / "revoked", certificate + revoked)]))


UNCHECKED = {
    "version 3": b"\x03\x05\x20" + seconds(THEN) + bytes(8) + b"\x01\x08" + bytes(4),
    "hash": b"\x04\x20\x01\x63" + bytes(4) + bytes(2) + b"\x00\x01\x01",
}


@pytest.mark.parametrize("kind", UNCHECKED)
def test_revocations_of_kinds_that_are_not_checked_here(program: str, tmp_path: Path, kind: str) -> None:
    """They are left to the programs, which do not believe these, so nobody is locked out by them."""
    body = UNCHECKED[kind]
    assert is_genuine(HAND.body, hash_input(HAND.body), body) is None
    (found,) = certificates(HAND.certificate + packet(2, body))
    assert (found.primary.revoked, packet(2, body) in found.data) == (False, True)
    accepted(HAND, Keyring([stored(tmp_path, HAND.certificate + packet(2, body))]))


HEAD = b"\x04" + seconds(THEN)
SIGNED = b"\x04\x20\x13\x08" + bytes(4) + bytes(2) + integer(1) + integer(1)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (HEAD + b"\x13\x09" + b"\x2b\x24\x03\x03\x02\x08\x01\x01\x07" + bytes(40), None),  # brainpoolP256r1
        (HEAD + b"\x16\x03\x2b\x65\x71" + bytes(60), None),  # EdDSA over another curve
        (HEAD + b"\x63" + bytes(40), None),
        (HEAD + b"\x13\x08" + bytes.fromhex("2a8648ce3d030107") + b"\x02\x03\x04" + bytes(64), False),  # no point
        (HEAD + b"\x11" + integer(15) + integer(3) + integer(2) + integer(2), False),  # DSA with a small group
        (HEAD + b"\x01" + integer(4) + integer(2), False),  # no RSA key
        (HEAD + b"\x01" + integer(4), False),  # cut off
        (HEAD[:3], False),
        (b"", False),
    ],
)
def test_keys_that_can_not_have_made_it(key: bytes, expected: bool | None) -> None:
    assert is_genuine(key, hash_input(key), SIGNED) is expected


def test_revocations_that_are_cut_off() -> None:
    whole = revocation()[6:]
    for length in range(len(whole)):
        assert is_genuine(HAND.body, hash_input(HAND.body), whole[:length]) is not True
    assert is_genuine(HAND.body, hash_input(HAND.body), whole) is True


def test_more_revocations_than_any_key_needs_are_refused() -> None:
    subkeys = [subkey(number) for number in range(2, 23)]
    bogus = [revocation(OTHER, THEN + day * DAY) for day in range(100)]
    with pytest.raises(VerificationError, match="it has 100 revocations and 22 keys: too many"):
        certificates(b"".join([HAND.certificate, *subkeys, *bogus]))
    (found,) = certificates(b"".join([HAND.certificate, *subkeys[:10], *bogus]))
    assert not found.primary.revoked
