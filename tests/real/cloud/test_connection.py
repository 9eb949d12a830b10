"""Trouble on the way to the cloud: one clear line on standard error, exit code 1, nothing secret anywhere."""

from __future__ import annotations

import json
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.support.attempts import SECRET, Attempt, refused, spoilt
from tests.support.bench import CLOSED, Bench
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.sandbox.site import serving


@pytest.mark.parametrize(
    ("changes", "parts"),
    [
        ({"password": SECRET}, ("login refused; check user, password and project",)),
        ({"username": "nobody"}, ("login refused",)),
        ({"project_name": "nowhere"}, ("login refused",)),
        ({"user_domain_id": "nowhere"}, ("login refused",)),
        ({"password": None}, ("password", "check the cloud's entry in clouds.yaml")),
        ({"username": None}, ("login at http://127.0.0.1", "id or name must be present", "check auth_url, user")),
        ({"auth_url": None}, ("login data is incomplete", "auth_url")),
        ({"project_name": None, "project_domain_id": None}, ("for no project; set project_name",)),
        ({"auth_type": "magic"}, ("login data is incomplete", "magic")),
        ({"auth_url": f"{CLOSED}/v3"}, (f"no connection to {CLOSED}/v3", "(Connection refused)")),
        ({"auth_url": CLOSED}, (f"no connection to {CLOSED}", "check that address")),
        ({"auth_url": f"http://admin:{SECRET}@127.0.0.1:9/v3"}, (f"no connection to {CLOSED}/v3",)),
        ({"auth_url": "http://no.such.host.invalid/v3"}, ("no connection to http://no.such.host.invalid/v3",)),
        ({"auth_url": "keystone.example"}, ("login at keystone.example failed", "check auth_url")),
        ({"cacert": "/missing.pem", "auth_url": "https://127.0.0.1:9/v3"}, ("/missing.pem", "clouds.yaml")),
        ({"region_name": "Nowhere"}, ("no image service in the catalogue", "'Nowhere'", "clouds.yaml")),
        ({"interface": "private"}, ("no image service in the catalogue", "'private'", "clouds.yaml")),
    ],
)
def test_login(attempt: Attempt, entry: dict[str, Any], changes: dict[str, Any], parts: tuple[str, ...]) -> None:
    refused(attempt(spoilt(entry, **changes)), "cloud 'openstack': ", *parts)


class Answers(ThreadingHTTPServer):
    """A server that says the same to everybody; with a certificate over TLS."""

    daemon_threads = True

    def __init__(self, status: int, body: str, certificate: Path | None = None) -> None:
        self.status, self.body = status, body.encode()
        super().__init__(("127.0.0.1", 0), _Answer)
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self.socket = context.wrap_socket(self.socket, server_side=True)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Answer(BaseHTTPRequestHandler):
    server: Answers

    def do_GET(self) -> None:
        self.send_response(self.server.status)
        self.send_header("Content-Length", str(len(self.server.body)))
        self.end_headers()
        self.wfile.write(self.server.body)

    do_POST = do_GET

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, "<html>no", "Internal Server Error (HTTP 500)"),
        (404, "<html>no", "Not Found (HTTP 404)"),
        (200, "<html>welcome", "Invalid response"),
        (200, "[]", "login"),
        (200, "", "login"),
    ],
)
def test_what_answers_is_not_keystone(
    attempt: Attempt, entry: dict[str, Any], status: int, body: str, said: str
) -> None:
    with serving(Answers(status, body)) as server:
        refused(attempt(spoilt(entry, auth_url=f"{server.url}/v3")), "cloud 'openstack': ", said)


@pytest.mark.parametrize("body", ["<html>welcome", "[]", "{}"])
def test_what_answers_is_not_glance(attempt: Attempt, entry: dict[str, Any], body: str) -> None:
    with serving(Answers(200, body)) as server:
        outcome = attempt(spoilt(entry, image_endpoint_override=server.url))
        refused(
            outcome, f"{server.url}/v2/images does not answer as Glance does", "check its endpoint in the catalogue"
        )


def self_signed(path: Path) -> Path:
    """A certificate for 127.0.0.1 that nobody vouches for, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), 1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    path.write_bytes(private + certificate.public_bytes(pem))
    return path


def test_a_certificate_that_nobody_vouches_for(attempt: Attempt, entry: dict[str, Any], tmp_path: Path) -> None:
    with serving(Answers(200, "{}", self_signed(tmp_path / "server.pem"))) as server:
        auth_url = server.url.replace("http:", "https:") + "/v3"
        refused(attempt(spoilt(entry, auth_url=auth_url)), "TLS failed", auth_url, "self", "cacert")


@contextmanager
def silence() -> Iterator[str]:
    """The address of a server that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_a_service_that_never_answers_is_given_up(attempt: Attempt, entry: dict[str, Any]) -> None:
    """`api_timeout` of clouds.yaml, in seconds, holds for every answer; without it the tool has its own."""
    with silence() as url:
        outcome = attempt(spoilt(entry, auth_url=f"{url}/v3", api_timeout=0.2))
        refused(outcome, f"no connection to {url}/v3", "(timed out)")


