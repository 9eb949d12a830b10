"""`explain`: why the plan says what it says of one image."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options as given

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openstack_image_manager.plan.explain import Explanation
    from openstack_image_manager.runs.run import CloudPlan


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("explain")(explain_command)


def explain_command(
    context: typer.Context,
    name: given.Definition,
    cloud: given.Clouds = None,
    all_clouds: given.AllClouds = False,
    images: given.Images = given.IMAGES,
    tag: given.Tag = given.TAG,
    latest: given.Latest = False,
    keep: given.Keep = False,
    force: given.Force = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    outdated: given.OutdatedOption = given.Outdated.HIDE,
    grace: given.Grace = "0",
    unknown_usage: given.UnknownUsageOption = given.UnknownUsage.KEEP,
    output: Annotated[given.Form, typer.Option("--output", help="Form of what is told.")] = given.Form.TEXT,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """Explain what the plan does with one image: which build is current and why, what stays in sight, and what is next.

    Give the options with which you run the plan. Changes nothing.

    \b
    Example:
      openstack-image-manager explain "Ubuntu 24.04" --cloud openstack --images images/
    """
    from openstack_image_manager.cli.request import defined, only
    from openstack_image_manager.cli.request import requests as asked
    from openstack_image_manager.plan import explain
    from openstack_image_manager.report.log import say, set_up
    from openstack_image_manager.runs import run

    set_up(debug, log_format)
    defined(name, images)
    settled = {"orphans": given.Orphans.KEEP, "max_deletes": 0, "same_ids": False}
    requests = asked({**context.params, **settled, "name_filter": only(name)})
    with run.planned_clouds(requests) as found:
        told = {each.glance.cloud: _explained(each) for each in found.ready}
        failed = {name: str(error) for name, error in found.failed.items()}
        if output == given.Form.JSON:
            clouds = {where: explain.data(explanation) for where, explanation in told.items()}
            typer.echo(json.dumps({"clouds": clouds, "failed": failed}, indent=2))
        else:
            for each in found.ready:
                _show(told[each.glance.cloud], each.glance.cloud, each.plan.projects)
            for error in failed.values():
                say("error", error)
        code = 1 if found.has_errors else 0
    raise typer.Exit(code)


def _explained(each: CloudPlan) -> Explanation:
    from openstack_image_manager.cloud import usage
    from openstack_image_manager.plan.explain import explain
    from openstack_image_manager.plan.matching import identify
    from openstack_image_manager.plan.retention import Usage

    (definition,) = each.definitions
    policy, day = each.request.policy, date.fromisoformat(each.day)
    uses: Usage = lambda _: 0  # noqa: E731  a default until somebody is asked
    if policy.outdated in ("deactivate", "delete"):
        its = [image.id for image in each.images if identify(image, {definition.name: definition})]
        uses, _ = usage.count_usage(each.glance, its)
    return explain(definition, each.plan, each.images, policy, day, uses)


def _show(explanation: Explanation, cloud: str, names: Mapping[str, str]) -> None:
    from openstack_image_manager.report import console, plans

    out = console.console()
    console.heading(f"{explanation.definition} in cloud {cloud}", out)
    console.pairs(explanation.said, out)
    for build in explanation.builds:
        known = f" ({build.id})" if build.id else ""
        console.say(out, "")
        console.heading(f"{build.version}  {build.name}{known}", out)
        console.pairs([*build.said, *([] if build.changes else [("plan", "nothing to do")])], out)
        for change in build.changes:
            plans.change(change, out, names)
