"""Write metrics of a run for the textfile collector of Prometheus' node_exporter.

Format: https://prometheus.io/docs/instrumenting/exposition_formats/#text-based-format
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from openstack_image_manager.errors import KINDS
from openstack_image_manager.plan.model import Create, Delete, Plan
from openstack_image_manager.report.status import IN_PLACE_OF, Row

if TYPE_CHECKING:
    from prometheus_client.metrics_core import Metric

PREFIX = "openstack_image_manager_"
Labels = Mapping[str, str]
HELP = {
    "last_run_timestamp_seconds": "Time of the last run.",
    "last_success_timestamp_seconds": "Time of the last run without an error.",
    "run_duration_seconds": "Duration of the last run.",
    "run_exit_code": "Exit code of the last run.",
    "failures": "Failures of the last run by class.",
    "cloud_up": "1 if the cloud could be read, else 0.",
    "definitions": "Definitions for the cloud.",
    "images": "Managed images in the cloud.",
    "pending_changes": "Pending changes: the drift between definitions and cloud.",
    "findings": "Notes, warnings and errors of the plan.",
    "verified_images": "Usable images by verification: yes, no, or unknown.",
    "build_timestamp_seconds": "Day on which the current build of a definition was built.",
    "build_due_timestamp_seconds": "Day on which a newer build is due.",
    "rolled_back": "1 if a rollback holds the current build in place of a newer one, else 0.",
    "build_overdue": "1 if a newer build is overdue, else 0.",
}
_LAST_SUCCESS = f"{PREFIX}last_success_timestamp_seconds"


@dataclass(frozen=True, slots=True)
class CloudMetrics:
    """One cloud in the run. `plan` and `rows`: its current state; None and empty if it could not be read. `failures`:
    the class of each failure."""

    name: str
    plan: Plan | None = None
    rows: Sequence[Row] = ()
    failures: Sequence[str] = ()
    complete: bool = False


@dataclass(frozen=True, slots=True)
class RunMetrics:
    """One run of a command. Times in seconds. `failures`: classes of errors that ended the run; `former`: the file of
    the previous run."""

    command: str
    started: float
    seconds: float
    exit_code: int
    complete: bool
    clouds: Sequence[CloudMetrics] = ()
    failures: Sequence[str] = ()
    former: str = ""


class _Metrics:
    """Samples by the name of their metric, as a collector of prometheus_client."""

    def __init__(self) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}

    def add(self, name: str, value: float, **labels: str) -> None:
        self._samples.setdefault(name, []).append((labels, round(value, 3)))

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.metrics_core import GaugeMetricFamily

        for name in filter(self._samples.__contains__, HELP):
            family = GaugeMetricFamily(PREFIX + name, HELP[name])
            for labels, value in self._samples[name]:
                family.add_sample(PREFIX + name, dict(labels), value)  # their labels are not always the same
            yield family

    def text(self) -> str:
        from prometheus_client import CollectorRegistry, generate_latest

        registry = CollectorRegistry()
        registry.register(self)
        return generate_latest(registry).decode()


def exposition(run: RunMetrics) -> str:
    """Return the whole file. The label `command` of each series keeps files of several commands apart."""
    metrics = _Metrics()
    here = {"command": run.command}
    metrics.add("last_run_timestamp_seconds", run.started, **here)
    metrics.add("run_duration_seconds", run.seconds, **here)
    metrics.add("run_exit_code", run.exit_code, **here)
    _failures(metrics, run.failures, here)
    for cloud in run.clouds:
        _cloud(metrics, cloud, {**here, "cloud": cloud.name})
    for labels, moment in _successes(run):
        metrics.add("last_success_timestamp_seconds", moment, **labels)
    return metrics.text()


def _successes(run: RunMetrics) -> Iterable[tuple[dict[str, str], float]]:
    """Return the last success: now, or the one in the file of the previous run."""
    successes = {cloud.name: run.started + run.seconds for cloud in run.clouds if cloud.complete}
    if run.complete:
        successes[""] = run.started + run.seconds
    clouds = {"", *(cloud.name for cloud in run.clouds)}
    previous = {
        labels.get("cloud", ""): time
        for labels, time in last_successes(run.former)
        if labels.get("command") == run.command and (not run.clouds or labels.get("cloud", "") in clouds)
    }
    for cloud, time in sorted((previous | successes).items()):
        yield {"command": run.command} | ({"cloud": cloud} if cloud else {}), time


def last_successes(text: str) -> list[tuple[dict[str, str], float]]:
    """The labels and the times of all successes in a file, as far as it can be read."""
    from prometheus_client.parser import text_string_to_metric_families

    successes = []
    try:
        for family in text_string_to_metric_families(text):
            successes += [(sample.labels, sample.value) for sample in family.samples if sample.name == _LAST_SUCCESS]
    except ValueError:
        pass
    return successes


def _failures(metrics: _Metrics, failures: Iterable[str], labels: Labels) -> None:
    counts = Counter(failures)
    for kind in KINDS:
        metrics.add("failures", counts[kind], **labels, **{"class": kind})


def _cloud(metrics: _Metrics, cloud: CloudMetrics, labels: Labels) -> None:
    metrics.add("cloud_up", int(cloud.plan is not None), **labels)
    _failures(metrics, cloud.failures, labels)
    if cloud.plan is None:
        return
    metrics.add("definitions", cloud.plan.definitions, **labels)
    metrics.add("images", cloud.plan.images, **labels)
    actions = Counter(
        "import" if isinstance(c, Create) else "delete" if isinstance(c, Delete) else "change"
        for c in cloud.plan.changes
    )
    for action in ("import", "change", "delete"):
        metrics.add("pending_changes", actions[action], **labels, action=action)
    levels = Counter(finding.level for finding in cloud.plan.findings)
    for level in ("note", "warning", "error"):
        metrics.add("findings", levels[level], **labels, level=level)
    existing = [row for row in cloud.rows if row.id]
    verified = Counter(row.verified if row.verified in ("no", "unknown") else "yes" for row in existing)
    for word in ("yes", "no", "unknown"):
        metrics.add("verified_images", verified[word], **labels, verified=word)
    for name, row in _served(existing).items():
        build_labels = {**labels, "definition": name}
        for metric, day in (("build_timestamp_seconds", row.built), ("build_due_timestamp_seconds", row.due)):
            if day:
                metrics.add(metric, datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp(), **build_labels)
        metrics.add("rolled_back", int(row.standing.startswith(IN_PLACE_OF)), **build_labels)
        metrics.add("build_overdue", int(row.overdue), **build_labels)


def _served(existing: Iterable[Row]) -> dict[str, Row]:
    """Return the current build of each definition. If it is missing or not published yet, return the image that has its
    name."""
    served: dict[str, Row] = {}
    for row in sorted(existing, key=lambda row: not row.current):
        if row.state != "unfinished" and (row.current or row.name == row.definition):
            served.setdefault(row.definition, row)
    return served
