"""Compare versions, bytes and ids of images between clouds."""

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
    """Return the ids of each (definition, version) in other clouds, oldest first."""
    known = {definition.name: definition for definition in definitions}
    images_by_key: dict[Key, list[Image]] = defaultdict(list)
    for other_cloud, cloud_images in images.items():
        for image in cloud_images if other_cloud != cloud else ():
            if is_usable(image) and (key := matching.identify(image, known)):
                images_by_key[key].append(image)
    return {
        key: list(
            dict.fromkeys(image.id for image in sorted(cloud_images, key=lambda image: (image.created_at, image.id)))
        )
        for key, cloud_images in images_by_key.items()
    }


def current(definition: Definition, images: Iterable[Image]) -> dict[str, Image]:
    """Return current images by name: with multi the one of the plain name, else all versions."""
    known = {definition.name: definition}
    current_images: dict[str, Image] = {}
    keyed = [(key[1], image) for image in images if (key := matching.identify(image, known))]
    published = [(version, image) for version, image in keyed if not markers.is_pending(image)]
    usable_images, _ = choose_per_version(published, definition.status)
    for version in sorted(filter(lambda each: is_usable(usable_images[each]), usable_images), key=naming.version_key):
        image = usable_images[version]
        name = definition.name if definition.multi else naming.image_name(definition, version, newest=False)
        if image.name == name:
            current_images[name] = image
    return current_images


def table(
    definitions: Mapping[str, Iterable[Definition]], images: Mapping[str, Sequence[Image]], unseen: Sequence[str] = ()
) -> list[list[str]]:
    """Return rows of names, versions and digests in each cloud, and whether these are the same everywhere. `unseen`:
    clouds that could not be read."""
    names: dict[str, dict[str, Image]] = defaultdict(dict)
    for cloud, cloud_images in images.items():
        for definition in definitions[cloud]:
            for name, image in current(definition, cloud_images).items():
                names[name][cloud] = image
    rows = [["Image", *images, *unseen, "Same everywhere"]]
    for name in sorted(names):
        same_name = [names[name].get(cloud) for cloud in images]
        verdict = _verdict(same_name)
        if unseen and verdict.startswith("yes"):
            verdict = "unknown: some clouds could not be read"
        rows.append([name, *map(_cell, same_name), *(UNSEEN for _ in unseen), verdict])
    return rows


def digest(image: Image) -> str:
    """Return the verified checksum of the bytes, else Glance's digest of its stored data."""
    verified = markers.verified_checksum(image)
    if ":" in verified:
        return verified
    return f"{image.hash_algorithm}:{image.hash_value}" if image.hash_value else ""


def _cell(image: Image | None) -> str:
    if image is None:
        return ABSENT
    return f"{image.properties.get('internal_version', '?')} {digest(image)[:15]}".rstrip()


def _verdict(images: Sequence[Image | None]) -> str:
    existing = [image for image in images if image is not None]
    if len(existing) < len(images):
        return "no: missing"
    if len({image.properties.get("internal_version") for image in existing}) > 1:
        return "no: versions"
    digests = {digest(image) for image in existing}
    if len(digests) > 1:
        # Clouds that convert store other bytes, and digests of different algorithms cannot be compared.
        algorithms = {digest_value.partition(":")[0] for digest_value in digests}
        return "no: checksums" if len(algorithms) == 1 and "" not in digests else "unknown: digests cannot be compared"
    return "yes, ids too" if len({image.id for image in existing}) == 1 else "yes"
