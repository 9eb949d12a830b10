"""Serve a small HTTP site on loopback as an upstream: GET and HEAD with ranges, ETag and Last-Modified."""

from __future__ import annotations

import contextlib
import email.utils
import html
import re
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import BinaryIO, TypeVar
from urllib.parse import quote, unquote, urlsplit

HOST = "127.0.0.1"  # repeated here: this file also runs by itself
_CHUNK = 256 * 1024


class Site(ThreadingHTTPServer):
    """Serves `directory` on 127.0.0.1; port 0 selects a free one."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, directory: Path, port: int = 0, handler: type[Handler] | None = None) -> None:
        self.directory = directory.resolve()
        super().__init__((HOST, port), handler or Handler)

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    """Answers one connection with files and listings of directories."""

    server: Site
    protocol_version = "HTTP/1.1"
    server_version = "site"
    sys_version = ""
    ranges = True

    def do_GET(self) -> None:
        """Answer with a file, a part of it, or a listing."""
        target = self.find()
        if target is None:
            self.send_text(404, "text/plain", "not found\n")
        elif target.is_dir():
            self.send_text(200, "text/html; charset=utf-8", _listing(target))
        else:
            with target.open("rb") as file:
                self.send_file(file, target)

    def do_HEAD(self) -> None:
        """Answer the same without the body."""
        self.do_GET()

    def find(self) -> Path | None:
        """Return the file or directory of the request below the site's root."""
        path = unquote(urlsplit(self.path).path).lstrip("/")
        if "\0" in path:
            return None
        target = (self.server.directory / path).resolve()
        return target if target.is_relative_to(self.server.directory) and target.exists() else None

    def send_file(self, file: BinaryIO, path: Path) -> None:
        """Answer with the file: 200, 206 for one range, or 416 (RFC 9110, section 14)."""
        stat = path.stat()
        etag = f'"{stat.st_ino:x}-{stat.st_mtime_ns:x}-{stat.st_size:x}"'
        modified = email.utils.formatdate(stat.st_mtime, usegmt=True)
        part = self._range(stat.st_size, (etag, modified)) if self.ranges else None
        if part is not None and part.start >= stat.st_size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{stat.st_size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        span = part if part is not None else range(stat.st_size)
        self.send_response(200 if part is None else 206)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", str(len(span)))
        if part is not None:
            self.send_header("Content-Range", f"bytes {part.start}-{part.stop - 1}/{stat.st_size}")
        if self.ranges:
            self.send_header("Accept-Ranges", "bytes")
        self.send_header("ETag", etag)
        self.send_header("Last-Modified", modified)
        self.end_headers()
        if self.command == "GET":
            file.seek(span.start)
            self.send_body(file, len(span))

    def send_body(self, file: BinaryIO, length: int) -> None:
        """Send the next `length` bytes of the file."""
        while length > 0 and (chunk := file.read(min(_CHUNK, length))):
            self.wfile.write(chunk)
            length -= len(chunk)

    def send_text(self, status: int, kind: str, text: str) -> None:
        """Answer with a short text."""
        body = text.encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def _range(self, size: int, validators: tuple[str, str]) -> range | None:
        """Return the requested range; None for the whole file: no range, several, or a stale `If-Range`."""
        match = re.fullmatch(r"bytes=(\d*)-(\d*)", self.headers.get("Range", "").strip())
        if not match or match.groups() == ("", ""):
            return None
        condition = self.headers.get("If-Range")
        if condition is not None and condition not in validators:
            return None
        first, last = match.groups()
        if not first:
            return range(max(0, size - int(last)), size) if int(last) else range(size, size)
        return range(int(first), min(int(last) + 1, size) if last else size)

    def handle(self) -> None:
        """Ignore a client that closes the connection."""
        with contextlib.suppress(ConnectionError, TimeoutError):
            super().handle()

    def log_message(self, format: str, *args: object) -> None:
        """Log nothing: the log is not read."""


def _listing(directory: Path) -> str:
    names = sorted(path.name + "/" * path.is_dir() for path in directory.iterdir() if not path.name.startswith("."))
    rows = "".join(f'<li><a href="{quote(name)}">{html.escape(name)}</a></li>\n' for name in ["../", *names])
    return f"<!DOCTYPE html>\n<title>Index</title>\n<ul>\n{rows}</ul>\n"


_Server = TypeVar("_Server", bound=ThreadingHTTPServer)


@contextlib.contextmanager
def serving(server: _Server) -> Iterator[_Server]:
    """Serve in a background thread while the block runs."""
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


if __name__ == "__main__":
    Site(Path(sys.argv[1]), int(sys.argv[2])).serve_forever()
