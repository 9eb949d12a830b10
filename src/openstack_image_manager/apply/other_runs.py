"""Wait for an image that another run is importing, until it is done, gone or abandoned."""

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

QUIET = 10.0  # seconds without a change after which an empty record counts as abandoned
STAGED = 3.0  # the same for a record that has all its bytes
# Seconds more, at most: runs that find the same record must not continue at the same moment.
JITTER = 3.0
SETTLE = 60.0  # seconds for Glance to notice that an upload's client is gone


@dataclass(frozen=True)
class OtherRuns:
    """Images of one cloud that other runs may be importing. `timeout`: seconds for such an import."""

    glance: Glance
    timeout: float
    stop: threading.Event
    reporter: Reporter

    def settled(self, image_id: str, quiet: float) -> Image | None:
        """The image once no run works on it any more; None: it is gone. It is abandoned when nothing happens to it for
        `quiet` seconds: a live run fills an empty record, orders the import of a full one and deletes a failed one at
        once. Two import orders at the same moment would break each other in Glance."""
        begun = time.monotonic()
        period, reported = _QuietPeriod(quiet), set[str]()

        def report(name: str, step: str) -> None:
            if step not in reported:
                self.reporter.line(name, f"another run is {step} it: waiting")
            reported.add(step)

        while current := self.find(image_id, patient=bool(reported)):
            # No change for days: Glance itself died during the import.
            if is_stale(current, datetime.now(UTC).date()) and current.status != "queued" and not is_staged(current):
                return current
            # Also a complete image: until the import releases it, Glance saves it once more as it was.
            if current.status == "importing" or current.import_task:
                report(current.name, "importing")
                if image := self._imported(image_id, begun + self.timeout):
                    return image
                if period.failed_long_ago():
                    return self.find(image_id)
            elif current.status in ("uploading", "saving") and not is_staged(current):
                # The run that uploads it would have given up; Glance itself died during the upload.
                if quiet and _idle(current) > max(self.timeout, SETTLE):
                    return current
                if quiet:
                    report(current.name, "uploading")
                elif time.monotonic() - begun > SETTLE:
                    raise CloudError(f"{image_id} is being uploaded by someone else; run again when that is done")
            elif period.is_abandoned(current):
                return current
            self.pause(0.5)
        return None

    def _imported(self, image_id: str, deadline: float) -> Image | None:
        """The image when the import that another run ordered is done; None: it failed, or took longer than its own run
        would wait."""
        while True:
            try:
                return self.glance.wait(image_id, deadline, self.stop)
            except ImportFailedError:
                return None
            except CloudError as error:
                if error.status == 404 or time.monotonic() > deadline - LONGEST_PAUSE:
                    return None
                self.pause(0.5)

    def find(self, image_id: str, patient: bool = False) -> Image | None:
        """The image; None: it is gone. `patient`: retry for a while when Glance fails."""
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
    """How long nothing has happened to an image. It is abandoned after `quiet` seconds plus `jitter`."""

    quiet: float
    jitter: float = field(default_factory=lambda: random.uniform(0, JITTER))
    since: float = 0.0
    seen: tuple[object, ...] = ()
    failed_at: float | None = None

    def is_abandoned(self, image: Image) -> bool:
        """True for an empty record or a staged image that no run continues."""
        seen = (image.status, image.size, image.updated_at)
        if seen != self.seen:
            self.seen, self.since = seen, time.monotonic()
        if image.status != "queued" and not is_staged(image):
            return True
        patience = self.quiet if image.status == "queued" else STAGED
        return not self.quiet or time.monotonic() - self.since >= patience + self.jitter

    def failed_long_ago(self) -> bool:
        """True when the run whose import failed has had the time to delete its record."""
        self.failed_at = self.failed_at or time.monotonic()
        return time.monotonic() - self.failed_at >= self.quiet


def _idle(image: Image) -> float:
    """Seconds since Glance changed it last."""
    try:
        return (datetime.now(UTC) - datetime.fromisoformat(image.updated_at)).total_seconds()
    except (ValueError, TypeError):  # no time, or none with a zone
        return 0.0


def is_staged(image: Image) -> bool:
    """True when the staging area has all bytes: Glance shows the size once an upload to it is complete. Our uploads
    complete only with verified bytes."""
    return image.status == "uploading" and image.size is not None
