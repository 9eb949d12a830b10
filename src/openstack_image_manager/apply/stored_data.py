"""Read the bytes that Glance stores, to compare their digest; they are not kept.

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
LOOK = 0.2  # seconds between two looks at the clock


def verify_stored_data(
    glance: Glance, change: Update, timeout: float, stop: threading.Event, reporter: Reporter
) -> None:
    """Read the image of a change that takes proof: what another project made is only taken when its bytes are the
    version's. `timeout` in seconds. Raises VerificationError, and CloudError when they can't be read to the end."""
    image, expected = change.found, change.proof or ""

    def progress(done: int) -> None:
        reporter.progress(change.subject, "reading", done, image.size)

    try:
        got = stored_checksum(glance, image, expected.partition(":")[0], time.monotonic() + timeout, stop, progress)
    finally:
        reporter.finished(change.subject)
    if got != expected:
        raise VerificationError(
            f"{image.id} of project {image.owner} has other bytes than version "
            f"{change.wanted.properties['internal_version']}: {got} instead of {expected}; it is not taken. "
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
    can't be read to the end."""
    digest, done = hashlib.new(algorithm), 0

    def read() -> None:
        nonlocal done
        with closing(answer):
            for chunk in answer.iter_content(CHUNK):
                digest.update(chunk)
                done += len(chunk)
                if is_over.is_set():
                    return
                progress(done)

    is_over = threading.Event()
    try:
        answer = glance.call("GET", f"/images/{image.id}/file", stream=True)
        # A service that drips bytes never meets a timeout, and never completes a chunk either. The thread that reads
        # them is left alone: to close what it reads from would be to wait for it.
        reading = BackgroundCall(read)
        try:
            while not reading.wait(LOOK):
                if stop.is_set():
                    raise Interrupted("interrupted")
                if time.monotonic() > deadline:
                    raise CloudError(f"{image.id} could not be read in time (--import-timeout)")
        finally:
            is_over.set()
        reading.result()
    except OSError as error:  # what the HTTP library raises for a connection that breaks
        raise CloudError(
            f"{image.id} could not be read: the connection broke after {done} bytes ({reason(error)})"
        ) from None
    if done != image.size:
        raise CloudError(f"{image.id} could not be read: {done} bytes came, and it has {image.size}")
    return f"{algorithm}:{digest.hexdigest()}"
