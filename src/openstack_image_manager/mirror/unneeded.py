"""Note when each object was first seen unneeded, so that its grace counts from that day."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from openstack_image_manager.mirror.record import MADE_BY, MAKER


def encode(since: Mapping[str, datetime]) -> bytes:
    """The note as JSON."""
    times = {key: time.isoformat(timespec="seconds") for key, time in sorted(since.items())}
    return json.dumps({MADE_BY: MAKER, "unneeded": times}, indent=1).encode() + b"\n"


def decode(data: bytes) -> dict[str, datetime] | None:
    """The times that were written; None for anything else. A time that is not valid is left out."""
    try:
        found: dict[str, Any] = json.loads(data)
        if found[MADE_BY] != MAKER:
            return None
        times = {str(key): _time(text) for key, text in found["unneeded"].items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return {key: time for key, time in times.items() if time}


def _time(text: object) -> datetime | None:
    try:
        time = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return time if time.tzinfo else None
