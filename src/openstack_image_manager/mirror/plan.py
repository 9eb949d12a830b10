"""Compare what is in the bucket with what is wanted: a verdict for each version, and what nobody needs."""

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
    """What is at the key of a version."""

    CURRENT = "CURRENT"
    MISSING = "MISSING"
    MISMATCH = "MISMATCH"
    UNFINISHED = "UNFINISHED"
    FOREIGN = "FOREIGN"
    INVALID = "INVALID"  # there is no key


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object and its record. `size` is None where there is a record only; `is_own`: its metadata says so; `damaged`:
    what lies at the key of its record is none."""

    key: str
    size: int | None
    modified: datetime
    record: Record | None = None
    is_own: bool = False
    damaged: bool = False


@dataclass(frozen=True, slots=True)
class Contents:
    """All that is below the prefix. `stored`: what has a record, or lies at a key that was asked for; `keys`: every
    object, whoever wrote it; `other_mirrors`: prefixes below ours with an index of their own, which are left out."""

    stored: Mapping[str, StoredObject]
    keys: frozenset[str]
    other_mirrors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Comparison:
    """A version, what became of its object, and why that is so. `is_read`: this run has read the object, and both its
    record and a sha256 or sha512 of its definition are right."""

    item: Item
    verdict: Verdict
    reason: str
    stored: StoredObject | None = None
    is_read: bool = False

    @property
    def is_hopeless(self) -> bool:
        """True where only a person can help."""
        return self.verdict in (Verdict.FOREIGN, Verdict.INVALID)


@dataclass(frozen=True, slots=True)
class Plan:
    """All versions asked for, and what no definition needs. `kept`: why nothing may be deleted, if so; `since`:
    when each object that no definition needs was first seen so, as it is to be noted."""

    comparisons: tuple[Comparison, ...]
    unneeded: tuple[StoredObject, ...]
    kept: str = ""
    since: Mapping[str, datetime] = field(default_factory=dict)


def make_plan(
    chosen: Iterable[Item],
    everything: Iterable[Item],
    found: Mapping[str, StoredObject],
    now: datetime,
    grace: timedelta,
    moving: frozenset[str] = frozenset(),
    known_unneeded: Mapping[str, datetime] | None = None,
) -> Plan:
    """Compare. `everything`: the versions of all definitions, which all are needed. `moving`: definitions with a
    version `latest` that is not resolved in this run: all their objects are needed. `known_unneeded`: since when
    earlier runs saw objects unneeded."""
    known = list(everything)
    needed = {item.key for item in known}
    needed |= {key for key, stored in found.items() if stored.record and stored.record.name in moving}
    since = {
        key: min(now, (known_unneeded or {}).get(key, now))
        for key, stored in sorted(found.items())
        if key not in needed and stored.record
    }
    unneeded = tuple(found[key] for key, first in since.items() if now - first >= grace)
    plan = Plan(tuple(compare(item, found.get(item.key)) for item in chosen), unneeded, "", since)
    if since and any(item.error for item in known):
        return without_deletions(plan, "the object of some versions is unknown", known_unneeded)
    if since and not known and not moving:
        return without_deletions(
            plan, "the definitions have no versions; an empty file never empties a mirror", known_unneeded
        )
    return plan


def without_deletions(plan: Plan, reason: str, known_unneeded: Mapping[str, datetime] | None = None) -> Plan:
    """The plan of a run that deletes nothing for this reason, and that begins to count no object's days of grace."""
    return replace(
        plan, kept=reason, since={key: time for key, time in plan.since.items() if key in (known_unneeded or {})}
    )


def keep_reason(target: Target, whole: bool, contents: Contents, needed: Iterable[str], empty: Iterable[str]) -> str:
    """Why nothing may be deleted, whatever the versions are: files `empty` of definitions, or a bucket's root with
    more in it than this mirror, unless the `whole` bucket was named."""
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
    """The verdict on what lies at the item's key."""
    if item.error:
        return Comparison(item, Verdict.INVALID, str(item.error))
    if stored is None or stored.size is None:
        return Comparison(item, Verdict.MISSING, "not there", stored)
    if stored.record is None and stored.is_own:
        message = "its record is damaged" if stored.damaged else "it has no record yet"
        return Comparison(item, Verdict.UNFINISHED, message, stored)
    if stored.damaged:
        # It may be the object of somebody whose own file has the name of a record.
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
    """Why the stored bytes are not those of the definition, as far as it tells their checksum. Nothing else in a record
    is asked: whoever can write to the bucket can write a record."""
    wanted = copy_checksum(version)
    if wanted and wanted.startswith(("sha256:", "sha512:")) and wanted not in record.stored:
        return f"the definition says {wanted}, its bytes have {', '.join(record.stored)}"
    return None


def has_known_digest(version: Version, record: Record | None) -> bool:
    """True if the definition tells which bytes the copy must have; the word of a record alone is not enough."""
    if copy_checksum(version):
        return True
    return bool(version.checksum and record and version.checksum in record.stored)


def defined_digests(all_: Iterable[Item], held: Mapping[str, Record]) -> dict[str, set[str]]:
    """The digests that definitions tell of what is held under their names and versions, by the keys."""
    plan = {}
    for item in all_:
        record = held.get(item.key)
        if record is None or (record.name, record.version) != (item.definition.name, item.version.version):
            continue
        if digests := set(record.stored) & {item.version.checksum, copy_checksum(item.version)}:
            plan[item.key] = digests
    return plan


def beyond_limit(plan: Plan, most: int) -> Error | None:
    """Why so much must not be deleted."""
    if len(plan.unneeded) <= most:
        return None
    return Error(
        f"{len(plan.unneeded)} objects would be deleted, more than --max-deletes {most}; nothing was done: "
        "check them with --dry-run"
    )


def address_edits(present: Iterable[tuple[Item, Record | None, bool]], target: Target) -> list[SetVersionField]:
    """Definitions of what is in the bucket get its address, where they have none; and its digest, where they have no
    checksum, or that of a packed file. The last of each three tells whether this run has read the bytes itself: only
    then the digest is written, and without a digest no address."""
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
