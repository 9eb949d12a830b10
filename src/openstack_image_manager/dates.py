"""Read the days that properties, definitions and other programs write."""

from __future__ import annotations

import re
from datetime import date

_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


def as_day(text: str | None) -> date | None:
    """The day YYYY-MM-DD at the beginning of a text; None: there is none, or no calendar has it."""
    try:
        return date.fromisoformat(day[0]) if (day := _DAY.match(text or "")) else None
    except ValueError:
        return None
