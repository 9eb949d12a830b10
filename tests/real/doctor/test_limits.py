"""`doctor` on real clouds: how much more fits in, and with what settings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from openstack.connection import Connection
from tests.real.conftest import connection
from tests.support.bench import Bench
from tests.support.doctors import checks, states
from tests.support.proxy import Proxy, Rule
from tests.support.sandboxes import beside

from openstack_image_manager.sandbox import Sandbox

pytestmark = pytest.mark.usefixtures("no_records_of_doctor")
LIMITS = {"image_size_total": 1, "image_count_total": 10, "image_stage_total": 1000, "image_count_uploading": 10}


def test_a_project_that_is_full(watched: Bench, proxy: Proxy) -> None:
    proxy.add(Rule("POST", "/v2/images", status=413, body="Resource image_count_total is over limit"))
    code, cloud, _ = checks(watched)
    assert (code, cloud["quota"]["state"], "right add_image" in cloud) == (3, "problem", False)
    assert "image_count_total is over limit" in cloud["quota"]["what"]


def test_a_cloud_with_other_settings(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1"))
    usage = {"image_size_total": {"usage": 9, "limit": 9}, "image_count_total": {"usage": 1, "limit": -1}}
    proxy.add(Rule("GET", "/v2/info/usage", status=200, body=json.dumps({"usage": usage})))
    methods = {"import-methods": {"value": ["web-download"]}}
    proxy.add(Rule("GET", "/v2/info/import", status=200, body=json.dumps(methods), times=None))
    proxy.add(Rule("GET", "/v2/info/stores/detail", status=200, body='{"stores": [{"id": "x", "type": "rbd"}]}'))
    proxy.add(Rule("GET", "/v2/info/stores", status=404))
    code, cloud, _ = checks(watched)
    assert code == 3
    found = states(cloud)
    assert (found["limit image_size_total"], found["limit image_count_total"]) == ("problem", "ok")
    assert (found["import methods"], found["conversion to raw"]) == ("warning", "unknown")
    assert "a store is Ceph RBD" in cloud["conversion to raw"]["what"]
    assert {"staging", "right copy_image"} & set(cloud) == set()


@pytest.fixture
def limited(sandbox: Sandbox, bench: Bench, connections: dict[str, Connection], tmp_path: Path) -> Iterator[Bench]:
    """A bench at a cloud of its own that converts, and whose Glance goes by unified limits."""
    made = beside(sandbox, tmp_path / "limited")
    made.up()
    with connection(made.clouds_yaml, "openstack") as admin:
        (service,) = [each for each in admin.identity.services() if each.type == "image"]
        for name, limit in LIMITS.items():
            admin.identity.create_registered_limit(
                service_id=service.id, resource_name=name, default_limit=limit, region_id="RegionOne"
            )
        (endpoint,) = [
            each
            for each in admin.identity.endpoints(service_id=service.id, interface="public")
            if each.region_id == "RegionOne"
        ]
        auth = yaml.safe_load(made.clouds_yaml.read_text())["clouds"]["openstack"]["auth"]
    made.down()
    limits = {"endpoint_id": endpoint.id, "auth_type": "password", **auth}
    made.up(convert=True, glance={"DEFAULT": {"use_keystone_limits": "true"}, "oslo_limit": limits})
    with connection(made.clouds_yaml, "openstack") as admin:
        yield Bench(tmp_path, made.clouds_yaml, bench.tag, bench.site, admin)
    made.down()


def test_a_cloud_that_converts_and_has_limits(limited: Bench) -> None:
    limited.define(limited.ubuntu("1"))
    code, cloud, _ = checks(limited)
    assert cloud["limit image_count_total"]["what"] == "0 used of 10, and the imports need 1 more"
    full = "0 MiB used of 1 MiB, and the imports need 1 MiB more: nearly full"
    assert cloud["limit image_size_total"]["what"] == full
    assert (code, cloud["limit image_size_total"]["state"], "quota" in cloud) == (0, "warning", False)
    assert cloud["conversion to raw"]["state"] == "unknown"
    assert limited.run().code == 0
    limited.define(limited.ubuntu("1", "2"))
    code, cloud, _ = checks(limited)
    assert cloud["conversion to raw"]["what"] == "this cloud converts imported images"
    assert cloud["limit image_size_total"]["what"] == "8 MiB used of 1 MiB, and the imports need 1 MiB more"
    assert (code, cloud["limit image_size_total"]["state"], cloud["right add_image"]["state"]) == (3, "problem", "ok")


def test_limits_that_glance_does_not_use(bench: Bench, proxy: Proxy, watched: Bench) -> None:
    identity = bench.admin.identity
    (service,) = [each for each in identity.services() if each.type == "image"]
    limit = identity.create_registered_limit(
        service_id=service.id, resource_name="image_size_total", default_limit=1000, region_id=None
    )
    try:
        proxy.add(Rule("GET", "/v2/info/usage", status=404))
        _, cloud, _ = checks(watched)
    finally:
        identity.delete_registered_limit(limit)
    assert cloud["quota"]["state"] == "warning"
    assert "image_size_total 1000" in cloud["quota"]["what"]
