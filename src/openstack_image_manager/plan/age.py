"""Determine how old builds are, and when the next one is due (scs-0102, replace_frequency)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta

from openstack_image_manager.dates import as_day
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.model import Finding

# As the conformance test of SCS counts: a little more than the name says, and a tenth of that on top.
HOURS = {"daily": 25, "weekly": 7 * 25, "monthly": 31 * 24, "quarterly": 92 * 24, "yearly": 365 * 24}
SLACK = 1.1


def build_day(version: Version) -> date | None:
    """The day a version was built: its build_date, else a day in its name (20240416); None: unknown."""
    return built(version.version, version.build_date)


def due(properties: Mapping[str, str], day: date) -> date | None:
    """The day on which an image that was built on `day` needs a successor; None: never. An image that is provided no
    longer (provided_until) needs none either."""
    hours = HOURS.get(properties.get("replace_frequency", ""))
    until = properties.get("provided_until", "")
    if hours is None:
        return None
    try:
        when = (datetime(day.year, day.month, day.day) + timedelta(hours=hours * SLACK)).date()
    except OverflowError:  # built at the end of the calendar
        return None
    return None if until[:1].isdigit() and until[:10] < when.isoformat() else when


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
