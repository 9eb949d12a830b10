"""Log in to the clouds of a run in threads, while other code is loaded and the definitions are read."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from typing import TYPE_CHECKING

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.cloud import session
from openstack_image_manager.cloud.clouds_yaml import qualified
from openstack_image_manager.errors import UsageError
from openstack_image_manager.log_context import about

if TYPE_CHECKING:
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.runs.request import Request


class PendingConnection:
    """One cloud: the login, then the listing of the images with the tag. Nothing is written."""

    def __init__(self, cloud: str | None, tag: str) -> None:
        self._glance = BackgroundCall(lambda: _connect(cloud, tag))

    def result(self) -> Glance:
        """The image service. Raises Error."""
        return self._glance.result()

    def close(self) -> None:
        """Close the connection, where a login is still under way as soon as it is done; does not wait for it."""
        self._glance.future.add_done_callback(_close)


def _connect(cloud: str | None, tag: str) -> Glance:
    with about(cloud):
        connection, endpoint = session.log_in(cloud)
        from openstack_image_manager.cloud.glance import Glance

        glance = Glance(connection, endpoint, cloud or session.ENVIRONMENT)
        glance.notes = connection.notes
        glance.start_listing(tag)
        return glance


def _close(login: Future[Glance]) -> None:
    if login.exception() is None:
        login.result().close()


@contextmanager
def opened(requests: Sequence[Request]) -> Iterator[list[PendingConnection]]:
    """The clouds of all requests, in parallel; closed at the end."""
    session.load()
    connections = [PendingConnection(request.cloud, request.policy.tag) for request in requests]
    try:
        yield connections
    finally:
        for connection in connections:
            connection.close()


def cloud_names(options: list[str] | None, all_clouds: bool = False, region: str | None = None) -> list[str | None]:
    """The clouds to work on: those named, or all of clouds.yaml; else OS_CLOUD or the other OS_* variables (None), else
    'openstack'; in `region`, if it is given. Raises UsageError, and CloudError when clouds.yaml cannot be read."""
    if all_clouds:
        if options:
            raise UsageError("--cloud and --all-clouds exclude each other; give one of them")
        if region:
            raise UsageError("--region and --all-clouds exclude each other; name the clouds with --cloud")
        from openstack_image_manager.cloud.session import known_clouds

        return list(known_clouds())
    named = list(dict.fromkeys(options or []))
    if not named and (cloud := os.environ.get("OS_CLOUD")):
        named = [cloud]
    if not named and not os.environ.get("OS_AUTH_URL"):
        named = ["openstack"]
    if region is None:
        return list(named) or [None]
    if not named:
        raise UsageError("--region needs --cloud; for a login from the OS_* variables, set OS_REGION_NAME")
    return [qualified(cloud, region) for cloud in named]
