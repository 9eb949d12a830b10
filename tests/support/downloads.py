"""Downloads that are read to the end, and what is in them."""

from __future__ import annotations

import hashlib
import random
from typing import Any

import pytest

from openstack_image_manager.errors import FetchError
from openstack_image_manager.transfer.download import Download

CONTENT = random.Random(7).randbytes(300_000)
OTHER = random.Random(8).randbytes(300_000)
CUT = 100_000  # where it breaks off


def read(url: str, **options: Any) -> bytes:
    """All of it; its digest and size are checked on the way. `options`: those of Download."""
    with Download(url, **options) as download:
        content = download.read()
        assert download.hexdigest() == hashlib.sha256(content).hexdigest()
        assert download.done == len(content)
        assert download.size in (None, len(content))
    return content


def refused(url: str, **options: Any) -> str:
    """What is said when it cannot be read."""
    with pytest.raises(FetchError) as caught:
        read(url, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message
