"""Images, differences and findings as frozen types.

`Image` describes an image as wanted and as found alike, so that a plan is nothing but the difference between the two.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

WHOLE = ("active", "deactivated")  # statuses of images that have their bytes
GONE = ("deleted", "pending_delete")  # statuses that Glance shows for the moment that a delete takes


@dataclass(frozen=True, slots=True)
class Image:
    """An image as wanted or as found. Sizes: min_disk GiB, min_ram MiB, size and virtual_size bytes.

    Fields that only Glance can know (id, created_at, updated_at, size, virtual_size, hash_*, import_task) have their
    defaults in a wanted image and are not part of any difference. `owner` is a project's id, `members` those the image
    is shared with, `stores` the backends that hold its bytes; None: not asked for, so no difference either."""

    name: str
    visibility: str
    status: str = "active"
    hidden: bool = False
    min_disk: int = 0
    min_ram: int = 0
    protected: bool = False
    tags: frozenset[str] = frozenset()
    properties: dict[str, str] = field(default_factory=dict)
    disk_format: str | None = None
    id: str = ""
    owner: str | None = None
    members: frozenset[str] | None = None
    stores: frozenset[str] | None = None
    created_at: str = ""
    updated_at: str = ""
    size: int | None = None
    virtual_size: int | None = None
    hash_algorithm: str | None = None
    hash_value: str | None = None
    import_task: str | None = None


@dataclass(frozen=True, slots=True)
class FieldChange:
    """One field or property of one image: its value, the desired value (None: absent), and the reason."""

    field: str
    before: Any
    after: Any
    reason: str


@dataclass(frozen=True, slots=True)
class Finding:
    """Something a person should know that is not a change."""

    level: Literal["note", "warning", "error"]
    subject: str
    message: str
