"""How old builds are, and what is known about it at all."""

from __future__ import annotations

from datetime import UTC, date, datetime

import pytest

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.model import Finding
from openstack_image_manager.plan import age
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


@pytest.mark.parametrize(
    ("properties", "moment"),
    [
        ({"replace_frequency": "daily"}, "2026-01-02 03:30"),
        ({"replace_frequency": "weekly"}, "2026-01-09 00:30"),
        ({"replace_frequency": "monthly"}, "2026-02-04 02:24"),
        ({"replace_frequency": "quarterly"}, "2026-04-12 04:48"),
        ({"replace_frequency": "yearly"}, "2027-02-06 12:00"),
        ({"replace_frequency": "never"}, None),
        ({"replace_frequency": "critical_bug"}, None),
        ({}, None),
        ({"replace_frequency": "yearly", "provided_until": "2026-05-01"}, None),
        ({"replace_frequency": "yearly", "provided_until": "2029-05-01"}, "2027-02-06 12:00"),
        ({"replace_frequency": "yearly", "provided_until": "notice"}, None),
        ({"replace_frequency": "yearly", "provided_until": "none"}, None),
    ],
)
def test_when_a_successor_is_due(properties: dict[str, str], moment: str | None) -> None:
    found = age.outdated_from(properties, datetime(2026, 1, 1, tzinfo=UTC))
    assert (found.strftime("%Y-%m-%d %H:%M") if found else None) == moment
    assert age.outdated_from(properties, datetime.max.replace(tzinfo=UTC)) is None


@pytest.mark.parametrize(
    ("until", "outdated"),
    [("none", False), ("notice", False), ("2026-03-31", True), ("2026-02-28", False), ("?", True)],
)
def test_an_image_is_outdated_until_it_is_no_longer_provided(until: str, outdated: bool) -> None:
    properties = {"replace_frequency": "monthly", "provided_until": until}
    built = datetime(2026, 1, 1, tzinfo=UTC)
    assert age.is_outdated(properties, built, datetime(2026, 3, 1, tzinfo=UTC)) == outdated
    assert not age.is_outdated(properties, built, datetime(2026, 2, 4, tzinfo=UTC))


@pytest.mark.parametrize(
    ("name", "build_date", "moment"),
    [
        ("20260102", "2026-01-03 10:30", datetime(2026, 1, 3, 10, 30, tzinfo=UTC)),
        ("20260102", None, datetime(2026, 1, 2, tzinfo=UTC)),
        ("x", "2026-01-02 10:00 or so", datetime(2026, 1, 2, tzinfo=UTC)),
        ("x", None, None),
    ],
)
def test_the_moment_of_a_build(name: str, build_date: str | None, moment: datetime | None) -> None:
    assert age.build_moment(name, build_date) == moment
