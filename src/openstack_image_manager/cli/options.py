"""Options that several commands share, each described once."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from openstack_image_manager.cli import completion
from openstack_image_manager.defaults import DEFAULT_IMAGES, DEFAULT_TAG


class Visibility(StrEnum):
    """Where a retired public image goes."""

    COMMUNITY = "community"
    PRIVATE = "private"
    SHARED = "shared"


class Outdated(StrEnum):
    """How far outdated images go."""

    KEEP = "keep"
    HIDE = "hide"
    DEACTIVATE = "deactivate"
    DELETE = "delete"


class Orphans(StrEnum):
    """How far images without a definition go."""

    KEEP = "keep"
    HIDE = "hide"
    DELETE = "delete"


class UnknownUsage(StrEnum):
    """What happens to images of which nobody knows whether they are in use."""

    KEEP = "keep"
    DELETE = "delete"


class Output(StrEnum):
    """Forms of a plan."""

    TEXT = "text"
    JSON = "json"
    MARKDOWN = "markdown"


class Form(StrEnum):
    """Forms of a table."""

    TEXT = "text"
    JSON = "json"


class ListForm(StrEnum):
    """Forms of the list of definitions."""

    TEXT = "text"
    JSON = "json"
    RST = "rst"


class LogForm(StrEnum):
    """Forms of what is logged."""

    TEXT = "text"
    JSON = "json"


class ImportMethod(StrEnum):
    """Ways into Glance."""

    AUTO = "auto"
    WEB_DOWNLOAD = "web-download"
    GLANCE_DIRECT = "glance-direct"


class Prefetch(StrEnum):
    """When the bytes pass through this machine."""

    NEVER = "never"
    ON_STUCK = "on-stuck"
    ALWAYS = "always"


class ShareAction(StrEnum):
    """Invite or remove."""

    ADD = "add"
    DELETE = "del"


class ShareType(StrEnum):
    """Whom an image is shared with."""

    PROJECT = "project"
    DOMAIN = "domain"


_CLOUD = "Default: the OS_* environment (OS_CLOUD, OS_AUTH_URL …), else 'openstack'."
Cloud = Annotated[
    str | None,
    typer.Option("--cloud", metavar="NAME", help=f"Cloud in clouds.yaml. {_CLOUD}", autocompletion=completion.clouds),
]
Definition = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the definition.", autocompletion=completion.definitions)
]
Clouds = Annotated[
    list[str] | None,
    typer.Option(
        "--cloud",
        metavar="NAME",
        help=f"Cloud in clouds.yaml; for several, give it again. {_CLOUD}",
        autocompletion=completion.clouds,
    ),
]
AllClouds = Annotated[bool, typer.Option("--all-clouds", help="All clouds of clouds.yaml, side by side.")]
SameIds = Annotated[bool, typer.Option("--same-ids", help="Give a version the same image id in every cloud.")]
Images = Annotated[
    str,
    typer.Option(
        "--images",
        metavar="PATH",
        help="Definitions: a directory, a file, a pattern with **, or the shipped ones: catalogue: or catalogue:FILE.",
    ),
]
Filter = Annotated[
    str | None, typer.Option("--filter", metavar="REGEX", help="Only definitions whose name matches (a search).")
]


def _tag(tag: str) -> str:
    """A tag that Glance can keep, and that can be asked for. Raises BadParameter."""
    if not tag.strip() or "," in tag or len(tag) > 255 or max(tag) > "\uffff" or not tag.isprintable():
        raise typer.BadParameter("must have 1 to 255 characters that can be seen, and no comma or emoji")
    return tag


Tag = Annotated[str, typer.Option("--tag", metavar="TAG", help="The tag that managed images carry.", callback=_tag)]
Latest = Annotated[bool, typer.Option("--latest", help="Of multi images, bring in the newest version only.")]
Keep = Annotated[bool, typer.Option("--keep", help="Leave versions alone that are no longer defined.")]
Force = Annotated[bool, typer.Option("--force", help="Definitions with enable: false, too.")]
HiddenVisibility = Annotated[Visibility, typer.Option("--hidden-visibility", help="What retired public images become.")]
UseOsHidden = Annotated[
    bool, typer.Option("--use-os-hidden", help="Retired images get os_hidden and keep their visibility.")
]
OutdatedOption = Annotated[
    Outdated, typer.Option("--outdated", help="How far images go that are older than those that stay in sight.")
]
Grace = Annotated[
    str,
    typer.Option("--grace", metavar="DAYS", help="Days (30 or 30d) that an image stays hidden before it goes further."),
]
OrphansOption = Annotated[
    Orphans, typer.Option("--orphans", help="What becomes of managed images that no definition describes.")
]
UnknownUsageOption = Annotated[
    UnknownUsage, typer.Option("--unknown-usage", help="Delete even if it can't be seen whether an image is in use.")
]
MaxDeletes = Annotated[
    int, typer.Option("--max-deletes", min=0, metavar="N", help="Refuse a plan that deletes more images than this.")
]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="Imports at the same time.")]
Method = Annotated[
    ImportMethod,
    typer.Option(
        "--import-method", help="web-download: Glance fetches; glance-direct: through here; auto: what can be verified."
    ),
]
Timeout = Annotated[
    float, typer.Option("--import-timeout", min=1, metavar="SECONDS", help="Longest time for one import.")
]
VerifyChecksum = Annotated[
    bool | None,
    typer.Option(
        "--verify-checksum/--no-verify-checksum",
        help="Insist on verification, or do without. Default: verify whenever there is a checksum.",
    ),
]
StuckRetry = Annotated[
    int, typer.Option("--stuck-retry", min=0, max=20, metavar="N", help="Retries of an import that Glance failed.")
]
Debug = Annotated[bool, typer.Option("--debug", help="Show what is asked of the cloud and of the sites.")]
LogFormat = Annotated[
    LogForm, typer.Option("--log-format", help="json: what happens as JSON on standard error, one object a line.")
]
Reports = Annotated[
    list[Path] | None,
    typer.Option(
        "--report",
        metavar="FILE",
        help="Also write a report to FILE, whose name ends in .json, .md or .xml (JUnit). Can be repeated.",
    ),
]
Metrics = Annotated[
    Path | None,
    typer.Option("--metrics", metavar="FILE", help="Write metrics for Prometheus to FILE, whose name ends in .prom."),
]
EolData = Annotated[
    Path | None,
    typer.Option(
        "--eol-data",
        metavar="PATH",
        help="Documents of endoflife.date kept here: a directory with PRODUCT.json, or one file with several.",
    ),
]
EolUrl = Annotated[
    str, typer.Option("--eol-url", metavar="URL", help="Where the documents are fetched from: URL/PRODUCT/.")
]
IMAGES = DEFAULT_IMAGES
TAG = DEFAULT_TAG
