"""Get images right before they are changed, several of them with one request."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.image_api import NAMES, id_filters
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import GONE, Image

FRESH = 2.0  # seconds for which an answer is valid


class ImageLookahead:
    """The images of a cloud as they are now. `next_ids`: ids in the order in which they are needed; one listing gets
    several of them. An image that the listing does not show, or that is too old, takes a request of its own."""

    def __init__(self, glance: Glance, next_ids: Iterable[str] = (), fresh: float = FRESH) -> None:
        self._glance, self._fresh = glance, fresh
        self._next = dict.fromkeys(next_ids)
        self._images: dict[str, tuple[float, Image]] = {}
        self._lock = threading.Lock()

    def get(self, image_id: str) -> Image:
        """The image, at most `fresh` seconds old. Raises CloudError, with status 404 when it is gone."""
        with self._lock:
            if image_id in self._next:
                del self._next[image_id]
                self._list([image_id, *islice(self._next, NAMES - 1)])
            when, image = self._images.pop(image_id, (0.0, None))
        if image and time.monotonic() - when <= self._fresh:
            return image
        return self._glance.get(image_id)

    def _list(self, ids: list[str]) -> None:
        for image_id in ids:
            self._next.pop(image_id, None)
        # The listing does not show hidden images and some of other projects; these take a request each.
        begun = time.monotonic()
        with suppress(CloudError):
            for value in id_filters(ids):
                for image in self._glance.find({"id": value}):
                    if image.status not in GONE:
                        self._images[image.id] = begun, image
