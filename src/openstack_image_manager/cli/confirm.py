"""Ask before a plan is applied."""

from __future__ import annotations

import sys

import typer

from openstack_image_manager.errors import UsageError
from openstack_image_manager.plan.model import Plan
from openstack_image_manager.plan.serialize import checksum
from openstack_image_manager.runs.run import Clouds


def expect(plan: Plan, expected: str | None) -> None:
    """Refuse a plan that differs from the approved one. Raises UsageError."""
    if expected and checksum(plan) != expected:
        raise UsageError(
            f"the plan is {checksum(plan)} now, not {expected}; nothing was changed: look at the plan again"
        )


def confirm(clouds: Clouds, yes: bool) -> None:
    """Ask for confirmation unless `yes`. Raises UsageError without a terminal, Abort when the answer is no."""
    changes = [change for planned in clouds.ready for change in planned.plan.changes]
    if yes or not changes:
        return
    if not sys.stdin.isatty():
        raise UsageError("not a terminal: add --yes to apply without asking")
    typer.confirm("Apply this plan?" if len(clouds.ready) == 1 else "Apply these plans?", abort=True)
