"""`check-updates` finds missing releases, definitions at their end of life, and old signatures."""

from __future__ import annotations

from datetime import UTC, datetime

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import EOL_URL

FOUND = 3  # exit code


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("check-updates")(with_groups(check_updates))


def check_updates(
    *,
    definitions: options.Definitions,
    eol_data: options.EolData = None,
    eol_url: options.EolUrl = EOL_URL,
    output: options.NoteFormat = "text",
) -> None:
    """Report missing releases, definitions at their end of life, and the age of signatures.

    Needs no cloud. Exit code 3 if a supported release is missing or a definition is past its end of life; 1 if data of
    a distribution is not available. An end of life within 90 days is a note.

    \b
    Example:
      openstack-image-manager check-updates --images images/
    """
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.definitions.model import public_url
    from openstack_image_manager.endoflife import check
    from openstack_image_manager.endoflife import data as eoldata
    from openstack_image_manager.report import console
    from openstack_image_manager.report.output import print_json
    from openstack_image_manager.upstreams import signature_ages

    source = eoldata.from_url(eol_url) if eol_data is None else eoldata.from_files(eol_data)
    today = datetime.now(UTC).date()
    loaded = load(definitions.images)
    selected = load(definitions.images, name_filter=definitions.name_filter) if definitions.name_filter else loaded
    catalogue = eoldata.catalogue()
    products = check.products_of(catalogue, selected.definitions)
    releases, failed = eoldata.load(products, source)
    checks = check.check(catalogue, selected.definitions, loaded.definitions, releases, today)
    signatures = signature_ages.signatures(selected.definitions, today)
    findings = [*check.findings(checks), *signature_ages.findings(signatures)]
    errors = {name: str(error) for name, error in failed.items()}
    summary = check.summary(checks, products, len(errors))
    if output == "json":
        data = {"date": today.isoformat(), "checks": check.data(checks), "failed": errors}
        print_json({**data, "signatures": signature_ages.data(signatures)})
    elif output == "markdown":
        findings += check.findings([], errors)
        typer.echo(console.findings_markdown("Releases", summary, findings), nl=False)
    else:
        out = console.console()
        console.findings(findings, out)
        console.say(out, summary)
    console.findings(check.findings([], errors), console.console(stderr=True))
    if errors and len(errors) == len(products) and eol_data is None:
        note = f"the data comes from {public_url(eol_url)}; --eol-url names a mirror, --eol-data a file or directory"
        typer.echo(f"note: {note}", err=True)
    for warning in selected.warnings:
        typer.echo(f"warning: {warning}", err=True)
    raise typer.Exit(1 if errors else FOUND if any(result.is_finding for result in checks) else 0)
