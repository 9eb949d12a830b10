"""Keep documents that were fetched before, in a directory that several processes can use at once."""

from __future__ import annotations

import hashlib
import json
import os
import stat
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from openstack_image_manager import files

KEEP = 90 * 24 * 3600  # seconds since a document was last asked for


def default_directory() -> Path:
    """Where the documents of a user are kept. Raises RuntimeError where there is no home."""
    return files.cache_directory() / "documents"


@dataclass(frozen=True, slots=True)
class CachedDocument:
    """A document, and the validators that the site gave with it."""

    data: bytes
    validators: Mapping[str, str]  # ETag, Last-Modified

    def conditions(self) -> dict[str, str]:
        """The headers that ask for it only if it has changed (RFC 9110, 13.1)."""
        names = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
        return {names[name]: value for name, value in self.validators.items()}


class Cache:
    """Documents by address. What cannot be read or written is as if it were not there: nothing depends on it.

    A file is written beside its place and then moved there, so that a reader sees the old one or the new one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def unsafe_reason(self) -> str | None:
        """Why this directory is not to be used: others could put documents there that nobody signed. None: it may be,
        or it is not there yet."""
        for folder in (self.directory, self.directory.parent):
            with suppress(OSError):
                found = folder.stat()
                if not _is_ours(found):
                    mode, owner = stat.S_IMODE(found.st_mode), found.st_uid
                    return (
                        f"{folder}: mode {mode:04o}, owner {owner}: others can write there, so its documents are "
                        f"not used and are fetched again; remove it: rm -r {folder}"
                    )
        return None

    def get(self, url: str) -> CachedDocument | None:
        """What is kept of that address, if it is whole."""
        path = self._path(url)
        try:
            with path.open("rb") as file:
                if not _is_ours(os.fstat(file.fileno())):
                    return None
                head, _, data = file.read().partition(b"\n")
            about = json.loads(head)
            if about["url"] != _digest(url.encode()) or about["sha256"] != _digest(data):
                return None
            validators = {name: about[name] for name in ("ETag", "Last-Modified") if isinstance(about.get(name), str)}
            path.touch()
        except (OSError, ValueError, KeyError, TypeError, RecursionError):
            return None
        return CachedDocument(data, validators)

    def put(self, url: str, data: bytes, headers: Mapping[str, str]) -> None:
        """Keep a document, if the site gave anything to ask for changes with."""
        validators = {name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)}
        if not validators:
            return
        # The address may hold a password: only its digest is written.
        head = json.dumps({"url": _digest(url.encode()), "sha256": _digest(data), **validators}).encode()
        with suppress(OSError):
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            files.replace(Path(self._path(url)), head + b"\n" + data, 0o600)

    def tidy(self) -> None:
        """Remove what was not asked for in a long time, and what killed processes left."""
        before = time.time() - KEEP
        with suppress(OSError):
            for path in self.directory.iterdir():
                with suppress(OSError):
                    if path.stat().st_mtime < before:
                        path.unlink()

    def _path(self, url: str) -> Path:
        return self.directory / _digest(url.encode())


def _is_ours(found: os.stat_result) -> bool:
    """True if nobody but this user, and root, can write there."""
    return found.st_uid in (os.geteuid(), 0) and not found.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
