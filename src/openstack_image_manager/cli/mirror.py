"""`mirror`: copies of the images in an object storage of one's own."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options as given

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openstack_image_manager.definitions import Loaded
    from openstack_image_manager.errors import Error
    from openstack_image_manager.mirroring.bucket import Bucket
    from openstack_image_manager.mirroring.report import Outcome
    from openstack_image_manager.mirroring.target import Target
    from openstack_image_manager.mirroring.verdict import Plan
    from openstack_image_manager.progress import Bars, Lines


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("mirror")(mirror_command)


def mirror_command(
    bucket: Annotated[str, typer.Option("--bucket", metavar="s3://NAME/PREFIX", help="Where the copies are.")],
    images: given.Images = given.IMAGES,
    name_filter: given.Filter = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show what is to be done and change nothing.")] = False,
    endpoint: Annotated[
        str | None, typer.Option("--endpoint", metavar="URL", help="The object storage. Default: AWS_ENDPOINT_URL.")
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", metavar="URL", help="Where others find it. Default: ENDPOINT/NAME/PREFIX."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Put mirror_url into the definitions of what is in the bucket.")
    ] = False,
    verify: Annotated[bool, typer.Option("--verify", help="Read all bytes in the bucket again and compare.")] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete objects of ours that no definition needs.")] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="DAYS", help="Days (7 or 7d) that an object is kept in any case.")
    ] = "7d",
    max_deletes: Annotated[
        int, typer.Option("--max-deletes", min=0, metavar="N", help="Refuse to delete more objects than this.")
    ] = 5,
    workers: Annotated[
        int, typer.Option("--workers", min=1, max=64, metavar="N", help="Images copied at the same time.")
    ] = 4,
    output: Annotated[given.Output, typer.Option("--output", help="Form of what is told.")] = given.Output.TEXT,
    debug: given.Debug = False,
) -> None:
    """Copy the images of the definitions into an object storage, verified.

    An object becomes visible after its checksum, format and safety were verified. What is there is not copied again;
    what is wrong is replaced; what others put there is left alone. Credentials come from the environment and the
    configuration that AWS tools use. Exit code 1 when a version failed; the others are copied all the same.

    \b
    Example:
      openstack-image-manager mirror --bucket s3://images/mirror --endpoint https://s3.example.org --write
    """
    import threading

    from openstack_image_manager import progress, render
    from openstack_image_manager.cli.logs import set_up
    from openstack_image_manager.definitions import load
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.mirroring import bucket as door
    from openstack_image_manager.mirroring import mirror, target
    from openstack_image_manager.mirroring.copying import Copier
    from openstack_image_manager.mirroring.verdict import beyond_limit

    set_up(debug)
    days = re.fullmatch(r"(\d{1,4})d?", grace)
    if not days:
        raise UsageError(f"--grace {grace}: give a number of days, like 7 or 7d")
    name, _ = target.split(bucket)
    loaded = load(images, name_filter=name_filter)
    if loaded.follows:
        raise UsageError(f"{images} follows its upstreams and has no versions to mirror; copy it: catalogue show")
    now = datetime.now(UTC)
    out = render.console(stderr=output is not given.Output.TEXT)
    stop = threading.Event()
    with door.Bucket(name, endpoint) as opened:
        where = target.target(bucket, opened.endpoint, public_url)
        made = mirror.look(opened, where, loaded.definitions, loaded.left_out, now, timedelta(days=int(days[1])))
        unread: dict[str, Error] = {}
        if verify:
            with progress.reporter(out) as reporter:
                made, unread = mirror.verify(made, Copier(opened, stop, reporter), workers)
        if output is given.Output.TEXT:
            _show(loaded, made, where, now)
        if prune and not dry_run and (refusal := beyond_limit(made, max_deletes)):
            raise refusal
        outcomes: Sequence[Outcome] = []
        wrong = bool(unread) or any(each.is_hopeless for each in made.judged)
        if not dry_run:
            with progress.reporter(out) as reporter:
                outcomes = mirror.copy(made, Copier(opened, stop, reporter), workers, unread)
                wrong |= _after(loaded, made, outcomes, where, opened, reporter, write=write, prune=prune)
    _tell(made, outcomes, where, output, dry_run)
    skipped = any(each.state == "skipped" for each in outcomes)
    raise typer.Exit(130 if skipped else 1 if wrong or any(each.state == "failed" for each in outcomes) else 0)


def _after(
    loaded: Loaded,
    made: Plan,
    outcomes: Sequence[Outcome],
    where: Target,
    opened: Bucket,
    reporter: Lines | Bars,
    *,
    write: bool,
    prune: bool,
) -> bool:
    """What follows the copies; True if something of it failed."""
    from openstack_image_manager.errors import Error
    from openstack_image_manager.mirroring import mirror

    wrong = False
    good = [each.judged.item for each in outcomes if each.state == "ok"]
    for file, became in mirror.write(good, where, loaded.positions).items() if write else ():
        wrong |= isinstance(became, Error)
        reporter.line(file, str(became) if isinstance(became, Error) else f"mirror_url written: {became}")
    try:
        for each in mirror.sweep(opened, where, mirror.known_keys(made), datetime.now(UTC)):
            reporter.line(each.key, f"aborted an upload that was begun {each.since:%Y-%m-%d %H:%M} and never ended")
    except Error as error:
        wrong = True
        reporter.line("unfinished uploads", str(error))
    if prune and made.unneeded and (made.kept or len(good) < len(outcomes)):
        why = made.kept or "some versions failed"
        reporter.line("prune", f"nothing was deleted: {why}")
    elif prune:
        for key, failure in mirror.prune(made, opened, reporter).items():
            if failure:
                wrong = True
                reporter.line(key, str(failure))
    return wrong


def _show(loaded: Loaded, made: Plan, where: Target, now: datetime) -> None:
    from openstack_image_manager import render
    from openstack_image_manager.mirroring import report, target

    out = render.console()
    for each in made.judged:
        render.say(out, (report.line(each), report.STYLES[each.verdict]))
    for stored in made.unneeded:
        render.say(out, report.unneeded_line(stored, now))
    for definition in loaded.definitions:
        if any(version.version == target.MOVING for version in definition.versions):
            render.say(out, f"note: {definition.name}: its version {target.MOVING} moves, and is not mirrored")
    render.say(out, f"{where}: {report.counts(made)}")


def _tell(made: Plan, outcomes: Sequence[Outcome], where: Target, output: given.Output, dry_run: bool) -> None:
    from openstack_image_manager import render
    from openstack_image_manager.mirroring import report

    if output is given.Output.JSON:
        typer.echo(json.dumps(report.data(made, where, outcomes), indent=2))
    elif output is given.Output.MARKDOWN:
        summary = f"{where}: {report.counts(made)}"
        typer.echo(render.table_markdown("Image mirror", summary, report.rows(made, outcomes)), nl=False)
    elif dry_run:
        typer.echo("Nothing was changed (--dry-run).")
    else:
        out = render.console()
        for each in outcomes:
            if each.state != "ok":
                render.say(out, (f"{each.state}: {each.judged.item.subject}: {each.message}", "red"))
        render.say(out, report.result_counts(outcomes))
