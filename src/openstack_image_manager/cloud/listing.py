"""List images of any project in Glance by name, id or visibility.

API: https://docs.openstack.org/api-ref/image/v2/#list-images
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.image_api import id_filters, name_filters
from openstack_image_manager.model import Image


def images_named(glance: Glance, names: Collection[str]) -> Iterator[Image]:
    """All images that this user sees, managed or not, with one of the names."""
    for value in name_filters(names):
        yield from glance.find({"name": value, "visibility": "all"})


def images_with_ids(glance: Glance, ids: Collection[str]) -> Iterator[Image]:
    """All images that this user sees, managed or not, hidden or not, with one of the ids; each image once."""
    images: dict[str, Image] = {}
    for value in id_filters(ids):
        for hidden in ("false", "true", "false"):  # finds also one that is hidden or shown in between
            listed = glance.find({"id": value, "visibility": "all", "os_hidden": hidden})
            images |= {image.id: image for image in listed}
    yield from images.values()


def offered_images(glance: Glance) -> Sequence[Image]:
    """All public and community images of any project that are not hidden."""
    return [image for value in ("public", "community") for image in glance.find({"visibility": value})]
