"""The clouds of a run, asked at once: their answers are under way while definitions are read."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.cloud import session
from openstack_image_manager.errors import UsageError
from openstack_image_manager.log_context import about

if TYPE_CHECKING:
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.runs.request import Request

HEAD_START = 0.03  # seconds; to read clouds.yaml and to send a request takes two thirds of it


class PendingConnection:
    """One cloud: the login, and then the question for its images with the tag. Nothing is written."""

    def __init__(self, cloud: str | None, tag: str) -> None:
        self._glance = BackgroundCall(lambda: _connect(cloud, tag))

    def result(self) -> Glance:
        """The image service; who takes it closes it. Raises Error."""
        return self._glance.result()

    def wait(self, seconds: float) -> None:
        """Do nothing else for this long, or until it has an answer."""
        self._glance.wait(seconds)

    def give_up(self) -> None:
        """Nobody will take it: it is closed as soon as it is there."""
        BackgroundCall(lambda: self.result().close())


_EARLY: dict[tuple[str | None, str], PendingConnection] = {}


def _connect(cloud: str | None, tag: str) -> Glance:
    with about(cloud):
        logged_in = session.log_in(cloud)
        from openstack_image_manager.cloud.glance import Glance

        glance = Glance(*logged_in, cloud or session.ENVIRONMENT)
        glance.begin(tag)
        return glance


def open_early(cloud: str, tag: str) -> None:
    """A cloud that will be asked for, as far as is known yet."""
    # Before anything else is loaded: the sooner they are asked, the sooner they answer.
    session.load()
    _EARLY[cloud, tag] = opening = PendingConnection(cloud, tag)
    # Two threads that load modules hinder each other: first the one whose question is waited for in the end.
    opening.wait(HEAD_START)


def open_all(requests: Sequence[Request]) -> list[PendingConnection]:
    """All of them, side by side."""
    session.load()
    keys = [(request.cloud, request.policy.tag) for request in requests]
    return [_EARLY.pop(key) if key in _EARLY else PendingConnection(*key) for key in keys]


def cloud_names(options: list[str] | None, all_clouds: bool = False) -> list[str | None]:
    """The clouds to work on: those named, or all of clouds.yaml; else what OS_* says (None: the variables themselves),
    else 'openstack'. Raises UsageError, and CloudError when clouds.yaml can't be read."""
    if all_clouds:
        if options:
            raise UsageError("--cloud and --all-clouds exclude each other; give one of them")
        from openstack_image_manager.cloud.session import known_clouds

        return list(known_clouds())
    if options:
        return list(dict.fromkeys(options))
    if named := os.environ.get("OS_CLOUD"):
        return [named]
    return [None if os.environ.get("OS_AUTH_URL") else "openstack"]
