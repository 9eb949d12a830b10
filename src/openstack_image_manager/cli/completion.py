"""Complete names of definitions and clouds in shells, without access to a cloud."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path

import typer

_SHELL = "_OPENSTACK_IMAGE_MANAGER_COMPLETE"  # by which shell
_UNSAFE = re.compile(r"[^\w@%+=:,./-]")
MOST = 8 * 1024 * 1024  # bytes of a clouds.yaml


def is_completing() -> bool:
    """True if a shell asks for completions."""
    return _SHELL in os.environ


def definitions(context: typer.Context, incomplete: str) -> list[str]:
    """Return names of definitions that begin like this."""
    from openstack_image_manager.defaults import DEFAULT_IMAGES
    from openstack_image_manager.definitions.loader import load
    from openstack_image_manager.errors import Error

    try:
        loaded = load(context.params.get("images") or DEFAULT_IMAGES)
    except Error:
        return []
    return _matches(loaded.positions, incomplete)


def clouds(incomplete: str) -> list[str]:
    """Return names in clouds.yaml that begin like this. Loading openstacksdk for that would take a second."""
    for path in _places():
        try:
            data = path.read_bytes()[:MOST]
        except OSError:
            continue
        return _matches(_names(data), incomplete)
    return []


def _places() -> list[Path]:
    """Return the places where openstacksdk searches clouds.yaml, in its order."""
    if named := os.environ.get("OS_CLIENT_CONFIG_FILE"):
        return [Path(named)]
    from openstack_image_manager.files import user_directory

    folders = (Path(), user_directory("XDG_CONFIG_HOME") / "openstack", Path("/etc/openstack"))
    return [folder / f"clouds{suffix}" for folder in folders for suffix in (".yaml", ".yml", ".json")]


def _names(data: bytes) -> Iterable[str]:
    from openstack_image_manager.definitions.nodes import keys_below

    return keys_below(data, "clouds")


def _matches(names: Iterable[str], incomplete: str) -> list[str]:
    matches = sorted(name for name in names if name.startswith(incomplete))
    if os.environ.get(_SHELL) != "complete_bash":
        return matches  # other shells quote completions themselves
    return [_ForBash(_UNSAFE.sub(r"\\\g<0>", name)) for name in matches]


class _ForBash(str):
    """A name as bash writes it. Typer drops names that do not begin like the unquoted word."""

    __slots__ = ()

    def startswith(self, *_: object) -> bool:
        """Match always: the name was selected before."""
        return True
