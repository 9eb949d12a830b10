"""A server on loopback that answers as a test says, request after request."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.downloads import CONTENT

DAY = "Sun, 22 Nov 2026 10:00:00 GMT"
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
    """A server for what no well-behaved site does: `with serving(Script(answer, answer)) as server:`."""

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
    """That status, with the content, or what comes before the cut."""

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
    """The pieces, without saying how long they are together; `end`: that there is no more."""
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for piece in pieces:
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n" if end else b"")
    handler.close_connection = True
