"""Results as JUnit has them."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.junit import Case, suite


def test_each_case_says_what_became_of_it() -> None:
    cases = [
        Case("Debian 13", "prod", seconds=1.25),
        Case("Ubuntu", "prod", failure="404\nfor https://example.org/"),
        Case("Flatcar", "test", skipped="interrupted"),
    ]
    assert (
        suite("apply", cases)
        == """<?xml version="1.0" encoding="UTF-8"?>
<testsuites>
  <testsuite name="apply" tests="3" failures="1" errors="0" skipped="1">
    <testcase classname="prod" name="Debian 13" time="1.250" />
    <testcase classname="prod" name="Ubuntu">
      <failure message="404">404
for https://example.org/</failure>
    </testcase>
    <testcase classname="test" name="Flatcar">
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
