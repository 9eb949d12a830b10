"""`mirror` keeps verified copies of images in an object storage."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from contextlib import ExitStack
    from threading import Event

    from openstack_image_manager.errors import Error
    from openstack_image_manager.mirror.copier import Copier
    from openstack_image_manager.mirror.dask import Cluster
    from openstack_image_manager.mirror.finish import Completion
    from openstack_image_manager.mirror.index_writer import Publisher
    from openstack_image_manager.mirror.location import Target
    from openstack_image_manager.mirror.plan import Comparison, Contents, Plan
    from openstack_image_manager.mirror.record import Record
    from openstack_image_manager.mirror.report import Outcome
    from openstack_image_manager.mirror.store import Store
    from openstack_image_manager.report.content import Content
    from openstack_image_manager.signatures.signer import Signer


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("mirror")(with_groups(mirror_command))


def mirror_command(
    *,
    bucket: Annotated[
        str,
        typer.Option(
            "--bucket", metavar="s3://NAME/PREFIX", help="Bucket or directory (file:///DIRECTORY) of the copies."
        ),
    ],
    definitions: options.Definitions,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show changes without making them.")] = False,
    endpoint: Annotated[
        str | None,
        typer.Option("--endpoint", metavar="URL", help="URL of the object storage. Default: AWS_ENDPOINT_URL."),
    ] = None,
    public_url: Annotated[
        str | None,
        typer.Option("--public-url", metavar="URL", help="Public URL of the bucket. Default: ENDPOINT/NAME/PREFIX."),
    ] = None,
    write: Annotated[
        bool, typer.Option("--write", help="Write mirror_url into the definitions of copied images.")
    ] = False,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read all objects again and compare their checksums.")
    ] = False,
    prune: Annotated[bool, typer.Option("--prune", help="Delete our objects that no definition needs.")] = False,
    grace: Annotated[
        str, typer.Option("--grace", metavar="DAYS", help="Days (7 or 7d) to keep unneeded objects.")
    ] = "7d",
    max_deletes: Annotated[
        int, typer.Option("--max-deletes", min=0, metavar="N", help="Refuse to delete more objects.")
    ] = 5,
    index: Annotated[
        bool, typer.Option("--index/--no-index", help="Publish an index: simplestreams and SHA256SUMS.")
    ] = True,
    sign_key: Annotated[
        str | None,
        typer.Option(
            "--sign-key",
            metavar="KEY",
            envvar="OPENSTACK_IMAGE_MANAGER_SIGN_KEY",
            help="Sign the index with this key of gpg.",
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="Search DIR for keys of upstreams first.")
    ] = None,
    workers: Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="Copies in parallel.")] = 4,
    executor: Annotated[
        str | None,
        typer.Option("--executor", metavar="dask://HOST:PORT", help="Copy with the workers of a Dask cluster."),
    ] = None,
    output: options.NoteFormat = "text",
    reporting: options.Reporting,
) -> None:
    """Copy the images of the definitions into an object storage, verified.

    An object appears after its checksum, format and safety are verified. Existing copies stay, wrong ones are
    replaced, and objects of others are never touched. Credentials come from the environment and from the
    configuration of AWS tools. Exit code 1 if a version fails; other versions are still copied.

    \b
    Examples:
      openstack-image-manager mirror --bucket s3://images/mirror --endpoint https://s3.example.org --write
      openstack-image-manager mirror --bucket file:///srv/mirror --public-url file:///mnt/mirror --write
    """
    import threading
    from contextlib import ExitStack

    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.mirror import location, mirror
    from openstack_image_manager.mirror.copier import Copier
    from openstack_image_manager.mirror.finish import Completion, withdraw
    from openstack_image_manager.mirror.index_writer import Publisher
    from openstack_image_manager.mirror.plan import beyond_limit
    from openstack_image_manager.mirror.provenance import create_prover
    from openstack_image_manager.mirror.report import of_mirror, read_line
    from openstack_image_manager.report import console, progress

    reporting.set_up_log()
    period = timedelta(days=options.days("--grace", grace, 7))
    location.split_bucket(bucket)
    if executor and location.is_directory(bucket):
        raise UsageError("--executor needs a bucket, not a directory")
    with reporting.recording("mirror", output) as record, ExitStack() as stack:
        loaded = load(definitions.images, name_filter=definitions.name_filter)
        if loaded.follows:
            raise UsageError(
                f"{definitions.images} follows its upstreams and has no versions to mirror; copy it: catalogue show"
            )
        now, stop = datetime.now(UTC), threading.Event()
        signer = _signer(sign_key) if index and not dry_run else None
        store, url = _open(stack, bucket, endpoint, writes=not dry_run)
        target = location.parse_target(bucket, url, public_url)
        cluster = _cluster(stack, executor, target, url, keys, stop) if executor and not dry_run else None
        plan, contents, notes = mirror.plan_mirror(store, target, loaded.definitions, loaded.left_out, now, period)
        plan = mirror.with_deletion_guard(plan, contents, target, bucket.endswith("/"), loaded, notes)
        out = console.console(stderr=output != "text")
        prover = create_prover(keys, stop)
        unread: dict[str, Error] = {}
        if verify:
            with progress.reporter(out) as reporter:
                plan, unread = mirror.verify(plan, Copier(store, stop, reporter, prover, dry_run), workers)
        # Objects that cannot be verified fail in a dry run too.
        outcomes: Sequence[Outcome] = mirror.verification_failures(plan, unread)
        record.content = of_mirror(plan, target, outcomes, dry_run)
        if output == "text":
            _show(plan, target, now)
            if verify:
                console.say(out, read_line(plan))
        if prune and not dry_run and (refusal := beyond_limit(plan, max_deletes)):
            raise refusal
        failed: dict[str, Error] = {}
        if not dry_run:
            with progress.reporter(out) as reporter:
                copier = Copier(store, stop, reporter, prover)
                items = (
                    *(comparison.item for comparison in plan.comparisons),
                    *location.items(loaded.left_out, target),
                )
                publisher = Publisher(store, target, signer, items)
                unread |= withdraw(plan, contents, publisher) if index else {}
                outcomes = mirror.copy(plan, copier, workers, unread, _shared(cluster, copier))
                record.content = of_mirror(plan, target, outcomes, dry_run, failed)
                completion = Completion(loaded, plan, notes, outcomes, target, store, reporter)
                if not stop.is_set():  # do not wait for a storage that hangs
                    _follow(completion, contents, publisher, failed, write=write, prune=prune, index=index)
        record.failures += ["storage" for outcome in outcomes if outcome.state == "failed"]
        record.failures += [error.kind for error in failed.values()]
        _print_results(record.content, outcomes, output, dry_run)
        has_errors = bool(failed) or any(comparison.is_hopeless for comparison in plan.comparisons)
        raise typer.Exit(_code(outcomes, has_errors))


def _follow(
    completion: Completion,
    contents: Contents,
    publisher: Publisher,
    failed: dict[str, Error],
    *,
    write: bool,
    prune: bool,
    index: bool,
) -> None:
    """Write, prune and publish after the copies, and note failures."""
    failed |= completion.finish(contents, write=write)
    deletions = completion.deletable_plan(prune)
    failed |= completion.publish(contents, publisher, deletions) if index else {}
    failed |= completion.prune(deletions, failed)
    if index and deletions.unneeded and "index" not in failed:  # the index of another run may name deleted objects
        failed |= completion.publish(contents, publisher, deletions)


def _code(outcomes: Sequence[Outcome], has_errors: bool) -> int:
    """Return the exit code. `wrong`: something other than a copy failed."""
    states = {outcome.state for outcome in outcomes}
    return 130 if "skipped" in states else 1 if has_errors or "failed" in states else 0


def _open(stack: ExitStack, bucket: str, endpoint: str | None, *, writes: bool) -> tuple[Store, str]:
    """Open the bucket or directory, and return it with its URL."""
    from openstack_image_manager.mirror import location

    name, _ = location.split_bucket(bucket)
    if location.is_directory(bucket):
        from openstack_image_manager.mirror.directory import Directory

        directory_store = stack.enter_context(Directory(name, writes))
        return directory_store, directory_store.address
    from openstack_image_manager.mirror.s3 import Bucket

    store = stack.enter_context(Bucket(name, endpoint))
    return store, store.endpoint


def _signer(key: str | None) -> Signer | None:
    from openstack_image_manager.signatures.signer import Signer

    return Signer(key) if key else None


def _cluster(stack: ExitStack, executor: str, target: Target, endpoint: str, keys: Path | None, stop: Event) -> Cluster:
    from openstack_image_manager.mirror.dask import Cluster

    directory = str(keys.absolute()) if keys else None
    return stack.enter_context(Cluster(executor, target, endpoint, directory, stop))


def _shared(cluster: Cluster | None, copier: Copier) -> Callable[[Comparison], tuple[str, Record]]:
    """Copy in the cluster. Versions with passwords in their URLs stay on this machine."""
    from openstack_image_manager.mirror.job import can_be_sent

    return lambda comparison: (cluster if cluster and can_be_sent(comparison) else copier).copy_version(comparison)


def _show(plan: Plan, target: Target, now: datetime) -> None:
    from openstack_image_manager.mirror import report
    from openstack_image_manager.report import console

    out = console.console()
    for comparison in plan.comparisons:
        console.say(out, (report.line(comparison), report.STYLES[comparison.verdict]))
    for stored in plan.unneeded:
        console.say(out, report.unneeded_line(stored, plan.since.get(stored.key, now), now))
    console.say(out, f"{target}: {report.counts(plan)}")


def _print_results(content: Content, outcomes: Sequence[Outcome], output: str, dry_run: bool) -> None:
    from openstack_image_manager.mirror import report
    from openstack_image_manager.report import console

    if output == "markdown":
        typer.echo(content.markdown(), nl=False)
    elif output == "text":
        out = console.console()
        for outcome in outcomes:
            if outcome.state != "ok":
                console.say(out, (f"{outcome.state}: {outcome.comparison.item.subject}: {outcome.message}", "red"))
        console.say(out, "Nothing was changed (--dry-run)." if dry_run else report.result_counts(outcomes))
