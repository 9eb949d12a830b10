"""Users of projects that may not publish, and what they forge."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openstack
import yaml
from openstack.connection import Connection

from openstack_image_manager.sandbox import Sandbox
from tests.support.bench import Bench
from tests.support.users import projects


@contextmanager
def stranger_of(bench: Bench, sandbox: Sandbox, clouds_yaml: Path) -> Iterator[Connection]:
    """A user of its own in a project of its own, with the role that every user has."""
    with projects(sandbox, change=True):
        keystone = bench.admin.identity
        name = f"stranger-{bench.tag}"
        project = keystone.create_project(name=name, domain_id="default")
        user = keystone.create_user(name=name, password=name, domain_id="default")
        keystone.assign_project_role_to_user(project, user, keystone.find_role("member"))
        entry = yaml.safe_load(clouds_yaml.read_text())["clouds"]["openstack"]
        auth = {**entry["auth"], "username": name, "password": name, "project_name": name}
        with openstack.connection.Connection(**{**entry, "auth": auth}) as connected:
            yield connected
        keystone.delete_user(user)
        keystone.delete_project(project)


def upload(user: Connection, content: bytes, **body: Any) -> str:
    """An image with bytes, made by a user; its id."""
    answer = user.image.post("/images", json={"disk_format": "qcow2", "container_format": "bare", **body})
    openstack.exceptions.raise_from_response(answer)
    image_id: str = answer.json()["id"]
    headers = {"Content-Type": "application/octet-stream"}
    openstack.exceptions.raise_from_response(user.image.put(f"/images/{image_id}/file", data=content, headers=headers))
    return image_id


def claims(bench: Bench, version: str, **body: Any) -> dict[str, Any]:
    """What an image says that claims to be a version of the bench's definition."""
    name = bench.ubuntu()["name"]
    return {"name": name, "tags": [bench.tag], "image_name": name, "internal_version": version, **body}


def bytes_of(bench: Bench, name: str) -> bytes:
    """What the site has under a name; a disk image is made where there is none."""
    bench.version(name)
    return (bench.site.directory / f"{name}.img").read_bytes()


def sha512(bench: Bench, name: str, **fields: Any) -> dict[str, Any]:
    """A version with the digest that Glance has of it as well."""
    digest = hashlib.sha512(bytes_of(bench, name)).hexdigest()
    return {**bench.version(name), "checksum": f"sha512:{digest}", **fields}
