"""Builds that a site offers: their order, pre-releases, and two of one name."""

from __future__ import annotations

import pytest

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.upstreams.candidates import Candidate, is_prerelease, newest_first, order


@pytest.mark.parametrize(
    "versions",
    [
        ["9.9", "9.10"],
        ["20250930.2", "20250930.10"],
        ["3.23.4-r9", "3.23.4-r10"],
        ["1.33.9", "1.33.10"],
        ["20250814-2204", "20260101-9", "20260101-2204"],
        ["1.14.0-alpha.1", "1.14.0-beta.0", "1.14.0-rc.2", "1.14.0-rc.10", "1.14.0"],
        ["41 Beta", "41", "42"],
    ],
)
def test_versions_are_sorted_as_people_do(versions: list[str]) -> None:
    backwards = versions[::-1]
    assert sorted(backwards, key=order) == versions


def test_pre_releases() -> None:
    assert [
        v for v in ("1.0-rc1", "1.0rc1", "41 Beta", "v1-alpha", "1-PREVIEW-2", "1.dev3") if not is_prerelease(v)
    ] == []
    assert [v for v in ("1.0", "arch", "march", "alphabet", "20260101", "source-1", "devel") if is_prerelease(v)] == []


def test_the_newest_first() -> None:
    old, new = (Candidate(name, {"url": f"https://x/{name}"}) for name in ("1.9", "1.10"))
    assert newest_first([("1.9", old), ("1.10", new), ("1.9", old)]) == [("1.10", new), ("1.9", old)]
    assert newest_first([]) == []
    with pytest.raises(VerificationError, match=r"two different builds are called 1: 1\.9 https://x/1\.9 and "):
        newest_first([("1", old), ("1", new)])
