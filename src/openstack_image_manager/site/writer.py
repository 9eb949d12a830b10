"""Write the files of a site one by one, and remove those that are no longer needed.

Readers never see half of a file. Only what an earlier run has written is ever removed: LIST names those files, and
tells a folder of ours from all others.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import resources
from pathlib import Path, PurePosixPath

from openstack_image_manager.errors import Error
from openstack_image_manager.site.pages import ASSETS, TEMPLATES

LIST = ".openstack-image-manager.json"
KIND = "a website made by openstack-image-manager catalogue build"


@dataclass(frozen=True, slots=True)
class Written:
    """What became of the files: how many are new or other than before, the same, and removed."""

    written: int
    same: int
    removed: int


def texts() -> dict[str, str]:
    """The templates, the style sheet and the script that come with this package."""
    folder = resources.files("openstack_image_manager") / "site" / "web"
    return {name: (folder / name).read_text(encoding="utf-8") for name in (*TEMPLATES, *ASSETS)}


def check(folder: Path) -> set[str]:
    """The files that an earlier run has written there. Raises Error for a folder with something else in it."""
    try:
        if not folder.exists():
            return set()
        there = set(os.listdir(folder))
        if not there:
            return set()
        if LIST not in there:
            raise Error(f"{folder}: is not empty, and not a site of this command; name a new or an empty directory")
        data = json.loads((folder / LIST).read_text(encoding="utf-8"))
    except OSError as error:
        raise Error(f"{folder}: {error.strerror}; name a new or an empty directory") from None
    except (ValueError, RecursionError):
        data = None
    names = data.get("files") if isinstance(data, dict) and data.get("kind") == KIND else None
    if not isinstance(names, list) or not all(isinstance(name, str) and _is_inside(name) for name in names):
        raise Error(f"{folder / LIST}: is damaged, so nobody knows which files are ours; remove the directory")
    return set(names)


def write(folder: Path, files: Mapping[str, bytes]) -> Written:
    """Make the folder hold these files, in their order, and none that an earlier run left. Raises Error."""
    before = check(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        # A run that is cut off leaves nothing behind that the next one does not know.
        _replace(folder / LIST, _list(before | set(files)))
        changed = sum(_put(folder / path, content) for path, content in files.items())
        gone = [path for path in sorted(before - set(files)) if _remove(folder, path)]
        _replace(folder / LIST, _list(files))
    except OSError as error:
        raise Error(f"{error.filename2 or error.filename or folder}: {error.strerror}") from None
    return Written(changed, len(files) - changed, len(gone))


def _is_inside(name: str) -> bool:
    path = PurePosixPath(name)
    return not path.is_absolute() and ".." not in path.parts and path.parts != ()


def _list(names: Iterable[str]) -> bytes:
    return (json.dumps({"kind": KIND, "files": sorted(names)}, indent=1) + "\n").encode()


def _put(path: Path, content: bytes) -> bool:
    """True if the file was not like that before."""
    with suppress(OSError):
        if not path.is_symlink() and path.read_bytes() == content:
            return False
    path.parent.mkdir(exist_ok=True)
    _replace(path, content)
    return True


def _replace(path: Path, content: bytes) -> None:
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(content)
        partial.replace(path)
    except OSError:
        with suppress(OSError):
            partial.unlink()
        raise


def _remove(folder: Path, name: str) -> bool:
    path = folder / name
    try:
        path.unlink()
    except FileNotFoundError:
        return False
    if path.parent != folder:
        with suppress(OSError):  # others have files there, too
            path.parent.rmdir()
    return True
