"""The Typer application, its root command and its one error boundary."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module
from typing import Any

import typer
from typer.core import TyperGroup

from openstack_image_manager.cli import broken_pipe, root
from openstack_image_manager.cli.completion import is_completing
from openstack_image_manager.errors import Error
from openstack_image_manager.report.output import guard
from openstack_image_manager.transfer.mirrors import environment_mirrors

# The modules of this folder, in the order of `--help`, and the commands that each of them registers.
COMMANDS: Mapping[str, set[str]] = {
    "plan": {"plan", "apply"},
    "status": {"status"},
    "listing": {"list"},
    "show": {"show"},
    "explain": {"explain"},
    "rollback": {"rollback"},
    "share": {"share", "unshare"},
    "update": {"update"},
    "check_updates": {"check-updates"},
    "mirror": {"mirror"},
    "adopt": {"adopt"},
    "validate": {"validate", "schema"},
    "doctor": {"doctor"},
    "catalogue": {"catalogue"},
    "keys": {"keys"},
    "scs": {"scs"},
    "sandbox": {"sandbox"},
}


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


def application(modules: Collection[str] = COMMANDS.keys()) -> typer.Typer:
    """Create the application with the root command and the commands of these modules."""
    app = typer.Typer(
        cls=_Group,
        no_args_is_help=False,
        rich_markup_mode=None,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    root.register(app)
    for module in modules:
        import_module(f"openstack_image_manager.cli.{module}").register(app)
    return app


def _needed_modules(arguments: list[str]) -> Collection[str]:
    """Return the modules of the commands that the arguments name. Loading all of them, and reading the options of their
    commands, takes longer than starting Python."""
    modules = [module for module, commands in COMMANDS.items() if not commands.isdisjoint(arguments)]
    # Help, completion and suggestions for a mistyped command need all commands.
    mistyped = arguments[:1] and not (modules or arguments[0].startswith("-"))
    return COMMANDS.keys() if mistyped or _asks_for_help(arguments) else modules


def _asks_for_help(arguments: list[str]) -> bool:
    return bool({"-h", "--help"} & set(arguments)) or is_completing()


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
        application(_needed_modules(words))(words)
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
