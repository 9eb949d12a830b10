"""Describe the results of checks: one line for people, plain values, JUnit cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from openstack_image_manager.humanize import count
from openstack_image_manager.report import console
from openstack_image_manager.report.content import Content
from openstack_image_manager.report.junit import Case

State = Literal["ok", "warning", "problem", "unknown"]
STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "problem": "red", "unknown": "dim"}


@dataclass(frozen=True, slots=True)
class Check:
    """The result of a check (`what`) of a `topic`, `why` it matters, and the setting to `change`. `state`: problem if
    the imports will fail, warning if some may fail, unknown if it cannot be checked."""

    topic: str
    state: State
    what: str
    why: str
    change: str = ""


Line = tuple[str, str]  # a text and its style


def lines(check: Check) -> list[Line]:
    """Describe a check: the result, the reason, and (unless it is ok) the setting to change."""
    result: list[Line] = [(f"{check.state:8} {check.topic}: {check.what}", STYLES[check.state])]
    result.append((f"{'':8} why: {check.why}", "dim"))
    if check.change and check.state != "ok":
        result.append((f"{'':8} change: {check.change}", ""))
    return result


def summary(checks: Sequence[Check]) -> str:
    """Count the checks by state."""
    counts = Counter(check.state for check in checks)
    numbers = [f"{counts['ok']} ok"]
    numbers += [count(counts["warning"], "warning"), count(counts["problem"], "problem")]
    return ", ".join([*numbers, f"{counts['unknown']} unknown"])


def data(checks: Iterable[Check]) -> list[dict[str, Any]]:
    """Return the checks as plain values."""
    return [asdict(check) for check in checks]


def rows(checks: Iterable[Check]) -> list[list[str]]:
    """Return the checks as rows of a table, with its header."""
    head = ["state", "topic", "what", "why", "change"]
    return [head, *([c.state, c.topic, c.what, c.why, "" if c.state == "ok" else c.change] for c in checks)]


def cases(place: str, checks: Iterable[Check]) -> list[Case]:
    """Return a test case for each check: a problem is a failure, a warning or an unknown state is skipped."""
    result = []
    for check in checks:
        text = "\n".join([f"{check.state}: {check.what}", *(line.strip() for line, _ in lines(check)[1:])])
        failure = text if check.state == "problem" else None
        result.append(Case(check.topic, place, failure, text if check.state in ("warning", "unknown") else None))
    return result


def has_problem(checks: Iterable[Check]) -> bool:
    """Return whether any check is a problem."""
    return any(check.state == "problem" for check in checks)


def of_checks(clouds: Mapping[str, Sequence[Check]], here: Sequence[Check], place: str) -> Content:
    """Describe the checks of clouds, and those of this machine (`here`), which are shown as `place`."""

    def groups() -> list[tuple[str, Sequence[Check]]]:
        return [*clouds.items(), *([(place, here)] if here else [])]

    def markdown() -> str:
        return "\n".join(console.table_markdown(name, summary(checks), rows(checks)) for name, checks in groups())

    return Content(
        lambda: {"clouds": {name: data(checks) for name, checks in clouds.items()}, "here": data(here)},
        markdown,
        lambda: [case for name, checks in groups() for case in cases(name, checks)],
    )
