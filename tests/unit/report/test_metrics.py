"""Metrics as Prometheus reads them, and the last success after a failed run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families
from tests.support.plans import NOW, TODAY, by_version, definition, made, settled

from openstack_image_manager.errors import KINDS
from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Plan, Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.report.metrics import HELP, PREFIX, CloudMetrics, RunMetrics, exposition, last_successes
from openstack_image_manager.report.status import rows

DOCS = Path(__file__).parents[3] / "docs"


def parsed(text: str) -> dict[tuple[str, ...], float]:
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    return {(sample.name.removeprefix(PREFIX), *labels(sample.labels)): sample.value for sample in samples}


def labels(known: dict[str, str]) -> list[str]:
    """Their values: command, cloud, and what comes with them."""
    return [known[name] for name in sorted(known, key=lambda name: (name != "command", name != "cloud"))]


def cloud(name: str = "prod", complete: bool = True) -> CloudMetrics:
    """A cloud with the builds of two definitions; a third is missing."""
    meta = {"replace_frequency": "weekly", "provided_until": "2030-06-30"}
    version = {"version": "20240416", "url": "https://example.org/a.img", "build_date": "2024-04-16"}
    there = [definition("A", [version], meta=meta), definition("B", ["1", "2"])]
    images = settled(there)
    wanted = [*there, definition("C")]
    found = plan(wanted, images, Policy(), TODAY, [Finding("warning", "B", "odd")])
    return CloudMetrics(name, found, rows(found, wanted, images, NOW), (), complete)


def test_a_run_in_numbers() -> None:
    failed = CloudMetrics("down", failures=["cloud"])
    text = exposition(RunMetrics("apply", 1000.5, 2.5, 1, False, [cloud(), failed], ["other"]))
    found = parsed(text)
    assert {key: value for key, value in found.items() if value and key[0] != "failures"} == {
        ("last_run_timestamp_seconds", "apply"): 1000.5,
        ("run_duration_seconds", "apply"): 2.5,
        ("run_exit_code", "apply"): 1,
        ("cloud_up", "apply", "prod"): 1,
        ("definitions", "apply", "prod"): 3,
        ("images", "apply", "prod"): 3,
        ("pending_changes", "apply", "prod", "import"): 1,
        ("findings", "apply", "prod", "warning"): 1,
        ("verified_images", "apply", "prod", "no"): 3,
        ("build_timestamp_seconds", "apply", "prod", "A"): 1713225600,
        ("build_due_timestamp_seconds", "apply", "prod", "A"): 1713916800,
        ("build_overdue", "apply", "prod", "A"): 1,
        ("last_success_timestamp_seconds", "apply", "prod"): 1003,
    }
    assert {key for key, value in found.items() if value and key[0] == "failures"} == {
        ("failures", "apply", "other"),
        ("failures", "apply", "down", "cloud"),
    }
    assert len([key for key in found if key[0] == "failures"]) == 3 * len(KINDS)
    for name in {key[0] for key in found}:
        assert text.count(f"# HELP {PREFIX}{name} {HELP[name]}\n# TYPE {PREFIX}{name} gauge\n") == 1


def ages(images: list[Image]) -> dict[str, float]:
    """Return the metrics about the age of A, which has two builds."""
    meta = {"replace_frequency": "weekly", "provided_until": "2030-06-30"}
    wanted = [definition("A", ["20240416", "20261116"], meta=meta)]
    found = plan(wanted, images, Policy(), TODAY)
    here = CloudMetrics("prod", found, rows(found, wanted, images, NOW))
    sample = parsed(exposition(RunMetrics("apply", 1, 1, 1, False, [here])))
    return {key[0]: value for key, value in sample.items() if key[-1] == "A"}


def test_ages_are_those_of_the_build_that_tenants_get() -> None:
    meta = {"replace_frequency": "weekly", "provided_until": "2030-06-30"}
    before = settled([definition("A", ["20240416"], meta=meta)])
    old = {"build_timestamp_seconds": 1713225600, "build_due_timestamp_seconds": 1713916800, "build_overdue": 1}
    old["rolled_back"] = 0
    assert ages(before) == old  # the newest could not be imported
    after = settled([definition("A", ["20240416", "20261116"], meta=meta)], found=before)
    assert ages(after) == {
        "build_timestamp_seconds": 1794787200,
        "build_due_timestamp_seconds": 1795478400,
        "rolled_back": 0,
        "build_overdue": 0,
    }
    new = by_version(after)["20261116"]
    pending = {**new.properties, markers.VERIFIED: f"{markers.PENDING}none"}
    unpublished = replace(new, name="A (20261116)", visibility="private", properties=pending)
    assert ages([*before, unpublished]) == old
    assert ages([unpublished]) == {}


def test_the_last_success_survives_later_failures() -> None:
    first = exposition(RunMetrics("apply", 100, 1, 0, True, [cloud("a"), cloud("b"), cloud("gone")]))
    second = exposition(
        RunMetrics("apply", 200, 1, 1, False, [cloud("a"), CloudMetrics("b", failures=["cloud"])], former=first)
    )
    assert {key[2:]: value for key, value in parsed(second).items() if key[0] == "last_success_timestamp_seconds"} == {
        (): 101,
        ("a",): 201,
        ("b",): 101,
    }
    # A run that does not even get to its clouds knows nothing better than before.
    third = exposition(RunMetrics("apply", 300, 1, 1, False, former=second))
    assert last_successes(third) == last_successes(second)
    other = exposition(RunMetrics("plan", 300, 1, 1, False, former=second))
    assert last_successes(other) == []


def test_a_broken_file_is_replaced() -> None:
    former = f'{PREFIX}last_success_timestamp_seconds{{command="apply"}} 1.2.3\n\x00nonsense'
    assert last_successes(former) == []
    assert ("run_exit_code", "apply") in parsed(exposition(RunMetrics("apply", 1, 1, 1, False, former=former)))


@given(st.text(st.characters(codec="utf-8", exclude_characters="\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), min_size=1))
def test_names_of_clouds_come_back_as_they_were(name: str) -> None:
    text = exposition(RunMetrics("apply", 1, 1, 0, True, [CloudMetrics(name, Plan(()), complete=True)]))
    assert ({"command": "apply", "cloud": name}, 2.0) in last_successes(text)
    assert ("cloud_up", "apply", name) in parsed(text)


@pytest.mark.parametrize("name", HELP)
def test_every_metric_is_documented(name: str) -> None:
    assert f"`{PREFIX}{name}" in (DOCS / "monitoring.md").read_text()


def test_a_rollback_in_force_is_a_number() -> None:
    wanted = [definition("A", versions=["1", "2"]), definition("B", versions=["1"])]
    before = settled(wanted)
    back = plan(wanted, before, Policy(), TODAY, roll_back={"A": "1"})
    images = made(back, before)
    again = plan(wanted, images, Policy(), TODAY)
    assert again.changes == ()
    found = CloudMetrics("prod", again, rows(again, wanted, images, NOW), (), True)
    numbers = parsed(exposition(RunMetrics("status", 1000.5, 2.5, 0, True, [found])))
    assert numbers["rolled_back", "status", "prod", "A"] == 1
    assert numbers["rolled_back", "status", "prod", "B"] == 0
