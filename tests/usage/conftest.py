"""The fixtures of tests/real, and real Nova and Cinder with them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from openstack_image_manager.sandbox import Sandbox
from tests.real.conftest import *  # noqa: F403  fixtures are found by name
from tests.usage.services import Services, running


@pytest.fixture(scope="session")
def services(sandbox: Sandbox) -> Iterator[Services]:
    """Nova and Cinder, shared by all tests of a session."""
    with running(sandbox) as found:
        yield found
