"""Where it is measured: one sandbox, definitions, images in Glance, and the three that are compared."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

import requests
import yaml
from tests.support.proxy import Proxy, Rule

from benchmarks.floors.plain import log_in
from benchmarks.measure import Failed, Taken, run
from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.sandbox.disks import disk_image
from openstack_image_manager.sandbox.site import serving

EXISTING = "openstack-image-manager==0.20261007.0"
FLOORS = Path(__file__).with_name("floors")
META = {
    "architecture": "x86_64",
    "hw_disk_bus": "scsi",
    "hw_rng_model": "virtio",
    "hw_scsi_model": "virtio-scsi",
    "hw_watchdog_action": "reset",
    "hypervisor_type": "qemu",
    "os_distro": "ubuntu",
    "os_purpose": "minimal",
    "provided_until": "none",
    "replace_frequency": "never",
    "uuid_validity": "none",
}


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured: `full` or light, and how often."""

    full: bool
    runs: int
    existing: bool = True

    def pick(self, light: int, full: int) -> int:
        """The number for this size."""
        return full if self.full else light


@dataclass
class World:
    """A running sandbox and a directory for what a case needs; all images carry a tag that begins with `bench-`."""

    sandbox: Sandbox
    directory: Path
    command: Sequence[str]
    _numbers: Iterator[int] = field(default_factory=itertools.count)

    @property
    def clouds(self) -> dict[str, Any]:
        """The sandbox's clouds.yaml."""
        found: dict[str, Any] = yaml.safe_load(self.sandbox.clouds_yaml.read_text(encoding="utf-8"))["clouds"]
        return found

    def environment(self, clouds: Path | None = None, **variables: str) -> dict[str, str]:
        """Without anything of OpenStack or AWS but the path of clouds.yaml."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "AWS_", "PYTHON"))}
        where = {"OS_CLIENT_CONFIG_FILE": str(clouds or self.sandbox.clouds_yaml), "NO_COLOR": "1"}
        return {**clean, **where, "HOME": str(self.directory), **variables}

    def folder(self) -> Path:
        """An empty directory."""
        made = self.directory / str(next(self._numbers))
        made.mkdir()
        return made

    def tag(self) -> str:
        return f"bench-{uuid.uuid4().hex[:12]}"

    # What is compared.

    def ours(
        self,
        *arguments: str,
        clouds: Path | None = None,
        variables: Mapping[str, str] | None = None,
        **checks: Any,
    ) -> Taken:
        """The tool as a user runs it."""
        return run([*self.command, *arguments], self.environment(clouds, **(variables or {})), **checks)

    def floor(self, script: str, **job: Any) -> Taken:
        """A bare script of benchmarks/floors with its job as JSON."""
        path = self.folder() / "job.json"
        path.write_text(json.dumps(job), encoding="utf-8")
        python = Path(self.command[0]).with_name("python")  # what else is installed there delays both sides alike
        return run([str(python), str(FLOORS / script), str(path)], self.environment())

    def existing(self, *arguments: str, **checks: Any) -> Taken:
        """The released tool of this name, in an environment of its own."""
        command = installed(self.sandbox.state / "existing", EXISTING)
        return run([str(command), *arguments], self.environment(), cwd=self.folder(), **checks)

    def account(self, cloud: str = "openstack", proxy: Proxy | None = None) -> dict[str, Any]:
        """What a floor needs to log in, and where its Glance is."""
        found = self.clouds[cloud]
        region = {"RegionOne": "glance-one", "RegionTwo": "glance-two"}[found["region_name"]]
        return {"auth": found["auth"], "glance": proxy.url if proxy else self.sandbox.url(region)}

    # Definitions and images.

    def disk(self) -> tuple[str, str]:
        """URL and checksum of a small image on the sandbox's site."""
        path = self.sandbox.site_directory / "bench" / "disk.img"
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            partial = path.with_name(".partial")
            disk_image(partial, "qcow2", "bench", 8)
            partial.replace(path)
        url = f"{self.sandbox.url('site')}/bench/disk.img"
        return url, f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"

    def define(self, count: int, visibility: str = "public", prefix: str = "Bench", **fields: Any) -> Path:
        """A directory with so many definitions of one version each, 1,000 in a file."""
        url, checksum = self.disk()
        folder = self.folder()
        for start in range(0, count, 1000):
            images = [
                {
                    "name": f"{prefix} {number:05}",
                    "enable": True,  # the existing tool insists
                    "format": "qcow2",
                    "login": "ubuntu",
                    "min_disk": 1,
                    "min_ram": 64,
                    "status": "active",
                    "visibility": visibility,
                    "multi": False,
                    "tags": [],
                    "versions": [{"version": "1", "url": url, "checksum": checksum, "build_date": date(2026, 1, 1)}],
                    **fields,
                    "meta": {**META, **fields.get("meta", {})},
                }
                for number in range(start, min(count, start + 1000))
            ]
            dump(folder / f"{start:05}.yml", images)
        return folder

    def session(self, cloud: str = "openstack") -> tuple[requests.Session, str]:
        """A session with a token, and the address of Glance."""
        account = self.account(cloud)
        session: requests.Session = log_in(account)
        return session, f"{account['glance']}/v2"

    def images(self, tag: str, cloud: str = "openstack") -> list[dict[str, Any]]:
        """All images with the tag, hidden ones too."""
        session, glance = self.session(cloud)
        found: list[dict[str, Any]] = []
        with session:
            for hidden in ("false", "true"):
                path = f"/v2/images?limit=1000&tag={tag}&os_hidden={hidden}&visibility=all"
                while path:
                    answer = session.get(glance.removesuffix("/v2") + path, timeout=600)
                    answer.raise_for_status()
                    page = answer.json()
                    found += page["images"]
                    path = page.get("next", "")
        return found

    def clean(self, tag: str) -> None:
        """Delete all images with the tag in both regions."""
        for cloud in ("openstack", "second"):
            session, glance = self.session(cloud)

            def delete(image: Mapping[str, Any], session: requests.Session = session, glance: str = glance) -> None:
                answer = session.delete(f"{glance}/images/{image['id']}", timeout=600)
                if answer.status_code not in (204, 404):
                    raise Failed(f"{image['id']} can't be deleted: {answer.status_code} {answer.text[:200]}")

            found = self.images(tag, cloud)
            with session, ThreadPoolExecutor(4) as pool:
                list(pool.map(delete, found))

    @contextmanager
    def tagged(self) -> Iterator[str]:
        """A tag whose images are deleted at the end."""
        tag = self.tag()
        try:
            yield tag
        finally:
            self.clean(tag)

    @contextmanager
    def proxied(self, delay: float = 0.0) -> Iterator[tuple[Proxy, Path]]:
        """A proxy in front of the first Glance that counts, or answers later, and a clouds.yaml that leads there."""
        with serving(Proxy(self.sandbox.url("glance-one"))) as proxy:
            if delay:
                proxy.add(Rule(times=None, before=lambda: time.sleep(delay)))
            path = self.folder() / "clouds.yaml"
            clouds = self.clouds
            for entry in clouds.values():
                if entry["region_name"] == "RegionOne":
                    entry["image_endpoint_override"] = proxy.url
            path.write_text(yaml.safe_dump({"clouds": clouds}), encoding="utf-8")
            yield proxy, path


def installed(venv: Path, package: str, mark: str = "") -> Path:
    """The command of a package in an environment of its own, as users have it. `mark`: another one than last time has
    it made anew. Raises Failed."""
    # The existing tool pins patool, which it needs for packed images only, to a release for Python 3.12 and later.
    older = ["--ignore-requires-python"] if package == EXISTING else []
    made = venv / ".made"
    if not made.exists() or made.read_text(encoding="utf-8") != package + mark:
        shutil.rmtree(venv, ignore_errors=True)
        commands = [
            [sys.executable, "-m", "venv", str(venv)],
            [str(venv / "bin" / "python"), "-m", "pip", "install", "--quiet", *older, package],
        ]
        for command in commands:
            done = subprocess.run(command, check=False, capture_output=True, text=True)
            if done.returncode:
                raise Failed(f"{package} could not be installed: {done.stderr.strip()[-300:]}")
        made.write_text(package + mark, encoding="utf-8")
    return venv / "bin" / "openstack-image-manager"


def dump(path: Path, images: Sequence[Mapping[str, Any]]) -> None:
    """Write definitions."""
    dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
    path.write_text(yaml.dump({"images": list(images)}, Dumper=dumper, sort_keys=False), encoding="utf-8")
