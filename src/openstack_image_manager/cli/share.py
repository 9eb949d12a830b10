"""`share` and `unshare`, and the --share-* options of the root command."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_TAG

if TYPE_CHECKING:
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.model import Image
    from openstack_image_manager.report.content import Lines


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the image in Glance.")]
Project = Annotated[str | None, typer.Option("--project", metavar="NAME", help="Name or id of a project.")]
Domain = Annotated[
    str | None,
    typer.Option("--domain", metavar="NAME", help="Domain of the project; without --project: all its projects."),
]


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    app.command("share")(with_groups(share_command))
    app.command("unshare")(with_groups(unshare_command))


def share_command(
    *,
    name: Name,
    project: Project = None,
    domain: Domain = None,
    cloud: options.Cloud = None,
    tag: options.Tag = DEFAULT_TAG,
    reporting: options.ReportAndLog,
) -> None:
    """Share an image with a project, or with all projects of a domain.

    The image must have the visibility shared. Newer builds are shared with the same projects. The next run overwrites
    this if the definition has members. Administrators can also share images of other projects.

    \b
    Example:
      openstack-image-manager share "Ubuntu 24.04" --project shop --cloud openstack
    """
    raise typer.Exit(_command(name, project, domain, cloud, tag, reporting, ending=False))


def unshare_command(
    *,
    name: Name,
    project: Project = None,
    domain: Domain = None,
    cloud: options.Cloud = None,
    tag: options.Tag = DEFAULT_TAG,
    reporting: options.ReportAndLog,
) -> None:
    """Stop sharing an image with a project, or with all projects of a domain.

    This includes older builds of the same definition, also hidden ones.

    \b
    Example:
      openstack-image-manager unshare "Ubuntu 24.04" --domain customers --cloud openstack
    """
    raise typer.Exit(_command(name, project, domain, cloud, tag, reporting, ending=True))


def _command(
    name: str,
    project: str | None,
    domain: str | None,
    cloud: str | None,
    tag: str,
    reporting: options.Reporting,
    ending: bool,
) -> int:
    from openstack_image_manager.errors import UsageError
    from openstack_image_manager.runs.connect import cloud_names

    reporting.set_up_log()
    if project is None and domain is None:
        raise UsageError("add --project, or --domain for all its projects")
    (cloud_name,) = cloud_names([cloud] if cloud else None)
    if project is not None:
        return share(cloud_name, tag, name, project, "project", domain or "default", ending, reporting)
    return share(cloud_name, tag, name, domain or "", "domain", "default", ending, reporting)


def share(
    cloud: str | None,
    tag: str,
    name: str,
    target: str,
    kind: str,
    domain: str,
    ending: bool,
    reporting: options.Reporting,
) -> int:
    """Share a managed image with a project or domain, or stop that. Return the exit code."""
    from openstack_image_manager.cloud import members
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.errors import Error
    from openstack_image_manager.report import console
    from openstack_image_manager.report.content import Lines
    from openstack_image_manager.report.log import say

    out = console.console()
    with reporting.recording("unshare" if ending else "share") as record, closing(Glance.connect(cloud)) as glance:
        for note in glance.notes:
            say("warning", note)
        image, builds = _builds(glance, tag, name)
        lines = Lines(f"Members of {image.name}")
        record.content = lines.content()
        projects = members.projects(glance, target, kind, domain)
        if image.owner != glance.project:
            console.say(out, f"{image.name}: image {image.id} of project {image.owner}")
        if ending:
            _unshare(glance, name, builds, projects, lines)
            return 0
        if image.visibility != "shared":
            raise Error(f"{name} is {image.visibility}; only images with the visibility shared have members")
        for project, title in projects.items():
            if project != image.owner:
                accepted = members.add(glance, image.id, project)
                state = "accepted" if accepted else "invited"
                lines.lines.append((image.name, f"{title} ({project})", f"shared, {state}"))
                console.say(out, f"{image.name}: shared with {title} ({project}), {state}")
    return 0


def _unshare(glance: Glance, name: str, builds: list[Image], projects: dict[str, str], lines: Lines) -> None:
    """Stop sharing all builds: previous builds must not stay visible."""
    from openstack_image_manager.cloud import members
    from openstack_image_manager.errors import Error
    from openstack_image_manager.report import console

    out = console.console()
    shared = [image for image in builds if image.visibility == "shared"]
    if not shared:
        raise Error(f"{name}: no build has the visibility shared; only such images have members")
    member_ids = {image.id: members.members(glance, image.id) for image in shared}
    for project, title in projects.items():
        ended = [
            image for image in shared if project in member_ids[image.id] and members.remove(glance, image.id, project)
        ]
        for image in ended:
            lines.lines.append((image.name, f"{title} ({project})", "no longer shared"))
            console.say(out, f"{image.name}: no longer shared with {title} ({project})")
        if not ended and project != builds[0].owner:
            lines.lines.append((name, f"{title} ({project})", "was not shared"))
            console.say(out, f"{name}: was not shared with {title} ({project})")


def _builds(glance: Glance, tag: str, name: str) -> tuple[Image, list[Image]]:
    """Return the active managed image of the name, and all builds of its definition, that image first."""
    from openstack_image_manager.definitions.diagnostics import suggestion
    from openstack_image_manager.errors import Error, UsageError

    managed = glance.managed(tag, None)
    named = [image for image in managed if image.name == name and image.status == "active"]
    # Any project can use the name and the tag: images of our project come first, and several are an error.
    images = [image for image in named if image.owner == glance.project] or named
    if not images:
        hint = suggestion(name, sorted({image.name for image in managed}))
        raise UsageError(f"cloud '{glance.cloud}': there is no managed image '{name}'{hint}")
    if len(images) > 1:
        several = ", ".join(f"{image.id} of project {image.owner}" for image in images)
        raise Error(f"cloud '{glance.cloud}': several managed images are called '{name}': {several}")
    definition = images[0].properties.get("image_name")
    builds = [image for image in managed if definition and image.properties.get("image_name") == definition]
    others = [image for image in builds if image.owner == images[0].owner]
    return images[0], [images[0], *(image for image in others if image.id != images[0].id)]
