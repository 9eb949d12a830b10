"""What `scs check` looks at: definitions as an empty cloud would see them, and clouds with and without a plan."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from openstack_image_manager.background import results_or_errors
from openstack_image_manager.cloud import listing
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Finding
from openstack_image_manager.plan.model import Plan
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.runs import run
from openstack_image_manager.runs.request import Request
from openstack_image_manager.scs import check
from openstack_image_manager.scs.check import Report
from openstack_image_manager.scs.lint import Remark, lint
from openstack_image_manager.scs.verdict import Verdict
from openstack_image_manager.upstreams.latest import resolve


@dataclass(frozen=True, slots=True)
class CloudReport:
    """A cloud's report; with definitions also their plan, and the findings that it fixes."""

    cloud: str
    report: Report
    plan: Plan | None = None
    fixed: frozenset[Verdict] = frozenset()


def definitions(
    request: Request, standards: Sequence[str], now: datetime
) -> tuple[Report, list[Remark], list[Finding]]:
    """The report on definitions, and those that can't be judged as their upstream can't be asked. Raises
    DefinitionErrors."""
    loaded = load(request.images, name_filter=request.filter)
    follower = run.follower() if loaded.follows else None
    known, troubles = resolve(loaded.definitions, [], request.policy.force, follower)
    made = plan(known, [], request.policy, now.date(), troubles)
    files = {file: _content(file) for file in sorted({position.file for position in loaded.positions.values()})}
    # A definition that could not be asked about may be the one that is missed.
    is_all = not loaded.is_part and not troubles
    report, remarks = lint(made, loaded.definitions, loaded.positions, files, standards, now, is_all)
    return report, remarks, troubles


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # gone since it was loaded: places are those of names then
        return b""


def clouds(
    requests: Sequence[Request], standards: Sequence[str], now: datetime
) -> tuple[list[CloudReport], dict[str, Error]]:
    """The reports of all clouds, and those that can't be looked at; where it is the only one, its Error is raised."""
    if requests[0].images:
        with run.planned_clouds(requests) as found:
            answers = results_or_errors(lambda each: _with_plan(each, standards, now), found.ready)
            names = [each.glance.cloud for each in found.ready]
            failed = dict(found.failed)
    else:
        answers = results_or_errors(lambda request: _without(request, standards, now), requests)
        names, failed = [request.cloud or "" for request in requests], {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Error):
            if len(requests) == 1:
                raise answer
            failed[name] = answer
    return [answer for answer in answers if isinstance(answer, CloudReport)], failed


def _with_plan(each: run.CloudPlan, standards: Sequence[str], now: datetime) -> CloudReport:
    there = listing.offered_images(each.glance)
    before = check.judge(there, standards, now)
    # What is deactivated or shared now may be offered after the plan.
    images = {image.id: image for image in (*each.images, *there)}
    later = check.judge(check.after(images.values(), each.plan), standards, now)
    return CloudReport(each.glance.cloud, before, each.plan, check.fixed(before, later))


def _without(request: Request, standards: Sequence[str], now: datetime) -> CloudReport:
    from openstack_image_manager.cloud.glance import Glance

    with closing(Glance.connect(request.cloud)) as glance:
        return CloudReport(glance.cloud, check.judge(listing.offered_images(glance), standards, now))
