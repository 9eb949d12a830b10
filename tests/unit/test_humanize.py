"""Bytes in words."""

from __future__ import annotations

import pytest

from openstack_image_manager import humanize


@pytest.mark.parametrize(
    ("size", "said"),
    [
        (0, "0 bytes"),
        (1, "1 byte"),
        (1023, "1023 bytes"),
        (1024, "1.0 KiB"),
        (1024**2 - 1, "1024.0 KiB"),
        (629145600, "600.0 MiB"),
        (5 * 1024**3 // 2, "2.5 GiB"),
        (3 * 1024**4, "3072.0 GiB"),
    ],
)
def test_little_is_not_told_as_nothing(size: int, said: str) -> None:
    assert humanize.size(size) == said
