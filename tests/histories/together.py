"""Runs of the real program at the same moment, against the model of Glance, one call after the other.

A run is what the command line makes of `run`, `rollback` and their options: `CloudPlanner.plan`, then `apply`. The
stand-in for the cloud begins where keystoneauth's session would: everything above it is the program's own code.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from functools import partial
from types import SimpleNamespace
from typing import Any

import requests
from keystoneauth1.session import Session as KeystoneSession

from openstack_image_manager.apply.executor import Job, apply
from openstack_image_manager.apply.import_method import ImportOptions
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import CloudError, Error
from openstack_image_manager.plan.model import Plan, Policy, Result
from openstack_image_manager.plan.planner import beyond_limit
from openstack_image_manager.plan.replanning import Replanner
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.runs.planning import CloudPlanner
from tests.histories.schedule import Ended, Schedule, Strand
from tests.histories.service import Json, Request, Service, User, parse, response

CONSTANT = ("/info/import", "/info/stores")  # what is the same at any moment needs no turn
KEYSTONE = "http://keystone.model"
READ, WRITE = 0.01, 0.2  # seconds that a call takes
Images = dict[str, Json]
ADMIN = User("ours", admin=True)


@dataclass(frozen=True)
class Order:
    """What one run is told, and by whom. `word` names it in a trace."""

    word: str
    definitions: tuple[Definition, ...]
    policy: Policy = field(default_factory=Policy)
    roll_back: tuple[tuple[str, str], ...] = ()
    only: str | None = None
    user: User = ADMIN
    day: date = field(default_factory=lambda: datetime.now(UTC).date())

    def __str__(self) -> str:
        return self.word


@dataclass
class Outcome:
    """What became of a run."""

    plan: Plan | None = None
    results: list[Result] = field(default_factory=list)
    error: Error | None = None
    ended: bool = False

    @property
    def went_well(self) -> bool:
        """True for the exit code 0."""
        broken = self.plan is None or any(finding.level == "error" for finding in self.plan.findings)
        return self.ended and not self.error and not broken and all(result.state == "ok" for result in self.results)


@dataclass(frozen=True)
class Step:
    """What one call changed; `run` is None for what Glance did by itself. `looked`: the images when the call before it
    of the same thread was answered. Glance has no compare-and-swap: nobody can take into account what happens in
    between."""

    run: int | None
    request: Request | None
    before: Images
    after: Images
    looked: Images


class Session(KeystoneSession):
    """keystoneauth's session, with the model where the network would be; also what the token says."""

    def __init__(self, schedule: Schedule, service: Service, user: User, made: Callable[[Request], None]) -> None:
        self.schedule, self.service, self.user, self.made = schedule, service, user, made
        self.auth = self
        self.project_name = user.project
        self.role_names = ["admin" if user.admin else "member"]

    def get_project_id(self, *_: object) -> str:
        return self.user.project

    def get_access(self, _session: object) -> Session:
        return self

    def request(self, url: str, method: str, **arguments: Any) -> requests.Response:
        """One call, when it is its turn."""
        request = parse(self.user, url, method, arguments)
        if url.startswith(KEYSTONE):
            return _projects(request)
        if request.path not in CONSTANT:
            self.schedule.call(request)
            self.schedule.now += READ if request.reads else WRITE
        self.made(request)
        return self.service.answer(request)


def _projects(request: Request) -> requests.Response:
    """Keystone's answer; names and ids of domains and projects are the same there."""
    kind, _, target = request.path.removeprefix("/v3/").partition("/")
    if target:
        return response(request, 200, json.dumps({kind.removesuffix("s"): {"id": target, "name": target}}))
    name = request.query["name"]
    found = [] if name == "nobody" else [{"id": name, "name": name}]
    return response(request, 200, json.dumps({kind: found, "links": {"next": None}}))


class Quiet:
    """Keeps the lines that a run would show."""

    live = False

    def __init__(self) -> None:
        self.lines: list[str] = []

    def line(self, subject: str, message: str) -> None:
        self.lines.append(f"{subject}: {message}")

    def progress(self, *_: object, **__: object) -> None:
        return

    def finished(self, _: str) -> None:
        return

    def expect(self, _: int) -> None:
        return


