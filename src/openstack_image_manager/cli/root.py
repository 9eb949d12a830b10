"""The root command: plan and apply without asking, with the options that scripts have used for years."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from openstack_image_manager import __version__
from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups

if TYPE_CHECKING:
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.defaults import Outdated
    from openstack_image_manager.runs.request import Request


@dataclass(frozen=True)
class OldStages:
    """The old ways to say --outdated."""

    hide: Annotated[bool, typer.Option("--hide", help="Same as --outdated hide.")] = False
    deactivate: Annotated[bool, typer.Option("--deactivate", help="Same as --outdated deactivate.")] = False
    delete: Annotated[bool, typer.Option("--delete", help="Same as --outdated delete.")] = False
    sure: Annotated[bool, typer.Option("--yes-i-really-know-what-i-do", help="Confirm --delete.")] = False

    def stage(self, outdated: Outdated) -> Outdated:
        """Return the last stage that was given; without one, `outdated`."""
        if self.delete:
            return "delete"
        return "deactivate" if self.deactivate else "hide" if self.hide else outdated


@dataclass(frozen=True)
class Checks:
    """Checks of definitions that need no cloud."""

    check: Annotated[bool, typer.Option("--check/--no-check", help="Show warnings about definitions.")] = True
    check_only: Annotated[bool, typer.Option("--check-only", help="Check the definitions and stop.")] = False
    check_age: Annotated[bool, typer.Option("--check-age", help="Report definitions with old builds.")] = False
    max_age: Annotated[
        int, typer.Option("--max-age", min=1, metavar="DAYS", help="Age from which --check-age reports builds.")
    ] = 90

    @property
    def asked(self) -> bool:
        """True if no cloud is needed."""
        return self.check_only or self.check_age


@dataclass(frozen=True)
class Sharing:
    """The old way to say `share` and `unshare`."""

    share_image: Annotated[str | None, typer.Option("--share-image", metavar="NAME", help="Share this image.")] = None
    share_action: Annotated[Literal["add", "del"], typer.Option("--share-action", help="Share or unshare.")] = "add"
    share_domain: Annotated[
        str, typer.Option("--share-domain", metavar="DOMAIN", help="Domain of the project to share with.")
    ] = "default"
    share_target: Annotated[
        str | None, typer.Option("--share-target", metavar="NAME", help="Project or domain to share with.")
    ] = None
    share_type: Annotated[Literal["project", "domain"], typer.Option("--share-type", help="Type of the target.")] = (
        "project"
    )


@dataclass(frozen=True)
class Imports(options.Imports):
    """Also the old way to say --import-method."""

    prefetch: Annotated[
        Literal["never", "on-stuck", "always"],
        typer.Option("--prefetch", help="When to upload from here: if needed, if Glance fails, always."),
    ] = "on-stuck"

    def for_apply(self) -> ImportOptions:
        """`always` is glance-direct; `never` does not fall back to it."""
        base = super().for_apply()
        method = "glance-direct" if self.prefetch == "always" else base.method
        return replace(base, method=method, fall_back=self.prefetch != "never")


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(__version__)
        raise typer.Exit


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.callback(invoke_without_command=True)(with_groups(root_command))


def root_command(
    context: typer.Context,
    *,
    clouds: options.Clouds,
    definitions: options.Definitions,
    dry_run: options.DryRun = False,
    policy: options.Policy,
    old_stages: OldStages,
    checks: Checks,
    sharing: Sharing,
    imports: Imports,
    reporting: options.Reporting,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Make the images of OpenStack clouds match their definitions: plan and apply without asking.

    \b
    Example:
      openstack-image-manager --cloud openstack --images images/ --filter ".*Cirr.*"
    """
    if context.invoked_subcommand is not None:
        _refuse_options_before(context)
        return
    from openstack_image_manager.cli.request import requests
    from openstack_image_manager.errors import UsageError

    reporting.set_up_log()
    if old_stages.delete and not (old_stages.sure or dry_run):
        raise UsageError("--delete needs --yes-i-really-know-what-i-do; check the plan first with --dry-run")
    outdated = old_stages.stage(policy.outdated)
    requested = requests(clouds, definitions.images, definitions.name_filter, policy.for_plan(outdated=outdated))
    if sharing.share_image is None and sharing.share_target is not None:
        raise UsageError("--share-target needs --share-image: the image to share")
    if checks.asked and (reporting.report or reporting.metrics):
        raise UsageError("--check-only and --check-age use no cloud, so they exclude --report and --metrics")
    if sharing.share_image is not None:
        raise typer.Exit(_share(requested, sharing.share_image, sharing, reporting, dry_run))
    if checks.asked:
        _check(definitions, checks)
        return
    _run(requested, imports, reporting, dry_run)


def _refuse_options_before(context: typer.Context) -> None:
    """Refuse `--cloud prod apply`, which would act on the default cloud. Raises UsageError."""
    from openstack_image_manager.errors import UsageError

    for name in context.params:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            option = next(p.opts[0] for p in context.command.params if p.name == name)
            raise UsageError(
                f"{option} stands before '{context.invoked_subcommand}', where it has no effect; "
                f"write: openstack-image-manager {context.invoked_subcommand} {option} …"
            )


def _share(requested: list[Request], image: str, sharing: Sharing, reporting: options.Reporting, dry_run: bool) -> int:
    from openstack_image_manager.cli.share import share
    from openstack_image_manager.errors import UsageError

    if len(requested) > 1:
        raise UsageError("--share-image needs exactly one cloud")
    if sharing.share_target is None:
        raise UsageError("--share-image needs --share-target: the project or domain to share with")
    if reporting.metrics is not None:
        raise UsageError("--share-image and --metrics exclude each other")
    if dry_run:
        raise UsageError(
            "--share-image and --dry-run exclude each other; see the members with: openstack image member list"
        )
    target = (sharing.share_target, sharing.share_type, sharing.share_domain)
    return share(requested[0].cloud, requested[0].policy.tag, image, *target, sharing.share_action == "del", reporting)


def _run(requested: list[Request], imports: Imports, reporting: options.Reporting, dry_run: bool) -> None:
    from openstack_image_manager.runs.planned import planned_clouds

    with reporting.recording("run") as record, planned_clouds(requested) as clouds:
        from openstack_image_manager.cli.plan import show
        from openstack_image_manager.runs import run

        record.about(clouds, applies=not dry_run)
        show(clouds, "text")
        code = 1 if clouds.has_errors else 0
        if not dry_run:
            code = run.apply_plans(clouds, imports.for_apply(), imports.workers)
            record.look_again(clouds)
        else:
            code = 1 if run.report_refusals(clouds) else code
            if clouds.several:
                run.show_comparison(clouds)
        raise typer.Exit(code)


def _check(definitions: options.Definitions, checks: Checks) -> None:
    from datetime import UTC, datetime

    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.humanize import count
    from openstack_image_manager.plan import age

    loaded = load(definitions.images, name_filter=definitions.name_filter)
    for warning in loaded.warnings if checks.check else ():
        typer.echo(f"warning: {warning}")
    today = datetime.now(UTC).date()
    old = age.old_builds(loaded.definitions, checks.max_age, today) if checks.check_age else []
    for finding in old:
        typer.echo(f"{finding.subject}: {finding.message}")
    typer.echo(f"{count(len(loaded.definitions), 'definition')} checked: {len(old)} too old")
