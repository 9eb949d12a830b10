"""Door to Nova and Cinder: what came from an image and would miss it.

APIs: https://docs.openstack.org/api-ref/compute/ (servers, filter `image`), https://docs.openstack.org/api-ref/block-storage/
(volumes with `volume_image_metadata`, snapshots of them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from openstack_image_manager.errors import CloudError
from openstack_image_manager.glance import Glance
from openstack_image_manager.model import Finding

PAGE = 1000


def look(glance: Glance, image_ids: Iterable[str]) -> tuple[Callable[[str], int | None], list[Finding]]:
    """How many servers, volumes and snapshots of all projects came from each of the images.

    Where that can't be seen (no compute service in the catalogue, no right to see all projects) every count is None,
    and a finding says why. A cloud without block storage has no volumes."""
    ids = set(image_ids)
    try:
        compute = glance.service("compute")
        if compute is None:
            raise CloudError("there is no compute service in the catalogue")
        counts = Counter(_servers(glance, compute, ids))
        if (storage := glance.service("block-storage")) is not None:
            counts.update(_volumes(glance, storage, ids))
    except CloudError as error:
        return lambda _: None, [Finding("warning", "usage", f"which images are in use can't be seen: {error}")]
    return lambda image_id: counts[image_id], []


def _servers(glance: Glance, compute: str, ids: set[str]) -> Iterator[str]:
    for image_id in sorted(ids):
        query = f"/servers/detail?all_tenants=1&image={image_id}&limit={PAGE}"
        for _server in _pages(glance, compute, query, "servers"):
            yield image_id


def _volumes(glance: Glance, storage: str, ids: set[str]) -> Iterator[str]:
    """The image of each volume that was made from one, and once more for each snapshot of it."""
    origin: dict[str, str] = {}
    for volume in _pages(glance, storage, f"/volumes/detail?all_tenants=1&limit={PAGE}", "volumes"):
        image_id = (volume.get("volume_image_metadata") or {}).get("image_id")
        if image_id in ids:
            origin[volume["id"]] = image_id
            yield image_id
    if not origin:
        return
    for snapshot in _pages(glance, storage, f"/snapshots/detail?all_tenants=1&limit={PAGE}", "snapshots"):
        if snapshot["volume_id"] in origin:
            yield origin[snapshot["volume_id"]]


def _pages(glance: Glance, endpoint: str, path: str, key: str) -> Iterator[dict[str, Any]]:
    url: str | None = endpoint.rstrip("/") + path
    while url:
        page = glance.ask("GET", url, key, who="the service")
        yield from page[key]
        links = page.get(f"{key}_links", ())
        url = next((link["href"] for link in links if link.get("rel") == "next"), None)
