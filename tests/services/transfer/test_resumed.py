"""Downloads that break off are resumed where the site proves that it is the same file, else they are read again."""

from __future__ import annotations

import time

import pytest
from tests.support.downloads import CONTENT, CUT, OTHER, read, refused
from tests.support.scripted import DAY, Answer, Script, answer, chunked, rest, whole
from tests.support.site import Switches, TestSite

from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.transfer.download import Download


@pytest.mark.parametrize("how", ["truncate", "reset"])
def test_a_break_is_resumed_with_the_etag(site: TestSite, url: str, how: str) -> None:
    site.on("/a.img", Switches(times=1, **{how: 100_000}))
    assert read(url) == CONTENT
    first, second = site.requests
    assert "range" not in first.headers
    assert second.headers["range"].startswith("bytes=")
    assert second.headers["if-range"].startswith('"')


def test_a_site_without_ranges_is_read_again(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(truncate=100_000, ranges=False, times=1))
    assert read(url) == CONTENT
    assert len(site.requests) == 2


def test_a_break_before_the_first_byte(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(truncate=0, times=1))
    assert read(url) == CONTENT


def test_a_file_that_changed_between_two_requests(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(contents=[CONTENT, OTHER], truncate=100_000))
    assert refused(url) == f"{url}: it changed at the upstream while it was being read; run again"


def test_breaks_that_go_on_and_on(site: TestSite, url: str) -> None:
    """Each try gets as far as the first one, which is no progress."""
    site.on("/a.img", Switches(truncate=100_000, ranges=False))
    hold = time.monotonic() + 3
    message = refused(url, deadline=hold)
    assert "after 100000 bytes" in message
    assert "IncompleteRead" in message


@pytest.mark.parametrize(
    ("headers", "condition", "total"),
    [
        ({"ETag": '"strong"', "Last_Modified": DAY}, '"strong"', len(CONTENT)),
        ({"ETag": 'W/"weak"', "Last_Modified": DAY}, DAY, "*"),
        ({"Last_Modified": DAY}, DAY, len(CONTENT)),
    ],
)
def test_what_a_resumption_relies_on(headers: dict[str, str], condition: str, total: int | str) -> None:
    with serving(Script(whole(cut=CUT, **headers), rest(CUT, total))) as server:
        assert read(server.url) == CONTENT
        assert server.asked[1]["Range"] == f"bytes={CUT}-"
        assert server.asked[1]["If-Range"] == condition


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"weak"'}])
def test_without_a_validator_all_is_read_again(headers: dict[str, str]) -> None:
    with serving(Script(whole(cut=CUT, **headers), whole(**headers))) as server:
        assert read(server.url) == CONTENT
        assert "Range" not in server.asked[1]


@pytest.mark.parametrize(
    "wrong",
    [
        rest(CUT + 1),
        rest(0),
        rest(CUT, len(CONTENT) + 1),
        answer(206, CONTENT[CUT:]),
        rest(CUT, Content_Range="items 0-x/y"),
        answer(416, b"", Content_Range=f"bytes */{CUT}"),
    ],
    ids=["later", "from the start", "of another length", "unsaid", "nonsense", "416"],
)
def test_a_wrong_part_is_never_taken(wrong: Answer) -> None:
    with serving(Script(whole(cut=CUT, ETag='"a"'), wrong, whole(ETag='"a"'))) as server:
        assert read(server.url) == CONTENT
        assert "Range" in server.asked[1]
        assert "Range" not in server.asked[2]


def test_a_file_that_shrank() -> None:
    gone = answer(416, b"", Content_Range="bytes */10")
    with serving(Script(whole(cut=CUT, ETag='"a"'), gone, whole(CONTENT[:10], ETag='"b"'))) as server:
        assert "it changed at the upstream" in refused(server.url)


def test_a_part_that_no_one_asked_for() -> None:
    with serving(Script(rest(0))) as server:
        assert refused(server.url) == f"{server.url}: 206 Partial Content"


def test_a_second_break_while_it_is_read_again() -> None:
    with serving(Script(whole(cut=CUT), whole(cut=CUT // 2), whole())) as server:
        assert read(server.url) == CONTENT
        assert len(server.asked) == 3


def test_a_file_of_unknown_length() -> None:
    pieces = [CONTENT[:CUT], CONTENT[CUT:]]
    with serving(Script(lambda handler: chunked(handler, pieces))) as server:
        assert read(server.url) == CONTENT
    seen: list[int | None] = []
    with serving(Script(lambda handler: chunked(handler, pieces[:1], end=False), whole())) as server:
        assert read(server.url, progress=lambda _, total: seen.append(total)) == CONTENT
    assert (seen[0], seen[-1]) == (None, len(CONTENT))


def test_a_length_that_is_no_number() -> None:
    with serving(Script(whole(Content_Length="many"))) as server, Download(server.url) as download:
        assert download.size is None
        assert download.read() == CONTENT
