"""Derive what definitions need of a cloud: rights, room, stores, reachable URLs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.plan.model import Create, Plan

WEB = ("http", "https")


@dataclass(frozen=True, slots=True)
class Answer:
    """What an address said. `size`: bytes of the file, where it told; `failure`: why it is of no use. `is_text`: it is
    a checksum file, which is read here and by no Glance."""

    url: str
    size: int | None = None
    failure: str | None = None
    refuses_glance: str | None = None
    is_text: bool = False


@dataclass(frozen=True, slots=True)
class Needs:
    """What is to be imported, and which rights it takes: `rights` without which it fails, `useful` ones for which there
    are ways around. Not `known`: there are no definitions."""

    known: bool = False
    imports: int = 0
    size: int = 0  # bytes that are known of, as published
    largest: int = 0
    unsized: int = 0  # images of unknown size
    formats: frozenset[str] = frozenset()
    stores: frozenset[str] = frozenset()
    rights: frozenset[str] = frozenset()
    useful: frozenset[str] = frozenset()
    through_here: int = 0  # images that Glance can't fetch by itself


def needs(definitions: Sequence[Definition], plan: Plan | None, answers: Mapping[str, Answer]) -> Needs:
    """What the definitions need, and what the plan's imports do; without a plan all versions are to be imported."""
    wanted = to_import(definitions, plan)
    sizes = [_size(version, answers) for _, version in wanted]
    known = [size for size in sizes if size is not None]
    return Needs(
        known=True,
        imports=len(wanted),
        size=sum(known),
        largest=max(known, default=0),
        unsized=sizes.count(None),
        formats=frozenset(definition.format for definition in definitions),
        stores=frozenset(store for definition in definitions for store in definition.stores or ()),
        rights=frozenset(_rights(definitions)),
        useful=frozenset(_useful(definitions)),
        through_here=sum(urlsplit(version.url).scheme.lower() not in WEB for _, version in wanted),
    )


def to_import(definitions: Iterable[Definition], plan: Plan | None) -> list[tuple[Definition, Version]]:
    """The versions that are not in the cloud yet; without a plan all."""
    if plan is None:
        return [(definition, version) for definition in definitions for version in definition.offered]
    return [(change.definition, change.version) for change in plan.changes if isinstance(change, Create)]


def addresses(version: Version) -> list[str]:
    """Where the bytes of a version are, the preferred place first."""
    return [url for url in (version.mirror_url, version.url) if url]


def checksum_file(version: Version) -> str | None:
    """The file that the import of a version without a checksum of its own is verified by."""
    return None if version.checksum else version.checksum_file


def _size(version: Version, answers: Mapping[str, Answer]) -> int | None:
    told = (answers[url].size for url in addresses(version) if url in answers)
    return version.size or next((size for size in told if size is not None), None)


def _rights(definitions: Iterable[Definition]) -> Iterable[str]:
    for definition in definitions:
        seen = _seen(definition)
        if "public" in seen:
            yield "publicize_image"
        if "community" in seen:
            yield "communitize_image"
        if definition.status == "deactivated":
            yield "deactivate"


def _useful(definitions: Iterable[Definition]) -> Iterable[str]:
    for definition in definitions:
        if "public" in _seen(definition):
            yield "communitize_image"  # what is outdated becomes that, unless told otherwise
        if definition.stores:
            yield "copy_image"  # an image in one of its stores can be used


def _seen(definition: Definition) -> set[str]:
    return {definition.visibility, *(version.visibility or "" for version in definition.offered)}
