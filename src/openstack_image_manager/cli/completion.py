"""What the shell offers on the tab key: names of definitions and of clouds, found without asking a cloud."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import typer

_ASKED = "_OPENSTACK_IMAGE_MANAGER_COMPLETE"  # by which shell
_UNSAFE = re.compile(r"[^\w@%+=:,./-]")
MOST = 8 * 1024 * 1024  # bytes of a clouds.yaml


def is_completing() -> bool:
    """True where a shell asks, and not a person."""
    return _ASKED in os.environ


def definitions(context: typer.Context, incomplete: str) -> list[str]:
    """Names of definitions in --images (or where they are by default) that begin like this."""
    from openstack_image_manager.defaults import DEFAULT_IMAGES
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.errors import Error

    try:
        loaded = load(context.params.get("images") or DEFAULT_IMAGES)
    except Error:
        return []
    return _beginning(loaded.positions, incomplete)


def clouds(incomplete: str) -> list[str]:
    """Names in clouds.yaml that begin like this; openstacksdk, which knows them too, takes a second to load."""
    for path in _places():
        try:
            data = path.read_bytes()[:MOST]
        except OSError:
            continue
        return _beginning(_names(data), incomplete)
    return []


def _places() -> list[Path]:
    """Where openstacksdk looks, in its order."""
    if named := os.environ.get("OS_CLIENT_CONFIG_FILE"):
        return [Path(named)]
    from openstack_image_manager.files import user_directory

    folders = (Path(), user_directory("XDG_CONFIG_HOME") / "openstack", Path("/etc/openstack"))
    return [folder / f"clouds{suffix}" for folder in folders for suffix in (".yaml", ".yml", ".json")]


def _names(data: bytes) -> Iterable[str]:
    from openstack_image_manager.definitions.nodes import keys_below

    return keys_below(data, "clouds")


def _beginning(names: Iterable[str], incomplete: str) -> list[str]:
    found = sorted(name for name in names if name.startswith(incomplete))
    if os.environ.get(_ASKED) != "complete_bash":
        return found  # other shells quote what they are given
    return [_ForBash(_UNSAFE.sub(r"\\\g<0>", name)) for name in found]


class _ForBash(str):
    """A name as bash writes it into the line. Typer drops what does not begin like the word in its plain form."""

    __slots__ = ()

    def startswith(self, *_: object) -> bool:
        """It was chosen already."""
        return True
