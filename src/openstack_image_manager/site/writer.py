"""Write the files of a site one by one, and remove those that are no longer needed.

Readers never see a part of a file. Only files of an earlier run are removed: LIST names them, and marks a directory as
a site of this command."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from openstack_image_manager.errors import Error
from openstack_image_manager.files import replace
from openstack_image_manager.site.pages import ASSETS, TEMPLATES

LIST = ".openstack-image-manager.json"
KIND = "a website made by openstack-image-manager catalogue build"


@dataclass(frozen=True, slots=True)
class Written:
    """The number of files that are new or changed, unchanged, and removed."""

    written: int
    same: int
    removed: int


def texts() -> dict[str, str]:
    """Return the templates, the style sheet and the script of this package."""
    folder = resources.files("openstack_image_manager") / "site" / "web"
    return {name: (folder / name).read_text(encoding="utf-8") for name in (*TEMPLATES, *ASSETS)}


def check(folder: Path) -> set[str]:
    """Return the files of an earlier run. Raises Error for a directory with other content."""
    try:
        if not folder.exists():
            return set()
        existing = set(os.listdir(folder))
        if not existing:
            return set()
        if LIST not in existing:
            raise Error(f"{folder}: is neither empty nor a site of this command; name a new or an empty directory")
        data = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except OSError as error:
        raise Error(f"{folder}: {error.strerror}; name a new or an empty directory") from None
    except (ValueError, RecursionError):
        data = None
    names = data.get("files") if isinstance(data, dict) and data.get("kind") == KIND else None
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_inside(name) for name in names):
        raise Error(f"{folder / LIST}: is damaged: the files of the site are unknown; remove the directory")
    return set(names)


def write(folder: Path, files: Mapping[str, bytes]) -> Written:
    """Write these files in their order, and remove other files of an earlier run. Raises Error."""
    before = check(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # The next run knows all files of an interrupted one.
        replace(folder / LIST, _list(before | set(files)))
        changed = sum(_put(folder / path, content) for path, content in files.items())
        removed = [path for path in sorted(before - set(files)) if _remove(folder, path)]
        replace(folder / LIST, _list(files))
    except OSError as error:
        raise Error(f"{error.filename2 or error.filename or folder}: {error.strerror}") from None
    return Written(changed, len(files) - changed, len(removed))


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts != ()


def _list(names: Iterable[str]) -> bytes:
    return (json.dumps({"kind": KIND, "files": sorted(names)}, indent=1) + "\n").encode()


def _put(path: Path, content: bytes) -> bool:
    """Return whether the file changed."""
    with suppress(OSError):
        if not path.is_symlink() and path.read_bytes() == content:
            return False
    path.parent.mkdir(exist_ok=True)
    replace(path, content)
    return True


def _remove(folder: Path, name: str) -> bool:
    path = folder / name
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    if path.parent != folder:
        with suppress(OSError):  # the user has files there, too
            path.parent.rmdir()
    return True
