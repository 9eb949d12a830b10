"""`plan` shows changes, `apply` makes them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager import defaults
from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups

if TYPE_CHECKING:
    from openstack_image_manager.runs.run import Clouds


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan")(with_groups(plan_command))
    app.command("apply")(with_groups(apply_command))


def plan_command(
    context: typer.Context,
    *,
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="The same as --images PATH.")] = None,
    clouds: options.Clouds,
    definitions: options.Definitions,
    policy: options.Policy,
    output: options.NoteFormat = "text",
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the plan to FILE for `apply FILE`.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 if there are changes.")] = False,
    reporting: options.Reporting,
) -> None:
    """Show what apply would change, and why.

    \b
    Example:
      openstack-image-manager plan --cloud openstack --images images/ --out today.plan
    """
    reporting.set_up_log()
    from openstack_image_manager.cli.request import requests
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs.planned import planned_clouds

    images = definitions.images if path is None else _path(context, path)
    requested = requests(clouds, images, definitions.name_filter, policy.for_plan())
    if out is not None and len(requested) > 1:
        raise UsageError("--out needs exactly one cloud; write a plan file for each cloud")
    with reporting.recording("plan", output) as record, planned_clouds(requested) as planned:
        from openstack_image_manager.runs import run

        record.about(planned, applies=False)
        if out is not None:
            from openstack_image_manager.runs.planfile import pinned, write

            planned.ready[0] = pinned(planned.ready[0])
        show(planned, output)
        too_many = run.report_refusals(planned)
        if out is not None and not too_many:
            write(out, planned.ready[0])
        if planned.several and output == "text":
            run.show_comparison(planned)
        if planned.has_errors or too_many:
            raise typer.Exit(1)
        if exit_code and any(cloud.plan.changes for cloud in planned.ready):
            raise typer.Exit(run.PENDING)


def apply_command(
    context: typer.Context,
    *,
    plan_file: Annotated[
        str | None,
        typer.Argument(metavar="PLANFILE|PATH", help="A plan of `plan --out`, or the same as --images PATH."),
    ] = None,
    clouds: options.Clouds,
    definitions: options.Definitions,
    policy: options.Policy,
    yes: options.Yes = False,
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="CHECKSUM", help="Refuse a plan with another checksum.")
    ] = None,
    imports: options.Imports,
    reporting: options.Reporting,
) -> None:
    """Show the plan, ask, and apply it.

    \b
    Examples:
      openstack-image-manager apply --cloud openstack --images images/
      openstack-image-manager apply today.plan --yes
    """
    from dataclasses import replace

    reporting.set_up_log()
    from openstack_image_manager.cli.request import requests
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs.planned import planned_clouds

    images = definitions.images
    if plan_file is not None and _has_definitions(plan_file):
        images, plan_file = _path(context, plan_file), None
    requested = requests(clouds, images, definitions.name_filter, policy.for_plan())
    approved = None
    if plan_file is not None:
        from openstack_image_manager.runs.planfile import read

        refuse_approved_options(context)
        request, approved = read(Path(plan_file))
        # The path of the definitions is not part of the approval; their content is.
        requested = [replace(request, images=definitions.images) if _is_given(context, "images") else request]
    if expect is not None and len(requested) > 1:
        raise UsageError("--expect needs exactly one cloud, because each cloud has its own plan")
    with reporting.recording("apply") as record, planned_clouds(requested) as planned:
        from openstack_image_manager.cli import confirm
        from openstack_image_manager.plan.serialize import checksum
        from openstack_image_manager.runs import run
        from openstack_image_manager.runs.planfile import agreed, pinned

        record.about(planned, applies=True)
        if approved is not None:
            planned.ready[0] = agreed(approved, planned.ready[0])
        elif expect is not None and checksum(planned.ready[0].plan) != expect:
            planned.ready[0] = pinned(planned.ready[0])  # as `plan --out` shows it
        show(planned, "text")
        if expect is not None:
            confirm.expect(planned.ready[0].plan, expect)
        confirm.confirm(planned, yes)
        code = run.apply_plans(planned, imports.for_apply(), imports.workers)
        record.look_again(planned)
        raise typer.Exit(code)


def show(clouds: Clouds, output: str) -> None:
    """Print the plans as text or Markdown."""
    from openstack_image_manager.report import console
    from openstack_image_manager.report import plans as render
    from openstack_image_manager.report.log import say

    plans = [(planned.plan, planned.glance.cloud) for planned in clouds.ready]
    if output == "markdown":
        typer.echo("\n".join(render.plan_markdown(*plan) for plan in plans), nl=False)
    elif output == "text":
        for plan in plans:
            render.plan_text(*plan, console.console(), with_heading=clouds.several)
    if clouds.several and output != "json":
        for error in clouds.failed.values():
            say("error", str(error))


def _path(context: typer.Context, path: str) -> str:
    """The definitions that an argument names. Raises UsageError if --images names some, too."""
    from openstack_image_manager.errors import UsageError

    if _is_given(context, "images"):
        raise UsageError("PATH and --images mean the same; give one of them")
    return path


def _has_definitions(path: str) -> bool:
    """True for what --images takes: a directory, YAML, a pattern, the catalogue."""
    return (
        path.startswith(defaults.CATALOGUE) or "**" in path or path.endswith((".yml", ".yaml")) or Path(path).is_dir()
    )


def refuse_approved_options(context: typer.Context) -> None:
    """Refuse options that a plan file contains: `apply today.plan --cloud other`. Raises UsageError."""
    from dataclasses import fields

    from openstack_image_manager.errors import UsageError

    # Options that a plan file contains; --images only says where the definitions are now.
    approved = {field.name for group in (options.Clouds, options.Policy) for field in fields(group)} | {"name_filter"}
    for parameter in context.command.params:
        if parameter.name in approved and _is_given(context, parameter.name):
            raise UsageError(f"{parameter.opts[0]} is already part of the plan file; leave it out")


def _is_given(context: typer.Context, name: str) -> bool:
    """True if the option is on the command line, even with its default."""
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
