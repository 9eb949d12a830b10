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
    from openstack_image_manager.cli.request import exact_filter, find_definition, requests
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs import run
    from openstack_image_manager.runs.planned import planned_clouds

    reporting.set_up_log()
    definition, _ = find_definition(name, images)
    if not definition.multi:
        raise UsageError(f"all versions of {name} are current (multi: false), so there is nothing to roll back")
    if not definition.enable:
        raise UsageError(f"{name} is disabled (enable: false); enable it first")
    # A rollback imports no older versions. It hides builds, but never deactivates or deletes them.
    stage: Outdated = "keep" if policy.outdated == "keep" else "hide"
    requested = requests(
        clouds, images, exact_filter(name), policy.for_plan(latest=True, outdated=stage), {name: to or ""}
    )
    with reporting.recording("rollback") as record, planned_clouds(requested) as planned:
        record.about(planned, applies=not dry_run)
        show(planned, "text")
        code = 1 if planned.has_errors else 0
        if not dry_run:
            confirm.confirm(planned, yes)
            code = run.apply_plans(planned, ImportOptions(), 4)
            record.look_again(planned)
        raise typer.Exit(code)
