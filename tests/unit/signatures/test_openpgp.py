"""Packets: fingerprints, the parts of certificates, what signatures say of themselves; and then damaged."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signers import DAY, HAND, THEN, Hand, made, old_packet, packet, seconds, subpacket

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import openpgp
from openstack_image_manager.signatures.openpgp import certificates, signatures

DATA = b"data\n"


@pytest.mark.parametrize("v6", [False, True])
def test_certificates_have_the_fingerprints_that_others_see(v6: bool) -> None:
    key = made(v6=v6)
    for data in (key.certificate, key.armored, b"Keys:\n\n" + key.armored + b"end\n"):
        (found,) = certificates(data)
        assert found.fingerprint == key.fingerprint
        assert found.data == key.certificate
        assert len(found.subkeys) == 2
        assert found.user_ids == ("Upstream <images@example.org>",)
    (signature,) = signatures(key.sign(DATA))
    assert [each.issued(signature) for each in found.keys].count(True) == 1
    assert not found.primary.issued(signature)
    signer = found.signer(signature)
    assert signer is not None
    assert [each.issued(signature) for each in signer.keys] == [False, True]


def test_several_certificates_in_several_blocks() -> None:
    other = Hand(number=1, user_id="Ümläut \x00")
    text = made().armored + made("other").armored
    assert [each.fingerprint for each in certificates(text)] == [made().fingerprint, made("other").fingerprint]
    binary = HAND.certificate + other.certificate + made().certificate
    assert [each.fingerprint for each in certificates(binary)] == [
        HAND.fingerprint,
        other.fingerprint,
        made().fingerprint,
    ]
    assert certificates(binary)[1].user_ids == ("Ümläut \x00",)


def test_a_file_without_a_certificate_has_none() -> None:
    assert certificates(b"") == ()
    assert certificates(b"<html>no key</html>") == ()
    assert certificates(packet(13, b"user id alone") + packet(14, b"\x04")) == ()
    assert certificates(HAND.sign(DATA)) == ()
    assert certificates(packet(6, b"\x03\x00\x00\x00\x00") + packet(13, b"of an old kind") + packet(6, b"")) == ()


def test_secret_keys_are_refused() -> None:
    for secret in (bytes(made().secret), str(made().secret).encode()):
        with pytest.raises(VerificationError, match="secret key"):
            certificates(secret)


def test_packets_that_say_nothing_of_a_key_are_left_out() -> None:
    odd = packet(12, b"trust") + packet(17, b"picture") + packet(60, b"private") + packet(14, b"\x03 old subkey")
    (found,) = certificates(HAND.certificate + odd + HAND.signature(b"", 0x18, THEN))
    assert found.subkeys == ()
    assert found.data == HAND.certificate + packet(17, b"picture")


def test_lengths_of_all_kinds_are_read() -> None:
    for size in (0, 191, 192, 8383, 8384, 70000):
        body = b"\x06" + bytes(size)
        forms = [packet(6, body), b"\x9a" + seconds(len(body)) + body]
        if len(body) < 192:
            forms += [b"\xc6" + bytes([len(body)]) + body, b"\x98" + bytes([len(body)]) + body]
        elif len(body) < 8384:
            forms.append(b"\xc6" + bytes([(len(body) - 192 >> 8) + 192, len(body) - 192 & 0xFF]) + body)
        if len(body) < 65536:
            forms.append(b"\x99" + len(body).to_bytes(2, "big") + body)
        if size > 3:
            assert len({certificates(form)[0].fingerprint for form in forms}) == 1
    assert certificates(packet(6, b"\x04" + bytes(70000))) == ()  # longer than a fingerprint can say


@pytest.mark.parametrize(
    "data",
    [
        b"\x80",  # a length should follow
        b"\xc6",
        b"\xc6\xff\x00",
        b"\xc6\xc1",
        b"\xc6\x05abc",  # shorter than it says
        b"\xc6\xe0abc",  # a part of a packet
        b"\x9babc",  # as long as the file
        b"\xc6\x01\x04",  # no time
        b"\xc6\x00abc",  # rubbish behind
        HAND.certificate[:-1],
        HAND.certificate + b"\xc2\x00",  # a signature without a kind
    ],
)
def test_damaged_certificates_are_refused(data: bytes) -> None:
    with pytest.raises(VerificationError, match="damaged"):
        certificates(data)


def test_when_a_key_expires_is_told_by_its_newest_self_signature() -> None:
    assert certificates(HAND.certificate)[0].primary.expires == 0
    limited = Hand(lives=10 * DAY)
    assert certificates(limited.certificate)[0].primary.expires == THEN + 10 * DAY
    longer = limited.signature(b"", 0x13, THEN + DAY, subpacket(9, seconds(20 * DAY)))
    for_ever = limited.signature(b"", 0x1F, THEN + 2 * DAY)
    by_others = Hand(number=1).signature(b"", 0x13, THEN + 3 * DAY, subpacket(9, seconds(DAY)))
    unreadable = packet(2, b"\x04\x13\x01\x08\x00\x09") + packet(2, b"\x09\x13")
    assert certificates(limited.certificate + longer + by_others + unreadable)[0].primary.expires == THEN + 20 * DAY
    assert certificates(limited.certificate + longer + for_ever)[0].primary.expires == 0
    subkey = packet(14, HAND.body) + HAND.signature(b"", 0x18, THEN, subpacket(9, seconds(5 * DAY)))
    assert certificates(HAND.certificate + subkey)[0].subkeys[0].expires == THEN + 5 * DAY


def test_revocations_count_wherever_they_stand() -> None:
    key = made()
    assert not certificates(key.certificate)[0].primary.revoked
    for revoked in (key.certificate + key.revocation(), Hand(revoked=True).certificate):
        (found,) = certificates(revoked)
        assert found.primary.revoked
        assert [each.revoked for each in found.subkeys] == [False] * len(found.subkeys)
    (first, second) = certificates(key.certificate + key.revocation() + HAND.certificate)
    assert first.primary.revoked
    assert not second.primary.revoked
    pair = HAND._hashed_key() + HAND._hashed_key()
    subkey = packet(14, HAND.body) + HAND.signature(pair, 0x28, THEN)
    (found,) = certificates(HAND.certificate + subkey)
    assert [each.revoked for each in found.keys] == [False, True]


def test_signatures_say_who_and_when() -> None:
    (new,) = signatures(HAND.sign(DATA, expires=DAY))
    assert (new.version, new.kind, new.created, new.expires, new.hash) == (4, 0, THEN + DAY, DAY, 8)
    (old,) = signatures(HAND.sign(DATA, version=3))
    assert (old.version, old.kind, old.created, old.expires, old.hash) == (3, 0, THEN + DAY, 0, 8)
    primary = certificates(HAND.certificate)[0].primary
    assert primary.issued(new)
    assert primary.issued(old)
    assert certificates(Hand(number=1).certificate)[0].signer(new) is None
    nobody = packet(2, b"\x04\x00\x01\x08\x00\x00\x00\x00rest")
    (silent,) = signatures(nobody)
    assert (silent.issuer, silent.created) == ("", 0)
    assert not primary.issued(silent)
    long = packet(
        2, b"\x04\x00\x01\x08" + (260).to_bytes(2, "big") + b"\xff\x00\x00\x00\xff\x14" + bytes(254) + b"\0\0"
    )
    assert signatures(long)[0].issuer == ""


def test_times_that_are_not_signed_themselves_do_not_count() -> None:
    unhashed = subpacket(2, seconds(THEN)) + subpacket(3, seconds(DAY))
    (found,) = signatures(packet(2, b"\x04\x00\x01\x08\x00\x00" + len(unhashed).to_bytes(2, "big") + unhashed))
    assert (found.created, found.expires) == (0, 0)


def test_signatures_are_found_by_content() -> None:
    key = made()
    armored, binary = key.sign(DATA), key.sign(DATA, armor=False)
    assert len(signatures(armored)) == len(signatures(binary)) == 1
    assert len(signatures(armored + armored)) == 2
    assert len(signatures(packet(10, b"PGP") + binary + packet(21, b"padding") + HAND.sign(DATA))) == 2


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no signature"),
        (b"<html>404</html>", "no signature"),
        (HAND.certificate, "also contains other data"),
        (HAND.sign(DATA) + packet(11, b"b\x00\x00\x00\x00\x00data"), "also contains other data"),
        (HAND.sign(DATA)[:-1], "damaged"),
        (packet(2, b"\x05\x00\x01\x08"), "unknown version"),
        (packet(2, b""), "damaged"),
        (old_packet(2, b"\x03\x05\x00"), "damaged"),
        (HAND.signature(DATA, 0x10, THEN), "not over a file"),
        (HAND.sign(DATA) * 17, "17 signatures"),
        (packet(2, bytes(300_000)), "larger than 262144 bytes"),
    ],
)
def test_invalid_detached_signatures_are_refused(data: bytes, message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        signatures(data)


@given(st.data())
def test_no_bytes_whatever_end_in_a_traceback(data: st.DataObject) -> None:
    starts = [made().certificate, made(v6=True).certificate, HAND.certificate, HAND.sign(DATA), made().sign(DATA), b""]
    start = data.draw(st.sampled_from(starts))
    at = data.draw(st.integers(0, min(len(start), data.draw(st.sampled_from([30, 5000])))))
    size = data.draw(st.integers(0, 20))
    changed = start[:at] + data.draw(st.binary(max_size=20)) + start[at + size :]
    for function in (certificates, signatures):
        with suppress(VerificationError):
            for found in function(changed):
                if isinstance(found, openpgp.Certificate):
                    assert all(len(key.fingerprint) in (40, 64) and key.expires >= 0 for key in found.keys)
                    assert certificates(found.data)[0].fingerprint == found.fingerprint
