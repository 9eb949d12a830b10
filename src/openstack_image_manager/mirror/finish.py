"""What follows the copies of a run: addresses into definitions, the sweep, the index, the prune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from openstack_image_manager.definitions.loader import Loaded
from openstack_image_manager.errors import Error, StorageError
from openstack_image_manager.mirror import mirror
from openstack_image_manager.mirror.copier import list_contents, with_unlisted
from openstack_image_manager.mirror.index_writer import Publisher
from openstack_image_manager.mirror.location import Target
from openstack_image_manager.mirror.plan import Contents, Plan, Verdict, has_known_digest
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.mirror.report import Outcome
from openstack_image_manager.mirror.store import Store
from openstack_image_manager.reporter import Reporter

INDEX_ATTEMPTS = 5  # at the index, until no other run changes it
BUSY = "other runs keep changing it; run again when they have ended"
NO_ADDRESS = (
    "no mirror_url written: its digest is known only from the bucket; delete the copy, and the next run writes both"
)
NOT_INDEXED = (
    "not in the index: its sha256 is known only from its unsigned record; if the definition has a sha512, add "
    "--verify; otherwise delete it, and the next run copies it again"
)
DENIED = ("AccessDenied", "403")


def withdraw(plan: Plan, contents: Contents, publisher: Publisher) -> dict[str, Error]:
    """Take objects that are about to be replaced out of the index; the errors (by key) of those that must stay then."""
    mismatched = _mismatched(plan, [each.item.key for each in plan.comparisons])
    replaced = mismatched.keys() & contents.stored.keys()
    if not replaced:
        return {}
    try:
        publisher.publish(with_unlisted(publisher.store, contents, publisher.published_keys()), mismatched)
    except Error as error:
        return {key: Error(f"not replaced: the index cannot be written first: {error}") for key in replaced}
    return {}


def _mismatched(plan: Plan, keys: Sequence[str]) -> dict[str, Record]:
    """What is known to be wrong at these keys, and the records that it has."""
    return {
        each.item.key: each.stored.record
        for each in plan.comparisons
        if each.item.key in keys and each.verdict is Verdict.MISMATCH and each.stored and each.stored.record
    }


@dataclass(frozen=True, slots=True)
class Completion:
    """Finish a run whose copies are made; a failure is reported and stops nothing else.

    `known_unneeded`: since when objects are unneeded, as recorded when the run began."""

    loaded: Loaded
    plan: Plan
    known_unneeded: Mapping[str, datetime]
    outcomes: Sequence[Outcome]
    target: Target
    store: Store
    reporter: Reporter

    def finish(self, contents: Contents, *, write: bool) -> dict[str, Error]:
        """Write addresses and sweep; what of it failed, and why."""
        failed: dict[str, Error] = {}
        good = [(each.comparison.item, each.record, each.is_read) for each in self.outcomes if each.state == "ok"]
        for item, record, is_read in good if write else ():
            if not (item.version.mirror_url or is_read or has_known_digest(item.version, record)):
                self.reporter.line(item.subject, NO_ADDRESS)
        for file, became in mirror.write_addresses(good, self.target, self.loaded.positions).items() if write else ():
            if isinstance(became, Error):
                failed[file] = became
            self.reporter.line(file, str(became) if isinstance(became, Error) else f"mirror_url written: {became}")
        try:
            known, now = mirror.known_keys(self.plan), datetime.now(UTC)
            for each in mirror.abort_stale_uploads(self.store, self.target, known, now, contents.other_mirrors):
                since = f"{each.since:%Y-%m-%d %H:%M}"
                self.reporter.line(each.key, f"aborted an unfinished upload of {since}")
        except StorageError as error:
            if error.code not in DENIED:  # who may not look for them copies all the same
                failed["unfinished uploads"] = error
            self.reporter.line("unfinished uploads", str(error))
        return failed

    def deletable_plan(self, prune: bool) -> Plan:
        """The plan with what is to be deleted now; says why, if nothing is."""
        if not (prune and self.plan.unneeded):
            return replace(self.plan, unneeded=())
        wrong = any(each.state != "ok" for each in self.outcomes)
        reason = self.plan.kept or ("some versions failed" if wrong else "")
        try:
            needed = self.known_unneeded.keys() - mirror.read_unneeded(self.store, self.target).keys()
        except StorageError as error:
            needed, reason = set(), reason or str(error)
        if reason:
            self.reporter.line("prune", f"nothing was deleted: {reason}")
            return replace(self.plan, unneeded=())
        for key in sorted(needed & {each.key for each in self.plan.unneeded}):
            self.reporter.line(key, "not deleted: another run needs it now")
        unneeded = tuple(each for each in self.plan.unneeded if each.key not in needed)
        since = {key: time for key, time in self.plan.since.items() if key not in needed}
        return replace(self.plan, unneeded=unneeded, since=since)

    def publish(self, contents: Contents, publisher: Publisher, gone: Plan) -> dict[str, Error]:
        """The index of what is held now, without what is deleted afterwards; why it failed, if it did. `contents`: what
        there was before the copies."""
        before = {key: stored.record for key, stored in contents.stored.items()}
        changed = any(each.message or each.record != before.get(each.comparison.item.key) for each in self.outcomes)
        mismatched = _mismatched(self.plan, [each.comparison.item.key for each in self.outcomes if each.state != "ok"])
        mismatched |= {stored.key: stored.record for stored in gone.unneeded if stored.record}
        expected = {each.comparison.item.key for each in self.outcomes if each.state == "ok"} | contents.stored.keys()
        done: set[str] = set()
        read = {each.comparison.item.key: each.record for each in self.outcomes if each.is_read and each.record}
        publisher = replace(publisher, verified=read)
        try:
            expected |= set(publisher.published_keys())
            if changed or self.plan.unneeded or mismatched:
                contents = list_contents(self.store, self.target.prefix, set(), mirror.READERS)
            for _ in range(INDEX_ATTEMPTS):
                present = with_unlisted(self.store, contents, sorted(expected))
                written = publisher.publish(present, mismatched)
                done |= set(written)
                if not written:
                    break
                # Another run may have written between our look and our index.
                contents = list_contents(self.store, self.target.prefix, set(), mirror.READERS)
            else:
                publisher.unsign(done)
                raise StorageError(BUSY)
            for key in publisher.unpublished(present, mismatched):
                self.reporter.line(key, NOT_INDEXED)
        except Error as error:
            self.reporter.line("index", str(error))
            return {"index": error}
        if done:
            self.reporter.line("index", f"{len(done)} files written")
        return {}

    def prune(self, gone: Plan, failed: Mapping[str, Error]) -> dict[str, Error]:
        """Delete what nobody needs, once no index names it, and note what may go later; what of it failed."""
        wrong: dict[str, Error] = {}
        since = dict(gone.since)
        if gone.unneeded and "index" in failed:
            self.reporter.line("prune", "nothing was deleted: the index could not be written first")
        else:
            for key, failure in mirror.prune(gone, self.store, self.reporter).items():
                if failure:
                    wrong[key] = failure
                    self.reporter.line(key, str(failure))
                else:
                    del since[key]
        try:
            if since or self.known_unneeded:
                mirror.write_unneeded(self.store, self.target, since)
        except StorageError as error:
            wrong["unneeded objects"] = error
            self.reporter.line("unneeded objects", str(error))
        return wrong
