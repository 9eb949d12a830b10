"""`share` and `unshare`, and the --share-* options of the root command."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options as given

if TYPE_CHECKING:
    from openstack_image_manager.glance import Glance
    from openstack_image_manager.model import Image


Name = Annotated[str, typer.Argument(metavar="NAME", help="Name of the image in Glance.")]
Project = Annotated[str | None, typer.Option("--project", metavar="NAME", help="Name or id of one project.")]
Domain = Annotated[
    str | None,
    typer.Option("--domain", metavar="NAME", help="Domain of the project; without --project: all projects of it."),
]


def register(app: typer.Typer) -> None:
    """Add both commands to the application."""
    app.command("share")(share_command)
    app.command("unshare")(unshare_command)


def share_command(
    name: Name,
    project: Project = None,
    domain: Domain = None,
    cloud: given.Cloud = None,
    tag: given.Tag = given.TAG,
    report: given.Reports = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """Share an image of visibility shared with a project, or with all projects of a domain.

    Newer builds are shared with the same projects. What a definition says under members: wins in the next run.

    \b
    Example:
      openstack-image-manager share "Ubuntu 24.04" --project shop --cloud openstack
    """
    _set_up(debug, log_format)
    raise typer.Exit(_command(name, project, domain, cloud, tag, report, ending=False))


def unshare_command(
    name: Name,
    project: Project = None,
    domain: Domain = None,
    cloud: given.Cloud = None,
    tag: given.Tag = given.TAG,
    report: given.Reports = None,
    debug: given.Debug = False,
    log_format: given.LogFormat = given.LogForm.TEXT,
) -> None:
    """End the sharing of an image with a project, or with all projects of a domain.

    \b
    Example:
      openstack-image-manager unshare "Ubuntu 24.04" --domain customers --cloud openstack
    """
    _set_up(debug, log_format)
    raise typer.Exit(_command(name, project, domain, cloud, tag, report, ending=True))


def _set_up(debug: bool, log_format: given.LogForm) -> None:
    from openstack_image_manager.cli.logs import set_up

    set_up(debug, log_format.value)


def _command(
    name: str,
    project: str | None,
    domain: str | None,
    cloud: str | None,
    tag: str,
    reports: list[Path] | None,
    ending: bool,
) -> int:
    from openstack_image_manager.cli.request import cloud_names
    from openstack_image_manager.errors import UsageError

    if project is None and domain is None:
        raise UsageError("name --project, or --domain for all of its projects")
    (one,) = cloud_names([cloud] if cloud else None)
    if project is not None:
        return share(one, tag, name, project, "project", domain or "default", ending, reports)
    return share(one, tag, name, domain or "", "domain", "default", ending, reports)


def share(
    cloud: str | None,
    tag: str,
    name: str,
    target: str,
    kind: str,
    domain: str,
    ending: bool,
    reports: list[Path] | None = None,
) -> int:
    """Share the managed image of a name with a project, or with all of a domain, or end that; the exit code."""
    from openstack_image_manager import members
    from openstack_image_manager.cli.content import Lines
    from openstack_image_manager.cli.recording import recording
    from openstack_image_manager.glance import Glance

    with recording("unshare" if ending else "share", reports) as record, closing(Glance.connect(cloud)) as glance:
        image = _image(glance, tag, name)
        told = Lines(f"Members of {image.name}")
        record.content = told.content()
        for project, title in members.projects(glance, target, kind, domain).items():
            if project == image.owner:
                continue
            if ending:
                state = "no longer shared" if members.remove(glance, image.id, project) else "was not shared"
            else:
                state = f"shared, {'accepted' if members.add(glance, image.id, project) else 'invited'}"
            told.lines.append((image.name, f"{title} ({project})", state))
            verb, _, more = state.partition(",")
            typer.echo(f"{image.name}: {verb} with {title} ({project}){',' if more else ''}{more}")
    return 0


def _image(glance: Glance, tag: str, name: str) -> Image:
    from openstack_image_manager.errors import Error

    named = [image for image in glance.list(tag) if image.name == name and image.status == "active"]
    images = [image for image in named if image.owner == glance.project]
    if len(images) != 1:
        found = ", ".join(image.id for image in images) or "none"
        raise Error(f"cloud '{glance.cloud}': one managed image must be called '{name}'; there is {found}")
    if images[0].visibility != "shared":
        raise Error(f"{name} is {images[0].visibility}; only images of visibility shared have members")
    return images[0]
