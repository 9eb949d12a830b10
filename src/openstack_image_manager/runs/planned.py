"""Ask the clouds of a run for their images, and load the rest of the program while they answer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openstack_image_manager.definitions.name_filter import name_pattern
from openstack_image_manager.runs.connect import opened

if TYPE_CHECKING:
    from openstack_image_manager.runs.request import Request
    from openstack_image_manager.runs.run import Clouds


@contextmanager
def planned_clouds(requests: Sequence[Request]) -> Iterator[Clouds]:
    """List the images of all clouds in parallel while the definitions are read, and plan. Nothing is written. A cloud
    that fails stops no other one; where it is the only one, its Error is raised."""
    name_pattern(requests[0].filter)
    with opened(requests) as connections:
        # Loading it takes about as long as the login.
        from openstack_image_manager.runs.run import plan_clouds

        yield plan_clouds(requests, connections)
