"""A bench for the mirror: definitions in, the command run through a proxy, the bucket looked at."""

from __future__ import annotations

import hashlib
import json
import lzma
import os
import random
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from openstack_image_manager.sandbox import Account
from tests.support.bench import Outcome, run_main
from tests.support.proxy import Proxy
from tests.support.s3 import keys, uploads
from tests.support.site import TestSite

PATTERN = ["1-a.raw", "1-a.raw.mirror.json", "2-a.raw", "2-a.raw.mirror.json"]


def image(seed: str, mebibytes: int = 1) -> bytes:
    """A raw disk that no packer makes smaller."""
    return random.Random(seed).randbytes(mebibytes * 2**20)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def is_index(key: str) -> bool:
    """True for files of the index."""
    return "/streams/v1/" in key or key.rpartition("/")[2].startswith(("SHA256SUMS", ".mirror-unneeded"))


def held(client: Any, bucket: str) -> list[str]:
    """Keys of all objects but the index, in order."""
    return [key for key in keys(client, bucket) if not is_index(key)]


BIG = image("big", 40)
KEY = "m/a/1-a.raw"
BOTH = [KEY, f"{KEY}.mirror.json"]


@dataclass
class Mirror:
    """One test's definitions, site and bucket; the tool goes through the `proxy`."""

    directory: Path
    site: TestSite
    account: Account
    client: Any
    bucket: str
    proxy: Proxy
    file: Path = Path()

    @property
    def endpoint(self) -> str:
        return self.proxy.url

    def version(self, name: str, data: bytes, packed: bool = False) -> dict[str, Any]:
        """A version of raw bytes that the site has, with its checksum."""
        path = f"/{name}.raw.xz" if packed else f"/{name}.raw"
        published = lzma.compress(data) if packed else data
        self.site.put(path, published)
        return {"version": name, "url": self.site.url + path, "checksum": f"sha256:{sha256(published)}"}

    def define(self, *versions: Mapping[str, Any], **fields: Any) -> None:
        """One definition with these versions."""
        kept = [{key: value for key, value in version.items() if value is not None} for version in versions]
        definition = {"name": "A", "shortname": "a", "format": "raw", **fields, "versions": kept}
        self.file = self.directory / "images.yml"
        self.file.write_text(yaml.safe_dump({"images": [definition]}, sort_keys=False), encoding="utf-8")

    def environment(self, account: Account | None = None) -> dict[str, str]:
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "AWS_"))}
        nowhere = str(self.directory / "none")
        aws = {"AWS_CONFIG_FILE": nowhere, "AWS_SHARED_CREDENTIALS_FILE": nowhere, "AWS_EC2_METADATA_DISABLED": "true"}
        return {**clean, **aws, **(account or self.account).environment(), "NO_COLOR": "1"}

    def arguments(self, *options: str, endpoint: str = "") -> list[str]:
        where = ["--bucket", f"s3://{self.bucket}/m", "--endpoint", endpoint or self.endpoint]
        return ["mirror", "--images", str(self.file), *where, *options]

    def run(self, *options: str, endpoint: str = "", account: Account | None = None, **variables: str) -> Outcome:
        """Run the command in this process."""
        environment = {**self.environment(account), **variables}
        return run_main(self.arguments(*options, endpoint=endpoint), environment)

    def start(self, *options: str, **variables: str) -> subprocess.Popen[str]:
        """Start the command as a process of its own."""
        command = [sys.executable, "-m", "openstack_image_manager", *self.arguments(*options)]
        return subprocess.Popen(
            command,
            env={**self.environment(), **variables},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def content(self, key: str) -> bytes:
        data: bytes = self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read()
        return data

    def record(self, key: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.content(f"{key}.mirror.json"))
        return found

    def urls(self) -> list[str | None]:
        """The mirror_url of each version in the file."""
        (definition,) = yaml.safe_load(self.file.read_text())["images"]
        return [version.get("mirror_url") for version in definition["versions"]]


def left(mirror: Mirror) -> tuple[list[str], list[Any]]:
    """Keys of objects but the index, and uploads that nobody ended."""
    return held(mirror.client, mirror.bucket), uploads(mirror.client, mirror.bucket)


def assert_next_run_completes(mirror: Mirror) -> None:
    mirror.proxy.clear()
    outcome = mirror.run("--verify")
    assert outcome.code == 0, outcome.text
    assert left(mirror) == (BOTH, [])
    assert mirror.content(KEY) == BIG
