"""Read the days that properties, definitions and other programs write."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime

# As the conformance test of SCS reads them.
_FORMATS = ("%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ")
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def as_day(text: str | None) -> date | None:
    """The day YYYY-MM-DD at the beginning of a text; None: there is none, or no calendar has it."""
    try:
        return date.fromisoformat(day[0]) if (day := _DAY.match(text or "")) else None
    except ValueError:
        return None


def instant(text: str) -> datetime | None:
    """Parse a day or a moment in UTC, in one of the formats of the conformance test; None: it has none of them."""
    for spelling in _FORMATS:
        try:
            return datetime.strptime(text, spelling).replace(tzinfo=UTC)
        except ValueError:
            continue
    return None
