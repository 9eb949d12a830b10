"""The picture of a site: how long each distribution is supported, and which builds there are."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support import offered
from tests.support.offered import TODAY
from tests.support.plans import definition

from openstack_image_manager.site import timeline
from openstack_image_manager.site.model import Life


def life(label="Debian 13", released="2025-08-09", end="2030-06-30", state="supported", said_by="endoflife.date"):
    return Life(label, "long-term support", released, end, state, said_by)


def drawn(site, *lives):
    offer = site.offers[0]
    return timeline.timeline([replace(offer, life=each) for each in lives], TODAY)


def number(percent: str) -> float:
    return float(percent.removesuffix("%"))


def test_positions_of_bars(site):
    picture = drawn(site, life())
    (bar,) = picture.bars
    assert [tick.label for tick in picture.ticks] == ["2025", "2026", "2027", "2028", "2029", "2030"]
    assert number(bar.x) == pytest.approx(220 / 2191 * 100, abs=0.01)  # 9 August is the 220th day after 1 January
    assert number(bar.x) + number(bar.past) == pytest.approx(number(picture.today), abs=0.02)
    assert number(bar.x) + number(bar.width) == pytest.approx((5 * 365 + 1 + 180) / 2191 * 100, abs=0.02)
    assert (bar.note, bar.short) == ("long-term support until 2030-06-30", "until 2030-06-30")
    assert [mark.current for mark in bar.marks] == [False, True]
    assert bar.text == "Debian 13: long-term support until 2030-06-30; 2 builds"


@pytest.mark.parametrize(
    ("given_life", "note", "short"),
    [
        (life(end="2026-01-01", state="ended"), "long-term support ended on 2026-01-01", "ended 2026-01-01"),
        (life(end=None, state="ended"), "long-term support has ended", "long-term support has ended"),
        (life(end=None), "long-term support, no end announced", "no end announced"),
        (life(end=None, state="unknown", said_by=None), "no end known", "no end known"),
        (life(said_by="provided_until"), "provided until 2030-06-30", "until 2030-06-30"),
    ],
)
def test_notes(site, given_life, note, short):
    (bar,) = drawn(site, given_life).bars
    assert (bar.note, bar.short, bar.is_open) == (note, short, given_life.end is None)


def test_long_support_periods_are_cut_and_have_fewer_labels(site):
    picture = drawn(site, life(released="2004-01-01", end="2046-01-01"), life("Next", None, None, "unknown", None))
    assert len([tick for tick in picture.ticks if tick.label]) <= timeline.LABELS
    assert (picture.bars[0].x, len(picture.bars)) == ("0.00%", 2)
    undated = replace(site.offers[0], life=life(released=None), builds=(replace(site.offers[0].front, built=None),))
    (bar,) = timeline.timeline([undated], TODAY).bars
    assert (bar.past, bar.marks, bar.text.endswith("; 1 build")) == ("0.00%", (), True)


@cache
def dated():
    return offered.surveyed([definition("x", ("20260101", "20261101"))])


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_nothing_is_drawn_outside(first, last):
    picture = drawn(dated(), life(released=min(first, last).isoformat(), end=max(first, last).isoformat()))
    (bar,) = picture.bars
    values = [bar.x, bar.width, bar.past, picture.today, *(mark.x for mark in bar.marks)]
    assert all(0 <= number(value) <= 100 for value in values)
    assert number(bar.x) + number(bar.width) <= 100.01


def test_days_beyond_the_calendar_are_its_first_and_last_one():
    assert timeline.shifted(date.max, timedelta(days=1)) == date.max
    assert timeline.shifted(date.min, timedelta(days=-1)) == date.min
    assert timeline.shifted(TODAY, timedelta(days=-1)) < TODAY < timeline.shifted(TODAY, timedelta(days=1))
