"""PURE: results in the form that JUnit made common, which the continuous integration of most forges shows."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree import ElementTree

# What XML 1.0 has no place for.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that was done or checked. `failure`, `skipped`: why it is not well or was not done, None: it is."""

    name: str
    classname: str
    failure: str | None = None
    skipped: str | None = None
    seconds: float | None = None


def suite(name: str, cases: Sequence[Case]) -> str:
    """An XML document with one suite."""
    root = ElementTree.Element("testsuites")
    counts = {
        "tests": len(cases),
        "failures": sum(case.failure is not None for case in cases),
        "errors": 0,
        "skipped": sum(case.failure is None and case.skipped is not None for case in cases),
    }
    numbers = {key: str(value) for key, value in counts.items()}
    element = ElementTree.SubElement(root, "testsuite", {"name": _text(name), **numbers})
    for case in cases:
        about = {"classname": _text(case.classname), "name": _text(case.name)}
        if case.seconds is not None:
            about["time"] = f"{case.seconds:.3f}"
        child = ElementTree.SubElement(element, "testcase", about)
        if case.failure is not None:
            _reason(child, "failure", case.failure)
        elif case.skipped is not None:
            _reason(child, "skipped", case.skipped)
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _reason(case: ElementTree.Element, kind: str, reason: str) -> None:
    text = _text(reason)
    ElementTree.SubElement(case, kind, {"message": text.partition("\n")[0]}).text = text


def _text(value: str) -> str:
    return _FORBIDDEN.sub("\ufffd", value)
