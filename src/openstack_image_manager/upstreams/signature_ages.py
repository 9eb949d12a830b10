"""Tell how old the signatures are that definitions record."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding
from openstack_image_manager.upstreams.build import newest_recorded


@dataclass(frozen=True, slots=True)
class SignatureAge:
    """The signature of the newest version of a definition. `signed_days`: how old it is."""

    image: str
    version: str
    signed_by: str
    signed_at: str
    signed_days: int


def signatures(definitions: Iterable[Definition], today: date) -> list[SignatureAge]:
    """Those of enabled definitions that record when their newest version was signed."""
    found = []
    for definition in definitions:
        newest = newest_recorded(definition) if definition.enable else None
        if newest and newest.is_signed and newest.signed_by and newest.signed_at:
            days = (today - date.fromisoformat(newest.signed_at[:10])).days
            found.append(SignatureAge(definition.name, newest.version, newest.signed_by, newest.signed_at, days))
    return found


def findings(found: Iterable[SignatureAge]) -> list[Finding]:
    """In words: a site that withholds newer builds shows a signature that only gets older."""
    return [
        Finding("note", each.image, f"{each.version} was signed {days(each.signed_days)}, on {each.signed_at[:10]}")
        for each in found
    ]


def days(number: int) -> str:
    """`today`, `1 day ago`, `334 days ago`."""
    if number < 1:
        return "today"
    return f"{count(number, 'day')} ago"


def data(found: Sequence[SignatureAge]) -> list[dict[str, Any]]:
    """As plain values."""
    return [asdict(each) for each in found]
