"""Downloads over HTTP from real servers on loopback: statuses, waits, deadlines, redirects, and what is told of it."""

from __future__ import annotations

import hashlib
import io
import socket
import threading
import time
from pathlib import Path

import pytest
from tests.support.downloads import CONTENT, read, refused
from tests.support.scripted import DAY, Script, Scripted, answer, whole
from tests.support.site import Switches, TestSite
from tests.support.tls import certificate, speak_tls

from openstack_image_manager.errors import FetchError, Interrupted
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.transfer.download import TRIES, USER_AGENT, Download, fetch_text, last_modified


def test_bytes_their_digest_and_the_progress(site: TestSite, url: str) -> None:
    seen: list[tuple[int, int | None]] = []
    with Download(url, "md5", progress=lambda done, total: seen.append((done, total))) as download:
        assert download.readable()
        assert (download.size, download.done) == (len(CONTENT), 0)
        assert download.read(1000) == CONTENT[:1000]
        assert download.hexdigest() == hashlib.md5(CONTENT[:1000]).hexdigest()
        assert download.read() == CONTENT[1000:]
        assert download.read() == b""
        assert download.hexdigest() == hashlib.md5(CONTENT).hexdigest()
    assert seen[0] == (1000, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    headers = site.requests[0].headers
    assert (headers["user-agent"], headers["accept-encoding"]) == (USER_AGENT, "identity")
    assert "range" not in headers


def test_the_day_of_a_file(site: TestSite, url: str) -> None:
    modified = last_modified(url)
    assert modified is not None
    assert modified.endswith(" GMT")
    assert site.count("/a.img", "HEAD") == 0


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 416, 501])
def test_statuses_that_are_taken_at_their_word(site: TestSite, status: int) -> None:
    url = site.on("/a.img", Switches(status=status))
    assert refused(url).startswith(f"{url}: {status} ")
    assert site.count("/a.img") == 1


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_statuses_that_pass(site: TestSite, url: str, status: int) -> None:
    site.on("/a.img", Switches(status=status, retry_after=0, times=3))
    assert read(url) == CONTENT
    assert site.count("/a.img") == 4


def test_tries_are_bounded(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(status=503, retry_after=0))
    assert refused(url) == f"{url}: given up after {TRIES} tries: 503 Service Unavailable"
    assert site.count("/a.img") == TRIES


def test_a_site_is_waited_for_as_long_as_it_asks(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(status=503, retry_after=2, times=1))
    before = time.monotonic()
    assert read(url) == CONTENT
    assert time.monotonic() - before >= 2


def test_pauses_grow(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(status=503, times=2))
    before = time.monotonic()
    assert read(url) == CONTENT
    assert time.monotonic() - before >= 0.5 + 1


def test_a_wait_beyond_the_deadline_is_not_begun(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(status=503, retry_after=30))
    before = time.monotonic()
    message = refused(url, deadline=before + 10)
    assert message == (f"{url}: not finished in time, after 0 bytes (--import-timeout); last: 503 Service Unavailable")
    assert time.monotonic() - before < 5


def test_a_deadline_that_has_passed(url: str) -> None:
    assert refused(url, deadline=time.monotonic() - 1).endswith("after 0 bytes (--import-timeout)")


def test_a_site_that_stalls_is_left_at_the_deadline(site: TestSite, url: str) -> None:
    hold = threading.Event()
    site.on("/a.img", Switches(hold=hold))
    before = time.monotonic()
    try:
        message = refused(url, deadline=before + 1)
    finally:
        hold.set()
    assert "after 0 bytes (--import-timeout); last: " in message
    assert "timed out" in message
    assert time.monotonic() - before < 10


def test_stop_is_seen_while_bytes_trickle_in(site: TestSite, url: str) -> None:
    """A read of one large buffer ends with the first bytes, so that no one waits for the whole buffer to fill."""
    stop = threading.Event()
    site.on("/a.img", Switches(delay=0.4))
    with Download(url, stop=stop, progress=lambda *_: stop.set()) as download:
        assert 0 < len(download.read(len(CONTENT)) or b"") < len(CONTENT)
        with pytest.raises(Interrupted):
            download.read(1)


