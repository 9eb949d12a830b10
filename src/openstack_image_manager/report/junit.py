"""Write results as JUnit XML, as CI systems read it (https://github.com/testmoapp/junitxml)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from xml.etree.ElementTree import Element, SubElement, indent, tostring

from openstack_image_manager.redaction import in_xml, inert, printable

# XML 1.0 cannot represent these characters.
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Case:
    """One check or action: failed (reason), skipped (reason) or passed."""

    name: str
    classname: str
    failure: str | None = None
    skipped: str | None = None
    seconds: float | None = None


def suite(name: str, cases: Sequence[Case]) -> str:
    """Return a document with one suite. The caller removes secrets."""
    counts = {
        "tests": len(cases),
        "failures": sum(case.failure is not None for case in cases),
        "errors": 0,
        "skipped": sum(case.failure is None and case.skipped is not None for case in cases),
    }
    root = Element("testsuites")
    suite_element = SubElement(
        root, "testsuite", {"name": _text(name), **{key: str(number) for key, number in counts.items()}}
    )
    for case in cases:
        seconds = {} if case.seconds is None else {"time": f"{case.seconds:.3f}"}
        element = SubElement(
            suite_element, "testcase", {"name": _text(case.name), "classname": _text(case.classname), **seconds}
        )
        if case.failure is not None:
            _reason(element, "failure", case.failure)
        elif case.skipped is not None:
            _reason(element, "skipped", case.skipped)
    indent(root)
    lines = tostring(root, encoding="unicode").split("\n")
    text = inert("\n".join(printable(line, in_xml) for line in lines), in_xml)
    return f'<?xml version="1.0" encoding="utf-8"?>\n{text}\n'


def _reason(case: Element, kind: str, reason: str) -> None:
    text = _text(reason)
    SubElement(case, kind, message=text.partition("\n")[0]).text = text


def _text(text: str) -> str:
    return _FORBIDDEN.sub("\ufffd", text)
