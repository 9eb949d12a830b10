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

if TYPE_CHECKING:
    from typer.models import CommandInfo


class _Group(TyperGroup):
    """The root command; what is wrong with an option is said without the name of a Python exception."""

    def make_context(self, *args: Any, **kwargs: Any) -> Any:
        with _own_words():
            return super().make_context(*args, **kwargs)

    def invoke(self, ctx: Any) -> Any:
        with _own_words():
            return super().invoke(ctx)


@contextmanager
def _own_words() -> Iterator[None]:
    try:
        yield
    except typer.BadParameter as error:
        # Newer releases of Typer check values with pydantic, which puts this before each message.
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


def _without_others(arguments: list[str]) -> typer.Typer:
    """The application with those commands only that the arguments may mean: before it looks at any argument, Typer
    reads the options of every command, which takes longer than to start Python."""
    from copy import copy

    commands = [each for each in app.registered_commands if _name(each) in arguments]
    groups = [each for each in app.registered_groups if each.name in arguments]
    # Help and shells list all commands, and a mistyped one is answered with those that are like it.
    mistyped = arguments[:1] and not (commands or groups or arguments[0].startswith("-"))
    if mistyped or {"-h", "--help"} & set(arguments) or is_completing():
        return app
    fewer = copy(app)
    fewer.registered_commands, fewer.registered_groups = commands, groups
    return fewer


def _name(command: CommandInfo) -> str:
    return command.name or getattr(command.callback, "__name__", "").replace("_", "-")


def main(arguments: list[str] | None = None) -> None:
    """Run the command line; the one place where an `Error` becomes a message and an exit code. Raises SystemExit."""
    import signal

    def end(_signal: int, _frame: object) -> None:
        raise KeyboardInterrupt

    signal.signal(signal.SIGTERM, end)
    broken_pipe.go_on()
    guard()
    words = sys.argv[1:] if arguments is None else arguments
    try:
        _without_others(words)(words)
    except Error as error:
        from openstack_image_manager.report.log import say

        say("error", str(error))
        sys.exit(error.exit_code)
    except OSError as error:
        # Errors of files that have a name are told where they happen; what has none is the output itself.
        if error.filename is not None:
            raise
        from openstack_image_manager.report.log import say

        say("error", f"cannot write the output: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
