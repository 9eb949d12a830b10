"""`validate` on the command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openstack_image_manager.cli.app import application


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (-1, "warning: {file}:2:11: Tiny: its provided_until was {day}: clouds that lack it do not get it"),
        (89, "note: {file}:2:11: Tiny: its provided_until is {day}, in 89 days"),
        (400, ""),
    ],
)
def test_a_day_that_has_passed_or_comes_soon_is_reported_with_its_place(days: int, said: str, tmp_path: Path) -> None:
    file = tmp_path / "one.yml"
    day = datetime.now(UTC).date() + timedelta(days)
    version = "{version: '1', url: 'https://example.org/1.img', build_date: 2026-01-01}"
    meta = f"{{architecture: x86_64, os_distro: tiny, os_version: '1', provided_until: {day}}}"
    file.write_text(f"images:\n  - name: Tiny\n    format: raw\n    meta: {meta}\n    versions: [{version}]\n")
    run = CliRunner().invoke(application(), ["validate", str(file)])
    assert run.exit_code == 0
    assert said.format(file=file, day=day) in run.stderr
    assert ("provided_until" in run.stderr) == bool(said)
