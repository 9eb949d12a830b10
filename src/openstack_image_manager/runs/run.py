"""Make plans from definitions and clouds, and carry them out: what plan, apply and the root command share."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
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
from openstack_image_manager.runs.connect import PendingConnection
from openstack_image_manager.runs.request import Request

if TYPE_CHECKING:
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.plan.replanning import Replanner
    from openstack_image_manager.upstreams.follow import Follower

PENDING = 3  # exit code of `plan --exit-code`


@dataclass(frozen=True, slots=True)
class CloudPlan:
    """The plan of one cloud and what it was made of. `day`: YYYY-MM-DD; `names`: all definitions, None: unknown;
    `again` makes the plan again."""

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
    """All clouds of a run. By cloud: `failed`, why it has no plan or may not be changed; `results` of a plan that was
    applied; `after`, the plan after that, where it is needed; `refused`, why a plan would not be carried out."""

    ready: list[CloudPlan]
    failed: dict[str, Error] = field(default_factory=dict)
    results: dict[str, list[Result]] = field(default_factory=dict)
    after: dict[str, CloudPlan] = field(default_factory=dict)
    refused: dict[str, Error] = field(default_factory=dict)

    @property
    def several(self) -> bool:
        """True where the output must name the cloud."""
        return len(self.ready) + len(self.failed) > 1

    @property
    def has_errors(self) -> bool:
        """True when a cloud or a definition was left alone because of an error."""
        return bool(self.failed) or any(
            finding.level == "error" for each in self.ready for finding in each.plan.findings
        )


def plan_clouds(requests: Sequence[Request], connections: Sequence[PendingConnection]) -> Clouds:
    """Read the definitions, and plan all clouds in parallel. Raises the Error of a single cloud."""
    loaded = load(requests[0].images, name_filter=requests[0].filter)
    upstreams = follower() if loaded.follows else None

    def planned(request_and_connection: tuple[Request, PendingConnection]) -> CloudPlan:
        request, connection = request_and_connection
        with about(request.cloud):
            return _planned(request, connection, loaded, upstreams)

    answers = results_or_errors(planned, list(zip(requests, connections, strict=True)))
    clouds = Clouds([answer for answer in answers if isinstance(answer, CloudPlan)])
    for request, answer in zip(requests, answers, strict=True):
        if isinstance(answer, Error):
            if len(requests) == 1:
                from openstack_image_manager.cloud.session import ENVIRONMENT

                answer.cloud = request.cloud or ENVIRONMENT
                raise answer
            clouds.failed[request.cloud or ""] = answer
    return clouds


def follower() -> Follower:
    """Upstreams with the mirrors, the cache and the keys of this user; each is asked once for all clouds."""
    from openstack_image_manager.signatures import keyring
    from openstack_image_manager.signatures.evidence import SignatureVerifier
    from openstack_image_manager.upstreams import sites
    from openstack_image_manager.upstreams.follow import Follower

    asked = sites.sites_from_environment()
    for warning in asked.warnings:
        log.say("warning", str(warning))
    return Follower(asked, SignatureVerifier(keyring.keyring(), mirrors=asked.mirrors))


def _planned(request: Request, connection: PendingConnection, loaded: Loaded, follower: Follower | None) -> CloudPlan:
    from openstack_image_manager.runs.planning import CloudPlanner

    glance = connection.result()
    # A warning begins with its file and line, the subject of the finding.
    parts = [str(warning).partition(": ") for warning in loaded.warnings]
    findings = [Finding("warning", where, message) for where, _, message in parts]
    findings += [Finding("warning", "clouds.yaml", note) for note in glance.notes]
    policy = replace(request.policy, project=glance.project)
    day = datetime.now(UTC).date()
    planner = CloudPlanner(glance, policy, day, request.roll_back, follower, loaded.left_out)
    # Without any definition something is wrong with the files, and not with all images.
    names = None if loaded.is_part or not loaded.positions else loaded.positions.keys()
    plan, definitions, images = planner.plan(loaded.definitions, findings, names)

    def again(before: CloudPlan) -> CloudPlan:
        # Errors about upstreams and checksum files hold for the whole run.
        broken = [finding for finding in before.plan.findings if finding.level == "error"]
        later = replace(planner, follower=None, roll_back={})
        now, _, images = later.plan(before.definitions, [*findings, *broken], names)
        return replace(before, plan=replace(now, findings=tuple(dict.fromkeys(now.findings))), images=images)

    return CloudPlan(replace(request, policy=policy), plan, glance, definitions, images, day.isoformat(), again, names)


def plan_again(clouds: Clouds) -> None:
    """Plan the changed clouds again, to report how they are now; a cloud that fails keeps its old plan."""
    changed = [each for each in clouds.ready if each.glance.cloud in clouds.results]
    answers = results_or_errors(lambda each: each.again(each), changed)
    clouds.after.update({now.glance.cloud: now for now in answers if isinstance(now, CloudPlan)})


def report_refusals(clouds: Clouds) -> bool:
    """Report the clouds whose plan would be refused; True if there are any."""
    for each in clouds.ready:
        if refusal := beyond_limit(each.plan, each.request.policy):
            clouds.refused[each.glance.cloud] = Error(f"{refusal}; it would be refused")
            log.say("error", str(clouds.refused[each.glance.cloud]))
    return bool(clouds.refused)


def apply_plans(clouds: Clouds, options: ImportOptions, workers: int) -> int:
    """Apply the plans with progress and give the exit code."""
    out = console.console()
    allowed: list[CloudPlan] = []
    for each in clouds.ready:
        refusal = beyond_limit(each.plan, each.request.policy)
        if refusal and not clouds.several:
            raise Error(f"{refusal}; nothing was done")
        if refusal:
            clouds.failed[each.glance.cloud] = Error(f"cloud '{each.glance.cloud}': {refusal}; nothing was done there")
            log.say("error", str(clouds.failed[each.glance.cloud]))
        else:
            allowed.append(each)
    results = (
        _applied(clouds, allowed, options, workers)
        if any(each.plan.changes for each in allowed)
        else [[]] * len(allowed)
    )
    for each, cloud_results in zip(allowed, results, strict=True):
        clouds.results[each.glance.cloud] = cloud_results
        if cloud_results:
            plans.results_text(cloud_results, out, each.glance.cloud if clouds.several else None)
    flat = [result for cloud_results in results for result in cloud_results]
    if clouds.several:
        _compare_after(clouds)
    if any(result.state == "skipped" for result in flat):
        return 130
    return 1 if any(result.state == "failed" for result in flat) or clouds.has_errors else 0


def _applied(clouds: Clouds, allowed: Sequence[CloudPlan], options: ImportOptions, workers: int) -> list[list[Result]]:
    from openstack_image_manager.apply.executor import Job, apply
    from openstack_image_manager.report import progress

    images = {each.glance.cloud: each.images for each in clouds.ready}
    with progress.reporter(console.console()) as reporter:
        jobs = [
            Job(
                each.plan,
                each.glance,
                each.request.policy,
                progress.CloudReporter(reporter, each.glance.cloud) if clouds.several else reporter,
                _replanner(each),
                compare.ids_elsewhere(each.glance.cloud, each.definitions, images),
            )
            for each in allowed
        ]
        return apply(jobs, options, workers)


def _replanner(each: CloudPlan) -> Replanner:
    """The input of the plan, to decide again before each step."""
    from openstack_image_manager.plan.replanning import Replanner

    request, day, admin = each.request, date.fromisoformat(each.day), each.glance.is_admin()
    return Replanner(
        each.plan, each.definitions, each.images, request.policy, day, admin, each.names, request.roll_back
    )


def _compare_after(clouds: Clouds) -> None:
    """Show the clouds as they are now, in one table."""

    def images(each: CloudPlan) -> Sequence[Image]:
        owners = {definition.owner for definition in each.definitions}
        return each.glance.managed(each.request.policy.tag, owners)

    answers = results_or_errors(images, clouds.ready)
    now = {
        each.glance.cloud: answer
        for each, answer in zip(clouds.ready, answers, strict=True)
        if not isinstance(answer, Error)
    }
    show_comparison(clouds, now)


def show_comparison(clouds: Clouds, images: Mapping[str, Sequence[Image]] | None = None) -> None:
    """Show whether every cloud has the same versions with the same bytes. `images`: by cloud, the images it has now."""
    known = images if images is not None else {each.glance.cloud: each.images for each in clouds.ready}
    unknown = [cloud for cloud in [*clouds.failed, *(each.glance.cloud for each in clouds.ready)] if cloud not in known]
    if known and len(known) + len(unknown) > 1:
        definitions = {each.glance.cloud: each.definitions for each in clouds.ready}
        console.table(compare.table(definitions, known, unknown), console.console())
