"""The Typer application, its root command and its one error boundary."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from openstack_image_manager.cli import (
    adopt,
    broken_pipe,
    build,
    check_updates,
    doctor,
    explain,
    listing,
    mirror,
    plan,
    rollback,
    root,
    share,
    show,
    status,
    update,
    validate,
)
from openstack_image_manager.cli.catalogue import catalogue_app
from openstack_image_manager.cli.completion import is_completing
from openstack_image_manager.cli.keys import keys_app
from openstack_image_manager.cli.sandbox import sandbox_app
from openstack_image_manager.cli.scs import scs_app
from openstack_image_manager.errors import Error
from openstack_image_manager.report.output import guard
from openstack_image_manager.transfer.mirrors import environment_mirrors

if TYPE_CHECKING:
    from typer.models import CommandInfo


class _Group(TyperGroup):
    """The root command, which reports wrong options without names of Python exceptions."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _plain_messages():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _plain_messages():
            return super().invoke(ctx)


@contextmanager
def _plain_messages() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        # Newer releases of Typer check values with pydantic, which adds this prefix.
        error.message = error.message.removeprefix("Value error, ")
        raise


app = typer.Typer(
    cls=_Group,
    no_args_is_help=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for module in (
    *(root, plan, status, listing, show, explain, rollback, share, update),
    *(check_updates, mirror, adopt, validate, doctor),
):
    module.register(app)
build.register(catalogue_app)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(keys_app, name="keys")
app.add_typer(scs_app, name="scs")
app.add_typer(sandbox_app, name="sandbox")


def _needed_commands(arguments: list[str]) -> typer.Typer:
    """Return the application with only the commands that the arguments name. Typer reads the options of all commands
    first, which takes longer than starting Python."""
    from copy import copy

    commands = [command for command in app.registered_commands if _name(command) in arguments]
    groups = [group for group in app.registered_groups if group.name in arguments]
    # Help, completion and suggestions for a mistyped command need all commands.
    mistyped = arguments[:1] and not (commands or groups or arguments[0].startswith("-"))
    if mistyped or _asks_for_help(arguments):
        return app
    smaller = copy(app)
    smaller.registered_commands, smaller.registered_groups = commands, groups
    return smaller


def _asks_for_help(arguments: list[str]) -> bool:
    return bool({"-h", "--help"} & set(arguments)) or is_completing()


def _name(command: CommandInfo) -> str:
    return command.name or getattr(command.callback, "__name__", "").replace("_", "-")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, and turn every `Error` into a message and an exit code. Raises SystemExit."""
    import signal

    def end(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    broken_pipe.go_on()
    guard()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        if not _asks_for_help(words):
            environment_mirrors()  # an invalid value is an error of the command line
        _needed_commands(words)(words)
    except Error as error:
        from openstack_image_manager.report.log import say

        say("error", str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        # Errors of named files become messages where they happen; an error without a name is about the output.
        if error.filename is not None:
            raise
        from openstack_image_manager.report.log import say

        say("error", f"cannot write the output: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
