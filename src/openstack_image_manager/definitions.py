"""The door to YAML: files to definitions, every complaint at once, each with file, line and column."""

from __future__ import annotations

import gc
import glob
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISREG
from typing import Any

from pydantic import ValidationError
from yaml import MappingNode, Node, SequenceNode

from openstack_image_manager import desired, scs
from openstack_image_manager.complaints import Complaint, DefinitionErrors, Position, dotted, near, sentence
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.format import Definition
from openstack_image_manager.records import record
from openstack_image_manager.schema import json_schema
from openstack_image_manager.yamltree import NULL, Broken, Loc, Tree

__all__ = ["Complaint", "DefinitionErrors", "Loaded", "Position", "json_schema", "load"]

MAX_BYTES = 8 * 1024 * 1024
MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Loaded:
    """What was read: the definitions, what is odd about them, and where each one stands (by name)."""

    definitions: tuple[Definition, ...]
    warnings: tuple[Complaint, ...]
    positions: Mapping[str, Position]


def load(path: str, *, name_filter: str | None = None) -> Loaded:
    """Read one file, the `*.yml`/`*.yaml` of a directory, or a `**` pattern; keep names that match `name_filter`.

    All definitions are checked, also those that the filter leaves out. Raises DefinitionErrors with every complaint,
    Error when there is nothing to read, UsageError for a wrong pattern.
    """
    wanted = _pattern(name_filter or "")
    files = _files(path)
    reading = _Reading(alone=files == [path])
    collecting = gc.isenabled()
    # Trees hold no cycles, and looking for some among a million nodes doubles the time.
    gc.disable()
    try:
        for file in files:
            reading.file(file)
    finally:
        if collecting:
            gc.enable()
    place = {file: index for index, file in enumerate(files)}

    def order(complaint: Complaint) -> tuple[int, int, int]:
        return place[complaint.file], complaint.line or 0, complaint.column or 0

    if reading.complaints:
        raise DefinitionErrors(tuple(sorted(reading.complaints, key=order)))
    chosen = tuple(definition for definition in reading.definitions if wanted.search(definition.name))
    warnings = sorted(reading.warnings, key=order)
    if reading.definitions and not chosen:
        message = f"none of the {len(reading.definitions)} definitions has a name that matches '{name_filter}'"
        warnings.append(Complaint(path, None, None, None, None, message))
    positions = {definition.name: reading.names[definition.name] for definition in chosen}
    return Loaded(chosen, tuple(warnings), positions)


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        raise UsageError(f"--filter '{text}' is not a regular expression: {error}") from None


def _files(path: str) -> list[str]:
    suffixes = (".yml", ".yaml")
    try:
        if "**" in path:
            found = [name for name in glob.glob(path, recursive=True) if not os.path.isdir(name)]
        elif os.path.isdir(path):
            found = [os.path.join(path, name) for name in os.listdir(path) if name[0] != "."]
        else:
            if not S_ISREG(Path(path).stat().st_mode):
                raise Error(f"{path}: is neither a file nor a directory; name the definitions with --images PATH")
            return [path]
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise Error(f"{path}: {reason}; name the definitions with --images PATH") from None
    files = sorted(name for name in found if name.endswith(suffixes) and (os.path.islink(name) or os.path.isfile(name)))
    if not files:
        raise Error(f"{path}: no *.yml or *.yaml here; name the file or directory of definitions with --images PATH")
    return files


@dataclass
class _Reading:
    """The state of one load: what was found so far, and where each name and id was first seen."""

    alone: bool
    complaints: list[Complaint] = field(default_factory=list)
    warnings: list[Complaint] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    names: dict[str, Position] = field(default_factory=dict)
    glance_names: dict[str, Position] = field(default_factory=dict)
    ids: dict[str, Position] = field(default_factory=dict)

    def file(self, path: str) -> None:
        """Read one file."""
        try:
            with open(path, "rb") as stream:
                data = stream.read(MAX_BYTES + 1)
                size = max(len(data), os.fstat(stream.fileno()).st_size)
        except OSError as error:
            self.complaints.append(Complaint(path, None, None, None, None, f"cannot be read: {error.strerror}"))
            return
        if size > MAX_BYTES:
            message = f"has {size / 1024**2:.1f} MiB, at most {MAX_BYTES // 1024**2} MiB can be read; split it"
            self.complaints.append(Complaint(path, None, None, None, None, message))
            return
        try:
            tree = Tree(data)
            images = self._images(path, tree)
            for index, node in enumerate(images):
                _Entry(self, path, tree, node, index).check()
        except Broken as error:
            self.complaints.append(Complaint(path, error.line, error.column, None, None, str(error)))

    def _images(self, path: str, tree: Tree) -> list[Node]:
        """The nodes of the definitions in a file; complains when they can't be found."""
        root, images, count = tree.root, None, len(self.complaints)

        def complain(place: tuple[int, int], name: str | None, message: str) -> None:
            self.complaints.append(Complaint(path, *place, None, name, message))

        if isinstance(root, MappingNode):
            entries = tree.entries(root, ())
            for key in entries:
                if key != "images":
                    complain(tree.find(root, (key,), key=True), key, "unknown field" + near(key, ["images"]))
            images = entries["images"][1] if "images" in entries else None
            if isinstance(images, SequenceNode):
                nodes = [node for node, _ in tree.items(images, ("images",))]
            else:
                nodes = []
                if images is not None and images.tag != NULL:
                    complain(tree.find(root, ("images",)), "images", "must be a list: '- name: …' for each image")
        else:
            nodes = []
            if root is not None and root.tag != NULL:
                complain((1, 1), None, "must be a mapping with 'images:' and a list of definitions")
        self.complaints += [Complaint(path, p.line, p.column, None, dotted(p.loc), p.message) for p in tree.problems]
        tree.problems.clear()
        if not nodes and len(self.complaints) == count:
            complaints = self.complaints if self.alone else self.warnings
            complaints.append(Complaint(path, None, None, None, None, "holds no definitions"))
        return nodes


