"""The report of a run as plain values, Markdown and JUnit cases; also its metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from openstack_image_manager.errors import Error
from openstack_image_manager.humanize import count
from openstack_image_manager.model import Finding
from openstack_image_manager.plan.model import Result
from openstack_image_manager.report import console, plans
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case
from openstack_image_manager.report.metrics import CloudMetrics
from openstack_image_manager.report.status import Row, table
from openstack_image_manager.report.status import data as row_data
from openstack_image_manager.runs.run import CloudPlan, Clouds

if TYPE_CHECKING:
    pass


def of_clouds(clouds: Clouds, applies: bool) -> Content:
    """Plans of clouds and, where it `applies` them, what became of them."""
    return Content(
        lambda: {
            "clouds": [_cloud_data(each, clouds.results.get(each.glance.cloud)) for each in clouds.ready],
            "failed": {cloud: str(error) for cloud, error in _failed(clouds).items()},
        },
        lambda: "\n".join(
            [
                *(_cloud_markdown(each, clouds.results.get(each.glance.cloud)) for each in clouds.ready),
                *(f"**error** {console.markdown(str(error))}\n" for error in _failed(clouds).values()),
            ]
        ),
        lambda: [
            *(case for each in clouds.ready for case in _cases(each, clouds.results.get(each.glance.cloud), applies)),
            *(Case("cloud", cloud, failure=str(error)) for cloud, error in _failed(clouds).items()),
        ],
    )


def _cloud_data(each: CloudPlan, results: Sequence[Result] | None) -> dict[str, Any]:
    data = plans.plan_data(each.plan, each.glance.cloud)
    if results is not None:
        data["results"] = [
            {"definition": r.definition, "state": r.state, "done": list(r.done), "message": r.message} for r in results
        ]
    return data


def _cloud_markdown(each: CloudPlan, results: Sequence[Result] | None) -> str:
    text = plans.plan_markdown(each.plan, each.glance.cloud)
    if not results:
        return text
    rows = [["definition", "state", "what was done"]]
    rows += [[r.definition, r.state, "; ".join(filter(None, (*r.done, r.message)))] for r in results]
    return f"{text}\n" + console.table_markdown(f"Results in {each.glance.cloud}", plans.counts(results), rows)


def _failed(clouds: Clouds) -> dict[str, Error]:
    return {**clouds.failed, **clouds.refused}


def _cases(each: CloudPlan, results: Sequence[Result] | None, applies: bool) -> Iterable[Case]:
    """One for each definition: a failure, or what was not done and why."""
    became = {result.definition: result for result in results or ()}
    errors = {f.subject: f.message for f in each.plan.findings if f.level == "error"}
    pending: dict[str, list[str]] = {}
    for change in each.plan.changes:
        pending.setdefault(change.group, []).append(f"{change.subject}: {change.reason}")
    names = dict.fromkeys([*(d.name for d in each.definitions), *pending, *became, *errors])
    for name in names:
        result = became.get(name)
        failure = errors.get(name) or (result.message if result and result.state == "failed" else None)
        skipped = result.message if result and result.state == "skipped" else None
        if result is None and name in pending:
            skipped = ("not done: " if applies else "to be done: ") + "\n".join(pending[name])
        yield Case(name, each.glance.cloud, failure, skipped)


def metrics(clouds: Clouds, applies: bool, rows: Callable[[CloudPlan], Sequence[Row]]) -> list[CloudMetrics]:
    """The clouds as they stand after the run, for metrics; complete are those whose plans were carried out, where the
    run `applies` them."""
    found, failed = [], _failed(clouds)
    for each in clouds.ready:
        results = clouds.results.get(each.glance.cloud, ())
        errors = [f for f in each.plan.findings if f.level == "error"]
        failures = [r.kind for r in results if r.state == "failed"] + ["definition" for _ in errors]
        if (refusal := failed.get(each.glance.cloud)) is not None:
            failures.append(refusal.kind)
        now = clouds.after.get(each.glance.cloud, each)
        done = not applies or each.glance.cloud in clouds.results
        complete = done and not failures and all(r.state == "ok" for r in results)
        found.append(CloudMetrics(each.glance.cloud, now.plan, rows(now), failures, complete))
    ready = {each.name for each in found}
    return found + [CloudMetrics(name, None, (), [e.kind]) for name, e in failed.items() if name not in ready]


def of_status(
    rows: Mapping[str, Sequence[Row]], failed: Mapping[str, str], findings: Mapping[str, Sequence[Finding]]
) -> Content:
    """How the versions stand. By cloud: its rows, why it could not be looked at, what its plan found."""
    errors = [(cloud, each) for cloud, its in findings.items() for each in its if each.level == "error"]

    def markdown() -> str:
        tables = [
            console.table_markdown(f"Images in {cloud}", count(len(its), "version"), table(its))
            for cloud, its in rows.items()
        ]
        said = [*(f"{each.subject}: {each.message}" for _, each in errors), *failed.values()]
        return "\n".join([*tables, *(f"**error** {console.markdown(error)}\n" for error in said)])

    def cases() -> list[Case]:
        found = [_row_case(cloud, row) for cloud, its in rows.items() for row in its]
        found += [Case(each.subject, cloud, failure=each.message) for cloud, each in errors]
        return found + [Case("cloud", cloud, failure=error) for cloud, error in failed.items()]

    return Content(lambda: status_data(rows, failed, findings), markdown, cases)


def status_data(
    rows: Mapping[str, Sequence[Row]], failed: Mapping[str, str], findings: Mapping[str, Sequence[Finding]]
) -> dict[str, Any]:
    """The same as plain values."""
    return {
        "clouds": {name: row_data(its) for name, its in rows.items()},
        "findings": {name: [asdict(each) for each in its] for name, its in findings.items()},
        "failed": dict(failed),
    }


def _row_case(cloud: str, row: Row) -> Case:
    failure = row.words if row.lacks else row.late or None
    return Case(f"{row.definition} {row.version}", cloud, failure, None if row.state == "ok" else row.words)
