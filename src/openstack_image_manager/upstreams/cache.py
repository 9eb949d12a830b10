"""Cache fetched documents in a directory that several processes can use at once."""

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

KEEP = 90 * 24 * 3600  # seconds since the last use of a document


def default_directory() -> Path:
    """Return the user's directory of cached documents. Raises RuntimeError if there is no home directory."""
    return files.cache_directory() / "documents"


@dataclass(frozen=True, slots=True)
class CachedDocument:
    """A document, and its validators from the site."""

    data: bytes
    validators: Mapping[str, str]  # ETag, Last-Modified

    def conditions(self) -> dict[str, str]:
        """Return the headers of a conditional request (RFC 9110, 13.1)."""
        names = {"ETag": "If-None-Match", "Last-Modified": "If-Modified-Since"}
        return {names[name]: value for name, value in self.validators.items()}


class Cache:
    """Documents by URL. Unreadable or unwritable entries count as missing: nothing depends on them.

    Each file is written under a temporary name and then renamed, so a reader sees the old or the new one.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def unsafe_reason(self) -> str | None:
        """Return why this directory must not be used: others could write documents into it. None if it is safe, or does
        not exist yet."""
        for folder in (self.directory, self.directory.parent):
            with suppress(OSError):
                status = folder.stat()
                if not _is_ours(status):
                    mode, owner = stat.S_IMODE(status.st_mode), status.st_uid
                    return (
                        f"{folder}: mode {mode:04o}, owner {owner}: others can write there, so its documents are "
                        f"not used and are fetched again; remove it: rm -r {folder}"
                    )
        return None

    def get(self, url: str) -> CachedDocument | None:
        """Return the cached document of that URL, if it is complete."""
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
        """Store a document, if the site sent a validator."""
        validators = {name: headers[name] for name in ("ETag", "Last-Modified") if headers.get(name)}
        if not validators:
            return
        # The URL may contain a password: only its digest is written.
        head = json.dumps({"url": _digest(url.encode()), "sha256": _digest(data), **validators}).encode()
        with suppress(OSError):
            self.directory.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self.directory.mkdir(mode=0o700, exist_ok=True)
            files.replace(Path(self._path(url)), head + b"\n" + data, 0o600)

    def tidy(self) -> None:
        """Remove documents that were not used for a long time, and files of killed processes."""
        before = time.time() - KEEP
        with suppress(OSError):
            for path in self.directory.iterdir():
                with suppress(OSError):
                    if path.stat().st_mtime < before:
                        path.unlink()

    def _path(self, url: str) -> Path:
        return self.directory / _digest(url.encode())


def _is_ours(status: os.stat_result) -> bool:
    """Return True if only this user and root can write there."""
    return status.st_uid in (os.geteuid(), 0) and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
