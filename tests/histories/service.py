"""A model of Glance behind its HTTP API: images, projects, paging, imports, with the answers of the Image API v2.

It stands where the network begins: `Site.request` gets what a keystoneauth session gets. What it answers follows
https://docs.openstack.org/api-ref/image/v2/ and Glance's source.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlencode, urlsplit

import requests

Json = dict[str, Any]
BASE = ("id", "owner", "status", "created_at", "updated_at", "size", "virtual_size", "checksum", "os_hash_algo")
READ_ONLY = (*BASE, "os_hash_value", "schema", "self", "file", "direct_url")
DEFAULTS: Json = {"name": None, "visibility": "shared", "os_hidden": False, "protected": False, "tags": []}
DEFAULTS |= {"min_disk": 0, "min_ram": 0, "disk_format": None, "container_format": None}
FIELDS = (*READ_ONLY, *DEFAULTS)
VISIBILITIES = ("public", "community", "shared", "private")
START = int(datetime.now(UTC).timestamp()) - 7200  # the program compares Glance's times with the clock of the machine


@dataclass(frozen=True)
class User:
    """Who asks."""

    project: str
    admin: bool = False


@dataclass(frozen=True)
class Request:
    """One call; `path` without the version and the query."""

    user: User
    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    json: Any = None
    data: Any = None

    @property
    def reads(self) -> bool:
        """True for a call that changes nothing."""
        return self.method == "GET"

    @property
    def image_id(self) -> str | None:
        """The one image that it is about; None: any."""
        parts = self.path.split("/")
        if parts[1] == "images" and len(parts) > 2:
            return parts[2]
        return self.json["id"] if self.method == "POST" else None

    def __str__(self) -> str:
        query = f"?{urlencode(self.query)}" if self.query else ""
        return f"{self.method} {self.path}{query}"


class Refusal(Exception):
    """A status of 4xx and a sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


