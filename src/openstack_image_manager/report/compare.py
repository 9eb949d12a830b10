"""Compare clouds: is it the same version, with the same bytes and the same id, in each of them?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from openstack_image_manager.definitions import naming
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan import markers, matching
from openstack_image_manager.plan.matching import Key, choose_per_version, is_usable

ABSENT, UNSEEN = "-", "?"


def ids_elsewhere(
    cloud: str, definitions: Iterable[Definition], images: Mapping[str, Iterable[Image]]
) -> dict[Key, list[str]]:
    """The ids that each (definition, version) has in the other clouds, oldest first."""
    known = {definition.name: definition for definition in definitions}
    found: dict[Key, list[Image]] = defaultdict(list)
    for other, its in images.items():
        for image in its if other != cloud else ():
            if is_usable(image) and (key := matching.identify(image, known)):
                found[key].append(image)
    return {
        key: list(dict.fromkeys(image.id for image in sorted(its, key=lambda image: (image.created_at, image.id))))
        for key, its in found.items()
    }


def current(definition: Definition, images: Iterable[Image]) -> dict[str, Image]:
    """The images that users get by the definition's names: with multi the one of the plain name, else all versions."""
    known = {definition.name: definition}
    found: dict[str, Image] = {}
    keyed = [(key[1], image) for image in images if (key := matching.identify(image, known))]
    published = [(version, image) for version, image in keyed if not markers.is_pending(image)]
    standing, _ = choose_per_version(published, definition.status)
    for version in sorted(filter(lambda each: is_usable(standing[each]), standing), key=naming.version_key):
        image = standing[version]
        name = definition.name if definition.multi else naming.image_name(definition, version, newest=False)
        if image.name == name:
            found[name] = image
    return found


def table(
    definitions: Mapping[str, Iterable[Definition]], images: Mapping[str, Sequence[Image]], unseen: Sequence[str] = ()
) -> list[list[str]]:
    """Rows for people: the name, what each cloud has (version and digest), and whether that is the same everywhere.
    `unseen`: clouds that could not be looked at."""
    names: dict[str, dict[str, Image]] = defaultdict(dict)
    for cloud, its in images.items():
        for definition in definitions[cloud]:
            for name, image in current(definition, its).items():
                names[name][cloud] = image
    rows = [["Image", *images, *unseen, "Same everywhere"]]
    for name in sorted(names):
        found = [names[name].get(cloud) for cloud in images]
        verdict = _verdict(found)
        if unseen and verdict.startswith("yes"):
            verdict = "unknown: some clouds could not be read"
        rows.append([name, *map(_cell, found), *(UNSEEN for _ in unseen), verdict])
    return rows


def digest(image: Image) -> str:
    """What is known of the bytes: the checksum they were verified with, else Glance's own digest of what it stores."""
    verified = markers.verified_checksum(image)
    if ":" in verified:
        return verified
    return f"{image.hash_algorithm}:{image.hash_value}" if image.hash_value else ""


def _cell(image: Image | None) -> str:
    if image is None:
        return ABSENT
    return f"{image.properties.get('internal_version', '?')} {digest(image)[:15]}".rstrip()


def _verdict(images: Sequence[Image | None]) -> str:
    there = [image for image in images if image is not None]
    if len(there) < len(images):
        return "no: missing"
    if len({image.properties.get("internal_version") for image in there}) > 1:
        return "no: versions"
    digests = {digest(image) for image in there}
    if len(digests) > 1:
        # Clouds that convert store other bytes, and other algorithms can't be compared.
        kinds = {each.partition(":")[0] for each in digests}
        return "no: checksums" if len(kinds) == 1 and "" not in digests else "unknown: digests cannot be compared"
    return "yes, ids too" if len({image.id for image in there}) == 1 else "yes"
