"""JUnit XML: counted right, and readable whatever the texts hold."""

from __future__ import annotations

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.junit import Case, suite


def test_a_suite() -> None:
    cases = [Case("a", "x", seconds=1.25), Case("b", "x", "first\nsecond"), Case("c", "x", skipped="later")]
    (top,) = ElementTree.fromstring(suite("checks", cases))
    assert dict(top.attrib) == {"name": "checks", "tests": "3", "failures": "1", "errors": "0", "skipped": "1"}
    good, failed, skipped = top
    assert (dict(good.attrib), len(good)) == ({"name": "a", "classname": "x", "time": "1.250"}, 0)
    assert [(each.tag, each.attrib["message"], each.text) for each in failed] == [("failure", "first", "first\nsecond")]
    assert [(each.tag, each.attrib["message"]) for each in skipped] == [("skipped", "later")]


@given(st.text(), st.text())
def test_any_text_can_be_read_back(name: str, failure: str) -> None:
    ((case,),) = ElementTree.fromstring(suite(name, [Case(name, "x", failure)]))
    assert case.attrib["classname"] == "x"
    assert case[0].tag == "failure"
