"""Read releases of operating systems and their end of life from documents of endoflife.date (API v1)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from openstack_image_manager.dates import as_day
from openstack_image_manager.errors import Error

EOL = "eolFrom"
NAME = re.compile(r"[\w.+/() -]{1,40}", re.ASCII)
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)


@dataclass(frozen=True, slots=True)
class EndRule:
    """Take the end from the field `take`; with `where` only in documents in which that field has a date somewhere."""

    take: str
    where: str | None = None


@dataclass(frozen=True, slots=True)
class Product:
    """How to read one product of endoflife.date.

    `release`: matches a whole os_version; its group `release` is the name of the release. `offered`: the releases that
    can be missing. `lts_only`: only releases with long-term support can be missing, unless another one is defined.
    `phase`: the phase that ends at the date of the first matching rule in `end`.
    """

    name: str
    label: str
    phase: str
    release: re.Pattern[str]
    offered: re.Pattern[str]
    lts_only: bool
    end: tuple[EndRule, ...]


@dataclass(frozen=True, slots=True)
class Release:
    """One release. `end`: its last day of support; None if the day is unknown, and `over` says whether it has
    passed."""

    name: str
    released: date
    end: date | None = None
    over: bool = False
    lts: bool = False

    def is_released(self, today: date) -> bool:
        """Return True from the day of its release on."""
        return self.released <= today

    def is_over(self, today: date) -> bool:
        """Return True when its end has passed."""
        return self.over if self.end is None else self.end < today


def decode(text: str) -> Any:
    """Parse JSON of any shape. Raises Error."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise Error("is not JSON") from None


def by_product(data: Any) -> dict[str, Any]:
    """Return the documents in a collection: `{"debian": DOCUMENT, …}`, or the dump of all products that the API has at
    /products/full. Raises Error."""
    result = data.get("result") if isinstance(data, dict) else None
    if isinstance(result, list):
        documents = [
            document for document in result if isinstance(document, dict) and isinstance(document.get("name"), str)
        ]
        return {document["name"]: {"result": document} for document in documents}
    if isinstance(result, dict) and isinstance(result.get("name"), str):
        return {result["name"]: data}
    if not isinstance(data, dict):
        raise Error('is not a mapping of products to documents, such as {"debian": {"result": …}}')
    return data


def releases(document: Any, product: Product) -> tuple[Release, ...]:
    """Return the releases in the document of one product.

    Raises Error for anything that differs from the API: a misread document would cause a false alarm, or hide a real
    one.
    """
    result = document.get("result") if isinstance(document, dict) else None
    records = result.get("releases") if isinstance(result, dict) else None
    if not isinstance(result, dict) or not isinstance(records, list) or not records:
        raise Error("has no result.releases; a document of API v1 is expected")
    if result.get("name") != product.name:
        raise Error(f"is about {_shown(result.get('name'))}, not '{product.name}'")
    for record in records:
        name = record.get("name") if isinstance(record, dict) else record
        if not isinstance(record, dict) or not isinstance(name, str) or not NAME.fullmatch(name):
            raise Error(f"contains a release without a valid name: {_shown(name)}")
    field = _field(records, product.end)
    return tuple(_release(record, field, product.lts_only) for record in records)


def _field(records: Sequence[Mapping[str, Any]], rules: Sequence[EndRule]) -> str:
    for rule in rules:
        if rule.where is None or any(isinstance(record.get(rule.where), str) for record in records):
            return rule.take
    raise Error(f"has none of the dates {', '.join(rule.where or rule.take for rule in rules)}")


def _release(record: Mapping[str, Any], field: str, lts: bool) -> Release:
    released = _day(record, "releaseDate")
    if released is None:
        raise Error(f"release {record['name']} has no releaseDate")
    if field != EOL and record.get(field) is None and record.get(_flag_of(field)) is None:
        field = EOL  # this release never has that phase, or nobody has planned it yet
    if field not in record:
        raise Error(f"release {record['name']} has no {field}")
    end = _day(record, field)
    over = end is None and _flag(record, _flag_of(field))
    return Release(record["name"], released, end, over, lts and _flag(record, "isLts"))


def _flag_of(field: str) -> str:
    """Return isEol for eolFrom: it says whether the end has passed if its day is unknown."""
    return f"is{field[0].upper()}{field[1:].removesuffix('From')}"


def _day(record: Mapping[str, Any], field: str) -> date | None:
    value = record.get(field)
    if value is None:
        return None
    if isinstance(value, str) and DAY.fullmatch(value) and (day := as_day(value)):
        return day
    raise Error(f"release {record['name']}: {field} is {_shown(value)}, not a date YYYY-MM-DD")


def _flag(record: Mapping[str, Any], field: str) -> bool:
    value = record.get(field)
    if not isinstance(value, bool):
        raise Error(f"release {record['name']}: {field} is {_shown(value)}, not true or false")
    return value


def _shown(value: Any) -> str:
    text = ascii(value)
    return text if len(text) <= 40 else f"{text[:39]}…"
