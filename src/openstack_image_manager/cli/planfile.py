"""Plan files: what was asked for and what was approved, so that `apply FILE` does exactly that."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import typer

    from openstack_image_manager.cli.request import Request
    from openstack_image_manager.cli.run import Prepared

FORMAT = 1  # of plan files
# What a plan file says already.
ASKED = {"cloud", "all_clouds", "images", "name_filter", "tag", "latest", "keep", "force", "hidden_visibility"} | {
    *("use_os_hidden", "outdated", "grace", "orphans", "unknown_usage", "max_deletes", "same_ids")
}
Approved = tuple[dict[str, Any], dict[str, str]]  # where, and the image of each change (by all that it says)


def refuse_beside_file(context: typer.Context) -> None:
    """Whoever writes `apply today.plan --cloud other` must not believe that it goes to the other cloud."""
    from openstack_image_manager.errors import UsageError

    for parameter in context.command.params:
        source = context.get_parameter_source(parameter.name or "")
        if parameter.name in ASKED and source is not None and source.name == "COMMANDLINE":
            raise UsageError(
                f"{parameter.opts[0]} has no effect beside a plan file, which says it already; leave it out"
            )


def write(path: Path, ready: Prepared) -> None:
    """A plan file: what was asked, where, and the plan. It names the definitions' path and holds no secrets."""
    from dataclasses import asdict

    from openstack_image_manager import render
    from openstack_image_manager.errors import Error

    asked = {**asdict(ready.request), "images": _absolute(ready.request.images)}
    plan = render.plan_data(ready.plan, ready.glance.cloud)
    content = {"format": FORMAT, "request": asked, "where": _where(ready), "plan": plan}
    try:
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    except OSError as error:
        raise Error(f"{path}: the plan can't be written: {error.strerror}") from None


def _where(ready: Prepared) -> dict[str, str | None]:
    """The same name may be another cloud tomorrow, or in another environment."""
    return {"project": ready.glance.project, "region": ready.glance.region}


def _absolute(images: str) -> str:
    return images if "**" in images or images.startswith("catalogue:") else str(Path(images).absolute())


def read(path: Path) -> tuple[Request, Approved]:
    from openstack_image_manager.cli.request import Request
    from openstack_image_manager.errors import Error
    from openstack_image_manager.model import Policy

    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["format"] != FORMAT:
            raise Error(f"{path}: a plan file of another release; make it anew with `plan --out`")
        request = content["request"]
        policy = Policy(**request.pop("policy"))
        changes = {_key(change): change["image"] for change in content["plan"]["changes"]}
        return Request(policy=policy, **request), (content["where"], changes)
    except OSError as error:
        raise Error(f"{path}: the plan can't be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise Error(f"{path}: is no plan file; make one with `plan --out`") from None


def _key(change: dict[str, Any]) -> str:
    return json.dumps(change, sort_keys=True)


def same(approved: Approved, ready: Prepared) -> None:
    """Refuse when what there is to do now is not what was approved, naming the images."""
    from openstack_image_manager.changes import change_data
    from openstack_image_manager.errors import Error

    where, before = approved
    if where != _where(ready):
        raise Error("the plan was made for another project or region; nothing was done: plan again")
    now = {_key(data): data["image"] for data in map(change_data, ready.plan.changes)}
    other = sorted({name for key, name in (before | now).items() if (key in before) != (key in now)})
    if other:
        names = ", ".join(other)
        raise Error(
            f"the cloud or the definitions changed since the plan was made: {names}; nothing was done: plan again"
        )
