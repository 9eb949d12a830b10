"""What follows the copies of a run: addresses into definitions, the sweep, the index, the prune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from openstack_image_manager.definitions.loader import Loaded
from openstack_image_manager.errors import Error, StorageError
from openstack_image_manager.mirror import mirror, plan
from openstack_image_manager.mirror.copier import found, joined
from openstack_image_manager.mirror.index_writer import Publisher
from openstack_image_manager.mirror.location import Target
from openstack_image_manager.mirror.plan import Holding, Plan, Verdict
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.mirror.report import Outcome
from openstack_image_manager.mirror.store import Store
from openstack_image_manager.reporter import Reporter

LOOKS = 5  # at the index, until no other run changes it
BUSY = "other runs keep changing it; run again when they have ended"
UNVOUCHED = "no mirror_url written: only the bucket tells its digest; delete the copy, and the next run writes both"
UNSIGNED = (
    "not in the index: only its record has its sha256, which is not signed; where the definition has a sha512, give "
    "--verify; else delete it, and the next run copies it"
)
DENIED = ("AccessDenied", "403")


def withdraw(made: Plan, holding: Holding, publisher: Publisher) -> dict[str, Error]:
    """Take objects that are about to be replaced out of the index; the errors (by key) of those that must stay then."""
    bad = _bad(made, [each.item.key for each in made.judged])
    replaced = bad.keys() & holding.stored.keys()
    if not replaced:
        return {}
    try:
        publisher.publish(joined(publisher.store, holding, publisher.published()), bad)
    except Error as error:
        return {key: Error(f"not replaced: the index cannot be written first: {error}") for key in replaced}
    return {}


def _bad(made: Plan, keys: Sequence[str]) -> dict[str, Record]:
    """What is known to be wrong at these keys, and the records that it has."""
    return {
        each.item.key: each.stored.record
        for each in made.judged
        if each.item.key in keys and each.verdict is Verdict.MISMATCH and each.stored and each.stored.record
    }


@dataclass(frozen=True, slots=True)
class After:
    """A run whose copies are made. What fails is reported, and stops nothing else. `noted`: since when objects were
    unneeded, as the run found it noted at its beginning."""

    loaded: Loaded
    made: Plan
    noted: Mapping[str, datetime]
    outcomes: Sequence[Outcome]
    where: Target
    store: Store
    reporter: Reporter

    def finish(self, holding: Holding, *, write: bool) -> dict[str, Error]:
        """Write addresses and sweep; what of it failed, and why."""
        failed: dict[str, Error] = {}
        good = [(each.judged.item, each.record, each.is_read) for each in self.outcomes if each.state == "ok"]
        for item, record, is_read in good if write else ():
            if not (item.version.mirror_url or is_read or plan.is_vouched(item.version, record)):
                self.reporter.line(item.subject, UNVOUCHED)
        for file, became in mirror.write(good, self.where, self.loaded.positions).items() if write else ():
            if isinstance(became, Error):
                failed[file] = became
            self.reporter.line(file, str(became) if isinstance(became, Error) else f"mirror_url written: {became}")
        try:
            known, now = mirror.known_keys(self.made), datetime.now(UTC)
            for each in mirror.sweep(self.store, self.where, known, now, holding.others):
                since = f"{each.since:%Y-%m-%d %H:%M}"
                self.reporter.line(each.key, f"aborted an upload that was begun {since} and never ended")
        except StorageError as error:
            if error.code not in DENIED:  # who may not look for them copies all the same
                failed["unfinished uploads"] = error
            self.reporter.line("unfinished uploads", str(error))
        return failed

    def pruned(self, prune: bool) -> Plan:
        """The plan with what is to be deleted now; says why, if nothing is."""
        if not (prune and self.made.unneeded):
            return replace(self.made, unneeded=())
        wrong = any(each.state != "ok" for each in self.outcomes)
        reason = self.made.kept or ("some versions failed" if wrong else "")
        try:
            needed = self.noted.keys() - mirror.noted(self.store, self.where).keys()
        except StorageError as error:
            needed, reason = set(), reason or str(error)
        if reason:
            self.reporter.line("prune", f"nothing was deleted: {reason}")
            return replace(self.made, unneeded=())
        for key in sorted(needed & {each.key for each in self.made.unneeded}):
            self.reporter.line(key, "not deleted: another run needs it now")
        unneeded = tuple(each for each in self.made.unneeded if each.key not in needed)
        since = {key: time for key, time in self.made.since.items() if key not in needed}
        return replace(self.made, unneeded=unneeded, since=since)

    def publish(self, holding: Holding, publisher: Publisher, gone: Plan) -> dict[str, Error]:
        """The index of what is held now, without what is deleted afterwards; why it failed, if it did. `holding`: what
        there was before the copies."""
        before = {key: stored.record for key, stored in holding.stored.items()}
        changed = any(each.message or each.record != before.get(each.judged.item.key) for each in self.outcomes)
        bad = _bad(self.made, [each.judged.item.key for each in self.outcomes if each.state != "ok"])
        bad |= {stored.key: stored.record for stored in gone.unneeded if stored.record}
        expected = {each.judged.item.key for each in self.outcomes if each.state == "ok"} | holding.stored.keys()
        done: set[str] = set()
        read = {each.judged.item.key: each.record for each in self.outcomes if each.is_read and each.record}
        publisher = replace(publisher, read=read)
        try:
            expected |= set(publisher.published())
            if changed or self.made.unneeded or bad:
                holding = found(self.store, self.where.prefix, set(), mirror.LOOKERS)
            for _ in range(LOOKS):
                present = joined(self.store, holding, sorted(expected))
                written = publisher.publish(present, bad)
                done |= set(written)
                if not written:
                    break
                # Another run may have written between our look and our index.
                holding = found(self.store, self.where.prefix, set(), mirror.LOOKERS)
            else:
                publisher.unsign(done)
                raise StorageError(BUSY)
            for key in publisher.left_out(present, bad):
                self.reporter.line(key, UNSIGNED)
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
            if since or self.noted:
                mirror.note(self.store, self.where, since)
        except StorageError as error:
            wrong["unneeded objects"] = error
            self.reporter.line("unneeded objects", str(error))
        return wrong
