"""The Typer application and its one error boundary."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from openstack_image_manager import __version__
from openstack_image_manager.errors import Error

app = typer.Typer(
    help="Keeps the images of OpenStack clouds as their definitions say.",
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")] = False,
) -> None:
    """Root command; replaced by plan + apply."""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; the one place where an `Error` becomes a message and an exit code."""
    try:
        status = app(arguments, standalone_mode=False)
        return status if isinstance(status, int) else 0
    except Error as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return 130
