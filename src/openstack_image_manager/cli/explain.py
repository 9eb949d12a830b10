"""`explain` gives the reasons of the plan for one definition."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from openstack_image_manager.plan.explain import Explanation
    from openstack_image_manager.runs.run import CloudPlan


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("explain")(with_groups(explain_command))


def explain_command(
    *,
    name: options.DefinitionName,
    clouds: options.Clouds,
    images: options.Images = DEFAULT_IMAGES,
    policy: options.ExplainPolicy,
    output: options.TableFormat = "text",
    log: options.Log,
) -> None:
    """Explain what the plan does with one definition.

    Shows which build is current, which builds stay visible, what happens next, and why. Use the options of your runs.

    \b
    Example:
      openstack-image-manager explain "Ubuntu 24.04" --cloud openstack --images images/
    """
    from openstack_image_manager.cli.request import defined, only, requests
    from openstack_image_manager.plan import explain
    from openstack_image_manager.report.log import say
    from openstack_image_manager.report.output import print_json
    from openstack_image_manager.runs import run

    log.set_up_log()
    defined(name, images)
    with run.planned_clouds(requests(clouds, images, only(name), policy.for_plan())) as found:
        told = {each.glance.cloud: _explained(each) for each in found.ready}
        failed = {name: str(error) for name, error in found.failed.items()}
        if output == "json":
            data = {cloud: explain.data(explanation) for cloud, explanation in told.items()}
            print_json({"clouds": data, "failed": failed})
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
