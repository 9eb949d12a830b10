"""Turn options into requests: which clouds should match which definitions, by which policy."""

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


def find_definition(name: str, images: str) -> tuple[Definition, Position]:
    """Find a definition and its position. Raises UsageError with a similar name."""
    from openstack_image_manager.definitions.diagnostics import suggestion
    from openstack_image_manager.definitions.loader import load

    loaded = load(images)
    definition = next((candidate for candidate in loaded.definitions if candidate.name == name), None)
    if definition is None:
        # The name of an image may be that of its definition with a version.
        prefixes = [candidate for candidate in loaded.positions if re.match(rf"{re.escape(candidate)}\b", name)]
        hint = f"; did you mean '{max(prefixes, key=len)}'?" if prefixes else suggestion(name, loaded.positions)
        hint = hint or "; see: openstack-image-manager list"
        raise UsageError(f"there is no definition '{name}' in {images}{hint}")
    return definition, loaded.positions[name]


def exact_filter(name: str) -> str:
    """Return the --filter that matches only this definition."""
    return rf"\A{re.escape(name)}\Z"


def requests(
    clouds: options.Clouds,
    images: str,
    name_filter: str | None,
    policy: Policy,
    roll_back: Mapping[str, str] | None = None,
) -> list[Request]:
    """Create a request for each cloud. Raises UsageError."""
    return [Request(cloud, images, name_filter, policy, roll_back or {}) for cloud in clouds.names()]
