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

_CLOUD = "Default: OS_* variables, else 'openstack'."
Cloud = Annotated[
    str | None,
    typer.Option("--cloud", metavar="NAME", help=f"Cloud in clouds.yaml. {_CLOUD}", autocompletion=completion.clouds),
]
AllClouds = Annotated[bool, typer.Option("--all-clouds", help="All clouds and regions in clouds.yaml, in parallel.")]
DefinitionName = Annotated[
    str, typer.Argument(metavar="NAME", help="Name of the definition.", autocompletion=completion.definitions)
]
Images = Annotated[
    str,
    typer.Option(
        "--images",
        metavar="PATH",
        help="Definitions: directory, file, pattern (**), catalogue:[FILE].",
    ),
]
Filter = Annotated[
    str | None, typer.Option("--filter", metavar="REGEX", help="Only definitions whose name matches REGEX.")
]


def _tag(tag: str) -> str:
    """Check that Glance can keep the tag and search for it. Raises BadParameter."""
    if not tag.strip() or "," in tag or len(tag) > 255 or max(tag) > "\uffff" or not tag.isprintable():
        raise typer.BadParameter("must have 1 to 255 printable characters, without comma or emoji")
    return tag


Tag = Annotated[str, typer.Option("--tag", metavar="TAG", help="Tag of managed images.", callback=_tag)]
Force = Annotated[bool, typer.Option("--force", help="Also definitions with enable: false.")]
Workers = Annotated[int, typer.Option("--workers", min=1, max=64, metavar="N", help="Imports in parallel.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Show the plan without changing anything.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Apply without asking.")]
TableFormat = Annotated[Literal["text", "json"], typer.Option("--output", help="Output format.")]
NoteFormat = Annotated[Literal["text", "json", "markdown"], typer.Option("--output", help="Output format.")]
EolData = Annotated[
    Path | None,
    typer.Option(
        "--eol-data",
        metavar="PATH",
        help="Local endoflife.date data: PRODUCT.json files or one file.",
    ),
]
EolUrl = Annotated[
    str, typer.Option("--eol-url", metavar="URL", help="Base URL of endoflife.date data (URL/PRODUCT/).")
]


@dataclass(frozen=True)
class Clouds:
    """Which clouds to work on."""

    cloud: Annotated[
        list[str] | None,
        typer.Option(
            "--cloud",
            metavar="NAME",
            help=f"Cloud in clouds.yaml; can be repeated. {_CLOUD}",
            autocompletion=completion.clouds,
        ),
    ] = None
    all_clouds: AllClouds = False
    region: Annotated[
        str | None, typer.Option("--region", metavar="NAME", help="Region of the clouds. Default: OS_REGION_NAME.")
    ] = None

    def names(self) -> list[str | None]:
        """Return names in clouds.yaml; None: the OS_* variables. Raises UsageError and CloudError."""
        from openstack_image_manager.runs.connect import cloud_names

        return cloud_names(self.cloud, self.all_clouds, self.region)


@dataclass(frozen=True)
class Definitions:
    """Which definitions to work on."""

    images: Images = defaults.DEFAULT_IMAGES
    name_filter: Filter = None


