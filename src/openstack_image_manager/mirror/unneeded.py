"""Record when each object was first seen unneeded, so that its grace period starts then."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from openstack_image_manager.mirror.record import MADE_BY, MAKER


def encode(since: Mapping[str, datetime]) -> bytes:
    """Return the times as JSON."""
    times = {key: time.isoformat(timespec="seconds") for key, time in sorted(since.items())}
    return json.dumps({MADE_BY: MAKER, "unneeded": times}, indent=1).encode() + b"\n"


def decode(data: bytes) -> dict[str, datetime] | None:
    """Parse the times; None for any other file. Invalid times are left out."""
    try:
        document: dict[str, Any] = json.loads(data)
        if document[MADE_BY] != MAKER:
            return None
        times = {str(key): _time(text) for key, text in document["unneeded"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return {key: time for key, time in times.items() if time}


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None
