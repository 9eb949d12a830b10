"""A bench for a test against the real Glance: definitions in, the command line run, the cloud looked at."""

from __future__ import annotations

import io
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openstack
import yaml
from openstack.connection import Connection

from openstack_image_manager.cli.app import main
from openstack_image_manager.cloud.image_api import as_image
from openstack_image_manager.model import Image
from openstack_image_manager.sandbox.disks import disk_image
from tests.support.site import TestSite

CLOSED = "http://127.0.0.1:9"  # discard: nobody listens there


@dataclass(frozen=True)
class Outcome:
    """What a run of the command line left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def text(self) -> str:
        """Everything it said."""
        return self.out + self.err


@dataclass
class Bench:
    """One test's definitions, site, tag and cloud. `clouds` is the clouds.yaml that the tool gets to see."""

    directory: Path
    clouds: Path
    tag: str
    site: TestSite
    admin: Connection
    cloud: str = "openstack"
    digests: dict[str, str] = field(default_factory=dict)

    def publish(self, path: str, text: str = "", disk_format: str = "qcow2") -> str:
        """Put a small real disk image on the site; its URL."""
        local = self.directory / "disk.tmp"
        disk_image(local, disk_format, text or path, 8)
        content = local.read_bytes()
        local.unlink()
        return self.site.put(path, content)

    def version(self, name: str, **fields: Any) -> dict[str, Any]:
        """A version whose image is on the site, with its real checksum unless told otherwise."""
        import hashlib

        path = f"/{name}.img"
        url = (
            self.publish(path, name) if not (self.site.directory / path.lstrip("/")).exists() else self.site.url + path
        )
        digest = hashlib.sha256((self.site.directory / path.lstrip("/")).read_bytes()).hexdigest()
        return {"version": name, "url": url, "checksum": f"sha256:{digest}", **fields}

    def define(self, *definitions: Mapping[str, Any]) -> None:
        """These definitions, and no others."""
        folder = self.directory / "images"
        folder.mkdir(exist_ok=True)
        content = {"images": [dict(definition) for definition in definitions]}
        (folder / "images.yml").write_text(yaml.safe_dump(content, sort_keys=False), encoding="utf-8")

    def ubuntu(self, *versions: Any, **fields: Any) -> dict[str, Any]:
        """A definition like that of Ubuntu: multi, public, generic."""
        return {
            "name": f"Ubuntu {self.tag}",
            "format": "qcow2",
            "login": "ubuntu",
            "min_ram": 64,
            "visibility": "public",
            "multi": True,
            "meta": {"architecture": "x86_64", "os_distro": "ubuntu", "os_purpose": "generic", "os_version": "24.04"},
            "versions": [self.version(v) if isinstance(v, str) else v for v in versions],
            **fields,
        }

    @property
    def environment(self) -> dict[str, str]:
        """The environment of the tool: no variable of OpenStack's but the path of clouds.yaml."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith("OS_")}
        return {**clean, "OS_CLIENT_CONFIG_FILE": str(self.clouds), "NO_COLOR": "1"}

    def arguments(self, *arguments: str) -> list[str]:
        """The arguments with cloud, images and tag after the command's name."""
        commands = [
            a
            for a in arguments[:1]
            if a in ("plan", "apply", "status", "rollback", "share", "unshare", "show", "explain")
        ]
        rest = arguments[len(commands) :]
        common = ["--cloud", self.cloud, "--images", str(self.directory / "images"), "--tag", self.tag]
        if commands and commands[0].endswith("share"):
            common = ["--cloud", self.cloud, "--tag", self.tag]
        return [*commands, *common, *rest]

    def run(self, *arguments: str) -> Outcome:
        """Run the command line in this process."""
        return run_main(self.arguments(*arguments), self.environment)

    def converged(self) -> None:
        """Assert that a run has nothing to do, and that the plan says so."""
        outcome = self.run("plan", "--exit-code")
        assert (outcome.code, "no changes" in outcome.out) == (0, True), outcome.text

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        """Start the command line as a process of its own."""
        command = [sys.executable, "-m", "openstack_image_manager", *self.arguments(*arguments)]
        return subprocess.Popen(
            command, env=self.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )

    def images(self, admin: Connection | None = None) -> list[Image]:
        """All images with the test's tag, hidden ones too, as an administrator (of the first cloud) sees them."""
        found = []
        for hidden in ("false", "true"):
            answer = (admin or self.admin).image.get(
                f"/images?tag={self.tag}&os_hidden={hidden}&visibility=all&limit=1000"
            )
            openstack.exceptions.raise_from_response(answer)
            found += [as_image(each) for each in answer.json()["images"]]
        return found

    def names(self) -> dict[str, str]:
        """Names of the images and the versions that they are; every name once."""
        images = self.images()
        names = {image.name: image.properties.get("internal_version", "") for image in images}
        assert len(names) == len(images), [image.name for image in images]
        return names

    def image(self, version: str) -> Image:
        """The one image of a version."""
        (found,) = [image for image in self.images() if image.properties.get("internal_version") == version]
        return found

    def patch(self, image: Image, *operations: Mapping[str, Any]) -> None:
        """Change an image as somebody else would."""
        answer = self.admin.image.patch(
            f"/images/{image.id}",
            json=list(operations),
            headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
        )
        openstack.exceptions.raise_from_response(answer)

    def make(self, content: bytes, **body: Any) -> str:
        """Make an image by hand, with bytes, as another tool would; its id."""
        answer = self.admin.image.post(
            "/images", json={"disk_format": "qcow2", "container_format": "bare", "tags": [self.tag], **body}
        )
        openstack.exceptions.raise_from_response(answer)
        image_id: str = answer.json()["id"]
        answer = self.admin.image.put(
            f"/images/{image_id}/file", data=content, headers={"Content-Type": "application/octet-stream"}
        )
        openstack.exceptions.raise_from_response(answer)
        return image_id


def run_main(arguments: list[str], environment: Mapping[str, str]) -> Outcome:
    """Run the command line in this process with that environment."""
    out, err = io.StringIO(), io.StringIO()
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environment)
    code = 0
    try:
        with redirect_stdout(out), redirect_stderr(err):
            main(arguments)
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    finally:
        os.environ.clear()
        os.environ.update(before)
    return Outcome(code, out.getvalue(), err.getvalue())


def elsewhere(clouds: str, **endpoints: str) -> str:
    """The text of a clouds.yaml whose clouds in the first region have these services at other addresses."""
    region = "    region_name: RegionOne\n"
    overrides = [f"    {service}_endpoint_override: {url}\n" for service, url in endpoints.items()]
    return clouds.replace(region, "".join([region, *overrides]))
