"""Describe the results of a check: text, plain values, JUnit cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from openstack_image_manager.humanize import count
from openstack_image_manager.report.junit import Case
from openstack_image_manager.scs import standard
from openstack_image_manager.scs.check import Report
from openstack_image_manager.scs.lint import Remark
from openstack_image_manager.scs.recency import Forecast
from openstack_image_manager.scs.rules import HINTS, IMAGES, LEVELS, TESTS_0102, V1, V2
from openstack_image_manager.scs.verdict import Verdict

STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def line(verdict: Verdict, is_fixed: bool = False) -> str:
    """Describe a verdict on an image of a cloud."""
    what = f"{verdict.name} ({verdict.id})" if verdict.id else verdict.name
    fixed = "; the plan fixes it" if is_fixed else ""
    return f"{verdict.level}: {what}: {verdict.key}: {verdict.message}{fixed} [{_by(verdict)}]"


def remark_line(remark: Remark) -> str:
    """Describe a verdict on a definition, with its position in the file."""
    return f"{remark.verdict.level}: {remark.place} [{_by(remark.verdict)}]"


def _by(verdict: Verdict) -> str:
    return f"{', '.join(verdict.standards)}: {verdict.test}"


def forecast_line(forecast: Forecast) -> str:
    """Describe when an image will be outdated."""
    reason = f"; '{forecast.replacement}' replaces it until then" if forecast.replacement else ""
    what = f"{forecast.name} ({forecast.id})" if forecast.id else forecast.name
    return f"forecast: {what}: outdated on {forecast.on:%Y-%m-%d}, unless there is a newer image{reason}"


def summary(where: str, report: Report, verdicts: Iterable[Verdict], standards: Sequence[str]) -> str:
    """Count the verdicts by level."""
    counts = Counter(verdict.level for verdict in verdicts)
    numbers = ", ".join(count(counts[level], level) for level in reversed(LEVELS))
    return f"{where}: {count(len(report.images), 'image')} judged by {', '.join(standards)}: {numbers}"


def is_finding(verdict: Verdict, strict: bool) -> bool:
    """Return whether a verdict leads to exit code 3; `strict`: warnings too."""
    return verdict.level == "error" or (strict and verdict.level == "warning")


def data(report: Report, fixed: Collection[Verdict] = ()) -> dict[str, Any]:
    """Return the report on a cloud as plain values."""
    return {
        "images": len(report.images),
        "findings": [asdict(verdict) | {"mended": verdict in fixed} for verdict in report.verdicts],
        "forecast": _forecasts(report),
    }


def lint_data(report: Report, remarks: Iterable[Remark]) -> dict[str, Any]:
    """Return the report on definitions as plain values."""
    findings = [
        {
            **asdict(remark.verdict),
            "file": remark.place.file or None,
            "line": remark.place.line,
            "column": remark.place.column,
        }
        | {"definition": remark.place.image, "key": remark.place.field or remark.verdict.key}
        for remark in remarks
    ]
    return {"images": len(report.images), "findings": findings, "forecast": _forecasts(report)}


def _forecasts(report: Report) -> list[dict[str, Any]]:
    return [
        {**asdict(forecast), "since": forecast.since.date().isoformat(), "on": forecast.on.date().isoformat()}
        for forecast in report.forecast
    ]


def cases(where: str, verdicts: Iterable[tuple[Verdict, str]], standards: Sequence[str], strict: bool) -> list[Case]:
    """Return a test case for each test of the conformance test, which fails with a line for each finding. `verdicts`:
    each with its text."""
    tests = [*(TESTS_0102 if {V1, V2} & set(standards) else ()), *(standard.TESTS if IMAGES in standards else ())]
    failures: dict[str, list[str]] = {}
    for verdict, text in verdicts:
        if is_finding(verdict, strict):
            failures.setdefault(verdict.test, []).append(text)
    tests += [HINTS] if HINTS in failures else []
    return [Case(test, where, "\n".join(failures[test]) if test in failures else None) for test in tests]
