"""Documents as endoflife.date gives them (API v1), of the distributions that are checked, as of November 2026."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import Any

DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
# Release, its day, and the dates of the phases that the product has columns for; "lts" marks long-term support.
TABLES: dict[str, list[str]] = {
    "almalinux": [
        "10 2025-05-27 eoas=2030-05-31 eol=2035-05-31",
        "9 2022-05-26 eoas=2027-05-31 eol=2032-05-31",
        "8 2021-03-30 eoas=2024-05-01 eol=2029-03-01",
    ],
    "alpine-linux": [
        "3.23 2025-12-04 eol=2027-11-01",
        "3.22 2025-05-30 eol=2027-05-01",
        "3.21 2024-12-05 eol=2026-11-01",
    ],
    "amazon-linux": [
        "2023 2023-03-01 eoas=2027-06-30 eol=2029-06-30",
        "2 2018-06-26 eoas=2026-06-30 eol=2026-06-30",
        "2018.03 2018-04-25 eoas=2020-12-31 eol=2023-12-31",
    ],
    "centos": ["8 2019-09-24 eoas=2021-12-31 eol=2021-12-31", "7 2014-07-07 eoas=2020-08-06 eol=2024-06-30"],
    "centos-stream": [
        "10 2024-12-12 eoas=2030-01-01 eol=2030-01-01",
        "9 2021-09-15 eoas=2027-05-31 eol=2027-05-31",
        "8 2019-09-24 eoas=2024-05-31 eol=2024-05-31",
    ],
    "debian": [
        "13 2025-08-09 eoas=2028-08-09 eol=2030-06-30 eoes=2035-06-30",
        "12 2023-06-10 eoas=2026-07-11 eol=2028-06-30 eoes=2033-06-30",
        "11 2021-08-14 eoas=2024-08-14 eol=2026-08-31 eoes=2031-06-30",
    ],
    "fedora": ["43 2025-10-28 eol=2026-12-09", "42 2025-04-15 eol=2026-05-13", "44 2026-04-14 eol=2027-05-26"],
    "freebsd": [
        "15.1 2026-06-02 eol=2027-03-31",
        "15 2025-12-02 eol=2029-12-31",
        "14.4 2026-03-03 eol=2026-12-31",
        "14.3 2025-06-10 eol=2026-06-30",
        "14 2023-11-20 eol=2028-11-30",
    ],
    "opensuse": ["16.0 2025-10-01 eol=2027-10-31", "15.6 2024-06-12 eol=2026-04-30"],
    "opnsense": ["26.7 2026-07-22 eol=no", "26.1 2026-01-28 eol=2026-07-22", "25.7 2025-07-22 eol=yes"],
    "oracle-linux": [
        "10 2025-06-26 eol=2035-06-30 eoes=2038-06-30",
        "9 2022-07-06 eol=2032-06-30 eoes=2035-06-30",
        "8 2019-07-19 eol=2029-07-31 eoes=2032-07-31",
    ],
    "rocky-linux": [
        "10 2025-06-11 eoas=2030-05-31 eol=2035-05-31",
        "9 2022-07-14 eoas=2027-05-31 eol=2032-05-31",
        "8 2021-05-01 eoas=2024-05-31 eol=2029-05-31",
    ],
    "ubuntu": [
        "27.04 2027-04-22 eoas=2028-01-22 eol=2028-01-22",
        "26.10 2026-10-15 eoas=2027-07-15 eol=2027-07-15",
        "26.04 2026-04-23 eoas=2031-04-30 eol=2031-04-30 eoes=2036-04-30 lts",
        "24.04 2024-04-25 eoas=2029-05-31 eol=2029-05-31 eoes=2036-05-31 lts",
        "22.04 2022-04-21 eoas=2024-09-30 eol=2027-04-01 eoes=2032-04-09 lts",
        "20.04 2020-04-23 eoas=2022-10-01 eol=2025-05-31 eoes=2030-04-02 lts",
    ],
}
# Debian's until September 2026, when its end of life was still that of the security team's support.
DEBIAN_BEFORE = [
    "13 2025-08-09 eol=2028-08-09 eoes=2030-06-30",
    "12 2023-06-10 eol=2026-07-11 eoes=2028-06-30",
    "11 2021-08-14 eol=2024-08-14 eoes=2026-08-31",
]
TODAY = date(2026, 11, 24)


def document(product: str, lines: list[str] | None = None, today: date = TODAY) -> dict[str, Any]:
    """The document of one product, with all days as far from `today` as they were then; of the columns in `lines`
    those that it has."""
    lines = [_moved(line, today - TODAY) for line in lines or TABLES[product]]
    rows = [line.split() for line in lines]
    columns = [name for name in ("eoas", "eol", "eoes") if any(f" {name}=" in line for line in lines)]
    return {
        "schema_version": "1.2.0",
        "generated_at": f"{today}T00:00:00+00:00",
        "last_modified": "2026-11-01T00:00:00+00:00",
        "result": {
            "name": product,
            "aliases": [],
            "label": product.title(),
            "category": "os",
            "tags": ["linux-distribution", "os"],
            "labels": {"eoas": None, "discontinued": None, "eol": "Support", "eoes": None},
            "links": {"icon": None, "html": f"https://endoflife.date/{product}", "releasePolicy": None},
            "releases": [_release(row, columns, today.isoformat()) for row in rows],
        },
    }


def _moved(line: str, days: timedelta) -> str:
    return DAY.sub(lambda day: (date.fromisoformat(day.group()) + days).isoformat(), line)


def _release(row: list[str], columns: list[str], today: str) -> dict[str, Any]:
    name, released, *rest = row
    dates = dict(each.split("=") for each in rest if "=" in each)
    record: dict[str, Any] = {
        "name": name,
        "codename": None,
        "label": name,
        "releaseDate": released,
        "isLts": "lts" in rest,
        "ltsFrom": None,
    }
    for column in columns:
        day = dates.get(column)
        dated = day not in (None, "yes", "no")
        is_over = None if day is None else day < today if dated else day == "yes"
        record |= {f"is{column.title()}": is_over, f"{column}From": day if dated else None}
    return record | {"isMaintained": True, "latest": {"name": name, "date": None, "link": None}, "custom": None}
