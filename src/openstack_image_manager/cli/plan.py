"""Commands `plan` (what would be done) and `apply` (do it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstack_image_manager.cli import options as given

if TYPE_CHECKING:
    from openstack_image_manager.cli.run import Prepared, Request
    from openstack_image_manager.model import Plan

FORMAT = 1  # of plan files
# What a plan file says already.
ASKED = {"cloud", "images", "name_filter", "tag", "latest", "keep", "force", "hidden_visibility", "use_os_hidden"} | {
    "outdated",
    "grace",
    "orphans",
    "unknown_usage",
    "max_deletes",
}
Approved = tuple[dict[str, Any], dict[str, str]]  # where, and the image of each change (by all that it says)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan")(plan_command)
    app.command("apply")(apply_command)


def plan_command(
    context: typer.Context,
    cloud: given.Cloud = None,
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
    output: Annotated[given.Output, typer.Option("--output", help="Form of the plan.")] = given.Output.TEXT,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE", help="Write the plan to a file, for `apply FILE`.")
    ] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help="Exit with 3 when there are changes.")] = False,
    debug: given.Debug = False,
) -> None:
    """Show what would be done, and why; change nothing.

    \b
    Example:
      openstack-image-manager plan --cloud openstack --images images/ --out today.plan
    """
    from openstack_image_manager.cli.logs import set_up

    set_up(debug)
    from openstack_image_manager.cli import run

    request = run.request(context.params)
    with run.prepared(request) as ready:
        show(ready.plan, ready.glance.cloud, output)
        if out is not None:
            _write(out, request, ready)
    if run.has_errors(ready.plan):
        raise typer.Exit(1)
    if exit_code and ready.plan.changes:
        raise typer.Exit(run.PENDING)


def apply_command(
    context: typer.Context,
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="PLANFILE", help="A plan written by `plan --out`; exactly that is done.")
    ] = None,
    cloud: given.Cloud = None,
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
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    expect: Annotated[
        str | None, typer.Option("--expect", metavar="CHECKSUM", help="Refuse any plan but the one of this checksum.")
    ] = None,
    workers: given.Workers = 4,
    import_method: given.Method = given.ImportMethod.AUTO,
    import_timeout: given.Timeout = 1800,
    verify_checksum: given.VerifyChecksum = None,
    stuck_retry: given.StuckRetry = 0,
    debug: given.Debug = False,
) -> None:
    """Plan, show the plan, ask, and do it.

    \b
    Examples:
      openstack-image-manager apply --cloud openstack --images images/
      openstack-image-manager apply today.plan --yes
    """
    from openstack_image_manager.cli.logs import set_up

    set_up(debug)
    from openstack_image_manager.cli import run
    from openstack_image_manager.ways import ImportOptions

    request = run.request(context.params)
    approved = None
    if plan_file is not None:
        _refuse_beside_file(context)
        request, approved = _read(plan_file)
    options = ImportOptions(import_method.value, verify_checksum, import_timeout, stuck_retry + 1)
    with run.prepared(request) as ready:
        if approved is not None:
            _same(approved, ready)
        show(ready.plan, ready.glance.cloud, given.Output.TEXT)
        run.expect(ready.plan, expect)
        run.confirm(ready.plan, yes)
        code = run.carry_out(ready, request.policy, options, workers)
    raise typer.Exit(code)


def show(plan: Plan, cloud: str, output: given.Output) -> None:
    """Print the plan in the form asked for."""
    from openstack_image_manager import render

    if output is given.Output.JSON:
        typer.echo(render.plan_json(plan, cloud))
    elif output is given.Output.MARKDOWN:
        typer.echo(render.plan_markdown(plan, cloud), nl=False)
    else:
        render.plan_text(plan, cloud, render.console())


def _refuse_beside_file(context: typer.Context) -> None:
    """Whoever writes `apply today.plan --cloud other` must not believe that it goes to the other cloud."""
    from openstack_image_manager.errors import UsageError

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in ASKED and source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"{parameter.opts[0]} has no effect beside a plan file, which says it already; leave it out"
            )


def _write(path: Path, request: Request, ready: Prepared) -> None:
    """A plan file: what was asked, where, and the plan. It names the definitions' path and holds no secrets."""
    from dataclasses import asdict

    from openstack_image_manager import render
    from openstack_image_manager.errors import Error

    asked = {**asdict(request), "images": _absolute(request.images)}
    plan = render.plan_data(ready.plan, ready.glance.cloud)
    content = {"format": FORMAT, "request": asked, "where": _where(ready), "plan": plan}
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise Error(f"{path}: the plan can't be written: {error.strerror}") from None


def _where(ready: Prepared) -> dict[str, str | None]:
    """The same name may be another cloud tomorrow, or in another environment."""
    return {"project": ready.glance.project, "region": ready.glance.region}


def _absolute(images: str) -> str:
    return images if "**" in images else str(Path(images).absolute())


def _read(path: Path) -> tuple[Request, Approved]:
    from openstack_image_manager.cli.run import Request
    from openstack_image_manager.errors import Error
    from openstack_image_manager.model import Policy

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise Error(f"{path}: a plan file of another release; make it anew with `plan --out`")
        request = content["request"]
        policy = Policy(**request.pop("policy"))
        changes = {_key(change): change["image"] for change in content["plan"]["changes"]}
        return Request(policy=policy, **request), (content["where"], changes)
    except OSError as error:
        raise Error(f"{path}: the plan can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Error(f"{path}: is no plan file; make one with `plan --out`") from None


def _key(change: dict[str, Any]) -> str:
    return json.dumps(change, sort_keys=True)


def _same(approved: Approved, ready: Prepared) -> None:
    """Refuse when what there is to do now is not what was approved, naming the images."""
    from openstack_image_manager.changes import change_data
    from openstack_image_manager.errors import Error

    where, before = approved
    if where != _where(ready):
        raise Error("the plan was made for another project or region; nothing was done: plan again")
    now = {_key(data): data["image"] for data in map(change_data, ready.plan.changes)}
    other = sorted({name for key, name in (before | now).items() if (key in before) != (key in now)})
    if other:
        names = ", ".join(other)
        raise Error(
            f"the cloud or the definitions changed since the plan was made: {names}; nothing was done: plan again"
        )
