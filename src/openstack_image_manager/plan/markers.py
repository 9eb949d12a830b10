"""The properties of our own on images (`image_manager_*`), and what they say."""

from __future__ import annotations

import json

from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Role

# Properties of our own. RECORD keeps which properties and tags we set, so that those that leave a definition can be
# removed and those of others stay; VERIFIED says what was verified and how, HIDDEN_SINCE from when waiting counts,
# PINNED_OVER after a rollback which newer version this image stays current in place of, and ROLLED_BACK on the others
# the day.
RECORD = "image_manager_record"
VERIFIED = "image_manager_verified"
HIDDEN_SINCE = "image_manager_hidden_since"
PINNED_OVER = "image_manager_pinned_over"
ROLLED_BACK = "image_manager_rolled_back"
MARKS = (HIDDEN_SINCE, PINNED_OVER, ROLLED_BACK)
RUN = "image_manager_run"  # on unpublished images only: which run made the record
SIGNED_BY = "image_manager_signed_by"  # fingerprint of the key, and when
CHECKSUMS_URL = "image_manager_checksums_url"  # the file with the checksum
# The digest that Glance had when VERIFIED was written. Nova copies properties to snapshots of servers, where VERIFIED
# would be false: it counts only with the bytes that it is about.
BYTES = "image_manager_bytes"
OWN = (
    RECORD,
    VERIFIED,
    BYTES,
    *MARKS,
    RUN,
    SIGNED_BY,
    CHECKSUMS_URL,
)  # false on the snapshots that Nova copies them to
PENDING = "pending "
BEFORE, AFTER = " before import", " after import"
UNVERIFIED = "none"


def kept_on_image(role: Role) -> dict[str, str]:
    """The properties that keep what no definition knows: since when the image is hidden, and what a rollback made."""
    kept = (role.hidden_since, role.pinned_over, role.rolled_back)
    return {name: value for name, value in zip(MARKS, kept, strict=True) if value}


def recorded(image: Image) -> tuple[frozenset[str], frozenset[str]]:
    """The names of properties and the tags that we once set on it; empty where there is no readable record."""
    try:
        record = json.loads(image.properties.get(RECORD, "{}"))
        return frozenset(map(str, record.get("properties", ()))), frozenset(map(str, record.get("tags", ())))
    except (ValueError, AttributeError, TypeError, RecursionError):
        return frozenset(), frozenset()


def digest(image: Image) -> str:
    """Glance's own digest of the bytes as stored: algorithm:hex."""
    return f"{image.hash_algorithm}:{image.hash_value}"


def verified_checksum(image: Image) -> str:
    """The checksum that the image says it was verified with; empty where it says none, or says it of other bytes."""
    checksum = image.properties.get(VERIFIED, "").removeprefix(PENDING).partition(" ")[0]
    return checksum if ":" in checksum and is_imported(image) else ""


def names_its_bytes(image: Image) -> bool:
    """True for an image whose evidence names bytes, and the image has these bytes."""
    return image.properties.get(BYTES) == digest(image)


def is_imported(image: Image) -> bool:
    """True for an image that says that a run of ours brought its bytes in, verified or not."""
    return VERIFIED in image.properties and image.properties.get(BYTES) in (None, digest(image))


def signature(image: Image) -> tuple[str, str]:
    """The signer of the verified bytes, and when they were signed; empty if unknown."""
    signed_by, _, signed_at = image.properties.get(SIGNED_BY, "").partition(" ")
    return (signed_by, signed_at) if verified_checksum(image) else ("", "")


def is_pending(image: Image) -> bool:
    """True for an image that a run of ours has made but not yet published."""
    return image.properties.get(VERIFIED, "").startswith(PENDING)


def has_wrong_bytes(image: Image, checksum: str | None = None) -> bool:
    """True for an unpublished image whose stored bytes do not have the digest that was promised for them, or for which
    the `checksum` that its version has by now was not promised.

    `os_hash_value` is of the data as stored: a promise to be checked after the import is only made in that digest.
    """
    if not is_pending(image):
        return False
    promise = image.properties[VERIFIED].removeprefix(PENDING)
    stored = f"{digest(image)}{AFTER}"
    return (promise.endswith(AFTER) and promise != stored) or not promise.startswith(f"{checksum} " if checksum else "")
