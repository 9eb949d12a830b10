"""`status` shows age, due date, drift and verification of images."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups

FOUND = 3  # exit code


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("status")(with_groups(status_command))


def status_command(
    *,
    clouds: options.Clouds,
    definitions: options.Definitions,
    policy: options.StatusPolicy,
    max_age: Annotated[
        int | None,
        typer.Option("--max-age", min=1, metavar="DAYS", help="Treat older builds as overdue."),
    ] = None,
    output: options.TableFormat = "text",
    reporting: options.Reporting,
) -> None:
    """Show the age, due date, drift and verification of each image.

    Use the options of your runs, so that their effects are not drift. Exit code 3 if a current build is missing or
    overdue: replace_frequency and a tenth have passed since it was built.

    \b
    Example:
      openstack-image-manager status --cloud openstack --images images/
    """
    from openstack_image_manager.cli.request import requests
    from openstack_image_manager.report.log import say
    from openstack_image_manager.runs.planned import planned_clouds

    reporting.set_up_log()
    now = datetime.now(UTC)
    requested = requests(clouds, definitions.images, definitions.name_filter, policy.for_plan())
    with reporting.recording("status", output) as record, planned_clouds(requested) as planned:
        from openstack_image_manager.plan import expiry
        from openstack_image_manager.report import console, status
        from openstack_image_manager.runs import report as content
        from openstack_image_manager.runs import run

        out = console.console()
        record.about(planned, applies=False)
        record.max_age = max_age
        rows = {
            cloud.glance.cloud: status.rows(cloud.plan, cloud.definitions, cloud.images, now, max_age)
            for cloud in planned.ready
        }
        failed = {name: str(error) for name, error in planned.failed.items()}
        findings = {
            cloud.glance.cloud: (*cloud.plan.findings, *expiry.ending(cloud.definitions, now.date()))
            for cloud in planned.ready
        }
        record.content = content.of_status(rows, failed, findings)
        if output == "text":
            for cloud in planned.ready:
                if planned.several:
                    console.heading(f"Cloud {cloud.glance.cloud}", out)
                console.table(status.table(rows[cloud.glance.cloud]), out)
                console.findings(findings[cloud.glance.cloud], out)
            if planned.several:
                run.show_comparison(planned)
            for error in planned.failed.values():
                say("error", str(error))
        has_findings = any(row.overdue or row.lacks for cloud_rows in rows.values() for row in cloud_rows)
        raise typer.Exit(1 if planned.has_errors else FOUND if has_findings else 0)
