"""Format the mirror report as text, plain values, Markdown and JUnit cases."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from openstack_image_manager import humanize
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.errors import Error
from openstack_image_manager.mirror.location import Target
from openstack_image_manager.mirror.plan import Comparison, Plan, StoredObject, Verdict
from openstack_image_manager.mirror.plan import Plan as MirrorPlan
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.report import console
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case

STYLES = {
    Verdict.CURRENT: "",
    Verdict.MISSING: "green",
    Verdict.MISMATCH: "yellow",
    Verdict.UNFINISHED: "yellow",
    Verdict.FOREIGN: "red",
    Verdict.INVALID: "red",
}


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of one version. `is_read`: this run has read and verified the bytes that the record describes."""

    comparison: Comparison
    state: Literal["ok", "failed", "skipped"]
    message: str = ""
    record: Record | None = None
    is_read: bool = False


def line(comparison: Comparison) -> str:
    """Format one line of the plan; the verdict comes first."""
    return (
        f"{comparison.verdict:10}  {comparison.item.subject}  {comparison.item.key or '(no key)'}: {comparison.reason}"
    )


def unneeded_line(stored: StoredObject, since: datetime, now: datetime) -> str:
    """Format one line about an object that no definition has needed `since` a run first noticed it."""
    return f"{'UNNEEDED':10}  {stored.key}: no definition has needed it for {(now - since).days} days (--prune)"


def counts(plan: Plan) -> str:
    """Count the verdicts: `3 CURRENT, 1 MISSING`; zero counts are left out."""
    numbers = {verdict: sum(comparison.verdict is verdict for comparison in plan.comparisons) for verdict in Verdict}
    parts = [f"{number} {verdict}" for verdict, number in numbers.items() if number]
    parts += [f"{len(plan.unneeded)} UNNEEDED"] if plan.unneeded else []
    return ", ".join(parts) or "nothing to mirror"


def read_line(plan: Plan) -> str:
    """Say how much --verify has read, and that it is what the records say."""
    read = [comparison.stored for comparison in plan.comparisons if comparison.is_read and comparison.stored]
    size = humanize.size(sum(stored.size or 0 for stored in read))
    return f"verified: {humanize.count(len(read), 'object')} read again ({size}), as recorded"


def data(plan: Plan, target: Target, outcomes: Sequence[Outcome] = ()) -> dict[str, Any]:
    """Return the plan and its outcomes as plain values without secrets."""
    done = {(outcome.comparison.item.subject, outcome.comparison.item.key): outcome for outcome in outcomes}
    return {
        "bucket": str(target),
        "versions": [
            _version(comparison, target, done.get((comparison.item.subject, comparison.item.key)))
            for comparison in plan.comparisons
        ],
        "unneeded": [{"key": stored.key, "size": stored.size} for stored in plan.unneeded],
    }


def _version(comparison: Comparison, target: Target, outcome: Outcome | None) -> dict[str, Any]:
    item = comparison.item
    record = outcome.record if outcome else comparison.stored.record if comparison.stored else None
    known: dict[str, Any] = {
        "image": item.definition.name,
        "version": item.version.version,
        "key": item.key or None,
        "mirror_url": target.url(item.key) if item.key else None,
        "source": public_url(item.version.url),
        "verdict": str(comparison.verdict),
        "reason": comparison.reason,
    }
    if record:
        known |= {"sha256": record.sha256, "sha512": record.sha512, "size": record.size, "proof": record.proof}
    return known | ({"state": outcome.state, "message": outcome.message} if outcome else {})


def rows(plan: Plan, outcomes: Sequence[Outcome] = ()) -> list[list[str]]:
    """Return the plan and its outcomes as table rows, heading first."""
    results = {id(outcome.comparison): f"{outcome.state} {outcome.message}".strip() for outcome in outcomes}
    table = [["Verdict", "Image", "Key", "Reason", "Became"]]
    for comparison in plan.comparisons:
        table.append(
            [
                str(comparison.verdict),
                comparison.item.subject,
                comparison.item.key,
                comparison.reason,
                results.get(id(comparison), ""),
            ]
        )
    return table + [["UNNEEDED", "", stored.key, "no definition needs it", ""] for stored in plan.unneeded]


def result_counts(outcomes: Sequence[Outcome]) -> str:
    """Count the states: `4 ok, 1 failed, 0 skipped`."""
    return ", ".join(
        f"{sum(outcome.state == state for outcome in outcomes)} {state}" for state in ("ok", "failed", "skipped")
    )


def of_mirror(
    plan: MirrorPlan,
    target: Target,
    outcomes: Sequence[Outcome],
    dry_run: bool,
    failed: Mapping[str, Error] | None = None,
) -> Content:
    """Build the report of a mirror run. `failed`: errors of the steps that follow the copies."""
    results = {id(outcome.comparison): outcome for outcome in outcomes}
    errors: Mapping[str, Error] = {} if failed is None else failed

    def cases() -> Iterable[Case]:
        for comparison in plan.comparisons:
            outcome = results.get(id(comparison))
            failure = outcome.message if outcome and outcome.state == "failed" else None
            if comparison.is_hopeless:
                failure = f"{comparison.verdict}: {comparison.reason}"
            skipped = outcome.message or "interrupted" if outcome and outcome.state == "skipped" else None
            if outcome is None and dry_run and comparison.verdict is not Verdict.CURRENT:
                skipped = f"to be done: {comparison.verdict}: {comparison.reason}"
            yield Case(comparison.item.subject, str(target), failure, skipped)
        for subject, error in errors.items():
            yield Case(subject, str(target), failure=str(error))

    def markdown() -> str:
        listed = rows(plan, outcomes)
        table = console.table_markdown("Image mirror", f"{target}: {counts(plan)}", listed)
        lines = (f"**error** {console.markdown(f'{subject}: {error}')}\n" for subject, error in errors.items())
        return "\n".join([table, *lines])

    return Content(
        lambda: {**data(plan, target, outcomes), "failed": {name: str(error) for name, error in errors.items()}},
        markdown,
        lambda: list(cases()),
    )
