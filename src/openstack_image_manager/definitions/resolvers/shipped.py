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
from openstack_image_manager.definitions.nodes import nested
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.definitions.yaml_tree import Tree
from openstack_image_manager.errors import Error


@dataclass(frozen=True, slots=True)
class Shipped:
    """Resolvers by name, and names by meta.os_distro."""

    resolvers: Mapping[str, Resolver]
    defaults: Mapping[str, str]


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
    return Shipped(resolvers, values["defaults"])


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
    """The resolver that a definition says or, when it says nothing of updates, the default of its distribution. None:
    there is none; latest_url may be used. Raises Error."""
    if definition.resolve is not None:
        return complete(definition.resolve)
    name = shipped().defaults.get(definition.meta.get("os_distro") or "")
    return shipped().resolvers[name] if name and not definition.latest_url else None


def has_default(definition: Definition) -> bool:
    """True if there is a default for the definition's distribution."""
    return (definition.meta.get("os_distro") or "") in shipped().defaults
