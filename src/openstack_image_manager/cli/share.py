"""The --share-* options of the root command."""

from __future__ import annotations

from contextlib import closing
from typing import Any

import typer

from openstack_image_manager import members
from openstack_image_manager.cli import options as given
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.glance import Glance


def share(cloud: str | None, tag: str, o: dict[str, Any]) -> int:
    """Share the managed image of a name with a project, or all of a domain, or end that; the exit code."""
    if o["share_target"] is None:
        raise UsageError("--share-image needs --share-target: the project or domain to share with")
    with closing(Glance.connect(cloud)) as glance:
        return _share(glance, tag, o)


def _share(glance: Glance, tag: str, o: dict[str, Any]) -> int:
    named = [image for image in glance.list(tag) if image.name == o["share_image"] and image.status == "active"]
    images = [image for image in named if image.owner == glance.project]
    if len(images) != 1:
        found = ", ".join(image.id for image in images) or "none"
        raise Error(f"cloud '{glance.cloud}': one managed image must be called '{o['share_image']}'; there is {found}")
    image = images[0]
    if image.visibility != "shared":
        raise Error(f"{image.name} is {image.visibility}; only images of visibility shared have members")
    targets = members.projects(glance, o["share_target"], o["share_type"].value, o["share_domain"])
    for project, name in targets.items():
        if project == image.owner:
            continue
        if o["share_action"] is given.ShareAction.ADD:
            accepted = members.add(glance, image.id, project)
            typer.echo(f"{image.name}: shared with {name} ({project}), {'accepted' if accepted else 'invited'}")
        else:
            ended = members.remove(glance, image.id, project)
            typer.echo(f"{image.name}: {'no longer' if ended else 'was not'} shared with {name} ({project})")
    return 0
