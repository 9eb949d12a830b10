"""The example alerts, judged by Prometheus' own promtool, of the metrics that runs write."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families
from tests.support.plans import NOW as MOMENT
from tests.support.plans import TODAY, definition, settled

from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.report.metrics import CloudMetrics, RunMetrics, exposition
from openstack_image_manager.report.status import rows

ROOT = Path(__file__).parents[3]
ALERTS = ROOT / "docs" / "examples" / "alerts.yml"
TOOLS = {**os.environ, "PATH": f"{ROOT / '.venv' / 'bin'}{os.pathsep}{os.environ['PATH']}"}
NAMES = [rule["alert"] for group in yaml.safe_load(ALERTS.read_text())["groups"] for rule in group["rules"]]
NOW = datetime.combine(TODAY, datetime.min.time(), UTC).timestamp()
DAY = 86400
AWHILE = 10  # days that promtool goes through, from 1970-01-01 on
Alert = tuple[str, dict[str, str], str]  # name, labels, summary


def firing(folder: Path, text: str, expected: list[Alert], days: int = AWHILE) -> str:
    """Return errors of promtool unless exactly these alerts fire today, with these metrics for that many days."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    start = NOW - AWHILE * DAY
    series = [
        {
            "series": f"{each.name}{{{','.join(f'{key}={json.dumps(value)}' for key, value in each.labels.items())}}}",
            "values": f"{'_x' + str(AWHILE - days) if days < AWHILE else ''} "
            f"{each.value - (start if each.name.endswith('timestamp_seconds') else 0):.0f}+0x{days}",
        }
        for each in samples
    ]
    alerts = [
        {
            "alertname": name,
            "eval_time": f"{AWHILE}d",
            "exp_alerts": [
                {"exp_labels": labels, "exp_annotations": {"summary": summary}}
                for fired, labels, summary in expected
                if fired == name
            ],
        }
        for name in NAMES
    ]
    path = folder / "alerts.test.yml"
    test = {"interval": "1d", "input_series": series, "alert_rule_test": alerts}
    path.write_text(json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1d", "tests": [test]}))
    command = ["promtool", "test", "rules", str(path)]
    done = subprocess.run(command, env=TOOLS, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def cloud(built: date, images: list[Image] | None = None, frequency: str = "weekly") -> CloudMetrics:
    """A cloud with one definition, whose build has to be replaced that often; its images, or that build."""
    meta = {"replace_frequency": frequency, "provided_until": "2030-06-30"}
    version = {"version": "1", "url": "https://example.org/a.img", "build_date": built.isoformat()}
    wanted = [definition("A", [version], meta=meta)]
    found = settled(wanted) if images is None else images
    made = plan(wanted, found, Policy(), TODAY)
    return CloudMetrics("prod", made, rows(made, wanted, found, MOMENT), complete=True)


def test_no_alert_when_all_is_well(tmp_path: Path) -> None:
    text = exposition(RunMetrics("apply", NOW - 2 * DAY, 9, 0, True, [cloud(TODAY - timedelta(3))]))
    assert firing(tmp_path, text, []) == ""


@pytest.mark.parametrize(
    ("frequency", "age"), [("never", 1500), ("critical_bug", 400), ("yearly", 300), ("quarterly", 100)]
)
def test_no_alert_for_builds_that_are_seldom_replaced(tmp_path: Path, frequency: str, age: int) -> None:
    healthy = cloud(TODAY - timedelta(age), frequency=frequency)
    text = exposition(RunMetrics("apply", NOW - DAY / 2, 9, 0, True, [healthy]))
    assert firing(tmp_path, text, []) == ""


def test_no_alert_before_the_second_night(tmp_path: Path) -> None:
    """A first run that failed is reported, but nobody has waited for a success yet."""
    text = exposition(RunMetrics("apply", NOW - DAY / 2, 9, 0, True, [cloud(TODAY)]))
    assert firing(tmp_path, text, [], days=1) == ""
    failed = exposition(RunMetrics("apply", NOW - DAY / 2, 9, 1, False, [replace(cloud(TODAY), complete=False)]))
    assert firing(tmp_path, failed, [], days=1) == ""


def test_an_alert_when_no_run_ever_succeeded(tmp_path: Path) -> None:
    never = replace(cloud(TODAY), complete=False)
    text = exposition(RunMetrics("apply", NOW - 3 * DAY, 9, 1, False, [never]))
    summary = "The images of the cloud prod have never been brought up to date."
    assert firing(tmp_path, text, [("ImagesNeverChecked", {"cloud": "prod", "severity": "warning"}, summary)]) == ""


def test_an_alert_when_there_are_no_metrics(tmp_path: Path) -> None:
    """Those of other commands do not count."""
    summary = "There are no metrics of a run that brings images up to date."
    missing = ("ImagesMetricsMissing", {"severity": "warning"}, summary)
    for text in ("", exposition(RunMetrics("status", NOW - DAY, 9, 0, True, [cloud(TODAY)]))):
        assert firing(tmp_path, text, [missing]) == ""
        assert "alertname: ImagesMetricsMissing" in firing(tmp_path, text, [])


def test_an_alert_for_each_trouble(tmp_path: Path) -> None:
    down = CloudMetrics("down", failures=["cloud"])
    before = exposition(
        RunMetrics("apply", NOW - 3 * DAY, 9, 0, True, [cloud(TODAY), CloudMetrics("down", complete=True)])
    )
    old = cloud(TODAY - timedelta(200))
    text = exposition(RunMetrics("apply", NOW - DAY, 9, 1, False, [old, down], former=before))
    of_down = {"command": "apply", "cloud": "down"}
    of_a = {"command": "apply", "cloud": "prod", "definition": "A"}
    not_checked = "The images of the cloud down have not been brought up to date for more than two days."
    expected = [
        ("ImagesNotChecked", {"cloud": "down", "severity": "warning"}, not_checked),
        (
            "ImagesCloudUnreachable",
            {**of_down, "severity": "warning"},
            "The last apply could not look at the cloud down.",
        ),
        (
            "ImagesFailed",
            {**of_down, "class": "cloud", "severity": "warning"},
            "Failures of the class cloud in the last apply (down).",
        ),
        ("ImageOverdue", {**of_a, "severity": "warning"}, "A newer build of A is overdue in the cloud prod."),
        (
            "ImageLongOverdue",
            {**of_a, "severity": "critical"},
            "A newer build of A has been due for more than 90 days in the cloud prod.",
        ),
    ]
    assert {name for name, *_ in expected} == {*NAMES} - {"ImagesDrift", "ImagesNeverChecked", "ImagesMetricsMissing"}
    assert firing(tmp_path, text, expected) == ""
    for each in expected:
        assert f"alertname: {each[0]}" in firing(tmp_path, text, [other for other in expected if other != each])


def test_an_alert_for_pending_changes(tmp_path: Path) -> None:
    text = exposition(RunMetrics("apply", NOW - DAY, 9, 0, True, [cloud(TODAY)]))
    text += exposition(RunMetrics("plan", NOW - DAY, 9, 0, True, [cloud(TODAY, images=[])]))
    summary = "Images of the cloud prod differ from their definitions, as the last plan saw."
    alert = ("ImagesDrift", {"command": "plan", "cloud": "prod", "severity": "info"}, summary)
    assert firing(tmp_path, text, [alert]) == ""
