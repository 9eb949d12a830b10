"""A program for the services' own Python: fills a bootstrapped Keystone with the sandbox's accounts and catalogue.

It speaks Keystone's API without a server, so that none is left behind if it is killed. It must not import anything of
this package, which that Python does not have. Configuration: OS_KEYSTONE_CONFIG_FILES; the administrator's password,
given to everybody: OS_BOOTSTRAP_PASSWORD; arguments: the second region.
"""

from __future__ import annotations

import importlib
import io
import json
import os
import sys
from typing import Any
from wsgiref.util import setup_testing_defaults

INTERFACES = ("public", "internal", "admin")


class Keystone:
    """Calls the WSGI application in this process."""

    def __init__(self, application: Any) -> None:
        self.application = application
        self.token = ""

    def call(self, method: str, path: str, body: Any = None) -> tuple[dict[str, str], Any]:
        """Headers (names in lower case) and decoded body of the answer; ends the program if Keystone refuses."""
        path, _, query = path.partition("?")
        content = b"" if body is None else json.dumps(body).encode()
        environ = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
        environ |= {"CONTENT_TYPE": "application/json", "CONTENT_LENGTH": str(len(content))}
        if self.token:
            environ["HTTP_X_AUTH_TOKEN"] = self.token
        setup_testing_defaults(environ)
        begun: list[Any] = []
        answer = self.application(
            {**environ, "wsgi.input": io.BytesIO(content)}, lambda *arguments: begun.append(arguments)
        )
        text = b"".join(answer)
        status, headers = begun[0][:2]
        if not status.startswith("2"):
            sys.exit(f"Keystone refused {method} {path}: {status} {text.decode(errors='replace')}")
        return {name.lower(): value for name, value in headers}, json.loads(text or b"null")

    def log_in(self, password: str) -> None:
        """Take the administrator's token for all further calls."""
        user = {"name": "admin", "domain": {"id": "default"}, "password": password}
        scope = {"project": {"name": "admin", "domain": {"id": "default"}}}
        body = {"auth": {"identity": {"methods": ["password"], "password": {"user": user}}, "scope": scope}}
        self.token = self.call("POST", "/v3/auth/tokens", body)[0]["x-subject-token"]

    def create(self, kind: str, **values: Any) -> str:
        """Create one thing and return its id."""
        return str(self.call("POST", f"/v3/{kind}s", {kind: values})[1][kind]["id"])

    def id_of(self, kind: str, query: str) -> str:
        """The id of the first thing that the query finds."""
        return str(self.call("GET", f"/v3/{kind}s?{query}")[1][f"{kind}s"][0]["id"])


def fill(keystone: Keystone, password: str, region: str) -> None:
    """Create the service user, the member, the second region and endpoints for both; their URLs come later."""
    for account, project, role in (("glance", "service", "service"), ("member", "member", "member")):
        project_id = keystone.create("project", name=project, domain_id="default")
        user_id = keystone.create("user", name=account, domain_id="default", password=password)
        role_id = keystone.id_of("role", f"name={role}")
        keystone.call("PUT", f"/v3/projects/{project_id}/users/{user_id}/roles/{role_id}")
    first = keystone.call("GET", "/v3/regions")[1]["regions"][0]["id"]
    second = keystone.create("region", id=region)
    identity = keystone.id_of("service", "type=identity")
    image = keystone.create("service", name="glance", type="image")
    for service_id, region_id in ((identity, second), (image, first), (image, second)):
        for interface in INTERFACES:
            where = {"service_id": service_id, "region_id": region_id}
            keystone.create("endpoint", interface=interface, url="http://127.0.0.1/", **where)


def main() -> None:
    """Read the arguments before Keystone, which would take them for its own."""
    region = sys.argv.pop(1)
    password = os.environ["OS_BOOTSTRAP_PASSWORD"]
    keystone = Keystone(importlib.import_module("keystone.wsgi.api").application)
    keystone.log_in(password)
    fill(keystone, password, region)


if __name__ == "__main__":
    main()
