"""Define the findings about an image, and how severe they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from openstack_image_manager.model import Image
from openstack_image_manager.scs.rules import LEVELS, Level


@dataclass(frozen=True, slots=True)
class Verdict:
    """One thing that a standard has to say about an image, or about one that is missing (`id` empty).

    `level`: error where the conformance test fails or a mandatory thing is missing, warning where a recommendation is
    not followed or the test only warns, note else. `test`: the conformance test's name; `key`: the property or
    field."""

    level: Level
    test: str
    name: str
    id: str
    key: str
    message: str
    standards: tuple[str, ...]


def about(image: Image, test: str, key: str, message: str, levels: Mapping[str, Level | None]) -> Iterable[Verdict]:
    """The verdict of the standards that say the worst of it; none where no standard minds."""
    minded = [level for level in levels.values() if level is not None]
    if minded:
        worst = max(minded, key=LEVELS.index)
        standards = tuple(name for name, level in levels.items() if level == worst)
        yield Verdict(worst, test, image.name, image.id, key, message, standards)
