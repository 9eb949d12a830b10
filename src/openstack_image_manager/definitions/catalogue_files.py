"""The definition files that come with this package."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from openstack_image_manager.defaults import CATALOGUE
from openstack_image_manager.definitions.diagnostics import suggestion
from openstack_image_manager.errors import UsageError


def files(path: str = CATALOGUE) -> list[str]:
    """The files that `catalogue:`, `catalogue:debian` or `catalogue:debian,ubuntu` mean. Raises UsageError."""
    folder = Path(str(resources.files("openstack_image_manager"))) / "catalogue" / "images"
    known = {file.stem: str(file) for file in sorted(folder.glob("*.yml"))}
    asked = [name.strip() for name in path.removeprefix(CATALOGUE).split(",")]
    if asked == [""]:
        return list(known.values())
    if "" in asked:
        raise UsageError(f"{path}: a name is missing between two commas or at an end; write {CATALOGUE}debian,ubuntu")
    for name in asked:
        if name not in known:
            hint = suggestion(name, known) or f"; there are {', '.join(known)}"
            raise UsageError(f"{path}: the catalogue has no file '{name}'{hint}")
    return [known[name] for name in dict.fromkeys(asked)]
