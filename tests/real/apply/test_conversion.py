"""A cloud that converts what it imports to raw, as clouds on Ceph do, and that has a quota."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.real.conftest import connection
from tests.support.bench import Bench
from tests.support.sandboxes import beside
from tests.support.site import TestSite

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox import Sandbox


@pytest.fixture(scope="module")
def converting(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sandbox]:
    """A sandbox of its own with conversion and a quota of 100 MB, made from what the shared one installed."""
    made = beside(sandbox, tmp_path_factory.mktemp("converting"))
    made.up(convert=True, glance={"DEFAULT": {"user_storage_quota": "100MB"}})
    yield made
    made.down()


@pytest.fixture
def raw_cloud(converting: Sandbox, tmp_path: Path, site: TestSite) -> Iterator[Bench]:
    with connection(converting.clouds_yaml, "openstack") as admin:
        yield Bench(tmp_path, converting.clouds_yaml, f"raw-{tmp_path.name}", site, admin)


def test_conversion_is_no_drift(raw_cloud: Bench) -> None:
    raw_cloud.define(raw_cloud.ubuntu("1"))
    outcome = raw_cloud.run()
    assert outcome.code == 0, outcome.text
    image = raw_cloud.image("1")
    assert (image.disk_format, image.size, image.min_disk) == ("raw", 8 * 1024**2, 1)
    assert image.properties[markers.VERIFIED].endswith("before import")
    raw_cloud.converged()


def test_a_sha512_is_verified_before_the_import_where_the_cloud_converts(raw_cloud: Bench) -> None:
    name = raw_cloud.ubuntu()["name"]
    raw_cloud.define(raw_cloud.ubuntu("1"))
    assert raw_cloud.run().code == 0
    two = raw_cloud.version("2")
    content = (raw_cloud.site.directory / "2.img").read_bytes()
    two["checksum"] = f"sha512:{hashlib.sha512(content).hexdigest()}"
    raw_cloud.define(raw_cloud.ubuntu("1", two))
    outcome = raw_cloud.run()
    assert outcome.code == 0, outcome.text
    assert raw_cloud.image("2").properties[markers.VERIFIED] == f"{two['checksum']} before import"
    assert raw_cloud.names() == {name: "2", f"{name} (1)": "1"}
    raw_cloud.converged()


def test_a_sha512_where_nothing_shows_that_the_cloud_converts_this_format(raw_cloud: Bench) -> None:
    """Glance does not convert an iso: that says nothing of qcow2. The import shows it, and is made once more."""
    iso = raw_cloud.site.put("/a.iso", b"\0" * 32769 + b"CD001" + b"\0" * 4096)
    other = raw_cloud.ubuntu({"version": "9", "url": iso}, name=f"Iso {raw_cloud.tag}", format="iso")
    one = raw_cloud.version("1")
    data = (raw_cloud.site.directory / "1.img").read_bytes()
    one["checksum"] = f"sha512:{hashlib.sha512(data).hexdigest()}"
    raw_cloud.define(other)
    assert raw_cloud.run().code == 0
    # What was imported before the cloud converted keeps the format.
    name = raw_cloud.ubuntu()["name"]
    imported = {markers.VERIFIED: "none", "image_name": name, "internal_version": "0"}
    raw_cloud.make(data, name=f"{name} (0)", visibility="public", **imported)
    raw_cloud.define(other, raw_cloud.ubuntu(one))
    assert raw_cloud.run("--import-method", "web-download").code == 1
    outcome = raw_cloud.run()
    assert outcome.code == 0, outcome.text
    assert "this cloud converts qcow2 to raw" in outcome.out
    assert raw_cloud.image("1").properties[markers.VERIFIED] == f"{one['checksum']} before import"
    raw_cloud.converged()


def test_without_a_checksum_glance_fetches_and_converts(raw_cloud: Bench) -> None:
    raw_cloud.define(raw_cloud.ubuntu(raw_cloud.version("1", checksum=None)))
    assert raw_cloud.run().code == 0
    assert raw_cloud.image("1").disk_format == "raw"
    raw_cloud.converged()


def test_a_full_quota_is_told_and_leaves_nothing(raw_cloud: Bench) -> None:
    content = b"\x00" * (120 * 1024**2)
    url = raw_cloud.site.put("/big.img", content)
    checksum = f"sha256:{hashlib.sha256(content).hexdigest()}"
    raw_cloud.define(raw_cloud.ubuntu({"version": "1", "url": url, "checksum": checksum}, format="raw"))
    outcome = raw_cloud.run()
    assert outcome.code == 1
    assert "quota" in outcome.out
    assert raw_cloud.images() == []