@dataclass
class Service:
    """Glance. `images` are JSON objects that are replaced, never changed. `page`: the most images of one answer.
    `overlap`: a page begins with the last image of the one before it, as behind a proxy that repeats itself. `dates`:
    answers tell the time. `made`: images that were deleted, which may be the marker of a page."""

    images: dict[str, Json] = field(default_factory=dict)
    members: dict[str, dict[str, str]] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)
    staged: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, tuple[float, bytes | None]] = field(default_factory=dict)
    urls: dict[str, bytes] = field(default_factory=dict)
    made: dict[str, Json] = field(default_factory=dict)  # where the marker of a deleted image was
    page: int = 1000
    overlap: bool = False
    dates: bool = True
    import_seconds: float = 0.0
    clock: Callable[[], float] = lambda: 0.0
    on_change: Callable[[], None] = lambda: None

    def copy(self) -> Service:
        """The same, to try something on."""
        other = replace(self, on_change=lambda: None)
        other.images, other.used, other.jobs = dict(self.images), set(self.used), dict(self.jobs)
        other.members = {image_id: dict(its) for image_id, its in self.members.items()}
        other.staged, other.urls, other.made = dict(self.staged), self.urls, dict(self.made)
        return other

    def now(self) -> str:
        return datetime.fromtimestamp(START + self.clock(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")

    def add(self, image_id: str, owner: str, data: bytes | None = None, **values: Any) -> Json:
        """An image that is there from the beginning; with `data` it is active."""
        moment = values.pop("created_at", None) or self.now()
        image = {**DEFAULTS, "id": image_id, "owner": owner, "status": "queued", "size": None, "virtual_size": None}
        image |= {"checksum": None, "os_hash_algo": None, "os_hash_value": None, "disk_format": "raw"}
        image |= {"container_format": "bare", "created_at": moment, "updated_at": moment, **values}
        if data is not None:
            image |= _stored(data)
        self.images[image_id] = image
        self.used.add(image_id)
        return image

    def put(self, image: Json, **values: Any) -> Json:
        """Change an image; None removes a property."""
        new = {**image, **values, "updated_at": self.now()}
        new = {key: value for key, value in new.items() if value is not None or key in FIELDS}
        self.images[image["id"]] = new
        return new

    def settle(self) -> None:
        """Imports whose time has come end."""
        for image_id, (due, data) in list(self.jobs.items()):
            if due <= self.clock():
                del self.jobs[image_id]
                if image_id not in self.images:
                    continue
                after = {"os_glance_import_task": None, "os_glance_importing_to_stores": None}
                if data is None:
                    after |= {"status": "queued", "os_glance_failed_import": "fast"}
                else:
                    after |= _stored(data)
                self.put(self.images[image_id], **after)
                self.on_change()

    def answer(self, request: Request) -> requests.Response:
        """Carry one request out."""
        self.settle()
        try:
            status, body = self._route(request)
        except Refusal as refusal:
            page = f"<html><head><title>{refusal.status}</title></head><body>{refusal}</body></html>"
            return self._said(response(request, refusal.status, page))
        if not request.reads:
            self.on_change()
        return self._said(response(request, status, "" if body is None else json.dumps(body)))

    def _said(self, answer: requests.Response) -> requests.Response:
        if self.dates:
            answer.headers["Date"] = formatdate(START + self.clock(), usegmt=True)
        return answer

    def sees(self, user: User, image: Json) -> bool:
        """True when the user may ask for it by its id."""
        mine = user.admin or image["owner"] == user.project or image["visibility"] in ("public", "community")
        return mine or (image["visibility"] == "shared" and user.project in self.members.get(image["id"], {}))

    def _image(self, request: Request, write: bool = False) -> Json:
        image = self.images.get(request.path.split("/")[2])
        if image is None or not self.sees(request.user, image):
            raise Refusal(404, f"No image found with ID {request.path.split('/')[2]}")
        if write and not request.user.admin and image["owner"] != request.user.project:
            raise Refusal(403, "You are not authorized to complete this action.")
        return image

    def _route(self, request: Request) -> tuple[int, Any]:
        parts, method = request.path.strip("/").split("/"), request.method
        if parts == ["info", "import"]:
            return 200, {"import-methods": {"type": "array", "value": ["glance-direct", "web-download"]}}
        if parts == ["info", "stores"]:
            return 404, {}
        if parts == ["images"]:
            return (200, self._list(request)) if method == "GET" else (201, self._create(request))
        rest = parts[2:]
        if not rest:
            act = {"GET": self._show, "PATCH": self._patch, "DELETE": self._delete}[method]
            return act(request)
        act = {"stage": self._stage, "import": self._import, "tasks": self._tasks, "actions": self._act}.get(rest[0])
        return (act or self._members)(request)

    def _show(self, request: Request) -> tuple[int, Any]:
        return 200, shown(self._image(request))

    def _list(self, request: Request) -> Json:
        query = dict(request.query)
        most = min(int(query.pop("limit", 25)), self.page)
        marker = query.pop("marker", None)
        found = sorted(self.images.values(), key=_age, reverse=True)
        found = [image for image in found if self._is_listed(request.user, image, query)]
        if marker is not None:
            at = self.images.get(marker) or (self.made.get(marker) if request.user.admin else None)
            if at is None:
                raise Refusal(404, f"No image found with ID {marker}")
            found = [i for i in found if _age(i) < _age(at) or (self.overlap and i["id"] == marker)]
        page = found[:most]
        answer: Json = {
            "images": [shown(image) for image in page],
            "first": "/v2/images",
            "schema": "/v2/schemas/images",
        }
        if len(found) > most and not (self.overlap and most < 2):
            again = {**query, "limit": request.query.get("limit", "25"), "marker": page[-1]["id"]}
            answer["next"] = f"/v2/images?{urlencode(again)}"
        return answer

    def _is_listed(self, user: User, image: Json, query: Mapping[str, str]) -> bool:
        visibility = query.get("visibility")
        mine = image["owner"] == user.project
        member = self.members.get(image["id"], {}).get(user.project) == "accepted"
        shows = mine or image["visibility"] == "public" or user.admin or (image["visibility"] == "shared" and member)
        if visibility == "all" or visibility == "community":
            shows = shows or image["visibility"] == "community"
        elif image["visibility"] == "community" and not mine:
            shows = False
        if visibility in VISIBILITIES and image["visibility"] != visibility:
            shows = False
        if image["os_hidden"] != (query.get("os_hidden", "false").lower() == "true"):
            return False
        return shows and all(_fits(image, key, value) for key, value in query.items())

    def _create(self, request: Request) -> Json:
        body = dict(request.json)
        image_id = body.pop("id")
        if image_id in self.used:
            raise Refusal(409, f"Image ID {image_id} already exists!")
        self._may(request.user, body.get("visibility"), body.get("owner"))
        return shown(self.add(image_id, **{"owner": request.user.project, **body}))

    def _may(self, user: User, visibility: str | None, owner: str | None) -> None:
        if visibility == "public" and not user.admin:
            raise Refusal(403, "You are not authorized to complete publicize_image action.")
        if owner not in (None, user.project) and not user.admin:
            raise Refusal(403, "Owner can't be updated by non admin.")

    def _patch(self, request: Request) -> tuple[int, Any]:
        image = self._image(request, write=True)
        new = dict(image)
        for operation in request.json:
            key = unquote(operation["path"][1:].replace("~1", "/").replace("~0", "~"))
            if key in ("id", "status", "size", "created_at", "updated_at") or key.startswith("os_glance_"):
                raise Refusal(403, f"Attribute '{key}' is read-only.")
            if operation["op"] == "remove":
                if new.pop(key, None) is None:
                    raise Refusal(409, f"Property {key} does not exist.")
            else:
                if operation["op"] == "replace" and key not in new:
                    raise Refusal(409, f"Property {key} does not exist.")
                if key not in FIELDS and not isinstance(operation["value"], str):
                    raise Refusal(400, f"Invalid value for {key}")
                new[key] = operation["value"]
        if new["visibility"] != image["visibility"]:
            self._may(request.user, new["visibility"], None)
        if new["owner"] != image["owner"]:
            self._may(request.user, None, new["owner"])
        new["updated_at"] = self.now()
        self.images[image["id"]] = new
        return 200, shown(new)

    def _delete(self, request: Request) -> tuple[int, Any]:
        image = self._image(request, write=True)
        if image["protected"]:
            raise Refusal(403, f"Image {image['id']} is protected and cannot be deleted.")
        self.made[image["id"]] = image
        del self.images[image["id"]]
        for kept in (self.jobs, self.staged, self.members):
            kept.pop(image["id"], None)
        return 204, None

    def _stage(self, request: Request) -> tuple[int, Any]:
        image = self._image(request, write=True)
        if image["status"] != "queued":
            raise Refusal(409, f"Image status transition from {image['status']} to uploading is not allowed")
        data = b"".join(request.data)
        self.staged[image["id"]] = data
        self.put(image, status="uploading", size=len(data))
        return 204, None

    def _import(self, request: Request) -> tuple[int, Any]:
        image = self._image(request, write=True)
        how = request.json["method"]
        needed = "uploading" if how["name"] == "glance-direct" else "queued"
        if image["status"] != needed or image.get("os_glance_import_task"):
            raise Refusal(409, f"Image status is {image['status']}; it must be {needed}")
        data = self.staged.pop(image["id"], None) if needed == "uploading" else self.urls.get(how["uri"])
        self.put(image, status="importing", os_glance_import_task="a-task", os_glance_importing_to_stores="fast")
        self.jobs[image["id"]] = self.clock() + self.import_seconds, data
        self.settle()
        return 202, None

    def _tasks(self, request: Request) -> tuple[int, Any]:
        image = self._image(request)
        failed = "os_glance_failed_import" in image
        state = {"status": "failure" if failed else "processing", "message": "it failed" if failed else ""}
        known = failed or image["id"] in self.jobs
        return 200, {"tasks": [{"created_at": self.now(), **state}] if known else []}

    def _act(self, request: Request) -> tuple[int, Any]:
        image = self._image(request, write=True)
        if image["status"] not in ("active", "deactivated"):
            raise Refusal(403, f"Not allowed while the image is {image['status']}")
        wanted = "active" if request.path.endswith("/reactivate") else "deactivated"
        if image["status"] != wanted:
            self.put(image, status=wanted)
        return 204, None

    def _members(self, request: Request) -> tuple[int, Any]:
        write = request.method != "GET"
        image = self._image(request, write=write and request.method != "PUT")
        its = self.members.setdefault(image["id"], {})
        if not write:
            return 200, {"members": [{"member_id": p, "status": s, "image_id": image["id"]} for p, s in its.items()]}
        if image["visibility"] != "shared":
            raise Refusal(403, "Only shared images have members.")
        if request.method == "POST":
            if request.json["member"] in its:
                raise Refusal(409, "Image member already exists")
            its[request.json["member"]] = "pending"
            return 200, {"member_id": request.json["member"], "status": "pending"}
        project = request.path.split("/")[4]
        if project not in its:
            raise Refusal(404, f"{project} not found in the member list of the image")
        if request.method == "DELETE":
            del its[project]
            return 204, None
        if not request.user.admin and request.user.project != project:
            raise Refusal(403, "You are not authorized to complete modify_member action.")
        its[project] = request.json["status"]
        return 200, {"member_id": project, "status": its[project]}


def parse(user: User, url: str, method: str, arguments: Mapping[str, Any]) -> Request:
    """The request that a keystoneauth session is asked for; `url` is a path, or whole."""
    parts = urlsplit(url)
    query = {**dict(parse_qsl(parts.query, keep_blank_values=True)), **(arguments.get("params") or {})}
    path = parts.path.removeprefix("/v2")
    return Request(user, method, path, query, arguments.get("json"), arguments.get("data"))


def shown(image: Json) -> Json:
    """The image as the API writes it."""
    image_id = quote(image["id"])
    return {
        **image,
        "self": f"/v2/images/{image_id}",
        "file": f"/v2/images/{image_id}/file",
        "schema": "/v2/schemas/image",
    }


def response(request: Request, status: int, text: str) -> requests.Response:
    """The answer as the HTTP library gives it."""
    answer = requests.Response()
    answer.status_code = status
    answer.url = f"http://glance.model/v2{request.path}"
    answer.reason = {200: "OK", 201: "Created", 202: "Accepted", 204: "No Content"}.get(status, "Refused")
    answer.encoding = "utf-8"
    answer.headers["Content-Type"] = "application/json" if status < 400 else "text/html"
    answer._content = text.encode()
    return answer


def digest(data: bytes) -> str:
    """Glance's digest of bytes."""
    return hashlib.sha512(data).hexdigest()


def _stored(data: bytes) -> Json:
    known = {"os_hash_algo": "sha512", "os_hash_value": digest(data), "checksum": hashlib.md5(data).hexdigest()}
    return {"status": "active", "size": len(data), "virtual_size": len(data), **known}


def _age(image: Json) -> tuple[str, str]:
    return image["created_at"], image["id"]


def _fits(image: Json, key: str, value: str) -> bool:
    if key in ("visibility", "os_hidden", "sort_key", "sort_dir", "sort", "member_status"):
        return True
    if key == "tag":
        return value in image["tags"]
    if key in ("updated_at", "created_at"):
        operator, _, moment = value.partition(":")
        moment = moment if moment.endswith("Z") else moment.replace("+00:00", "") + "Z"
        return {"gte": image[key] >= moment, "gt": image[key] > moment, "lte": image[key] <= moment}[operator]
    operator, colon, rest = value.partition(":")
    if colon and operator == "in":
        return str(image.get(key)) in [each.strip('"') for each in _split(rest)]
    wanted = rest if colon and operator == "eq" else value
    return str(image.get(key)) == wanted.strip('"') or str(image.get(key)) == wanted


def _split(values: str) -> list[str]:
    """What commas part, those in quotes left out."""
    parts, quoted = [""], False
    for character in values:
        quoted ^= character == '"'
        if character == "," and not quoted:
            parts.append("")
        else:
            parts[-1] += character
    return parts
