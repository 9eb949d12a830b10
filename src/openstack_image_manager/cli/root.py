"""The root command: plan and apply without asking, with the options that scripts have used for years."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import typer

from openstack_image_manager.cli import options as given
from openstack_image_manager.cli.plan import show
from openstack_image_manager.cli.recording import recording
from openstack_image_manager.cli.request import requests
from openstack_image_manager.errors import UsageError
from openstack_image_manager.report.log import set_up

if TYPE_CHECKING:
    from openstack_image_manager.apply.import_method import ImportOptions, Method
    from openstack_image_manager.runs.request import Request


def run_root(**o: Any) -> int:
    """Do what the options `o` of the root command say; the exit code."""
    set_up(o["debug"], o["log_format"])
    if o["delete"] and not (o["sure"] or o["dry_run"]):
        raise UsageError("--delete goes with --yes-i-really-know-what-i-do; look at the plan first: --dry-run")
    asked = requests({**o, "outdated": _outdated(o)})
    if o["share_image"] is None and o["share_target"] is not None:
        raise UsageError("--share-target goes with --share-image: the image to share")
    if (o["check_only"] or o["check_age"]) and (o["report"] or o["metrics"]):
        raise UsageError("--check-only and --check-age look at no cloud: --report and --metrics don't go with them")
    if o["share_image"] is not None:
        from openstack_image_manager.cli.share import share

        if len(asked) > 1:
            raise UsageError("--share-image goes with one cloud")
        if o["share_target"] is None:
            raise UsageError("--share-image needs --share-target: the project or domain to share with")
        if o["metrics"] is not None:
            raise UsageError("--share-image has no --metrics")
        if o["dry_run"]:
            raise UsageError("--share-image knows no --dry-run; look at the members with: openstack image member list")
        ending = o["share_action"] == given.ShareAction.DELETE
        whom = (o["share_target"], o["share_type"], o["share_domain"])
        return share(asked[0].cloud, asked[0].policy.tag, o["share_image"], *whom, ending, o["report"])
    if o["check_only"] or o["check_age"]:
        return _check(o)
    return _run(asked, o)


def _run(asked: list[Request], o: dict[str, Any]) -> int:
    from openstack_image_manager.runs.connect import open_all

    with recording("run", o["report"], o["metrics"]) as record:
        openings = open_all(asked)
        from openstack_image_manager.runs import run

        with run.planned_clouds(asked, openings) as clouds:
            record.about(clouds, applies=not o["dry_run"])
            show(clouds, given.Output.TEXT)
            code = 1 if clouds.has_errors else 0
            if not o["dry_run"]:
                code = run.apply_plans(clouds, import_options(o), o["workers"])
                record.look_again(clouds)
            else:
                code = 1 if run.report_refusals(clouds) else code
                if clouds.several:
                    run.show_comparison(clouds)
            raise typer.Exit(code)


def _outdated(o: dict[str, Any]) -> given.Outdated:
    """--hide, --deactivate and --delete are the old ways to say --outdated; the furthest one counts."""
    old = {"delete": given.Outdated.DELETE, "deactivate": given.Outdated.DEACTIVATE, "hide": given.Outdated.HIDE}
    asked: given.Outdated = next((stage for name, stage in old.items() if o[name]), o["outdated"])
    return asked


def import_options(o: dict[str, Any]) -> ImportOptions:
    """--prefetch is the old way to say --import-method: always is glance-direct, never does not fall back to it."""
    from openstack_image_manager.apply.import_method import ImportOptions

    prefetch = o["prefetch"]
    method: Method = "glance-direct" if prefetch == given.Prefetch.ALWAYS else o["import_method"]
    fall_back = prefetch != given.Prefetch.NEVER
    return ImportOptions(method, o["verify_checksum"], o["import_timeout"], o["stuck_retry"] + 1, fall_back)


def _check(o: dict[str, Any]) -> int:
    """--check-only and --check-age look at the definitions alone."""
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.humanize import count
    from openstack_image_manager.plan import age

    loaded = load(o["images"], name_filter=o["name_filter"])
    for warning in loaded.warnings if o["check"] else ():
        typer.echo(f"warning: {warning}")
    old = age.old_builds(loaded.definitions, o["max_age"], datetime.now(UTC).date()) if o["check_age"] else []
    for finding in old:
        typer.echo(f"{finding.subject}: {finding.message}")
    typer.echo(f"{count(len(loaded.definitions), 'definition')} checked: {len(old)} too old")
    return 0
