"""`rollback`: the build before gets the plain name back, until the definition moves past the bad one."""

from __future__ import annotations

from typing import Annotated

import typer

from openstack_image_manager.cli import options as given


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("rollback")(rollback_command)


def rollback_command(
    name: given.Definition,
    cloud: given.Clouds = None,
    all_clouds: given.AllClouds = False,
    images: given.Images = given.IMAGES,
    tag: given.Tag = given.TAG,
    keep: given.Keep = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    outdated: given.OutdatedOption = given.Outdated.HIDE,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="VERSION", help="Version to go back to. Default: the one before the current one."),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    report: given.Reports = None,
    metrics: given.Metrics = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """Give the plain name back to an earlier build, and take the current one out of sight.

    That lasts, in every run, until the definition has a version newer than the bad one. To take it back, use --to with
    the newest version. Give the options with which the cloud is run.

    \b
    Example:
      openstack-image-manager rollback "Ubuntu 24.04" --cloud openstack --images images/
    """
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.cli import confirm
    from openstack_image_manager.cli.plan import show
    from openstack_image_manager.cli.recording import recording
    from openstack_image_manager.cli.request import defined, looking, only
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.report.log import set_up
    from openstack_image_manager.runs import run
    from openstack_image_manager.runs.connect import cloud_names
    from openstack_image_manager.runs.request import Request

    set_up(debug, log_format)
    definition, _ = defined(name, images)
    if not definition.multi:
        raise UsageError(f"the versions of {name} stand side by side (multi: false); there is nothing to roll back")
    if not definition.enable:
        raise UsageError(f"{name} is disabled (enable: false), so nothing of it is changed; enable it first")
    # The older versions that are missing are no business of a rollback.
    # It takes builds out of sight, and never further.
    stage = outdated if outdated == given.Outdated.KEEP else given.Outdated.HIDE
    policy = looking(tag, False, True, keep, hidden_visibility, use_os_hidden, stage)
    chosen = {name: to or ""}
    requests = [Request(each, images, only(name), policy, chosen) for each in cloud_names(cloud, all_clouds)]
    with recording("rollback", report, metrics) as record, run.planned_clouds(requests) as clouds:
        record.about(clouds, applies=not dry_run)
        show(clouds, given.Output.TEXT)
        code = 1 if clouds.has_errors else 0
        if not dry_run:
            confirm.confirm(clouds, yes)
            code = run.apply_plans(clouds, ImportOptions(), 4)
            record.look_again(clouds)
        raise typer.Exit(code)