@dataclass
class _Entry:
    """One item of `images`: checked alone, and against what was read before."""

    reading: _Reading
    path: str
    tree: Tree
    node: Node
    index: int
    image: str | None = None
    twice: bool = False

    def check(self) -> None:
        """Add the definition to the reading, or what is wrong with it."""
        if not isinstance(self.node, MappingNode):
            self._complain((), "must be a mapping that begins with '- name: …'")
            return
        values = record(self.tree, self.node)
        self.image = values["name"] if isinstance(values.get("name"), str) and values["name"] else None
        # What could not be read needs no second complaint about its value.
        seen = {problem.loc for problem in self.tree.problems}
        for problem in self.tree.problems:
            self._add((problem.line, problem.column), problem.loc, problem.message)
        self.tree.problems.clear()
        versions = values.get("versions")
        self._check_names(values, versions if isinstance(versions, list) else [])
        try:
            definition = Definition.model_validate(values)
        except ValidationError as error:
            for details in error.errors(include_url=False):
                loc = tuple(step for step in details["loc"] if step != "[key]")
                if loc not in seen:
                    self._complain(loc, sentence(details, loc), key=details["type"] == "extra_forbidden")
            return
        self.reading.definitions.append(definition)
        if not self.twice:
            self._check_glance_names(definition)
        self._warn(definition)

    def _add(self, place: tuple[int, int], loc: Loc, message: str, warning: bool = False) -> None:
        name = dotted(loc if self.image else ("images", self.index, *loc)) or None
        complaint = Complaint(self.path, *place, self.image, name, message)
        (self.reading.warnings if warning else self.reading.complaints).append(complaint)

    def _complain(self, loc: Loc, message: str, key: bool = False, warning: bool = False) -> None:
        self._add(self.tree.find(self.node, loc, key), loc, message, warning)

    def _first(self, seen: dict[str, Position], text: str, loc: Loc, message: str) -> bool:
        """Complain if a text that must be unique was seen before (True): `message` with `{}` for where."""
        here = Position(self.path, *self.tree.find(self.node, loc))
        before = seen.setdefault(text, here)
        if before is not here:
            self._complain(loc, message.replace("{}", str(before)))
        return before is not here

    def _check_names(self, values: dict[str, Any], versions: list[Any]) -> None:
        """What must be unique, and what belongs together."""
        if self.image:
            self.twice = self._first(self.reading.names, self.image, ("name",), "this image is defined already at {}")
        self._check_validity(values, ())
        seen: dict[str, Position] = {}
        for index, version in enumerate(versions):
            if not isinstance(version, dict):
                continue
            loc: Loc = ("versions", index)
            self._check_validity(version, loc)
            name, wanted_id = version.get("version"), version.get("id")
            if isinstance(name, str):
                again = "only one version can be latest; the first stands at {}" if name == "latest" else None
                self._first(seen, name, (*loc, "version"), again or "this version is defined already at {}")
            if isinstance(wanted_id, str):
                self._first(self.reading.ids, wanted_id.lower(), (*loc, "id"), "this id is given already at {}")
            if name == "latest" and not (version.get("checksums_url") or version.get("checksum_url")):
                self._complain((*loc, "version"), "version latest follows a checksum file; add checksums_url: URL")

    def _check_validity(self, values: dict[str, Any], loc: Loc) -> None:
        meta = values.get("meta")
        validity = meta.get("uuid_validity") if isinstance(meta, dict) else None
        # Retention is decided by this, so a mistyped number is no mere oddity.
        if isinstance(validity, str) and re.fullmatch(r"last-(?![1-9][0-9]*\Z).*", validity, re.DOTALL):
            message = f"'{validity}' must be last-N with a whole number N from 1, such as last-3"
            self._complain((*loc, "meta", "uuid_validity"), message)

    def _check_glance_names(self, definition: Definition) -> None:
        """No two images may get the same name in Glance, whichever definitions they come from."""
        versions = {version.version: index for index, version in reversed([*enumerate(definition.versions)])}
        newest = max(versions, key=desired.version_key, default="")
        for version, index in versions.items():
            name, loc = desired.image_name(definition, version, version == newest), ("versions", index)
            # While it is imported, the newest one has its dated name too.
            length = len(max(name, desired.image_name(definition, version, newest=False), key=len))
            if length > MAX_NAME:
                self._complain(loc, f"the image's name would have {length} characters, at most {MAX_NAME} can be")
            self._first(self.reading.glance_names, name, loc, "another image gets the same name, from {}")

    def _warn(self, definition: Definition) -> None:
        seen_by_members = {definition.visibility, *(version.visibility for version in definition.versions)}
        if definition.members and "shared" not in seen_by_members:
            self._complain(("members",), "has no effect: only images of visibility shared have members", warning=True)
        if not definition.versions:
            self._complain(("versions",), "is empty: no image is wanted", warning=True)
        odd = scs.unusual(definition.meta)
        for key, message in odd:
            self._complain(("meta", key), message, warning=True)
        for index, version in enumerate(definition.versions):
            loc: Loc = ("versions", index)
            for key, message in scs.unusual({**definition.meta, **version.meta}) if version.meta else ():
                if (key, message) not in odd:
                    self._complain((*loc, "meta", key), message, warning=True)
            if version.source:
                for _, message in scs.unusual({"image_source": version.source}):
                    self._complain((*loc, "source"), message, warning=True)
