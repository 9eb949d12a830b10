"""The keys of upstreams that come with the catalogue."""

from __future__ import annotations

import re

import pytest

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.signatures.keyring import SHIPPED, Keyring, list_keys

# No source of these is a project that others keep copies of: whoever follows them fetches their keys.
FETCHED = {
    "1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F": "arch",
    "F26ADFADBAE702EF7AF637459DA7EF23BFFCDF22": "alpine",
    "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A": "flatcar",
}


def pinned() -> set[str]:
    return set(re.findall(r"\b[0-9A-F]{40}\b", SHIPPED.with_name("resolvers.yml").read_text(encoding="utf-8")))


def test_each_pinned_key_is_there() -> None:
    shipped = Keyring([SHIPPED])
    assert pinned() >= FETCHED.keys()
    for fingerprint in pinned() - FETCHED.keys():
        (certificate,) = shipped.certificates([fingerprint])
        assert (certificate.fingerprint, certificate.primary.revoked) == (fingerprint, False)
    for fingerprint in FETCHED:
        with pytest.raises(VerificationError, match=f"get it with: keys fetch URL {fingerprint}"):
            shipped.certificates([fingerprint])


def test_no_other_key_is_there() -> None:
    names = {path.stem: getattr(key, "fingerprint", key) for path, key in list_keys(SHIPPED)}
    assert names == {fingerprint: fingerprint for fingerprint in pinned() - FETCHED.keys()}
