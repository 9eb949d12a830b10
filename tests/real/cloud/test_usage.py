"""Odd answers of Nova and Cinder: whether an image is in use is unknown then, and the token stays where it belongs.

What the real services answer is in tests/usage."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support.bench import Bench, elsewhere
from tests.support.consumers import Consumers
from tests.support.doctors import checks, states

from openstack_image_manager.cloud import usage
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.sandbox.site import serving

IMAGE = str(uuid.uuid4())
ENTRIES = {
    "servers": {},
    "volumes": {"volume_image_metadata": {"image_id": IMAGE}},
    "snapshots": {"volume_id": f"volume-{IMAGE}-0"},
}
TOPICS = ("usage: servers", "usage: volumes", "snapshots")


@pytest.fixture
def consumers() -> Iterator[Consumers]:
    with serving(Consumers()) as running:
        running.used.volumes[IMAGE] = 1
        yield running


@pytest.fixture
def clouds(consumers: Consumers, clouds_yaml: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clouds.yaml with both services."""
    path = tmp_path / "with-nova.yaml"
    use = {"compute": f"{consumers.url}/v2.1", "block_storage": f"{consumers.url}/v3"}
    path.write_text(elsewhere(clouds_yaml.read_text(), **use))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(path))
    return path


@pytest.fixture
def glance(clouds: Path) -> Iterator[Glance]:
    with closing(Glance.connect("openstack")) as connected:
        yield connected


def count(glance: Glance) -> tuple[int | None, str]:
    uses, findings = usage.count_usage(glance, [IMAGE])
    return uses(IMAGE), " ".join(finding.message for finding in findings)


def linked(kind: str, entries: list[object], href: object) -> object:
    """A page with a link to the next one."""
    return {kind: entries, f"{kind}_links": [{"rel": "self", "href": "/"}, {"rel": "next", "href": href}]}


def test_a_cloud_without_block_storage(clouds: Path, clouds_yaml: Path, consumers: Consumers) -> None:
    """The version of the API need not be in the catalogue."""
    clouds.write_text(elsewhere(clouds_yaml.read_text(), compute=consumers.url))
    consumers.used.servers[IMAGE] = 3
    with closing(Glance.connect("openstack")) as glance:
        assert count(glance) == (3, "")


@pytest.mark.parametrize("kind", ["servers", "volumes", "snapshots"])
def test_odd_shapes(glance: Glance, consumers: Consumers, kind: str) -> None:
    entries: list[object] = [None, {"id": "x"}, ["x"], [{"id": 7}], [{"name": "x"}]]
    links: list[object] = [None, ["next"], "next"]
    hrefs = ["/servers?limit=1", "/servers?marker=", None, "http://[/servers?marker=m"]
    odd = [{}, [], *({kind: each} for each in entries), *({kind: [], f"{kind}_links": each} for each in links)]
    metadata = ["x", ["image_id"], 7] if kind == "volumes" else []
    origins = [None, ["v"]] if kind == "snapshots" else []
    odd += [linked(kind, [], href) for href in hrefs]
    odd += [{kind: [{"id": "v", "volume_image_metadata": each}]} for each in metadata]
    odd += [{kind: [{"id": "s", "volume_id": each}]} for each in origins]
    assert count(glance) == (1, "")
    for body in odd:
        consumers.instead[kind] = lambda _, body=body: body
        uses, message = count(glance)
        assert uses is None, body
        assert message.startswith("cannot check which images are in use: "), body
        assert "does not answer as" in message, body


@pytest.mark.parametrize("kind", ["servers", "volumes", "snapshots"])
def test_a_page_that_comes_again(glance: Glance, consumers: Consumers, kind: str) -> None:
    consumers.instead[kind] = lambda _: linked(kind, [], f"{consumers.url}/{kind}?marker=m")
    uses, message = count(glance)
    assert (uses, "answers the same page again" in message) == (None, True)
    assert sum(f"/{kind}" in path for path in consumers.asked) == 2


def test_pages_without_end(glance: Glance, consumers: Consumers) -> None:
    consumers.instead["servers"] = lambda marker: linked("servers", [], f"/servers?marker={int(marker or 0) + 1}")
    uses, message = count(glance)
    assert (uses, "answers more than 300 pages" in message) == (None, True)
    assert len(consumers.asked) == 300


@pytest.mark.parametrize(("kind", "found"), [("servers", 3), ("volumes", 2), ("snapshots", 3)])
def test_of_a_link_only_the_marker_is_taken(glance: Glance, consumers: Consumers, kind: str, found: int) -> None:
    """The next page is asked of the same service, wherever the link points to."""
    entries: list[object] = [{**ENTRIES[kind], "id": name} for name in ("first", "second")]
    with serving(Consumers()) as stranger:
        pages = {"": linked(kind, entries[:1], f"{stranger.url}/x?marker=m%26"), "m&": {kind: entries[1:]}}
        consumers.instead[kind] = lambda marker: pages[marker]
        assert count(glance) == (found, "")
        assert stranger.asked == []


@pytest.mark.parametrize("kind", ["servers", "types", "volumes", "snapshots"])
def test_redirects_are_not_followed(
    bench: Bench, clouds: Path, glance: Glance, consumers: Consumers, kind: str
) -> None:
    """Neither by a run nor by `doctor`: the token would go along."""
    bench.clouds = clouds
    with serving(Consumers()) as stranger:
        consumers.instead[kind] = lambda _: f"{stranger.url}/v3/{kind}?all_tenants=1"
        uses, message = count(glance)
        assert (uses, message.startswith("cannot check which images are in use: ")) == (None, True)
        _, cloud, _ = checks(bench)
        assert cloud["usage: servers" if kind == "servers" else "usage: volumes"]["state"] == "warning"
        assert stranger.asked == []


def test_doctor(bench: Bench, clouds: Path, consumers: Consumers) -> None:
    """A cloud that shows what is in use, one that does not, one without block storage, and one without both."""

    def found(text: str) -> dict[str, str]:
        bench.clouds.write_text(text)
        code, cloud, _ = checks(bench)
        assert code == 0
        return {topic: state for topic, state in states(cloud).items() if topic in TOPICS}

    with_both, without = clouds.read_text(), bench.clouds.read_text()
    bench.clouds = clouds
    assert found(with_both) == dict(zip(TOPICS, ("ok", "ok", "unknown"), strict=True))
    consumers.forbidden = True
    assert found(with_both) == dict(zip(TOPICS, ("warning", "warning", "unknown"), strict=True))
    consumers.forbidden = False
    without_storage = elsewhere(without, compute=f"{consumers.url}/v2.1")
    assert found(without_storage) == dict(zip(TOPICS, ("ok", "ok", "unknown"), strict=True))
    assert found(without) == dict(zip(TOPICS[:2], ("unknown", "ok"), strict=True))
