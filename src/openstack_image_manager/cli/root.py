"""The root command: plan and apply without asking, with the options that scripts have used for years."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import typer

from openstack_image_manager import age, render
from openstack_image_manager.cli import options as given
from openstack_image_manager.cli import run
from openstack_image_manager.cli.logs import set_up
from openstack_image_manager.cli.plan import show
from openstack_image_manager.definitions import load
from openstack_image_manager.errors import UsageError
from openstack_image_manager.model import Policy
from openstack_image_manager.ways import ImportOptions, Method


def run_root(**o: Any) -> int:
    """Do what the options `o` of the root command say; the exit code."""
    set_up(o["debug"])
    if o["delete"] or o["sure"]:
        raise UsageError("--delete: this release deletes no image; leave out --delete and nothing is lost")
    policy = Policy(
        o["tag"],
        o["latest"],
        o["keep"],
        o["force"],
        o["hidden_visibility"].value,
        o["use_os_hidden"],
        o["deactivate"],
    )
    request = run.Request(run.cloud_name(o["cloud"]), o["images"], o["name_filter"], policy)
    if o["share_image"] is not None:
        from openstack_image_manager.cli.share import share

        return share(request.cloud, policy.tag, o)
    if o["check_only"] or o["check_age"]:
        return _check(o)
    with run.prepared(request) as ready:
        show(ready.plan, ready.glance.cloud, given.Output.TEXT)
        if o["dry_run"]:
            return 1 if run.has_errors(ready.plan) else 0
        return run.carry_out(ready, policy, import_options(o), o["workers"])


def import_options(o: dict[str, Any]) -> ImportOptions:
    """--prefetch is the old way to say --import-method: always is glance-direct, never does not fall back to it."""
    prefetch = o["prefetch"]
    method: Method = "glance-direct" if prefetch is given.Prefetch.ALWAYS else o["import_method"].value
    fall_back = prefetch is not given.Prefetch.NEVER
    return ImportOptions(method, o["verify_checksum"], o["import_timeout"], o["stuck_retry"] + 1, fall_back)


def _check(o: dict[str, Any]) -> int:
    """--check-only and --check-age look at the definitions alone."""
    loaded = load(o["images"], name_filter=o["name_filter"])
    for warning in loaded.warnings if o["check"] else ():
        typer.echo(f"warning: {warning}")
    old = age.old_builds(loaded.definitions, o["max_age"], datetime.now(UTC).date()) if o["check_age"] else []
    for finding in old:
        typer.echo(f"{finding.subject}: {finding.message}")
    typer.echo(f"{render.count(len(loaded.definitions), 'definition')} checked: {len(old)} too old")
    return 0
