"""`show` describes one definition and its images in every cloud."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from openstack_image_manager.cli import options
from openstack_image_manager.cli.groups import with_groups
from openstack_image_manager.defaults import DEFAULT_IMAGES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from openstack_image_manager.model import Image
    from openstack_image_manager.report.status import Row
    from openstack_image_manager.runs.run import Clouds

HEAD = ("Version", "Name", "Status", "Visibility", "Built", "State", "Verified", "ID")


def register(app: typer.Typer) -> None:
    """Add the command to the application."""
    app.command("show")(with_groups(show_command))


def show_command(
    *,
    name: options.DefinitionName,
    clouds: options.Clouds,
    images: options.Images = DEFAULT_IMAGES,
    policy: options.ImagePolicy,
    output: options.TableFormat = "text",
    log: options.Log,
) -> None:
    """Show one definition and each of its versions in every cloud.

    \b
    Example:
      openstack-image-manager show "Ubuntu 24.04" --all-clouds --images images/
    """
    from openstack_image_manager.cli.request import exact_filter, find_definition, requests
    from openstack_image_manager.report import console, inventory, status
    from openstack_image_manager.report.log import say
    from openstack_image_manager.report.output import print_json
    from openstack_image_manager.runs.planned import planned_clouds

    log.set_up_log()
    definition, position = find_definition(name, images)
    now = datetime.now(UTC)
    with planned_clouds(requests(clouds, images, exact_filter(name), policy.for_plan(force=True))) as planned:
        rows = {
            cloud.glance.cloud: status.rows(cloud.plan, cloud.definitions, cloud.images, now) for cloud in planned.ready
        }
        failed = {name: str(error) for name, error in planned.failed.items()}
        if output == "json":
            about = inventory.described(definition, position)
            print_json({"definition": about, "clouds": _data(planned, rows), "failed": failed})
        else:
            out = console.console()
            console.heading(name, out)
            console.pairs(inventory.details(definition, position), out)
            for cloud in planned.ready:
                console.heading(f"Cloud {cloud.glance.cloud}", out)
                by_id = {image.id: image for image in cloud.images}
                console.table([HEAD, *(_cells(row, by_id) for row in rows[cloud.glance.cloud])], out)
                console.findings(cloud.plan.findings, out)
            for error in failed.values():
                say("error", error)
        code = 1 if planned.has_errors else 0
    raise typer.Exit(code)


def _cells(row: Row, images: Mapping[str, Image]) -> tuple[str, ...]:
    image = images.get(row.id or "")
    seen = "" if image is None else image.visibility + (", hidden" if image.hidden else "")
    status, built = image.status if image else "", row.built or "unknown"
    return row.version, row.name, status, seen, built, row.words, row.verified[:40], row.id or ""


def _data(planned: Clouds, rows: Mapping[str, Sequence[Row]]) -> dict[str, list[dict[str, object]]]:
    """Return the rows of status with more fields of each image."""
    from dataclasses import asdict

    data = {}
    for cloud in planned.ready:
        by_id = {image.id: image for image in cloud.images}
        data[cloud.glance.cloud] = [
            {**asdict(row), **_image(by_id.get(row.id or ""))} for row in rows[cloud.glance.cloud]
        ]
    return data


def _image(image: Image | None) -> dict[str, object]:
    if image is None:
        return {}
    names = ("status", "visibility", "hidden", "protected", "owner", "created_at")
    sizes = ("size", "virtual_size", "disk_format")
    return {name: getattr(image, name) for name in (*names, *sizes)} | {"tags": sorted(image.tags)}
