"""Kills at any moment: what is left is accepted by sha256sum, gpg and an import, and the next run completes."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.mirrors import Mirror, image, sha256
from tests.real.s3 import keys
from tests.services.gnupg import Gpg, gnupg
from tests.services.proxy import Rule

KILLS = int(os.environ.get("OIM_MIRROR_KILLS", "4"))


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gnupg() as made:
        yield made


def accepted(mirror: Mirror, gpg: Gpg, folder: Path) -> None:
    """Check all that the bucket publishes as its consumers do."""
    folder.mkdir(exist_ok=True)
    held = keys(mirror.client, mirror.bucket)
    for key in [each for each in held if each.endswith("/SHA256SUMS")]:
        text = mirror.content(key)
        (folder / "SHA256SUMS").write_bytes(text)
        for line in text.decode().splitlines():
            if not line.startswith("#"):
                digest, name = line.split("  ")
                assert sha256(mirror.content(f"{key.removesuffix('SHA256SUMS')}{name}")) == digest
        if f"{key}.gpg" in held:
            (folder / "SHA256SUMS.gpg").write_bytes(mirror.content(f"{key}.gpg"))
            gpg.run("--verify", str(folder / "SHA256SUMS.gpg"), str(folder / "SHA256SUMS"))
    for key in [each for each in held if each.endswith(".sjson")]:
        gpg.run("--decrypt", data=mirror.content(key))
    if "m/streams/v1/images.json" in held:
        for product in json.loads(mirror.content("m/streams/v1/images.json"))["products"].values():
            for version in product["versions"].values():
                for item in version["items"].values():
                    assert sha256(mirror.content(f"m/{item['path']}")) == item["sha256"]


def kill_at(nth: int, lost: bool) -> tuple[Rule, threading.Event, threading.Event, list[subprocess.Popen[str]]]:
    """A rule that kills the run at its n-th write, which is `lost` or still applied; the event of that."""
    applied, started = threading.Event(), threading.Event()
    runs: list[subprocess.Popen[str]] = []

    def kill() -> None:
        assert started.wait(60)
        os.kill(runs[0].pid, signal.SIGKILL)
        if lost:
            applied.set()

    rule = Rule("PUT|POST|DELETE", ".*", nth=nth, before=kill, after=applied.set, reset="before" if lost else None)
    return rule, applied, started, runs


def test_every_kill_leaves_what_consumers_accept(mirror: Mirror, gpg: Gpg, tmp_path: Path) -> None:
    key = gpg.make("mirror")
    options = ["--sign-key", key, "--prune", "--grace", "0", "--write"]
    chance = random.Random(14)
    killed = 0
    for number in range(KILLS):
        kept = [mirror.version(str(each), image(str(each))) for each in (number, number + 1)]
        replaced = image(f"moving {number}")
        mirror.define(*kept, mirror.version("moving", replaced))
        mirror.proxy.clear()
        rule, applied, started, runs = kill_at(chance.randint(1, 20), lost=True)
        mirror.proxy.add(rule)
        runs.append(mirror.start(*options, GNUPGHOME=str(gpg.home)))
        started.set()
        text, _ = runs[0].communicate(timeout=120)
        if runs[0].returncode == -signal.SIGKILL:
            assert applied.wait(60)
            killed += 1
        else:  # it had fewer writes than that
            assert runs[0].returncode == 0, text
        accepted(mirror, gpg, tmp_path / "seen")
    mirror.proxy.clear()
    outcome = mirror.run(*options, "--verify", GNUPGHOME=str(gpg.home))
    assert outcome.code == 0, outcome.text
    accepted(mirror, gpg, tmp_path / "seen")
    assert killed > 0
