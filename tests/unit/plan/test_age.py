"""How old builds are, and what is known about it at all."""

from __future__ import annotations

from datetime import date

import pytest

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Finding
from openstack_image_manager.plan.age import build_day, old_builds

TODAY = date(2024, 7, 15)


def version(name: str, build_date: str | None = None) -> Version:
    return Version(version=name, url="https://example.org/disk.img", build_date=build_date)


def definition(*versions: Version) -> Definition:
    return Definition(name="Debian 12", format="qcow2", versions=list(versions))


@pytest.mark.parametrize(
    ("name", "build_date", "day"),
    [
        ("12", "2024-04-16", date(2024, 4, 16)),
        ("12", "2024-04-16 12:30:00", date(2024, 4, 16)),
        ("20230101", "2024-04-16", date(2024, 4, 16)),
        ("20240416", None, date(2024, 4, 16)),
        ("20240416.1", None, date(2024, 4, 16)),
        ("20240416-1717", None, date(2024, 4, 16)),
        ("9.8-20240416.0", None, date(2024, 4, 16)),
        ("v20240416.556894", None, date(2024, 4, 16)),
        ("10000000-20240416", None, date(2024, 4, 16)),
        ("20241316", None, None),
        ("202404161", None, None),
        ("120240416", None, None),
        ("24.04", None, None),
        ("latest", None, None),
    ],
)
def test_the_day_of_a_build(name: str, build_date: str | None, day: date | None) -> None:
    assert build_day(version(name, build_date)) == day


@pytest.mark.parametrize(("max_age", "old"), [(89, True), (90, False), (91, False)])
def test_a_build_is_old_when_more_days_have_passed(max_age: int, old: bool) -> None:
    findings = old_builds([definition(version("20240416"))], max_age, TODAY)
    message = f"newest build 20240416 is 90 days old, more than {max_age}"
    assert findings == ([Finding("warning", "Debian 12", message)] if old else [])


def test_only_the_newest_build_counts() -> None:
    assert old_builds([definition(version("20240701"), version("20200101"))], 90, TODAY) == []
    assert old_builds([definition(version("9.9-20240701"), version("9.10-20200101"))], 90, TODAY) != []


def test_a_build_of_tomorrow_is_not_old() -> None:
    assert old_builds([definition(version("20240716"))], 0, TODAY) == []


def test_an_unknown_age_is_told() -> None:
    (finding,) = old_builds([definition(version("12.0"))], 90, TODAY)
    assert finding == Finding("note", "Debian 12", "version 12.0 has no build_date")


def test_a_definition_without_versions_has_no_age() -> None:
    assert old_builds([definition()], 90, TODAY) == []
