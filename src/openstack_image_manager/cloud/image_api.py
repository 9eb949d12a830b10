"""Translate images, changes and errors to and from the Image API (v2).

API: https://docs.openstack.org/api-ref/image/v2/
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from openstack_image_manager.definitions.values import RESERVED
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import GONE, FieldChange, Image
from openstack_image_manager.redaction import redact

_PATHS = {"hidden": "os_hidden"}
MARGIN = timedelta(seconds=10)  # between the clocks of a cloud's Glance servers
LONGEST = 500  # characters of a server's message
LONGEST_BODY = 8 * 1024  # bytes of an error page that are searched
NAMES = 20  # names in one request, so that its URL stays short
NOT_PATCHED = ("status", "members", "stores")  # these have requests of their own


def as_image(data: dict[str, Any]) -> Image:
    """An image from the API's JSON; every key that is not a base attribute is a property.

    Raises ValueError for base attributes that Glance cannot have written. A listing with such an image is refused
    completely: users cannot write these attributes, so the service is not Glance. Without the image the version would
    look missing, be imported again, and have other images deleted in its favour. Properties, which users write, are
    never refused."""
    if wrong := [key for key, fits in _ATTRIBUTES.items() if not fits(data.get(key))]:
        name = data.get("id") if is_id(data.get("id")) else "an image"
        raise ValueError(f"{name} is not described as Glance describes images: {', '.join(wrong)}")
    return Image(
        name=data.get("name") or "",
        visibility=data["visibility"],
        status=data["status"],
        hidden=data.get("os_hidden") or False,
        min_disk=data.get("min_disk") or 0,
        min_ram=data.get("min_ram") or 0,
        protected=data.get("protected") or False,
        tags=frozenset(data.get("tags") or ()),
        properties={
            key: value
            for key, value in data.items()
            if key not in RESERVED and not key.startswith("os_glance_") and isinstance(value, str)
        },
        disk_format=data.get("disk_format"),
        id=data["id"],
        owner=data.get("owner"),
        stores=frozenset(filter(None, data["stores"].split(","))) if data.get("stores") is not None else None,
        created_at=data.get("created_at") or "",
        updated_at=data.get("updated_at") or "",
        size=data.get("size"),
        virtual_size=data.get("virtual_size"),
        hash_algorithm=data.get("os_hash_algo"),
        hash_value=data.get("os_hash_value"),
        import_task=data.get("os_glance_import_task"),
    )


def is_id(value: object) -> bool:
    """True for a valid id, which can be a part of a URL."""
    return isinstance(value, str) and bool(re.fullmatch(r"[0-9A-Za-z_-]{1,64}", value))


def _text(longest: int) -> Callable[[object], bool]:
    return lambda value: value is None or (isinstance(value, str) and len(value) <= longest)


def _number(largest: int) -> Callable[[object], bool]:
    return lambda value: value is None or (type(value) is int and 0 <= value <= largest)


def _flag(value: object) -> bool:
    return value is None or isinstance(value, bool)


def _time(value: object) -> bool:
    return value is None or (isinstance(value, str) and bool(re.fullmatch(_MOMENT, value)))


def _names(value: object) -> bool:
    return value is None or (isinstance(value, list) and all(isinstance(name, str) for name in value))


_MOMENT = r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?(Z|[+-][0-9]{2}:[0-9]{2})?"
# The values that each base attribute may have; the numbers are those of Glance's columns.
_ATTRIBUTES: dict[str, Callable[[object], bool]] = {
    "id": is_id,
    "name": _text(255),
    "visibility": lambda value: value in ("public", "private", "shared", "community"),
    "status": lambda value: isinstance(value, str) and bool(re.fullmatch("[a-z_]{1,32}", value)),
    "os_hidden": _flag,
    "protected": _flag,
    "min_disk": _number(2**31 - 1),
    "min_ram": _number(2**31 - 1),
    "size": _number(2**63 - 1),
    "virtual_size": _number(2**63 - 1),
    "tags": _names,
    "disk_format": _text(255),
    "owner": _text(255),
    "stores": _text(65535),
    "created_at": _time,
    "updated_at": _time,
    "os_hash_algo": _text(64),
    "os_hash_value": _text(128),
    "os_glance_import_task": _text(255),
}


def refuse_deleted(image: Image) -> None:
    """Raise CloudError with status 404 for an image that Glance is deleting: until that is done, Glance still shows the
    image and changes it on request."""
    if image.status in GONE:
        raise CloudError(f"Glance says that it is {image.status}", 404)


def creation_body(image: Image, container_format: str) -> dict[str, Any]:
    """The body of the POST that creates an image record."""
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


def import_body(method: str, uri: str | None, stores: Collection[str] | None) -> dict[str, Any]:
    """The body of the POST that orders an import."""
    body: dict[str, Any] = {"method": {"name": method, **({"uri": uri} if uri else {})}}
    return body | ({"stores": sorted(stores), "all_stores_must_succeed": False} if stores else {})


def patch_operation(change: FieldChange) -> dict[str, Any]:
    """One JSON patch operation; `add` creates or replaces, `replace` of a missing property would be a 409."""
    path = "/" + _PATHS.get(change.field, change.field).replace("~", "~0").replace("/", "~1")
    if change.after is None:
        return {"op": "remove", "path": path}
    value = sorted(change.after) if isinstance(change.after, frozenset) else change.after
    return {"op": "add", "path": path, "value": value}


def error_sentence(answer: Any, who: str) -> str:
    """The message of an error, without HTML, without secrets, and with the status only once."""
    from html import unescape

    body = redact(_beginning(answer))
    text = re.sub(r"<(title|style|script)\b.*?</\1>|<h1>.*?</h1>", " ", body, flags=re.S | re.I)
    text = " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())[:LONGEST]
    status = rf"{answer.status_code}\b[\s:]*(?:{re.escape((answer.reason or '')[:LONGEST])}[\s:.]*|$)"
    text = re.sub(rf"^{status}", "", text, flags=re.IGNORECASE)
    return f"{who} answered {answer.status_code}: {text or redact((answer.reason or '')[:LONGEST])}"


def _beginning(answer: Any) -> str:
    """The first part of a body; only 500 characters of it are shown."""
    data = answer.content[:LONGEST_BODY]
    try:
        return str(data.decode(answer.encoding or "utf-8", "replace"))
    except LookupError:  # an unknown encoding
        return str(data.decode("utf-8", "replace"))


def id_filters(ids: Collection[str]) -> list[str]:
    """Values of the filter `id` that together find all ids."""
    sorted_ids = sorted(ids)
    return [f"in:{','.join(sorted_ids[start : start + NAMES])}" for start in range(0, len(sorted_ids), NAMES)]


def name_filters(names: Collection[str]) -> list[str]:
    """Values of the filter `name` that together find all names, in few requests with short URLs."""
    # Glance takes quotes around a name, but no quote or backslash in it.
    plain = sorted(name for name in names if not re.search(r'["\\]', name))
    groups = [plain[start : start + NAMES] for start in range(0, len(plain), NAMES)]
    quoted = [",".join('"' + name + '"' for name in group) for group in groups]
    return [*(f"in:{group}" for group in quoted), *(f"eq:{name}" for name in sorted(set(names) - set(plain)))]


_NAMED: dict[str, type] = {"id": str, "name": str}
# The keys that the rows of an answer must have: in lists, in mappings by name, and in single objects.
_ROWS: dict[str, dict[str, type]] = {
    "images": {},
    "members": {"member_id": str, "status": str},
    "stores": {"id": str},
    "tasks": {"created_at": str, "status": str},
    "domains": _NAMED,
    "projects": _NAMED,
    "registered_limits": {"resource_name": str, "default_limit": int},
}
_NAMED_ROWS: dict[str, dict[str, type]] = {"usage": {"usage": int, "limit": int}}
_OBJECTS: dict[str, dict[str, type]] = {"domain": _NAMED, "project": _NAMED}


def is_shaped(data: object, key: str) -> bool:
    """True for an object with that key and a value of the shape that Glance or Keystone gives it."""
    if not isinstance(data, dict) or key not in data:
        return False
    value = data[key]
    if key in _ROWS:
        return isinstance(value, list) and all(_holds(row, _ROWS[key]) for row in value)
    if key in _NAMED_ROWS:
        return isinstance(value, dict) and all(_holds(row, _NAMED_ROWS[key]) for row in value.values())
    if key in _OBJECTS:
        return _holds(value, _OBJECTS[key])
    if key == "import-methods":
        return isinstance(value, dict) and isinstance(value.get("value"), list) and _names(value["value"])
    return is_id(value) if key == "id" else True


def _holds(row: object, wanted: dict[str, type]) -> bool:
    return isinstance(row, dict) and all(type(row.get(name)) is kind for name, kind in wanted.items())


def success_statuses(method: str, path: str) -> tuple[int, ...]:
    """The statuses with which Glance answers a request that succeeded."""
    if method == "DELETE" or (method == "PUT" and path.endswith("/stage")) or "/actions/" in path:
        return (204,)
    if method == "POST" and path.endswith("/import"):
        return (202,)
    if method == "POST" and path == "/images":
        return (201,)
    return (200, 204) if path.endswith("/file") else (200,)  # 204: a file of no bytes


def next_page(link: object) -> tuple[str, str] | None:
    """The path below /v2 of the next page that `link` names, and its marker; None: it is not a page of a listing."""
    if not isinstance(link, str):
        return None
    try:
        parts = urlsplit(link)
        markers = parse_qs(parts.query, max_num_fields=100).get("marker", [])
    except ValueError:
        return None
    if (parts.scheme, parts.netloc, parts.path, parts.fragment) != ("", "", "/v2/images", "") or len(markers) != 1:
        return None
    return f"/images?{parts.query}", markers[0]


def keep_newer(images: dict[str, Image], image: Image) -> None:
    """Keep the newer state of an image; of two answers of one second, the later one."""
    before = images.get(image.id)
    if before is None or before.updated_at <= image.updated_at:
        images[image.id] = image


def server_time(date: str, took: float) -> datetime | None:
    """When Glance began an answer with this `Date` that took `took` seconds, by its own clock minus a margin;
    None: the header is missing."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC) - timedelta(seconds=took) - MARGIN
    except (ValueError, TypeError, OverflowError):
        return None
