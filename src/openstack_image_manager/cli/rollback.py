"""`rollback` makes a previous build current until the definition has a newer version."""

from __future__ import annotations

from typing import Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_IMAGES, Outdated


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("rollback")(with_groups(rollback_command))


def rollback_command(
    *,
    name: options.DefinitionName,
    clouds: options.Clouds,
    images: options.Images = DEFAULT_IMAGES,
    policy: options.RollbackPolicy,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="Version to roll back to. Default: the previous build."),
    ] = None,
    dry_run: options.DryRun = False,
    yes: options.Yes = False,
    reporting: options.Reporting,
) -> None:
    """Roll back to an earlier build, and hide the current one.

    All runs respect the rollback until the definition has a newer version. To undo it, use --to with the newest
    version. Use the options of your runs.

    \b
    Example:
      openstack-image-manager rollback "Ubuntu 24.04" --cloud openstack --images images/
    """
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.cli import confirm
    from openstack_image_manager.cli.plan import show
    from openstack_image_manager.cli.request import defined, only, requests
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs import run

    reporting.set_up_log()
    definition, _ = defined(name, images)
    if not definition.multi:
        raise UsageError(f"all versions of {name} are current (multi: false), so there is nothing to roll back")
    if not definition.enable:
        raise UsageError(f"{name} is disabled (enable: false); enable it first")
    # A rollback imports no older versions. It hides builds, but never deactivates or deletes them.
    stage: Outdated = "keep" if policy.outdated == "keep" else "hide"
    asked = requests(clouds, images, only(name), policy.for_plan(latest=True, outdated=stage), {name: to or ""})
    with reporting.recording("rollback") as record, run.planned_clouds(asked) as found:
        record.about(found, applies=not dry_run)
        show(found, "text")
        code = 1 if found.has_errors else 0
        if not dry_run:
            confirm.confirm(found, yes)
            code = run.apply_plans(found, ImportOptions(), 4)
            record.look_again(found)
        raise typer.Exit(code)
