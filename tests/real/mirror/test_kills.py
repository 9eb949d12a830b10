"""Kills at any write: what is left is accepted by sha256sum, gpgv and an import, and the next run completes it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from openstack.connection import Connection
from tests.real.conftest import delete_images
from tests.support.bench import Bench, run_main
from tests.support.bucket_mirrors import Mirror, image, sha256
from tests.support.gnupg import Gpg, gnupg
from tests.support.proxy import Rule
from tests.support.s3 import keys, swift

from openstack_image_manager.sandbox import Account

KILLS = int(os.environ.get("OIM_MIRROR_KILLS", "3"))
WRITES = "PUT|POST|DELETE"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gnupg() as made:
        yield made


@dataclass
class Killed:
    """A mirror that signs and prunes, whose runs are killed; and its consumers."""

    mirror: Mirror
    bench: Bench
    gpg: Gpg
    key: str
    public: str
    versions: tuple[dict[str, Any], ...] = ()
    round: int = 0

    def change(self) -> None:
        """Define a new version, no longer the oldest one, and other bytes for version 1."""
        self.round += 1
        kept = [self.mirror.version(str(each), image(str(each))) for each in (self.round + 1, self.round + 2)]
        moved = {**self.mirror.version(f"1.{self.round}", image(f"moved {self.round}")), "version": "1"}
        self.versions = (moved, *kept)
        self.mirror.define(*self.versions, **self.fields)
        self.mirror.proxy.clear()

    @property
    def fields(self) -> dict[str, Any]:
        return {"name": f"Mirror {self.bench.tag}", "visibility": "private", "multi": True, "login": "root"}

    def start(self, *options: str) -> subprocess.Popen[str]:
        common = ["--sign-key", self.key, "--prune", "--grace", "0", "--max-deletes", "99", "--write", "--workers", "1"]
        return self.mirror.start(*common, "--public-url", self.public, *options, GNUPGHOME=str(self.gpg.home))

    def completes(self, *options: str) -> None:
        """Run to the end."""
        text, _ = (run := self.start(*options)).communicate(timeout=120)
        assert run.returncode == 0, text

    def kill_at(self, nth: int, lost: bool) -> bool:
        """Run, and kill the run at its n-th write, which is `lost` or applied. False if it had fewer."""
        started = threading.Event()
        runs: list[subprocess.Popen[str]] = []

        def kill() -> None:
            assert started.wait(60)
            os.kill(runs[0].pid, signal.SIGKILL)
            runs[0].wait(60)

        how: dict[str, Any] = {"before": kill, "reset": "before"} if lost else {"after": kill}
        self.mirror.proxy.add(Rule(WRITES, nth=nth, **how))
        runs.append(self.start())
        started.set()
        text, _ = runs[0].communicate(timeout=120)
        assert runs[0].returncode in (0, -signal.SIGKILL), text
        return runs[0].returncode != 0

    def published(self, folder: Path) -> tuple[int, int]:
        """Check all that the bucket publishes with the programs of its consumers: how many files are listed, and how
        many signatures are there."""
        folder.mkdir()
        ring = folder / "ring.gpg"
        ring.write_bytes(self.gpg.run("--export", self.key))
        gpgv = ["gpgv", "--keyring", str(ring)]
        content, held, listed, signed = self.mirror.content, keys(self.mirror.client, self.mirror.bucket), 0, 0
        if "m/a/SHA256SUMS" in held:
            sums = folder / "SHA256SUMS"
            sums.write_bytes(content("m/a/SHA256SUMS"))
            names = [line.split("  ")[1] for line in sums.read_text().splitlines() if not line.startswith("#")]
            for name in names:
                (folder / name).write_bytes(content(f"m/a/{name}"))
            check(["sha256sum", "--strict", "-c", "SHA256SUMS"], folder)
            listed += len(names)
        if "m/a/SHA256SUMS.gpg" in held:
            (folder / "SHA256SUMS.gpg").write_bytes(content("m/a/SHA256SUMS.gpg"))
            check([*gpgv, "SHA256SUMS.gpg", "SHA256SUMS"], folder)
            signed += 1
        for key in [each for each in held if each.endswith(".sjson")]:
            (folder / "signed").write_bytes(content(key))
            (folder / "text").unlink(missing_ok=True)
            check([*gpgv, "--output", "text", "signed"], folder)
            signed += 1
            if key.endswith("images.sjson"):
                self.products(json.loads((folder / "text").read_text()))
        if "m/streams/v1/images.json" in held:
            self.products(json.loads(content("m/streams/v1/images.json")))
        return listed, signed

    def products(self, index: dict[str, Any]) -> None:
        """Check every file that the products name."""
        for product in index["products"].values():
            for version in product["versions"].values():
                for item in version["items"].values():
                    assert sha256(self.mirror.content(f"m/{item['path']}")) == item["sha256"]

    def imported(self, admin: Connection, folder: Path) -> int:
        """Import all versions into Glance, from the mirror first: what is right there is taken, and of the rest the
        upstream is asked; how many the mirror had."""
        folder.mkdir()
        held = keys(self.mirror.client, self.mirror.bucket)
        copies = {version["version"]: f"a/{version['version']}-a.raw" for version in self.versions}
        right = {
            version["version"]
            for version in self.versions
            if (key := f"m/{copies[version['version']]}") in held
            and f"sha256:{sha256(self.mirror.content(key))}" == version["checksum"]
        }
        versions = [{**each, "mirror_url": f"{self.public}/{copies[each['version']]}"} for each in self.versions]
        definition = {"format": "raw", "shortname": "a", **self.fields, "versions": versions}
        (folder / "images.yml").write_text(yaml.safe_dump({"images": [definition]}, sort_keys=False))
        tag, site = f"{self.bench.tag}-{folder.name}", self.bench.site
        site.requests.clear()
        try:
            outcome = run_main(["--cloud", "openstack", "--images", str(folder), "--tag", tag], self.bench.environment)
            assert outcome.code == 0, outcome.text
            asked = {request.path for request in site.requests}
            upstream = {each["version"]: each["url"].removeprefix(site.url) for each in self.versions}
            assert asked == {path for version, path in upstream.items() if version not in right}, outcome.text
            bench = Bench(self.bench.directory, self.bench.clouds, tag, site, admin)
            for version in self.versions:
                data = (site.directory / upstream[version["version"]].lstrip("/")).read_bytes()
                assert bench.image(version["version"]).hash_value == sha512(data)
        finally:
            delete_images(admin, tag)
        return len(right)


def sha512(data: bytes) -> str:
    import hashlib

    return hashlib.sha512(data).hexdigest()


def check(command: list[str], folder: Path) -> None:
    ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 0, (command, ended.stdout, ended.stderr)


@pytest.mark.timeout(180 + 60 * KILLS)
def test_every_kill_leaves_what_consumers_accept(
    mirror: Mirror,
    bench: Bench,
    gpg: Gpg,
    s3: Any,
    object_storage: Account,
    connections: dict[str, Connection],
    tmp_path: Path,
) -> None:
    s3.put_bucket_acl(Bucket=mirror.bucket, ACL="public-read")
    storage, _ = swift(object_storage)
    killed = Killed(mirror, bench, gpg, gpg.make("mirror"), f"{storage}/{mirror.bucket}/m")
    killed.change()
    killed.completes()
    killed.change()
    killed.completes()
    writes = sum(mirror.proxy.count(method) for method in WRITES.split("|"))  # copy, replacement, prune, two indexes
    kills, listed, signed, taken = 0, 0, 0, 0
    nth = 1
    while kills < KILLS:
        killed.change()
        if not killed.kill_at(nth, lost=kills % 2 == 0):
            nth //= 2  # what kills before it left was less to do
            continue
        kills += 1
        nth = 1 + kills * writes // KILLS
        files, signatures = killed.published(tmp_path / f"seen{kills}")
        listed, signed = listed + files, signed + signatures
        taken += killed.imported(connections["openstack"], tmp_path / f"kill{kills}")
    killed.completes("--verify")
    assert killed.published(tmp_path / "end") == (3, 3)
    assert killed.imported(connections["openstack"], tmp_path / "last") == 3
    assert (listed >= KILLS, signed >= 2 * KILLS, taken >= KILLS) == (True, True, True), (listed, signed, taken)
