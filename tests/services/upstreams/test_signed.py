"""The seam to signatures: shipped resolvers with documents that a real OpenPGP key has signed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.deb_sites import ubuntu
from tests.support.documents import bsd, image, products
from tests.support.rpm_sites import rocky
from tests.support.signers import Made
from tests.support.upstreams import World, definition

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures import verify as signatures
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.upstreams.build import Fetch, Signature, Verify
from openstack_image_manager.upstreams.newest import newest
from openstack_image_manager.upstreams.sites import Sites

UBUNTU = "/releases/streams/v1/com.ubuntu.cloud:released:download.sjson"
ROCKY = "/pub/rocky/10.2/images/x86_64/CHECKSUM"


@pytest.fixture(scope="module")
def key() -> Made:
    return Made()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as running:
        rocky(running)
        ubuntu(running)
        yield running


@pytest.fixture
def verify(tmp_path: Path, key: Made) -> Verify:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "upstream.asc").write_bytes(key.armored)
    keyring = Keyring([tmp_path / "keys"])

    def verify(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
        if wanted.kind == "clearsigned":
            data, signed = signatures.verify_clearsigned(data, wanted.keys, keyring)
        else:
            signed = signatures.verify_detached(data, fetch(wanted.url or ""), wanted.keys, keyring)
        return data, signed.fingerprint, signed.created.strftime("%Y-%m-%d %H:%M:%S") if signed.created else None

    return verify


def pinned(name: str, version: str, key: Made) -> Definition:
    return definition(name, version, resolve={"use": name, "variables": {"key": key.fingerprint}})


def test_detached(world: World, verify: Verify, key: Made) -> None:
    site = world.host("dl.rockylinux.org")
    sums = (site.directory / ROCKY[1:]).read_bytes()
    site.put(f"{ROCKY}.asc", key.sign(sums))
    build = newest(pinned("rocky", "10", key), Sites(mirrors=world.mirrors), verify)
    assert (build.version, build.signed_by) == ("20260525.0", key.fingerprint)
    assert build.signed_at
    site.put(ROCKY, sums + bsd({"Rocky-10-GenericCloud-Base-10.3-20270101.0.x86_64.qcow2": image("forged")}).encode())
    with pytest.raises(VerificationError, match=f"https://dl.rockylinux.org{ROCKY}: "):
        newest(pinned("rocky", "10", key), Sites(mirrors=world.mirrors), verify)


def test_clearsigned(world: World, verify: Verify, key: Made) -> None:
    site = world.host("cloud-images.ubuntu.com")
    site.put(UBUNTU, key.clearsign(products({"20260705.1": image("ubuntu")}).encode()))
    build = newest(pinned("ubuntu", "24.04", key), Sites(mirrors=world.mirrors), verify)
    assert (build.version, build.signed_by) == ("20260705.1", key.fingerprint)
    site.put(UBUNTU, products({"20260705.1": image("ubuntu")}).encode())
    with pytest.raises(VerificationError, match="is not signed, and its signature is required"):
        newest(pinned("ubuntu", "24.04", key), Sites(mirrors=world.mirrors), verify)
