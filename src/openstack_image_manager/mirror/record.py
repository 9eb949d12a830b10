"""Describe an object of a mirror: its own metadata, and the record next to it."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from typing import Any

from openstack_image_manager.definitions.model import Definition, Version, public_url

MAKER = "openstack-image-manager"
MADE_BY = "made-by"
VALUE_BYTES = 256  # of one value of metadata, as Swift takes it; ASCII everywhere


@dataclass(frozen=True, slots=True)
class Record:
    """The record of a complete object.

    `sha256`, `sha512`, `size`: of the stored object. `source_digest` (algorithm:digest), `source_size`: of the file
    published at `source`. `checksum`: the verified checksum of one of the two. `proof`: its origin: definition,
    checksums_url, signature (over the image), or computed (no promised checksum). `signature`: verified (when it was
    copied), recorded (by the definition), or None. `at`: the time, ISO 8601 with time zone. The fields after it are for
    the index; a record may lack them. `damaged`: when its bytes were found to differ from the digests, or None. `md5`:
    of the stored object; nothing is verified with it, but clients of simplestreams that import into Glance need it.
    """

    name: str
    version: str
    source: str
    source_digest: str
    source_size: int
    checksum: str | None
    proof: str
    signed_by: str | None
    signed_at: str | None
    sha256: str
    sha512: str
    size: int
    at: str
    signature: str | None = None
    disk_format: str | None = None
    architecture: str | None = None
    os_distro: str | None = None
    os_version: str | None = None
    damaged: str | None = None
    md5: str | None = None

    @property
    def time(self) -> datetime:
        """Return `at` as a datetime."""
        return datetime.fromisoformat(self.at)

    @property
    def stored(self) -> tuple[str, str]:
        """Return the digests of the stored bytes, as algorithm:digest."""
        return f"sha256:{self.sha256}", f"sha512:{self.sha512}"

    @property
    def digests(self) -> tuple[str, ...]:
        """Return all digests in the record, as algorithm:digest."""
        known = (self.checksum, self.source_digest, *self.stored)
        return tuple(dict.fromkeys(digest for digest in known if digest))


_NAMES = tuple(field.name for field in fields(Record))
_NEEDED = tuple(field.name for field in fields(Record) if field.default is MISSING)


def encode(record: Record) -> bytes:
    """Return the record as JSON."""
    return json.dumps({MADE_BY: MAKER, **asdict(record)}, indent=2).encode() + b"\n"


def decode(data: bytes) -> Record | None:
    """Parse a record; None for anything else."""
    try:
        document: dict[str, Any] = json.loads(data)
        if document.pop(MADE_BY) != MAKER:
            return None
        values: dict[str, Any] = {name: document[name] if name in _NEEDED else document.get(name) for name in _NAMES}
        record = Record(**values)
        is_valid = all(isinstance(size, int) for size in (record.size, record.source_size))
        texts = (record.name, record.version, record.sha256, record.sha512, record.source, record.at)
        is_valid &= all(isinstance(text, str) for text in texts)
        is_valid &= all(isinstance(getattr(record, name), str | None) for name in _NAMES if name not in _NEEDED)
        return record if is_valid and record.time.tzinfo else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def description(definition: Definition, version: Version) -> dict[str, Any]:
    """Return the fields of a record that describe the image as its definition does."""
    meta = definition.meta
    return {
        "source": public_url(version.url),
        "disk_format": definition.format,
        "architecture": meta.get("architecture"),
        "os_distro": meta.get("os_distro"),
        "os_version": version.os_version or meta.get("os_version"),
    }


def object_metadata(version: Version) -> dict[str, str]:
    """Return the object metadata that is known before an upload begins; values that do not fit are left out."""
    known = {
        MADE_BY: MAKER,
        "source": public_url(version.url),
        "source-checksum": version.checksum,
        "signed-by": version.signed_by if version.is_signed else None,
        "signed-at": version.signed_at if version.is_signed else None,
    }
    return {name: value for name, value in known.items() if value and value.isascii() and len(value) <= VALUE_BYTES}
