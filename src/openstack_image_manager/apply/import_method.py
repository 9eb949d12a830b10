"""Choose how the bytes of a version get into Glance, and what the run can promise about them."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from openstack_image_manager.defaults import ImportMethod
from openstack_image_manager.definitions.model import Version
from openstack_image_manager.errors import CloudError, VerificationError
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.markers import UNVERIFIED
from openstack_image_manager.redaction import has_secrets
from openstack_image_manager.transfer.checksum_files import copy_checksum
from openstack_image_manager.transfer.mirrors import request_url
from openstack_image_manager.transfer.unpack import is_packed


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """How to import. `verify`: True requires verification, False skips it, None verifies where there is a checksum.
    `timeout`: seconds for one image; `tries`: how often an import is tried that Glance fails."""

    method: ImportMethod = "auto"
    verify: bool | None = None
    timeout: float = 1800.0
    tries: int = 1
    fall_back: bool = True


@dataclass(frozen=True, slots=True)
class ChosenMethod:
    """An import method and what it promises about the bytes; the image keeps the promise."""

    name: str
    promise: str


def choose(version: Version, methods: frozenset[str], converts: bool | None, options: ImportOptions) -> ChosenMethod:
    """The method for a version. Staging verifies the bytes before Glance has them, but uses our bandwidth. After a
    web-download only `os_hash_value` can be compared, a sha512 of the data as stored: that takes a sha512 checksum and
    a cloud that is known not to convert. Raises Error when a checksum would not be verified."""
    checksum = version.checksum if options.verify is not False else None
    if options.verify and not checksum:
        raise VerificationError("has no checksum to verify (--verify-checksum): add one to the definition")
    at_mirror = copy_checksum(version) if version.mirror_url and options.verify is not False else None
    promised = checksum or at_mirror
    comparable = bool(checksum and checksum.startswith("sha512:")) and converts is False
    needs_staging = urlsplit(version.url.lower()).scheme not in ("http", "https") or is_packed(version.url)
    requested = [request_url(url) for url in (version.mirror_url, version.url) if url]
    secret = any(map(has_secrets, requested))
    # A mirror on this machine's disk: Glance would try the upstream instead, which it may not reach.
    local = any(url.lower().startswith("file:") for url in requested) and "glance-direct" in methods
    if options.method != "auto":
        method = options.method
    elif needs_staging or secret or local or (promised and not comparable):
        method = "glance-direct"
    else:
        method = "web-download" if "web-download" in methods else "glance-direct"
    if method not in methods:
        offered = ", ".join(sorted(methods)) or "no method at all"
        raise CloudError(f"needs the import method {method}, but this cloud offers {offered}")
    if method == "glance-direct":
        return ChosenMethod(method, f"{checksum}{markers.BEFORE}" if checksum else UNVERIFIED)
    if needs_staging:
        raise CloudError("web-download cannot fetch this: Glance takes unpacked http(s) URLs; use glance-direct")
    if secret:
        raise CloudError(
            "its URL holds a user, a password, or a query that may hold a secret, which Glance would show to the whole "
            "project in the tasks of the image; use --import-method auto or glance-direct"
        )
    if promised and not comparable:
        raise VerificationError(
            "its checksum cannot be verified after web-download (it takes a sha512 and a cloud known not to convert); "
            "use --import-method auto, or --no-verify-checksum to publish without verification"
        )
    return ChosenMethod(method, f"{checksum}{markers.AFTER}" if checksum else UNVERIFIED)
