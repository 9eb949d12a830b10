"""`status`: how the images of the clouds stand: age, due date, drift, verification."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Annotated

import typer

from openstack_image_manager.cli import options as given

FOUND = 3  # exit code


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("status")(status_command)


def status_command(
    cloud: given.Clouds = None,
    all_clouds: given.AllClouds = False,
    images: given.Images = given.IMAGES,
    name_filter: given.Filter = None,
    tag: given.Tag = given.TAG,
    force: given.Force = False,
    latest: given.Latest = False,
    keep: given.Keep = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    outdated: given.OutdatedOption = given.Outdated.HIDE,
    max_age: Annotated[
        int | None,
        typer.Option("--max-age", min=1, metavar="DAYS", help="Builds older than this are overdue in any case."),
    ] = None,
    output: Annotated[given.Form, typer.Option("--output", help="Form of the table.")] = given.Form.TEXT,
    report: given.Reports = None,
    metrics: given.Metrics = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """Show how each version stands in the cloud: age, when a newer build is due, drift, and what was verified.

    Give the options with which the cloud is run, so that what they do is no drift. Exit code 3 when a current build is
    not there, or overdue: replace_frequency (and a tenth) have passed since it was built.

    \b
    Example:
      openstack-image-manager status --cloud openstack --images images/
    """
    from openstack_image_manager.cli.recording import recording
    from openstack_image_manager.cli.request import looking
    from openstack_image_manager.report import console, status
    from openstack_image_manager.report.log import say, set_up
    from openstack_image_manager.runs import report as content
    from openstack_image_manager.runs import run
    from openstack_image_manager.runs.connect import cloud_names
    from openstack_image_manager.runs.request import Request

    set_up(debug, log_format)
    today = datetime.now(UTC).date()
    clouds = cloud_names(cloud, all_clouds)
    policy = looking(tag, force, latest, keep, hidden_visibility, use_os_hidden, outdated)
    requests = [Request(each, images, name_filter, policy) for each in clouds]
    out = console.console()
    with recording("status", report, metrics) as record, run.planned_clouds(requests) as found:
        record.about(found, applies=False)
        record.max_age = max_age
        rows = {
            each.glance.cloud: status.rows(each.plan, each.definitions, each.images, today, max_age)
            for each in found.ready
        }
        failed = {name: str(error) for name, error in found.failed.items()}
        findings = {each.glance.cloud: each.plan.findings for each in found.ready}
        record.content = content.of_status(rows, failed, findings)
        if output == given.Form.JSON:
            typer.echo(json.dumps(content.status_data(rows, failed, findings), indent=2))
        else:
            for each in found.ready:
                if found.several:
                    console.heading(f"Cloud {each.glance.cloud}", out)
                console.table(status.table(rows[each.glance.cloud]), out)
                console.findings(each.plan.findings, out)
            if found.several:
                run.show_comparison(found)
            for error in found.failed.values():
                say("error", str(error))
        wrong = any(row.overdue or row.lacks for its in rows.values() for row in its)
        raise typer.Exit(1 if found.has_errors else FOUND if wrong else 0)
