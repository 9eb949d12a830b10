"""Compare the contents of a mirror with the definitions: a verdict for each version, and the unneeded objects."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum

from openstack_image_manager.definitions.editing.edit import SetVersionField
from openstack_image_manager.definitions.model import Version, public_url
from openstack_image_manager.errors import Error
from openstack_image_manager.mirror.location import RECORD, STREAMS, SUMS, UNNEEDED_FILE, Item, Target
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.transfer.checksum_files import copy_checksum


class Verdict(StrEnum):
    """The state of the object of a version."""

    CURRENT = "CURRENT"
    MISSING = "MISSING"
    MISMATCH = "MISMATCH"
    UNFINISHED = "UNFINISHED"
    FOREIGN = "FOREIGN"
    INVALID = "INVALID"  # it has no valid key


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and its record.

    `size` is None if only the record exists. `is_own`: its metadata names this program. `damaged`: the file of its
    record is not a valid record.
    """

    key: str
    size: int | None
    modified: datetime
    record: Record | None = None
    is_own: bool = False
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """All objects below the prefix.

    `stored`: objects with a record, and objects at keys that were asked for. `keys`: the keys of all objects.
    `other_mirrors`: prefixes below this one with their own index, which are left out.
    """

    stored: Mapping[str, StoredObject]
    keys: frozenset[str]
    other_mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version compared with its object.

    `is_read`: this run has read the object, and its record and a sha256 or sha512 of its definition are correct.
    """

    item: Item
    verdict: Verdict
    reason: str
    stored: StoredObject | None = None
    is_read: bool = False

    @property
    def is_hopeless(self) -> bool:
        """Return True if only a person can fix it."""
        return self.verdict in (Verdict.FOREIGN, Verdict.INVALID)


@dataclass(frozen=True, slots=True)
class Plan:
    """The comparisons of the requested versions, and the unneeded objects.

    `kept`: the reason why nothing may be deleted, if any. `since`: when each unneeded object was first seen unneeded,
    as it must be recorded.
    """

    comparisons: tuple[Comparison, ...]
    unneeded: tuple[StoredObject, ...]
    kept: str = ""
    since: Mapping[str, datetime] = field(default_factory=dict)


def make_plan(
    chosen: Iterable[Item],
    everything: Iterable[Item],
    objects: Mapping[str, StoredObject],
    now: datetime,
    grace: timedelta,
    moving: frozenset[str] = frozenset(),
    known_unneeded: Mapping[str, datetime] | None = None,
) -> Plan:
    """Compare the chosen versions with the stored objects.

    `everything`: the versions of all definitions; all are needed. `moving`: definitions with a version `latest` that is
    not resolved in this run; all their objects are needed. `known_unneeded`: since when earlier runs saw objects
    unneeded.
    """
    known = list(everything)
    needed = {item.key for item in known}
    needed |= {key for key, stored in objects.items() if stored.record and stored.record.name in moving}
    since = {
        key: min(now, (known_unneeded or {}).get(key, now))
        for key, stored in sorted(objects.items())
        if key not in needed and stored.record
    }
    unneeded = tuple(objects[key] for key, first in since.items() if now - first >= grace)
    plan = Plan(tuple(compare(item, objects.get(item.key)) for item in chosen), unneeded, "", since)
    if since and any(item.error for item in known):
        return without_deletions(plan, "the object of some versions is unknown", known_unneeded)
    if since and not known and not moving:
        return without_deletions(
            plan, "the definitions have no versions; an empty file never empties a mirror", known_unneeded
        )
    return plan


def without_deletions(plan: Plan, reason: str, known_unneeded: Mapping[str, datetime] | None = None) -> Plan:
    """Return the plan of a run that deletes nothing for this reason, and that starts no new grace period."""
    return replace(
        plan, kept=reason, since={key: time for key, time in plan.since.items() if key in (known_unneeded or {})}
    )


def keep_reason(target: Target, whole: bool, contents: Contents, needed: Iterable[str], empty: Iterable[str]) -> str:
    """Return why nothing may be deleted, whatever the versions are.

    The reasons are `empty` definition files, and a bucket root that contains more than this mirror, unless `--bucket`
    names the `whole` bucket.
    """
    if file := next(iter(empty), None):
        return f"{file} has no definitions; delete the file if that is right"
    if target.scheme != "s3" or target.prefix or whole:
        return ""
    known = {key.partition("/")[0] for key in needed} | {STREAMS.partition("/")[0], SUMS, UNNEEDED_FILE}
    known |= {f"{SUMS}.gpg"}
    more = sorted({name.partition("/")[0] for name in contents.keys} - known)
    if not more:
        return ""
    return f"the bucket's root also holds {more[0]}/; if the whole bucket is this mirror's, write --bucket {target}/"


def compare(item: Item, stored: StoredObject | None) -> Comparison:
    """Compare the version with the object at its key."""
    if item.error:
        return Comparison(item, Verdict.INVALID, str(item.error))
    if stored is None or stored.size is None:
        return Comparison(item, Verdict.MISSING, "not there", stored)
    if stored.record is None and stored.is_own:
        message = "its record is damaged" if stored.damaged else "it has no record yet"
        return Comparison(item, Verdict.UNFINISHED, message, stored)
    if stored.damaged:
        # It may be an object of another owner, whose own file has the name of a record.
        message = (
            f"its record {item.key}{RECORD} is damaged: the owner of the object is unknown, and nothing is changed; "
            "delete both, and the next run copies the image again"
        )
        return Comparison(item, Verdict.FOREIGN, message, stored)
    if stored.record is None:
        message = "an object of another owner is there, and is never changed; move it, or set another mirror_url"
        return Comparison(item, Verdict.FOREIGN, message, stored)
    if reason := _difference(item, stored.size, stored.record):
        return Comparison(item, Verdict.MISMATCH, reason, stored)
    proof = "" if stored.record.checksum else ", without a promised checksum"
    return Comparison(item, Verdict.CURRENT, f"sha256:{stored.record.sha256}{proof}", stored)


def _difference(item: Item, size: int, record: Record) -> str | None:
    version = item.version
    if record.damaged:
        return f"its bytes were damaged when they were verified at {record.damaged}"
    if size != record.size:
        return f"it has {size} bytes, and had {record.size} when it was written"
    if reason := contradiction(version, record):
        return reason
    if version.checksum and version.checksum not in record.digests:
        return f"the definition says {version.checksum}, its record {', '.join(record.digests)}"
    if version.size and version.size != record.source_size:
        return f"the definition says {version.size} bytes, its source had {record.source_size}"
    if not version.checksum and public_url(record.source) != public_url(version.url):
        return f"it came from {record.source}, and the definition has no checksum to compare"
    return None


def contradiction(version: Version, record: Record) -> str | None:
    """Return why the stored bytes differ from the definition, as far as it has their checksum.

    No other field of the record counts: anyone who can write to the bucket can write a record.
    """
    wanted = copy_checksum(version)
    if wanted and wanted.startswith(("sha256:", "sha512:")) and wanted not in record.stored:
        return f"the definition says {wanted}, its bytes have {', '.join(record.stored)}"
    return None


def has_known_digest(version: Version, record: Record | None) -> bool:
    """Return True if the definition determines the bytes of the copy; a record alone is not enough."""
    if copy_checksum(version):
        return True
    return bool(version.checksum and record and version.checksum in record.stored)


def defined_digests(items: Iterable[Item], records: Mapping[str, Record]) -> dict[str, set[str]]:
    """Return the digests by key that definitions have for objects of their names and versions."""
    plan = {}
    for item in items:
        record = records.get(item.key)
        if record is None or (record.name, record.version) != (item.definition.name, item.version.version):
            continue
        if digests := set(record.stored) & {item.version.checksum, copy_checksum(item.version)}:
            plan[item.key] = digests
    return plan


def beyond_limit(plan: Plan, most: int) -> Error | None:
    """Return an error if too many objects would be deleted."""
    if len(plan.unneeded) <= most:
        return None
    return Error(
        f"{len(plan.unneeded)} objects would be deleted, more than --max-deletes {most}; nothing was done: "
        "check them with --dry-run"
    )


def address_edits(present: Iterable[tuple[Item, Record | None, bool]], target: Target) -> list[SetVersionField]:
    """Return the edits that add `mirror_url` and, where needed, `mirror_checksum` to definitions of mirrored versions.

    A digest is added where the definition has no checksum, or only that of a packed file. The third value of each tuple
    says whether this run has read the bytes: only then is a digest written. Without a digest, no URL is written.
    """
    plan = []
    for item, record, is_read in present:
        version, name = item.version, item.definition.name
        if not (is_read or has_known_digest(version, record)):
            continue
        if version.mirror_url is None:
            plan.append(SetVersionField(name, version.version, "mirror_url", target.url(item.key)))
        if record is None or not is_read or copy_checksum(version):
            continue
        unpacked = record.checksum == record.source_digest and record.source_size != record.size
        if unpacked or version.checksum is None:
            plan.append(SetVersionField(name, version.version, "mirror_checksum", f"sha256:{record.sha256}"))
    return plan
