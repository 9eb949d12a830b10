"""An OpenID Connect provider on loopback that nobody confirms a device login at."""

from __future__ import annotations

import json
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER_CODE = "ABCD-EFGH"
EXPIRES_IN = 1  # second; then the login gives up


class DeviceLogin(ThreadingHTTPServer):
    """Offers the device flow (RFC 8628), and answers that the person has not been there yet."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.address = f"{self.url}/go?user_code={USER_CODE}"


class _Handler(BaseHTTPRequestHandler):
    server: DeviceLogin

    def _answer(self, status: int, **data: object) -> None:
        body = json.dumps(data).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_GET(self) -> None:
        url = self.server.url
        self._answer(200, issuer=url, token_endpoint=f"{url}/token", device_authorization_endpoint=f"{url}/device")

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path != "/device":
            self._answer(400, error="authorization_pending")
            return
        place = {"verification_uri": f"{self.server.url}/go", "verification_uri_complete": self.server.address}
        self._answer(200, device_code="d", user_code=USER_CODE, expires_in=EXPIRES_IN, interval=1, **place)

    def log_message(self, *_: object) -> None:
        """Print nothing."""
