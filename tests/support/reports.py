"""Reports and metrics read as the programs that take them do."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

from prometheus_client.parser import text_string_to_metric_families

PREFIX = "openstack_image_manager_"


def metrics(path: Path) -> dict[tuple[str, ...], float]:
    """All samples by name (without the common beginning) and values of labels, as a parser of Prometheus sees them."""
    families = text_string_to_metric_families(path.read_text(encoding="utf-8"))
    samples = [sample for family in families for sample in family.samples]
    found = {(each.name.removeprefix(PREFIX), *_labels(each.labels)): each.value for each in samples}
    assert len(found) == len(samples)
    return found


def _labels(known: dict[str, str]) -> list[str]:
    """Their values: command, cloud, and what comes with them."""
    return [known[name] for name in sorted(known, key=lambda name: (name != "command", name != "cloud"))]


def cases(path: Path) -> dict[str, tuple[str, str]]:
    """What each case of a JUnit file came to."""
    found = {}
    for case in ElementTree.parse(path).getroot().iter("testcase"):
        state = next(iter(case), None)
        text = "" if state is None else state.attrib["message"]
        found[case.attrib["name"]] = ("passed" if state is None else state.tag, text)
    return found
