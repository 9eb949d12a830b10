"""Collect the images that `scs check` judges: of definitions, of clouds, and of clouds after a plan."""

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
from openstack_image_manager.report.log import say
from openstack_image_manager.runs import run
from openstack_image_manager.runs.planned import planned_clouds
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
    """Return the report on definitions, and errors of upstreams. Raises DefinitionErrors."""
    loaded = load(request.images, name_filter=request.filter)
    follower = run.follower() if loaded.follows else None
    resolved, errors = resolve(loaded.definitions, [], request.policy.force, follower)
    new_plan = plan(resolved, [], request.policy, now.date(), errors)
    files = {file: _content(file) for file in sorted({position.file for position in loaded.positions.values()})}
    # A definition with an unreachable upstream may be the missing one.
    is_all = not loaded.is_part and not errors
    report, remarks = lint(new_plan, loaded.definitions, loaded.positions, files, standards, now, is_all)
    return report, remarks, errors


def _content(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError:  # deleted since it was loaded: positions are less exact
        return b""


def clouds(
    requests: Sequence[Request], standards: Sequence[str], now: datetime
) -> tuple[list[CloudReport], dict[str, Error]]:
    """Return the reports and errors of all clouds. Raises the Error of a single cloud."""
    if requests[0].images:
        with planned_clouds(requests) as planned:
            answers = results_or_errors(lambda cloud: _with_plan(cloud, standards, now), planned.ready)
            names = [cloud.glance.cloud for cloud in planned.ready]
            failed = dict(planned.failed)
    else:
        answers = results_or_errors(lambda request: _without(request, standards, now), requests)
        names, failed = [request.cloud or "" for request in requests], {}
    for name, answer in zip(names, answers, strict=True):
        if isinstance(answer, Error):
            if len(requests) == 1:
                raise answer
            failed[name] = answer
    return [answer for answer in answers if isinstance(answer, CloudReport)], failed


def _with_plan(planned: run.CloudPlan, standards: Sequence[str], now: datetime) -> CloudReport:
    offered = listing.offered_images(planned.glance)
    before = check.judge(offered, standards, now)
    # Deactivated or shared images may be offered after the plan.
    images = {image.id: image for image in (*planned.images, *offered)}
    later = check.judge(check.after(images.values(), planned.plan), standards, now)
    return CloudReport(planned.glance.cloud, before, planned.plan, check.fixed(before, later))


def _without(request: Request, standards: Sequence[str], now: datetime) -> CloudReport:
    from openstack_image_manager.cloud.glance import Glance

    with closing(Glance.connect(request.cloud)) as glance:
        for note in glance.notes:
            say("warning", note)
        return CloudReport(glance.cloud, check.judge(listing.offered_images(glance), standards, now))