class Broken(AssertionError):
    """A law was broken; the message is its sentence, the notes are the history."""


class Together:
    """Several runs in one cloud. `law` judges every step; what happened stands in `trace`."""

    def __init__(self, service: Service, orders: Sequence[Order], law: Callable[[Together, Step], None]) -> None:
        self.service, self.orders, self.law = service, orders, law
        self.outcomes = [Outcome() for _ in orders]
        self.reporters = [Quiet() for _ in orders]
        self.trace: list[str] = []
        self.broken: Broken | None = None
        self.begun: Images = dict(service.images)
        self._last = self.begun
        self._request: Request | None = None
        self._looks: dict[int, Images] = {}
        self._looked = self.begun

    def go(self, schedule: Schedule) -> None:
        """From the first call to the last. Raises AssertionError when a law is broken."""
        self.schedule = schedule
        service = self.service
        service.clock = lambda: schedule.now
        service.on_change = self._changed
        schedule.go([partial(self._run, number) for number in range(len(self.orders))])
        if self.broken:
            raise self.broken

    def _run(self, number: int) -> None:
        order, outcome = self.orders[number], self.outcomes[number]
        session = Session(self.schedule, self.service, order.user, lambda request: self._made(number, request))
        config = SimpleNamespace(
            get_region_name=lambda: "one", get_session_endpoint=lambda kind: KEYSTONE if kind == "identity" else None
        )
        connection = SimpleNamespace(session=session, config=config, close=lambda: None)
        glance = Glance(connection, "http://glance.model", str(order))
        try:
            job = planned(glance, order, self.reporters[number])
            outcome.plan = job.plan
            if refusal := beyond_limit(job.plan, job.policy):
                raise CloudError(refusal)
            outcome.results = apply([job], ImportOptions())[0]
        except Error as error:
            outcome.error = error
            self.trace.append(f"{order}: {error}")
        outcome.ended = True
        self.trace.append(f"{order}: end")

    def _made(self, number: int, request: Request) -> None:
        self._request = request
        self.trace.append(f"{self.orders[number]}: {request} {_body(request)}".rstrip())
        strand = self.schedule.me()
        assert strand
        self._looked = self._looks.get(strand.number, self.begun)
        self._looks[strand.number] = dict(self.service.images)

    def _changed(self) -> None:
        before, self._last = self._last, dict(self.service.images)
        strand = self.schedule.me()
        if strand:
            self._looks[strand.number] = self._last
        step = Step(strand.run if strand else None, self._request, before, self._last, self._looked)
        if self.broken:
            return
        try:
            self.law(self, step)
        except Broken as broken:
            self.broken = broken
            broken.add_note("\n".join(self.trace))
            self.schedule.over = True
            raise Ended from None


def planned(glance: Glance, order: Order, reporter: Reporter) -> Job:
    """The plan as the command line makes it, and what it carries it out with."""
    mine = [each for each in order.definitions if order.only in (None, each.name)]
    left_out = [each for each in order.definitions if each not in mine]
    policy, back = replace(order.policy, project=glance.project), dict(order.roll_back)
    names = None if left_out else [each.name for each in order.definitions]
    made, known, images = CloudPlanner(glance, policy, order.day, back, None, left_out).plan(mine, [], names)
    replanner = Replanner(made, known, images, policy, order.day, glance.is_admin(), names, back)
    return Job(made, glance, policy, reporter, replanner)


def _body(request: Request) -> str:
    if request.method == "PATCH":
        return ", ".join(f"{each['path'][1:]}={each.get('value', '(removed)')}" for each in request.json)
    if request.method == "POST" and request.json and "name" in request.json:
        return f"{request.json['name']}, {request.json.get('visibility')}"
    return ""


def first(_schedule: Schedule, able: Sequence[Strand]) -> Strand:
    """The choice of runs that follow one another."""
    return min(able, key=lambda strand: (strand.run, strand.napping, strand.number))
