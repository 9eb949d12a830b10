"""`catalogue build` writes a website for tenants."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_TAG, EOL_URL

if TYPE_CHECKING:
    from collections.abc import Sequence

    from openstack_image_manager.definitions.loader import Loaded
    from openstack_image_manager.endoflife.data import Source
    from openstack_image_manager.model import Finding, Image
    from openstack_image_manager.site.model import Site


def register(app: typer.Typer) -> None:
    """Add the command to `catalogue`."""
    app.command("build")(with_groups(build))


def build(
    *,
    site: Annotated[Path, typer.Argument(metavar="SITE", help="New or empty directory, or an existing site.")],
    clouds: options.Clouds,
    definitions: options.Definitions,
    tag: options.Tag = DEFAULT_TAG,
    title: Annotated[
        str | None, typer.Option("--title", metavar="TEXT", help="Title of the site. Default: Images of CLOUD.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="URL of the site, for links in its Atom feed."),
    ] = None,
    eol_data: options.EolData = None,
    eol_url: options.EolUrl = EOL_URL,
    reporting: options.ReportAndDebug,
) -> None:
    """Write a static website for tenants: images, ids, checksums, end of life.

    It shows active public and community images of the definitions, except hidden ones. If a cloud cannot be reached,
    the site stays as it is. Exit code 1 also if a cloud does not know the owner in a definition: community images may
    be missing.

    \b
    Example:
      openstack-image-manager catalogue build site/ --cloud openstack --images images/
    """
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.definitions.model import public_url
    from openstack_image_manager.endoflife import data
    from openstack_image_manager.errors import Error
    from openstack_image_manager.report import console
    from openstack_image_manager.site import writer
    from openstack_image_manager.site.pages import pages
    from openstack_image_manager.site.report import of_site, site_line

    reporting.set_up_log()
    _check_url(url)
    with reporting.recording("catalogue build") as record:
        source = data.from_url(eol_url) if eol_data is None else data.from_files(eol_data)
        writer.check(site)
        loaded = load(definitions.images, name_filter=definitions.name_filter)
        images, errors = _list_images(clouds.names(), loaded, tag)
        site_data, unknown = _survey(title, loaded, images, source)
        findings = [*errors, *unknown]
        record.content = of_site(site_data, site, findings)
        console.findings(findings, console.console(stderr=True))
        if not site_data.distributions:
            raise Error(
                f"{', '.join(images)}: no image of these definitions is visible to every tenant: it must be public or "
                f"community, active, and have the tag {tag}; {site} stays as it is"
            )
        texts, notice = writer.texts(), data.catalogue().notice
        result = writer.write(site, pages(site_data, texts, notice, public_url(url) if url else None))
        record.content = of_site(site_data, site, findings, result)
        typer.echo(site_line(site_data, site, result))
        raise typer.Exit(1 if any(finding.level == "error" for finding in errors) else 0)


def _check_url(url: str | None) -> None:
    from urllib.parse import urlsplit

    from openstack_image_manager.definitions import values
    from openstack_image_manager.errors import UsageError

    try:
        is_valid = url is None or urlsplit(values.url(url)).scheme in ("http", "https")
    except ValueError:
        is_valid = False
    if not is_valid:
        raise UsageError("--url is not a URL that begins with http:// or https://")


def _list_images(
    clouds: Sequence[str | None], loaded: Loaded, tag: str
) -> tuple[dict[str, Sequence[Image]], list[Finding]]:
    """Return images and findings of each cloud. Raises the Error of the first cloud that fails; of several clouds, an
    unknown one failed."""
    from openstack_image_manager.background import results_or_errors
    from openstack_image_manager.errors import CloudError, Error, UnknownCloudError
    from openstack_image_manager.site import clouds as look

    images: dict[str, Sequence[Image]] = {}
    findings: list[Finding] = []
    for answer in results_or_errors(lambda cloud: look.images(cloud, loaded.definitions, tag), clouds):
        if isinstance(answer, UnknownCloudError) and len(clouds) > 1:
            raise CloudError(str(answer))
        if isinstance(answer, Error):
            raise answer
        name, images[name], cloud_findings = answer
        findings += cloud_findings
    return images, findings


def _survey(
    title: str | None, loaded: Loaded, images: dict[str, Sequence[Image]], source: Source
) -> tuple[Site, list[Finding]]:
    """Return the data of the site. Without end-of-life data of a product, the properties of its images are used."""
    from datetime import UTC, datetime

    from openstack_image_manager.endoflife import data
    from openstack_image_manager.model import Finding
    from openstack_image_manager.site import clouds as look
    from openstack_image_manager.site.survey import Knowledge, products, survey

    catalogue = data.catalogue()
    releases, failed = data.load(products(catalogue, loaded.definitions, images), source)
    knowledge = Knowledge(catalogue, releases, look.signers())
    heading = title or f"Images of {', '.join(images)}"
    site_data = survey(heading, loaded.definitions, images, knowledge, datetime.now(UTC), loaded.left_out)
    message = "its end of life is unknown"
    return site_data, [Finding("warning", name, f"{message}: {error}") for name, error in failed.items()]
