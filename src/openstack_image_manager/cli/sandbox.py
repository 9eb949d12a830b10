"""`sandbox` runs two small clouds on this machine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from openstack_image_manager.sandbox import Sandbox

sandbox_app = typer.Typer(
    help="Run two small clouds and a download site on this machine."
    "\n\n\b\nExample:\n  openstack-image-manager sandbox up",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def register(app: typer.Typer) -> None:
    """Add the commands to the application."""
    app.add_typer(sandbox_app, name="sandbox")


State = Annotated[
    Path | None,
    typer.Option(
        "--state",
        metavar="DIR",
        help="Directory of the sandbox. Default: openstack-image-manager/sandbox in your data directory.",
    ),
]


@sandbox_app.command()
def up(
    state: State = None,
    convert: Annotated[
        bool, typer.Option("--convert", help="Let Glance unpack images and convert them to raw (qemu-img).")
    ] = False,
    object_storage: Annotated[
        bool, typer.Option("--object-storage", help="Also start Swift, an object storage with the S3 API.")
    ] = False,
) -> None:
    """Install the sandbox if necessary, and start it.

    \b
    Example:
      openstack-image-manager sandbox up --object-storage
    """
    sandbox = _sandbox(state)
    started = sandbox.up(convert, say=typer.echo, object_storage=object_storage)
    typer.echo("The sandbox is up." if started else "The sandbox is up already.")
    if sandbox.options.convert != convert:
        now, other = ("with", "without") if sandbox.options.convert else ("without", "with")
        typer.echo(
            f"It runs {now} --convert; to run it {other}: sandbox down, then sandbox up{' --convert' * convert}."
        )
    typer.echo(_usage(sandbox))


@sandbox_app.command()
def down(state: State = None) -> None:
    """Stop the sandbox; its clouds keep their images.

    \b
    Example:
      openstack-image-manager sandbox down
    """
    stopped = _sandbox(state).down()
    typer.echo("The sandbox is down." if stopped else "The sandbox was down already.")


@sandbox_app.command()
def status(state: State = None) -> None:
    """List the services; exit code 1 if one is down.

    \b
    Example:
      openstack-image-manager sandbox status
    """
    services = _sandbox(state).status()
    width = max(len(service.name) for service in services)
    for service in services:
        pid = f"pid {service.pid}" if service.pid else ""
        typer.echo(f"{service.name:<{width}} {'up' if service.up else 'down':<5} {service.url:<23} {pid}".rstrip())
    if not all(service.up for service in services):
        raise typer.Exit(1)


@sandbox_app.command()
def reset(state: State = None) -> None:
    """Stop the sandbox, and delete all images and objects.

    \b
    Example:
      openstack-image-manager sandbox reset
    """
    _sandbox(state).reset()
    typer.echo("The sandbox is down and its clouds are empty. The installation stays; start it with: sandbox up")


def _sandbox(state: Path | None) -> Sandbox:
    from openstack_image_manager.sandbox import Sandbox, default_state

    return Sandbox((state or default_state()).absolute())


def _usage(sandbox: Sandbox) -> str:
    import shlex

    text = f"""
  export OS_CLIENT_CONFIG_FILE={shlex.quote(str(sandbox.clouds_yaml))}

Clouds:
  openstack   region RegionOne, administrator
  member      region RegionOne, ordinary user of another project
  second      region RegionTwo, administrator; images of its own
Site with small bootable images: {sandbox.url("site")}/"""
    if sandbox.options.object_storage:
        file = shlex.quote(str(sandbox.object_store.environment_file()))
        text += f"""
Object storage with the S3 API: {sandbox.account().url}

  . {file}   # AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_ENDPOINT_URL, AWS_REGION"""
    return text
