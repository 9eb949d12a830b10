"""PURE: which definition and version an image of the cloud is."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping

from openstack_image_manager.format import Definition, public_url
from openstack_image_manager.model import Finding, Image

Key = tuple[str, str]


def identify(image: Image, definitions: Mapping[str, Definition]) -> Key | None:
    """(definition, version) of an image: by its properties, else by its name; None: none of these definitions.

    Never by the Glance name when properties say otherwise: names are not unique. Images of earlier tools may lack
    `image_name`; their `image_description` was the definition's name unless told otherwise.
    """
    properties = image.properties
    name = properties.get("image_name")
    if name is not None:
        definition = definitions.get(name)
    else:
        definition = definitions.get(properties.get("image_description", "")) or _by_name(image.name, definitions)
    if definition is None:
        return None
    version = properties.get("internal_version") or version_in_name(image.name, definition)
    if version is None:
        source = properties.get("image_source")
        version = next((v.version for v in definition.versions if public_url(v.url) == source), None)
    return (definition.name, version) if version is not None else None


def of_others(images: Iterable[Image], definitions: Iterable[Definition]) -> list[Finding]:
    """Errors about definitions that have images of other projects: those are never changed, and an import would make
    a second image of the same name."""
    known = {definition.name: definition for definition in definitions}
    found: dict[str, list[Image]] = defaultdict(list)
    for image in images:
        if key := identify(image, known):
            found[key[0]].append(image)
    hint = "log in to that project, give them to yours (openstack image set --project), or use a --tag of your own"
    return [
        Finding(
            "error",
            name,
            f"left alone: it has {len(its)} with this tag in project {its[0].owner}, as {its[0].id}; {hint}",
        )
        for name, its in found.items()
    ]


def _by_name(name: str, definitions: Mapping[str, Definition]) -> Definition | None:
    if name in definitions:
        return definitions[name]
    fitting = (d for d in definitions.values() if version_in_name(name, d) is not None)
    return max(fitting, key=lambda definition: len(definition.name), default=None)


def version_in_name(name: str, definition: Definition) -> str | None:
    rest = name.removeprefix(definition.name + definition.separator)
    if rest == name:
        return None
    if definition.multi:
        dated = re.fullmatch(r"\((.+)\)", rest)
        return dated.group(1) if dated else None
    return rest if any(version.version == rest for version in definition.versions) else None
