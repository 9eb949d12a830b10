"""Finish a run after its copies: write URLs, abort stale uploads, write the index, and prune."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from openstack_image_manager.definitions.loader import Loaded
from openstack_image_manager.errors import Error, FetchError, StorageError
from openstack_image_manager.mirror import mirror
from openstack_image_manager.mirror.copier import list_contents, with_unlisted
from openstack_image_manager.mirror.index_writer import Publisher
from openstack_image_manager.mirror.location import Item, Target
from openstack_image_manager.mirror.plan import Contents, Plan, Verdict, address_edits, has_known_digest
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.mirror.report import Outcome
from openstack_image_manager.mirror.store import Store
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.transfer import download

INDEX_ATTEMPTS = 5  # until no other run changes the index
BUSY = "other runs keep changing it; run again when they have ended"
NO_ADDRESS = (
    "no mirror_url written: its digest is known only from the bucket; delete the copy, and the next run writes both"
)
NOT_INDEXED = (
    "not in the index: its sha256 is known only from its unsigned record; if the definition has a sha512, add "
    "--verify; otherwise delete it, and the next run copies it again"
)
UNREADABLE = (
    "warning: this address cannot be fetched without a login, so imports use the upstream; make the bucket readable "
    "for all, or correct --public-url"
)
PATIENCE = 5.0  # seconds to look whether a new address can be fetched
DENIED = ("AccessDenied", "403")


def withdraw(plan: Plan, contents: Contents, publisher: Publisher) -> dict[str, Error]:
    """Remove objects that will be replaced from the index; return errors by key of those that must stay."""
    mismatched = _mismatched(plan, [comparison.item.key for comparison in plan.comparisons])
    replaced = mismatched.keys() & contents.stored.keys()
    if not replaced:
        return {}
    try:
        publisher.publish(with_unlisted(publisher.store, contents, publisher.published_keys()), mismatched)
    except Error as error:
        return {key: Error(f"not replaced: the index cannot be written first: {error}") for key in replaced}
    return {}


def _mismatched(plan: Plan, keys: Sequence[str]) -> dict[str, Record]:
    """Return the records of the wrong objects at these keys."""
    return {
        comparison.item.key: comparison.stored.record
        for comparison in plan.comparisons
        if comparison.item.key in keys
        and comparison.verdict is Verdict.MISMATCH
        and comparison.stored
        and comparison.stored.record
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
        """Write URLs into definitions and abort stale uploads; return the errors."""
        failed: dict[str, Error] = {}
        copied = [
            (outcome.comparison.item, outcome.record, outcome.is_read)
            for outcome in self.outcomes
            if outcome.state == "ok"
        ]
        for item, record, is_read in copied if write else ():
            if not (item.version.mirror_url or is_read or has_known_digest(item.version, record)):
                self.reporter.line(item.subject, NO_ADDRESS)
        for file, result in mirror.write_addresses(copied, self.target, self.loaded.positions).items() if write else ():
            if isinstance(result, Error):
                failed[file] = result
            self.reporter.line(file, str(result) if isinstance(result, Error) else f"mirror_url written: {result}")
        if write and not failed:
            self._report_unreadable(copied)
        try:
            known, now = mirror.known_keys(self.plan), datetime.now(UTC)
            for upload in mirror.abort_stale_uploads(self.store, self.target, known, now, contents.other_mirrors):
                since = f"{upload.since:%Y-%m-%d %H:%M}"
                self.reporter.line(upload.key, f"aborted an unfinished upload of {since}")
        except StorageError as error:
            if error.code not in DENIED:  # copies need no permission to list uploads
                failed["unfinished uploads"] = error
            self.reporter.line("unfinished uploads", str(error))
        return failed

    def _report_unreadable(self, copied: Sequence[tuple[Item, Record | None, bool]]) -> None:
        """Report if the first new mirror_url cannot be fetched without a password: clouds could not use it either."""
        urls = [str(field.value) for field in address_edits(copied, self.target) if field.field == "mirror_url"]
        url = next((url for url in urls if url.startswith(("http://", "https://"))), None)
        if url is None:
            return
        try:
            download.last_modified(url, PATIENCE)
        except FetchError as error:
            self.reporter.line("mirror_url", f"{UNREADABLE}: {error}")

    def deletable_plan(self, prune: bool) -> Plan:
        """Return the plan with the objects to delete now; report why nothing is deleted."""
        if not (prune and self.plan.unneeded):
            return replace(self.plan, unneeded=())
        is_incomplete = any(outcome.state != "ok" for outcome in self.outcomes)
        reason = self.plan.kept or ("some versions failed" if is_incomplete else "")
        try:
            needed = self.known_unneeded.keys() - mirror.read_unneeded(self.store, self.target).keys()
        except StorageError as error:
            needed, reason = set(), reason or str(error)
        if reason:
            self.reporter.line("prune", f"nothing was deleted: {reason}")
            return replace(self.plan, unneeded=())
        for key in sorted(needed & {stored.key for stored in self.plan.unneeded}):
            self.reporter.line(key, "not deleted: another run needs it now")
        unneeded = tuple(stored for stored in self.plan.unneeded if stored.key not in needed)
        since = {key: time for key, time in self.plan.since.items() if key not in needed}
        return replace(self.plan, unneeded=unneeded, since=since)

    def publish(self, contents: Contents, publisher: Publisher, deletable: Plan) -> dict[str, Error]:
        """Write the index of the current objects, without those that will be deleted; return the error, if any.

        `contents`: the objects before the copies.
        """
        before = {key: stored.record for key, stored in contents.stored.items()}
        changed = any(
            outcome.message or outcome.record != before.get(outcome.comparison.item.key) for outcome in self.outcomes
        )
        mismatched = _mismatched(
            self.plan, [outcome.comparison.item.key for outcome in self.outcomes if outcome.state != "ok"]
        )
        mismatched |= {stored.key: stored.record for stored in deletable.unneeded if stored.record}
        expected = {
            outcome.comparison.item.key for outcome in self.outcomes if outcome.state == "ok"
        } | contents.stored.keys()
        done: set[str] = set()
        read = {
            outcome.comparison.item.key: outcome.record
            for outcome in self.outcomes
            if outcome.is_read and outcome.record
        }
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
                # Another run may have written between the listing and the index.
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

    def prune(self, deletable: Plan, failed: Mapping[str, Error]) -> dict[str, Error]:
        """Delete unneeded objects that no index names, and record when the others became unneeded; return the
        errors."""
        errors: dict[str, Error] = {}
        since = dict(deletable.since)
        if deletable.unneeded and "index" in failed:
            self.reporter.line("prune", "nothing was deleted: the index could not be written first")
        else:
            for key, failure in mirror.prune(deletable, self.store, self.reporter).items():
                if failure:
                    errors[key] = failure
                    self.reporter.line(key, str(failure))
                else:
                    del since[key]
        try:
            if since or self.known_unneeded:
                mirror.write_unneeded(self.store, self.target, since)
        except StorageError as error:
            errors["unneeded objects"] = error
            self.reporter.line("unneeded objects", str(error))
        return errors
