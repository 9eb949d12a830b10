"""Sandboxes of tests: a second one, what runs in one, and images that its Glance downloads."""

from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import psutil
import requests
from openstack.connection import Connection

from openstack_image_manager.sandbox import Sandbox

CIRROS = "cirros/0.6.0/cirros-0.6.0-x86_64-disk.img"


def beside(sandbox: Sandbox, state: Path) -> Sandbox:
    """Another sandbox, not running yet, that shares what this one installed and starts from a copy of its empty
    databases."""
    state.mkdir(exist_ok=True)
    (state / "venv").symlink_to(sandbox.state / "venv", target_is_directory=True)
    shutil.copytree(sandbox.state / "template", state / "template")
    return Sandbox(state)


def processes(sandbox: Sandbox) -> list[psutil.Process]:
    """Everything that the sandbox started, with children."""
    leaders = [psutil.Process(service.pid) for service in sandbox.status() if service.pid]
    return leaders + [child for leader in leaders for child in leader.children(recursive=True)]


def create(cloud: Connection, uri: str, format: str, tag: str = "mine") -> requests.Response:
    """Create an image and let Glance download it; the answer to the import."""
    body = {"name": "x", "disk_format": format, "container_format": "bare", "visibility": "private", "tags": [tag]}
    image = cloud.image.post("/images", json=body).json()["id"]
    return cloud.image.post(f"/images/{image}/import", json={"method": {"name": "web-download", "uri": uri}})


def imported(cloud: Connection, uri: str, format: str, tag: str = "mine") -> dict[str, object]:
    """The image as it is once Glance has downloaded it."""
    answer = create(cloud, uri, format, tag)
    assert answer.status_code == 202, answer.text
    pause, limit = threading.Event(), time.monotonic() + 80
    while True:
        image = dict(cloud.image.get(f"/images?tag={tag}").json()["images"][0])
        if image["status"] == "active" and "os_glance_import_task" not in image:  # the lock outlives the import
            return image
        assert time.monotonic() < limit, image
        pause.wait(0.05)
