"""People who come from the newest release of the existing tool: its options, and a cloud that it filled."""

from __future__ import annotations

import hashlib
import runpy
import subprocess
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from benchmarks.world import EXISTING, META, installed
from tests.support.bench import Bench

from openstack_image_manager.sandbox import Sandbox

ROOT = Path(__file__).resolve().parents[3]
SCRIPT = runpy.run_path(str(ROOT / "script" / "coming-from-docs"))
NEVER, PASSED = "none", date(2026, 1, 31)


def test_the_table_has_each_option_of_the_newest_release(sandbox: Sandbox) -> None:
    page = (ROOT / "docs" / "coming-from.md").read_text(encoding="utf-8")
    assert page == SCRIPT["document"](page, sandbox.state), "run script/coming-from-docs"


def complete(name: str, version: dict[str, Any], until: date | str = NEVER) -> dict[str, Any]:
    """A definition with all that the existing tool insists on."""
    meta = {**META, "provided_until": until, "hw_vif_multiqueue_enabled": True}
    fields = {"enable": True, "format": "qcow2", "login": "user", "min_disk": 1, "min_ram": 64, "status": "active"}
    return {
        "name": name,
        **fields,
        "visibility": "public",
        "multi": True,
        "meta": meta,
        "tags": [],
        "versions": [version],
    }


def test_a_cloud_that_it_filled_is_taken_over_without_an_import(
    sandbox: Sandbox, bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(bench.site.directory)
    existing = installed(sandbox.state / "existing", EXISTING)

    def run_existing(*options: str) -> None:
        command = [str(existing), *bench.arguments(*options)]
        done = subprocess.run(command, env=bench.environment, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stderr[-3000:]

    url = bench.publish("/disk.img")
    content = (bench.site.directory / "disk.img").read_bytes()
    md5, sha512 = hashlib.md5(content).hexdigest().upper(), hashlib.sha512(content).hexdigest()
    bench.site.put("/DIGESTS", f"# MD5 HASH\n{md5}  disk.img\n# SHA512 HASH\n{sha512}  disk.img\n".encode())
    built = {"version": "20240101", "build_date": date(2024, 1, 1)}
    moving = complete("Moving", {"version": "latest", "url": url, "checksums_url": f"{bench.site.url}/DIGESTS"})
    relative = complete("Relative", {**built, "url": "file:disk.img"})
    bench.define(moving, relative, complete("Ended", {**built, "url": url}))
    run_existing()
    ended = complete("Ended", {**built, "url": url}, PASSED)
    bench.define(moving, relative, ended)
    run_existing("--retire-expired", "--hide")
    before = {image.name: image.id for image in bench.images()}
    assert {image.name: image.visibility for image in bench.images()}["Ended"] == "community"
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert ("; 0 to import, 3 to change" in outcome.out, "stay retired" in outcome.out) == (True, True), outcome.text
    images = bench.images()
    assert {image.name: image.id for image in images} == before
    assert {image.name: image.visibility for image in images}["Ended"] == "community"
    assert {image.properties["hw_vif_multiqueue_enabled"].lower() for image in images} == {"true"}
    bench.converged()
    outcome = bench.run("--retire-expired", "--delete", "--yes-i-really-know-what-i-do", "--unknown-usage", "delete")
    assert outcome.code == 0, outcome.text
    assert {image.name for image in bench.images()} == {"Moving", "Relative"}
