"""What the options of a command ask for: which clouds shall match which definitions, by which policy."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from openstack_image_manager.errors import UsageError
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.runs.connect import cloud_names
from openstack_image_manager.runs.request import Request

if TYPE_CHECKING:
    from openstack_image_manager.cli import options as given
    from openstack_image_manager.definitions.diagnostics import Position
    from openstack_image_manager.definitions.model import Definition


def defined(name: str, images: str) -> tuple[Definition, Position]:
    """The definition of a name, and where it stands. Raises UsageError with a name that is like it."""
    from openstack_image_manager.definitions.diagnostics import near
    from openstack_image_manager.definitions.loader import load

    loaded = load(images)
    definition = next((each for each in loaded.definitions if each.name == name), None)
    if definition is None:
        # An image has the name of its definition, and its version behind it.
        begins = [each for each in loaded.positions if re.match(rf"{re.escape(each)}\b", name)]
        hint = f"; did you mean '{max(begins, key=len)}'?" if begins else near(name, loaded.positions)
        hint = hint or "; see: openstack-image-manager list"
        raise UsageError(f"there is no definition '{name}' in {images}{hint}")
    return definition, loaded.positions[name]


def only(name: str) -> str:
    """The --filter that lets this one definition through."""
    return rf"\A{re.escape(name)}\Z"


def requests(options: Mapping[str, Any]) -> list[Request]:
    """A request for each cloud. Raises UsageError."""
    clouds = cloud_names(options["cloud"], options["all_clouds"])
    policy = _policy(options)
    return [Request(cloud, options["images"], options["name_filter"], policy) for cloud in clouds]


def looking(
    tag: str,
    force: bool,
    latest: bool,
    keep: bool,
    hidden_visibility: given.Visibility,
    use_os_hidden: bool,
    outdated: given.Outdated,
) -> Policy:
    """The policy that a command looks with: as the cloud is run, and nothing is counted or waited for."""
    from openstack_image_manager.cli import options as given

    return Policy(
        tag=tag,
        force=force,
        latest=latest,
        keep=keep,
        hidden_visibility=given.Visibility(hidden_visibility).value,  # older releases of Typer give a text
        use_os_hidden=use_os_hidden,
        outdated=given.Outdated(outdated).value,
    )


def _policy(options: Mapping[str, Any]) -> Policy:
    days = re.fullmatch(r"(\d{1,4})d?", options["grace"])
    if days is None:
        raise UsageError(f"--grace {options['grace']}: give a number of days, like 30 or 30d")
    if not options["tag"].strip():
        raise UsageError("--tag is empty; without a tag no image could be told from those of others")
    return Policy(
        tag=options["tag"],
        latest=options["latest"],
        keep=options["keep"],
        force=options["force"],
        hidden_visibility=options["hidden_visibility"],
        use_os_hidden=options["use_os_hidden"],
        outdated=options["outdated"],
        grace=int(days.group(1)),
        orphans=options["orphans"],
        unknown_usage=options["unknown_usage"],
        max_deletes=options["max_deletes"],
        same_ids=options["same_ids"],
    )
