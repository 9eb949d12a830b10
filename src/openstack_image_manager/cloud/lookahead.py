"""Images right before they are changed, a few of them with one question."""

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

FRESH = 2.0  # seconds that an answer is good for


class ImageLookahead:
    """The images of a cloud as they are now. Those of `next_ones` (ids, in the order in which they will be wanted) are
    asked for together with those that come after; each is a question of its own where that did not show it, or
    showed it too long ago."""

    def __init__(self, glance: Glance, next_ones: Iterable[str] = (), fresh: float = FRESH) -> None:
        self._glance, self._fresh = glance, fresh
        self._next = dict.fromkeys(next_ones)
        self._seen: dict[str, tuple[float, Image]] = {}
        self._lock = threading.Lock()

    def at(self, image_id: str) -> Image:
        """The image, as it was at most `fresh` seconds ago. Raises CloudError, with status 404 when it is gone."""
        with self._lock:
            if image_id in self._next:
                del self._next[image_id]
                self._ask([image_id, *islice(self._next, NAMES - 1)])
            when, image = self._seen.pop(image_id, (0.0, None))
        if image and time.monotonic() - when <= self._fresh:
            return image
        return self._glance.get(image_id)

    def _ask(self, ids: list[str]) -> None:
        for image_id in ids:
            self._next.pop(image_id, None)
        # What the listing does not show, hidden images and those of others among them, is asked for by itself.
        asked = time.monotonic()
        with suppress(CloudError):
            for value in id_filters(ids):
                for image in self._glance.found({"id": value}):
                    if image.status not in GONE:
                        self._seen[image.id] = asked, image
