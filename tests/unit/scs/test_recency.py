"""SCS-0102: when an image counts as recent, its replacement, and the forecast."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.scs_images import NOW, image, levels

from openstack_image_manager.model import Image
from openstack_image_manager.scs import check, recency, report
from openstack_image_manager.scs.rules import IMAGES, V1, V2, instant

OLD = {"image_build_date": "2026-01-01"}


@pytest.mark.parametrize(
    ("old", "said"),
    [
        (image("Ubuntu 24.04 20260101", **OLD), []),
        (image("Ubuntu 24.04 2026-01-01", **OLD), []),
        (image("Ubuntu 24.04 prev", **OLD), []),
        (image("Ubuntu 24.04 (20260101)", **OLD), [("warning", "name")]),
        (image("Ubuntu 24.04-20260101", **OLD), [("error", "image_build_date")]),
        (image("Ubuntu", **OLD), [("error", "image_build_date")]),
        (image("Ubuntu 24.04 20260101", {"hidden": True}, **OLD), []),
        (image("Ubuntu 24.04-20260101", provided_until="none", **OLD), []),
        (image("Ubuntu 24.04-20260101", provided_until="2026-05-31", **OLD), []),
        (image("Ubuntu 24.04-20260101", provided_until="2026-01-31", **OLD), []),
        (image("Ubuntu 24.04-20260101", replace_frequency="never", **OLD), []),
        (image("Ubuntu 24.04-20260101", replace_frequency="yearly", **OLD), []),
    ],
)
def test_recency_with_a_current_image(old: Image, said: list[tuple[str, str]]) -> None:
    old = replace(old, properties={**old.properties, "os_purpose": "oldgeneric"})
    assert levels(image(), old) == said


def test_recency_of_old_images() -> None:
    old = image(image_build_date="2026-01-01")
    older = image("Ubuntu 24.04 20251201", image_build_date="2025-12-01", os_purpose="oldgeneric")
    verdicts = check.judge([old, older], [V2], NOW).verdicts
    assert [(each.name, each.test) for each in verdicts] == [
        ("Ubuntu 24.04", "scs-0102-image-recency"),
        ("Ubuntu 24.04 20251201", "scs-0102-image-recency"),
    ]
    assert "outdated since 2026-02-04 (monthly), and there is no newer replacement" in verdicts[0].message
    assert "its replacement 'Ubuntu 24.04' is outdated too" in verdicts[1].message


def test_the_last_moment() -> None:
    due = recency.outdated_from(image())
    assert due == datetime(2026, 5, 20, tzinfo=UTC) + timedelta(hours=31 * 24 * 1.1)
    assert not list(recency.judge([image()], [V1], due))
    assert list(recency.judge([image()], [V1], due + timedelta(seconds=1)))
    assert not list(recency.judge([image()], [IMAGES], due + timedelta(days=1)))


def test_images_without_a_last_moment() -> None:
    assert recency.outdated_from(image(image_build_date=None, replace_frequency=None)) is None
    assert recency.outdated_from(image(fields={"created_at": ""}, image_build_date=None)) is None
    assert recency.outdated_from(image(image_build_date="9999-12-30")) is None
    registered = recency.outdated_from(image(image_build_date=None))
    assert registered is not None
    assert registered.date() == date(2026, 6, 24)


def test_the_forecast() -> None:
    dated = image("Ubuntu 24.04 (20260401)", image_build_date="2026-04-01")
    yearly = image("Debian 13", replace_frequency="yearly")
    ends = image("Ends", provided_until="2026-06-10")
    forever = image("Forever", replace_frequency="never")
    alone = image("Forever 1", image_build_date="2026-05-01")
    found = recency.forecast([image(), dated, yearly, ends, forever, alone], NOW)
    assert [(each.name, each.on.date().isoformat(), each.replacement) for each in found] == [
        ("Ubuntu 24.04", "2026-06-23", None),
        ("Ubuntu 24.04 (20260401)", "2026-06-23", "Ubuntu 24.04"),
        ("Debian 13", "2027-06-25", None),
    ]
    line = report.forecast_line(found[1])
    assert "outdated on 2026-06-23" in line
    assert "'Ubuntu 24.04' replaces it" in line
    assert "replaces" not in report.forecast_line(replace(found[0], id=""))


@given(st.dates(date(2024, 1, 1), date(2026, 5, 31)), st.sampled_from(["daily", "weekly", "monthly", "yearly"]))
def test_the_forecast_and_the_verdict_agree(built: date, frequency: str) -> None:
    alone = image("Alone", image_build_date=built.isoformat(), replace_frequency=frequency)
    fails = any(verdict.level == "error" for verdict in recency.judge([alone], [V2], NOW))
    coming = recency.forecast([alone], NOW)
    assert fails == (not coming)
    for each in coming:
        later = each.on + timedelta(seconds=1)
        assert any(verdict.level == "error" for verdict in recency.judge([alone], [V2], later))


def test_instants() -> None:
    assert instant("2026-05-20T01:02:03Z") == datetime(2026, 5, 20, 1, 2, 3, tzinfo=UTC)
    assert [instant(text) for text in ("", "2026-02-30", "today")] == [None, None, None]
