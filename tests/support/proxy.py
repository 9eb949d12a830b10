"""A proxy in front of a real service (Glance, Swift) that counts requests and breaks the n-th one that matches a rule.

Bodies pass through in pieces in both directions, and a connection that breaks off on one side breaks off on the other.
"""

from __future__ import annotations

import contextlib
import http.client
import re
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal
from urllib.parse import urlsplit

from tests.support.site import reset_on_close

HOST = "127.0.0.1"
_CHUNK = 64 * 1024
# RFC 9110, 7.6.1: these belong to one connection
_HOP = {"connection", "keep-alive", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade"}


@dataclass(frozen=True)
class Call:
    """One request through the proxy: `path` without its query, `status` None if no answer was passed on."""

    method: str
    path: str
    status: int | None


@dataclass
class Rule:
    """What happens to matching requests, from the `nth` (counted from 1) on, `times` of them (None: all).

    `method` and `path` are regular expressions for the whole method and path. Order: `before`, `hold`, `reset`
    "before", `status`, forwarding, `after`, `reset` "after" (the answer is lost). `cut`: both connections are reset
    after so many bytes of a body, the request's if it has one, else the answer's.
    """

    method: str = ".*"
    path: str = ".*"
    nth: int = 1
    times: int | None = 1
    before: Callable[[], object] | None = None
    hold: threading.Event | None = None  # waited for two minutes at most
    status: int | None = None
    body: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)  # further ones of the answer with `status`
    query: str = ".*"
    alter: Callable[[bytes], bytes] | None = None  # the body that is passed on instead of the service's
    drip: threading.Event | None = None  # until it is set, the answer is a head and a byte now and then
    reset: Literal["before", "after"] | None = None
    cut: int | None = None
    after: Callable[[], object] | None = None
    seen: int = 0

    def takes(self, method: str, path: str, query: str = "") -> bool:
        """Count the request if it matches; True if it is one of those meant."""
        matches = zip((self.method, self.path, self.query), (method, path, query), strict=True)
        if not all(re.fullmatch(pattern, value) for pattern, value in matches):
            return False
        self.seen += 1
        return self.seen >= self.nth and (self.times is None or self.seen < self.nth + self.times)


