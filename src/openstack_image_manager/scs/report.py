"""Describe the results of a check: text, plain values, JUnit cases."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from openstack_image_manager.report.junit import Case
from openstack_image_manager.scs import standard
from openstack_image_manager.scs.check import Report
from openstack_image_manager.scs.lint import Remark
from openstack_image_manager.scs.recency import Forecast
from openstack_image_manager.scs.rules import HINTS, IMAGES, LEVELS, TESTS_0102, V1, V2
from openstack_image_manager.scs.verdict import Verdict

STYLES = {"error": "red", "warning": "yellow", "note": "dim"}


def line(verdict: Verdict, is_mended: bool = False) -> str:
    """A verdict on an image of a cloud."""
    what = f"{verdict.name} ({verdict.id})" if verdict.id else verdict.name
    mended = "; the plan mends it" if is_mended else ""
    return f"{verdict.level}: {what}: {verdict.key}: {verdict.message}{mended} [{_by(verdict)}]"


def remark_line(remark: Remark) -> str:
    """A verdict on a definition, with its place in the file."""
    return f"{remark.verdict.level}: {remark.place} [{_by(remark.verdict)}]"


def _by(verdict: Verdict) -> str:
    return f"{', '.join(verdict.standards)}: {verdict.test}"


def forecast_line(each: Forecast) -> str:
    """When an image will be outdated."""
    because = f"; '{each.replacement}' stands in for it until then" if each.replacement else ""
    what = f"{each.name} ({each.id})" if each.id else each.name
    return f"forecast: {what}: outdated on {each.on:%Y-%m-%d}, if nothing newer comes{because}"


def summary(where: str, report: Report, verdicts: Iterable[Verdict], standards: Sequence[str]) -> str:
    """One line."""
    counts = Counter(verdict.level for verdict in verdicts)
    numbers = ", ".join(_count(counts[level], level) for level in reversed(LEVELS))
    return f"{where}: {_count(len(report.images), 'image')} judged by {', '.join(standards)}: {numbers}"


def _count(number: int, word: str) -> str:
    return f"{number} {word}{'' if number == 1 else 's'}"


def is_finding(verdict: Verdict, strict: bool) -> bool:
    """True for what makes the command end with 3; `strict`: warnings too."""
    return verdict.level == "error" or (strict and verdict.level == "warning")


def data(report: Report, mended: Collection[Verdict] = ()) -> dict[str, Any]:
    """A cloud's report as plain values."""
    return {
        "images": len(report.images),
        "findings": [asdict(verdict) | {"mended": verdict in mended} for verdict in report.verdicts],
        "forecast": _forecasts(report),
    }


def lint_data(report: Report, remarks: Iterable[Remark]) -> dict[str, Any]:
    """The definitions' report as plain values."""
    findings = [
        {**asdict(each.verdict), "file": each.place.file or None, "line": each.place.line, "column": each.place.column}
        | {"definition": each.place.image, "key": each.place.field or each.verdict.key}
        for each in remarks
    ]
    return {"images": len(report.images), "findings": findings, "forecast": _forecasts(report)}


def _forecasts(report: Report) -> list[dict[str, Any]]:
    return [
        {**asdict(each), "since": each.since.date().isoformat(), "on": each.on.date().isoformat()}
        for each in report.forecast
    ]


def cases(where: str, found: Iterable[tuple[Verdict, str]], standards: Sequence[str], strict: bool) -> list[Case]:
    """A test case for each of the conformance test's own, failed with a line for every finding. `found`: verdicts, and
    what to say of each."""
    tests = [*(TESTS_0102 if {V1, V2} & set(standards) else ()), *(standard.TESTS if IMAGES in standards else ())]
    failures: dict[str, list[str]] = {}
    for verdict, text in found:
        if is_finding(verdict, strict):
            failures.setdefault(verdict.test, []).append(text)
    tests += [HINTS] if HINTS in failures else []
    return [Case(test, where, "\n".join(failures[test]) if test in failures else None) for test in tests]
