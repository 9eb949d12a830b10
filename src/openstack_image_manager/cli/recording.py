"""Write reports and metrics at the end of every run, also of one that fails."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from openstack_image_manager.report.content import Content
    from openstack_image_manager.report.metrics import CloudMetrics
    from openstack_image_manager.runs.run import Clouds

SUFFIXES = (".json", ".md", ".xml")


@dataclass
class Recording:
    """Values for the reports and metrics of a run. `content`: for reports. `failures`: classes of failures that belong
    to no cloud. `max_age`: see `status.rows`."""

    command: str
    reports: Sequence[Path] = ()
    metrics: Path | None = None
    prints_json: bool = False
    content: Content | None = None
    max_age: int | None = None
    _clouds: Clouds | None = None
    _applies: bool = False
    down: tuple[CloudMetrics, ...] = ()
    failures: list[str] = field(default_factory=list)

    @property
    def is_needed(self) -> bool:
        """True if anything is written at the end."""
        return bool(self.reports) or self.prints_json or self.metrics is not None

    def about(self, clouds: Clouds, applies: bool) -> None:
        """Report on these clouds and, if the run `applies` their plans, on the results."""
        if not self.is_needed:
            return
        from openstack_image_manager.runs import report

        self.content = report.of_clouds(clouds, applies)
        self._clouds, self._applies = clouds, applies

    def look_again(self, clouds: Clouds) -> None:
        """Plan the clouds again after changes, for metrics."""
        from openstack_image_manager.runs.run import plan_again

        if self.metrics is not None:
            plan_again(clouds)

    def measured(self) -> Sequence[CloudMetrics]:
        """Return the metrics of the clouds."""
        from openstack_image_manager.report import status
        from openstack_image_manager.runs import report

        if self._clouds is None:
            return self.down
        now = datetime.now(UTC)
        return report.metrics(
            self._clouds,
            self._applies,
            lambda planned: status.rows(planned.plan, planned.definitions, planned.images, now, self.max_age),
        )


@contextmanager
def recording(
    command: str, reports: list[Path] | None, metrics: Path | None = None, prints_json: bool = False
) -> Iterator[Recording]:
    """Check that all files can be written, and write them at the end, also after a failure, crash or interrupt. Raises
    UsageError and Error."""
    from openstack_image_manager import files

    record = Recording(command, tuple(reports or ()), metrics, prints_json)
    for path in record.reports:
        files.check_writable(path, SUFFIXES, "--report")
    if metrics is not None:
        files.check_writable(metrics, (".prom",), "--metrics")
    started, begun = time.time(), time.monotonic()
    code, error = 0, ""
    try:
        yield record
    except typer.Exit as end:
        code = end.exit_code
        raise
    except BaseException as failure:
        code, error = _end(failure, record)
        raise
    finally:
        if record.is_needed:
            _write(record, started, time.monotonic() - begun, code, error)


def _end(failure: BaseException, record: Recording) -> tuple[int, str]:
    """Return the exit code and the message of a run that an exception ends."""
    from openstack_image_manager.errors import Error

    if isinstance(failure, Error):
        if failure.cloud is None:
            record.failures.append(failure.kind)
        else:
            from openstack_image_manager.report.metrics import CloudMetrics

            record.down = (CloudMetrics(failure.cloud, failures=(failure.kind,)),)
        return failure.exit_code, str(failure)
    if isinstance(failure, KeyboardInterrupt):
        return 130, "interrupted"
    if isinstance(failure, typer.Abort):
        return 1, "not confirmed; nothing was done"
    record.failures.append("other")
    return 1, f"crashed: {type(failure).__name__}"


def _write(record: Recording, started: float, seconds: float, code: int, error: str) -> None:
    from openstack_image_manager import files

    texts = {".json": _json, ".md": _markdown, ".xml": _junit}
    for path in record.reports:
        files.write(path, texts[path.suffix](record, started, seconds, code, error))
    if record.metrics is not None:
        from openstack_image_manager.report.metrics import RunMetrics, exposition

        # Findings (3) are not failures.
        clouds = record.measured()
        complete = code in (0, 3) and not record.failures and all(cloud.complete for cloud in clouds)
        former = files.read(record.metrics)
        run = RunMetrics(record.command, started, seconds, code, complete, clouds, record.failures, former)
        files.write(record.metrics, exposition(run))
    if record.prints_json:
        sys.stdout.write(_json(record, started, seconds, code, error))
        sys.stdout.flush()


def _json(record: Recording, started: float, seconds: float, code: int, error: str) -> str:
    from openstack_image_manager import __version__
    from openstack_image_manager.report.output import as_json

    envelope = {
        "command": record.command,
        "version": __version__,
        "started": datetime.fromtimestamp(started, UTC).isoformat(timespec="seconds"),
        "seconds": round(seconds, 3),
        "exit_code": code,
        "error": error or None,
    }
    data = record.content.data() if record.content else {}
    return as_json({**envelope, **data}) + "\n"


def _markdown(record: Recording, _started: float, _seconds: float, code: int, error: str) -> str:
    from openstack_image_manager.report.console import markdown

    text = record.content.markdown() if record.content else ""
    end = f"**error** {markdown(error)}\n" if error else ""
    parts = [text, end, f"`{record.command}` ended with exit code {code}.\n"]
    return "\n".join(part for part in parts if part)


def _junit(record: Recording, _started: float, seconds: float, code: int, error: str) -> str:
    from openstack_image_manager.report.junit import Case, suite

    cases = record.content.cases() if record.content else ()
    if code not in (0, 3) and not any(case.failure for case in cases):
        error = error or f"ended with exit code {code}"
    # A failed run must not look like a run without changes.
    return suite(
        f"openstack-image-manager {record.command}",
        [*cases, Case("run", record.command, failure=error or None, seconds=seconds)],
    )
