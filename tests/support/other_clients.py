"""What others do in Glance: make records and leave them, fill them, delete images, break its database."""

from __future__ import annotations

import http.client
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any
from urllib.parse import urlsplit

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox import Sandbox
from tests.support.bench import Bench
from tests.support.imports import content, define

OTHER_PROMISE = f"{markers.PENDING}sha256:{'0' * 64}{markers.BEFORE}"
LOCK = (
    "INSERT INTO image_properties (image_id, name, value, created_at, updated_at, deleted) "
    "VALUES (?, 'os_glance_import_task', 'a-task', datetime(), datetime(), 0)"
)
UNLOCK = "DELETE FROM image_properties WHERE value = 'a-task' AND image_id = ?"


def record(bench: Bench, body: dict[str, Any]) -> str:
    """A record without bytes; its id."""
    answer = bench.admin.image.post(
        "/images", json={"disk_format": "qcow2", "container_format": "bare", "tags": [bench.tag], **body}
    )
    assert answer.status_code == 201
    image_id: str = answer.json()["id"]
    return image_id


def left_behind(bench: Bench, **body: Any) -> str:
    """Define version 1, and make its record as a run would that then died; the record's id."""
    define(bench)
    name = bench.ubuntu()["name"]
    promise = f"{markers.PENDING}{bench.version('1')['checksum']}{markers.BEFORE}"
    ours = {"name": f"{name} (1)", "image_name": name, "internal_version": "1", markers.VERIFIED: promise}
    return record(bench, {"visibility": "private", **ours, **body})


def stage(bench: Bench, image_id: str, data: bytes) -> None:
    """Bytes in the staging area, not imported yet."""
    headers = {"Content-Type": "application/octet-stream"}
    assert bench.admin.image.put(f"/images/{image_id}/stage", data=data, headers=headers).status_code == 204


def web_download(bench: Bench, image_id: str, uri: str) -> None:
    """Glance begins to fetch the bytes."""
    body = {"method": {"name": "web-download", "uri": uri}}
    assert bench.admin.image.post(f"/images/{image_id}/import", json=body).status_code == 202


def gone(bench: Bench) -> None:
    """Somebody deletes all images."""
    for image in bench.images():
        bench.admin.image.delete(f"/images/{image.id}")


def change(sandbox: Sandbox, statement: str, *values: str) -> None:
    """Change what the first Glance keeps."""
    path = sandbox.state / "data" / "glance-one" / "glance.sqlite"
    with closing(sqlite3.connect(path, timeout=30)) as database, database:
        database.execute(statement, values)


def is_locked(sandbox: Sandbox, image_id: str) -> bool:
    """True while Glance's own import holds its lock on the image, or saves it: both outlive the import for a moment."""
    path = sandbox.state / "data" / "glance-one" / "glance.sqlite"
    question = (
        "SELECT 1 FROM image_properties WHERE image_id = :id AND name = 'os_glance_import_task' AND deleted = 0 "
        "UNION SELECT 1 FROM tasks WHERE image_id = :id AND status IN ('pending', 'processing')"
    )
    with closing(sqlite3.connect(path, timeout=30)) as database:
        return database.execute(question, {"id": image_id}).fetchone() is not None


def until(condition: Callable[[], object]) -> None:
    """Wait until it is so. Glance tells nobody: whoever wants to know asks again."""
    limit = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < limit
        threading.Event().wait(0.02)


def status(bench: Bench, image_id: str) -> str:
    """The status that Glance shows."""
    return str(bench.admin.image.get(f"/images/{image_id}").json()["status"])


@contextmanager
def uploading(bench: Bench, glance: str, image_id: str) -> Iterator[http.client.HTTPConnection]:
    """Somebody else is in the middle of an upload to the staging area."""
    connection = http.client.HTTPConnection(urlsplit(glance).netloc, timeout=30)
    with closing(connection):
        connection.putrequest("PUT", f"/v2/images/{image_id}/stage")
        token = bench.admin.session.get_token()
        for header in (
            ("X-Auth-Token", token),
            ("Content-Type", "application/octet-stream"),
            ("Transfer-Encoding", "chunked"),
        ):
            connection.putheader(*header)
        connection.endheaders()
        half = content(bench)[:1000]
        connection.send(b"%x\r\n%s\r\n" % (len(half), half))
        until(lambda: status(bench, image_id) == "uploading")
        yield connection


def finish(bench: Bench, upload: http.client.HTTPConnection) -> None:
    """The rest of the bytes come, and Glance has them all."""
    rest = content(bench)[1000:]
    upload.send(b"%x\r\n%s\r\n0\r\n\r\n" % (len(rest), rest))
    assert upload.getresponse().status == 204


def order(bench: Bench, image_id: str, method: str = "glance-direct", **more: Any) -> int:
    """Order an import; the status of the answer."""
    body = {"method": {"name": method}, **more}
    status: int = bench.admin.image.post(f"/images/{image_id}/import", json=body).status_code
    return status


def now(bench: Bench, image_id: str) -> dict[str, Any]:
    """The image as Glance shows it."""
    found: dict[str, Any] = bench.admin.image.get(f"/images/{image_id}").json()
    return found


def is_whole(bench: Bench, image_id: str) -> bool:
    """True when it is active and its import has let go of it."""
    image = now(bench, image_id)
    return image["status"] == "active" and not image.get("os_glance_import_task")
