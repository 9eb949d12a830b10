"""PURE: how old builds are."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date

from openstack_image_manager.desired import version_key
from openstack_image_manager.format import Definition, Version
from openstack_image_manager.model import Finding


def build_day(version: Version) -> date | None:
    """The day a version was built: its build_date, else a day in its name (20240416); None: unknown."""
    if version.build_date:
        return date.fromisoformat(version.build_date[:10])
    if dated := re.search(r"(?<!\d)(20\d\d)(\d\d)(\d\d)(?!\d)", version.version):
        try:
            return date(*map(int, dated.groups()))
        except ValueError:
            return None
    return None


def old_builds(definitions: Iterable[Definition], max_age: int, today: date) -> list[Finding]:
    """Definitions whose newest build is older than `max_age` days, or of unknown age."""
    findings = []
    for definition in definitions:
        if not definition.versions:
            continue
        newest = max(definition.versions, key=lambda version: version_key(version.version))
        day = build_day(newest)
        if day is None:
            findings.append(Finding("note", definition.name, f"version {newest.version} has no build_date"))
        elif (today - day).days > max_age:
            message = f"newest build {newest.version} is {(today - day).days} days old, more than {max_age}"
            findings.append(Finding("warning", definition.name, message))
    return findings
