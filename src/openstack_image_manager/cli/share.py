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
Project = Annotated[str | None, typer.Option("--project", metavar="NAME", help="Name or id of one project.")]
Domain = Annotated[
    str | None,
    typer.Option("--domain", metavar="NAME", help="Domain of the project; without --project: all projects of it."),
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
    """Share an image of visibility shared with a project, or with all projects of a domain.

    Newer builds are shared with the same projects. What a definition says under members: wins in the next run. An
    administrator finds images of other projects, too (owner: in definitions).

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
    """End the sharing of an image with a project, or with all projects of a domain.

    Older builds of the same definition, hidden ones too, are no longer shared with it either.

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
        raise UsageError("name --project, or --domain for all of its projects")
    (one,) = cloud_names([cloud] if cloud else None)
    if project is not None:
        return share(one, tag, name, project, "project", domain or "default", ending, reporting)
    return share(one, tag, name, domain or "", "domain", "default", ending, reporting)


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
    """Share the managed image of a name with a project, or with all of a domain, or end that; the exit code."""
    from openstack_image_manager.cloud import members
    from openstack_image_manager.cloud.glance import Glance
    from openstack_image_manager.errors import Error
    from openstack_image_manager.report import console
    from openstack_image_manager.report.content import Lines

    out = console.console()
    with reporting.recording("unshare" if ending else "share") as record, closing(Glance.connect(cloud)) as glance:
        image, builds = _builds(glance, tag, name)
        told = Lines(f"Members of {image.name}")
        record.content = told.content()
        projects = members.projects(glance, target, kind, domain)
        if image.owner != glance.project:
            console.say(out, f"{image.name}: image {image.id} of project {image.owner}")
        if ending:
            _unshare(glance, name, builds, projects, told)
            return 0
        if image.visibility != "shared":
            raise Error(f"{name} is {image.visibility}; only images of visibility shared have members")
        for project, title in projects.items():
            if project != image.owner:
                accepted = members.add(glance, image.id, project)
                state = "accepted" if accepted else "invited"
                told.lines.append((image.name, f"{title} ({project})", f"shared, {state}"))
                console.say(out, f"{image.name}: shared with {title} ({project}), {state}")
    return 0


def _unshare(glance: Glance, name: str, builds: list[Image], projects: dict[str, str], told: Lines) -> None:
    """End the sharing of all builds: whoever shall not see an image has no use for the one before it either."""
    from openstack_image_manager.cloud import members
    from openstack_image_manager.errors import Error
    from openstack_image_manager.report import console

    out = console.console()
    shared = [image for image in builds if image.visibility == "shared"]
    if not shared:
        raise Error(f"{name}: none of its builds is of visibility shared; only such images have members")
    there = {image.id: members.members(glance, image.id) for image in shared}
    for project, title in projects.items():
        ended = [each for each in shared if project in there[each.id] and members.remove(glance, each.id, project)]
        for each in ended:
            told.lines.append((each.name, f"{title} ({project})", "no longer shared"))
            console.say(out, f"{each.name}: no longer shared with {title} ({project})")
        if not ended and project != builds[0].owner:
            told.lines.append((name, f"{title} ({project})", "was not shared"))
            console.say(out, f"{name}: was not shared with {title} ({project})")


def _builds(glance: Glance, tag: str, name: str) -> tuple[Image, list[Image]]:
    """The one active managed image of the name, and all builds of its definition, that one first."""
    from openstack_image_manager.errors import Error, UsageError

    ours = glance.ours(tag, None)
    named = [image for image in ours if image.name == name and image.status == "active"]
    # Any project can call an image like that and give it the tag: our own comes first, and of several we take none.
    images = [image for image in named if image.owner == glance.project] or named
    if not images:
        raise UsageError(f"cloud '{glance.cloud}': one managed image must be called '{name}'; there is none")
    if len(images) > 1:
        found = ", ".join(f"{image.id} of project {image.owner}" for image in images)
        raise Error(f"cloud '{glance.cloud}': one managed image must be called '{name}'; there is {found}")
    definition = images[0].properties.get("image_name")
    builds = [image for image in ours if definition and image.properties.get("image_name") == definition]
    others = [image for image in builds if image.owner == images[0].owner]
    return images[0], [images[0], *(image for image in others if image.id != images[0].id)]
