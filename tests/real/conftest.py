"""The sandbox and its surroundings for tests: every fixture here is real, and one that cannot start fails the test."""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import openstack
import pytest
import yaml
from openstack.config import OpenStackConfig
from openstack.connection import Connection
from tests.support.attempts import Attempt, attempt_in
from tests.support.bench import Bench, elsewhere
from tests.support.bucket_mirrors import BIG, Mirror
from tests.support.doctors import left
from tests.support.proxy import Proxy
from tests.support.s3 import remove_bucket, s3_client
from tests.support.site import TestSite
from tests.support.users import projects

from openstack_image_manager.sandbox import Account, Sandbox
from openstack_image_manager.sandbox.site import serving

_SERVICES = {"sandbox", "clouds_yaml", "tag", "proxy", "proxied_clouds", "connections"}


def pytest_configure(config: pytest.Config) -> None:
    """openstacksdk 4.22 warns about calls of its own, and about InfluxDB whenever it reads a clouds.yaml."""
    config.addinivalue_line("filterwarnings", r"ignore:::openstack\.")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Don't count the sandbox's first start, which installs it, against the time limit of the test that comes first."""
    for item in items:
        if _SERVICES & set(getattr(item, "fixturenames", ())):
            own = item.get_closest_marker("timeout")
            limit = own.args[0] if own else 120
            item.add_marker(pytest.mark.timeout(limit, func_only=True), append=False)


@pytest.fixture(scope="session")
def sandbox(pytestconfig: pytest.Config) -> Iterator[Sandbox]:
    """The running sandbox, shared by all workers; what it installed is kept for the next session."""
    state = Path(os.environ.get("OIM_SANDBOX_STATE") or pytestconfig.rootpath / ".sandbox").absolute()
    state.mkdir(parents=True, exist_ok=True)
    sandbox = Sandbox(state)
    with (state / "users").open("a") as users:
        fcntl.flock(users, fcntl.LOCK_SH)
        sandbox.up(say=lambda line: print(line, flush=True))
        yield sandbox
    # every worker holds the lock together with others; whoever gets it alone is the last one
    with (state / "users").open("a") as users:
        try:
            fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        sandbox.down()


@pytest.fixture(scope="session")
def clouds_yaml(sandbox: Sandbox) -> Path:
    """clouds.yaml with the clouds `openstack`, `member` and `second`; see docs/sandbox.md."""
    return sandbox.clouds_yaml


@pytest.fixture
def entry(clouds_yaml: Path) -> dict[str, Any]:
    """The healthy entry of the cloud `openstack`, to be spoilt."""
    found: dict[str, Any] = yaml.safe_load(clouds_yaml.read_text())["clouds"]["openstack"]
    return found


@pytest.fixture
def attempt(tmp_path: Path) -> Attempt:
    """Plan with this clouds.yaml (its text, or the entry of `openstack`), further arguments and OS_* variables."""
    return attempt_in(tmp_path)


@contextmanager
def connection(clouds_yaml: Path, cloud: str) -> Iterator[Connection]:
    """An SDK connection that leaves nothing open."""
    region = OpenStackConfig(config_files=[str(clouds_yaml)], load_envvars=False).get_one(cloud)
    with openstack.connection.Connection(config=region) as connected:
        yield connected


@pytest.fixture(scope="session")
def connections(clouds_yaml: Path) -> Iterator[dict[str, Connection]]:
    """One connection for each of the three clouds."""
    with (
        connection(clouds_yaml, "openstack") as first,
        connection(clouds_yaml, "member") as member,
        connection(clouds_yaml, "second") as second,
    ):
        yield {"openstack": first, "member": member, "second": second}


@pytest.fixture
def member(connections: dict[str, Connection]) -> Connection:
    """The connection of the ordinary user `member`."""
    return connections["member"]


@pytest.fixture
def no_other_projects(sandbox: Sandbox) -> Iterator[None]:
    """The projects of the clouds stay as they are during the test."""
    with projects(sandbox, change=False):
        yield


@pytest.fixture
def site(tmp_path: Path) -> Iterator[TestSite]:
    """An upstream site of this test alone, serving the empty directory `tmp_path / "site"`."""
    directory = tmp_path / "site"
    directory.mkdir()
    with serving(TestSite(directory)) as running:
        yield running


@pytest.fixture
def tag(connections: dict[str, Connection]) -> Iterator[str]:
    """A managed tag of this test alone; its images are deleted afterwards, in both regions and whatever their state."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    yield name
    for cloud in ("openstack", "second"):
        delete_images(connections[cloud], name)


def delete_images(admin: Connection, tag: str) -> None:
    """Delete all images of all projects with the tag: hidden, protected and deactivated ones too."""
    image = admin.image
    for hidden in ("false", "true"):
        answer = image.get(f"/images?tag={tag}&os_hidden={hidden}&visibility=all&limit=1000")
        openstack.exceptions.raise_from_response(answer)
        for found in answer.json()["images"]:
            if found["protected"]:
                patch = [{"op": "replace", "path": "/protected", "value": False}]
                headers = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
                openstack.exceptions.raise_from_response(
                    image.patch(f"/images/{found['id']}", json=patch, headers=headers)
                )
            answer = image.delete(f"/images/{found['id']}")
            if answer.status_code != 404:
                openstack.exceptions.raise_from_response(answer)


@pytest.fixture
def proxy(sandbox: Sandbox) -> Iterator[Proxy]:
    """A proxy of this test alone in front of the first Glance, without rules yet."""
    with serving(Proxy(sandbox.url("glance-one"))) as running:
        yield running


@pytest.fixture
def proxied_clouds(proxy: Proxy, clouds_yaml: Path, tmp_path: Path) -> Path:
    """A clouds.yaml whose `openstack` and `member` reach Glance through the proxy."""
    path = tmp_path / "proxied-clouds.yaml"
    path.write_text(elsewhere(clouds_yaml.read_text(), image=proxy.url))
    return path


@pytest.fixture(scope="session")
def object_storage(sandbox: Sandbox) -> Account:
    """Swift with its S3 API, which joins the running sandbox when a test asks for it first."""
    sandbox.up(object_storage=True, say=lambda line: print(line, flush=True))
    return sandbox.account()


@pytest.fixture(scope="session")
def s3(object_storage: Account) -> Iterator[Any]:
    """An S3 client of the user who may do everything."""
    with s3_client(object_storage) as client:
        yield client


@pytest.fixture
def bucket(s3: Any) -> Iterator[str]:
    """An empty bucket of this test alone."""
    name = f"test-{uuid.uuid4().hex[:12]}"
    s3.create_bucket(Bucket=name)
    yield name
    remove_bucket(s3, name)


@pytest.fixture
def bench(tmp_path: Path, clouds_yaml: Path, tag: str, site: TestSite, connections: dict[str, Connection]) -> Bench:
    """A bench whose tool talks to Glance directly."""
    return Bench(tmp_path, clouds_yaml, tag, site, connections["openstack"])


@pytest.fixture
def watched(bench: Bench, proxied_clouds: Path, proxy: Proxy) -> Bench:
    """The same, but the tool's calls go through the `proxy`, which counts and breaks them."""
    bench.clouds = proxied_clouds
    return bench


@pytest.fixture
def mirror(tmp_path: Path, site: TestSite, object_storage: Account, s3: Any, bucket: str) -> Iterator[Mirror]:
    """A bench for the mirror, with one version of several parts defined."""
    with serving(Proxy(object_storage.url)) as proxy:
        made = Mirror(tmp_path, site, object_storage, s3, bucket, proxy)
        made.define(made.version("1", BIG))
        yield made


@pytest.fixture
def no_records_of_doctor(bench: Bench) -> Iterator[None]:
    """Assert that no run of `doctor` left a record."""
    yield
    assert left(bench) == []
