"""Verify an image in a stream from an upstream to Glance: unpack, inspect, compare the digest.

Nothing is written to a disk. Memory holds a few MiB and the packer's window, for any size of image.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.inspect import AS_PUBLISHED, Inspection
from openstack_image_manager.transfer.unpack import CHUNK, FLOOR, _chunks, _reader, unpacked

CAP = 512 * 1024**3  # bytes: no cloud image unpacks to more


class VerifiedImage:
    """An iterator over the image's bytes that ends only if they are right.

    `source` is the raw file as published, with `hexdigest()` in the checksum's algorithm and `check()`, which raises
    when time is up. The checksum may be of the file as published or of the image in it. Raises VerificationError before
    the last chunk is handed out.
    """

    def __init__(
        self, source: Any, disk_format: str, checksum: Checksum | None, cap: int = CAP, floor: int = FLOOR
    ) -> None:
        self._source = source
        self._format = disk_format
        self._checksum = checksum
        self._cap = cap
        self._floor = floor
        self._started = False
        self.packed = False  # known with the first chunk

    def __iter__(self) -> Iterator[bytes]:
        if self._started:
            # An HTTP library that repeats the request would send an empty image.
            raise VerificationError("the upload would have to start again, but the download is already in progress")
        self._started = True
        published = _reader(_chunks(self._source))
        stream = published
        if self._format not in AS_PUBLISHED:
            stream = unpacked(published, self._source.check, self._floor)
        self.packed = stream is not published
        digest = hashlib.new(self._checksum.algorithm) if self._checksum and self.packed else None
        inspection = Inspection(self._format)
        held, size = b"", 0
        for chunk in _chunks(stream):
            size += len(chunk)
            if size > self._cap:
                raise VerificationError(f"unpacked it has more than {self._cap} bytes: refused")
            if digest:
                digest.update(chunk)
            # One chunk is kept until everything is verified, so that the upload cannot end by itself.
            if inspection.head_is_read:
                yield held
                held = b""
            held += chunk
            inspection.feed(chunk)
        inspection.finish()
        while published.read(CHUNK):
            pass
        self._compare(digest.hexdigest() if digest else None)
        yield held

    def _compare(self, image_digest: str | None) -> None:
        digests = [self._source.hexdigest(), image_digest]
        if self._checksum is not None and self._checksum.digest not in digests:
            actual = f"{self._checksum.algorithm}:{digests[0]}"
            raise VerificationError(f"wrong checksum: expected {self._checksum}, got {actual}; nothing was published")
