"""What follows the copies of a run: addresses into definitions, the sweep, the prune, the index."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from openstack_image_manager.definitions import Loaded
from openstack_image_manager.errors import Error
from openstack_image_manager.mirroring import mirror
from openstack_image_manager.mirroring.copying import found
from openstack_image_manager.mirroring.publishing import Publisher
from openstack_image_manager.mirroring.report import Outcome
from openstack_image_manager.mirroring.store import Store
from openstack_image_manager.mirroring.target import Target
from openstack_image_manager.mirroring.verdict import Holding, Plan, Verdict
from openstack_image_manager.signing.gpg import Signer
from openstack_image_manager.sources import Reporter


@dataclass(frozen=True, slots=True)
class After:
    """A run whose copies are made. What fails is told, and stops nothing else."""

    loaded: Loaded
    made: Plan
    outcomes: Sequence[Outcome]
    where: Target
    store: Store
    reporter: Reporter

    def finish(self, *, write: bool, prune: bool) -> dict[str, Error]:
        """Write, sweep and prune; what of it failed, and why."""
        failed: dict[str, Error] = {}
        good = [(each.judged.item, each.record) for each in self.outcomes if each.state == "ok"]
        for file, became in mirror.write(good, self.where, self.loaded.positions).items() if write else ():
            if isinstance(became, Error):
                failed[file] = became
            self.reporter.line(file, str(became) if isinstance(became, Error) else f"mirror_url written: {became}")
        try:
            for each in mirror.sweep(self.store, self.where, mirror.known_keys(self.made), datetime.now(UTC)):
                since = f"{each.since:%Y-%m-%d %H:%M}"
                self.reporter.line(each.key, f"aborted an upload that was begun {since} and never ended")
        except Error as error:
            failed["unfinished uploads"] = error
            self.reporter.line("unfinished uploads", str(error))
        if prune and self.made.unneeded and (self.made.kept or len(good) < len(self.outcomes)):
            self.reporter.line("prune", f"nothing was deleted: {self.made.kept or 'some versions failed'}")
        elif prune:
            for key, failure in mirror.prune(self.made, self.store, self.reporter).items():
                if failure:
                    failed[key] = failure
                    self.reporter.line(key, str(failure))
        return failed

    def publish(self, holding: Holding, signer: Signer | None) -> dict[str, Error]:
        """The index of what is held now; why it failed, if it did. `holding`: what there was before the copies."""
        changed = any(each.message for each in self.outcomes if each.state == "ok")
        # What could not be replaced although it is known to be wrong, nobody shall be sent to.
        bad = [
            each.judged.item.key
            for each in self.outcomes
            if each.state != "ok" and each.judged.verdict in (Verdict.MISMATCH, Verdict.UNFINISHED)
        ]
        try:
            if changed or self.made.unneeded or bad:
                holding = found(self.store, self.where.prefix, set(), mirror.LOOKERS)
            done = Publisher(self.store, self.where, signer).publish(holding, bad)
        except Error as error:
            self.reporter.line("index", str(error))
            return {"index": error}
        if done:
            self.reporter.line("index", f"{len(done)} files written")
        return {}
