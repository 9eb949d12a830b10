"""Nova and Cinder as far as they tell what came from an image: the shapes of their APIs, on loopback.

compute: GET /v2.1/servers?all_tenants=1&image=ID; block storage: GET /v3/volumes/detail, /v3/snapshots/detail, and
/v3/types?is_public=VALUE, by which Cinder shows who is an administrator. Listings come in pages.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit


@dataclass
class Used:
    """What there is, by image id: numbers of servers, of volumes, and of snapshots of the first of those volumes."""

    servers: dict[str, int] = field(default_factory=dict)
    volumes: dict[str, int] = field(default_factory=dict)
    snapshots: dict[str, int] = field(default_factory=dict)


class Consumers(ThreadingHTTPServer):
    """Both services at one address; `forbidden`: this user may not see all projects. Pages have two entries.

    `instead`: by kind, what is answered in place of it, made from the marker. A text is an address to redirect to."""

    daemon_threads = True

    def __init__(self) -> None:
        self.used = Used()
        self.forbidden = False
        self.instead: dict[str, Callable[[str], object]] = {}
        self.asked: list[str] = []
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def entries(self, kind: str, image: str | None) -> list[dict[str, object]]:
        """All that a listing of the kind shows."""
        if kind == "servers":
            numbers = {key: n for key, n in self.used.servers.items() if image in (None, key)}
            return [{"id": f"server-{i}", "image": {"id": key}} for key, n in numbers.items() for i in range(n)]
        volumes = [
            {"id": f"volume-{key}-{i}", "volume_image_metadata": {"image_id": key}}
            for key, n in self.used.volumes.items()
            for i in range(n)
        ]
        if kind == "volumes":
            return [{"id": "empty"}, {"id": "blank", "volume_image_metadata": None}, *volumes]
        return [
            {"id": f"snapshot-{i}", "volume_id": f"volume-{key}-0"}
            for key, n in self.used.snapshots.items()
            for i in range(n)
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Consumers
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body are written one after the other

    def do_GET(self) -> None:
        parts = urlsplit(self.path)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        _, version, kind, *_ = [*parts.path.split("/"), "", ""]
        self.server.asked.append(self.path)
        if version != ("v2.1" if kind == "servers" else "v3"):
            self.answer(404, {"itemNotFound": {"message": "The resource could not be found.", "code": 404}})
            return
        if kind in self.server.instead:
            body = self.server.instead[kind](query.get("marker", ""))
            self.answer(302 if isinstance(body, str) else 200, body)
            return
        if kind == "types" and not self.server.forbidden:
            self.answer(400, {"badRequest": {"message": "Invalid is_public filter [unknown]", "code": 400}})
            return
        if self.server.forbidden or query.get("all_tenants") != "1" or "X-Auth-Token" not in self.headers:
            self.answer(403, {"forbidden": {"message": "Policy doesn't allow it", "code": 403}})
            return
        entries = [] if "status" in query else self.server.entries(kind, query.get("image"))
        start = int(query.get("marker", "0"))
        page: dict[str, object] = {kind: entries[start : start + 2]}
        if start + 2 < len(entries):
            image = f"&image={query['image']}" if "image" in query else ""
            href = f"{self.server.url}{parts.path}?all_tenants=1{image}&marker={start + 2}"
            page[f"{kind}_links"] = [{"rel": "next", "href": href}]
        self.answer(200, page)

    def answer(self, status: int, body: object) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        if isinstance(body, str):
            self.send_header("Location", body)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass
