"""Which images are in use, asked of real Nova and Cinder."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml
from openstack.connection import Connection

from openstack_image_manager.cloud import usage
from openstack_image_manager.cloud.glance import Glance
from tests.support.bench import Bench, elsewhere
from tests.support.doctors import checks
from tests.usage.services import Services


@pytest.fixture
def clouds(services: Services, clouds_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clouds.yaml with both services."""
    path = tmp_path / "with-nova.yaml"
    text = elsewhere(
        clouds_yaml.read_text(), compute=services.url("nova") + "/v2.1", block_storage=services.url("cinder") + "/v3"
    )
    path.write_text(text)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    return path


@pytest.fixture
def other(connections: dict[str, Connection]) -> str:
    """The project of the ordinary user."""
    return str(connections["member"].current_project_id)


@pytest.fixture
def mine(connections: dict[str, Connection]) -> str:
    """The administrator's project."""
    return str(connections["openstack"].current_project_id)


@pytest.fixture
def image() -> str:
    return str(uuid.uuid4())


@pytest.fixture
def nova_for_all(services: Services, tag: str) -> Iterator[None]:
    """A policy of Nova that lets every member see the servers of all projects."""
    names = [f"os_compute_api:servers:{name}:get_all_tenants" for name in ("index", "detail")]
    with rules(services, "nova", tag, *names):
        yield


@pytest.fixture
def cinder_for_all(services: Services, tag: str) -> Iterator[None]:
    """A policy of Cinder that takes every member for an administrator."""
    with rules(services, "cinder", tag, "context_is_admin"):
        yield


@contextmanager
def rules(services: Services, name: str, tag: str, *rules: str) -> Iterator[None]:
    """Rules of a service's policy that hold for members too."""
    path = services.policy(name) / f"{tag}.yaml"
    path.write_text(yaml.safe_dump(dict.fromkeys(rules, "role:admin or role:member")))
    yield
    path.unlink()


def count(cloud: str, image: str) -> tuple[int | None, str]:
    glance = Glance.connect(cloud)
    try:
        uses, findings = usage.count_usage(glance, [image])
        return uses(image), " ".join(finding.message for finding in findings)
    finally:
        glance.close()


@pytest.mark.parametrize("state", ["active", "error", "stopped", "shelved_offloaded", "soft-delete", "building"])
def test_a_server_in_any_state_counts(clouds: Path, services: Services, other: str, image: str, state: str) -> None:
    services.put("server", project=other, image=image, state=state)
    assert count("openstack", image) == (1, "")


def test_a_deleted_server_does_not_count(clouds: Path, services: Services, other: str, image: str) -> None:
    services.put("server", project=other, image=image, state="deleted")
    assert count("openstack", image) == (0, "")


def test_the_two_rights_are_enough(
    clouds: Path, services: Services, nova_for_all: None, cinder_for_all: None, mine: str, image: str
) -> None:
    """Restorable servers too, although Nova's filters for administrators are dropped for this user."""
    for state in ("active", "soft-delete"):
        services.put("server", project=mine, image=image, state=state)
    services.put("volume", project=mine, image=image)
    assert count("member", image) == (3, "")


def test_all_pages_count(clouds: Path, services: Services, other: str, image: str) -> None:
    for _ in range(5):
        services.put("server", project=other, image=image)
    volumes = [services.put("volume", project=other, image=image) for _ in range(3)]
    for volume in volumes:
        services.put("snapshot", project=other, volume=volume)
    services.put("server", project=other, image="")
    services.put("volume", project=other)
    assert count("openstack", image) == (11, "")


def test_volumes_of_other_projects_are_not_taken_for_none(
    clouds: Path, services: Services, nova_for_all: None, mine: str, image: str
) -> None:
    services.put("volume", project=mine, image=image)
    assert count("openstack", image) == (1, "")
    uses, told = count("member", image)
    assert uses is None
    assert told.startswith("cannot check which images are in use: Cinder does not take this user for an administrator")


def test_an_ordinary_user_cannot_check(clouds: Path, image: str) -> None:
    uses, told = count("member", image)
    assert (uses, "Nova answered 403" in told) == (None, True)


def test_endpoints_without_a_version(clouds: Path, services: Services, other: str, image: str) -> None:
    services.put("server", project=other, image=image)
    services.put("volume", project=other, image=image)
    for service, version in (("nova", "/v2.1"), ("cinder", "/v3")):
        text = clouds.read_text()
        assert services.url(service) + version in text
        clouds.write_text(text.replace(services.url(service) + version, services.url(service)))
    assert count("openstack", image) == (2, "")


def test_doctor(bench: Bench, clouds: Path) -> None:
    bench.clouds = clouds
    _, administrator, _ = checks(bench)
    bench.cloud = "member"
    _, ordinary, _ = checks(bench)
    for what, told in (("servers", "Nova answered 403"), ("volumes", "Cinder does not take this user")):
        assert administrator[f"usage: {what}"]["state"] == "ok"
        assert ordinary[f"usage: {what}"]["state"] == "warning"
        assert told in ordinary[f"usage: {what}"]["what"]


def test_doctor_for_a_user_with_the_two_rights(
    bench: Bench, clouds: Path, nova_for_all: None, cinder_for_all: None
) -> None:
    bench.clouds, bench.cloud = clouds, "member"
    _, cloud, _ = checks(bench)
    assert [cloud[f"usage: {what}"]["state"] for what in ("servers", "volumes")] == ["ok", "ok"]
