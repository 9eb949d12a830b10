"""PURE: how many builds of an image stay in sight, and what "out of sight" means.

`uuid_validity` is SCS-0102's promise: `none` promises nothing once there is a newer build, `last-N` keeps the last N
(the current one counts), a date keeps all until that day, `notice` and `forever` keep all. Unset: the last three.
"""

from __future__ import annotations

import re
from datetime import date

DEFAULT_VISIBLE = 3
WIDEST_FIRST = ("public", "community", "shared", "private")


def narrower(one: str, other: str) -> str:
    """The visibility of the two that lets fewer people see the image."""
    return max(one, other, key=WIDEST_FIRST.index)


def visible_builds(uuid_validity: str | None, today: date) -> int | None:
    """How many of the newest builds stay in sight; None: all of them."""
    if uuid_validity in ("notice", "forever"):
        return None
    if uuid_validity == "none":
        return 1
    if uuid_validity and (last := re.fullmatch(r"last-(\d+)", uuid_validity)):
        return max(1, int(last.group(1)))
    try:
        return None if date.fromisoformat((uuid_validity or "")[:10]) >= today else DEFAULT_VISIBLE
    except ValueError:
        return DEFAULT_VISIBLE


def out_of_sight(
    visibility: str, hidden: bool, hidden_visibility: str = "community", use_os_hidden: bool = False
) -> tuple[str, bool]:
    """(visibility, os_hidden) of an outdated image: a public one leaves the public list, a private or shared one is
    hidden; no one who did not see the image before sees it after."""
    if visibility == "public":
        return ("public", True) if use_os_hidden else (hidden_visibility, hidden)
    return visibility, hidden or use_os_hidden or visibility != "community"
