"""Determine whether the time that a definition promises images for is over (provided_until, scs-0102)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date
from itertools import chain

from openstack_image_manager.dates import as_day
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding

SOON = 90  # days


def ended_on(definition: Definition, today: date) -> date | None:
    """Return the last day of a definition's time if it has passed; None: it has not, or the definition names no day."""
    last = _last_day(definition)
    return last if last is not None and last < today else None


def _last_day(definition: Definition) -> date | None:
    newest = max(definition.offered, key=lambda version: version_key(version.version), default=None)
    return as_day({**definition.meta, **_meta(newest)}.get("provided_until"))


def _meta(version: Version | None) -> dict[str, str | None]:
    return version.meta if version else {}


def ended(definition: Definition, today: date, then: str) -> list[Finding]:
    """Report a definition whose time is over. `then`: what becomes of its images."""
    last = ended_on(definition, today)
    if last is None:
        return []
    message = f"its provided_until was {last}: {then}; set a later date, or remove the definition"
    return [Finding("warning", definition.name, message)]


def ending(definitions: Iterable[Definition], today: date) -> list[Finding]:
    """Report enabled definitions whose time will be over within 90 days, the next ones first."""
    days = ((_last_day(definition), definition.name) for definition in definitions if definition.enable)
    soon = sorted((last, name) for last, name in days if last and 0 <= (last - today).days <= SOON)
    return [Finding("note", name, f"its provided_until is {last}, {_until(last, today)}") for last, name in soon]


def of_definitions(definitions: Iterable[Definition], today: date) -> list[Finding]:
    """Report enabled definitions whose time is over, or will be within 90 days."""
    enabled = [definition for definition in definitions if definition.enable]
    over = [ended(definition, today, "clouds that lack it do not get it") for definition in enabled]
    return [*chain(*over), *ending(enabled, today)]


def _until(last: date, today: date) -> str:
    days = (last - today).days
    return f"in {count(days, 'day')}" if days else "today"
