"""What plan, apply and the root command have in common: from definitions and clouds to plans, and to their end."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING

from openstack_image_manager.background import results_or_errors
from openstack_image_manager.definitions.loader import Loaded, load
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error
from openstack_image_manager.log_context import about
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan.model import Plan, Result
from openstack_image_manager.plan.planner import beyond_limit
from openstack_image_manager.report import compare, console, log, plans
from openstack_image_manager.runs.connect import PendingConnection, open_all
from openstack_image_manager.runs.request import Request

if TYPE_CHECKING:
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.plan.replanning import Replanner
    from openstack_image_manager.upstreams.follow import Follower

PENDING = 3  # exit code of `plan --exit-code`


@dataclass(frozen=True, slots=True)
class CloudPlan:
    """A plan, the cloud it is for, and what it was made of; `day`: YYYY-MM-DD. `names`: all definitions
    there are, None: unknown."""

    request: Request
    plan: Plan
    glance: Glance
    definitions: Sequence[Definition]
    images: Sequence[Image]
    day: str
    again: Callable[[CloudPlan], CloudPlan]
    names: Collection[str] | None = None


@dataclass(frozen=True, slots=True)
class Clouds:
    """All clouds of a run; `failed`: those that could not be looked at or may not be changed, and why. By cloud:
    `results`, what became of a plan that was applied, and `after`, how the cloud stands then, where that was asked;
    `refused`: why a plan that is only looked at would not be carried out."""

    ready: list[CloudPlan]
    failed: dict[str, Error] = field(default_factory=dict)
    results: dict[str, list[Result]] = field(default_factory=dict)
    after: dict[str, CloudPlan] = field(default_factory=dict)
    refused: dict[str, Error] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """True where a reader must be told which cloud something is about."""
        return len(self.ready) + len(self.failed) > 1

    @property
    def has_errors(self) -> bool:
        """True when a cloud, or a definition in one, had to be left alone because of an error."""
        return bool(self.failed) or any(
            finding.level == "error" for each in self.ready for finding in each.plan.findings
        )


@contextmanager
def planned_clouds(requests: Sequence[Request], openings: Sequence[PendingConnection] = ()) -> Iterator[Clouds]:
    """Read the definitions, look at each cloud once, all side by side, and plan. Nothing is written. A cloud that can't
    be looked at stops no other; where it is the only one, its Error is raised. `openings`: the clouds of the requests,
    where they were asked already."""
    opened = [*openings] or open_all(requests)
    try:
        loaded = load(requests[0].images, name_filter=requests[0].filter)
        asked = follower() if loaded.follows else None
    except BaseException:
        for opening in opened:
            opening.give_up()
        raise
    with ExitStack() as stack:
        pairs = list(zip(requests, opened, strict=True))
        answers = results_or_errors(lambda pair: _look(pair[0], pair[1], loaded, asked, stack), pairs)
        clouds = Clouds([each for each in answers if isinstance(each, CloudPlan)])
        for request, answer in zip(requests, answers, strict=True):
            if isinstance(answer, Error):
                if len(requests) == 1:
                    from openstack_image_manager.cloud.session import ENVIRONMENT

                    answer.cloud = request.cloud or ENVIRONMENT
                    raise answer
                clouds.failed[request.cloud or ""] = answer
        yield clouds


def follower() -> Follower:
    """Upstreams with the mirrors, the cache and the keys of this user; each is asked once, however many clouds."""
    from openstack_image_manager.signatures import keyring
    from openstack_image_manager.signatures.evidence import SignatureVerifier
    from openstack_image_manager.upstreams import sites
    from openstack_image_manager.upstreams.follow import Follower

    asked = sites.sites_from_environment()
    for warning in asked.warnings:
        log.say("warning", str(warning))
    return Follower(asked, SignatureVerifier(keyring.keyring(), request_url=asked.request_url))


def _look(
    request: Request, opening: PendingConnection, loaded: Loaded, follower: Follower | None, stack: ExitStack
) -> CloudPlan:
    """The plan of one cloud."""
    with about(request.cloud):
        return _planned(request, opening, loaded, follower, stack)


def _planned(
    request: Request, opening: PendingConnection, loaded: Loaded, follower: Follower | None, stack: ExitStack
) -> CloudPlan:
    from openstack_image_manager.runs.planning import CloudPlanner

    glance = opening.result()
    stack.enter_context(closing(glance))
    # What a warning begins with, file and line, is what it is about.
    parts = [str(warning).partition(": ") for warning in loaded.warnings]
    findings = [Finding("warning", where, message) for where, _, message in parts]
    policy = replace(request.policy, project=glance.project)
    day = datetime.now(UTC).date()
    outlook = CloudPlanner(glance, policy, day, request.roll_back, follower, loaded.left_out)
    # Where there is no definition at all, something went wrong with the files, and not with all images.
    names = None if loaded.is_part or not loaded.positions else loaded.positions.keys()
    made, definitions, images = outlook.plan(loaded.definitions, findings, names)

    def again(before: CloudPlan) -> CloudPlan:
        # What was found out about upstreams and checksum files holds for the whole run.
        broken = [finding for finding in before.plan.findings if finding.level == "error"]
        later = replace(outlook, follower=None, roll_back={})
        now, _, its = later.plan(before.definitions, [*findings, *broken], names)
        return replace(before, plan=replace(now, findings=tuple(dict.fromkeys(now.findings))), images=its)

    return CloudPlan(replace(request, policy=policy), made, glance, definitions, images, day.isoformat(), again, names)


def plan_again(clouds: Clouds) -> None:
    """See how the clouds stand after the changes; of one that can't be looked at any more nothing new is known."""
    changed = [each for each in clouds.ready if each.glance.cloud in clouds.results]
    answers = results_or_errors(lambda each: each.again(each), changed)
    clouds.after.update({now.glance.cloud: now for now in answers if isinstance(now, CloudPlan)})


