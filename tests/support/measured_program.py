"""A program that takes an image as an import does, or a document as a look for updates does, and says how much memory
and time it took: a process of its own."""

from __future__ import annotations

import json
import resource
import signal
import sys
import threading
import time

from openstack_image_manager.errors import Error
from openstack_image_manager.transfer.download import Download
from openstack_image_manager.transfer.verified import VerifiedImage
from openstack_image_manager.upstreams.sites import Sites

DOCUMENT = "document"  # instead of a format of disks


def peak() -> int:
    """MiB, the most of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def main(url: str, disk_format: str, seconds: float) -> None:
    """Take it, within that time. Ctrl-C sets the event that every command sets then."""
    stop, end = threading.Event(), time.monotonic()
    signal.signal(signal.SIGINT, lambda *_: stop.set())
    list(VerifiedImage(_Nothing(), "raw", None))  # all libraries are there
    idle, start = peak(), time.monotonic()
    print("ready", flush=True)
    said, taken = "", 0
    try:
        if disk_format == DOCUMENT:
            Sites(timeout=seconds, stop=stop).document(url)
        else:
            with Download(url, deadline=start + seconds, stop=stop) as download:
                for chunk in VerifiedImage(download, disk_format, None):
                    taken += len(chunk)
    except Error as error:
        said = str(error)
    end = time.monotonic()
    print(json.dumps({"memory": peak() - idle, "seconds": end - start, "said": said, "taken": taken}), flush=True)


class _Nothing:
    def __init__(self) -> None:
        self._chunks = [b"\0" * 1000]

    def read(self, _: int) -> bytes:
        return self._chunks.pop() if self._chunks else b""

    def check(self) -> None:
        """Time is never up."""

    def hexdigest(self) -> str:
        return ""


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
