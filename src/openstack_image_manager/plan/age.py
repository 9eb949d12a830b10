"""Determine how old builds are, and when the next one is due (scs-0102, replace_frequency)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime, timedelta

from openstack_image_manager.dates import as_day, instant
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.model import Finding

# As the conformance test of SCS counts: a little more than the name says, and a tenth of that on top.
HOURS = {"daily": 25, "weekly": 7 * 25, "monthly": 31 * 24, "quarterly": 92 * 24, "yearly": 365 * 24}
SLACK = 1.1


def build_day(version: Version) -> date | None:
    """The day a version was built: its build_date, else a day in its name (20240416); None: unknown."""
    return built(version.version, version.build_date)


def outdated_from(properties: Mapping[str, str], built: datetime) -> datetime | None:
    """The moment from which an image that was built at `built` is outdated; None: never, as is an image whose
    provided_until is none, notice, or before that moment."""
    hours = HOURS.get(properties.get("replace_frequency", ""))
    until = properties.get("provided_until", "")
    if hours is None or until in ("none", "notice"):
        return None
    try:
        moment = built + timedelta(hours=hours * SLACK)
    except OverflowError:  # built at the end of the calendar
        return None
    end = instant(until)
    return None if end and end < moment else moment


def is_outdated(properties: Mapping[str, str], built: datetime, now: datetime) -> bool:
    """True after that moment, until provided_until."""
    moment = outdated_from(properties, built)
    end = instant(properties.get("provided_until", ""))
    return moment is not None and now > moment and not (end and now > end)


def build_moment(version: str, build_date: str | None) -> datetime | None:
    """The moment a version was built: its build date, or the beginning of the day in its name; None: unknown."""
    if build_date and (moment := instant(build_date)):
        return moment
    day = built(version, build_date)
    return datetime(day.year, day.month, day.day, tzinfo=UTC) if day else None


def built(version: str, build_date: str | None) -> date | None:
    """A day from a build date (YYYY-MM-DD …), else from a version such as 20240416; None: unknown."""
    if build_date:
        return as_day(build_date)
    dated = re.search(r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?!\d)", version)
    return as_day("-".join(dated.groups())) if dated else None


def old_builds(definitions: Iterable[Definition], max_age: int, today: date) -> list[Finding]:
    """Definitions whose newest build is older than `max_age` days, or of unknown age."""
    findings = []
    for definition in definitions:
        if not definition.offered:
            continue
        newest = max(definition.offered, key=lambda version: version_key(version.version))
        day = build_day(newest)
        if day is None:
            findings.append(Finding("note", definition.name, f"version {newest.version} has no build_date"))
        elif (today - day).days > max_age:
            message = f"newest build {newest.version} is {(today - day).days} days old, more than {max_age}"
            findings.append(Finding("warning", definition.name, message))
    return findings
