"""`adopt` writes definitions of existing images."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_TAG

if TYPE_CHECKING:
    from openstack_image_manager.adopt.adopt import Adopted


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("adopt")(with_groups(adopt_command))


def adopt_command(
    *,
    cloud: options.Cloud = None,
    name_filter: options.Filter = None,
    tag: options.Tag = DEFAULT_TAG,
    reporting: options.Log,
) -> None:
    """Write definitions of existing images to standard output.

    A run with them imports nothing and keeps every image as its users know it. It only adds the managed tag and
    records. Images that cannot have a definition are listed on standard error.

    \b
    Example:
      openstack-image-manager adopt --cloud openstack --filter "^(Debian|Ubuntu)" > images/adopted.yml
    """
    import re

    from openstack_image_manager.adopt.adopt import adopt
    from openstack_image_manager.adopt.yaml_writer import text
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.plan.model import Policy
    from openstack_image_manager.report import console
    from openstack_image_manager.report.log import say
    from openstack_image_manager.runs.connect import cloud_names

    reporting.set_up_log()
    try:
        pattern = re.compile(name_filter) if name_filter is not None else None
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--filter '{name_filter}' is not a regular expression: {error}") from None
    (name,) = cloud_names([cloud] if cloud else None)
    today = datetime.now(UTC).date()
    with closing(Glance.connect(name)) as glance:
        listed = glance.list(None)
        images = glance.manageable(listed)
        ids = {image.id for image in images}
        others = [image for image in listed if tag in image.tags and image.id not in ids]
        adopted = adopt(images, Policy(tag=tag, project=glance.project), today, pattern, others)
        cloud_name = glance.cloud
        for note in glance.notes:
            say("warning", note)
    head = f"Images of the cloud {cloud_name} as they were on {today}; made by openstack-image-manager adopt."
    typer.echo(text(adopted.items, [head]), nl=False)
    out = console.console(stderr=True)
    for line in _summary(adopted):
        console.say(out, line)


def _summary(adopted: Adopted) -> list[str]:
    """Summarize what the first run with the definitions does."""
    from openstack_image_manager.humanize import count

    lines = [f"left out: {image.name or '(no name)'} ({image.id}): {why}" for image, why in adopted.left_out]
    images = sum(len(definition.versions) for definition in adopted.definitions)
    counts = f"{count(len(adopted.definitions), 'definition')} of {count(images, 'image')}"
    lines.append(f"{counts}; {count(len(adopted.left_out), 'image')} left out")
    if adopted.written:
        fields = ", ".join(f"{field} ({number})" for field, number in adopted.written)
        lines.append(f"The first run imports nothing; it updates these fields of images: {fields}")
    else:
        lines.append("A run with them has nothing to do")
    return lines
