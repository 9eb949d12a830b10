"""Check the images of a cloud against the SCS standards, and find out what a plan would fix."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

from openstack_image_manager.model import GONE, Image
from openstack_image_manager.plan.model import Create, Delete, Plan
from openstack_image_manager.scs import metadata, recency, standard
from openstack_image_manager.scs.recency import Forecast
from openstack_image_manager.scs.rules import LEVELS
from openstack_image_manager.scs.verdict import Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """The checked images, the verdicts (the worst first), and the days on which images become outdated."""

    images: tuple[Image, ...]
    verdicts: tuple[Verdict, ...]
    forecast: tuple[Forecast, ...]


def offered(images: Iterable[Image]) -> list[Image]:
    """Return the images that the conformance test checks: public or community, and not hidden."""
    return [
        image
        for image in images
        if image.visibility in ("public", "community") and not image.hidden and image.status not in GONE
    ]


def judge(images: Iterable[Image], standards: Sequence[str], now: datetime, is_all: bool = True) -> Report:
    """Check images against the standards. `is_all`: the list is complete, so that others are missing."""
    judged = sorted(offered(images), key=lambda image: (image.name, image.id))
    verdicts = [verdict for image in judged for verdict in metadata.judge(image, standards, now)]
    verdicts += recency.judge(judged, standards, now)
    verdicts += standard.judge(judged, standards, is_all)
    verdicts.sort(key=lambda verdict: -LEVELS.index(verdict.level))
    return Report(tuple(judged), tuple(verdicts), tuple(recency.forecast(judged, now)))


def after(images: Iterable[Image], plan: Plan) -> list[Image]:
    """Return the images as they are after the plan."""
    existing = {image.id: image for image in images}
    new = []
    for change in plan.changes:
        if isinstance(change, Create):
            new.append(change.wanted)
        elif isinstance(change, Delete):
            existing.pop(change.found.id, None)
        else:
            existing[change.found.id] = change.wanted
    return [*existing.values(), *new]


def fixed(before: Report, later: Report) -> frozenset[Verdict]:
    """Return the verdicts of `before` that `later` does not have, by test and image."""
    remaining = {_about(verdict) for verdict in later.verdicts}
    return frozenset(verdict for verdict in before.verdicts if _about(verdict) not in remaining)


def _about(verdict: Verdict) -> tuple[str, str, str, str]:
    # The id comes first, because the plan may also change the name.
    return verdict.level, verdict.test, verdict.key, verdict.id or verdict.name
