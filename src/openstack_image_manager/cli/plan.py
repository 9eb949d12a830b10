"""Commands `plan` (what would be done) and `apply` (do it)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from openstack_image_manager.cli import options as given

if TYPE_CHECKING:
    from openstack_image_manager.cli.run import Request
    from openstack_image_manager.model import Plan

FORMAT = 1  # of plan files


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.command("plan")(plan_command)
    app.command("apply")(apply_command)


def plan_command(
    cloud: given.Cloud = None,
    images: given.Images = given.IMAGES,
    name_filter: given.Filter = None,
    tag: given.Tag = given.TAG,
    latest: given.Latest = False,
    keep: given.Keep = False,
    force: given.Force = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    deactivate: given.Deactivate = False,
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
    from openstack_image_manager import render
    from openstack_image_manager.cli import run

    policy = _policy(tag, latest, keep, force, hidden_visibility, use_os_hidden, deactivate)
    request = run.Request(run.cloud_name(cloud), images, name_filter, policy)
    with run.prepared(request) as ready:
        show(ready.plan, ready.glance.cloud, output)
    if out is not None:
        _write(out, request, render.plan_data(ready.plan, ready.glance.cloud))
    if run.has_errors(ready.plan):
        raise typer.Exit(1)
    if exit_code and ready.plan.changes:
        raise typer.Exit(run.PENDING)


def apply_command(
    plan_file: Annotated[
        Path | None, typer.Argument(metavar="[PLANFILE]", help="A plan written by `plan --out`; exactly that is done.")
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
    deactivate: given.Deactivate = False,
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

    policy = _policy(tag, latest, keep, force, hidden_visibility, use_os_hidden, deactivate)
    request = run.Request(run.cloud_name(cloud), images, name_filter, policy)
    approved = None
    if plan_file is not None:
        request, approved = _read(plan_file)
    options = ImportOptions(import_method.value, verify_checksum, import_timeout, stuck_retry + 1)
    with run.prepared(request) as ready:
        if approved is not None:
            _same(approved, ready.plan)
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


def _policy(
    tag: str,
    latest: bool,
    keep: bool,
    force: bool,
    hidden_visibility: given.Visibility,
    use_os_hidden: bool,
    deactivate: bool,
) -> Any:
    from openstack_image_manager.model import Policy

    return Policy(tag, latest, keep, force, hidden_visibility.value, use_os_hidden, deactivate)


def _write(path: Path, request: Request, data: dict[str, Any]) -> None:
    """A plan file: what was asked, and the plan. It names the definitions' path and holds no secrets."""
    from dataclasses import asdict

    from openstack_image_manager.errors import Error

    asked = {**asdict(request), "images": _absolute(request.images)}
    content = {"format": FORMAT, "request": asked, "plan": data}
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise Error(f"{path}: the plan can't be written: {error.strerror}") from None


def _absolute(images: str) -> str:
    return images if "**" in images else str(Path(images).absolute())


def _read(path: Path) -> tuple[Request, dict[str, Any]]:
    from openstack_image_manager.cli.run import Request
    from openstack_image_manager.errors import Error
    from openstack_image_manager.model import Policy

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise Error(f"{path}: a plan file of another release; make it anew with `plan --out`")
        request = content["request"]
        policy = Policy(**request.pop("policy"))
        return Request(policy=policy, **request), content["plan"]
    except OSError as error:
        raise Error(f"{path}: the plan can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError):
        raise Error(f"{path}: is no plan file; make one with `plan --out`") from None


def _same(approved: dict[str, Any], plan: Plan) -> None:
    """Refuse when what there is to do now is not what was approved, naming the images."""
    from openstack_image_manager.errors import Error
    from openstack_image_manager.plan import change_data

    before = {json.dumps(change, sort_keys=True): change["image"] for change in approved["changes"]}
    now = {}
    for change in plan.changes:
        data = json.loads(json.dumps(change_data(change)))
        now[json.dumps(data, sort_keys=True)] = data["image"]
    other = sorted({name for key, name in (before | now).items() if (key in before) != (key in now)})
    if other:
        names = ", ".join(other)
        raise Error(
            f"the cloud or the definitions changed since the plan was made: {names}; nothing was done: plan again"
        )
