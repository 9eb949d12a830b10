"""Builds that an upstream publishes: their day, address and first bytes, and whether they are new."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from bare import definition as having

from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.format import Checksum
from openstack_image_manager.reasons import reason
from openstack_image_manager.upstreams.published import (
    Build,
    check_address,
    check_beginning,
    check_recorded,
    comparable_by,
    day,
    file_name,
    is_new,
    is_same,
    placed,
    recorded,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("20260712-2537", "2026-07-12"),
        ("20260705.1", "2026-07-05"),
        ("2026-07-22", "2026-07-22"),
        ("2026-07-22T10:00:00Z", "2026-07-22"),
        ("202607121", None),
        ("20261312", None),
        ("44-1.7", None),
        ("", None),
        ("Sun, 22 Nov 2026 10:00:00 GMT", "2026-11-22 10:00:00"),
        ("Sun, 22 Nov 2026 10:00:00 +0200", "2026-11-22 08:00:00"),
        ("Sun, 22 Nov 2026 10:00:00 -0000", "2026-11-22 10:00:00"),
        ("Sun, 99 Nov 2026 10:00:00 GMT", None),
        ("Fri, 31 Dec 9999 23:59:59 -2359", None),
    ],
)
def test_days(text: str, expected: str | None) -> None:
    assert day(text) == expected


def test_names_and_messages() -> None:
    assert [file_name(url) for url in ("https://x/a%20b.img?x=/y#/z", "https://x/", "https://[x/a")] == [
        "a b.img",
        "",
        "a",
    ]
    assert placed("https://u:p@x/a", Error("is \x1b[31mred\n")) == "https://x/a: is \\x1b[31mred\\n"
    assert placed("https://x/a", Error("https://x/a: is red")) == "https://x/a: is red"
    assert reason("two\nlines of https://u:p@x/") == "two lines of https://x/"


SITE = "https://x/a"


@pytest.mark.parametrize(
    ("url", "sources", "own", "fine"),
    [
        (SITE, (SITE,), False, True),
        (SITE, ("http://x/a", None), False, True),
        ("http://x/a", (SITE,), True, True),
        ("http://x/a", ("http://x/b",), False, True),
        ("http://x/a", (), False, True),
        ("file:///a", ("file:///b",), False, True),
        ("file:///a", (), True, True),
        ("http://x/a", (SITE,), False, False),
        ("http://x/a", (SITE, "http://x/b"), False, False),
        ("file:///a", (SITE,), False, False),
        ("file:///a", ("http://x/b",), False, False),
        ("file:///a", (), False, False),
        ("gopher://x", (), True, False),
        ("https://x/a b", (), True, False),
        ("https://[x", (), True, False),
    ],
)
def test_addresses_that_may_be_recorded(url: str, sources: tuple[str | None, ...], own: bool, fine: bool) -> None:
    if fine:
        check_address(url, sources, own)
        return
    with pytest.raises(VerificationError, match=r"is no address of an image|is not trusted; set url"):
        check_address(url, sources, own)


def test_how_images_begin() -> None:
    check_beginning("https://x/a.img", b"QFI\xfb\0", "qcow2")
    check_beginning("https://x/a.qcow2.xz", b"\xfd7zXZ", "qcow2")
    check_beginning("https://x/a.raw", b"anything", "raw")
    with pytest.raises(VerificationError, match=r"https://x/a\.img\?x=\.xz: does not begin like a qcow2"):
        check_beginning("https://x/a.img?x=.xz", b"<xml>", "qcow2")


def build(version: str = "2", url: str = "https://x/2", digest: str | None = "a" * 64) -> Build:
    return Build(version, url, Checksum.parse(digest) if digest else None, None, None, None, None, None)


def test_what_is_new() -> None:
    one = {"version": "1", "url": "https://x/1", "checksum": "b" * 64}
    assert recorded(having()) is None
    assert is_new(having(one), build())
    assert not is_new(having({**one, "version": "2"}), build())
    same_file = {"version": "today", "url": "https://x/2", "checksum": "a" * 64}
    assert not is_new(having(same_file), build())
    assert not is_new(having({**same_file, "url": "https://mirror/2"}), build())
    for other in ({"checksum": "b" * 64}, {"checksum": None}):
        assert is_new(having({**same_file, **other}), build())
    check_recorded(having(one), build())
    check_recorded(having(), build())
    check_recorded(having({**same_file, "version": "2"}), build(digest=None))
    check_recorded(having({**same_file, "version": "2", "checksum": None}), build())
    check_recorded(having({**same_file, "version": "2", "checksum": "b" * 32}), build())
    packed = {**same_file, "version": "2", "url": "https://x/2.xz", "checksum": "b" * 64}
    check_recorded(having(packed), build(url="https://x/2.xz"))
    with pytest.raises(VerificationError, match="the upstream has replaced build 2"):
        check_recorded(having({**same_file, "version": "2", "checksum": "b" * 64}), build())
    with pytest.raises(Error, match=r"newest build 2 \(https://x/2\) is older than 10, which is there already"):
        check_recorded(having(one, {"version": "10", "url": "https://x/10"}), build())


SHA256, SHA512, MD5 = ("a" * 64, "a" * 128, "a" * 32)
MOVING = "https://x/latest"


@pytest.mark.parametrize(
    ("version", "same"),
    [
        ({"version": "2", "checksum": "b" * 64}, True),
        # A digest of one algorithm decides, whichever of them it is.
        ({"version": "today", "checksum": SHA256}, True),
        ({"version": "today", "checksum": SHA512}, True),
        ({"version": "today", "checksum": "b" * 128, "url": "https://x/2"}, False),
        ({"version": "9", "checksum": "b" * 64, "url": MOVING}, False),
        # Else the address, if it is the build's own.
        ({"version": "today", "checksum": MD5, "url": "https://x/2"}, True),
        ({"version": "today", "checksum": MD5, "url": "https://x/3"}, False),
        ({"version": "today", "url": "https://x/2"}, False),
        # Or one that moves, and was recorded when the build was there already.
        ({"version": "3", "checksum": MD5, "url": MOVING}, True),
        ({"version": "3", "url": MOVING}, True),
        ({"version": "1", "url": MOVING}, False),
        ({"version": "latest", "checksums_url": "https://x/SUMS", "url": MOVING}, False),
    ],
)
def test_which_version_is_the_build(version: dict[str, Any], same: bool) -> None:
    found = replace(build(), others=(Checksum.parse(SHA512),))
    definition = having({"url": "https://x/else", **version}).model_copy(update={"latest_url": MOVING})
    assert is_same(definition, definition.versions[0], found) is same


def test_a_part_of_a_number_in_an_address_is_no_build() -> None:
    had = {"version": "today", "checksum": MD5, "url": "https://x/20260712"}
    definition = having(had)
    assert not is_same(definition, definition.versions[0], build("2026071", had["url"]))
    assert is_same(definition, definition.versions[0], build("20260712", had["url"]))


def test_what_a_build_could_be_compared_by() -> None:
    had = {"version": "1", "url": "https://x/1", "checksum": MD5}
    assert comparable_by(having(had), build()) == []
    assert comparable_by(having({**had, "url": "https://x/2"}), build()) == ["md5"]
    assert comparable_by(having({**had, "version": "2"}, {**had, "version": "3", "checksum": SHA512}), build()) == [
        "md5",
        "sha512",
    ]
    assert comparable_by(having({**had, "version": "2", "checksum": SHA256}), build()) == []
    assert comparable_by(having({**had, "version": "2"}), build(digest=None)) == []
    moved = having({**had, "url": MOVING}).model_copy(update={"latest_url": MOVING})
    assert comparable_by(moved, build()) == ["md5"]


@pytest.mark.parametrize("suffix", [".TXZ", ".tgz", ".tar", ".XZ", ".tbz2"])
def test_what_is_packed_need_not_begin_like_its_format(suffix: str) -> None:
    """By the same list as the import has."""
    check_beginning(f"https://x/a{suffix}?b=1", b"packed", "qcow2")
    with pytest.raises(VerificationError, match="does not begin like a qcow2 image"):
        check_beginning(f"https://x/a{suffix}.qcow2", b"packed", "qcow2")
