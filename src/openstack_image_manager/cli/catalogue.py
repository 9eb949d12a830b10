"""`catalogue` shows the definitions of this package."""

from __future__ import annotations

from typing import Annotated

import typer

from openstack_image_manager.cli import build, options
from openstack_image_manager.defaults import CATALOGUE

catalogue_app = typer.Typer(
    help="Show the definitions of this package (--images catalogue:)."
    "\n\n\b\nExample:\n  openstack-image-manager catalogue list",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(catalogue_app, name="catalogue")


@catalogue_app.command("list")
def list_catalogue(
    output: options.TableFormat = "text",
) -> None:
    """List the catalogue with upstreams and signing policies.

    \b
    Example:
      openstack-image-manager catalogue list --output json
    """
    from dataclasses import asdict

    from openstack_image_manager.catalogue import entries as catalogue
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.report import console
    from openstack_image_manager.report.output import print_json

    loaded = load(CATALOGUE)
    entries = catalogue.entries(loaded.definitions, loaded.positions)
    if output == "json":
        print_json([asdict(entry) for entry in entries])
    else:
        console.table([catalogue.HEAD, *map(catalogue.cells, entries)], console.console())


@catalogue_app.command("show")
def show(
    names: Annotated[list[str], typer.Argument(metavar="NAME…", help="Files or definitions of the catalogue.")],
) -> None:
    """Print definitions as YAML, for a file that `update` keeps current.

    \b
    Examples:
      openstack-image-manager catalogue show debian > images/debian.yml
      openstack-image-manager catalogue show "Debian 13" "Ubuntu 24.04" > images/ours.yml
    """
    from openstack_image_manager.catalogue import entries as catalogue
    from openstack_image_manager.definitions.loader import load

    loaded = load(CATALOGUE)
    typer.echo(catalogue.excerpt(names, loaded.definitions, loaded.positions), nl=False)


build.register(catalogue_app)
