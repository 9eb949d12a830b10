"""The door to download sites: what it asks for once, where it goes, whom it tells what."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.documents import image
from tests.support.hostile import OK, drip, hostile
from tests.support.scripted import Script, answer, chunked, whole
from tests.support.site import Gate, Switches, TestSite
from tests.support.tls import Tunnel, certificate, speak_tls

from openstack_image_manager.errors import FetchError, Interrupted, VerificationError
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.transfer.download import fetch_bytes
from openstack_image_manager.upstreams.sites import Sites, sites_from_environment


def test_a_document_is_fetched_once_in_a_run(site: TestSite) -> None:
    url = site.put("/a", b"\xef\xbb\xbfone\xff")
    sites = Sites()
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(sites.document, [url] * 8))
    assert {each.text for each in found} == {"one\ufffd"}
    assert site.count("/a") == 1
    site.put("/a", b"two")
    assert sites.document(url).text == "one\ufffd"
    assert sites.document(url, fresh=True).text == "two"
    assert sites.document(url).text == "two"


def test_what_failed_is_not_asked_again_either(site: TestSite) -> None:
    sites = Sites()
    for _ in range(3):
        with pytest.raises(FetchError) as caught:
            sites.document(f"{site.url}/gone")
        assert caught.value.status == 404
    assert site.count("/gone") == 1


def test_requests_go_to_the_mirror_of_the_longest_beginning(site: TestSite) -> None:
    site.put("/all/a", b"all")
    site.put("/some/a", b"some")
    site.on("/some/old", Switches(redirect=(302, "/some/new/")))
    site.on("/some/new/", Switches(redirect=(302, "https://elsewhere.example.org/x")))
    mirrors = {
        "https://x/": f"{site.url}/all/",
        "https://x/y/": f"{site.url}/some/",
        "https://elsewhere": "http://[half",
    }
    sites = Sites(mirrors=mirrors)
    assert sites.document("https://x/a").data == b"all"
    assert sites.document("https://x/y/a").data == b"some"
    assert sites.document("https://x/y/a").url == "https://x/y/a"
    assert sites.document(f"{site.url}/some/a").data == b"some"
    assert sites.redirects("https://x/y/old") == ["https://x/y/new/", "https://elsewhere.example.org/x"]


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize("other_slash", ["", "/"])
def test_a_mirror_is_for_whole_segments(slash: str, other_slash: str) -> None:
    sites = Sites(
        mirrors={
            f"https://a.example/x{slash}": f"http://mirror/x{other_slash}",
            "https://b.example": "http://mirror/b/",
        }
    )
    moved = {
        "https://a.example/x/y/z": "http://mirror/x/y/z",
        "https://a.example/x/": "http://mirror/x/",
        "https://a.example/x?q=/": "http://mirror/x?q=/",
        "https://a.example/x": "http://mirror/x",
        "https://b.example/": "http://mirror/b/",
        "https://b.example/y": "http://mirror/b/y",
    }
    stay = ("https://a.example/xy", "https://a.example/xy/z", "https://b.example.evil/y", "https://b.example:444/y")
    assert {url: sites.mirrors.request_url(url) for url in (*moved, *stay)} == {**moved, **{url: url for url in stay}}


def test_redirects_within_a_mirror_are_redirects_within_the_upstream(site: TestSite) -> None:
    """And those to what only begins like it are not."""
    site.on("/x/a", Switches(redirect=(302, "/x/b")))
    site.on("/x/b", Switches(redirect=(302, "/xy/c")))
    site.put("/xy/c", b"")
    sites = Sites(mirrors={"https://a.example": f"{site.url}/x"})
    assert sites.redirects("https://a.example/a") == ["https://a.example/b", f"{site.url}/xy/c"]


def test_redirects_without_an_end(site: TestSite) -> None:
    site.on("/a", Switches(redirect=(302, "/a")))
    assert Sites().redirects(f"{site.url}/a") == [f"{site.url}/a"] * 5
    site.put("/b", b"here")
    assert Sites().redirects(f"{site.url}/b") == []
    with pytest.raises(FetchError, match="404"):
        Sites().redirects(f"{site.url}/c")
    site.on("/d", Switches(redirect=(302, "http://[half")))
    with pytest.raises(FetchError, match=f"{site.url}/d: Invalid IPv6 URL"):
        Sites().redirects(f"{site.url}/d")
    with pytest.raises(FetchError, match="is not a valid URL: Invalid IPv6 URL"):
        Sites().document("http://u:geheim@[half/")


def test_documents_have_a_size_that_can_be_read(site: TestSite) -> None:
    url = site.put("/a", b"x" * 1000)
    assert len(Sites(limit=1000).document(url).data) == 1000
    with pytest.raises(FetchError, match=f"{url}: larger than 999 bytes"):
        Sites(limit=999).document(url)


@pytest.mark.parametrize("head", [b"", OK, OK + b"\r\n"], ids=["status line", "headers", "body"])
@pytest.mark.parametrize("what", ["document", "signature"])
def test_documents_that_drip_end_at_the_deadline(head: bytes, what: str) -> None:
    """A byte now and then: each wait for one is short."""
    start = time.monotonic()
    with hostile(drip(head, b"x")) as url, pytest.raises(FetchError, match="not finished in time"):
        Sites(timeout=1).document(url) if what == "document" else fetch_bytes(url, timeout=1)
    assert time.monotonic() - start < 6


def test_pages_where_they_are_welcome(site: TestSite) -> None:
    url = site.on("/", Switches(html="\n <!DOCTYPE HTML><a href=x>"))
    assert Sites().document(url, page=True).text.endswith("<a href=x>")
    with pytest.raises(FetchError, match="a web page came instead of the file"):
        Sites().document(url)


def test_how_a_file_begins(site: TestSite) -> None:
    url = site.put("/a.img", image("a", 5000))
    beginning = Sites().beginning(url)
    assert (beginning.data, beginning.size) == (image("a", 5000)[:1024], 5000)
    assert beginning.last_modified
    assert site.requests[0].headers["range"] == "bytes=0-1023"
    site.on("/a.img", Switches(ranges=False))
    assert Sites().beginning(url) == beginning
    site.on("/a.img", Switches(truncate=100, times=1))
    assert Sites().beginning(url).data == beginning.data
    short = Sites().beginning(site.put("/short", b"abc"))
    assert (short.data, short.size) == (b"abc", 3)
    site.on("/page", Switches(html="<html>"))
    with pytest.raises(VerificationError, match="a web page came instead of the file"):
        Sites().beginning(f"{site.url}/page")
    local = Sites().beginning((site.directory / "short").as_uri())
    assert (local.data, local.size, local.last_modified) == (b"abc", 3, None)


def test_sizes_that_no_one_tells() -> None:
    part = answer(206, b"abc", Content_Range="bytes 0-2/*")
    with serving(Script(part)) as server:
        assert Sites().beginning(server.url).size is None
    with serving(Script(lambda handler: chunked(handler, [b"abc"]))) as server:
        assert Sites().beginning(server.url).size is None
    wrong = answer(206, b"abc", Content_Range="bytes 7-9/10")
    with serving(Script(wrong)) as server, pytest.raises(FetchError, match="206 Partial Content"):
        Sites().beginning(server.url)
    with serving(Script(answer(416, b""))) as server, pytest.raises(FetchError, match="416"):
        Sites().beginning(server.url)


class Hold(Gate):
    """Keeps an answer back until it is released."""

    def __init__(self) -> None:
        super().__init__(1)
        self.reached, self.released = threading.Event(), threading.Event()

    def enter(self) -> None:
        self.reached.set()
        self.released.wait(20)


def test_interrupted_while_it_waits_for_its_turn(site: TestSite) -> None:
    stop, hold = threading.Event(), Hold()
    url = site.on("/a", Switches(html="one", gate=hold))
    sites = Sites(per_host=1, stop=stop)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(sites.document, url)
        assert hold.reached.wait(20)
        second = pool.submit(sites.beginning, url)
        stop.set()
        with pytest.raises(Interrupted):
            second.result()
        hold.released.set()
        with pytest.raises(Interrupted):
            first.result()
    assert len(site.requests) == 1


# With a token these answer what is not public, and a definition could put the answer into an address.
ELSEWHERE = (
    "/repos/a/b/contents/secrets.yml",
    "/repos/a/b/releases/assets/1",
    "/repos/a/b/actions/secrets?x=/releases",
    "/repos/../user/releases",
    "/repos/a/../releases",
    "/repos/a/%2e%2e/releases",
    "/repos/a/b/releases?x=y",
    "/user/repos",
)


def test_the_token_goes_to_releases_at_github_and_nowhere_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: TestSite
) -> None:
    """Real TLS by way of a proxy, as the names of the hosts decide."""
    pem = certificate(tmp_path / "both.pem", "api.github.com", "github.com", "api.github.com.example.org")
    moved = answer(302, b"", Location=f"{site.url}/a")
    elsewhere = answer(302, b"", Location="https://github.com/a")
    site.put("/a", b"plain")
    script = Script(
        whole(b"[]"), whole(b"x"), whole(b"x"), *[whole(b"x")] * len(ELSEWHERE), moved, elsewhere, whole(b"x")
    )
    speak_tls(script, pem)
    with serving(script) as server, Tunnel(server.server_address[1]) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
        monkeypatch.setenv("GITHUB_TOKEN", "ghp_secret")
        sites = sites_from_environment(mirrors={"https://mirrored.example.org/": f"{site.url}/"}, use_cache=False)
        assert sites.document("https://api.github.com/repos/a/b/releases").data == b"[]"
        sites.document("https://github.com/a/b")
        sites.document("https://api.github.com.example.org/repos/a/b/releases")
        told = [each.get("Authorization") for each in server.asked]
        assert told == ["Bearer ghp_secret", None, None]
        for path in ELSEWHERE:
            sites.document(f"https://api.github.com{path}")
        assert {each.get("Authorization") for each in server.asked[3:]} == {None}
        server.asked.clear()
        sites.document("https://mirrored.example.org/a")
        # A digest that came by way of http is worth nothing, and a token is not sent along.
        with pytest.raises(FetchError, match="redirected from https to http; use an address without that") as caught:
            sites.document("https://api.github.com/repos/a/moved/releases")
        assert "secret" not in str(caught.value)
        assert sites.document("https://api.github.com/repos/a/elsewhere/releases?per_page=100").data == b"x"
        assert [each.get("Authorization") for each in server.asked] == ["Bearer ghp_secret"] * 2 + [None]
    assert all("authorization" not in each.headers for each in site.requests)
    assert proxy.asked[0].startswith(b"CONNECT api.github.com:443 ")
