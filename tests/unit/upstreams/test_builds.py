"""Builds that an upstream publishes: their day, address and first bytes, and whether they are new."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.support.bare import definition as having

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import Error, VerificationError, reason
from openstack_image_manager.upstreams.budget import check_named
from openstack_image_manager.upstreams.build import (
    Build,
    check_address,
    check_beginning,
    check_recorded,
    check_signed,
    comparable_algorithms,
    file_name,
    is_new,
    is_same,
    newest_recorded,
    parse_day,
    stale_warning,
    version_of,
    with_address,
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
    assert parse_day(text) == expected


def test_names_and_messages() -> None:
    assert [file_name(url) for url in ("https://x/a%20b.img?x=/y#/z", "https://x/", "https://[x/a")] == [
        "a b.img",
        "",
        "a",
    ]
    assert with_address("https://u:p@x/a", Error("is \x1b[31mred\n")) == "https://x/a: is \\x1b[31mred\\n"
    assert with_address("https://x/a", Error("https://x/a: is red")) == "https://x/a: is red"
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
    with pytest.raises(VerificationError, match=r"is not a valid image URL|is not trusted; set url"):
        check_address(url, sources, own)


@pytest.mark.parametrize("url", ["https://169.254.169.254/a", "http://localhost:1/a", "https://[::ffff:10.0.0.1]/a"])
def test_a_document_leads_to_no_internal_address(url: str) -> None:
    source = f"{url.partition(':')[0]}://x/b"
    with pytest.raises(VerificationError, match=r"names .*, an internal address; if that is right, set url"):
        check_named(url, (source, None))
    check_named(url, (url,))


def test_how_images_begin() -> None:
    check_beginning("https://x/a.img", b"QFI\xfb\0", "qcow2")
    check_beginning("https://x/a.qcow2.xz", b"\xfd7zXZ", "qcow2")
    check_beginning("https://x/a.raw", b"anything", "raw")
    with pytest.raises(VerificationError, match=r"https://x/a\.img: does not begin like a qcow2"):
        check_beginning("https://x/a.img?x=.xz", b"<xml>", "qcow2")


def build(version: str = "2", url: str = "https://x/2", digest: str | None = "a" * 64) -> Build:
    return Build(version, url, Checksum.parse(digest) if digest else None, None, None, None, None, None)


def test_what_is_new() -> None:
    one = {"version": "1", "url": "https://x/1", "checksum": "b" * 64}
    assert newest_recorded(having()) is None
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
    with pytest.raises(Error, match=r"newest build 2 \(https://x/2\) is older than 10, which is already recorded"):
        check_recorded(having(one, {"version": "10", "url": "https://x/10"}), build())


def signed(version: str = "2", by: str | None = "A" * 40, at: str | None = "2026-11-22 10:00:00") -> Build:
    return replace(build(version), signed_by=by, signed_at=at)


SIGNED_BEFORE = {"version": "1", "url": "https://x/1", "signed_by": "B" * 40, "signed_at": "2026-11-21"}


def test_a_new_build_that_was_signed_before_the_recorded_one_is_refused() -> None:
    with pytest.raises(
        Error, match=r"possible rollback attack: .* 2 \(https://x/2\) was signed on 2026-11-20 23:59:59"
    ):
        check_signed(having(SIGNED_BEFORE), signed(at="2026-11-20 23:59:59"), "required")
    for at in ("2026-11-21", "2026-11-21 00:00:00", "2026-11-22 10:00:00", None):  # a day has no time
        check_signed(having(SIGNED_BEFORE), signed(at=at), "required")
    undated = {key: value for key, value in SIGNED_BEFORE.items() if key != "signed_at"}
    check_signed(having(undated), signed(at="2020-01-01"), "required")


def test_a_new_build_that_is_not_signed_any_more_is_refused() -> None:
    with pytest.raises(Error, match="is not signed, and 1, which is already recorded, was signed by BBBB"):
        check_signed(having(SIGNED_BEFORE), signed(by=None, at=None), "if-present")
    check_signed(having({"version": "1", "url": "https://x/1"}), signed(by=None, at=None), "if-present")
    check_signed(having(), signed(by=None, at=None), "if-present")


def test_signatures_are_compared_of_new_builds_only_and_unless_the_policy_is_none() -> None:
    old, unsigned = signed(at="2020-01-01"), signed(by=None, at=None)
    for each in (old, unsigned):
        check_signed(having(SIGNED_BEFORE), each, "none")
        check_signed(having({**SIGNED_BEFORE, "version": "2"}), each, "required")


@pytest.mark.parametrize("digest", ["a" * 64, None])
def test_a_build_becomes_a_version_with_all_its_evidence(digest: str | None) -> None:
    evidence = {"build_date": "2026-11-22", "size": 7, "checksums_url": "https://x/SUMS"}
    version = version_of(replace(build(digest=digest), signed_by="A" * 40, signed_at="2026-11-22", **evidence))
    assert version.model_dump(exclude_none=True, exclude_defaults=True) == {
        "version": "2",
        "url": "https://x/2",
        **evidence,
        "signed_by": "A" * 40,
        "signed_at": "2026-11-22",
        **({"checksum": f"sha256:{digest}"} if digest else {}),
    }


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
    found = replace(build(), other_digests=(Checksum.parse(SHA512),))
    definition = having({"url": "https://x/else", **version}).model_copy(update={"latest_url": MOVING})
    assert is_same(definition, definition.versions[0], found) is same


def test_a_part_of_a_number_in_an_address_is_no_build() -> None:
    had = {"version": "today", "checksum": MD5, "url": "https://x/20260712"}
    definition = having(had)
    assert not is_same(definition, definition.versions[0], build("2026071", had["url"]))
    assert is_same(definition, definition.versions[0], build("20260712", had["url"]))


def test_what_a_build_could_be_compared_by() -> None:
    had = {"version": "1", "url": "https://x/1", "checksum": MD5}
    assert comparable_algorithms(having(had), build()) == []
    assert comparable_algorithms(having({**had, "url": "https://x/2"}), build()) == ["md5"]
    assert comparable_algorithms(
        having({**had, "version": "2"}, {**had, "version": "3", "checksum": SHA512}), build()
    ) == [
        "md5",
        "sha512",
    ]
    assert comparable_algorithms(having({**had, "version": "2", "checksum": SHA256}), build()) == []
    assert comparable_algorithms(having({**had, "version": "2"}), build(digest=None)) == []
    moved = having({**had, "url": MOVING}).model_copy(update={"latest_url": MOVING})
    assert comparable_algorithms(moved, build()) == ["md5"]


@pytest.mark.parametrize("suffix", [".TXZ", ".tgz", ".tar", ".XZ", ".tbz2"])
def test_what_is_packed_need_not_begin_like_its_format(suffix: str) -> None:
    """By the same list as the import has."""
    check_beginning(f"https://x/a{suffix}?b=1", b"packed", "qcow2")
    with pytest.raises(VerificationError, match="does not begin like a qcow2 image"):
        check_beginning(f"https://x/a{suffix}.qcow2", b"packed", "qcow2")


SIGNED = Build("5", "https://x/5", None, None, None, None, "AB" * 20, "2026-08-01 10:00:00")


@pytest.mark.parametrize(
    ("recorded_at", "led_at", "message"),
    [
        (None, None, ""),
        ("2026-08-01 10:00:00", "2026-08-02 10:00:00", ""),
        ("2026-08-01 10:00:01", None, "5 (https://x/5) was signed on 2026-08-01 10:00:00, and 4, which is already"),
        ("2026-08-01", None, ""),
        ("2026-08-02", None, "5 (https://x/5) was signed on 2026-08-01 10:00:00, and 4, which is already"),
        (None, "2026-08-02 10:00:01", "before its version was announced: on 2026-08-02 10:00:01; nothing is changed"),
    ],
)
def test_builds_that_are_signed_too_early(recorded_at: str | None, led_at: str | None, message: str) -> None:
    four = {"version": "4", "url": "https://x/4", "checksum": "sha256:" + "1" * 64}
    wanted = having(four | ({"signed_by": "AB" * 20, "signed_at": recorded_at} if recorded_at else {}))
    if message:
        with pytest.raises(Error, match=r"^possible rollback attack: the site offers an older build: ") as caught:
            check_signed(wanted, SIGNED, "required", led_at)
        assert message in str(caught.value)
    else:
        check_signed(wanted, SIGNED, "required", led_at)
    check_signed(wanted, SIGNED, "none", led_at)
    check_signed(having({"version": "5", "url": "https://x/5"}), SIGNED, "required", led_at)


@pytest.mark.parametrize("policy", ["required", "optional", "none"])
def test_a_signature_that_is_gone(policy: str) -> None:
    bare = replace(SIGNED, signed_by=None, signed_at=None)
    four = {"version": "4", "url": "https://x/4", "checksum": "sha256:" + "1" * 64}
    check_signed(having(four), bare, policy, "2026-08-02 10:00:01")
    signed = having({"version": "3", "url": "https://x/3", "signed_by": "CD" * 20}, four)
    if policy == "none":
        check_signed(signed, bare, policy)
        return
    with pytest.raises(Error, match=f"is not signed, and 3, which is already recorded, was signed by {'CD' * 20}"):
        check_signed(signed, bare, policy)


def test_signatures_that_are_too_old() -> None:
    now = datetime(2026, 8, 31, 10, 0, 0, tzinfo=UTC)
    assert stale_warning("2026-08-01 10:00:00", 30, now) is None
    assert stale_warning("2026-08-01", 30, now) is None
    assert stale_warning("2026-07-31 10:00:00", None, now) is None
    assert stale_warning(None, 30, now) is None
    assert stale_warning("2026-07-31 10:00:00", 30, now) == (
        "the signature is 31 days old, more than max_age (30): the site may withhold newer builds; compare with "
        "another mirror"
    )


def test_a_build_as_a_version() -> None:
    bare = version_of(replace(SIGNED, signed_by=None, signed_at=None))
    assert bare.model_dump(exclude_none=True, exclude={"meta"}) == {"version": "5", "url": "https://x/5"}
    version = version_of(replace(SIGNED, checksum=Checksum("sha256", "1" * 64), size=7, build_date="2026-07-01"))
    assert version.model_dump(exclude_none=True, exclude={"meta"}) == {
        "version": "5",
        "url": "https://x/5",
        "checksum": f"sha256:{'1' * 64}",
        "size": 7,
        "build_date": "2026-07-01",
        "signed_by": "AB" * 20,
        "signed_at": "2026-08-01 10:00:00",
    }
    assert version.is_signed
    for checksum in (None, f"md5:{'1' * 32}", f"sha1:{'1' * 40}"):
        assert not version.model_copy(update={"checksum": checksum}).is_signed
    assert not version.model_copy(update={"signed_by": None}).is_signed