class Proxy(ThreadingHTTPServer):
    """Forwards to `target` (http://host:port). `calls` is the log, in the order of the answers."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, target: str) -> None:
        address = urlsplit(target)
        self.target = (address.hostname or HOST, address.port or 80)
        self.calls: list[Call] = []
        self._rules: list[Rule] = []
        self._lock = threading.Lock()
        super().__init__((HOST, 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"

    def shutdown_request(self, request: Any) -> None:
        """Only close: a shutdown before it would turn every reset into an ordinary end."""
        self.close_request(request)

    def add(self, rule: Rule) -> Rule:
        """Add a rule; the first one that takes a request decides."""
        self._rules.append(rule)
        return rule

    def clear(self) -> None:
        """Forget rules and calls."""
        self._rules.clear()
        self.calls.clear()

    def count(self, method: str = ".*", path: str = ".*") -> int:
        """How many requests matched both regular expressions."""
        return sum(bool(re.fullmatch(method, call.method) and re.fullmatch(path, call.path)) for call in self.calls)

    def rule_for(self, method: str, path: str, query: str) -> Rule:
        with self._lock:
            return next((rule for rule in self._rules if rule.takes(method, path, query)), Rule())


class _Lost(Exception):
    """One side of the connection is gone."""


@contextlib.contextmanager
def _losing() -> Iterator[None]:
    """Tell the client's broken connection from the service's."""
    try:
        yield
    except OSError as error:
        raise _Lost from error


class _Handler(BaseHTTPRequestHandler):
    server: Proxy
    protocol_version = "HTTP/1.1"

    def serve(self) -> None:
        parts = urlsplit(self.path)
        self.logged = False
        rule = self.server.rule_for(self.command, parts.path, parts.query)
        self.cut = rule.cut
        try:
            self.pass_on(rule)
        except (OSError, http.client.HTTPException, _Lost):
            self.close_connection = True
            reset_on_close(self.connection)
            self.log(None)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = serve

    def log(self, status: int | None) -> None:
        """Before the answer is sent, so that who got it finds it in the log; once per request."""
        if not self.logged:
            self.server.calls.append(Call(self.command, urlsplit(self.path).path, status))
        self.logged = True

    def pass_on(self, rule: Rule) -> None:
        if rule.before:
            rule.before()
        if rule.hold:
            rule.hold.wait(110)
        if rule.reset == "before":
            raise _Lost
        if rule.status is not None:
            self.answer(rule.status, rule.body.encode(), rule.headers)
            return
        if rule.drip:
            self.drip(rule.drip)
            return
        service = http.client.HTTPConnection(*self.server.target, timeout=120)
        try:
            self.send_request(service)
            response = service.getresponse()
            if rule.after:
                rule.after()
            if rule.reset == "after":
                response.read()
                raise _Lost
            if rule.alter:
                date = {"Date": response.getheader("Date") or ""}
                self.answer(response.status, rule.alter(response.read()), date)
            else:
                self.send_back(response)
        finally:
            service.close()

    def drip(self, stop: threading.Event) -> None:
        for _ in self.body():
            pass
        self.send_response(200)
        self.send_header("Content-Length", "1000000")
        self.end_headers()
        while not stop.wait(0.2):
            with _losing():
                self.wfile.write(b" ")
        raise _Lost

    def answer(self, status: int, body: bytes, headers: Mapping[str, str]) -> None:
        for _ in self.body():
            pass
        self.log(status)
        self.send_response_only(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_request(self, service: http.client.HTTPConnection) -> None:
        # Host stays the proxy's: signatures of S3 requests cover it, and Glance builds its own addresses from it
        service.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        chunked = "Transfer-Encoding" in self.headers
        for name, value in self.headers.items():
            if name.lower() not in _HOP | {"expect"}:
                service.putheader(name, value)
        if chunked:
            service.putheader("Transfer-Encoding", "chunked")
        service.endheaders()
        try:
            for piece in self.until_cut(self.body()):
                service.send(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            if chunked:
                service.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # Glance refuses the rest, and may have said why

    def body(self) -> Iterator[bytes]:
        """The request's body in pieces as they come. Raises _Lost if the client breaks off."""
        if "Transfer-Encoding" in self.headers:
            while size := int(self.line().split(b";")[0], 16):
                yield from self.exactly(size)
                self.line()
            self.line()
        else:
            yield from self.exactly(int(self.headers.get("Content-Length") or 0))

    def until_cut(self, pieces: Iterable[bytes]) -> Iterator[bytes]:
        """The same pieces. Raises _Lost where the rule cuts."""
        for piece in pieces:
            if self.cut is not None and self.cut <= len(piece):
                yield piece[: self.cut]
                raise _Lost
            if self.cut is not None:
                self.cut -= len(piece)
            yield piece

    def line(self) -> bytes:
        with _losing():
            line = self.rfile.readline(1024)
        if not line.endswith(b"\n"):
            raise _Lost
        return line

    def exactly(self, size: int) -> Iterator[bytes]:
        while size:
            with _losing():
                piece = self.rfile.read(min(size, _CHUNK))
            if not piece:
                raise _Lost
            yield piece
            size -= len(piece)

    def send_back(self, response: http.client.HTTPResponse) -> None:
        self.log(response.status)
        self.send_response_only(response.status, response.reason)
        for name, value in response.getheaders():
            if name.lower() not in _HOP:
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        chunked = not bodiless and response.length is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        for piece in self.until_cut(iter(lambda: response.read1(_CHUNK), b"")):
            self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece) if chunked else piece)
            sent += len(piece)
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        elif not bodiless and sent < int(response.getheader("Content-Length") or 0):
            raise _Lost

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        pass
