"""Check the images of a cloud against the SCS standards, and tell what a plan would correct."""

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
    """The images that were judged, what is said of them (the worst first), and when which will be outdated."""

    images: tuple[Image, ...]
    verdicts: tuple[Verdict, ...]
    forecast: tuple[Forecast, ...]


def offered(images: Iterable[Image]) -> list[Image]:
    """Those that the conformance test looks at: offered to everybody, and not hidden."""
    return [
        image
        for image in images
        if image.visibility in ("public", "community") and not image.hidden and image.status not in GONE
    ]


def judge(images: Iterable[Image], standards: Sequence[str], now: datetime, is_all: bool = True) -> Report:
    """Everything. `is_all`: these are all images there are."""
    judged = sorted(offered(images), key=lambda image: (image.name, image.id))
    found = [verdict for image in judged for verdict in metadata.judge(image, standards, now)]
    found += recency.judge(judged, standards, now)
    found += standard.judge(judged, standards, is_all)
    found.sort(key=lambda verdict: -LEVELS.index(verdict.level))
    return Report(tuple(judged), tuple(found), tuple(recency.forecast(judged, now)))


def after(images: Iterable[Image], plan: Plan) -> list[Image]:
    """The images as they will be when the plan is carried out."""
    there = {image.id: image for image in images}
    made = []
    for change in plan.changes:
        if isinstance(change, Create):
            made.append(change.wanted)
        elif isinstance(change, Delete):
            there.pop(change.found.id, None)
        else:
            there[change.found.id] = change.wanted
    return [*there.values(), *made]


def mended(before: Report, later: Report) -> frozenset[Verdict]:
    """Those verdicts of before that nothing says any more later on; of one test on one image, or on no image."""
    left = {_about(verdict) for verdict in later.verdicts}
    return frozenset(verdict for verdict in before.verdicts if _about(verdict) not in left)


def _about(verdict: Verdict) -> tuple[str, str, str, str]:
    # The name may be one of the things that are mended.
    return verdict.level, verdict.test, verdict.key, verdict.id or verdict.name
