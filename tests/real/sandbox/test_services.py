"""The test services themselves: the misbehaving site and the proxy in front of Glance."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import requests
from openstack.connection import Connection
from tests.real.conftest import connection
from tests.support.proxy import Proxy, Rule
from tests.support.site import Gate, Switches, TestSite

CONTENT = bytes(range(256)) * 4096  # 1 MiB


@pytest.fixture
def url(site: TestSite) -> str:
    return site.put("/a.img", CONTENT)


def test_ranges_and_validators(url: str) -> None:
    whole = requests.get(url, timeout=60)
    assert whole.content == CONTENT
    etag = whole.headers["ETag"]
    assert not etag.startswith("W/")
    part = requests.get(url, headers={"Range": "bytes=10-19", "If-Range": etag}, timeout=60)
    assert (part.status_code, part.content, part.headers["Content-Range"]) == (
        206,
        CONTENT[10:20],
        "bytes 10-19/1048576",
    )
    assert requests.get(url, headers={"Range": "bytes=-5"}, timeout=60).content == CONTENT[-5:]
    assert requests.get(url, headers={"Range": "bytes=1048570-"}, timeout=60).content == CONTENT[-6:]
    assert requests.get(url, headers={"Range": "bytes=1048576-"}, timeout=60).status_code == 416
    assert requests.get(url, headers={"Range": "bytes=0-1", "If-Range": '"other"'}, timeout=60).status_code == 200
    assert requests.head(url, timeout=60).headers["Content-Length"] == "1048576"
    assert requests.get(url + "x", timeout=60).status_code == 404
    assert requests.get(url.replace("a.img", "%2e%2e/%2e%2e/etc/passwd"), timeout=60).status_code == 404


def test_statuses_redirects_and_pages(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(status=503, retry_after=1, times=2))
    assert [requests.get(url, timeout=60).status_code for _ in range(3)] == [503, 503, 200]
    for status in (301, 302, 307, 308):
        moved = site.on("/moved", Switches(redirect=(status, url)))
        assert requests.get(moved, timeout=60).content == CONTENT
    assert requests.get(site.on("/page.img", Switches(html="<p>hi")), timeout=60).text == "<p>hi"
    site.on("/a.img", Switches(picky=True))
    assert requests.get(url, timeout=60).status_code == 200
    assert requests.get(url, headers={"User-Agent": "Python-urllib/3.11"}, timeout=60).status_code == 403
    assert site.count("/a.img") == 3 + 4 + 2


def _read_all(raw: socket.socket) -> None:
    while raw.recv(65536):
        pass


def test_broken_bodies(site: TestSite, url: str) -> None:
    site.on("/a.img", Switches(truncate=1000))
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="1000 bytes read"):
        requests.get(url, timeout=60)
    site.on("/a.img", Switches(reset=300_000))
    with socket.create_connection(site.server_address) as raw:
        raw.sendall(b"GET /a.img HTTP/1.1\r\nHost: x\r\n\r\n")
        with pytest.raises(ConnectionResetError):
            _read_all(raw)
    site.on("/a.img", Switches(ranges=False))
    assert requests.get(url, headers={"Range": "bytes=0-1"}, timeout=60).status_code == 200
    site.on("/a.img", Switches(contents=[b"one", b"two"]))
    first, second = (requests.get(url, timeout=60) for _ in range(2))
    assert (first.content, second.content) == (b"one", b"two")
    assert first.headers["ETag"] != second.headers["ETag"]


def test_the_gate_opens_for_enough_downloads_only(site: TestSite, url: str) -> None:
    gate = Gate(3)
    site.on("/a.img", Switches(gate=gate))
    with ThreadPoolExecutor(3) as pool:
        bodies = list(pool.map(lambda _: requests.get(url, timeout=30).content, range(3)))
    assert gate.opened
    assert bodies == [CONTENT] * 3
    alone = Gate(2, limit=0.1)
    site.on("/a.img", Switches(gate=alone))
    assert requests.get(url, timeout=30).content == CONTENT
    assert not alone.opened


@pytest.fixture
def through(proxied_clouds: Path) -> object:
    with connection(proxied_clouds, "openstack") as connected:
        yield connected


def _create(cloud: Connection, tag: str) -> str:
    body = {"name": "x", "disk_format": "raw", "container_format": "bare", "visibility": "private", "tags": [tag]}
    answer = cloud.image.post("/images", json=body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def test_everything_goes_through_the_proxy(proxy: Proxy, through: Connection, tag: str) -> None:
    image = _create(through, tag)
    assert next(through.image.images(tag=tag)).id == image
    assert proxy.count("POST", "/v2/images") == 1
    assert proxy.count("GET", "/v2/images") == 1
    assert through.image.get_endpoint().startswith(proxy.url)


def _wait_for_status(cloud: Connection, image: str, status: str) -> None:
    pause = threading.Event()
    limit = time.monotonic() + 60
    while (found := cloud.image.get(f"/images/{image}").json()["status"]) != status:
        assert time.monotonic() < limit, found
        pause.wait(0.05)


@pytest.mark.parametrize("chunked", [True, False])
def test_bodies_stream_both_ways(proxy: Proxy, through: Connection, tag: str, chunked: bool) -> None:
    image = _create(through, tag)
    data = (CONTENT[start : start + 99_999] for start in range(0, len(CONTENT), 99_999)) if chunked else CONTENT
    headers = {"Content-Type": "application/octet-stream"}
    assert through.image.put(f"/images/{image}/file", data=data, headers=headers).status_code == 204
    assert through.image.get(f"/images/{image}/file").content == CONTENT
    assert [call.status for call in proxy.calls if call.path.endswith("/file")] == [204, 200]


def test_a_client_that_breaks_off_is_seen_by_glance(proxy: Proxy, through: Connection, tag: str) -> None:
    image = _create(through, tag)
    token = through.session.get_token()
    with socket.create_connection(proxy.server_address) as raw:
        head = f"PUT /v2/images/{image}/stage HTTP/1.1\r\nHost: x\r\nX-Auth-Token: {token}\r\n"
        raw.sendall((head + "Content-Type: application/octet-stream\r\nContent-Length: 9999999\r\n\r\n").encode())
        raw.sendall(CONTENT)
        _wait_for_status(through, image, "uploading")
    _wait_for_status(through, image, "queued")
    # it can be staged again
    headers = {"Content-Type": "application/octet-stream"}
    assert through.image.put(f"/images/{image}/stage", data=CONTENT, headers=headers).status_code == 204


def test_rules(proxy: Proxy, through: Connection, tag: str) -> None:
    image = _create(through, tag)
    path = f"/v2/images/{image}"
    token = through.session.get_token()

    def ask(method: str, body: str | None = None) -> int:
        client = http.client.HTTPConnection(*proxy.server_address, timeout=30)
        try:
            kind = "application/openstack-images-v2.1-json-patch"
            client.request(method, path, body, {"X-Auth-Token": token, "Content-Type": kind})
            return client.getresponse().status
        finally:
            client.close()

    proxy.add(Rule("GET", path, nth=2, status=500))
    assert [ask("GET") for _ in range(3)] == [200, 500, 200]
    proxy.clear()
    proxy.add(Rule("PATCH", path, reset="before"))
    proxy.add(Rule("PATCH", path, reset="after"))
    for value, kept in (("lost", None), ("kept", "kept")):
        with pytest.raises(ConnectionResetError):
            ask("PATCH", f'[{{"op": "add", "path": "/p", "value": "{value}"}}]')
        assert through.image.get(f"/images/{image}").json().get("p") == kept
    event = threading.Event()
    proxy.add(Rule("GET", path, hold=event, before=event.set))
    assert ask("GET") == 200
    assert [(call.method, call.status) for call in proxy.calls if call.method == "PATCH"] == [("PATCH", None)] * 2


def test_a_rule_can_kill_the_client(proxy: Proxy, proxied_clouds: Path, tag: str) -> None:
    script = f"""
import openstack
connection = openstack.connect("openstack")
body = dict(name="x", disk_format="raw", container_format="bare", tags=["{tag}"])
connection.image.post("/images", json=body)
"""
    env = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(proxied_clouds)}
    with subprocess.Popen([sys.executable, "-c", script], env=env) as client:
        proxy.add(Rule("POST", "/v2/images", after=client.kill))
        assert client.wait(60) == -signal.SIGKILL
    assert proxy.count("POST", "/v2/images") == 1
