"""Define the findings about an image, and how severe they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openstack_image_manager.model import Image
from openstack_image_manager.scs.rules import LEVELS, Level


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one rule of a standard about an image, or about a missing image (`id` is empty).

    `level`: error if the conformance test fails or a mandatory value is missing, warning if the test only warns or a
    recommendation is not followed, otherwise note. `test`: the conformance test's name; `key`: the property or
    field."""

    level: Level
    test: str
    name: str
    id: str
    key: str
    message: str
    standards: tuple[str, ...]


def about(image: Image, test: str, key: str, message: str, levels: Mapping[str, Level | None]) -> Iterable[Verdict]:
    """Return the verdict of the strictest standards; nothing if no standard has a rule."""
    known = [level for level in levels.values() if level is not None]
    if known:
        worst = max(known, key=LEVELS.index)
        standards = tuple(name for name, level in levels.items() if level == worst)
        yield Verdict(worst, test, image.name, image.id, key, message, standards)
