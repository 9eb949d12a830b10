"""Draw the support periods of releases: bars, builds, years and today, in percent of the width."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, timedelta

from openstack_image_manager.humanize import count
from openstack_image_manager.site.model import Life, Offer, State

PAST, FUTURE = timedelta(days=365), timedelta(days=2 * 365)  # shown at least
OLDEST = timedelta(days=6 * 365)  # earlier days are cut off
LABELS = 6  # years with a number below them, about


@dataclass(frozen=True, slots=True)
class Tick:
    """The beginning of a year; only some have room for a label."""

    x: str
    label: str


@dataclass(frozen=True, slots=True)
class Mark:
    """A build on its day."""

    x: str
    text: str
    current: bool


@dataclass(frozen=True, slots=True)
class Bar:
    """A release: `x` and `width` of its support period; `past`: the width until today. `is_open`: the end is
    unknown."""

    label: str
    note: str
    short: str
    text: str
    state: State
    x: str
    width: str
    past: str
    is_open: bool
    marks: tuple[Mark, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The picture."""

    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]
    today: str


def timeline(offers: Iterable[Offer], today: date) -> Timeline:
    """Draw a bar for each release of these images, in their order."""
    lives: dict[str, tuple[Life, list[Offer]]] = {}
    for offer in offers:
        lives.setdefault(offer.life.label, (offer.life, []))[1].append(offer)
    begins = [day for life, images in lives.values() if (day := _begin(life, images))]
    ends = [date.fromisoformat(life.end) for life, _ in lives.values() if life.end]
    first = max(min([shifted(today, -PAST), *begins]), shifted(today, -OLDEST))
    last = max([shifted(today, FUTURE), *ends])
    first, last = date(first.year, 1, 1), date.max if last.year == date.max.year else date(last.year + 1, 1, 1)
    days = (last - first).days

    def at(day: date) -> float:
        return min(max((day - first).days / days * 100, 0.0), 100.0)

    step = max(1, -(-(last.year - first.year) // LABELS))
    years = range(first.year, last.year)
    ticks = [
        Tick(_percent(at(date(year, 1, 1))), str(year) if (year - first.year) % step == 0 else "") for year in years
    ]
    bars = []
    for life, images in lives.values():
        begin = at(_begin(life, images) or today)
        end = at(date.fromisoformat(life.end)) if life.end else 100.0
        marks = {
            (build.built, build.version): Mark(
                _percent(at(date.fromisoformat(build.built))), f"build {build.version}, {build.built}", build.current
            )
            for offer in images
            for build in offer.builds
            if build.built
        }
        bars.append(
            Bar(
                label=life.label,
                note=note(life),
                short=_short(life),
                text=f"{life.label}: {note(life)}; {count(sum(len(offer.builds) for offer in images), 'build')}",
                state=life.state,
                x=_percent(begin),
                width=_percent(end - begin),
                past=_percent(min(max(at(today) - begin, 0.0), end - begin)),
                is_open=life.end is None,
                marks=tuple(marks[key] for key in sorted(marks)),
            )
        )
    return Timeline(tuple(bars), tuple(ticks), _percent(at(today)))


def shifted(day: date, by: timedelta) -> date:
    """Return a later or earlier day, within the limits of the calendar."""
    try:
        return day + by
    except OverflowError:
        return date.max if by > timedelta() else date.min


def note(life: Life) -> str:
    """Describe a support period."""
    what = "provided" if life.said_by == "provided_until" else life.phase
    if life.state == "ended":
        return f"{what} ended on {life.end}" if life.end else f"{what} has ended"
    if life.end:
        return f"{what} until {life.end}"
    return f"{what}, no end announced" if life.state == "supported" else "no end known"


def _short(life: Life) -> str:
    return f"{'ended' if life.state == 'ended' else 'until'} {life.end}" if life.end else note(life).rpartition(", ")[2]


def _begin(life: Life, offers: Iterable[Offer]) -> date | None:
    days = [build.built for offer in offers for build in offer.builds if build.built]
    day = life.released or min(days, default=None)
    return date.fromisoformat(day) if day else None


def _percent(value: float) -> str:
    return f"{value:.2f}%"
