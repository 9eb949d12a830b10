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
LONGEST = 500  # characters of what a server says
MOST_SAID = 8 * 1024  # bytes of an error page that are looked through
NAMES = 20  # names in one question, so that its URL stays short
NOT_PATCHED = ("status", "members", "stores")  # these have requests of their own


def as_image(data: dict[str, Any]) -> Image:
    """An image from the API's JSON; what is none of the base attributes is a property.

    Raises ValueError for base attributes that Glance can not have written. A listing with such an image is refused as a
    whole: no user can write them, so whatever answers is not Glance; and an image that was left out would look missing,
    be imported again, and have others deleted in its favour. Properties, which users write, are refused never."""
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
    """True for what can be an id, which becomes a part of addresses."""
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
# What each base attribute may be; the numbers are those of Glance's columns.
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
    """Raise CloudError with status 404 where Glance has written that it is deleted: it does so before it deletes, and
    until then it still shows such an image and changes it when asked to."""
    if image.status in GONE:
        raise CloudError(f"Glance says that it is {image.status}", 404)


def creation_body(image: Image, container_format: str) -> dict[str, Any]:
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


def import_body(method: str, uri: str | None, stores: Collection[str] | None) -> dict[str, Any]:
    """The body of the POST that asks for an import."""
    body: dict[str, Any] = {"method": {"name": method, **({"uri": uri} if uri else {})}}
    return body | ({"stores": sorted(stores), "all_stores_must_succeed": False} if stores else {})


def patch_operation(change: FieldChange) -> dict[str, Any]:
    """One JSON patch operation; `add` creates or replaces, `replace` of what is missing would be a 409."""
    path = "/" + _PATHS.get(change.field, change.field).replace("~", "~0").replace("/", "~1")
    if change.after is None:
        return {"op": "remove", "path": path}
    value = sorted(change.after) if isinstance(change.after, frozenset) else change.after
    return {"op": "add", "path": path, "value": value}


def error_sentence(answer: Any, who: str) -> str:
    """What it says, without the HTML around it, and without saying its status twice; no secrets."""
    from html import unescape

    said = redact(_beginning(answer))
    text = re.sub(r"<(title|style|script)\b.*?</\1>|<h1>.*?</h1>", " ", said, flags=re.S | re.I)
    text = " ".join(unescape(re.sub(r"<[^>]*>", " ", text)).split())[:LONGEST]
    status = rf"{answer.status_code}\b[\s:]*(?:{re.escape((answer.reason or '')[:LONGEST])}[\s:.]*|$)"
    text = re.sub(rf"^{status}", "", text, flags=re.IGNORECASE)
    return f"{who} answered {answer.status_code}: {text or redact((answer.reason or '')[:LONGEST])}"


def _beginning(answer: Any) -> str:
    """The first part of a body. The rest could only take time: of a sentence 500 characters are shown."""
    data = answer.content[:MOST_SAID]
    try:
        return str(data.decode(answer.encoding or "utf-8", "replace"))
    except LookupError:  # an encoding that nobody knows
        return str(data.decode("utf-8", "replace"))


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


_NAMED: dict[str, type] = {"id": str, "name": str}
# What the rows of an answer must hold, and those of an answer whose rows have names.
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
    """True for an object with that key, whose value is what Glance or Keystone has under it."""
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
    """The statuses that Glance answers with when it has done what was asked."""
    if method == "DELETE" or (method == "PUT" and path.endswith("/stage")) or "/actions/" in path:
        return (204,)
    if method == "POST" and path.endswith("/import"):
        return (202,)
    if method == "POST" and path == "/images":
        return (201,)
    return (200, 204) if path.endswith("/file") else (200,)  # 204: a file of no bytes


def next_page(link: object) -> tuple[str, str] | None:
    """The path below /v2 of the next page that `link` names, and its marker; None: it is no page of a listing."""
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
    """Keep what is newer of an image; of two answers of one second, the later one."""
    before = images.get(image.id)
    if before is None or before.updated_at <= image.updated_at:
        images[image.id] = image


def server_time(date: str, took: float) -> datetime | None:
    """When Glance began with an answer of that `Date` which `took` so many seconds, by its own clock and a bit earlier;
    None: it does not say."""
    try:
        return parsedate_to_datetime(date).astimezone(UTC) - timedelta(seconds=took) - MARGIN
    except (ValueError, TypeError, OverflowError):
        return None
