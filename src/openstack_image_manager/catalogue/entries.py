"""Describe the definitions that come with this package."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from openstack_image_manager.definitions.diagnostics import Position, suggestion
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.resolvers import shipped, variables
from openstack_image_manager.definitions.resolvers.model import Resolver
from openstack_image_manager.definitions.resolvers.placeholders import fill
from openstack_image_manager.errors import UsageError

HEAD = ("File", "Name", "Architecture", "OS version", "Login", "Resolver", "Signature")


@dataclass(frozen=True, slots=True)
class Entry:
    """A definition of the catalogue. `signature` is the policy: required, optional or none; `keys`: who may sign."""

    file: str
    name: str
    architecture: str
    os_version: str
    login: str
    resolver: str
    signature: str
    keys: tuple[str, ...]


def entries(definitions: Iterable[Definition], positions: Mapping[str, Position]) -> list[Entry]:
    """Describe each definition."""
    return [
        _entry(definition, definition.resolve, Path(positions[definition.name].file).stem)
        for definition in definitions
        if definition.resolve is not None
    ]


def _entry(definition: Definition, resolver_given: Resolver, file: str) -> Entry:
    resolver = shipped.complete(resolver_given)
    known = variables.evaluate(resolver, variables.initial(definition))
    rule = resolver.signature
    policy = fill(rule.policy, known) if rule else "none"
    return Entry(
        file,
        definition.name,
        definition.meta.get("architecture") or "",
        definition.meta.get("os_version") or "",
        definition.login or "",
        resolver_given.use or "",
        policy,
        tuple(fill(key, known) for key in rule.keys) if rule and policy != "none" else (),
    )


def cells(entry: Entry) -> tuple[str, ...]:
    """An entry as a row below HEAD."""
    signature = f"{entry.signature}: {', '.join(entry.keys)}" if entry.keys else "none"
    version = entry.os_version or "each release"
    return entry.file, entry.name, entry.architecture, version, entry.login, entry.resolver, signature


def excerpt(names: Sequence[str], definitions: Iterable[Definition], positions: Mapping[str, Position]) -> str:
    """The YAML of files and of single definitions, as one file. Raises UsageError for a name that there is not."""
    known = {definition.name: positions[definition.name] for definition in definitions}
    of_file: dict[str, list[str]] = {}
    for name, position in known.items():
        of_file.setdefault(Path(position.file).stem, []).append(name)
    chosen: dict[str, Position] = {}
    for name in names:
        if name not in known and name not in of_file:
            hint = suggestion(name, [*of_file, *known]) or "; see: openstack-image-manager catalogue list"
            raise UsageError(f"the catalogue has neither a file nor a definition '{name}'{hint}")
        chosen |= {match: known[match] for match in ([name] if name in known else of_file[name])}
    heads: dict[str, list[str]] = {}
    items: list[str] = []
    for position in chosen.values():
        lines = Path(position.file).read_text(encoding="utf-8").splitlines()
        heads[position.file] = [line for line in lines[: lines.index("images:")] if line.startswith("#")]
        begins = [start.line for start in known.values() if start.file == position.file and start.line > position.line]
        end = min(begins, default=len(lines) + 1)
        items.append("\n".join(lines[position.line - 1 : end - 1]).rstrip() + "\n")
    head = "".join(f"{line}\n" for comments in heads.values() for line in comments)
    return head + "---\nimages:\n" + "\n".join(items)