def report_refusals(clouds: Clouds) -> bool:
    """Say of which clouds the plan would not be carried out; True if of any."""
    for each in clouds.ready:
        if refusal := beyond_limit(each.plan, each.request.policy):
            clouds.refused[each.glance.cloud] = Error(f"{refusal}; it would be refused")
            log.say("error", str(clouds.refused[each.glance.cloud]))
    return bool(clouds.refused)


def apply_plans(clouds: Clouds, options: ImportOptions, workers: int) -> int:
    """Apply the plans with progress; the exit code."""
    out = console.console()
    going: list[CloudPlan] = []
    for each in clouds.ready:
        refusal = beyond_limit(each.plan, each.request.policy)
        if refusal and not clouds.several:
            raise Error(f"{refusal}; nothing was done")
        if refusal:
            clouds.failed[each.glance.cloud] = Error(f"cloud '{each.glance.cloud}': {refusal}; nothing was done there")
            log.say("error", str(clouds.failed[each.glance.cloud]))
        else:
            going.append(each)
    results = (
        _applied(clouds, going, options, workers) if any(each.plan.changes for each in going) else [[]] * len(going)
    )
    for each, its in zip(going, results, strict=True):
        clouds.results[each.glance.cloud] = its
        if its:
            plans.results_text(its, out, each.glance.cloud if clouds.several else None)
    flat = [result for its in results for result in its]
    if clouds.several:
        _compare_after(clouds)
    if any(result.state == "skipped" for result in flat):
        return 130
    return 1 if any(result.state == "failed" for result in flat) or clouds.has_errors else 0


def _applied(clouds: Clouds, going: Sequence[CloudPlan], options: ImportOptions, workers: int) -> list[list[Result]]:
    from openstack_image_manager.apply.executor import Job, apply
    from openstack_image_manager.report import progress

    images = {each.glance.cloud: each.images for each in clouds.ready}
    with progress.reporter(console.console()) as reporter:
        jobs = [
            Job(
                each.plan,
                each.glance,
                each.request.policy,
                progress.Named(reporter, each.glance.cloud) if clouds.several else reporter,
                _replanner(each),
                compare.ids_elsewhere(each.glance.cloud, each.definitions, images),
            )
            for each in going
        ]
        return apply(jobs, options, workers)


def _replanner(each: CloudPlan) -> Replanner:
    """What the plan was decided on, to decide again before each step."""
    from openstack_image_manager.plan.replanning import Replanner

    request, day, admin = each.request, date.fromisoformat(each.day), each.glance.is_admin()
    return Replanner(
        each.plan, each.definitions, each.images, request.policy, day, admin, each.names, request.roll_back
    )


def _compare_after(clouds: Clouds) -> None:
    """The clouds as they are now, in one table."""

    def look(each: CloudPlan) -> Sequence[Image]:
        owners = {definition.owner for definition in each.definitions}
        return each.glance.ours(each.request.policy.tag, owners)

    answers = results_or_errors(look, clouds.ready)
    now = {each.glance.cloud: a for each, a in zip(clouds.ready, answers, strict=True) if not isinstance(a, Error)}
    show_comparison(clouds, now)


def show_comparison(clouds: Clouds, images: Mapping[str, Sequence[Image]] | None = None) -> None:
    """Is it the same version with the same bytes in every cloud? `images`: what each has now."""
    seen = images if images is not None else {each.glance.cloud: each.images for each in clouds.ready}
    unseen = [cloud for cloud in [*clouds.failed, *(each.glance.cloud for each in clouds.ready)] if cloud not in seen]
    if seen and len(seen) + len(unseen) > 1:
        definitions = {each.glance.cloud: each.definitions for each in clouds.ready}
        console.table(compare.table(definitions, seen, unseen), console.console())
