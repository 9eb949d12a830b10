"""Other programs read the index of a mirror: Canonical's clients of simplestreams, one of which imports into Glance."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.connection import Connection
from tests.support.gnupg import Gpg, gnupg
from tests.support.mirrors import Carried, carried

from openstack_image_manager.sandbox.site import Site, serving

META = {"architecture": "x86_64", "os_distro": "ubuntu", "os_version": "24.04"}
SIGNED, UNSIGNED = "streams/v1/index.sjson", "streams/v1/index.json"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gnupg() as made:
        made.make("mirror")
        yield made


def disk(directory: Path, size: str) -> bytes:
    path = directory / f"{size}.qcow2"
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", str(path), size], check=True, timeout=60)
    return path.read_bytes()


@pytest.fixture
def images(tmp_path: Path) -> dict[str, bytes]:
    """The bytes of two versions."""
    return {"20260101": disk(tmp_path, "1M"), "20260102": disk(tmp_path, "2M")}


@pytest.fixture
def mirror(tmp_path: Path, images: dict[str, bytes], gpg: Gpg) -> Iterator[Carried]:
    """A signed mirror of both."""
    with carried(tmp_path) as made:
        versions = [made.version(name, data) for name, data in images.items()]
        for version in versions:
            version["url"] = made.site.put(f"/{version['version']}.qcow2", images[version["version"]])
        made.define(*versions, format="qcow2", meta=META)
        code, text = made.run("--sign-key", "mirror@example.org", GNUPGHOME=str(gpg.home))
        assert code == 0, text
        yield made


def run(program: str, *arguments: str, gpg: Gpg, **variables: str) -> str:
    """What a client of simplestreams prints."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
    environment |= {"GNUPGHOME": str(gpg.home), **variables}
    command = [sys.executable, str(Path(sys.executable).with_name(program)), *arguments]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def keyring(gpg: Gpg, tmp_path: Path) -> list[str]:
    return ["--keyring", str(gpg.export(tmp_path / "keys") / "mirror.gpg")]


def items(images: dict[str, bytes]) -> list[tuple[str, ...]]:
    """Version, MD5, SHA-256 and size of each."""
    return sorted(
        (version, hashlib.md5(data).hexdigest(), hashlib.sha256(data).hexdigest(), str(len(data)))
        for version, data in images.items()
    )


@pytest.mark.parametrize("path", [SIGNED, UNSIGNED])
def test_the_clients_query_and_copy_it(
    mirror: Carried, images: dict[str, bytes], gpg: Gpg, tmp_path: Path, path: str
) -> None:
    with serving(Site(mirror.tree)) as site:
        options = ["--path", path, *keyring(gpg, tmp_path)]
        told = json.loads(run("sstream-query", "--json", *options, f"{site.url}/", "arch=amd64", gpg=gpg))
        values = [(item["version_name"], item["md5"], item["sha256"], str(item["size"])) for item in told]
        assert sorted(values) == items(images)
        copy = tmp_path / "copy"
        run("sstream-mirror", *options, f"{site.url}/", str(copy), "arch=amd64", gpg=gpg)
    copied = {path.name.partition("-")[0]: path.read_bytes() for path in copy.rglob("*.qcow2")}
    assert copied == images


@pytest.mark.parametrize("path", [SIGNED, UNSIGNED])
def test_a_client_imports_it_into_glance(
    mirror: Carried,
    images: dict[str, bytes],
    gpg: Gpg,
    tmp_path: Path,
    clouds_yaml: Path,
    member: Connection,
    tag: str,
    path: str,
) -> None:
    login: dict[str, Any] = yaml.safe_load(clouds_yaml.read_text())["clouds"]["member"]
    variables = {f"OS_{key.upper()}": str(value) for key, value in login["auth"].items() if "domain" not in key}
    variables |= {"OS_USER_DOMAIN_NAME": "Default", "OS_PROJECT_DOMAIN_NAME": "Default"}
    variables |= {"OS_REGION_NAME": login["region_name"], "OS_IDENTITY_API_VERSION": "3"}
    options = ["--cloud-name", "sandbox", "--content-id", f"local:{tag}", "--name-prefix", f"{tag} "]
    options += ["--max", "2", "--visibility", "private", "--output-dir", str(tmp_path / "streams")]
    with serving(Site(mirror.tree)) as site:
        where = ["--path", path, *keyring(gpg, tmp_path), f"{site.url}/", "ftype=disk1.img", "arch=amd64"]
        run("sstream-mirror-glance", *options, *where, gpg=gpg, **variables)
    found = [image for image in member.image.images(visibility="private") if image.name.startswith(tag)]
    try:
        stored = {image.hash_value for image in found if image.status == "active"}
        assert stored == {hashlib.sha512(data).hexdigest() for data in images.values()}
    finally:
        for image in found:
            member.image.delete_image(image.id)
