"""Options of the root command that exclude each other are refused before any cloud is asked."""

from __future__ import annotations

import pytest
from typer.testing import CliRunner

from openstack_image_manager.cli.app import application
from openstack_image_manager.errors import UsageError

OUTDATED = "'purge' is not one of 'keep', 'hide', 'deactivate', 'delete'."
SHARE = ("--share-image", "Ubuntu", "--share-target", "shop")
NO_CLOUD = "--check-only and --check-age use no cloud, so they exclude --report and --metrics"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--check-only", "--report", "run.json"), NO_CLOUD),
        (("--check-age", "--metrics", "run.prom"), NO_CLOUD),
        ((*SHARE, "--cloud", "one", "--cloud", "two"), "--share-image needs exactly one cloud"),
        ((*SHARE, "--cloud", "one", "--metrics", "run.prom"), "--share-image and --metrics exclude each other"),
        ((*SHARE, "--cloud", "one", "--dry-run"), "--share-image and --dry-run exclude each other"),
        (("--share-target", "shop"), "--share-target needs --share-image"),
        (("--delete",), "--delete needs --yes-i-really-know-what-i-do"),
    ],
)
def test_options_that_exclude_each_other_are_refused(
    words: tuple[str, ...], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a clouds.yaml, so that a run that asks a cloud fails with another error."""
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", "/nowhere/clouds.yaml")
    error = CliRunner().invoke(application(), list(words)).exception
    assert isinstance(error, UsageError)
    assert str(error).startswith(message)


@pytest.mark.parametrize("command", [(), ("plan",), ("catalogue", "list")])
def test_a_wrong_value_is_reported_without_names_of_exceptions(command: tuple[str, ...]) -> None:
    option, said = ("--output", "'purge' is not one of ") if "list" in command else ("--outdated", OUTDATED)
    outcome = CliRunner().invoke(application(), [*command, option, "purge"])
    assert outcome.exit_code == 2
    assert f"Error: Invalid value for '{option}': {said}" in outcome.stderr
