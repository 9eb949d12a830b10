"""Describe an object of a mirror: its own metadata, and the record next to it."""

from __future__ import annotations

import json
from dataclasses import MISSING, asdict, dataclass, fields
from datetime import datetime
from typing import Any

from openstack_image_manager.definitions.model import Version, public_url

MAKER = "openstack-image-manager"
MADE_BY = "made-by"
VALUE_BYTES = 256  # of one value of metadata, as Swift takes it; ASCII everywhere


@dataclass(frozen=True, slots=True)
class Record:
    """What is known of an object once it is complete.

    `sha256`, `sha512`, `size`: of the object as stored. `source_digest` (algorithm:digest), `source_size`: of the file
    as published at `source`. `checksum`: what was promised and came true, of one of the two; `proof`: who promised it:
    definition, checksums_url, signature (over the image), or computed: nobody did. `signature`: verified (when it was
    copied), recorded (the definition tells that it once was), or None. `at`: when, ISO 8601 with time zone. What comes
    behind it, the index is made of; a record may lack it. `damaged`: when its bytes were found to be others than these;
    or None.
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

    @property
    def time(self) -> datetime:
        """`at` as a time."""
        return datetime.fromisoformat(self.at)

    @property
    def stored(self) -> tuple[str, str]:
        """The digests of the bytes as stored, as algorithm:digest."""
        return f"sha256:{self.sha256}", f"sha512:{self.sha512}"

    @property
    def digests(self) -> tuple[str, ...]:
        """Everything that it says about its bytes, as algorithm:digest."""
        known = (self.checksum, self.source_digest, *self.stored)
        return tuple(dict.fromkeys(digest for digest in known if digest))


_NAMES = tuple(field.name for field in fields(Record))
_NEEDED = tuple(field.name for field in fields(Record) if field.default is MISSING)


def encode(record: Record) -> bytes:
    """The record as JSON."""
    return json.dumps({MADE_BY: MAKER, **asdict(record)}, indent=2).encode() + b"\n"


def decode(data: bytes) -> Record | None:
    """The record that was written; None for anything else."""
    try:
        found: dict[str, Any] = json.loads(data)
        if found.pop(MADE_BY) != MAKER:
            return None
        known: dict[str, Any] = {name: found[name] if name in _NEEDED else found.get(name) for name in _NAMES}
        record = Record(**known)
        sound = all(isinstance(each, int) for each in (record.size, record.source_size))
        texts = (record.name, record.version, record.sha256, record.sha512, record.source, record.at)
        sound &= all(isinstance(each, str) for each in texts)
        sound &= all(isinstance(getattr(record, name), str | None) for name in _NAMES if name not in _NEEDED)
        return record if sound and record.time.tzinfo else None
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None


def object_metadata(version: Version) -> dict[str, str]:
    """What is known before an upload begins, and so can be metadata of the object; what does not fit is left out."""
    known = {
        MADE_BY: MAKER,
        "source": public_url(version.url),
        "source-checksum": version.checksum,
        "signed-by": version.signed_by if version.is_signed else None,
        "signed-at": version.signed_at if version.is_signed else None,
    }
    return {name: value for name, value in known.items() if value and value.isascii() and len(value) <= VALUE_BYTES}
