"""Which cloud is meant, by clouds.yaml, arguments and environment: one clear line when it can't be told."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from tests.support.attempts import SECRET, Attempt, refused, write_definitions
from tests.support.bench import CLOSED, Outcome

NO_MAPPING = "clouds.yaml must be a mapping of names to values"


@pytest.mark.parametrize(
    ("clouds", "parts"),
    [
        ("clouds:\n  a: {}\n  b: {}\n", ("cloud 'openstack': not in", "clouds.yaml", "--cloud", "a, b")),
        ("", ("cloud 'openstack': not in", "none")),
        ("clouds:\n  openstack: {\n", ("cloud 'openstack': ", "clouds.yaml", "line 3, column 1")),
        ("clouds:\n\topenstack:\n", ("cloud 'openstack': ", "clouds.yaml", "line 2, column 1")),
        ("- openstack\n", ("clouds.yaml", "not a valid mapping")),
        ("clouds:\n  - openstack\n", ("'clouds' in ", NO_MAPPING)),
        ("clouds:\n  openstack:\n", ("its entry in", "is empty; give it auth and region_name")),
        ("clouds:\n  openstack: admin\n", ("'clouds.openstack' in ", NO_MAPPING)),
        ("clouds:\n  openstack:\n    auth: admin\n", ("'clouds.openstack.auth' in ", NO_MAPPING)),
        ("clouds:\n  openstack:\n    auth:\n", ("'clouds.openstack.auth' in ", NO_MAPPING)),
        ("clouds:\n  openstack:\n    profile: 5\n    auth: {}\n", ("check the cloud's entry in clouds.yaml",)),
        ("clouds:\n  openstack: {profile: 5}\n", ("check the cloud's entry in clouds.yaml",)),
        ("clouds:\n  openstack:\n    auth: {}\n", ("login data is incomplete", "auth_url")),
    ],
)
def test_clouds_yaml(attempt: Attempt, clouds: str, parts: tuple[str, ...]) -> None:
    unknown = parts[0] == "cloud 'openstack': not in"
    refused(attempt(clouds, "--cloud", "openstack"), *parts, code=2 if unknown else 1)


def test_all_clouds_of_a_file_without_any(attempt: Attempt) -> None:
    refused(attempt("clouds: x\n", "--all-clouds"), "error: 'clouds' in ", NO_MAPPING)


def at_home(home: Path, *arguments: str, **variables: str) -> Outcome:
    """Plan with what the home directory has, in a process of its own: openstacksdk looks for it when it is imported."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "XDG_"))}
    env = {**clean, "HOME": str(home), "XDG_CONFIG_HOME": str(home), "XDG_CONFIG_DIRS": str(home), **variables}
    images = str(write_definitions(home))
    command = [sys.executable, "-m", "openstack_image_manager", "plan", "--images", images, *arguments]
    done = subprocess.run(command, env=env, cwd=home, capture_output=True, text=True, check=False)
    return Outcome(done.returncode, done.stdout, done.stderr)


def test_no_clouds_yaml_at_all(tmp_path: Path) -> None:
    refused(at_home(tmp_path), "no readable clouds.yaml", "OS_CLIENT_CONFIG_FILE", "OS_AUTH_URL")


@pytest.mark.parametrize("arguments", [["--cloud", "prod"], ["--all-clouds"]])
def test_the_clouds_yaml_that_a_variable_names(tmp_path: Path, arguments: list[str]) -> None:
    """Also beside another one, which openstacksdk would take."""
    missing = str(tmp_path / "missing.yaml")
    for _ in range(2):
        outcome = at_home(tmp_path, *arguments, OS_CLIENT_CONFIG_FILE=missing)
        refused(outcome, f"OS_CLIENT_CONFIG_FILE names {missing}, which does not exist")
        (tmp_path / "clouds.yaml").write_text("clouds:\n  prod: {}\n")
    outcome = at_home(tmp_path, *arguments, OS_CLIENT_CONFIG_FILE=str(tmp_path))
    refused(outcome, f"OS_CLIENT_CONFIG_FILE names {tmp_path}, which cannot be read: Is a directory")


def variables(entry: dict[str, Any]) -> dict[str, str]:
    return {f"OS_{key.upper()}": value for key, value in {**entry["auth"], "region_name": entry["region_name"]}.items()}


def test_the_environment(attempt: Attempt, entry: dict[str, Any]) -> None:
    everything = variables(entry)
    outcome = attempt("", **everything)
    assert outcome.code == 0, outcome.text
    assert "1 to import" in outcome.out
    without = {key: value for key, value in everything.items() if key != "OS_PASSWORD"}
    refused(attempt("", **without), "OS_* environment", "password", "check the OS_* variables")
    refused(attempt("", **{**everything, "OS_PASSWORD": SECRET}), "OS_* environment", "login refused")
    refused(attempt("", **{**everything, "OS_AUTH_URL": CLOSED + "/v3"}), "OS_* environment", "no connection")


def test_which_cloud(attempt: Attempt, entry: dict[str, Any]) -> None:
    """--cloud, else OS_CLOUD, else the other OS_* variables, else the cloud `openstack`."""
    everything = variables(entry)
    wrong = everything | {"OS_PASSWORD": SECRET}
    for arguments, environment in [
        ((), {}),
        ((), {"OS_CLOUD": "openstack"}),
        ((), {"OS_CLOUD": "openstack"} | wrong),
        (("--cloud", "openstack"), {"OS_CLOUD": "other"}),
        (("--cloud", "openstack"), wrong),
    ]:
        outcome = attempt(entry, *arguments, **environment)
        assert outcome.code == 0, outcome.text
        assert outcome.out.splitlines()[-1].startswith("openstack: 1 definition")
    refused(attempt(entry, OS_CLOUD="other"), "cloud 'other': not in", "openstack", code=2)
    refused(attempt(entry, **wrong), "OS_* environment", "login refused")
