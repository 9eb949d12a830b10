"""An upstream site that misbehaves on request: the sandbox's site with switches per path, and a log of requests."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

from openstack_image_manager.sandbox.site import Handler, Site


@dataclass(frozen=True)
class Request:
    """One request as it came in; header names in lower case."""

    method: str
    path: str
    headers: Mapping[str, str]


class Gate:
    """Holds bodies back until `parties` downloads are in flight, or `limit` seconds have passed."""

    def __init__(self, parties: int, limit: float = 60.0) -> None:
        self._barrier = threading.Barrier(parties)
        self._limit = limit
        self.opened = False

    def enter(self) -> None:
        """Wait for the others. Once open it stays open; once it timed out it lets everybody pass, unopened."""
        if self.opened or self._barrier.broken:
            return
        try:
            self._barrier.wait(self._limit)
        except threading.BrokenBarrierError:
            return
        self.opened = True


@dataclass
class Switches:
    """How one path misbehaves. `times`: for that many requests only, then as a healthy site; None: always."""

    times: int | None = None
    status: int | None = None  # answer just this
    retry_after: int | None = None  # seconds, sent along with `status`
    truncate: int | None = None  # close the connection after so many bytes of the body
    reset: int | None = None  # the same with a TCP reset
    redirect: tuple[int, str] | None = None  # status, location
    html: str | None = None  # 200 with this page
    head_status: int | None = None  # answer HEAD with this, GET as usual
    ranges: bool = True  # False: ignores Range
    bare: bool = False  # neither ETag nor Last-Modified
    picky: bool = False  # 403 without a User-Agent and for Python-urllib's
    contents: list[bytes] = field(default_factory=list)  # the n-th GET finds the n-th; the last one stays
    hold: threading.Event | None = None  # the body waits for it, half a minute at most
    entered: threading.Event | None = None  # set when a body is about to be sent
    delay: float = 0.0  # seconds before every 64 KiB of the body
    gate: Gate | None = None


class TestSite(Site):
    """`with serving(TestSite(directory)) as site:`; every request is kept in `requests`."""

    __test__ = False

    def __init__(self, directory: Path) -> None:
        super().__init__(directory, 0, _Handler)
        self.requests: list[Request] = []
        self.latency = 0.0  # seconds before every answer
        self.in_flight = self.busiest = 0
        self._switches: dict[str, Switches] = {}
        self._lock = threading.Lock()

    def shutdown_request(self, request: Any) -> None:
        """Only close: a shutdown before it would turn every reset into an ordinary end."""
        self.close_request(request)

    def put(self, path: str, content: bytes) -> str:
        """Publish `content` under `path` (like "/images/a.img") and return its URL. A new file, never a changed one."""
        target = self.directory / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(f".{target.name}.partial")
        partial.write_bytes(content)
        partial.replace(target)
        return self.url + path

    def on(self, path: str, switches: Switches) -> str:
        """From now on `path` behaves like that. Returns its URL."""
        self._switches[path] = switches
        return self.url + path

    def count(self, path: str, method: str = "GET") -> int:
        """How often that path was asked for."""
        return Counter((request.method, request.path) for request in self.requests)[method, path]

    @contextlib.contextmanager
    def answering(self) -> Iterator[Callable[[], None]]:
        """Count requests that are in flight, and let them wait for as long as the way takes. Yields what says that one
        is done: to be called before the last piece is sent, after which the next one may come at once."""
        open_ones = [self]

        def done() -> None:
            with self._lock:
                self.in_flight -= len(open_ones)
                open_ones.clear()

        with self._lock:
            self.in_flight += 1
            self.busiest = max(self.busiest, self.in_flight)
        try:
            if self.latency:
                threading.Event().wait(self.latency)
            yield done
        finally:
            done()

    def take(self, request: Request) -> Switches:
        """Log the request and tell how to answer it."""
        with self._lock:
            self.requests.append(request)
            switches = self._switches.get(request.path, Switches())
            if request.method == "GET" and switches.contents:
                left = switches.contents
                self.put(request.path, left.pop(0) if len(left) > 1 else left[0])
            if switches.times is not None:
                if switches.times == 0:
                    return Switches()
                switches.times -= 1
            return switches


class _Handler(Handler):
    server: TestSite
    switches = Switches()

    def do_GET(self) -> None:
        with self.server.answering() as self.done:
            self.answer()

    def answer(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        self.switches = switches = self.server.take(Request(self.command, self.path, headers))
        self.ranges = switches.ranges
        agent = headers.get("user-agent", "")
        if switches.picky and (not agent or agent.startswith("Python-urllib")):
            self.send_text(403, "text/plain", "forbidden\n")
        elif switches.head_status is not None and self.command == "HEAD":
            self.send_text(switches.head_status, "text/plain", "")
        elif switches.status is not None:
            self.fail(switches.status)
        elif switches.redirect is not None:
            self.send_response(switches.redirect[0])
            self.send_header("Location", switches.redirect[1])
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif switches.html is not None:
            if switches.gate:
                switches.gate.enter()
            self.send_text(200, "text/html", switches.html)
        else:
            super().do_GET()

    def send_header(self, keyword: str, value: str) -> None:
        if not (self.switches.bare and keyword in ("ETag", "Last-Modified")):
            super().send_header(keyword, value)

    def fail(self, status: int) -> None:
        self.send_response(status)
        if self.switches.retry_after is not None:
            self.send_header("Retry-After", str(self.switches.retry_after))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def send_body(self, file: BinaryIO, length: int) -> None:
        switches = self.switches
        if switches.gate:
            switches.gate.enter()
        if switches.entered:
            switches.entered.set()
        if switches.hold:
            switches.hold.wait(110)
        cuts = [cut for cut in (switches.truncate, switches.reset) if cut is not None]
        left = min([length, *cuts])
        pause = threading.Event()
        while left > 0 and (chunk := file.read(min(64 * 1024, left))):
            if switches.delay:
                pause.wait(switches.delay)
            left -= len(chunk)
            if left <= 0:
                self.done()
            self.wfile.write(chunk)
        if cuts:
            self.close_connection = True
        if switches.reset is not None:
            reset_on_close(self.connection)


def reset_on_close(connection: socket.socket) -> None:
    """Make the other side see a reset instead of an end: linger for zero seconds."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
