"""Let commands take a group of options as one typed value.

A group is a dataclass whose fields are options of Typer. A command that `with_groups` decorates names groups in its
signature; Typer reads a signature with an option for each field.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields, is_dataclass
from functools import wraps
from inspect import Parameter, Signature, signature
from typing import Any, get_args, get_type_hints


class Only:
    """The options of a group that a command offers, as `Annotated[Policy, Only("tag", "keep")]`. The others have their
    defaults."""

    def __init__(self, *names: str) -> None:
        self.names = names


def with_groups(command: Callable[..., None]) -> Callable[..., None]:
    """Give the command an option for each field of the groups in its signature."""
    groups: dict[str, tuple[type, list[str]]] = {}
    parameters: list[Parameter] = []
    hints = get_type_hints(command, include_extras=True)
    for parameter in signature(command).parameters.values():
        hint = hints[parameter.name]
        group, *details = get_args(hint) or (hint,)
        if not (isinstance(group, type) and is_dataclass(group)):
            parameters.append(parameter.replace(annotation=hint, kind=Parameter.KEYWORD_ONLY))
            continue
        options = _options(group)
        names = next((detail.names for detail in details if isinstance(detail, Only)), tuple(options))
        groups[parameter.name] = group, [name for name in options if name in names]
        parameters += [options[name] for name in names]

    @wraps(command)
    def run(**values: Any) -> None:
        grouped = {
            name: group(**{field: values.pop(field) for field in names}) for name, (group, names) in groups.items()
        }
        command(**values, **grouped)

    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    vars(run)["__signature__"] = Signature(parameters)
    return run


def _options(group: type) -> dict[str, Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return {
        field.name: Parameter(field.name, Parameter.KEYWORD_ONLY, default=field.default, annotation=hints[field.name])
        for field in fields(group)
    }
