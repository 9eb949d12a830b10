"""A bench for the mirror in a directory: definitions in, the command run, the tree looked at."""

from __future__ import annotations

import hashlib
import io
import json
import os
import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from openstack_image_manager.cli.app import main
from openstack_image_manager.sandbox.site import serving
from tests.support.site import TestSite

KEY = "a/1-a.raw"


def image(seed: str, mebibytes: int = 1) -> bytes:
    """A raw disk that no packer makes smaller."""
    return random.Random(seed).randbytes(mebibytes * 2**20)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


@dataclass
class Carried:
    """One test's definitions, upstream, and a directory `tree` as the mirror."""

    directory: Path
    site: TestSite
    tree: Path

    @property
    def file(self) -> Path:
        return self.directory / "images.yml"

    def version(self, name: str, data: bytes) -> dict[str, Any]:
        """A version of raw bytes that the site has, with its checksum."""
        return {
            "version": name,
            "url": self.site.put(f"/{name}.raw", data),
            "checksum": f"sha256:{sha256(data)}",
        }

    def define(self, *versions: Mapping[str, Any], **fields: Any) -> None:
        """One definition with these versions."""
        kept = [{key: value for key, value in version.items() if value is not None} for version in versions]
        definition = {"name": "A", "shortname": "a", "format": "raw", **fields, "versions": kept}
        self.file.write_text(yaml.safe_dump({"images": [definition]}, sort_keys=False), encoding="utf-8")

    def run(self, *options: str, tree: Path | None = None, **variables: str) -> tuple[int, str]:
        """Run the command in this process; its exit code and all that it said."""
        clean = {key: value for key, value in os.environ.items() if not key.startswith(("OS_", "AWS_", "GNUPG"))}
        before, text, code = dict(os.environ), io.StringIO(), 0
        os.environ.clear()
        os.environ.update({**clean, "NO_COLOR": "1", **variables})
        try:
            with redirect_stdout(text), redirect_stderr(text):
                main(["mirror", "--images", str(self.file), "--bucket", (tree or self.tree).as_uri(), *options])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else int(end.code is not None)
        finally:
            os.environ.clear()
            os.environ.update(before)
        return code, text.getvalue()

    def files(self) -> list[str]:
        """All files of the tree, in order."""
        return sorted(str(path.relative_to(self.tree)) for path in self.tree.rglob("*") if not path.is_dir())

    def record(self, key: str = KEY) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.tree / f"{key}.mirror.json").read_text())
        return found

    def products(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.tree / "streams/v1/images.json").read_text())["products"]
        return found


@contextmanager
def carried(directory: Path) -> Iterator[Carried]:
    """A bench with one version of two MiB defined."""
    (directory / "site").mkdir()
    (directory / "tree").mkdir()
    with serving(TestSite(directory / "site")) as site:
        made = Carried(directory, site, directory / "tree")
        made.define(made.version("1", image("1", 2)))
        yield made
