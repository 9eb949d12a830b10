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
    from openstack_image_manager.cli.request import exact_filter, find_definition, requests
    from openstack_image_manager.plan import explain
    from openstack_image_manager.report.log import say
    from openstack_image_manager.report.output import print_json
    from openstack_image_manager.runs.planned import planned_clouds

    log.set_up_log()
    find_definition(name, images)
    with planned_clouds(requests(clouds, images, exact_filter(name), policy.for_plan())) as planned:
        explanations = {cloud.glance.cloud: _explained(cloud) for cloud in planned.ready}
        failed = {name: str(error) for name, error in planned.failed.items()}
        if output == "json":
            data = {cloud: explain.data(explanation) for cloud, explanation in explanations.items()}
            print_json({"clouds": data, "failed": failed})
        else:
            for cloud in planned.ready:
                _show(explanations[cloud.glance.cloud], cloud.glance.cloud, cloud.plan.projects)
            for error in failed.values():
                say("error", error)
        code = 1 if planned.has_errors else 0
    raise typer.Exit(code)


def _explained(planned: CloudPlan) -> Explanation:
    from openstack_image_manager.cloud import usage
    from openstack_image_manager.plan.explain import explain
    from openstack_image_manager.plan.matching import identify
    from openstack_image_manager.plan.retention import Usage

    (definition,) = planned.definitions
    policy, day = planned.request.policy, date.fromisoformat(planned.day)
    usage_of: Usage = lambda _: 0  # noqa: E731  the default without deletions
    if policy.outdated in ("deactivate", "delete"):
        ids = [image.id for image in planned.images if identify(image, {definition.name: definition})]
        usage_of, _ = usage.count_usage(planned.glance, ids)
    return explain(definition, planned.plan, planned.images, policy, day, usage_of)


def _show(explanation: Explanation, cloud: str, names: Mapping[str, str]) -> None:
    from openstack_image_manager.report import console, plans

    out = console.console()
    console.heading(f"{explanation.definition} in cloud {cloud}", out)
    console.pairs(explanation.said, out)
    for build in explanation.builds:
        suffix = f" ({build.id})" if build.id else ""
        console.say(out, "")
        console.heading(f"{build.version}  {build.name}{suffix}", out)
        console.pairs([*build.said, *([] if build.changes else [("plan", "nothing to do")])], out)
        for change in build.changes:
            plans.change(change, out, names)
