"""What another run is working on: waited for, until it is done, gone, or left behind."""

from __future__ import annotations

import random
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime

from openstack_image_manager.cloud.glance import LONGEST_PAUSE, Glance
from openstack_image_manager.errors import CloudError, ImportFailedError, Interrupted
from openstack_image_manager.model import Image
from openstack_image_manager.plan.orphans import is_stale
from openstack_image_manager.reporter import Reporter

QUIET = 10.0  # seconds after which an empty record that nobody fills is taken for left behind
STAGED = 3.0  # seconds after which one with all bytes is that nobody imports
JITTER = (
    3.0  # seconds more, at most: runs that find the same record at the same moment shall not go on at the same moment
)
SETTLE = 60.0  # seconds for Glance to notice that an upload's client is gone


@dataclass(frozen=True)
class OtherRuns:
    """Images of one cloud that other runs may be at. `timeout`: seconds for an import by another run."""

    glance: Glance
    timeout: float
    stop: threading.Event
    reporter: Reporter

    def settled(self, image_id: str, quiet: float) -> Image | None:
        """What became of an image that another run, dead or alive, is working on; None: it is gone. It is left behind
        when nothing happens to it for `quiet` seconds: a run that is alive fills an empty record at once, orders the
        import of a full one at once, and takes back one that failed at once. Two orders to import at the same moment
        would break each other in Glance."""
        begun = time.monotonic()
        watch, told = _QuietPeriod(quiet), set[str]()

        def waiting(name: str, what: str) -> None:
            if what not in told:
                self.reporter.line(name, f"is being {what} already: waiting for it")
            told.add(what)

        while current := self.still_there(image_id, patient=bool(told)):
            # What nothing has happened to for days was left by a Glance that died itself.
            if is_stale(current, datetime.now(UTC).date()) and current.status != "queued" and not is_staged(current):
                return current
            # Also a whole one: until the import has let go of it, Glance saves it once more as it was.
            if current.status == "importing" or current.import_task:
                waiting(current.name, "imported")
                if done := self._imported(image_id, begun + self.timeout):
                    return done
                if watch.is_over():
                    return self.still_there(image_id)
            elif current.status in ("uploading", "saving") and not is_staged(current):
                # The run that uploads it would have given up by then; Glance itself died in the middle.
                if quiet and _idle(current) > max(self.timeout, SETTLE):
                    return current
                if quiet:
                    waiting(current.name, "uploaded")
                elif time.monotonic() - begun > SETTLE:
                    raise CloudError(f"{image_id} is being uploaded by someone else; run again when that is done")
            elif watch.is_left(current):
                return current
            self.pause(0.5)
        return None

    def _imported(self, image_id: str, deadline: float) -> Image | None:
        """The image when the import that another run ordered is done; None: it failed, or its own run would not wait
        for it any more."""
        while True:
            try:
                return self.glance.wait(image_id, deadline, self.stop)
            except ImportFailedError:
                return None
            except CloudError as error:
                if error.status == 404 or time.monotonic() > deadline - LONGEST_PAUSE:
                    return None
                self.pause(0.5)

    def still_there(self, image_id: str, patient: bool = False) -> Image | None:
        """The image; None: it is gone. `patient`: a Glance that fails is asked again for a while."""
        limit = time.monotonic() + (SETTLE if patient else 0.0)
        while True:
            try:
                return self.glance.get(image_id)
            except CloudError as error:
                if error.status == 404:
                    return None
                if (error.status or 500) < 500 or time.monotonic() >= limit:
                    raise
            self.pause(0.5)

    def pause(self, seconds: float) -> None:
        if self.stop.wait(seconds):
            raise Interrupted("interrupted")


@dataclass
class _QuietPeriod:
    """How long nothing has happened to an image; `quiet` seconds are enough, and for some runs a little more."""

    quiet: float
    lot: float = field(default_factory=lambda: random.uniform(0, JITTER))
    since: float = 0.0
    seen: tuple[object, ...] = ()
    failed: float | None = None

    def is_left(self, image: Image) -> bool:
        """True for an image that nobody goes on with: an empty record, or one that has its bytes."""
        seen = (image.status, image.size, image.updated_at)
        if seen != self.seen:
            self.seen, self.since = seen, time.monotonic()
        if image.status != "queued" and not is_staged(image):
            return True
        patience = self.quiet if image.status == "queued" else STAGED
        return not self.quiet or time.monotonic() - self.since >= patience + self.lot

    def is_over(self) -> bool:
        """True when the run whose import has failed does not take it back."""
        self.failed = self.failed or time.monotonic()
        return time.monotonic() - self.failed >= self.quiet


def _idle(image: Image) -> float:
    """Seconds since Glance changed it."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(image.updated_at)).total_seconds()
    except (ValueError, TypeError):  # no time, or none with a zone
        return 0.0


def is_staged(image: Image) -> bool:
    """True when the staging area has all bytes: Glance tells the size once an upload to it is complete. Ours complete
    only with verified bytes."""
    return image.status == "uploading" and image.size is not None
