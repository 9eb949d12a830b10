"""Parse bytes of YAML files to definitions; report every problem with file, line and column."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import ValidationError
from yaml import MappingNode, Node, SequenceNode

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.diagnostics import (
    DefinitionErrors,
    Diagnostic,
    Position,
    error_message,
    field_path,
    suggestion,
)
from openstack_image_manager.definitions.image_properties import mistyped, unusual
from openstack_image_manager.definitions.model import LATEST, Definition, Version
from openstack_image_manager.definitions.nodes import record
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.definitions.values import UNSUPPORTED_SCHEME, USE_HTTPS, is_future, like_secrets
from openstack_image_manager.definitions.yaml_tree import NULL, InvalidYamlError, Loc, Tree
from openstack_image_manager.errors import Error

MAX_NAME = 255
EQUAL = "is neither older nor newer than the version at {}; write it so that it is one of the two"
NOT_SIGNED = (
    "has no effect: the signature vouches for no checksum of this version (there is none, or it is MD5 or SHA-1); run "
    "update, or remove signed_by"
)
NO_VERSIONS_YET = "no versions yet, so no image is wanted: run openstack-image-manager update"
QUOTA = 128  # properties, tags and members of an image, by Glance's default
OURS = 12  # properties that this tool adds at most
PROPERTIES = f"properties, and this tool adds up to {OURS}"
URLS = {"latest_url", "latest_checksum_url", "url", "mirror_url", "checksums_url", "checksum_url"}


def read(path: str, data: bytes) -> tuple[tuple[Definition, ...], dict[str, Position]]:
    """The definitions of one file by itself, and where each one stands. Raises DefinitionErrors that name `path`."""
    reading = Parser(alone=True)
    reading.file(path, data)
    return reading.result([path])[0], reading.names


@dataclass
class Parser:
    """Parse files into definitions, and note where each name and id was first seen. `alone`: there is only one file.
    `complete` gives resolvers what they take over from shipped ones; without it they are not looked into. `follows`:
    definitions without versions get one when they are used."""

    alone: bool
    complete: Callable[[Resolver], Resolver] | None = None
    follows: bool = False
    diagnostics: list[Diagnostic] = field(default_factory=list)
    warnings: list[Diagnostic] = field(default_factory=list)
    definitions: list[Definition] = field(default_factory=list)
    names: dict[str, Position] = field(default_factory=dict)
    former_names: dict[str, Position] = field(default_factory=dict)
    glance_names: dict[str, Position] = field(default_factory=dict)
    ids: dict[str, Position] = field(default_factory=dict)

    def file(self, path: str, data: bytes) -> None:
        """Read one file."""
        try:
            tree = Tree(data)
            images = self._images(path, tree)
            for index, node in enumerate(images):
                _DefinitionParser(self, path, tree, node, index).check()
        except InvalidYamlError as error:
            self.add_problem(path, str(error), error.line, error.column)

    def add_problem(self, path: str, message: str, line: int | None = None, column: int | None = None) -> None:
        """Note what is wrong with a whole file, or with a place in it that belongs to no definition."""
        self.diagnostics.append(Diagnostic(path, line, column, None, None, message))

    def result(self, files: Sequence[str]) -> tuple[tuple[Definition, ...], list[Diagnostic]]:
        """The definitions and the warnings, in the order of `files`. Raises DefinitionErrors with every error."""
        place = {file: index for index, file in enumerate(files)}

        def order(diagnostic: Diagnostic) -> tuple[int, int, int]:
            return place[diagnostic.file], diagnostic.line or 0, diagnostic.column or 0

        if self.diagnostics:
            raise DefinitionErrors(tuple(sorted(self.diagnostics, key=order)))
        return tuple(self.definitions), sorted(self.warnings, key=order)

    def _images(self, path: str, tree: Tree) -> list[Node]:
        """The nodes of the definitions in a file; adds a problem when there are none."""
        root, images, count = tree.root, None, len(self.diagnostics)

        def add_problem(place: tuple[int, int], name: str | None, message: str) -> None:
            self.diagnostics.append(Diagnostic(path, *place, None, name, message))

        if isinstance(root, MappingNode):
            entries = tree.entries(root, ())
            for key in entries:
                # As in other YAML formats: a place for anchors.
                if key != "images" and not key.startswith(("x-", ".")):
                    add_problem(tree.find(root, (key,), key=True), key, "unknown field" + suggestion(key, ["images"]))
            images = entries["images"][1] if "images" in entries else None
            if isinstance(images, SequenceNode):
                nodes = [node for node, _ in tree.items(images, ("images",))]
            else:
                nodes = []
                if images is not None and images.tag != NULL:
                    add_problem(tree.find(root, ("images",)), "images", "must be a list: '- name: …' for each image")
        else:
            nodes = []
            if root is not None and root.tag != NULL:
                add_problem((1, 1), None, "must be a mapping with 'images:' and a list of definitions")
        self.diagnostics += [
            Diagnostic(path, p.line, p.column, None, field_path(p.loc), p.message) for p in tree.problems
        ]
        tree.problems.clear()
        if not nodes and len(self.diagnostics) == count:
            diagnostics = self.diagnostics if self.alone else self.warnings
            diagnostics.append(Diagnostic(path, None, None, None, None, "contains no definitions"))
        return nodes


@dataclass
class _DefinitionParser:
    """One item of `images`: checked alone, and against what was read before."""

    parser: Parser
    path: str
    tree: Tree
    node: Node
    index: int
    image: str | None = None
    twice: bool = False

    def check(self) -> None:
        """Add the definition to the reading, or what is wrong with it."""
        if not isinstance(self.node, MappingNode):
            self._add_problem((), "must be a mapping that begins with '- name: …'")
            return
        values = record(self.tree, self.node)
        self.image = values["name"] if isinstance(values.get("name"), str) and values["name"] else None
        # A field that could not be read needs no second error about its value.
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
                    self._add_problem(loc, error_message(details, loc), key=details["type"] == "extra_forbidden")
            return
        self.parser.definitions.append(definition)
        if not self.twice:
            self._check_glance_names(definition)
        if definition.resolve is not None and not definition.resolve.is_none and self.parser.complete:
            self._check_resolver(definition, definition.resolve, self.parser.complete)
        self._warn(definition)

    def _add(self, place: tuple[int, int], loc: Loc, message: str, warning: bool = False) -> None:
        name = field_path(loc if self.image else ("images", self.index, *loc)) or None
        diagnostic = Diagnostic(self.path, *place, self.image, name, message)
        (self.parser.warnings if warning else self.parser.diagnostics).append(diagnostic)

    def _add_problem(self, loc: Loc, message: str, key: bool = False, warning: bool = False) -> None:
        self._add(self.tree.find(self.node, loc, key), loc, message, warning)

    def _first(self, seen: dict[str, Position], text: str, loc: Loc, message: str) -> bool:
        """Add a problem if a text that must be unique was seen before (True): `message` with `{}` for where."""
        position = Position(self.path, *self.tree.find(self.node, loc))
        before = seen.setdefault(text, position)
        if before is not position:
            self._add_problem(loc, message.replace("{}", str(before)))
        return before is not position

    def _check_names(self, values: dict[str, Any], versions: list[Any]) -> None:
        """Check names and ids that must be unique, and fields that belong together."""
        if self.image:
            self.twice = self._first(self.parser.names, self.image, ("name",), "this image is already defined at {}")
        self._check_former_names(values)
        self._check_validity(values, ())
        self._check_dates(values, ())
        self._check_withdrawn(versions)
        seen: dict[str, Position] = {}
        orders: dict[str, Position] = {}
        for index, version in enumerate(versions):
            if not isinstance(version, dict):
                continue
            loc: Loc = ("versions", index)
            self._check_validity(version, loc)
            self._check_dates(version, loc)
            name, wanted_id = version.get("version"), version.get("id")
            if isinstance(name, str):
                again = "only one version can be latest; the first stands at {}" if name == LATEST else None
                if not self._first(seen, name, (*loc, "version"), again or "this version is already defined at {}"):
                    self._first(orders, str(naming.version_key(name)), (*loc, "version"), EQUAL)
            if isinstance(wanted_id, str):
                self._first(self.parser.ids, wanted_id.lower(), (*loc, "id"), "this id is already used at {}")
            if name == LATEST and not (version.get("checksums_url") or version.get("checksum_url")):
                self._add_problem((*loc, "version"), "version latest follows a checksum file; add checksums_url: URL")

    def _check_former_names(self, values: dict[str, Any]) -> None:
        """Check that a former name leads to one definition."""
        if self.image and self.image in self.parser.former_names:
            where = self.parser.former_names[self.image]
            self._add_problem(("name",), f"is a former name of the image at {where}; take it out there")
        former = values.get("former_names")
        for index, name in enumerate(former if isinstance(former, list) else ()):
            if not isinstance(name, str):
                continue
            loc: Loc = ("former_names", index)
            if name in self.parser.names:
                where = self.parser.names[name]
                self._add_problem(loc, f"is the name of the image at {where}; rename that one, or remove this line")
            self._first(self.parser.former_names, name, loc, "this former name is already used at {}")

    def _check_withdrawn(self, versions: list[Any]) -> None:
        if versions and all(isinstance(version, dict) and version.get("withdrawn") is True for version in versions):
            message = (
                "all versions are withdrawn, so nothing would happen to their images; keep one, or remove the image"
            )
            self._add_problem(("versions",), message)

    def _check_validity(self, values: dict[str, Any], loc: Loc) -> None:
        meta = values.get("meta")
        validity = meta.get("uuid_validity") if isinstance(meta, dict) else None
        # Retention depends on this, so a mistyped number is an error.
        if isinstance(validity, str) and re.fullmatch(r"last-(?![1-9][0-9]{0,8}\Z).*", validity, re.DOTALL):
            message = f"'{validity[:40]}' must be last-N with a whole number N from 1, such as last-3"
            self._add_problem((*loc, "meta", "uuid_validity"), message)

    def _check_dates(self, values: dict[str, Any], loc: Loc) -> None:
        """Builds of the future would never be overdue, and fail the conformance test."""
        meta = values.get("meta")
        dates: dict[Loc, Any] = {("build_date",): values.get("build_date")}
        if isinstance(meta, dict):
            dates["meta", "image_build_date"] = meta.get("image_build_date")
        for place, value in dates.items():
            if isinstance(value, str) and is_future(value):
                self._add_problem((*loc, *place), f"'{value[:40]}' is in the future; write the day of the build (UTC)")

    def _check_glance_names(self, definition: Definition) -> None:
        """No two images may get the same name in Glance, whichever definitions they come from."""
        versions = {version.version: index for index, version in reversed([*enumerate(definition.versions)])}
        newest = max(versions, key=naming.version_key, default="")
        for version, index in versions.items():
            name, loc = naming.image_name(definition, version, version == newest), ("versions", index)
            # While it is imported, the newest one has its dated name too.
            length = len(max(name, naming.image_name(definition, version, newest=False), key=len))
            if length > MAX_NAME:
                self._add_problem(loc, f"the image's name would have {length} characters, at most {MAX_NAME} can be")
            self._first(self.parser.glance_names, name, loc, "another image gets the same name, from {}")

    def _check_resolver(
        self, definition: Definition, resolver_given: Resolver, complete: Callable[[Resolver], Resolver]
    ) -> None:
        """Check `resolve` as far as possible without asking the upstream."""
        from openstack_image_manager.definitions.resolvers import validation, variables

        known = variables.initial(definition)
        try:
            resolver = complete(resolver_given)
            problems = validation.problems(resolver, known)
            if not problems:
                variables.evaluate(resolver, known)
        except variables.VariableError as error:
            problems = [(("variables", error.name) if error.name in resolver_given.variables else (), str(error))]
        except Error as error:
            problems = [((), str(error))]
        for loc, message in problems:
            # The text of the shipped resolver is not in this file.
            is_here = loc and loc[0] in resolver_given.model_fields_set
            self._add_problem(("resolve", *(loc if is_here else ())), message)

    def _warn_of_ftp(self, record: Definition | Version, loc: Loc) -> None:
        for name in sorted(URLS & type(record).model_fields.keys()):
            if (getattr(record, name) or "").lower().startswith(f"{UNSUPPORTED_SCHEME}:"):
                self._add_problem((*loc, name), USE_HTTPS, warning=True)

    def _warn_of_ours(self, meta: Mapping[str, Any], loc: Loc) -> None:
        known_by = "has no effect: the tool sets it to identify its images"
        own_field = "has no effect: it is the url of the version; write source: below the version for another one"
        for key, message in {"image_name": known_by, "internal_version": known_by, "image_source": own_field}.items():
            if key in meta:
                self._add_problem((*loc, "meta", key), message, warning=True)

    def _warn_of_quotas(self, definition: Definition) -> None:
        """Warn of definitions that a cloud with Glance's default limits refuses."""
        counts: dict[Loc, tuple[int, str]] = {
            ("tags",): (len(definition.tags), "tags"),
            ("members",): (len(definition.members or ()), "members"),
            ("meta",): (len(_set(definition.meta)), PROPERTIES),
        }
        for index, version in enumerate(definition.versions):
            if version.meta:
                both = _set({**definition.meta, **version.meta})
                counts[("versions", index, "meta")] = (len(both), PROPERTIES)
        for loc, (count, what) in counts.items():
            if count > QUOTA - (OURS if what == PROPERTIES else 0):
                message = f"has {count} {what}; Glance allows {QUOTA} for an image, unless the cloud sets another limit"
                self._add_problem(loc, message, warning=True)

    def _warn_of_hidden(self, definition: Definition) -> None:
        """Warn where the plain name is that of an image which no list shows."""
        newest = max(definition.offered, key=lambda version: naming.version_key(version.version), default=None)
        if definition.multi and newest is not None and newest.hidden:
            index = next(i for i, version in enumerate(definition.versions) if version.version == newest.version)
            message = (
                f"hides the newest version, so no user finds '{definition.name}' in the image list; use withdrawn: "
                "true to go back to the version before"
            )
            self._add_problem(("versions", index, "hidden"), message, warning=True)

    def _warn(self, definition: Definition) -> None:
        seen_by_members = {definition.visibility, *(version.visibility for version in definition.versions)}
        if definition.members and "shared" not in seen_by_members:
            self._add_problem(
                ("members",), "has no effect: only images of visibility shared have members", warning=True
            )
        if not definition.versions and not self.parser.follows:
            message = NO_VERSIONS_YET if _has_upstream(definition) else "is empty: no image is wanted"
            self._add_problem(("versions",), message, warning=True)
        self._warn_of_quotas(definition)
        self._warn_of_ours(definition.meta, ())
        self._warn_of_ftp(definition, ())
        remarks = [*unusual(definition.meta), *mistyped(definition.meta), *like_secrets(definition.meta)]
        for key, message in remarks:
            self._add_problem(("meta", key), message, warning=True)
        self._warn_of_hidden(definition)
        for index, version in enumerate(definition.versions):
            loc: Loc = ("versions", index)
            self._warn_of_ftp(version, loc)
            self._warn_of_ours(version.meta, loc)
            if version.signed_by and not version.is_signed:
                self._add_problem((*loc, "signed_by"), NOT_SIGNED, warning=True)
            for key, message in unusual({**definition.meta, **version.meta}) if version.meta else ():
                if (key, message) not in remarks:
                    self._add_problem((*loc, "meta", key), message, warning=True)
            for key, message in (*mistyped(version.meta), *like_secrets(version.meta)):
                self._add_problem((*loc, "meta", key), message, warning=True)
            if version.source:
                for _, message in unusual({"image_source": version.source}):
                    self._add_problem((*loc, "source"), message, warning=True)


def _has_upstream(definition: Definition) -> bool:
    """True for a definition that `update` adds versions to."""
    from openstack_image_manager.definitions.resolvers.shipped import has_upstream

    return has_upstream(definition)


def _set(meta: Mapping[str, str | None]) -> list[str]:
    """The properties that an image gets."""
    return [key for key, value in meta.items() if value is not None]
