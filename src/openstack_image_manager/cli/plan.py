"""Commands `plan` (what would be done) and `apply` (do it)."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options as given

if TYPE_CHECKING:
    from openstack_image_manager.runs.run import Clouds


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan")(plan_command)
    app.command("apply")(apply_command)


def plan_command(
    context: typer.Context,
    cloud: given.Clouds = None,
    all_clouds: given.AllClouds = False,
    images: given.Images = given.IMAGES,
    name_filter: given.Filter = None,
    tag: given.Tag = given.TAG,
    latest: given.Latest = False,
    keep: given.Keep = False,
    force: given.Force = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    outdated: given.OutdatedOption = given.Outdated.HIDE,
    grace: given.Grace = "0",
    orphans: given.OrphansOption = given.Orphans.KEEP,
    unknown_usage: given.UnknownUsageOption = given.UnknownUsage.KEEP,
    max_deletes: given.MaxDeletes = 5,
    same_ids: given.SameIds = False,
    output: Annotated[given.Output, typer.Option("--output", help="Form of the plan.")] = given.Output.TEXT,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the plan to a file, for `apply FILE`.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when there are changes.")] = False,
    report: given.Reports = None,
    metrics: given.Metrics = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """Show what would be done, and why; change nothing.

    \b
    Example:
      openstack-image-manager plan --cloud openstack --images images/ --out today.plan
    """
    from openstack_image_manager.report.log import set_up

    set_up(debug, log_format)
    from openstack_image_manager.cli.recording import recording
    from openstack_image_manager.cli.request import requests as asked
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs import run
    from openstack_image_manager.runs.planfile import pinned, write

    requests = asked(context.params)
    if out is not None and len(requests) > 1:
        raise UsageError("--out goes with one cloud; write a plan file for each cloud")
    with recording("plan", report, metrics) as record, run.planned_clouds(requests) as clouds:
        record.about(clouds, applies=False)
        if out is not None:
            clouds.ready[0] = pinned(clouds.ready[0])
        show(clouds, output)
        too_many = run.report_refusals(clouds)
        if out is not None and not too_many:
            write(out, clouds.ready[0])
        if clouds.several and output == given.Output.TEXT:
            run.show_comparison(clouds)
        if clouds.has_errors or too_many:
            raise typer.Exit(1)
        if exit_code and any(each.plan.changes for each in clouds.ready):
            raise typer.Exit(run.PENDING)


def apply_command(
    context: typer.Context,
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="PLANFILE", help="A plan written by `plan --out`; only that is done.")
    ] = None,
    cloud: given.Clouds = None,
    all_clouds: given.AllClouds = False,
    images: given.Images = given.IMAGES,
    name_filter: given.Filter = None,
    tag: given.Tag = given.TAG,
    latest: given.Latest = False,
    keep: given.Keep = False,
    force: given.Force = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    outdated: given.OutdatedOption = given.Outdated.HIDE,
    grace: given.Grace = "0",
    orphans: given.OrphansOption = given.Orphans.KEEP,
    unknown_usage: given.UnknownUsageOption = given.UnknownUsage.KEEP,
    max_deletes: given.MaxDeletes = 5,
    same_ids: given.SameIds = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="CHECKSUM", help="Refuse any plan but the one of this checksum.")
    ] = None,
    workers: given.Workers = 4,
    import_method: given.Method = given.ImportMethod.AUTO,
    import_timeout: given.Timeout = 1800,
    verify_checksum: given.VerifyChecksum = None,
    stuck_retry: given.StuckRetry = 0,
    report: given.Reports = None,
    metrics: given.Metrics = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """Plan, show the plan, ask, and do it.

    \b
    Examples:
      openstack-image-manager apply --cloud openstack --images images/
      openstack-image-manager apply today.plan --yes
    """
    from dataclasses import replace

    from openstack_image_manager.report.log import set_up

    set_up(debug, log_format)
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.cli import confirm
    from openstack_image_manager.cli.recording import recording
    from openstack_image_manager.cli.request import requests as asked
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.plan.serialize import checksum
    from openstack_image_manager.runs import run
    from openstack_image_manager.runs.planfile import agreed, pinned, read

    requests = asked(context.params)
    approved = None
    if plan_file is not None:
        refuse_beside_file(context)
        request, approved = read(plan_file)
        # Where the definitions are is no part of what was approved; what they say is.
        requests = [replace(request, images=images) if _is_given(context, "images") else request]
    if expect is not None and len(requests) > 1:
        raise UsageError("--expect goes with one cloud, as each cloud has a plan of its own")
    options = ImportOptions(given.ImportMethod(import_method).value, verify_checksum, import_timeout, stuck_retry + 1)
    with recording("apply", report, metrics) as record, run.planned_clouds(requests) as clouds:
        record.about(clouds, applies=True)
        if approved is not None:
            clouds.ready[0] = agreed(approved, clouds.ready[0])
        elif expect is not None and checksum(clouds.ready[0].plan) != expect:
            clouds.ready[0] = pinned(clouds.ready[0])  # as `plan --out` has shown it
        show(clouds, given.Output.TEXT)
        if expect is not None:
            confirm.expect(clouds.ready[0].plan, expect)
        confirm.confirm(clouds, yes)
        code = run.apply_plans(clouds, options, workers)
        record.look_again(clouds)
        raise typer.Exit(code)


def show(clouds: Clouds, output: given.Output) -> None:
    """Print the plans in the form asked for."""
    from openstack_image_manager.report import console
    from openstack_image_manager.report import plans as render
    from openstack_image_manager.report.log import say

    plans = [(each.plan, each.glance.cloud) for each in clouds.ready]
    if output == given.Output.JSON:
        failed = {cloud: str(error) for cloud, error in clouds.failed.items()}
        typer.echo(render.plans_json(plans, failed) if clouds.several else render.plan_json(*plans[0]))
    elif output == given.Output.MARKDOWN:
        typer.echo("\n".join(render.plan_markdown(*plan) for plan in plans), nl=False)
    else:
        for plan in plans:
            render.plan_text(*plan, console.console(), with_heading=clouds.several)
    if clouds.several and output != given.Output.JSON:
        for error in clouds.failed.values():
            say("error", str(error))


# What a plan file says already, and nothing else can: `images` only says where the definitions are now.
ASKED = {"cloud", "all_clouds", "name_filter", "tag", "latest", "keep", "force", "hidden_visibility"} | {
    *("use_os_hidden", "outdated", "grace", "orphans", "unknown_usage", "max_deletes", "same_ids")
}


def refuse_beside_file(context: typer.Context) -> None:
    """Whoever writes `apply today.plan --cloud other` must not believe that it goes to the other cloud."""
    from openstack_image_manager.errors import UsageError

    for parameter in context.command.params:
        if parameter.name in ASKED and _is_given(context, parameter.name):
            raise UsageError(
                f"{parameter.opts[0]} has no effect beside a plan file, which says it already; leave it out"
            )


def _is_given(context: typer.Context, name: str) -> bool:
    """True for what the command line says, which may be the default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
