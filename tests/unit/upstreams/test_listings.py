"""Listings of download sites in every dialect: which names they hold, and which are cut off."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.damage import CHANGES, TOKENS, answered, damaged

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.upstreams import listings

PRE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /noble</title></head>
<body><h1>Ubuntu</h1><!-- <a href="20990101/">commented</a> --><ul><li><a href="https://ubuntu.com/">Home</a></ul>
<pre><img src="/icons/blank.gif" alt="Icon "> <a href="?C=N;O=D">Name</a> <a href="/">Parent Directory</a>
<a href="20260703/">20260703/</a>     2026-07-05 10:00    -
<A class='x' HREF='20260712.1/'>20260712..&gt;</a> <a href="../">up</a> <a href="..">up</a> <a href=".">here</a>
<a title="x" href=current/>current/</a> <a href="./SHA256SUMS">SHA256SUMS</a> <a href="a%20b%2B.img">a b</a>
<a href="x&amp;y.img">x</a> <a href="a/b.img">deep</a> <a href="mailto:me@x">me</a> <a href="%2e%2e/">no</a>
<a href="a%2Fb">no</a> <a href="x%00">no</a> <a href="%ff">no</a> <a href="n?C=M">no</a> <a href="n#x">no</a>
<a href="">no</a>
<a name="top">no</a><a href="20260703/">again</a><hr></pre></body></html>
"""
NAMES = ["20260703/", "20260712.1/", "current/", "SHA256SUMS", "a b+.img", "x&y.img"]
TABLE = """<html><body><table id="indexlist">
<tr class="even"><td class="indexcolicon"><a href="13/"><img src="x"></a></td>
<td class="indexcolname"><a href="13/">13/</a></td></tr>
<tr><td class="indexcolname"><a href="12.10/">12..&gt;</a></td></tr></table></body></html>"""
JSONTABLE = json.dumps({"data": [{"name": "a.qcow2", "mtime": 1, "size": 3}, {"name": "d/"}, {"name": "../x"}, {}]})


def test_listings_of_every_dialect() -> None:
    assert listings.names(PRE) == NAMES
    assert listings.names(TABLE) == ["13/", "12.10/"]
    assert listings.names(JSONTABLE) == ["a.qcow2", "d/"]
    assert listings.names("<ul><li><a href='x'>x</a></ul>") == ["x"]
    assert listings.names("<title>no end tags at all</title><a href=x>") == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a listing: it contains no links"),
        ("<html>Sorry</html>", "is not a listing: it contains no links"),
        (PRE[: PRE.index("<A class")], "the listing is cut off: its <html> never ends"),
        (PRE[: PRE.index("20260712")], "the listing is cut off in a tag"),
        (PRE[: PRE.index("commented")], "the listing is cut off in a comment"),
        ("<table><a href=x>", "the listing is cut off: its <table> never ends"),
        ("<pre><a href=x>", "the listing is cut off: its <pre> never ends"),
        ("[]", "the table is a list where a mapping is expected"),
        ('{"data": 3}', "its data is a number where a list is expected"),
        ('{"data": [3]}', "a row of it is a number where a mapping is expected"),
        (JSONTABLE[:-5], "is not valid JSON, or was cut off: "),
    ],
)
def test_listings_that_can_t_be_trusted(text: str, message: str) -> None:
    with pytest.raises(VerificationError) as caught:
        listings.names(text)
    assert str(caught.value).startswith(message)


def test_addresses_of_names() -> None:
    assert listings.address("https://x/a/", "b c+#?.img") == "https://x/a/b%20c%2B%23%3F.img"
    assert listings.address("https://x/a/?jsontable", "b:c/") == "https://x/a/b%3Ac/"
    assert listings.address("https://x/a/SUMS", "kvm/b") == "https://x/a/kvm/b"
    with pytest.raises(VerificationError, match=r"'https://\[x/' is not a valid URL: "):
        listings.address("https://[x/", "b")


def test_long_pages_are_read_at_once() -> None:
    begin = time.thread_time()
    for piece in ("<a ", "<a href=", "<!--", "<a href='x'>", "<pre ", "&#1;"):
        try:
            listings.names(piece * (2_000_000 // len(piece)))
        except VerificationError:
            continue
    assert time.thread_time() - begin < 30


@given(st.sampled_from([PRE, TABLE, JSONTABLE]), CHANGES | TOKENS)
def test_damaged_listings_give_names_that_stand_there_or_an_error(
    text: str, changes: list[tuple[float, int, str]]
) -> None:
    page = damaged(text, changes)
    for name in answered(lambda: listings.names(page)) or ():
        assert name.removesuffix("/") not in ("", ".", "..")
        assert "/" not in name.removesuffix("/")
        assert name.isprintable()
        assert listings.address("https://x/dir/", name).startswith("https://x/dir/")


@given(st.text())
def test_any_text_is_a_listing_or_an_error(text: str) -> None:
    answered(lambda: listings.names(text))
