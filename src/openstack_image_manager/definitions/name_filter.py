"""Validate `--filter`, which selects definitions by their names, without loading them."""

from __future__ import annotations

import re

from openstack_image_manager.errors import UsageError


def name_pattern(name_filter: str | None) -> re.Pattern[str]:
    """The pattern of names; without a filter it matches all. Raises UsageError."""
    try:
        return re.compile(name_filter or "")
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--filter '{name_filter}' is not a regular expression: {error}") from None
