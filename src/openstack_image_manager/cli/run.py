"""What plan, apply and the root command have in common: from definitions and a cloud to a plan, and to its end."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, TypeGuard

import typer

from openstack_image_manager import render
from openstack_image_manager.changes import checksum
from openstack_image_manager.definitions import load
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.identity import of_others
from openstack_image_manager.latest import resolve
from openstack_image_manager.model import Change, Delete, Finding, Plan, Policy, Update
from openstack_image_manager.plan import beyond_limit, plan

if TYPE_CHECKING:
    from openstack_image_manager.glance import Glance
    from openstack_image_manager.ways import ImportOptions

PENDING = 3  # exit code of `plan --exit-code`


@dataclass(frozen=True, slots=True)
class Request:
    """Which cloud shall match which definitions, by which policy."""

    cloud: str | None
    images: str
    filter: str | None
    policy: Policy


@dataclass(frozen=True, slots=True)
class Prepared:
    """A plan, and the cloud it is for."""

    plan: Plan
    glance: Glance


def cloud_name(option: str | None) -> str | None:
    """The cloud to use: the option, else what OS_* says (None: the variables themselves), else 'openstack'."""
    if option:
        return option
    if named := os.environ.get("OS_CLOUD"):
        return named
    return None if os.environ.get("OS_AUTH_URL") else "openstack"


def request(options: Mapping[str, Any]) -> Request:
    """What the options of a command ask for. Raises UsageError."""
    days = re.fullmatch(r"(\d{1,4})d?", options["grace"])
    if days is None:
        raise UsageError(f"--grace {options['grace']}: give a number of days, like 30 or 30d")
    policy = Policy(
        tag=options["tag"],
        latest=options["latest"],
        keep=options["keep"],
        force=options["force"],
        hidden_visibility=options["hidden_visibility"].value,
        use_os_hidden=options["use_os_hidden"],
        outdated=options["outdated"].value,
        grace=int(days.group(1)),
        orphans=options["orphans"].value,
        unknown_usage=options["unknown_usage"].value,
        max_deletes=options["max_deletes"],
    )
    return Request(cloud_name(options["cloud"]), options["images"], options["name_filter"], policy)


@contextmanager
def prepared(request: Request) -> Iterator[Prepared]:
    """Read the definitions, look at the cloud once, and plan. Nothing is written. Raises Error."""
    loaded = load(request.images, name_filter=request.filter)
    # What a warning begins with, file and line, is what it is about.
    parts = [str(warning).partition(": ") for warning in loaded.warnings]
    findings = [Finding("warning", where, message) for where, _, message in parts]
    from openstack_image_manager.glance import Glance

    with closing(Glance.connect(request.cloud)) as glance:
        found = glance.list(request.policy.tag)
        # An administrator looks after the public images of all projects, others after those of their own.
        admin, project = glance.is_admin(), glance.project
        ours = [image for image in found if admin or image.owner == project]
        others = [image for image in found if not admin and image.owner != project]
        findings += of_others(others, loaded.definitions, request.policy.force)
        definitions, troubles = resolve(loaded.definitions, ours, request.policy.force)
        policy = replace(request.policy, project=project)
        names = loaded.positions.keys() if request.filter is None else None
        today, told = datetime.now(UTC).date(), [*findings, *troubles]
        made = plan(definitions, ours, policy, today, told, names, lambda _: 0)
        if doomed := [change.found.id for change in made.changes if is_final(change)]:
            from openstack_image_manager.usage import look

            usage, remark = look(glance, doomed)
            made = plan(definitions, ours, policy, today, [*told, *remark], names, usage)
        yield Prepared(made, glance)


def carry_out(ready: Prepared, policy: Policy, options: ImportOptions, workers: int) -> int:
    """Apply the plan with progress; the exit code."""
    from openstack_image_manager.apply import apply

    out = render.console()
    if refusal := beyond_limit(ready.plan, policy):
        raise Error(f"{refusal}; nothing was done")
    with render.reporter(out) as reporter:
        results = apply(ready.plan, ready.glance, policy, options, reporter, workers)
    if results:
        render.results_text(results, out)
    if any(result.state == "skipped" for result in results):
        return 130
    return 1 if any(result.state == "failed" for result in results) or has_errors(ready.plan) else 0


def has_errors(made: Plan) -> bool:
    """True when a definition had to be left alone because of an error."""
    return any(finding.level == "error" for finding in made.findings)


def is_final(change: Change) -> TypeGuard[Update | Delete]:
    """True for what should not happen to an image that is in use."""
    if isinstance(change, Update):
        return any(field.field == "status" and field.after == "deactivated" for field in change.fields)
    return isinstance(change, Delete) and not change.junk


def expect(made: Plan, wanted: str | None) -> None:
    """Refuse a plan other than the one that was approved."""
    if wanted and checksum(made) != wanted:
        raise UsageError(f"the plan is {checksum(made)} now, not {wanted}; nothing was changed: look at the plan again")


def confirm(made: Plan, yes: bool) -> None:
    """Ask, unless told not to. Raises UsageError where no one can be asked, Abort when the answer is no."""
    import sys

    if yes or not made.changes:
        return
    if not sys.stdin.isatty():
        raise UsageError("nobody can be asked here; add --yes to apply without asking")
    typer.confirm("Apply this plan?", abort=True)
