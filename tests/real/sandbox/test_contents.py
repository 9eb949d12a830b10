"""The content of the sandbox: two clouds with their features, and the site with its images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import requests
from openstack.connection import Connection
from oslo_utils.imageutils import format_inspector
from tests.support.sandboxes import CIRROS, create, imported, processes
from tests.support.site import TestSite

from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.sandbox.disks import disk_image


def test_nothing_listens_beyond_this_machine(sandbox: Sandbox) -> None:
    found = {entry.laddr.ip for process in processes(sandbox) for entry in process.net_connections("inet")}
    assert found == {"127.0.0.1"}


def test_two_clouds_two_stores(connections: dict[str, Connection], sandbox: Sandbox, tag: str) -> None:
    first, member, second = (connections[name] for name in ("openstack", "member", "second"))
    for cloud in (first, second):
        stores = cloud.image.get("/info/stores").json()["stores"]
        assert stores == [{"id": "fast", "default": "true"}, {"id": "slow"}]
    image = imported(first, f"{sandbox.url('site')}/{CIRROS}", "qcow2", tag)
    assert image["stores"] == "fast"
    copy = {"method": {"name": "copy-image"}, "stores": ["slow"]}
    assert first.image.post(f"/images/{image['id']}/import", json=copy).status_code == 202
    assert list(second.image.images(tag=tag)) == []
    assert list(member.image.images(tag=tag)) == []
    assert member.current_project_id != first.current_project_id
    public = {"name": "x", "visibility": "public", "disk_format": "raw", "container_format": "bare", "tags": [tag]}
    assert member.image.post("/images", json=public).status_code == 403


def test_glance_downloads_from_any_port_of_127_0_0_1_only(
    connections: dict[str, Connection], site: TestSite, tag: str
) -> None:
    cloud = connections["openstack"]
    url = site.put("/a.raw", b"\0" * 4096)
    assert imported(cloud, url, "raw", tag)["size"] == 4096
    for refused in (url.replace("127.0.0.1", "localhost"), "http://169.254.169.254/x"):
        answer = create(cloud, refused, "raw", tag)
        assert (answer.status_code, "does not pass filtering" in answer.text) == (400, True)


def test_the_sites_images_are_valid(sandbox: Sandbox) -> None:
    site = sandbox.site_directory
    for name in ("cirros/0.6.0", "ubuntu/20240416", "ubuntu/20240422", "ubuntu/20240514", "raw"):
        listing = requests.get(f"{sandbox.url('site')}/{name}/", timeout=60).text
        for algorithm in ("sha256", "sha512"):
            sums = requests.get(f"{sandbox.url('site')}/{name}/{algorithm.upper()}SUMS", timeout=60).text
            for line in sums.splitlines():
                digest, _, file = line.partition("  ")
                assert hashlib.new(algorithm, (site / name / file).read_bytes()).hexdigest() == digest
                assert f'href="{file}"' in listing
    qcow2 = sorted(site.glob("*/*/*.img"))
    assert len({path.read_bytes() for path in qcow2}) == len(qcow2) == 4
    for path in [*qcow2, site / "raw" / "disk.raw"]:
        inspector = format_inspector.detect_file_format(str(path))
        inspector.safety_check()
        if path in qcow2:
            assert (str(inspector), inspector.virtual_size) == ("qcow2", 40 * 2**20)
            assert path.stat().st_size < 700_000
        else:  # an MBR counts as gpt
            assert (str(inspector), path.stat().st_size) == ("gpt", 4 * 2**20)


def test_disk_images_depend_on_name_and_text_only(tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    for path, text in (("a", "one"), ("other/a", "one"), ("b", "one"), ("c", "two")):
        disk_image(tmp_path / path, "qcow2", text, 600)  # more than one table
    contents = [(tmp_path / path).read_bytes() for path in ("a", "other/a", "b", "c")]
    assert contents[0] == contents[1]
    assert len(set(contents)) == 3
    inspector = format_inspector.detect_file_format(str(tmp_path / "a"))
    inspector.safety_check()
    assert inspector.virtual_size == 600 * 2**20
