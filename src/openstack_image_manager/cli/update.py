"""`update` writes the newest builds of upstreams into the definitions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import completion, options
from openstack_image_manager.cli.groups import with_groups

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openstack_image_manager.upstreams.edits import UpdateResult


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("update")(with_groups(update_command))


def update_command(
    *,
    definitions: options.Definitions,
    name: Annotated[
        str | None,
        typer.Option("--name", metavar="NAME", help="Only this definition.", autocompletion=completion.definitions),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show new builds without changing any file.")] = False,
    keep_versions: Annotated[
        int | None,
        typer.Option(
            "--keep-versions", min=1, metavar="N", help="Versions to keep. Default: those that retention needs."
        ),
    ] = None,
    keys: Annotated[
        Path | None, typer.Option("--keys", metavar="DIR", help="Search DIR for keys first; see `keys`.")
    ] = None,
    cache: Annotated[
        bool, typer.Option("--cache/--no-cache", help="Download only documents that have changed.")
    ] = True,
    mirror: Annotated[
        list[str] | None,
        typer.Option("--mirror", metavar="URL=URL", help="Use the second URL instead of the first, and below it."),
    ] = None,
    local_files: Annotated[
        bool,
        typer.Option(
            "--allow-local-files",
            envvar="OPENSTACK_IMAGE_MANAGER_ALLOW_LOCAL_FILES",
            help="Let definitions read local files (file:).",
        ),
    ] = False,
    output: options.NoteFormat = "text",
    reporting: options.Reporting,
) -> None:
    """Write the newest builds of upstreams into the definitions.

    All sites are asked in parallel. Digests and signatures are verified before a file changes, and only the lines of
    versions change. Exit code 1 if a site or a file fails; other definitions are still updated. After Ctrl-C, all
    answers so far are written (exit code 130).

    \b
    Example:
      openstack-image-manager update --images images/ --output markdown
    """
    from datetime import UTC, datetime

    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.definitions.resolvers.shipped import not_followed
    from openstack_image_manager.errors import Interrupted, UsageError
    from openstack_image_manager.report.log import say
    from openstack_image_manager.signatures import keyring as keyrings
    from openstack_image_manager.signatures.evidence import SignatureVerifier
    from openstack_image_manager.transfer.mirrors import parse_mirrors
    from openstack_image_manager.upstreams import sites
    from openstack_image_manager.upstreams.report import of_news
    from openstack_image_manager.upstreams.update import update

    reporting.set_up_log()
    images, name_filter = definitions.images, definitions.name_filter
    if name is not None and name_filter is not None:
        raise UsageError("--name and --filter exclude each other; give one of them")
    with reporting.recording("update", output) as record:
        loaded = load(images, name_filter=name_filter)
        if loaded.follows:
            names = images.partition(":")[2].replace(",", " ") or "debian"
            copy = f"openstack-image-manager catalogue show {names} > images/catalogue.yml"
            raise UsageError(
                f"{images} follows its upstreams and cannot be updated; copy it first: {copy}, then update the copy"
            )
        selected = [each for each in loaded.definitions if (each.enable if name is None else each.name == name)]
        if name is not None and not selected:
            raise UsageError(f"there is no definition '{name}' in {images}")
        mirrors = parse_mirrors(mirror or [], "--mirror")
        upstream_sites = sites.sites_from_environment(mirrors, use_cache=cache, local_files=local_files)
        news = update(
            selected,
            loaded.positions,
            upstream_sites,
            SignatureVerifier(keyrings.keyring(keys), mirrors=upstream_sites.mirrors),
            datetime.now(UTC).date(),
            keep=keep_versions,
            dry_run=dry_run,
        )
        record.content = of_news(news)
        record.failures += [each.error.kind for each in news if each.error and each.state == "failed"]
        # Warnings about single definitions belong to `validate`.
        for warning in (*(each for each in loaded.warnings if each.line is None), *upstream_sites.warnings):
            say("warning", str(warning))
        for each in selected:
            if resolver := not_followed(each):
                where = "its newest version is not from a site of its distribution"
                say(
                    "note", f"{each.name}: not updated: {where}; add resolve: {resolver} to follow it, or resolve: none"
                )
        _show(news, len(selected) - len(news), output, dry_run)
        if any(isinstance(each.error, Interrupted) for each in news):
            done = "all answers so far are written" if any(each.edits for each in news) and not dry_run else ""
            raise Interrupted(f"interrupted; {done or 'nothing was written'}, run again for the rest")
        raise typer.Exit(1 if any(each.error for each in news) else 0)


def _show(news: Sequence[UpdateResult], without_upstream: int, output: str, dry_run: bool) -> None:
    from openstack_image_manager.humanize import count
    from openstack_image_manager.report import console
    from openstack_image_manager.upstreams import edits
    from openstack_image_manager.upstreams.report import news_markdown

    if output == "markdown":
        typer.echo(news_markdown(news), nl=False)
    elif output == "text":
        out = console.console()
        for each in news:
            console.say(out, (edits.line(each), "red" if each.error else "green" if each.edits else ""))
        more = f"; {without_upstream} without an upstream" if without_upstream else ""
        would = "; no file was changed (--dry-run)" if dry_run else ""
        console.say(out, f"{count(len(news), 'definition')} asked: {edits.counts(news)}{more}{would}")