@dataclass(frozen=True)
class Policy:
    """What to do with images."""

    tag: Tag = defaults.DEFAULT_TAG
    latest: Annotated[bool, typer.Option("--latest", help="Import only the newest version of multi images.")] = False
    keep: Annotated[bool, typer.Option("--keep", help="Keep versions that are no longer defined.")] = False
    force: Force = False
    hidden_visibility: Annotated[
        defaults.HiddenVisibility, typer.Option("--hidden-visibility", help="Visibility of public images once hidden.")
    ] = "community"
    use_os_hidden: Annotated[
        bool, typer.Option("--use-os-hidden", help="Hide with os_hidden; keep the visibility.")
    ] = False
    outdated: Annotated[
        defaults.Outdated,
        typer.Option("--outdated", help="What to do with outdated images."),
    ] = "hide"
    retire_expired: Annotated[
        bool, typer.Option("--retire-expired", help="Past provided_until: import none, all are outdated.")
    ] = False
    grace: Annotated[
        str,
        typer.Option("--grace", metavar="DAYS", help="Days (30 or 30d) from one stage to the next."),
    ] = "0"
    orphans: Annotated[
        defaults.Orphans, typer.Option("--orphans", help="What to do with images without a definition.")
    ] = "keep"
    end_promise: Annotated[
        list[str] | None,
        typer.Option("--end-promise", metavar="NAME", help="End what images of a gone definition promise (repeat)."),
    ] = None
    unknown_usage: Annotated[
        defaults.UnknownUsage,
        typer.Option("--unknown-usage", help="What to do with images if their usage is unknown."),
    ] = "keep"
    max_deletes: Annotated[
        int, typer.Option("--max-deletes", min=0, metavar="N", help="Refuse plans that delete more images.")
    ] = 5
    same_ids: Annotated[bool, typer.Option("--same-ids", help="Use the same image id in every cloud.")] = False

    def for_plan(self, **changes: Any) -> model.Policy:
        """Convert to the policy of a plan, with some `changes`. Raises UsageError."""
        from openstack_image_manager.errors import UsageError
        from openstack_image_manager.plan import model

        ended = tuple(self.end_promise or ())
        if ended and self.orphans == "keep":
            raise UsageError("--end-promise needs --orphans hide or --orphans delete, which say what happens then")
        options = {**asdict(self), "grace": days("--grace", self.grace, 30), "end_promise": ended}
        return model.Policy(**{**options, **changes})


def days(option: str, text: str, example: int) -> int:
    """Parse days such as 30 or 30d. Raises UsageError."""
    from openstack_image_manager.errors import UsageError

    match = re.fullmatch(r"(\d{1,4})d?", text)
    if match is None:
        raise UsageError(f"{option} {text}: give a number of days, like {example} or {example}d")
    return int(match[1])


_VISIBILITY = ("hidden_visibility", "use_os_hidden", "outdated")
# Commands that look at clouds take the options that a run has, so that hidden images are not drift.
StatusPolicy = Annotated[Policy, Only("tag", "force", "latest", "keep", *_VISIBILITY, "retire_expired")]
ImagePolicy = Annotated[Policy, Only("tag", "latest", "keep", *_VISIBILITY)]
ExplainPolicy = Annotated[
    Policy, Only("tag", "latest", "keep", "force", *_VISIBILITY, "retire_expired", "grace", "unknown_usage")
]
RollbackPolicy = Annotated[Policy, Only("tag", "keep", *_VISIBILITY)]


@dataclass(frozen=True)
class Imports:
    """How images get into Glance."""

    workers: Workers = 4
    import_method: Annotated[
        defaults.ImportMethod,
        typer.Option(
            "--import-method",
            help="How images get into Glance; auto: whichever can be verified.",
        ),
    ] = "auto"
    import_timeout: Annotated[
        float, typer.Option("--import-timeout", min=1, metavar="SECONDS", help="Time limit for one import.")
    ] = 1800
    verify_checksum: Annotated[
        bool | None,
        typer.Option(
            "--verify-checksum/--no-verify-checksum",
            help="Require or skip verification. Default: verify if possible.",
        ),
    ] = None
    stuck_retry: Annotated[
        int, typer.Option("--stuck-retry", min=0, max=20, metavar="N", help="Retries if Glance fails an import.")
    ] = 0

    def for_apply(self) -> ImportOptions:
        """Convert to the options of imports."""
        from openstack_image_manager.apply.import_method import ImportOptions

        return ImportOptions(self.import_method, self.verify_checksum, self.import_timeout, self.stuck_retry + 1)


@dataclass(frozen=True)
class Reporting:
    """Reports, metrics and logs of a run."""

    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            help="Also write a report to FILE (.json, .md, .xml for JUnit). Can be repeated.",
        ),
    ] = None
    metrics: Annotated[
        Path | None,
        typer.Option("--metrics", metavar="FILE", help="Write Prometheus metrics to FILE (.prom)."),
    ] = None
    debug: Annotated[bool, typer.Option("--debug", help="Log requests to clouds and download sites.")] = False
    log_format: Annotated[
        defaults.LogFormat,
        typer.Option("--log-format", help="Log format; json: an object per line on standard error."),
    ] = "text"

    def set_up_log(self) -> None:
        """Start to log."""
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
