"""Options that several commands share: each described once, those that belong together in one dataclass."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from openstack_image_manager import defaults
from openstack_image_manager.cli import completion
from openstack_image_manager.cli.groups import Only

if TYPE_CHECKING:
    from openstack_image_manager.apply.import_method import ImportOptions
    from openstack_image_manager.cli.recording import Recording
    from openstack_image_manager.plan import model

_CLOUD = "Default: the OS_* environment (OS_CLOUD, OS_AUTH_URL …), else 'openstack'."
Cloud = Annotated[
    str | None,
    typer.Option("--cloud", metavar="NAME", help=f"Cloud in clouds.yaml. {_CLOUD}", autocompletion=completion.clouds),
]
AllClouds = Annotated[bool, typer.Option("--all-clouds", help="All clouds of clouds.yaml, side by side.")]
DefinitionName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the definition.", autocompletion=completion.definitions)
]
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
Force = Annotated[bool, typer.Option("--force", help="Definitions with enable: false, too.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="Imports at the same time.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan and change nothing.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]
TableFormat = Annotated[Literal["text", "json"], typer.Option("--output", help="Form of what is told.")]
NoteFormat = Annotated[Literal["text", "json", "markdown"], typer.Option("--output", help="Form of what is told.")]
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


@dataclass(frozen=True)
class Clouds:
    """The clouds to work on."""

    cloud: Annotated[
        list[str] | None,
        typer.Option(
            "--cloud",
            metavar="NAME",
            help=f"Cloud in clouds.yaml; for several, give it again. {_CLOUD}",
            autocompletion=completion.clouds,
        ),
    ] = None
    all_clouds: AllClouds = False

    def names(self) -> list[str | None]:
        """The names in clouds.yaml, None: the OS_* environment. Raises UsageError and CloudError."""
        from openstack_image_manager.runs.connect import cloud_names

        return cloud_names(self.cloud, self.all_clouds)


@dataclass(frozen=True)
class Definitions:
    """The definitions to work on."""

    images: Images = defaults.DEFAULT_IMAGES
    name_filter: Filter = None


@dataclass(frozen=True)
class Policy:
    """What to do with images."""

    tag: Tag = defaults.DEFAULT_TAG
    latest: Annotated[bool, typer.Option("--latest", help="Of multi images, bring in the newest version only.")] = False
    keep: Annotated[bool, typer.Option("--keep", help="Leave versions alone that are no longer defined.")] = False
    force: Force = False
    hidden_visibility: Annotated[
        defaults.HiddenVisibility, typer.Option("--hidden-visibility", help="What retired public images become.")
    ] = "community"
    use_os_hidden: Annotated[
        bool, typer.Option("--use-os-hidden", help="Retired images get os_hidden and keep their visibility.")
    ] = False
    outdated: Annotated[
        defaults.Outdated,
        typer.Option("--outdated", help="How far images go that are older than those that stay in sight."),
    ] = "hide"
    grace: Annotated[
        str,
        typer.Option(
            "--grace", metavar="DAYS", help="Days (30 or 30d) that an image stays hidden before it goes further."
        ),
    ] = "0"
    orphans: Annotated[
        defaults.Orphans, typer.Option("--orphans", help="What becomes of managed images that no definition describes.")
    ] = "keep"
    unknown_usage: Annotated[
        defaults.UnknownUsage,
        typer.Option("--unknown-usage", help="Delete even if it can't be seen whether an image is in use."),
    ] = "keep"
    max_deletes: Annotated[
        int, typer.Option("--max-deletes", min=0, metavar="N", help="Refuse a plan that deletes more images than this.")
    ] = 5
    same_ids: Annotated[bool, typer.Option("--same-ids", help="Give a version the same image id in every cloud.")] = (
        False
    )

    def for_plan(self, **changes: Any) -> model.Policy:
        """The policy as the plan takes it, with some `changes`. Raises UsageError."""
        from openstack_image_manager.plan import model

        return model.Policy(**{**asdict(self), "grace": days("--grace", self.grace, 30), **changes})


def days(option: str, text: str, example: int) -> int:
    """The number of days that an option was given, as 30 or 30d. Raises UsageError."""
    from openstack_image_manager.errors import UsageError

    match = re.fullmatch(r"(\d{1,4})d?", text)
    if match is None:
        raise UsageError(f"{option} {text}: give a number of days, like {example} or {example}d")
    return int(match[1])


_VISIBILITY = ("hidden_visibility", "use_os_hidden", "outdated")
# Commands that look at clouds take the options by which hidden images are no drift.
StatusPolicy = Annotated[Policy, Only("tag", "force", "latest", "keep", *_VISIBILITY)]
ImagePolicy = Annotated[Policy, Only("tag", "latest", "keep", *_VISIBILITY)]
ExplainPolicy = Annotated[Policy, Only("tag", "latest", "keep", "force", *_VISIBILITY, "grace", "unknown_usage")]
RollbackPolicy = Annotated[Policy, Only("tag", "keep", *_VISIBILITY)]


@dataclass(frozen=True)
class Imports:
    """How images get into Glance."""

    workers: Workers = 4
    import_method: Annotated[
        defaults.ImportMethod,
        typer.Option(
            "--import-method",
            help="web-download: Glance fetches; glance-direct: through here; auto: what can be verified.",
        ),
    ] = "auto"
    import_timeout: Annotated[
        float, typer.Option("--import-timeout", min=1, metavar="SECONDS", help="Longest time for one import.")
    ] = 1800
    verify_checksum: Annotated[
        bool | None,
        typer.Option(
            "--verify-checksum/--no-verify-checksum",
            help="Insist on verification, or do without. Default: verify whenever there is a checksum.",
        ),
    ] = None
    stuck_retry: Annotated[
        int, typer.Option("--stuck-retry", min=0, max=20, metavar="N", help="Retries of an import that Glance failed.")
    ] = 0

    def for_apply(self) -> ImportOptions:
        """The same as an import takes it."""
        from openstack_image_manager.apply.import_method import ImportOptions

        return ImportOptions(self.import_method, self.verify_checksum, self.import_timeout, self.stuck_retry + 1)


@dataclass(frozen=True)
class Reporting:
    """What a run writes for programs, and what it logs."""

    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write a report to FILE, whose name ends in .json, .md or .xml (JUnit). Can be repeated.",
        ),
    ] = None
    metrics: Annotated[
        Path | None,
        typer.Option(
            "--metrics", metavar="FILE", help="Write metrics for Prometheus to FILE, whose name ends in .prom."
        ),
    ] = None
    debug: Annotated[bool, typer.Option("--debug", help="Show what is asked of the cloud and of the sites.")] = False
    log_format: Annotated[
        defaults.LogFormat,
        typer.Option("--log-format", help="json: what happens as JSON on standard error, one object a line."),
    ] = "text"

    def set_up_log(self) -> None:
        """Log from here on."""
        from openstack_image_manager.report.log import set_up

        set_up(self.debug, self.log_format)

    def recording(self, command: str, output: str = "text") -> AbstractContextManager[Recording]:
        """Write the reports and metrics of a run at its end, with the `output` json also the report to standard output.
        Raises UsageError and Error."""
        from openstack_image_manager.cli.recording import recording

        return recording(command, self.report, self.metrics, prints_json=output == "json")


Report = Annotated[Reporting, Only("report")]
ReportAndDebug = Annotated[Reporting, Only("report", "debug")]
ReportAndLog = Annotated[Reporting, Only("report", "debug", "log_format")]
Log = Annotated[Reporting, Only("debug", "log_format")]
Debug = Annotated[Reporting, Only("debug")]
