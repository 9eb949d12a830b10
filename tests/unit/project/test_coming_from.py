"""People who come from the existing tool find each of its options in the table, and the command line takes it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest
from typer.testing import CliRunner

from openstack_image_manager.cli.app import application
from openstack_image_manager.errors import UsageError

PAGE = (Path(__file__).parents[3] / "docs" / "coming-from.md").read_text(encoding="utf-8")
DEFINITION = """
images:
  - name: Tiny
    format: raw
    meta: {architecture: x86_64, os_distro: tiny, os_version: '1'}
    versions: []
"""
# Option and a value of its kind, as release 0.20261007.0 lists them.
OPTIONS = (
    "--debug",
    "--dry-run",
    "--check-age",
    "--max-age 30",
    "--latest",
    "--keep",
    "--cloud production",
    "--images images/",
    "--tag managed_by_osism",
    "--filter .*Cirr.*",
    "--deactivate",
    "--hide",
    "--force",
    "--delete",
    "--yes-i-really-know-what-i-do",
    "--retire-expired",
    "--use-os-hidden",
    "--hidden-visibility community",
    "--hidden-visibility private",
    "--hidden-visibility shared",
    "--share-image Cirros",
    "--share-action add",
    "--share-action del",
    "--share-domain default",
    "--share-target shop",
    "--share-type project",
    "--share-type domain",
    "--check",
    "--no-check",
    "--check-only",
    "--stuck-retry 3",
    "--prefetch never",
    "--prefetch on-stuck",
    "--prefetch always",
    "--import-timeout 600",
    "--verify-checksum",
)


# These act instead of checking, and one does not go without the other.
ALONE = {
    "--share-image": "--share-image needs --share-target",
    "--share-target": "--share-target needs --share-image",
}


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_is_accepted_on_the_root_command(option: str, tmp_path: Path) -> None:
    """With --check-only, which asks no cloud."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "one.yml").write_text(DEFINITION, encoding="utf-8")
    # As people write it: the option in the middle of others.
    words = ["--check-only", *shlex.split(option), "--yes-i-really-know-what-i-do", "--images", str(folder)]
    run = CliRunner().invoke(application(), words)
    if said := ALONE.get(option.partition(" ")[0]):
        assert isinstance(run.exception, UsageError)
        assert str(run.exception).startswith(said)
    else:
        checked = "0 definitions" if "Cirr" in option else "1 definition"
        assert (run.exit_code, run.stdout.splitlines()[-1]) == (0, f"{checked} checked: 0 too old")


def test_the_table_has_exactly_the_old_options() -> None:
    table = PAGE.partition("<!-- options of the existing tool: written by script/coming-from-docs -->")[2]
    first_cells = [line.split(" | ")[0] for line in table.splitlines() if line.startswith("| `--")]
    assert sorted(re.findall(r"--[a-z-]+", " ".join(first_cells))) == sorted({o.split()[0] for o in OPTIONS})
