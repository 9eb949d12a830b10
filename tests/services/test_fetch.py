"""Downloads from real servers on loopback: what breaks is resumed or read again, what can't be is told in one line."""

from __future__ import annotations

import contextlib
import hashlib
import io
import logging
import random
import socket
import ssl
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from openstack_image_manager.errors import FetchError, Interrupted
from openstack_image_manager.fetch import TRIES, USER_AGENT, Download, fetch_text, last_modified
from openstack_image_manager.sandbox.site import serving
from tests.services.site import Switches, TestSite

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.11 says that its asyncore will go
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer

CONTENT = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(300_000)


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TestSite]:
    """An upstream site of this test alone."""
    with serving(TestSite(tmp_path)) as running:
        yield running


@pytest.fixture
def url(site: TestSite) -> str:
    return site.put("/a.img", CONTENT)


def read(url: str, **options: object) -> bytes:
    """All of it; its digest and size are checked on the way."""
    with Download(url, **options) as download:  # type: ignore[arg-type]
        content = download.read()
        assert download.hexdigest() == hashlib.sha256(content).hexdigest()
        assert download.done == len(content)
        assert download.size in (None, len(content))
    return content


def refused(url: str, **options: object) -> str:
    """What is said when it cannot be read."""
    with pytest.raises(FetchError) as caught:
        read(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


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


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirects(site: TestSite, url: str, status: int) -> None:
    assert read(site.on("/moved", Switches(redirect=(status, url)))) == CONTENT


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("/moved", "redirected 30 times, without an end"),
        ("http://[half", "Invalid IPv6 URL"),
        (
            "gopher://u:geheim@x/?token=geheim&a=1",
            "redirected to gopher://x/?a=1, which is neither http: nor https:, and not followed",
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


Answer = Callable[["Scripted"], None]


class Scripted(BaseHTTPRequestHandler):
    """Answers the n-th request with the n-th of the server's answers; the last one stays."""

    protocol_version = "HTTP/1.1"
    server: Script

    def do_GET(self) -> None:
        answers = self.server.answers
        self.server.asked.append(dict(self.headers))
        (answers.pop(0) if len(answers) > 1 else answers[0])(self)

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing."""


class Script(ThreadingHTTPServer):
    """A server for what no well-behaved site does."""

    daemon_threads = True

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[dict[str, str]] = []
        super().__init__(("127.0.0.1", 0), Scripted)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/a.img"


def whole(content: bytes = CONTENT, cut: int | None = None, **headers: str) -> Answer:
    """200 with the content, or what comes before the cut."""
    return answer(200, content, cut, **headers)


def answer(status: int, content: bytes, cut: int | None = None, **headers: str) -> Answer:
    def send(handler: Scripted) -> None:
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(content)), **headers}.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content[:cut])
        handler.close_connection = True

    return send


def rest(start: int, total: int | str = len(CONTENT), content: bytes = CONTENT, **headers: str) -> Answer:
    """206 with what begins at `start`."""
    part = f"bytes {start}-{len(content) - 1}/{total}"
    return answer(206, content[start:], **{"Content-Range": part, **headers})


def chunked(handler: Scripted, pieces: list[bytes], end: bool = True) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in pieces:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n" if end else b"")
    handler.close_connection = True


DAY = "Sun, 22 Nov 2026 10:00:00 GMT"
CUT = 100_000


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
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    for scheme in ("http", "ftp"):
        message = refused(f"{scheme}://127.0.0.1:{port}/a.img", deadline=time.monotonic() + 1)
        assert message.endswith("Connection refused")


def test_a_certificate_that_no_one_vouches_for(tmp_path: Path) -> None:
    with serving(Script(whole())) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate(tmp_path))
        server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        url = server.url.replace("http:", "https:")
        message = refused(url)
    assert message.startswith(f"{url}: TLS failed: ")
    assert "self-signed certificate" in message
    assert server.asked == []


def certificate(directory: Path) -> Path:
    """A self-signed certificate and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = made.not_valid_before(now).not_valid_after(now + timedelta(days=1)).sign(key, hashes.SHA256())
    secret = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path = directory / "both.pem"
    path.write_bytes(secret + signed.public_bytes(serialization.Encoding.PEM))
    return path


def test_local_files(tmp_path: Path) -> None:
    path = tmp_path / "größe 1%.img"
    path.write_bytes(CONTENT)
    assert path.as_uri().startswith("file:///")
    assert read(path.as_uri()) == CONTENT
    assert read(path.as_uri().replace("file:///", "FILE://localhost/")) == CONTENT
    assert last_modified(path.as_uri()) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///nowhere/a.img", "No such file or directory"),
        ("file:///", "Is a directory"),
        ("file:///etc%00/a.img", "embedded null byte"),
        ("file://srv/images/a.img", "a file: URL has three slashes: file:///path/to/image"),
        ("gopher://x/a.img", "only http, https, ftp, file can be read"),
    ],
)
def test_local_files_that_cannot_be_read(url: str, message: str) -> None:
    assert refused(url) == f"{url}: {message}"


