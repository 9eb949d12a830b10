"""Describe the results of checks: one line for people, plain values, JUnit cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from openstack_image_manager.report import console
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case

State = Literal["ok", "warning", "problem", "unknown"]
STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "dim"}


@dataclass(frozen=True, slots=True)
class Check:
    """`what` was found about a `topic`, `why` it matters, and what to `change`. `state`: problem where what is asked
    for will fail, warning where some of it may, unknown where it can't be seen."""

    topic: str
    state: State
    what: str
    why: str
    change: str = ""


Line = tuple[str, str]  # a text and its style


def lines(check: Check) -> list[Line]:
    """What is told of it: the finding, the reason, and (unless all is well) the way to mend it."""
    told: list[Line] = [(f"{check.state:8} {check.topic}: {check.what}", STYLES[check.state])]
    told.append((f"{'':8} why: {check.why}", "dim"))
    if check.change and check.state != "ok":
        told.append((f"{'':8} change: {check.change}", ""))
    return told


def summary(checks: Sequence[Check]) -> str:
    """One line with the counts."""
    counts = Counter(check.state for check in checks)
    numbers = [f"{counts['ok']} ok"]
    numbers += [_count(counts["warning"], "warning"), _count(counts["problem"], "problem")]
    return ", ".join([*numbers, f"{counts['unknown']} unknown"])


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def data(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """The checks as plain values."""
    return [asdict(check) for check in checks]


def rows(checks: Iterable[Check]) -> list[list[str]]:
    """The same as rows of a table, below its head."""
    head = ["state", "topic", "what", "why", "change"]
    return [head, *([c.state, c.topic, c.what, c.why, "" if c.state == "ok" else c.change] for c in checks)]


def cases(where: str, checks: Iterable[Check]) -> list[Case]:
    """A test case for each: a problem is a failure, what can't be seen or is only a warning is skipped."""
    found = []
    for check in checks:
        text = "\n".join([f"{check.state}: {check.what}", *(line.strip() for line, _ in lines(check)[1:])])
        failure = text if check.state == "problem" else None
        found.append(Case(check.topic, where, failure, text if check.state in ("warning", "unknown") else None))
    return found


def has_problem(checks: Iterable[Check]) -> bool:
    """True if something will fail."""
    return any(check.state == "problem" for check in checks)


def of_checks(clouds: Mapping[str, Sequence[Check]], here: Sequence[Check], place: str) -> Content:
    """What was looked at in clouds by then, and what `here`, which is shown as `place`."""

    def groups() -> list[tuple[str, Sequence[Check]]]:
        return [*clouds.items(), *([(place, here)] if here else [])]

    def markdown() -> str:
        return "\n".join(console.table_markdown(name, summary(its), rows(its)) for name, its in groups())

    return Content(
        lambda: {"clouds": {name: data(its) for name, its in clouds.items()}, "here": data(here)},
        markdown,
        lambda: [case for name, its in groups() for case in cases(name, its)],
    )
