"""A Glance of values: records, imports under way, upstream sites, days; and refusals."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from datetime import date, timedelta

from openstack_image_manager.model import FieldChange, Image

TODAY = date(2026, 11, 22)
GIB = 1024**3
IMAGE = {each.name for each in fields(Image)}


class Refused(Exception):
    """A call that failed; `status` as Glance would say."""

    def __init__(self, status: int = 500) -> None:
        super().__init__(status)
        self.status = status


def digest(url: str) -> str:
    """The sha512 of the bytes at a URL."""
    return hashlib.sha512(url.encode()).hexdigest()


@dataclass
class Cloud:
    """Glance and the upstream sites. `jobs`: imports under way and the bytes they bring, None: they will fail.
    `upstream`: URLs whose bytes are "gone" or "wrong"."""

    images: dict[str, Image] = field(default_factory=dict)
    day: date = TODAY
    used: set[str] = field(default_factory=set)
    jobs: dict[str, str | None] = field(default_factory=dict)
    upstream: dict[str, str] = field(default_factory=dict)
    clock: int = 0
    events: Counter[str] = field(default_factory=Counter)

    def copy(self) -> Cloud:
        """The same cloud with healthy upstreams, to see what would become of it."""
        return replace(self, images=dict(self.images), used=set(self.used), jobs=dict(self.jobs), upstream={})

    def now(self) -> str:
        """A moment later."""
        self.clock += 1
        return f"{self.day}T{self.clock // 3600 % 24:02}:{self.clock // 60 % 60:02}:{self.clock % 60:02}Z"

    def add(self, image: Image) -> Image:
        """A new record. Raises Refused for an id that was used."""
        if image.id in self.used:
            raise Refused(409)
        self.used.add(image.id)
        moment = self.now()
        self.images[image.id] = replace(image, created_at=moment, updated_at=moment)
        return self.images[image.id]

    def get(self, image_id: str) -> Image:
        """The image. Raises Refused when it is gone."""
        if image_id not in self.images:
            raise Refused(404)
        return self.images[image_id]

    def put(self, image_id: str, image: Image) -> None:
        """Change an image."""
        self.images[image_id] = replace(image, updated_at=self.now())

    def patch(self, image_id: str, changes: Iterable[FieldChange]) -> None:
        """All or nothing; what is not there can't be removed."""
        image = self.get(image_id)
        properties, values = dict(image.properties), {}
        for change in changes:
            if change.field in IMAGE:
                values[change.field] = change.after
            elif change.after is not None:
                properties[change.field] = change.after
            elif properties.pop(change.field, None) is None:
                raise Refused(409)
        for apart in ("status", "members"):
            values.pop(apart, None)
        self.put(image_id, replace(image, properties=properties, **values))

    def delete(self, image_id: str) -> None:
        """Delete; what is gone already is fine."""
        image = self.images.get(image_id)
        if image is not None and image.protected:
            raise Refused(403)
        self.images.pop(image_id, None)
        self.jobs.pop(image_id, None)

    def finish(self, image_id: str) -> None:
        """The import under way comes to its end."""
        image, brought = self.get(image_id), self.jobs.pop(image_id, None)
        if brought is None:
            self.put(image_id, replace(image, status="queued", import_task=None))
        else:
            stored = {"hash_algorithm": "sha512", "hash_value": brought, "size": GIB, "virtual_size": 3 * GIB}
            self.put(image_id, replace(image, status="active", import_task=None, **stored))

    def pass_days(self, days: int) -> None:
        """Days pass, and imports end."""
        self.day += timedelta(days)
        for image_id in [image.id for image in self.images.values() if image.status == "importing"]:
            self.finish(image_id)
