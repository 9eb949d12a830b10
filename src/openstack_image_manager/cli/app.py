"""The Typer application, its root command and its one error boundary."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer
from typer.core import TyperGroup

from openstack_image_manager import __version__
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
    share,
    show,
    status,
    update,
    validate,
)
from openstack_image_manager.cli import options as given
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
    *(plan, status, listing, show, explain, rollback, share, update, check_updates, mirror, adopt, validate, doctor),
):
    module.register(app)
build.register(catalogue_app)
app.add_typer(catalogue_app, name="catalogue")
app.add_typer(keys_app, name="keys")
app.add_typer(scs_app, name="scs")
app.add_typer(sandbox_app, name="sandbox")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    cloud: given.Clouds = None,
    all_clouds: given.AllClouds = False,
    images: given.Images = given.IMAGES,
    name_filter: given.Filter = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")] = False,
    tag: given.Tag = given.TAG,
    latest: given.Latest = False,
    keep: given.Keep = False,
    force: given.Force = False,
    hide: Annotated[bool, typer.Option("--hide", help="The same as --outdated hide.")] = False,
    hidden_visibility: given.HiddenVisibility = given.Visibility.COMMUNITY,
    use_os_hidden: given.UseOsHidden = False,
    deactivate: Annotated[bool, typer.Option("--deactivate", help="The same as --outdated deactivate.")] = False,
    delete: Annotated[bool, typer.Option("--delete", help="The same as --outdated delete.")] = False,
    sure: Annotated[bool, typer.Option("--yes-i-really-know-what-i-do", help="Goes with --delete.")] = False,
    outdated: given.OutdatedOption = given.Outdated.HIDE,
    grace: given.Grace = "0",
    orphans: given.OrphansOption = given.Orphans.KEEP,
    unknown_usage: given.UnknownUsageOption = given.UnknownUsage.KEEP,
    max_deletes: given.MaxDeletes = 5,
    same_ids: given.SameIds = False,
    check: Annotated[bool, typer.Option("--check/--no-check", help="Show the warnings about definitions.")] = True,
    check_only: Annotated[bool, typer.Option("--check-only", help="Check the definitions and stop.")] = False,
    check_age: Annotated[bool, typer.Option("--check-age", help="Report definitions with old builds.")] = False,
    max_age: Annotated[int, typer.Option("--max-age", min=1, metavar="DAYS", help="What --check-age calls old.")] = 90,
    share_image: Annotated[str | None, typer.Option("--share-image", metavar="NAME", help="Share this image.")] = None,
    share_action: Annotated[
        given.ShareAction, typer.Option("--share-action", help="Share, or end sharing.")
    ] = given.ShareAction.ADD,
    share_domain: Annotated[
        str, typer.Option("--share-domain", metavar="DOMAIN", help="Domain of the project to share with.")
    ] = "default",
    share_target: Annotated[
        str | None, typer.Option("--share-target", metavar="NAME", help="Project or domain to share with.")
    ] = None,
    share_type: Annotated[
        given.ShareType, typer.Option("--share-type", help="What the target is.")
    ] = given.ShareType.PROJECT,
    stuck_retry: given.StuckRetry = 0,
    prefetch: Annotated[
        given.Prefetch,
        typer.Option("--prefetch", help="When bytes pass through here: if needed, also if Glance fails, or always."),
    ] = given.Prefetch.ON_STUCK,
    import_method: given.Method = given.ImportMethod.AUTO,
    import_timeout: given.Timeout = 1800,
    verify_checksum: given.VerifyChecksum = None,
    workers: given.Workers = 4,
    report: given.Reports = None,
    metrics: given.Metrics = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Make the images of an OpenStack cloud match their definitions: plan and apply, without asking.

    \b
    Example:
      openstack-image-manager --cloud openstack --images images/ --filter ".*Cirr.*"
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context)
        return
    arguments = {key: value for key, value in context.params.items() if key != "version"}
    from openstack_image_manager.cli.root import run_root

    raise typer.Exit(run_root(**arguments))


def _refuse_options_before(context: typer.Context) -> None:
    """`--cloud prod apply` would act on the default cloud: options of the root command do not reach commands."""
    from openstack_image_manager.errors import UsageError

    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            raise UsageError(
                f"{option} stands before '{context.invoked_subcommand}', where it has no effect; "
                f"write: openstack-image-manager {context.invoked_subcommand} {option} …"
            )


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

        say("error", f"the output can't be written: {error.strerror}")
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(1)
