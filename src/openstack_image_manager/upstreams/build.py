"""Describe a build that an upstream publishes, and decide what may be recorded."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import unquote

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions import values
from openstack_image_manager.definitions.model import LATEST, Definition, Version, public_url
from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.redaction import printable
from openstack_image_manager.transfer.unpack import is_packed
from openstack_image_manager.upstreams.candidates import order

# The recorded fields of a build, next to its version and URL, in this order.
EVIDENCE = ("checksum", "checksums_url", "size", "build_date", "signed_by", "signed_at")
# A version is announced before its images are signed; a day allows for mirrors and clocks.
SIGNING_TOLERANCE = timedelta(days=1)
MAGIC = {"qcow2": b"QFI\xfb"}


@dataclass(frozen=True, slots=True)
class Build:
    """The current build of an upstream. `checksum` and `size` are of the file at `url`, packed or not."""

    version: str
    url: str
    checksum: Checksum | None
    checksums_url: str | None  # the checksum file or index with the checksum
    size: int | None  # bytes
    build_date: str | None  # YYYY-MM-DD or YYYY-MM-DD hh:mm:ss, UTC
    signed_by: str | None  # fingerprint of the primary key, upper-case
    signed_at: str | None  # YYYY-MM-DD hh:mm:ss, UTC
    other_digests: tuple[Checksum, ...] = ()  # of the same file; only to compare with recorded versions
    warning: str | None = None  # its signature is older than allowed, or the upstream may have renamed its files

    @property
    def digests(self) -> tuple[Checksum, ...]:
        """Return all digests of the file at `url`."""
        return (*((self.checksum,) if self.checksum else ()), *self.other_digests)


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature to verify. `over`: index (any document), checksum, image or unpacked-image; `subject` is its URL."""

    kind: str  # detached, clearsigned or openssl-rsa
    over: str
    subject: str
    url: str | None  # where the signature is; None: within the document
    keys: tuple[str, ...]
    checksum: Checksum | None = None  # of the image, for signatures over it


Fetch = Callable[[str], bytes]
# Takes the signature, the document (empty for images, which are streamed) and a function that fetches more. Returns the
# bytes that may be read (of an image: the checksum of the verified file, algorithm:digest), the fingerprint of the
# primary key and the time of the signature. Raises VerificationError.
# It passes on a FetchError with status 404 from `fetch`: there is no signature.
Verify = Callable[[Signature, bytes, Fetch], tuple[bytes, str | None, str | None]]


def version_of(build: Build) -> Version:
    """Return the build as a version of a definition, with all its evidence."""
    fields = {name: getattr(build, name) for name in EVIDENCE}
    checksum = str(build.checksum) if build.checksum else None
    return Version.model_validate({"version": build.version, "url": build.url, **fields, "checksum": checksum})


def file_name(url: str) -> str:
    """Return the last segment of a URL, decoded."""
    return unquote(url.partition("?")[0].partition("#")[0].rpartition("/")[2])


def with_address(url: str, error: Error) -> str:
    """Return the error message, prefixed with the URL if it does not start with it."""
    place, message = public_url(url), printable(str(error))
    return message if message.startswith(place) else f"{place}: {message}"


def parse_day(text: str) -> str | None:
    """Return the day at the start of a text (`20260712-2537`, `2026-07-22T…`) or of an HTTP date, or None."""
    if match := re.match(r"(\d{4})-?(\d\d)-?(\d\d)(?!\d)", text):
        try:
            return date(*map(int, match.groups())).isoformat()
        except ValueError:
            return None
    try:
        moment = parsedate_to_datetime(text)
        return (moment.astimezone(UTC) if moment.tzinfo else moment).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, TypeError, IndexError):
        return None


def check_address(url: str, sources: Iterable[str | None], own: bool) -> None:
    """Refuse URLs that an upstream must not lead to: local files, and http after https, unless the definition itself
    names them (`own`). Raises VerificationError."""
    try:
        values.url(url)
    except ValueError:
        raise VerificationError(f"'{public_url(url)[:200]}' is not a valid image URL") from None
    scheme = url.partition(":")[0].lower()
    from_scheme = {source.partition(":")[0].lower() for source in sources if source}
    if own or scheme == "https" or (from_scheme and from_scheme <= {scheme}):
        return
    if scheme == "file" or "https" in from_scheme:
        raise VerificationError(f"the upstream names {public_url(url)}, where {scheme}: is not trusted; set url")


def check_beginning(url: str, data: bytes, disk_format: str) -> None:
    """Refuse a file that does not begin like its format, if this can be checked. Raises VerificationError."""
    magic = MAGIC.get(disk_format, b"")
    if not is_packed(url) and not data.startswith(magic):
        raise VerificationError(f"{public_url(url)}: does not begin like a {disk_format} image")


def check_size(url: str, actual: int | None, published: int | None, source: str | None) -> None:
    """Refuse a file that has another size than the document `source` says. Raises VerificationError."""
    if actual is not None and published is not None and actual != published:
        raise VerificationError(f"{public_url(url)}: has {actual} bytes, {public_url(source or '')} says {published}")


def days_since(moment: str, today: date) -> int:
    """Return the number of days since a moment that begins with YYYY-MM-DD."""
    return (today - date.fromisoformat(moment[:10])).days


def newest_recorded(definition: Definition) -> Version | None:
    """Return the newest version of the definition, except `latest`."""
    versions = [version for version in definition.versions if version.version != LATEST]
    return max(versions, key=lambda version: order(version.version), default=None)


