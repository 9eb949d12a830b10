"""Verify the signatures that a resolver asks for, over documents and images."""

from __future__ import annotations

import io
import threading
import time
from datetime import datetime
from typing import Any

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.signatures.verdict import VerifiedSignature
from openstack_image_manager.signatures.verify import (
    OpenPGP,
    Rsa,
    verify_clearsigned,
    verify_detached,
    verify_rsa,
)
from openstack_image_manager.transfer.download import Download
from openstack_image_manager.transfer.mirrors import Mirrors
from openstack_image_manager.transfer.unpack import CHUNK, unpacked
from openstack_image_manager.upstreams.build import Fetch, Signature

IMAGE_TIMEOUT = 3600.0  # seconds for one image that is read for the signature over it


class SignatureVerifier:
    """Verify signatures for one run (a `build.Verify`). Images are read once, in chunks, and are not kept.

    `stop` ends the read of an image. `mirrors`: where to fetch images from; by default those of the environment.
    `timeout`: seconds for one image."""

    def __init__(
        self,
        keyring: Keyring,
        stop: threading.Event | None = None,
        mirrors: Mirrors | None = None,
        timeout: float = IMAGE_TIMEOUT,
    ) -> None:
        self._keyring = keyring
        self._timeout = timeout
        self._mirrors = mirrors
        self._stop = stop or threading.Event()

    def __call__(self, wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
        """Return the verified bytes (of an image: its checksum, `algorithm:digest`), the fingerprint of the primary
        key, and the time (UTC).

        Raises VerificationError, and FetchError if the signature or the image does not exist.
        """
        if wanted.kind == "clearsigned":
            data, signed = verify_clearsigned(data, wanted.keys, self._keyring)
        else:
            signature = fetch(wanted.url or "")
            if wanted.over in ("image", "unpacked-image"):
                checksum, signed = self._image(wanted, signature)
                data = str(checksum).encode()
            else:
                verify = verify_rsa if wanted.kind == "openssl-rsa" else verify_detached
                signed = verify(data, signature, wanted.keys, self._keyring)
        return data, signed.fingerprint, format_time(signed.created)

    def _image(self, wanted: Signature, signature: bytes) -> tuple[Checksum, VerifiedSignature]:
        """Return the checksum of the published file, packed or not, and its signature."""
        checksum = wanted.checksum or Checksum("sha256", "")
        limit = time.monotonic() + self._timeout
        kind = Rsa if wanted.kind == "openssl-rsa" else OpenPGP
        with (
            kind(signature, wanted.keys, self._keyring) as check,
            Download(wanted.subject, checksum.algorithm, limit, self._stop, hint="", mirrors=self._mirrors) as download,
        ):
            published: Any = io.BufferedReader(download, CHUNK)
            image = unpacked(published, download.check) if wanted.over == "unpacked-image" else published
            while chunk := image.read(CHUNK):
                check.update(chunk)
            while published.read(CHUNK):
                pass
            checksum_read = Checksum(checksum.algorithm, download.hexdigest())
            if wanted.checksum and checksum_read != checksum:
                raise VerificationError(f"wrong checksum: expected {checksum}, got {checksum_read}")
            return checksum_read, check.finish()


def format_time(when: datetime | None) -> str | None:
    """Format a time as definitions have it: YYYY-MM-DD hh:mm:ss, UTC."""
    return when.strftime("%Y-%m-%d %H:%M:%S") if when else None