def test_stop_ends_the_wait_for_a_retry(site: TestSite, url: str) -> None:
    stop = threading.Event()
    site.on("/a.img", Switches(status=503, retry_after=30))
    timer = threading.Timer(0.3, stop.set)
    timer.start()
    before = time.monotonic()
    with pytest.raises(Interrupted):
        Download(url, stop=stop)
    timer.join()
    assert time.monotonic() - before < 10
    assert site.count("/a.img") == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(site: TestSite, url: str, status: int) -> None:
    assert read(site.on("/moved", Switches(redirect=(status, url)))) == CONTENT


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/moved", "redirected 10 times, without an end"),
        ("http://[half", "Invalid IPv6 URL"),
        (
            "gopher://u:geheim@x/?token=geheim&a=1",
            "redirected to gopher://x/, which is neither http: nor https:, and not followed",
        ),
        (f"http://{'a' * 64}.invalid/", f"Failed to parse: '{'a' * 64}.invalid', label empty or too long"),
    ],
)
def test_redirects_that_lead_nowhere(site: TestSite, location: str, message: str) -> None:
    url = site.on("/moved", Switches(redirect=(302, location)))
    assert refused(url) == f"{url}: {message}"


def test_secrets_of_the_address_are_not_told(site: TestSite) -> None:
    site.on("/a.img?X-Amz-Signature=geheim", Switches(status=404))
    host = site.url.removeprefix("http://")
    assert refused(f"http://u:geheim@{host}/a.img?X-Amz-Signature=geheim") == f"http://{host}/a.img: 404 Not Found"


def test_a_day_when_the_site_is_open_again() -> None:
    """Retry-After may be a date; the usual pause does."""
    with serving(Script(answer(503, b"", Retry_After=DAY), whole())) as server:
        assert read(server.url) == CONTENT


def test_packed_for_the_way_is_not_unpacked() -> None:
    with serving(Script(whole(Content_Encoding="gzip"))) as server:
        assert read(server.url) == CONTENT


def test_no_answer_at_all() -> None:
    def nothing(handler: Scripted) -> None:
        handler.close_connection = True

    with serving(Script(nothing)) as server:
        message = refused(server.url, deadline=time.monotonic() + 1)
        assert "Remote end closed connection without response" in message
    with serving(Script(nothing, whole())) as server:
        assert read(server.url) == CONTENT


def test_unknown_hosts_and_closed_ports() -> None:
    soon = time.monotonic() + 1
    message = refused("http://u:geheim@nothing.invalid/a.img?token=geheim", deadline=soon)
    assert message.startswith("http://nothing.invalid/a.img: not finished in time")
    assert "geheim" not in message
    assert "Failed to resolve 'nothing.invalid'" in message
    assert "host=" not in message  # as urllib3 writes a connection, with the name of its class
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    message = refused(f"http://127.0.0.1:{port}/a.img", deadline=time.monotonic() + 1)
    assert message.endswith("Connection refused")


def test_a_certificate_that_no_one_vouches_for(tmp_path: Path) -> None:
    with serving(Script(whole())) as server:
        speak_tls(server, certificate(tmp_path / "both.pem", "127.0.0.1"))
        url = server.url.replace("http:", "https:")
        message = refused(url)
    assert message.startswith(f"{url}: TLS failed: ")
    assert "self-signed certificate" in message
    assert server.asked == []


def test_checksum_files(site: TestSite) -> None:
    url = site.put("/SUMS", "a  größe\n".encode())
    assert fetch_text(url) == "a  größe\n"
    assert fetch_text(url, limit=11) == "a  größe\n"
    site.put("/SUMS", b"\xef\xbb\xbfabc")
    assert fetch_text(url) == "abc"
    site.put("/SUMS", "größe".encode("latin-1"))
    assert fetch_text(url) == "gr\ufffd\ufffde"
    site.put("/SUMS", b"")
    assert fetch_text(url) == ""


def test_checksum_files_that_are_none(site: TestSite) -> None:
    url = site.put("/SUMS", b"12345678901")
    with pytest.raises(FetchError, match=f"{url}: larger than 10 bytes, which no such file is"):
        fetch_text(url, limit=10)
    for page in ("\n <!DOCTYPE html><p>x", "<HTML><p>x"):
        site.on("/SUMS", Switches(html=page))
        with pytest.raises(FetchError, match=f"{url}: a web page came instead of the file"):
            fetch_text(url)


def test_a_download_feeds_a_buffered_reader(url: str) -> None:
    with Download(url) as download, io.BufferedReader(download, 1 << 20) as reader:
        assert reader.peek(4)[:4] == CONTENT[:4]
        assert reader.read() == CONTENT
