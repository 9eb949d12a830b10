"""Progress of a run: lines in a log, bars on a terminal."""

from __future__ import annotations

import re

import pytest
from tests.support.shown import ODD, console, is_shown, shown

from openstack_image_manager.report import progress


def test_logs_get_a_line_for_each_event_and_none_for_bytes() -> None:
    out = console()
    reporter = progress.reporter(out)
    with reporter as lines:
        assert lines is reporter
        lines.line(ODD, f"{ODD} fetched")
        lines.progress(ODD, "fetching", 1, 2)
        lines.finished(ODD)
    assert not reporter.live
    assert shown(out) == f"{ODD}: {ODD} fetched\n"


def test_a_terminal_shows_a_total(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("COLUMNS", "200")
    out = console(force_terminal=True, width=200)
    with progress.reporter(out) as bars:
        bars.expect(3)
        bars.progress("a", "copying", 3 * 1024**2, 12 * 1024**2)
        bars.progress("b", "copying", 4 * 1024**2)
        assert is_shown(out, "in total .*0 of 3 images, 7 MiB")
        bars.progress("a", "copying", 12 * 1024**2, 12 * 1024**2)
        bars.finished("a")
        bars.finished("never seen")
        assert is_shown(out, "in total .*1 of 3 images, 16 MiB")


def test_one_image_is_its_own_total(terminal: pytest.MonkeyPatch) -> None:
    out = console(force_terminal=True, width=200)
    with progress.reporter(out) as bars:
        bars.expect(1)
        bars.progress("a", "copying", 3 * 1024**2)
        assert is_shown(out, "copying 3 MiB")
    assert "in total" not in shown(out)
    progress.reporter(console(force_terminal=False, width=200)).expect(3)


def test_a_terminal_gets_bars_and_the_lines_above_them(terminal: pytest.MonkeyPatch) -> None:
    terminal.setenv("COLUMNS", "200")
    out = console(force_terminal=True, width=200)
    reporter = progress.reporter(out)
    assert reporter.live
    with reporter as bars:
        assert bars is reporter
        bars.progress(ODD, "waiting")
        bars.progress(ODD, "fetching", 3 * 1024**2)
        bars.progress("other", ODD, 3 * 1024**2, 12 * 1024**2)
        assert is_shown(out, re.escape(f"{ODD} 3 MiB of 12 MiB"))
        bars.line(ODD, "a line")
        bars.finished("other")
        bars.finished("other")
        bars.finished("never seen")
    text = shown(out)
    assert f"{ODD}: a line\n" in text
    assert f"{ODD} " in text
    assert "fetching 3 MiB" in text
