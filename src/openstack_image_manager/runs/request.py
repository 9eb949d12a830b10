"""The request of one run: a cloud, definitions and a policy."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from openstack_image_manager.plan.model import Policy


@dataclass(frozen=True, slots=True)
class Request:
    """Which cloud should match which definitions. `roll_back`: definitions and the version that should be current."""

    cloud: str | None
    images: str
    filter: str | None
    policy: Policy
    roll_back: Mapping[str, str] = field(default_factory=dict)
