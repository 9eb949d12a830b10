"""`validate` checks definitions, `schema` prints their JSON Schema."""

from __future__ import annotations

from typing import Annotated

import typer

IMAGES = "etc/images/"


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    app.command()(validate)
    app.command()(schema)


def validate(
    path: Annotated[
        str | None,
        typer.Argument(metavar="PATH", help=f"Directory, file, pattern (**) or catalogue:. Default: {IMAGES}."),
    ] = None,
    images: Annotated[str | None, typer.Option("--images", metavar="PATH", help="Same as PATH.")] = None,
) -> None:
    """Check definitions without a cloud, and report each error with file, line and column.

    Exit code 0 if all definitions are valid, with or without warnings; 1 if there are errors.

    \b
    Example:
      openstack-image-manager validate images/
    """
    from datetime import UTC, datetime

    from openstack_image_manager.definitions.loader import DefinitionErrors, load
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.humanize import count
    from openstack_image_manager.plan import expiry

    if path is not None and images is not None:
        raise UsageError("PATH and --images mean the same; give one of them")
    try:
        loaded = load(path or images or IMAGES)
    except DefinitionErrors as errors:
        typer.echo(str(errors), err=True)
        typer.echo(count(len(errors.diagnostics), "error"), err=True)
        raise typer.Exit(1) from None
    for warning in loaded.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for finding in expiry.of_definitions(loaded.definitions, datetime.now(UTC).date()):
        position = loaded.positions[finding.subject]
        typer.echo(f"{finding.level}: {position}: {finding.subject}: {finding.message}", err=True)
    number, files = len(loaded.definitions), len({position.file for position in loaded.positions.values()})
    typer.echo(f"{count(number, 'definition')} in {count(files, 'file')} {'is' if number == 1 else 'are'} valid")


def schema() -> None:
    """Print the JSON Schema of definition files for editors.

    \b
    Example:
      openstack-image-manager schema > images/schema.json

    Then begin each file in images/ with: # yaml-language-server: $schema=schema.json
    """
    from openstack_image_manager.definitions.loader import json_schema
    from openstack_image_manager.report.output import print_json

    print_json(json_schema())
