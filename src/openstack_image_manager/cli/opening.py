"""The clouds of a run, asked at once: their answers are under way while definitions are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from openstack_image_manager import login
from openstack_image_manager.ahead import Ahead
from openstack_image_manager.cli.request import Request
from openstack_image_manager.told import about

if TYPE_CHECKING:
    from openstack_image_manager.glance import Glance


class Opening:
    """One cloud: the login, and then the question for its images. Nothing is written."""

    def __init__(self, request: Request) -> None:
        self._glance = Ahead(lambda: _connect(request))

    def result(self) -> Glance:
        """The image service; who takes it closes it. Raises Error."""
        return self._glance.result()

    def give_up(self) -> None:
        """Nobody will take it: it is closed as soon as it is there."""
        Ahead(lambda: self.result().close())


def _connect(request: Request) -> Glance:
    from openstack_image_manager.glance import Glance

    with about(request.cloud):
        glance = Glance.connect(request.cloud)
        glance.begin(request.policy.tag)
        return glance


def open_all(requests: Sequence[Request]) -> list[Opening]:
    """All of them, side by side."""
    # Before anything else is loaded: the sooner they are asked, the sooner they answer.
    login.load()
    return [Opening(request) for request in requests]
