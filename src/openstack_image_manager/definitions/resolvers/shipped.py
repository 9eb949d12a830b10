"""Load the resolvers that come with this package, and choose the one for a definition."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from typing import Any

from yaml import MappingNode

from openstack_image_manager.definitions.diagnostics import suggestion
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.naming import version_key
from openstack_image_manager.definitions.nodes import nested
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.definitions.yaml_tree import Tree
from openstack_image_manager.errors import Error


@dataclass(frozen=True, slots=True)
class Default:
    """The resolver of a distribution, by name, and the sites of its upstream (host and path)."""

    resolver: str
    sites: tuple[str, ...]

    def has(self, url: str) -> bool:
        """True for an address at one of the sites."""
        return url.partition("://")[2].lower().startswith(self.sites)


@dataclass(frozen=True, slots=True)
class Shipped:
    """Resolvers by name, and defaults by meta.os_distro."""

    resolvers: Mapping[str, Resolver]
    defaults: Mapping[str, Default]


@cache
def shipped() -> Shipped:
    """The content of catalogue/resolvers.yml."""
    file = resources.files("openstack_image_manager") / "catalogue" / "resolvers.yml"
    return read(file.read_bytes())


def read(data: bytes) -> Shipped:
    """Resolvers as YAML: `defaults` and `resolvers`."""
    tree = Tree(data)
    assert isinstance(tree.root, MappingNode), "a mapping of defaults and resolvers"
    values: dict[str, Any] = {key: nested(tree, node, (key,)) for key, (_, node) in tree.entries(tree.root, ()).items()}
    assert not tree.problems, tree.problems
    resolvers = {name: Resolver.model_validate(value) for name, value in values["resolvers"].items()}
    defaults = {
        distro: Default(value["resolver"], tuple(value["sites"])) for distro, value in values["defaults"].items()
    }
    return Shipped(resolvers, defaults)


def complete(resolver: Resolver) -> Resolver:
    """The resolver with what it takes over from a shipped one (`use`). Raises Error for a name that there is not."""
    if resolver.use is None:
        return resolver
    known = shipped().resolvers
    if resolver.use not in known:
        raise Error(
            f"no resolver is called '{resolver.use}'" + (suggestion(resolver.use, known) or f"; {', '.join(known)}")
        )
    base = known[resolver.use]
    overrides = {name: getattr(resolver, name) for name in resolver.model_fields_set - {"use", "variables"}}
    return base.model_copy(update={**overrides, "variables": {**base.variables, **resolver.variables}})


def resolver_of(definition: Definition) -> Resolver | None:
    """The resolver that a definition says or, when it says nothing of updates, the one of its distribution, if its
    newest version is from there or it has none. None: there is none; latest_url may be used. Raises Error."""
    if definition.resolve is not None:
        return None if definition.resolve.is_none else complete(definition.resolve)
    default = _default(definition)
    if default is None or definition.latest_url or _is_from_elsewhere(definition, default):
        return None
    return shipped().resolvers[default.resolver]


def has_upstream(definition: Definition) -> bool:
    """True if the definition, or its distribution, says where newer builds are published."""
    given = definition.resolve
    return moves(definition) or (not given.is_none if given is not None else resolver_of(definition) is not None)


def moves(definition: Definition) -> bool:
    """True if a moving URL is followed."""
    if definition.resolve is not None and definition.resolve.is_none:
        return False
    return bool(definition.latest_url and definition.latest_checksum_url)


def not_followed(definition: Definition) -> str | None:
    """The resolver of a definition's distribution that is not used, as the image is from elsewhere; None: not so."""
    default = _default(definition)
    if default is None or definition.resolve or definition.latest_url or not _is_from_elsewhere(definition, default):
        return None
    return default.resolver


def _default(definition: Definition) -> Default | None:
    return shipped().defaults.get(definition.meta.get("os_distro") or "")


def _is_from_elsewhere(definition: Definition, default: Default) -> bool:
    """True if the newest version comes from another site: an operator's own image of a distribution, for example."""
    if not definition.versions:
        return False
    return not default.has(max(definition.versions, key=lambda version: version_key(version.version)).url)
