"""Rules of naming: the order of versions, and the name of an image in Glance."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from openstack_image_manager.definitions.model import LONGEST, Definition


def version_key(version: str) -> tuple[Any, ...]:
    """The sort key of versions: the natural order of their first 255 characters, as natsort has it."""
    # Anybody's property may be a version, and Python makes no number of thousands of digits.
    version = version[:LONGEST]
    # Most are days. For them alone, loading the library would take as long as the plan.
    return ("", int(version)) if version.isascii() and version.isdecimal() else _natural()(version)


@cache
def _natural() -> Callable[[str], tuple[Any, ...]]:
    from natsort import natsort_keygen

    return natsort_keygen()


def image_name(definition: Definition, version: str, newest: bool) -> str:
    """The name in Glance: `NAME` or `NAME (VERSION)` with multi, else `NAME VERSION`."""
    if not definition.multi:
        return f"{definition.name}{definition.separator}{version}"
    return definition.name if newest else f"{definition.name}{definition.separator}({version})"
