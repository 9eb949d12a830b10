"""`scs` checks definitions and clouds against standards of the Sovereign Cloud Stack."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_IMAGES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openstack_image_manager.cli.conformance import CloudReport
    from openstack_image_manager.errors import Error
    from openstack_image_manager.model import Finding
    from openstack_image_manager.report.junit import Case
    from openstack_image_manager.runs.request import Request

FOUND = 3  # exit code

scs_app = typer.Typer(
    help="Check images against standards of the Sovereign Cloud Stack."
    "\n\n\b\nExample:\n  openstack-image-manager scs check --cloud openstack",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(scs_app, name="scs")


@scs_app.callback()
def scs() -> None:
    """Check images against standards of the Sovereign Cloud Stack."""


class Standard(StrEnum):
    """Standards to check against."""

    METADATA_1 = "0102-v1.1"
    METADATA_2 = "0102-v2"
    IMAGES = "0104"


Format = Literal["text", "json", "junit"]


@scs_app.command("check")
@with_groups
def check_command(
    *,
    images: Annotated[
        str | None,
        typer.Option(
            "--images", metavar="PATH", help=f"Definitions, as for plan. Default without --cloud: {DEFAULT_IMAGES}."
        ),
    ] = None,
    cloud: Annotated[
        list[str] | None,
        typer.Option("--cloud", metavar="NAME", help="Check images of this cloud instead. Can be repeated."),
    ] = None,
    all_clouds: options.AllClouds = False,
    name_filter: options.Filter = None,
    policy: options.StatusPolicy,
    standard: Annotated[
        list[Standard] | None,
        typer.Option(
            "--standard",
            metavar="<0102-v1.1|0102-v2|0104>",
            help="Check against this standard. Can be repeated. Default: all.",
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="Treat warnings as findings.")] = False,
    output: Annotated[Format, typer.Option("--output", help="Output format.")] = "text",
    log: options.Debug,
) -> None:
    """Check definitions or images of a cloud as the conformance tests of SCS do.

    Without --cloud, check the images that the definitions would create; findings have file, line and column. With
    --cloud, check its public and community images; with --images also show what the definitions would fix. Exit code 3
    if there are errors; 1 if a cloud cannot be read.

    \b
    Examples:
      openstack-image-manager scs check --images images/
      openstack-image-manager scs check --cloud openstack --images images/
    """
    from openstack_image_manager.cli import conformance
    from openstack_image_manager.cli.request import requests
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs.request import Request

    log.set_up_log()
    if name_filter is not None and images is None and (cloud or all_clouds):
        raise UsageError("--filter selects definitions; add --images")
    standards = list(standard or Standard)
    now = datetime.now(UTC)
    if not cloud and not all_clouds:
        code = _definitions(
            Request(None, images or DEFAULT_IMAGES, name_filter, policy.for_plan()), standards, now, strict, output
        )
    else:
        requested = requests(options.Clouds(cloud, all_clouds), images or "", name_filter, policy.for_plan())
        reports, failed = conformance.clouds(requested, standards, now)
        code = _clouds(reports, failed, standards, strict, output)
    raise typer.Exit(code)


def _definitions(request: Request, standards: Sequence[str], now: datetime, strict: bool, output: Format) -> int:
    from openstack_image_manager.cli import conformance
    from openstack_image_manager.report import console
    from openstack_image_manager.report.output import print_json
    from openstack_image_manager.scs import report

    definitions_report, remarks, errors = conformance.definitions(request, standards, now)
    verdicts = [remark.verdict for remark in remarks]
    if output == "json":
        failed = {error.subject: error.message for error in errors}
        data = {"standards": standards, "definitions": report.lint_data(definitions_report, remarks), "failed": failed}
        print_json(data)
    elif output == "junit":
        lines = [(remark.verdict, console.clean(report.remark_line(remark))) for remark in remarks]
        cases = report.cases("definitions", lines, standards, strict)
        _junit([*cases, *(_failed("definitions", error.subject, error.message) for error in errors)])
    else:
        out = console.console()
        for remark in remarks:
            console.say(out, (report.remark_line(remark), report.STYLES[remark.verdict.level]))
        for expected in definitions_report.forecast:
            console.say(out, report.forecast_line(expected))
        console.findings(errors, out)
        console.say(out, report.summary(request.images, definitions_report, verdicts, standards))
    if errors:
        return 1
    return FOUND if any(report.is_finding(verdict, strict) for verdict in verdicts) else 0


def _clouds(
    reports: Sequence[CloudReport],
    failed: dict[str, Error],
    standards: Sequence[str],
    strict: bool,
    output: Format,
) -> int:
    from openstack_image_manager.report import console, plans
    from openstack_image_manager.report.output import print_json
    from openstack_image_manager.scs import report

    if output == "json":
        data = {
            cloud.cloud: {
                **report.data(cloud.report, cloud.fixed),
                "plan": cloud.plan and plans.plan_data(cloud.plan, cloud.cloud),
            }
            for cloud in reports
        }
        print_json(
            {"standards": standards, "clouds": data, "failed": {name: str(error) for name, error in failed.items()}}
        )
    elif output == "junit":
        cases: list[Case] = []
        for cloud in reports:
            lines = [(v, console.clean(report.line(v, v in cloud.fixed))) for v in cloud.report.verdicts]
            cases += report.cases(cloud.cloud, lines, standards, strict)
            cases += [_failed(cloud.cloud, error.subject, error.message) for error in _errors(cloud)]
        _junit([*cases, *(_failed(name, "the cloud", str(error)) for name, error in failed.items())])
    else:
        from openstack_image_manager.report.log import say

        for cloud in reports:
            _cloud_text(cloud, standards, several=len(reports) + len(failed) > 1)
        for error in failed.values():
            say("error", str(error))
    if failed or any(map(_errors, reports)):
        # With several clouds, an unknown cloud is a failed cloud, as in a run.
        return 1 if reports or len(failed) > 1 else next(iter(failed.values())).exit_code
    return FOUND if any(report.is_finding(v, strict) for cloud in reports for v in cloud.report.verdicts) else 0


def _errors(cloud: CloudReport) -> list[Finding]:
    """Return the errors of the plan."""
    return [finding for finding in cloud.plan.findings if finding.level == "error"] if cloud.plan else []


def _cloud_text(cloud: CloudReport, standards: Sequence[str], several: bool) -> None:
    from openstack_image_manager.humanize import count
    from openstack_image_manager.report import console, plans
    from openstack_image_manager.scs import report

    out = console.console()
    if several:
        console.heading(f"Cloud {cloud.cloud}", out)
    for verdict in cloud.report.verdicts:
        console.say(out, (report.line(verdict, verdict in cloud.fixed), report.STYLES[verdict.level]))
    for expected in cloud.report.forecast:
        console.say(out, report.forecast_line(expected))
    if cloud.plan is not None and cloud.fixed:
        console.heading(f"The plan, which fixes {count(len(cloud.fixed), 'finding')}:", out)
        plans.plan_text(cloud.plan, cloud.cloud, out)
    elif cloud.plan is not None:
        console.findings(cloud.plan.findings, out)
    console.say(out, report.summary(cloud.cloud, cloud.report, cloud.report.verdicts, standards))


def _failed(where: str, what: str, message: str) -> Case:
    from openstack_image_manager.report.junit import Case

    return Case(what, where, message)


def _junit(cases: Sequence[Case]) -> None:
    from openstack_image_manager.report.junit import suite

    typer.echo(suite("scs check", cases), nl=False)
