"""Verdicts over what gpgv and pysequoia report; the exit code of neither is asked."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signers import DAY, THEN, Hand

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.openpgp import Certificate, Signature, certificates, signatures
from openstack_image_manager.signatures.verdict import (
    CLOCK,
    CheckResult,
    VerifiedSignature,
    normalize_fingerprints,
    parse_status,
    refusal,
    verified_signature,
)

KEY, OTHER = Hand(), Hand(number=1)
NOW = THEN + 100 * DAY
LINES = (
    "[GNUPG:] NEWSIG\n[GNUPG:] {word} C0FFEE someone\n[GNUPG:] VALIDSIG {key} 2023-11-15 {made} 0 4 0 1 8 00 {key}\n"
)


def report(word: str, key: str = KEY.fingerprint, made: int = THEN) -> str:
    return LINES.format(word=word, key=key.lower(), made=made)


def case(
    word: str, hand: Hand = KEY, made: int = THEN + DAY, key_expired: int = 0, expires: int = 0
) -> tuple[Signature, Certificate, CheckResult]:
    (signature,) = signatures(hand.sign(b"", made=made, expires=expires))
    (certificate,) = certificates(hand.certificate)
    return signature, certificate, CheckResult(word, hand.fingerprint, made, key_expired)


@pytest.mark.parametrize("word", ["GOODSIG", "EXPSIG", "EXPKEYSIG", "REVKEYSIG"])
def test_reports_name_the_primary_key(word: str) -> None:
    assert parse_status(report(word)) == CheckResult(word, KEY.fingerprint, THEN)
    expired = f"[GNUPG:] KEYEXPIRED 0\n[GNUPG:] KEYEXPIRED {THEN + 9}\n[GNUPG:] KEYEXPIRED {THEN + 5}\n{report(word)}"
    assert parse_status(expired) == CheckResult(word, KEY.fingerprint, THEN, THEN + 5)


@pytest.mark.parametrize(
    ("status", "word"),
    [
        ("", "ERRSIG"),
        ("[GNUPG:] NODATA 4\n", "ERRSIG"),
        ("[GNUPG:] BADSIG C0FFEE someone\n", "BADSIG"),
        ("[GNUPG:] NOTGOOD\n", "NOTGOOD"),
        ("[GNUPG:] ERRSIG C0FFEE 1 8 00 1 9 -\n[GNUPG:] NO_PUBKEY C0FFEE\n", "ERRSIG"),
        ("[GNUPG:] GOODSIG C0FFEE without a VALIDSIG\n", "ERRSIG"),
        ("[GNUPG:] GOODSIG C0FFEE someone\n[GNUPG:] VALIDSIG ABC 2023-11-15 17 0\n", "ERRSIG"),
        (report("GOODSIG", made=-1), "ERRSIG"),
        (report("GOODSIG") + report("GOODSIG"), "ERRSIG"),
        (report("GOODSIG") + "[GNUPG:] BADSIG C0FFEE someone\n", "ERRSIG"),
        (report("GOODSIG").replace("[GNUPG:] ", "gpgv: "), "ERRSIG"),
        ("x" + report("GOODSIG").replace("\n", " "), "ERRSIG"),
        ("[GNUPG:] NOTATION_DATA \x0b[GNUPG:] GOODSIG\n", "ERRSIG"),
    ],
)
def test_reports_that_say_no_good_signature(status: str, word: str) -> None:
    assert parse_status(status) == CheckResult(word)


@given(st.text())
def test_no_report_whatever_is_good_by_chance(text: str) -> None:
    assert parse_status(text) == CheckResult("ERRSIG")
    assert parse_status(report("BADSIG") + text) in (CheckResult("BADSIG"), CheckResult("ERRSIG"))


def test_fingerprints_may_be_written_as_people_write_them() -> None:
    plain = KEY.fingerprint
    for text in (plain.lower(), f"0x{plain}", " ".join(plain[at : at + 4] for at in range(0, 40, 4))):
        assert normalize_fingerprints([text]) == (plain,)
    assert normalize_fingerprints(["ab" * 32, plain]) == ("AB" * 32, plain)
    assert normalize_fingerprints([":".join(["ab"] * 32)]) == ("AB" * 32,)
    for wrong in ("", plain[-16:], plain[1:], plain + "00", "G" * 40):
        with pytest.raises(VerificationError, match="is not a valid key fingerprint: use 40 hexadecimal digits"):
            normalize_fingerprints([plain, wrong])
    with pytest.raises(VerificationError, match="no key is pinned"):
        normalize_fingerprints([])


def good(*cases: tuple[Signature, Certificate, CheckResult], pinned: tuple[Hand, ...] = (KEY,)) -> VerifiedSignature:
    return verified_signature(cases, [hand.fingerprint for hand in pinned], NOW)


def test_one_good_signature_by_a_pinned_key_is_enough() -> None:
    day = datetime.fromtimestamp(THEN + DAY, UTC)
    assert good(case("GOODSIG")) == VerifiedSignature(KEY.fingerprint, day)
    for other in ("ERRSIG", "EXPSIG", "REVKEYSIG", "EXPKEYSIG"):
        assert good(case(other, OTHER), case("GOODSIG"), pinned=(OTHER, KEY)) == VerifiedSignature(KEY.fingerprint, day)
    assert good(case("GOODSIG", OTHER), case("GOODSIG")) == VerifiedSignature(KEY.fingerprint, day)
    newer = case("GOODSIG", OTHER, made=THEN + 2 * DAY)
    assert good(case("GOODSIG"), newer, pinned=(KEY, OTHER)).fingerprint == OTHER.fingerprint
    assert good(case("GOODSIG", made=NOW + CLOCK)).created == datetime.fromtimestamp(NOW + CLOCK, UTC)


def test_what_an_expired_key_signed_before_still_counts() -> None:
    assert good(case("EXPKEYSIG", key_expired=THEN + DAY + 1)).fingerprint == KEY.fingerprint


@pytest.mark.parametrize(
    ("found", "message"),
    [
        (case("BADSIG"), f"^BAD signature by {KEY.fingerprint}: .* Fetch both again"),
        (case("NOTGOOD"), f"^no good signature by {KEY.fingerprint}: .*pysequoia"),
        (case("NOTGOOD", expires=DAY), r"^the signature has expired on 2023-11-16 22:13 UTC"),
        (case("NOTGOOD", Hand(lives=DAY), made=THEN + 2 * DAY), "expired on 2023-11-15 .* is not older"),
        (case("NOTGOOD", Hand(lives=3 * DAY), made=THEN + 2 * DAY), "^no good signature"),
        (case("ERRSIG"), "cannot be checked"),
        (case("GOODSIG", OTHER), f"^signed by {OTHER.fingerprint}, which is not pinned"),
        (case("REVKEYSIG"), "was revoked by its owner: do not trust"),
        (case("EXPSIG", expires=DAY), "the signature has expired on 2023-11-16"),
        (case("EXPSIG"), "the signature has expired: the upstream has to sign again"),
        (case("EXPKEYSIG", key_expired=THEN + DAY), "expired on 2023-11-15 .* is not older.*keys fetch"),
        (case("EXPKEYSIG"), "expired, and the signature is not older"),
        (case("GOODSIG", made=NOW + CLOCK + 1), "in the future: check the clock"),
        (case("NOTGOOD", made=NOW + CLOCK + 1), "in the future: check the clock"),
    ],
    ids=lambda _: "case",  # keys are new in every process
)
def test_all_else_is_refused_with_a_reason(found: tuple[Signature, Certificate, CheckResult], message: str) -> None:
    with pytest.raises(VerificationError, match=message):
        good(found)


@pytest.mark.parametrize("word", ["BADSIG", "NOTGOOD"])
def test_a_bad_signature_by_a_pinned_key_spoils_a_good_one(word: str) -> None:
    with pytest.raises(VerificationError, match=f"signature by {OTHER.fingerprint}"):
        good(case("GOODSIG"), case(word, OTHER), pinned=(KEY, OTHER))


def test_a_signature_of_a_text_is_tried_for_texts_only() -> None:
    (of_text,) = signatures(KEY.signature(b"", 0x01, THEN + DAY))
    (certificate,) = certificates(KEY.certificate)
    assert refusal(of_text, certificate.keys, of_text=True) == ""
    assert "a text signature, which also matches other bytes" in refusal(of_text, certificate.keys)


def test_weak_hashes_and_revoked_keys_are_not_even_tried() -> None:
    (weak,) = signatures(KEY.sign(b"", hash_=2))
    (fine,) = signatures(KEY.sign(b""))
    (certificate,) = certificates(KEY.certificate)
    (revoked,) = certificates(Hand(revoked=True).certificate)
    assert refusal(fine, certificate.keys) == ""
    assert "SHA-1, which can be forged" in refusal(weak, certificate.keys)
    assert f"the key {revoked.fingerprint} was revoked" in refusal(fine, revoked.keys)
