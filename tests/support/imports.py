"""Imports of version 1: defined, run, and looked at."""

from __future__ import annotations

import hashlib
from typing import Any

from openstack_image_manager.plan import markers
from tests.support.bench import Bench, Outcome

ONE_IMAGE = "/v2/images/[^/]+"  # the path of calls for one image


def define(bench: Bench, **version: Any) -> None:
    """Version 1, private, with these fields, and nothing else."""
    bench.define(bench.ubuntu(bench.version("1", **version), visibility="private"))


def content(bench: Bench) -> bytes:
    """What the site has as version 1."""
    return (bench.site.directory / "1.img").read_bytes()


def digest(bench: Bench, algorithm: str = "sha512") -> str:
    """The checksum of version 1 as a definition has it."""
    return f"{algorithm}:{hashlib.new(algorithm, content(bench)).hexdigest()}"


def verified(bench: Bench) -> str:
    """What the image says of its verification."""
    return bench.image("1").properties[markers.VERIFIED]


def imported(bench: Bench, *arguments: str) -> str:
    """Run, assert that all is well and nothing is left to do; what the image says of its verification."""
    outcome = bench.run(*arguments)
    assert outcome.code == 0, outcome.text
    assert bench.image("1").status == "active"
    bench.converged()
    return verified(bench)


def made(bench: Bench, *arguments: str) -> Outcome:
    """Run: all is well and nothing else is left."""
    outcome = bench.run(*arguments)
    assert outcome.code == 0, outcome.text
    (image,) = bench.images()
    assert (image.status, image.hash_value) == ("active", hashlib.sha512(content(bench)).hexdigest())
    bench.converged()
    return outcome


def refused(bench: Bench, *arguments: str) -> str:
    """Run, assert that it fails and leaves nothing; what it said."""
    outcome = bench.run(*arguments)
    assert outcome.code == 1, outcome.text
    assert bench.images() == []
    assert "Traceback" not in outcome.text
    return outcome.text


def failed(bench: Bench, *arguments: str) -> str:
    """Run: it fails with a message; what it said."""
    outcome = bench.run(*arguments)
    assert outcome.code == 1, outcome.text
    assert "Traceback" not in outcome.text
    return outcome.out
