"""Read the bytes that Glance stores and compare their digest, without keeping them.

API: https://docs.openstack.org/api-ref/image/v2/#download-binary-image-data
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from contextlib import closing

from openstack_image_manager.background import BackgroundCall
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.errors import CloudError, Interrupted, VerificationError, reason
from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Update
from openstack_image_manager.reporter import Reporter

CHUNK = 1024**2
TICK = 0.2  # seconds between two checks of the clock


def verify_stored_data(
    glance: Glance, change: Update, timeout: float, stop: threading.Event, reporter: Reporter
) -> None:
    """Compare the bytes of an image that another project imported with the checksum of the version; only then the
    change is made. `timeout` in seconds. Raises VerificationError; CloudError when the bytes cannot be read."""
    image, expected = change.found, change.proof or ""

    def progress(done: int) -> None:
        reporter.progress(change.subject, "reading", done, image.size)

    try:
        actual = stored_checksum(glance, image, expected.partition(":")[0], time.monotonic() + timeout, stop, progress)
    finally:
        reporter.finished(change.subject)
    if actual != expected:
        raise VerificationError(
            f"{image.id} of project {image.owner} has other bytes than version "
            f"{change.wanted.properties['internal_version']}: {actual} instead of {expected}; it is not taken. "
            "To have the version imported instead, take that project out of former_owners"
        )


def stored_checksum(
    glance: Glance,
    image: Image,
    algorithm: str,
    deadline: float,
    stop: threading.Event,
    progress: Callable[[int], None],
) -> str:
    """`algorithm:digest` of all stored bytes; `deadline` in seconds of time.monotonic(). Raises CloudError when they
    cannot be read to the end."""
    digest, done = hashlib.new(algorithm), 0

    def read() -> None:
        nonlocal done
        with closing(answer):
            for chunk in answer.iter_content(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if is_ended.is_set():
                    return
                progress(done)

    is_ended = threading.Event()
    try:
        answer = glance.request("GET", f"/images/{image.id}/file", stream=True)
        # A service that sends single bytes never meets a timeout and never completes a chunk. The thread that reads
        # them is left alone: closing the answer would wait for it.
        reading = BackgroundCall(read)
        try:
            while not reading.wait(TICK):
                if stop.is_set():
                    raise Interrupted("interrupted")
                if time.monotonic() > deadline:
                    raise CloudError(f"{image.id} could not be read in time (--import-timeout)")
        finally:
            is_ended.set()
        reading.result()
    except OSError as error:  # the HTTP library raises it for a broken connection
        raise CloudError(
            f"{image.id} could not be read: the connection broke after {done} bytes ({reason(error)})"
        ) from None
    if done != image.size:
        raise CloudError(f"{image.id} could not be read: {done} bytes came, and it has {image.size}")
    return f"{algorithm}:{digest.hexdigest()}"