def test_glance_is_down(attempt: Attempt, entry: dict[str, Any]) -> None:
    outcome = attempt(spoilt(entry, image_endpoint_override=CLOSED))
    refused(outcome, f"no connection to {CLOSED}/v2/images", "(Connection refused)")


def test_a_busy_glance_is_asked_four_times(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule(status=503, body="<html><title>x</title><body>Try later", times=None))
    refused(watched.run("plan"), "cloud 'openstack': cannot list its images: Glance answered 503: Try later")
    # Visible and hidden images are two questions at the same time, and who hears "no" does not wait for the other.
    assert 5 <= proxy.count("GET", "/v2/images") <= 8


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v2/images"),
        ("POST", ".*/import"),
        ("PATCH", ".*"),
    ],
)
def test_a_token_that_ends_in_mid_run_is_renewed(
    watched: Bench, proxy: Proxy, sandbox: Sandbox, method: str, path: str
) -> None:
    watched.define(watched.ubuntu("1"))
    with serving(Proxy(sandbox.url("keystone"))) as keystone:
        direct = watched.clouds.read_text()
        watched.clouds.write_text(direct.replace(sandbox.url("keystone"), keystone.url))
        proxy.add(Rule(method, path, status=401))
        outcome = watched.run()
        assert outcome.code == 0, outcome.text
        assert keystone.count("POST", "/v3/auth/tokens") == 2
    watched.clouds.write_text(direct)
    watched.converged()


def test_an_upload_whose_token_ends_is_made_by_the_next_run(watched: Bench, proxy: Proxy) -> None:
    """Bytes that are gone can't be sent again; tokens that only grow old are renewed before every request."""
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule("PUT", ".*/stage", status=401))
    outcome = watched.run()
    assert outcome.code == 1
    assert "run again" in outcome.out
    assert watched.run().code == 0
    watched.converged()


def test_nothing_secret_is_told_or_stored(watched: Bench, entry: dict[str, Any], tmp_path: Path) -> None:
    version = watched.version("1")
    open_url = version["url"]
    address = open_url.replace("http://", f"http://reader:{SECRET}@") + f"?X-Amz-Signature={SECRET}&part=1"
    watched.define(watched.ubuntu({**version, "url": address, "mirror_url": address}, password=SECRET))
    saved = tmp_path / "saved.plan"
    told = [
        watched.run("plan", "--out", str(saved)).text,
        watched.run("plan", "--output", "json").text,
        watched.run("plan", "--output", "markdown").text,
        saved.read_text(),
    ]
    with watched.start("--debug") as process:
        debug, _ = process.communicate(timeout=60)
    assert process.returncode == 0, debug
    assert "/v3/auth/tokens" in debug
    assert "/stage" in debug
    told += [debug, repr(watched.image("1"))]
    gone = {**version, "version": "2", "url": address.replace("1.img", "missing.img")}
    watched.define(watched.ubuntu(gone))
    failed = watched.run()
    assert (failed.code, f"{watched.site.url}/missing.img" in failed.out) == (1, True), failed.text
    told.append(failed.text)
    for text in told:
        assert SECRET not in text
        assert entry["auth"]["password"] not in text
        assert "gAAAA" not in text  # every Fernet token begins with it
    assert json.loads(told[1])["clouds"][0]["changes"][0]["url"] == f"{open_url}?part=1"
    assert watched.image("1").properties["image_source"] == f"{open_url}?part=1"


def test_projects_are_found_where_openstacksdk_was_loaded_in_parts(bench: Bench) -> None:
    """In a process of its own: here the tests have loaded all of it."""
    bench.define(bench.ubuntu("1", visibility="shared", members=["member"]))
    process = bench.start()
    text, _ = process.communicate(timeout=100)
    assert process.returncode == 0, text
    assert "1 ok, 0 failed" in text
    bench.converged()


def test_a_run_with_wrong_definitions_does_not_wait_for_the_cloud(watched: Bench, proxy: Proxy) -> None:
    hold = threading.Event()
    proxy.add(Rule("GET", "/v2/images", times=None, hold=hold))
    watched.define({"name": "Broken", "format": "qcow2"})
    process = watched.start("plan")
    text, _ = process.communicate(timeout=100)
    hold.set()
    assert (process.returncode, "images.yml:" in text) == (1, True), text
