"""Attempts to reach a cloud, with what clouds.yaml, the environment and arguments say of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tests.support.bench import Outcome, run_main

SECRET = "geheim-7f3a"
DEFINITION = """\
images:
  - name: Any
    format: qcow2
    visibility: private
    versions:
      - version: "1"
        url: http://127.0.0.1:9/1.img
"""
Attempt = Callable[..., Outcome]


def write_definitions(directory: Path) -> Path:
    """A file with the definition of an image that no cloud has."""
    path = directory / "definitions.yml"
    path.write_text(DEFINITION)
    return path


def attempt_in(directory: Path) -> Attempt:
    """What plans with a clouds.yaml (its text, or the entry of `openstack`), further arguments and OS_* variables."""
    images = write_definitions(directory)

    def run(clouds: str | dict[str, Any], *arguments: str, **variables: str) -> Outcome:
        path = directory / "clouds.yaml"
        path.write_text(clouds if isinstance(clouds, str) else yaml.safe_dump({"clouds": {"openstack": clouds}}))
        environment = {"OS_CLIENT_CONFIG_FILE": str(path), "NO_COLOR": "1", **variables}
        return run_main(["plan", "--images", str(images), "--tag", "nobody-has-it", *arguments], environment)

    return run


def spoilt(entry: dict[str, Any], **changes: Any) -> dict[str, Any]:
    """The entry with other values, None: without; what belongs to `auth` goes there."""
    auth = {key: changes.pop(key) for key in list(changes) if key in entry["auth"]}
    made = {**entry, **changes, "auth": {**entry["auth"], **auth}}
    made["auth"] = {key: value for key, value in made["auth"].items() if value is not None}
    return made


def refused(outcome: Outcome, *parts: str, code: int = 1) -> None:
    """Assert one line of error with these parts, in this order."""
    assert outcome.code == code, outcome.text
    assert outcome.out == ""
    assert outcome.err.startswith("error: ")
    assert outcome.err.count("\n") == 1, outcome.err
    assert SECRET not in outcome.err
    rest = outcome.err
    for part in parts:
        assert part in rest, outcome.err
        rest = rest.partition(part)[2]
