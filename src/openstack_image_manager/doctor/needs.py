"""Derive the requirements of definitions: rights, space, stores, reachable URLs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.plan.model import Create, Plan

WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer of a URL. `size`: bytes of the file, if known; `failure`: why it cannot be used. `is_text`: it is a
    checksum file, which only this machine reads."""

    url: str
    size: int | None = None
    failure: str | None = None
    refuses_glance: str | None = None
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """The imports and the rights that they need. Without `rights` they fail; `useful` rights can be avoided. `known` is
    False if there are no definitions."""

    known: bool = False
    imports: int = 0
    size: int = 0  # known bytes, as published
    largest: int = 0
    unsized: int = 0  # images of unknown size
    formats: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset()
    useful: frozenset[str] = frozenset()
    only_local: int = 0  # images that Glance cannot download


def needs(definitions: Sequence[Definition], plan: Plan | None, answers: Mapping[str, Answer]) -> Needs:
    """Return the requirements of the definitions and of the plan's imports; without a plan all versions are
    imported."""
    imports = to_import(definitions, plan)
    sizes = [_size(version, answers) for _, version in imports]
    known = [size for size in sizes if size is not None]
    return Needs(
        known=True,
        imports=len(imports),
        size=sum(known),
        largest=max(known, default=0),
        unsized=sizes.count(None),
        formats=frozenset(definition.format for definition in definitions),
        stores=frozenset(store for definition in definitions for store in definition.stores or ()),
        rights=frozenset(_rights(definitions)),
        useful=frozenset(_useful(definitions)),
        only_local=sum(urlsplit(version.url).scheme.lower() not in WEB for _, version in imports),
    )


def to_import(definitions: Iterable[Definition], plan: Plan | None) -> list[tuple[Definition, Version]]:
    """Return the versions that are not in the cloud yet; without a plan all."""
    if plan is None:
        return [(definition, version) for definition in definitions for version in definition.offered]
    return [(change.definition, change.version) for change in plan.changes if isinstance(change, Create)]


def addresses(version: Version) -> list[str]:
    """Return the URLs of a version, the preferred one first."""
    return [url for url in (version.mirror_url, version.url) if url]


def checksum_file(version: Version) -> str | None:
    """Return the checksum file of a version without its own checksum."""
    return None if version.checksum else version.checksum_file


def _size(version: Version, answers: Mapping[str, Answer]) -> int | None:
    sizes = (answers[url].size for url in addresses(version) if url in answers)
    return version.size or next((size for size in sizes if size is not None), None)


def _rights(definitions: Iterable[Definition]) -> Iterable[str]:
    for definition in definitions:
        visibilities = _visibilities(definition)
        if "public" in visibilities:
            yield "publicize_image"
        if "community" in visibilities:
            yield "communitize_image"
        if definition.status == "deactivated":
            yield "deactivate"
        if definition.members:
            yield from ("get_members", "add_member")


def _useful(definitions: Iterable[Definition]) -> Iterable[str]:
    for definition in definitions:
        if "public" in _visibilities(definition):
            yield "communitize_image"  # outdated public images become community images by default
        if definition.stores:
            yield "copy_image"  # an image in only one of its stores is usable
        if definition.members:
            yield "delete_member"  # only to take a project off the list


def _visibilities(definition: Definition) -> set[str]:
    return {definition.visibility, *(version.visibility or "" for version in definition.offered)}
