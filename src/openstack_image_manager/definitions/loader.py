"""Load definition files: every problem at once, each with file, line and column."""

from __future__ import annotations

import gc
import glob
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG

from openstack_image_manager.defaults import CATALOGUE
from openstack_image_manager.definitions.diagnostics import DefinitionErrors, Diagnostic, Position
from openstack_image_manager.definitions.json_schema import json_schema
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.name_filter import name_pattern
from openstack_image_manager.definitions.parser import Parser
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.errors import Error, UsageError

__all__ = ["DefinitionErrors", "Diagnostic", "Loaded", "Position", "json_schema", "load"]

SUFFIXES = (".yml", ".yaml")
MAX_BYTES = 8 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Loaded:
    """The definitions, the warnings about them, and their positions (by name).

    `follows`: they come from the catalogue, and those without versions follow the newest builds of their upstreams.
    `is_part`: there are more, which were not asked for; `left_out`: those of them that were read; `empty`: files
    in which there is none."""

    definitions: tuple[Definition, ...]
    warnings: tuple[Diagnostic, ...]
    positions: Mapping[str, Position]
    follows: bool = False
    is_part: bool = False
    left_out: tuple[Definition, ...] = ()
    empty: tuple[str, ...] = ()


def load(path: str, *, name_filter: str | None = None) -> Loaded:
    """Read one file, the `*.yml`/`*.yaml` of a directory, a `**` pattern, or (a part of) the `catalogue:` that comes
    with this package; keep names that match `name_filter`.

    All definitions are checked, also those that the filter leaves out. Raises DefinitionErrors with every error,
    UsageError for a wrong pattern and when there is nothing to read, Error when it cannot be read.
    """
    wanted = name_pattern(name_filter)
    follows = path.startswith(CATALOGUE)
    files = _shipped_files(path) if follows else _files(path)
    reading = Parser(alone=files == [path], complete=_complete, follows=follows)
    collecting = gc.isenabled()
    # A tree has no cycles. The search for them would take 0.2 of 0.5 seconds for 300 definitions.
    gc.disable()
    try:
        for file in files:
            _read(reading, file)
    finally:
        if collecting:
            gc.enable()
    definitions, warnings = reading.result(files)
    chosen = tuple(definition for definition in definitions if wanted.search(definition.name))
    if definitions and not chosen:
        message = f"none of the {len(definitions)} definitions has a name that matches '{name_filter}'"
        warnings.append(Diagnostic(path, None, None, None, None, message))
    warnings += [] if follows else [Diagnostic(path, None, None, None, None, words) for words in _not_read(path)]
    positions = {definition.name: reading.names[definition.name] for definition in chosen}
    is_part = name_filter is not None or (follows and path != CATALOGUE)
    left_out = tuple(definition for definition in definitions if definition.name not in positions)
    empty = tuple(file for file in files if file not in {position.file for position in reading.names.values()})
    return Loaded(chosen, tuple(warnings), positions, follows, is_part, left_out, empty)


def _shipped_files(path: str) -> list[str]:
    from openstack_image_manager.definitions.catalogue_files import files

    return files(path)


def _complete(resolver: Resolver) -> Resolver:
    from openstack_image_manager.definitions.resolvers.shipped import complete

    return complete(resolver)


def _files(path: str) -> list[str]:
    try:
        if "**" in path:
            names = [name for name in glob.glob(path, recursive=True) if not os.path.isdir(name)]
        elif os.path.isdir(path):
            names = [os.path.join(path, name) for name in os.listdir(path) if name[0] != "."]
        else:
            if not S_ISREG(Path(path).stat().st_mode):
                raise UsageError(f"{path}: is neither a file nor a directory; name the definitions with --images PATH")
            return [path]
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        kind = Error if isinstance(error, PermissionError) else UsageError
        raise kind(f"{path}: {reason}; name the definitions with --images PATH") from None
    files = sorted(name for name in names if name.endswith(SUFFIXES) and (os.path.islink(name) or os.path.isfile(name)))
    if not files:
        hint = "".join(f"; {words}" for words in _not_read(path))
        raise UsageError(
            f"{path}: no *.yml or *.yaml here{hint}; name the file or directory of definitions with --images PATH"
        )
    return files


def _not_read(path: str) -> list[str]:
    """Name YAML in a directory that is not read: in directories in it, or with another spelling of the suffix."""
    try:
        entries = [entry for entry in os.scandir(path) if entry.name[0] != "."] if os.path.isdir(path) else []
        folders = [entry.name for entry in entries if entry.is_dir() and _has_yaml(entry.path)]
    except OSError:
        return []
    files = [entry.name for entry in entries if _is_yaml(entry.name) and not entry.name.endswith(SUFFIXES)]
    words = []
    if folders:
        words.append(f"YAML in {_some(folders)} is not read; '{os.path.join(path, '**')}' reads all directories")
    if files:
        words.append(f"not read: {_some(files)}; rename to *.yml or *.yaml")
    return words


def _has_yaml(folder: str) -> bool:
    with os.scandir(folder) as entries:
        return any(_is_yaml(entry.name) for entry in entries)


def _is_yaml(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and name[0] != "."


def _some(names: list[str]) -> str:
    return ", ".join(sorted(names)[:3]) + (", …" if len(names) > 3 else "")


def _read(reading: Parser, path: str) -> None:
    try:
        with open(path, "rb") as stream:
            data = stream.read(MAX_BYTES + 1)
            size = max(len(data), os.fstat(stream.fileno()).st_size)
    except OSError as error:
        reading.add_problem(path, f"cannot be read: {error.strerror}")
        return
    if size > MAX_BYTES:
        reading.add_problem(
            path, f"has {size / 1024**2:.1f} MiB, at most {MAX_BYTES // 1024**2} MiB can be read; split it"
        )
        return
    reading.file(path, data)
