"""What the options of a command ask for: which clouds shall match which definitions, by which policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING

from openstack_image_manager.errors import UsageError
from openstack_image_manager.runs.request import Request

if TYPE_CHECKING:
    from openstack_image_manager.cli import options
    from openstack_image_manager.definitions.diagnostics import Position
    from openstack_image_manager.definitions.model import Definition
    from openstack_image_manager.plan.model import Policy


def defined(name: str, images: str) -> tuple[Definition, Position]:
    """The definition of a name, and where it stands. Raises UsageError with a name that is like it."""
    from openstack_image_manager.definitions.diagnostics import suggestion
    from openstack_image_manager.definitions.loader import load

    loaded = load(images)
    definition = next((each for each in loaded.definitions if each.name == name), None)
    if definition is None:
        # An image has the name of its definition, and its version behind it.
        begins = [each for each in loaded.positions if re.match(rf"{re.escape(each)}\b", name)]
        hint = f"; did you mean '{max(begins, key=len)}'?" if begins else suggestion(name, loaded.positions)
        hint = hint or "; see: openstack-image-manager list"
        raise UsageError(f"there is no definition '{name}' in {images}{hint}")
    return definition, loaded.positions[name]


def only(name: str) -> str:
    """The --filter that lets this one definition through."""
    return rf"\A{re.escape(name)}\Z"


def requests(
    clouds: options.Clouds,
    images: str,
    name_filter: str | None,
    policy: Policy,
    roll_back: Mapping[str, str] | None = None,
) -> list[Request]:
    """A request for each cloud. Raises UsageError."""
    return [Request(cloud, images, name_filter, policy, roll_back or {}) for cloud in clouds.names()]