def is_new(definition: Definition, build: Build) -> bool:
    """Return True if the definition has neither a version of this name nor one with the same bytes."""
    return not any(is_same(definition, version, build) for version in definition.versions)


def has_same_bytes(version: Version, build: Build) -> bool | None:
    """Return True if the version has the bytes of the build, False if not, None if no digests of one algorithm can be
    compared."""
    recorded = recorded_checksum(version)
    return next(
        (recorded == digest for digest in build.digests if recorded and recorded.algorithm == digest.algorithm), None
    )


def recorded_checksum(version: Version) -> Checksum | None:
    """Return the checksum of a version, if it has one."""
    return Checksum.parse(version.checksum) if version.checksum else None


def has_moving_url(definition: Definition, version: Version) -> bool:
    """Return True for a version whose URL will serve other bytes one day."""
    return definition.latest_url is not None and version.url == definition.latest_url and version.version != LATEST


def is_same(definition: Definition, version: Version, build: Build) -> bool:
    """Return True if the version of the definition is the build, under any name.

    Without comparable digests, a URL decides that contains the build or that moves: a moving URL has the build of the
    day it was recorded, not an older one.
    """
    if version.version == build.version:
        return True
    known = has_same_bytes(version, build)
    if known is not None:
        return known
    if has_moving_url(definition, version):
        return order(version.version) > order(build.version)
    is_undecided = bool(version.checksum and build.checksum)
    name = rf"(?<![0-9]){re.escape(build.version)}(?![0-9])"
    return is_undecided and version.url == build.url and bool(re.search(name, build.url))


def check_recorded(definition: Definition, build: Build) -> None:
    """Refuse a rollback. Raises Error for a build that is older than the recorded ones, VerificationError for one that
    was replaced under its name."""
    newest = newest_recorded(definition)
    is_older = newest is not None and order(build.version) < order(newest.version)
    if newest is not None and is_older and not is_same(definition, newest, build):
        raise Error(
            f"the upstream's newest build {build.version} ({public_url(build.url)}) is older than {newest.version}, "
            "which is already recorded: a mirror that lags behind, or a rollback attack; nothing was changed"
        )
    for version in definition.versions:
        # The digest of a packed file may be that of the image in it, unless its size was recorded with it.
        of_image = is_packed(build.url) and version.size is None
        if version.version != build.version or of_image or has_same_bytes(version, build) is not False:
            continue
        recorded = recorded_checksum(version)
        now = next(digest for digest in build.digests if recorded and digest.algorithm == recorded.algorithm)
        raise VerificationError(
            f"the upstream has replaced build {build.version}: {public_url(build.url)} has {now} now, "
            f"the definition has {recorded}; find out why, then remove the version or its checksum"
        )


def check_signed(definition: Definition, build: Build, policy: str, documents_signed_at: str | None = None) -> None:
    """Refuse a new build that may be an old one under a newer name.

    It is refused if it is no longer signed, or was signed before the newest recorded build or before the document that
    names its version. `policy`: the policy of the resolver's signature. `documents_signed_at`: when the documents that
    led to the build were signed. Raises Error."""
    if policy == "none" or not is_new(definition, build):
        return
    what = f"{build.version} ({public_url(build.url)})"
    newest = newest_recorded(definition)
    if newest and newest.signed_at and build.signed_at:
        # Either may be a day without a time.
        width = min(len(newest.signed_at), len(build.signed_at))
        if build.signed_at[:width] < newest.signed_at[:width]:
            raise Error(
                f"possible rollback attack: the site offers an older build: {what} was signed on {build.signed_at}, "
                f"and {newest.version}, which is already recorded, on {newest.signed_at}; nothing is changed"
            )
    if (
        documents_signed_at
        and build.signed_at
        and _moment(documents_signed_at) - _moment(build.signed_at) > SIGNING_TOLERANCE
    ):
        raise Error(
            f"possible rollback attack: the site offers an older build: {what} was signed on {build.signed_at}, "
            f"before its version was announced: on {documents_signed_at}; nothing is changed"
        )
    signed = next((version for version in definition.versions if version.signed_by), None)
    if signed and not build.signed_by:
        raise Error(
            f"{what} is not signed, and {signed.version}, which is already recorded, was signed by {signed.signed_by}: "
            "somebody may have removed the signature; set policy: none if the upstream has stopped signing"
        )


def stale_warning(signed_at: str | None, max_age: int | None, now: datetime) -> str | None:
    """Return a warning if the signature is older than `max_age` days: the site may withhold newer documents."""
    days = (now - _moment(signed_at)).days if signed_at else 0
    if max_age is None or days <= max_age:
        return None
    return (
        f"the signature is {days} days old, more than max_age ({max_age}): the site may withhold newer builds; compare "
        "with another mirror"
    )


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def comparable_algorithms(definition: Definition, build: Build) -> list[str]:
    """Return the algorithms by which recorded versions could be compared with the build, and which it has no digest of.

    Only versions count that may be the build, or that would be newer.
    """
    known = {digest.algorithm for digest in build.digests}
    algorithms = [
        recorded.algorithm
        for version in definition.versions
        if (recorded := recorded_checksum(version)) is not None
        and (
            version.url == build.url
            or has_moving_url(definition, version)
            or order(version.version) >= order(build.version)
        )
    ]
    return [algorithm for algorithm in dict.fromkeys(algorithms) if known and algorithm not in known]
