"""Report the age of the signatures that definitions record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding
from openstack_image_manager.upstreams.build import days_since, newest_recorded


@dataclass(frozen=True, slots=True)
class SignatureAge:
    """The signature of the newest version of a definition. `signed_days`: its age."""

    image: str
    version: str
    signed_by: str
    signed_at: str
    signed_days: int


def signatures(definitions: Iterable[Definition], today: date) -> list[SignatureAge]:
    """Return the signatures of the newest versions of enabled definitions, if their time is recorded."""
    ages = []
    for definition in definitions:
        newest = newest_recorded(definition) if definition.enable else None
        if newest and newest.is_signed and newest.signed_by and newest.signed_at:
            days = days_since(newest.signed_at, today)
            ages.append(SignatureAge(definition.name, newest.version, newest.signed_by, newest.signed_at, days))
    return ages


def findings(ages: Iterable[SignatureAge]) -> list[Finding]:
    """Return the ages as notes: a site that withholds newer builds shows an ever older signature."""
    return [
        Finding(
            "note", result.image, f"{result.version} was signed {days(result.signed_days)}, on {result.signed_at[:10]}"
        )
        for result in ages
    ]


def days(number: int) -> str:
    """Format an age: `today`, `1 day ago`, `334 days ago`."""
    if number < 1:
        return "today"
    return f"{count(number, 'day')} ago"


def data(ages: Sequence[SignatureAge]) -> list[dict[str, Any]]:
    """Return the ages as plain values."""
    return [asdict(result) for result in ages]
