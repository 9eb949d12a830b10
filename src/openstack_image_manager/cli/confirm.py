"""Ask before a plan is applied."""

from __future__ import annotations

import sys

import typer

from openstack_image_manager.errors import UsageError
from openstack_image_manager.plan.model import Plan
from openstack_image_manager.plan.serialize import checksum
from openstack_image_manager.runs.run import Clouds


def expect(made: Plan, wanted: str | None) -> None:
    """Refuse a plan other than the one that was approved."""
    if wanted and checksum(made) != wanted:
        raise UsageError(f"the plan is {checksum(made)} now, not {wanted}; nothing was changed: look at the plan again")


def confirm(clouds: Clouds, yes: bool) -> None:
    """Ask, unless told not to. Raises UsageError where no one can be asked, Abort when the answer is no."""
    changes = [change for each in clouds.ready for change in each.plan.changes]
    if yes or not changes:
        return
    if not sys.stdin.isatty():
        raise UsageError("not a terminal: add --yes to apply without asking")
    typer.confirm("Apply this plan?" if len(clouds.ready) == 1 else "Apply these plans?", abort=True)
