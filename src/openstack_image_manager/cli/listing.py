"""`list` shows the definitions."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("list")(with_groups(list_command))


def list_command(
    *,
    definitions: options.Definitions,
    output: Annotated[
        Literal["text", "json", "rst"],
        typer.Option("--output", help="Output format; rst: table of logins for documentation."),
    ] = "text",
) -> None:
    """List the definitions with newest version, login and password. Needs no cloud.

    \b
    Examples:
      openstack-image-manager list --images images/
      openstack-image-manager list --images images/ --output rst > images.rst
    """
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.report import console, inventory
    from openstack_image_manager.report.log import say
    from openstack_image_manager.report.output import print_json

    loaded = load(definitions.images, name_filter=definitions.name_filter)
    entries = inventory.entries(loaded.definitions, loaded.positions)
    if output == "json":
        print_json(inventory.data(entries))
    elif output == "rst":
        typer.echo(inventory.rst(entries), nl=False)
    else:
        console.table(inventory.table(entries), console.console())
    for warning in loaded.warnings:
        say("warning", str(warning))
