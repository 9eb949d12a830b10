"""PURE: images, changes and refusals as the Image API (v2) writes them.

API: https://docs.openstack.org/api-ref/image/v2/
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import GONE, FieldChange, Image
from openstack_image_manager.values import RESERVED

_PATHS = {"hidden": "os_hidden"}
NAMES = 20  # names in one question, so that its URL stays short
NOT_PATCHED = ("status", "members", "stores")  # these have requests of their own


def as_image(data: dict[str, Any]) -> Image:
    """An image from the API's JSON; what is none of the base attributes is a property."""
    return Image(
        name=data.get("name") or "",
        visibility=data["visibility"],
        status=data["status"],
        hidden=data.get("os_hidden", False),
        min_disk=data.get("min_disk") or 0,
        min_ram=data.get("min_ram") or 0,
        protected=data.get("protected", False),
        tags=frozenset(data.get("tags", ())),
        properties={
            key: value
            for key, value in data.items()
            if key not in RESERVED and not key.startswith("os_glance_") and isinstance(value, str)
        },
        disk_format=data.get("disk_format"),
        id=data["id"],
        owner=data.get("owner"),
        stores=frozenset(filter(None, data["stores"].split(","))) if "stores" in data else None,
        created_at=data.get("created_at", ""),
        updated_at=data.get("updated_at", ""),
        size=data.get("size"),
        virtual_size=data.get("virtual_size"),
        hash_algorithm=data.get("os_hash_algo"),
        hash_value=data.get("os_hash_value"),
        import_task=data.get("os_glance_import_task"),
    )


def present(data: dict[str, Any]) -> Image:
    """An image from the API's JSON. Raises CloudError with status 404 where Glance has written that it is deleted: it
    does so before it deletes, and until then it still shows such an image and changes it when asked to."""
    if data["status"] in GONE:
        raise CloudError(f"Glance says that it is {data['status']}", 404)
    return as_image(data)


def creation(image: Image, container_format: str) -> dict[str, Any]:
    """The body of the POST that makes the record of an image."""
    return {
        **image.properties,
        "id": image.id,
        "name": image.name,
        "visibility": image.visibility,
        "os_hidden": image.hidden,
        "min_disk": image.min_disk,
        "min_ram": image.min_ram,
        "tags": sorted(image.tags),
        "disk_format": image.disk_format,
        "container_format": container_format,
    }


def order(method: str, uri: str | None, stores: Collection[str] | None) -> dict[str, Any]:
    """The body of the POST that asks for an import."""
    body: dict[str, Any] = {"method": {"name": method, **({"uri": uri} if uri else {})}}
    return body | ({"stores": sorted(stores), "all_stores_must_succeed": False} if stores else {})


def operation(change: FieldChange) -> dict[str, Any]:
    """One JSON patch operation; `add` creates or replaces, `replace` of what is missing would be a 409."""
    path = "/" + _PATHS.get(change.field, change.field).replace("~", "~0").replace("/", "~1")
    if change.after is None:
        return {"op": "remove", "path": path}
    value = sorted(change.after) if isinstance(change.after, frozenset) else change.after
    return {"op": "add", "path": path, "value": value}


def sentence(answer: Any, who: str) -> str:
    """What it says, without the HTML around it, and without saying its status twice."""
    from html import unescape

    text = re.sub(r"<(title|style|script)\b.*?</\1>|<h1>.*?</h1>", " ", answer.text or "", flags=re.S | re.I)
    text = " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())[:500]
    status = rf"{answer.status_code}\b[\s:]*(?:{re.escape(answer.reason or '')}[\s:.]*|$)"
    text = re.sub(rf"^{status}", "", text, flags=re.IGNORECASE)
    return f"{who} answered {answer.status_code}: {text or answer.reason}"


def id_filters(ids: Collection[str]) -> list[str]:
    """Values of the filter `id` that together find all of the ids."""
    every = sorted(ids)
    return [f"in:{','.join(every[start : start + NAMES])}" for start in range(0, len(every), NAMES)]


def name_filters(names: Collection[str]) -> list[str]:
    """Values of the filter `name` that together find all of the names, in few requests with short URLs."""
    # Glance takes quotes around a name, but no quote or backslash in it.
    plain = sorted(name for name in names if not re.search(r'["\\]', name))
    groups = [plain[start : start + NAMES] for start in range(0, len(plain), NAMES)]
    quoted = [",".join('"' + name + '"' for name in group) for group in groups]
    return [*(f"in:{group}" for group in quoted), *(f"eq:{name}" for name in sorted(set(names) - set(plain)))]
