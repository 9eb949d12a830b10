"""The benchmarks' own arithmetic: medians, goals, polls, tables; and the runs that must not count."""

from __future__ import annotations

import os
import sys

import pytest
from benchmarks import calls
from benchmarks.measure import Failed, Summary, Taken, run
from benchmarks.table import Goal, Row, markdown, number
from tests.support.proxy import Call

IMAGE = "/v2/images/0b4c3f6e-5f0f-4a55-9ad6-8a9b2f1b6d11"


def taken(seconds: float, peak: float = 50.0) -> Taken:
    return Taken(seconds, seconds / 2, peak, 0, "")


def test_a_summary_is_the_median_and_the_most_memory() -> None:
    summary = Summary((taken(1.0), taken(9.0, 80.0), taken(2.0)))
    assert (summary.seconds, summary.cpu, summary.peak_mib) == (2.0, 1.0, 80.0)


def test_polls_are_questions_between_import_and_change() -> None:
    log = [
        Call("GET", IMAGE, 200),
        Call("POST", "/v2/images", 201),
        Call("PUT", f"{IMAGE}/stage", 204),
        Call("POST", f"{IMAGE}/import", 202),
        Call("GET", IMAGE, 200),
        Call("GET", f"{IMAGE}/tasks", 200),
        Call("GET", f"{IMAGE}/members", 200),
        Call("PATCH", IMAGE, 200),
        Call("GET", IMAGE, 200),
    ]
    counted = calls.count(log)
    assert (counted.total, counted.polls, counted.needed) == (9, 2, 7)
    assert counted.per(7)["calls for each, without polls"] == 1.0


def test_the_table_shows_ratios_missed_goals_and_cases_without_a_result() -> None:
    ours, floor, existing = (Summary((taken(seconds),)) for seconds in (1.5, 1.0, 30.0))
    goals = [Goal("÷ floor", 1.5, "<=", 1.3), Goal("times faster", 20.0, ">=", 6)]
    rows = [
        Row("a", "first", ours, floor, existing, goals, {"calls": 2, "MiB/s": 12.345}),
        Row("b", "second", error="no | room\nfor it"),
    ]
    text = markdown(rows, {"machine": "2 cores"}, "Measured")
    first = "| first | 1.50 s | 1.00 s | 1.50 | 30.0 s | 20.0 | 0.75 s | 50 MiB "
    assert first + "| ÷ floor 1.50 (≤ 1.30) **missed**; times faster 20.0 (≥ 6.00) |" in text
    assert "| second |  |  |  |  |  |  |  | **no result**: no \\| room for it |" in text
    assert "* first: calls 2; MiB/s 12.3" in text
    assert [goal["reached"] for goal in rows[0].data()["goals"]] == [False, True]
    assert rows[1].data()["error"] == "no | room\nfor it"


@pytest.mark.parametrize(("value", "shown"), [(0.1234, "0.12"), (12.34, "12.3"), (1234.5, "1234")])
def test_numbers_have_three_digits(value: float, shown: str) -> None:
    assert number(value) == shown


def test_a_run_that_fails_or_says_something_else_does_not_count() -> None:
    command = [sys.executable, "-c", "print('done'); raise SystemExit(3)"]
    assert run(command, os.environ, codes=(3,), says="done").code == 3
    for checks, said in (({}, "ended with 3"), ({"codes": (3,), "says": "no changes"}, "it should say 'no changes'")):
        with pytest.raises(Failed, match=said):
            run(command, os.environ, **checks)
    with pytest.raises(Failed, match="could not be started"):
        run(["/no/such/program"], os.environ)


def test_memory_is_that_of_the_command_alone() -> None:
    small = run([sys.executable, "-c", "pass"], os.environ)
    large = run([sys.executable, "-c", "x = bytearray(64 * 2**20); x[::4096] = x[::4096]"], os.environ)
    assert 60 < large.peak_mib - small.peak_mib < 70
