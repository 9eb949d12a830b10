"""`keys fetch` over HTTP: bundles, web pages in the place of a key, files that are far too large."""

from __future__ import annotations

from pathlib import Path

import pysequoia
import pytest
from tests.support.site import Switches, TestSite

from openstack_image_manager.errors import FetchError, VerificationError
from openstack_image_manager.signatures.keyring import LARGEST, Keyring, fetch_key
from openstack_image_manager.signatures.verify import verify_detached

WANTED, OTHER = (pysequoia.Tsk.generate(f"{name} <{name}@example.org>") for name in ("wanted", "other"))
FINGERPRINT = WANTED.extract_certificate().fingerprint.upper()
BUNDLE = bytes(OTHER.extract_certificate()) + bytes(WANTED.extract_certificate())


def test_a_fetched_key_verifies(site: TestSite, tmp_path: Path) -> None:
    url = site.put("/bundle.gpg", BUNDLE)
    site.on("/bundle.gpg", Switches(times=1, truncate=500))
    path = fetch_key(url, FINGERPRINT, tmp_path / "keys")
    assert path == tmp_path / "keys" / f"{FINGERPRINT}.asc"
    signature = pysequoia.sign(WANTED.signer(), b"data", mode=pysequoia.SignatureMode.DETACHED)
    assert verify_detached(b"data", signature, [FINGERPRINT], Keyring([path.parent])).fingerprint == FINGERPRINT
    by_other = pysequoia.sign(OTHER.signer(), b"data", mode=pysequoia.SignatureMode.DETACHED)
    with pytest.raises(VerificationError, match="not by a pinned key"):
        verify_detached(b"data", by_other, [FINGERPRINT], Keyring([path.parent]))


def test_invalid_keys_are_not_stored(site: TestSite, tmp_path: Path) -> None:
    site.put("/key.asc", BUNDLE)
    site.put("/large.asc", bytes(LARGEST + 1))
    for url, message in (
        (site.on("/page", Switches(html="<html>sign in</html>")), "/page: it contains no key"),
        (site.on("/key.asc", Switches(status=404)), "/key.asc: 404"),
        (f"{site.url}/large.asc", f"/large.asc: larger than {LARGEST} bytes"),
    ):
        with pytest.raises((FetchError, VerificationError), match=message):
            fetch_key(url.replace("://", "://user:secret@"), FINGERPRINT, tmp_path / "keys")
    assert not (tmp_path / "keys").exists()
