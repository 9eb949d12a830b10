"""Runs of `doctor`: what they found, and what they left."""

from __future__ import annotations

import json
from typing import Any

import openstack

from openstack_image_manager.doctor.probe import TAG
from tests.support.bench import Bench, Outcome, run_main

Checks = dict[str, dict[str, Any]]


def doctor(bench: Bench, *arguments: str) -> Outcome:
    common = ["--cloud", bench.cloud, "--tag", bench.tag]
    if (bench.directory / "images").exists():
        common += ["--images", str(bench.directory / "images")]
    return run_main(["doctor", *common, *arguments], bench.environment)


def checks(bench: Bench, *arguments: str) -> tuple[int, Checks, Checks]:
    """The exit code, and what was found in the cloud and from here, by topic."""
    outcome = doctor(bench, "--output", "json", *arguments)
    found = json.loads(outcome.out)
    (cloud,) = found["clouds"].values()
    return outcome.code, {each["topic"]: each for each in cloud}, {each["topic"]: each for each in found["here"]}


def states(found: Checks) -> dict[str, str]:
    return {topic: each["state"] for topic, each in found.items()}


def left(bench: Bench) -> list[str]:
    """Records of the test's own runs of `doctor` that are still there."""
    answer = bench.admin.image.get(f"/images?tag={TAG}&os_hidden=true&visibility=all")
    openstack.exceptions.raise_from_response(answer)
    return [each["id"] for each in answer.json()["images"] if each["name"] == f"doctor of {bench.tag}"]
