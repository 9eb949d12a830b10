"""A made-up distribution with one site, which does wrong what a test wants, and definitions that follow it.

Its images are called linux-VERSION.qcow2, and their checksums are in /SUMS.
"""

from __future__ import annotations

from typing import Any

import pytest

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error, VerificationError
from tests.support.documents import bsd
from tests.support.upstreams import World, ask, definition

KEY = "0123456789ABCDEF0123456789ABCDEF01234567"
HOST = "images.example.org"
BASE = f"https://{HOST}"
NAME = "linux-20260701.qcow2"
ALIAS = "linux-latest.qcow2"
DETACHED = {"kind": "detached", "over": "checksum", "url": "{checksum_url}.asc", "keys": KEY}
LISTING = {"listing": f"{BASE}/builds/", "match": r"linux-(?P<version>\d+)\.qcow2"}


def refused(world: World, wanted: Definition, kind: type[Error] = VerificationError, **options: Any) -> str:
    """What is said when there is no answer: one line, with no address of the mirror."""
    with pytest.raises(kind) as caught:
        ask(world, wanted, **options)
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    return message


def linux(*versions: dict[str, Any], disk_format: str = "qcow2", **resolve: Any) -> Definition:
    """A definition with a checksum file at /SUMS, unless `resolve` says otherwise."""
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\d+(\.\d+)*)\.qcow2"}
    fields = {"steps": [step], **resolve}
    return definition("linux", "1", resolve=fields, versions=list(versions), format=disk_format)


def moving(url: str = f"{BASE}/{ALIAS}", sums: str = f"{BASE}/SUMS", *versions: dict[str, Any]) -> Definition:
    return definition("x", "1", latest_url=url, latest_checksum_url=sums, versions=list(versions))


def put(world: World, files: dict[str, bytes], path: str = "/SUMS", text: str | None = None) -> str:
    """The files and their checksum file."""
    site = world.host(HOST)
    for name, data in files.items():
        site.put(f"/{name}", data)
    text = bsd(files) if text is None else text
    site.put(path, text.encode())
    return text
