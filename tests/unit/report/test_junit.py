"""JUnit XML: counted right, and readable whatever the texts hold."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.report.junit import Case, suite


def test_a_suite() -> None:
    cases = [Case("a", "x", seconds=1.25), Case("b", "x", "first\nsecond"), Case("c", "x", skipped="later")]
    (top,) = ElementTree.fromstring(suite("checks", cases))
    assert dict(top.attrib) == {"name": "checks", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    good, failed, skipped = top
    assert (dict(good.attrib), len(good)) == ({"name": "a", "classname": "x", "time": "1.250"}, 0)
    assert [(each.tag, each.attrib["message"], each.text) for each in failed] == [("failure", "first", "first\nsecond")]
    assert [(each.tag, each.attrib["message"]) for each in skipped] == [("skipped", "later")]


def test_results_of_cases() -> None:
    cases = [
        Case("Debian 13", "prod", seconds=1.25),
        Case("Ubuntu", "prod", failure="404\nfor https://example.org/"),
        Case("Flatcar", "test", skipped="interrupted"),
    ]
    assert (
        suite("apply", cases)
        == """<?xml version="1.0" encoding="utf-8"?>
<testsuites>
  <testsuite name="apply" tests="3" failures="1" errors="0" skipped="1">
    <testcase name="Debian 13" classname="prod" time="1.250" />
    <testcase name="Ubuntu" classname="prod">
      <failure message="404">404
for https://example.org/</failure>
    </testcase>
    <testcase name="Flatcar" classname="test">
      <skipped message="interrupted">interrupted</skipped>
    </testcase>
  </testsuite>
</testsuites>
"""
    )


@given(st.text(), st.text(min_size=1))
def test_whatever_names_and_messages_hold_it_stays_xml(name: str, failure: str) -> None:
    root = ElementTree.fromstring(suite(name, [Case(name, name, failure, failure)]))
    (case,) = root.iter("testcase")
    assert [child.tag for child in case] == ["failure"]
    plain = "".join(char for char in name if char.isalnum() and char.isascii())
    assert "".join(char for char in case.attrib["name"] if char.isalnum() and char.isascii()) == plain
