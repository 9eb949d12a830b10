"""`doctor` checks that clouds and this machine are ready for the definitions."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_IMAGES, DEFAULT_TAG

if TYPE_CHECKING:
    from openstack_image_manager.definitions.model import Definition, Version
    from openstack_image_manager.doctor.report import Check

PROBLEM = 3  # exit code
HERE = "from this machine"  # not a name of a cloud


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("doctor")(with_groups(doctor_command))


def doctor_command(
    *,
    clouds: options.Clouds,
    images: Annotated[
        str | None,
        typer.Option(
            "--images", metavar="PATH", help=f"Definitions, as for plan. Default: {DEFAULT_IMAGES} if it exists."
        ),
    ] = None,
    name_filter: options.Filter = None,
    tag: options.Tag = DEFAULT_TAG,
    force: options.Force = False,
    workers: options.Workers = 4,
    bucket: Annotated[
        str | None, typer.Option("--bucket", metavar="s3://NAME", help="Also check this bucket of `mirror`.")
    ] = None,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="URL of the object storage. Default: AWS_ENDPOINT_URL."),
    ] = None,
    ask_glance: Annotated[
        bool,
        typer.Option(
            "--ask-glance",
            help="Let Glance request a missing file of each site, to test its access. Glance keeps these tasks for two "
            "days.",
        ),
    ] = False,
    output: options.TableFormat = "text",
    reporting: options.ReportAndDebug,
) -> None:
    """Check clouds before the first import: problems, why they matter, and how to fix them.

    Permissions are tested with a private image record without data, which is deleted at once. Exit code 3 if there is a
    problem.

    \b
    Example:
      openstack-image-manager doctor --cloud openstack --images images/
    """
    from openstack_image_manager.cloud.session import ENVIRONMENT
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.doctor import advice, sites
    from openstack_image_manager.doctor.examine import Doctor
    from openstack_image_manager.doctor.report import has_problem, of_checks
    from openstack_image_manager.doctor.url_answers import UrlAnswers
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.mirror import location
    from openstack_image_manager.plan.model import Policy
    from openstack_image_manager.runs import run
    from openstack_image_manager.signatures.programs import missing_program

    reporting.set_up_log()
    name = location.split_bucket(bucket)[0] if bucket is not None else None
    if bucket is not None and location.is_directory(bucket):
        raise UsageError(f"--bucket {bucket}: only buckets can be checked; for a directory use `mirror --dry-run`")
    with reporting.recording("doctor", output) as record:
        checks: dict[str, Sequence[Check]] = {}
        here: list[Check] = []
        record.content = of_checks(checks, here, HERE)
        path = images or (DEFAULT_IMAGES if os.path.exists(DEFAULT_IMAGES) else None)
        loaded = load(path, name_filter=name_filter) if path else None
        follower = run.follower() if loaded and loaded.follows else None
        policy = Policy(tag=tag, force=force)
        doctor = Doctor(policy, datetime.now(UTC).date(), workers, ask_glance, loaded, follower)
        urls = UrlAnswers()
        imports: list[tuple[Definition, Version]] = []
        # One cloud at a time, in this thread: an interrupt must find the record that must be deleted.
        for cloud in clouds.names():
            examined = doctor.examine(cloud, urls)
            checks[cloud or ENVIRONMENT] = examined.checks
            imports += examined.imports
        if loaded:
            unasked = [known for known in doctor.enabled(loaded.definitions) if known.name not in urls.definitions]
            answers = urls.ask(unasked)
            here += sites.reachability(list(urls.definitions.values()), answers, imports)
        here.append(advice.signatures(missing_program()))
        if name is not None:
            here.append(_storage(name, endpoint))
        if output == "text":
            _show({**checks, **({HERE: here} if here else {})})
        raise typer.Exit(PROBLEM if any(map(has_problem, (*checks.values(), here))) else 0)


def _storage(name: str, endpoint: str | None) -> Check:
    """Check the bucket of the mirror with one HEAD request."""
    from openstack_image_manager.doctor.report import Check
    from openstack_image_manager.errors import StorageError
    from openstack_image_manager.mirror import s3

    why = "`mirror` keeps its copies there; write access is not checked"
    try:
        with s3.Bucket(name, endpoint) as storage:
            storage.check()
            what = f"s3://{name} at {storage.endpoint} can be read"
    except StorageError as error:
        return Check("object storage", "problem", str(error), why, "--bucket, --endpoint or the AWS_* variables")
    return Check("object storage", "ok", what, why)


def _show(groups: Mapping[str, Sequence[Check]]) -> None:
    from openstack_image_manager.doctor import report
    from openstack_image_manager.report import console

    out = console.console()
    for name, checks in groups.items():
        console.heading("From this machine" if name == HERE else f"Cloud {name}", out)
        for check in checks:
            for line in report.lines(check):
                console.say(out, line)
    console.say(out, report.summary([check for checks in groups.values() for check in checks]))
