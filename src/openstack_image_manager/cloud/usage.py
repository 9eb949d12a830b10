"""Count the servers, volumes and snapshots that were created from an image, with Nova and Cinder.

APIs: https://docs.openstack.org/api-ref/compute/ (servers, filter `image`), https://docs.openstack.org/api-ref/block-storage/
(volumes with `volume_image_metadata`, snapshots of them).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any
from urllib.parse import parse_qs, urlencode, urlsplit

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import Finding

PAGE = 1000
MOST_PAGES = 300  # of one listing; services answer 1000 entries in a page unless they are set to less
NOVA, CINDER = ("v2", "v2.1"), ("v2", "v3")  # versions of the APIs; the last one is the current one
# With changes-since Nova also lists deleted servers. Its filters `deleted` and `soft_deleted` do the same, but Nova
# silently ignores them for users without the right allow_all_filters.
RESTORABLE = "&status=SOFT_DELETED&changes-since=1970-01-01T00:00:00Z"
UNPROVEN = (
    "Cinder does not take this user for an administrator, and shows the volumes of its own project only; "
    "context_is_admin in Cinder's policy.yaml decides that (role admin by default)"
)


def count_usage(glance: Glance, image_ids: Iterable[str]) -> tuple[Callable[[str], int | None], list[Finding]]:
    """A function for the number of servers, volumes and snapshots of all projects that were created from an image.

    Where that cannot be checked (no compute service in the catalogue, no right to see all projects) every count is
    None, and a finding says why. A cloud without block storage has no volumes."""
    ids = set(image_ids)
    try:
        if (compute := glance.service("compute")) is None:
            raise CloudError("there is no compute service in the catalogue")
        counts = Counter(_servers(glance, _versioned(compute, NOVA), ids))
        if (storage := glance.service("block-storage")) is not None:
            counts.update(_volumes(glance, storage, ids))
    except CloudError as error:
        return lambda _: None, [Finding("warning", "usage", f"cannot check which images are in use: {error}")]
    return lambda image_id: counts[image_id], []


def check_servers(glance: Glance, compute: str) -> None:
    """Raise CloudError unless this user sees the servers of all projects."""
    _see(glance, _versioned(compute, NOVA), "servers", "Nova")


def check_volumes(glance: Glance, storage: str) -> None:
    """Raise CloudError unless this user sees the volumes, and their snapshots, of all projects."""
    endpoint = _versioned(storage, CINDER)
    _prove_administrator(glance, endpoint)
    for kind in ("volumes", "snapshots"):
        _see(glance, endpoint, kind, "Cinder")


def _see(glance: Glance, endpoint: str, kind: str, who: str) -> None:
    url = f"{endpoint}/{kind}?all_tenants=1&limit=1"
    _objects(glance.request_json("GET", url, kind, who=who, redirect=False), kind, who)


def _servers(glance: Glance, compute: str, ids: set[str]) -> Iterator[str]:
    """The image of each server. Not with /detail, which needs Neutron; deleted servers that can be restored are listed
    separately."""
    for image_id in sorted(ids):
        seen: set[str] = set()
        for only in ("", RESTORABLE):
            query = f"/servers?all_tenants=1&image={image_id}{only}&limit={PAGE}"
            seen |= {server["id"] for server in _pages(glance, compute, query, "servers", "Nova")}
        yield from (image_id for _ in seen)


def _volumes(glance: Glance, storage: str, ids: set[str]) -> Iterator[str]:
    """The image of each volume that was created from one, and again for each of its snapshots."""
    endpoint = _versioned(storage, CINDER)
    _prove_administrator(glance, endpoint)
    origin: dict[str, str] = {}
    for volume in _pages(glance, endpoint, f"/volumes/detail?all_tenants=1&limit={PAGE}", "volumes", "Cinder"):
        metadata = volume.get("volume_image_metadata") or {}
        if not isinstance(metadata, dict):
            raise CloudError("Cinder does not answer as the API says: volume_image_metadata is not an object")
        if (image_id := metadata.get("image_id")) in ids:
            origin[volume["id"]] = image_id
    yield from origin.values()
    if not origin:
        return
    for snapshot in _pages(glance, endpoint, f"/snapshots/detail?all_tenants=1&limit={PAGE}", "snapshots", "Cinder"):
        if not isinstance(snapshot.get("volume_id"), str):
            raise CloudError("Cinder does not answer as the API says: a snapshot without volume_id")
        if snapshot["volume_id"] in origin:
            yield origin[snapshot["volume_id"]]


def _versioned(endpoint: str, versions: tuple[str, ...]) -> str:
    """The endpoint with the version of the API, which the catalogue may leave out."""
    endpoint = endpoint.rstrip("/")
    return endpoint if set(versions) & set(urlsplit(endpoint).path.split("/")) else f"{endpoint}/{versions[-1]}"


def _prove_administrator(glance: Glance, endpoint: str) -> None:
    """Raise CloudError unless context_is_admin holds in Cinder, which otherwise silently ignores all_tenants. No other
    policy shows that (os-services and the attributes of volumes have their own), but Cinder reads this filter for
    administrators only: they get 400 for an invalid value, other users the list of types."""
    try:
        glance.request("GET", f"{endpoint}/types?is_public=unknown", who="Cinder", redirect=False)
    except CloudError as error:
        if error.status == 400 and "is_public" in str(error):
            return
        raise
    raise CloudError(UNPROVEN)


def _pages(glance: Glance, endpoint: str, path: str, key: str, who: str) -> Iterator[dict[str, Any]]:
    """All objects of a listing, page by page. Only the marker of a next link is used: services behind a proxy write
    internal addresses, and the token must not go to another host."""
    markers: set[str] = set()
    url = endpoint + path
    for _ in range(MOST_PAGES):
        page = glance.request_json("GET", url, key, who=who, redirect=False)
        yield from _objects(page, key, who)
        marker = _marker(page.get(f"{key}_links", []), who)
        if marker is None:
            return
        if marker in markers:
            raise CloudError(f"{who} answers the same page again")
        markers.add(marker)
        url = f"{endpoint}{path}&{urlencode({'marker': marker})}"
    raise CloudError(f"{who} answers more than {MOST_PAGES} pages")


def _marker(links: Any, who: str) -> str | None:
    if not isinstance(links, list) or not all(isinstance(link, dict) for link in links):
        raise CloudError(f"{who} does not answer as the API says: its links are not a list of objects")
    for link in links:
        if link.get("rel") == "next":
            try:
                return parse_qs(urlsplit(str(link.get("href"))).query)["marker"][0]
            except (ValueError, KeyError) as error:
                raise CloudError(
                    f"{who} does not answer as the API says: a link to the next page without a marker"
                ) from error
    return None


def _objects(page: dict[str, Any], key: str, who: str) -> list[dict[str, Any]]:
    """The objects of a page; each has an id."""
    objects = page[key]
    if not isinstance(objects, list) or not all(
        isinstance(entry, dict) and isinstance(entry.get("id"), str) for entry in objects
    ):
        raise CloudError(f"{who} does not answer as the API says: {key} is not a list of objects with ids")
    return objects