@pytest.mark.parametrize(("size", "after"), [(CUT - 1, OTHER), (CUT + 1, CONTENT)])
def test_a_local_file_that_shrinks_and_another_that_is_whole_again(tmp_path: Path, size: int, after: bytes) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(CONTENT)
    with Download(path.as_uri()) as download:
        head = download.read(CUT)
        with path.open("r+b") as file:
            file.truncate(size)
        if after == OTHER:
            with pytest.raises(FetchError, match="it changed at the upstream"):
                download.readall()
            return
        replacement = tmp_path / "b.img"
        replacement.write_bytes(after)
        replacement.replace(path)
        assert head is not None
        assert head + download.readall() == CONTENT


class FtpData(DTPHandler):
    """Data connections of which the next break off after so many bytes, the last number first."""

    cuts: list[int] = []  # noqa: RUF012

    def send(self, data: bytes) -> int:
        if not FtpData.cuts:
            return int(super().send(data))
        sent: int = super().send(data[: FtpData.cuts.pop()])
        self.close()
        return sent


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[str]:
    """The address of an FTP server with the content as /dir/größe 1.img, for one user only."""
    folder = tmp_path / "ftp" / "dir"
    folder.mkdir(parents=True)
    (folder / "größe 1.img").write_bytes(CONTENT)
    (folder / "empty.img").write_bytes(b"")
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)

    class Handler(FTPHandler):
        authorizer = DummyAuthorizer()
        dtp_handler = FtpData
        use_sendfile = False
        auth_failed_timeout = 0

    Handler.authorizer.add_user("me", "geheim", str(tmp_path / "ftp"))
    FtpData.cuts = []
    server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"timeout": 0.05, "handle_exit": False})
    thread.start()
    yield f"ftp://me:geheim@127.0.0.1:{server.address[1]}/dir"
    server.close_all()
    thread.join()


def test_ftp(ftp: str) -> None:
    assert read(f"{ftp}/gr%C3%B6%C3%9Fe%201.img") == CONTENT
    assert read(f"{ftp}/empty.img") == b""
    assert last_modified(f"{ftp}/empty.img") is None
    with Download(f"{ftp}/gr%C3%B6%C3%9Fe%201.img") as download:
        assert download.size == len(CONTENT)
        assert download.read(10) == CONTENT[:10]


@pytest.mark.parametrize("cuts", [[1000], [500, 1000]], ids=["once", "and again, earlier"])
def test_ftp_that_breaks_off_is_read_again(ftp: str, cuts: list[int]) -> None:
    FtpData.cuts = cuts
    assert read(f"{ftp}/gr%C3%B6%C3%9Fe%201.img") == CONTENT


@pytest.mark.parametrize(
    ("path", "message"), [("nothing.img", "550"), ("a%0d%0aDELE%20b", "illegal newline character")]
)
def test_ftp_that_refuses(ftp: str, path: str, message: str) -> None:
    said = refused(f"{ftp}/{path}")
    assert message in said
    assert "geheim" not in said


def test_ftp_that_refuses_the_user(ftp: str) -> None:
    assert "530" in refused(f"{ftp.replace('geheim', 'falsch')}/a.img")


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
