"""Compute the variables of a resolver from the definition."""

from __future__ import annotations

from collections.abc import Mapping

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers.model import Lookup, Resolver
from openstack_image_manager.definitions.resolvers.placeholders import Variables, fill, used
from openstack_image_manager.errors import Error

_OF_META = ("os_version", "os_distro", "architecture")


class VariableError(Error):
    """A variable has no value for this definition, or one that is too long; `name`: which one."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def initial(definition: Definition) -> dict[str, str]:
    """The variables of a definition; those without a value are missing."""
    known = {"name": definition.name, "shortname": definition.shortname}
    known |= {key: definition.meta.get(key) for key in _OF_META}
    return {name: value for name, value in known.items() if value}


def evaluate(resolver: Resolver, known: Variables) -> dict[str, str]:
    """All variables before the first step. Raises VariableError where one has no value for this definition.

    A variable that nothing needs may lack its value: a resolver for many images has some for other ones.
    """
    values = dict(known)
    failures: dict[str, VariableError] = {}
    for name, lookup in resolver.variables.items():
        try:
            values[name] = _value(name, lookup, values)
        except Error as error:
            needs = {lookup.by, *used(" ".join((*lookup.values.values(), lookup.otherwise or "")))}
            cause = next((failures[needed_name] for needed_name in failures if needed_name in needs), None)
            failures[name] = cause or VariableError(name, str(error))
    needed = set(_texts(resolver))
    for name, failure in failures.items():
        if name in needed:
            raise failure
    return values


def _value(name: str, lookup: Lookup, known: Mapping[str, str]) -> str:
    if lookup.by is None:
        return fill(lookup.otherwise or "", known)
    if lookup.by not in known:
        where = f"meta.{lookup.by}" if lookup.by in _OF_META else lookup.by
        raise Error(f"the definition has no {where}, which the variable {name} depends on; add it, or set {name}")
    chosen = lookup.values.get(known[lookup.by], lookup.otherwise)
    if chosen is None:
        raise Error(
            f"no {name} is known for {lookup.by} '{known[lookup.by]}', only for {', '.join(lookup.values)}; "
            f"set it below resolve: variables: {name}"
        )
    return fill(chosen, known)


def _texts(resolver: Resolver) -> list[str]:
    """The names of all placeholders outside of the variables."""
    names: list[str] = []
    waiting: list[object] = [resolver.model_dump(exclude={"variables"})]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str):
            names.extend(used(value))
    return names
