"""Armor, PEM and clearsigned texts: what is read, what is refused, and that nothing unsigned comes through."""

from __future__ import annotations

import base64
from collections.abc import Callable
from contextlib import suppress
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.signers import DATA, FORGED, made

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.armor import Block, armored, blocks, cleartext, crc24, is_binary

KEY = "PGP PUBLIC KEY BLOCK"


def test_crc_is_that_of_the_standard() -> None:
    assert crc24(b"123456789").hex() == "21cf02"
    assert crc24(b"").hex() == "b704ce"


@given(st.lists(st.binary(max_size=200), max_size=3), st.binary(max_size=20))
def test_what_is_armored_is_read_again(contents: list[bytes], between: bytes) -> None:
    given = tuple(Block(KEY, content) for content in contents)
    noise = b"\n" + between.replace(b"-", b"") + b"\n"
    assert blocks(noise.join([b"", *(armored(block).encode() for block in given), b""])) == given


def test_what_another_program_armored_is_read() -> None:
    assert blocks(made().armored) == (Block(KEY, made().certificate),)
    assert blocks(made().armored.replace(b"\n", b"\r\n")) == (Block(KEY, made().certificate),)
    assert made().armored.endswith(armored(Block(KEY, made().certificate)).encode().split(b"\n\n")[1][-40:])


def test_headers_and_a_missing_crc_do_no_harm() -> None:
    text = f"-----BEGIN {KEY}-----\nVersion: 1\nComment: a\n\n{base64.b64encode(b'abc').decode()}\n-----END {KEY}-----"
    assert blocks(text.encode()) == (Block(KEY, b"abc"),)


def test_pem_has_neither_a_blank_line_nor_a_crc() -> None:
    text = armored(Block("PUBLIC KEY", b"x" * 100))
    assert blocks(text.encode()) == (Block("PUBLIC KEY", b"x" * 100),)
    assert "\n\n" not in text
    assert "\n=" not in text


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace("YWJj", "YWJk"), "wrong CRC"),
        (lambda text: text.replace("YWJj", "YW*j"), "not base64"),
        (lambda text: text.replace("YWJj", "YWJ"), "not base64"),
        (lambda text: text[:-20], "cut off: there is no END line of the PGP PUBLIC KEY BLOCK"),
    ],
)
def test_a_damaged_block_is_refused(change: Callable[[str], str], message: str) -> None:
    text = armored(Block(KEY, b"abc"))
    with pytest.raises(VerificationError, match=message):
        blocks(change(text).encode())


def test_binary_is_told_from_text() -> None:
    assert is_binary(made().certificate)
    assert not is_binary(made().armored)
    assert not is_binary(b"\xef\xbb\xbf" + made().armored)
    assert not is_binary(b"")


def test_only_what_is_signed_is_read_from_a_clearsigned_text() -> None:
    signed = made().clearsign(DATA)
    around = FORGED + signed + FORGED
    for each in (signed, around, around.replace(b"\n", b"\r\n"), b"\xef\xbb\xbf" + signed):
        text, signature = cleartext(each)
        assert text == b"SHA256 (disk.img) = aa\r\n"
        assert blocks(signature)[0].label == "PGP SIGNATURE"


def test_dashes_and_blanks_are_as_they_were_signed() -> None:
    text, _ = cleartext(made().clearsign(b"- a\n-----BEGIN x\n \t\nFrom b \t\n-\nc"))
    assert text == b"- a\r\n-----BEGIN x\r\n\r\nFrom b\r\n-\r\nc"


def test_a_dash_alone_may_stay_as_it_is() -> None:
    signed = made().clearsign(b"-").replace(b"\n- -\n", b"\n-\n")
    assert cleartext(signed)[0] == b"-"


def test_a_text_that_is_not_signed_once_is_refused() -> None:
    signed = made().clearsign(DATA)
    head, _, rest = signed.partition(b"\n\n")
    for text, message in (
        (DATA, "not signed"),
        (b"", "not signed"),
        (signed + signed, "2 signed texts"),
        (FORGED.join([head + b"\n", b"\n" + rest]), "only 'Hash: …' is allowed"),
        (head + b"\nNotDashEscaped: 1\n\n" + rest, "only 'Hash: …' is allowed"),
        (head + b"\nHash: SHA512, the digest of disk.img is ff\n\n" + rest, "only 'Hash: …' is allowed"),
        (head + b"\nHash: 94E1E2C94DBBAE7D\n\n" + rest, "only 'Hash: …' is allowed"),
        (head, "cut off: there is no signature"),
        (head + b"\n\n-----BEGIN x\n" + rest, "a dash that is not escaped"),
        (signed[:-30], "cut off: the signature does not end"),
        (signed[: signed.index(b"-----BEGIN PGP SIGNATURE")], "cut off: there is no signature"),
    ):
        with pytest.raises(VerificationError, match=message):
            cleartext(text)


@cache
def beginnings() -> list[bytes]:
    """Made once: a signature may be a byte longer or shorter the next time."""
    return [made().armored, made().clearsign(DATA), b""]


@given(st.data())
def test_no_text_whatever_ends_in_a_traceback(data: st.DataObject) -> None:
    start = data.draw(st.sampled_from(beginnings()))
    at = data.draw(st.integers(0, len(start)))
    size = data.draw(st.integers(0, 40))
    text = start[:at] + data.draw(st.binary(max_size=60)) + start[at + size :]
    for function in (blocks, cleartext):
        with suppress(VerificationError):
            function(text)
