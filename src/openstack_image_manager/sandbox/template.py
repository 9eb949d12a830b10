"""Bootstrapped databases, made once and copied for every new sandbox: the schema alone takes 20 s to create."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import secrets
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from openstack_image_manager.errors import Error
from openstack_image_manager.sandbox import config, process
from openstack_image_manager.sandbox.install import MARKER, discard, fingerprint, is_complete
from openstack_image_manager.sandbox.process import HOST, Say


def make(directory: Path, python: Path, log: Path, say: Say) -> None:
    """Make sure `directory` holds `keystone/`, `glance/` and `password`; a half-made or outdated one is made anew."""
    wanted = fingerprint()
    if is_complete(directory, wanted):
        return
    say("Preparing empty databases (once; about 20 seconds)")
    partial = directory.with_name(directory.name + ".partial")
    for path in (partial, directory):
        discard(path)
    keystone, glance = partial / "keystone", partial / "glance"
    for path in (keystone, glance):
        path.mkdir(parents=True)
    password = secrets.token_hex(12)
    (partial / "password").write_text(password)
    log.write_text("")
    port = process.free_port(set())
    _keystone(keystone, python, password, port, log)
    (glance / "glance-manage.conf").write_text(config.ini({"database": {"connection": _url(glance)}}, {}))
    _run([str(python.with_name("glance-manage")), f"--config-dir={glance}", "db_sync"], {}, log)
    (glance / "glance-manage.conf").unlink()
    with _running(keystone, python, port, log):
        _fill(port, password)
    for path in (keystone, glance):
        _settle(path / f"{path.name}.sqlite")
    (partial / MARKER).write_text(wanted)
    partial.rename(directory)


def point(database: Path, urls: dict[tuple[str, str], str]) -> None:
    """Write the services' addresses into Keystone's catalogue; keys are (service type, region)."""
    query = "UPDATE endpoint SET url = ? WHERE region_id = ? AND service_id IN (SELECT id FROM service WHERE type = ?)"
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        for (kind, region), url in urls.items():
            connection.execute(query, (url, region, kind))


def _url(directory: Path) -> str:
    return f"sqlite:///{directory}/{directory.name}.sqlite"


def _keystone(directory: Path, python: Path, password: str, port: int, log: Path) -> None:
    (directory / "keystone.conf").write_text(config.keystone(directory, 3600, {}))
    (directory / "gunicorn.conf.py").write_text(config.gunicorn("keystone", directory, port))
    url = f"http://{HOST}:{port}/v3"
    for repository in ("fernet-keys", "credential-keys"):
        (directory / repository).mkdir(mode=0o700)
        for number in ("0", "1"):  # the next key and the current one
            (directory / repository / number).write_bytes(base64.urlsafe_b64encode(os.urandom(32)))
    manage = [str(python.with_name("keystone-manage")), f"--config-file={directory}/keystone.conf"]
    addresses = [f"--bootstrap-{name}-url={url}" for name in ("public", "internal", "admin")]
    region = f"--bootstrap-region-id={config.REGIONS['glance-one']}"
    _run([*manage, "db_sync"], {}, log)
    _run([*manage, "bootstrap", *addresses, region], {"OS_BOOTSTRAP_PASSWORD": password}, log)


def _run(command: list[str], env: dict[str, str], log: Path) -> None:
    with log.open("a") as record:
        ended = subprocess.run(
            command,
            env={**config.environment(log.parent), **env},
            stdout=record,
            stderr=record,
            timeout=300,
            check=False,
        )
    if ended.returncode:
        name = Path(command[0]).name
        raise Error(f"{name} failed. Its last lines:\n{process.tail(log)}\nThe whole log: {log}")


@contextlib.contextmanager
def _running(directory: Path, python: Path, port: int, log: Path) -> Iterator[None]:
    keystone = process.spawn([str(python), "-m", "gunicorn"], config.environment(directory), log)
    try:
        process.wait_for({"keystone": (keystone, port, log)})
        yield
    finally:
        process.stop(keystone.pid, keystone.started)


def _settle(database: Path) -> None:
    """Move everything from the write-ahead log into the one file that is copied later."""
    with contextlib.closing(sqlite3.connect(database, timeout=30)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _fill(port: int, password: str) -> None:
    """Accounts and catalogue through Keystone's API: a service user for Glance, an ordinary member, two regions."""
    token = _token(port, password)

    def post(kind: str, **body: Any) -> str:
        _, answer = _call(port, "POST", f"/v3/{kind}s", {kind: body}, token)
        return str(answer[kind]["id"])

    def role_id(name: str) -> str:
        return str(_call(port, "GET", f"/v3/roles?name={name}", None, token)[1]["roles"][0]["id"])

    for account, project, role in (("glance", "service", "service"), ("member", "member", "member")):
        project_id = post("project", name=project, domain_id="default")
        user_id = post("user", name=account, domain_id="default", password=password, default_project_id=project_id)
        _call(port, "PUT", f"/v3/projects/{project_id}/users/{user_id}/roles/{role_id(role)}", None, token)
    second = post("region", id=config.REGIONS["glance-two"])
    image = post("service", name="glance", type="image")
    identity = _call(port, "GET", "/v3/services?type=identity", None, token)[1]["services"][0]["id"]
    wanted = [(identity, second), (image, config.REGIONS["glance-one"]), (image, second)]
    for service, region in wanted:
        for interface in ("public", "internal", "admin"):
            post("endpoint", service_id=service, region_id=region, interface=interface, url=f"http://{HOST}/")


def _token(port: int, password: str) -> str:
    user = {"name": "admin", "domain": {"id": "default"}, "password": password}
    scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
    body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
    headers, _ = _call(port, "POST", "/v3/auth/tokens", body, None)
    return headers["X-Subject-Token"]


def _call(port: int, method: str, path: str, body: Any, token: str | None) -> tuple[http.client.HTTPMessage, Any]:
    headers = {"Content-Type": "application/json"}
    if token:
        headers["X-Auth-Token"] = token
    connection = http.client.HTTPConnection(HOST, port, timeout=60)
    try:
        connection.request(method, path, None if body is None else json.dumps(body), headers)
        response = connection.getresponse()
        text = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise Error(f"the sandbox's Keystone did not answer {method} {path}: {error}") from error
    finally:
        connection.close()
    if response.status >= 300:
        raise Error(
            f"the sandbox's Keystone refused {method} {path}: {response.status} {text.decode(errors='replace')}"
        )
    return response.headers, json.loads(text or "null")
