"""Carry out a plan: definitions in parallel, the steps of one definition in order."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import TypeGuard

from openstack_image_manager.apply import image_update, stored_data
from openstack_image_manager.apply.image_record import ImageRecords
from openstack_image_manager.apply.import_method import ImportOptions
from openstack_image_manager.apply.importer import Importer
from openstack_image_manager.apply.other_runs import OtherRuns
from openstack_image_manager.apply.recheck import AlreadyDoneError, CurrentImages, Recheck, keeps_name
from openstack_image_manager.background import started, wait_for_all
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.lookahead import ImageLookahead
from openstack_image_manager.errors import CloudError, Error, Interrupted
from openstack_image_manager.log_context import about
from openstack_image_manager.model import FieldChange, Image
from openstack_image_manager.plan import desired, markers, replanning
from openstack_image_manager.plan.diff import FIELDS, diff
from openstack_image_manager.plan.matching import Key
from openstack_image_manager.plan.model import Change, Create, Delete, Plan, Policy, Result, Update
from openstack_image_manager.plan.replanning import Replanner
from openstack_image_manager.reporter import Reporter

CHANGERS = 16  # definitions changed at the same time; imports among them are limited by `workers`
SETTLE_ROUNDS = 3  # checks after the last step of a definition, while another run changes it too
PAUSE = 1.0  # seconds between them
PATIENCE = 4.0  # seconds that an interrupted run waits for its workers


@dataclass
class _CloudRun:
    glance: Glance
    policy: Policy
    importer: Importer
    imports: threading.Semaphore
    stop: threading.Event
    reporter: Reporter
    lookahead: ImageLookahead
    recheck: Recheck

    def definition(self, name: str, changes: list[Change]) -> Result:
        """Make the changes of one definition in order; the first failure ends this definition only."""
        done: list[str] = []
        copies: list[Update] = []
        # Copies to other stores come after all renames and before anything is deleted.
        deletes = [change for change in changes if isinstance(change, Delete)]
        doomed = {change.found.id for change in deletes}
        first = [change for change in changes if not isinstance(change, Delete)]
        decisive = any(map(replanning.is_decisive, changes))
        try:
            unapproved = self.recheck.unapproved(name, changes) if decisive else set()
            for change in chain(first, copies, deletes):
                if self.stop.is_set():
                    raise Interrupted("interrupted")
                done.append(self._do(change, copies, doomed))
                self.reporter.line(change.subject, done[-1])
            if decisive:
                self._settle(name, unapproved, done)
        except Interrupted:
            return _skipped(name, done)
        except Error as error:
            self.reporter.line(change.subject, f"failed: {error}")
            prefix = "" if change.subject == name else f"{change.subject}: "
            return Result(name, "failed", tuple(done), f"{prefix}{error}", error.kind)
        return Result(name, "ok", tuple(done))

    def _do(self, change: Change, copies: list[Update], doomed: Collection[str]) -> str:
        if isinstance(change, Create):
            return self._create(change, copies)
        if change.keeper:
            _refuse_itself(change.keeper, change)
        if isinstance(change, Delete):
            return self._delete(self.recheck.delete(change))
        try:
            return self._copy(change) if change.is_copy else self._update(change)
        except AlreadyDoneError as done:
            return str(done)
        except CloudError as error:
            # The plan hides it before it deletes it, and another run has done both.
            if error.status != 404 or change.found.id not in doomed or not self.glance.is_gone(change.found.id):
                raise
            return f"already deleted by someone else ({change.found.id})"

    def _delete(self, change: Delete) -> str:
        try:
            current = self._unchanged(change.found)
        except CloudError as error:
            if error.status != 404:
                raise
            return f"already deleted by someone else ({change.found.id})"
        if change.keeper:
            _refuse_itself(change.keeper, change)
            keeper = _get(self.glance.get, change.keeper.id)
            if not keeps_name(keeper, change.keeper, change.keeper.name):
                raise CloudError(f"{keeper.id} is no longer the image that the plan keeps in its place; plan again")
        self.recheck.current.changed(change.group, current.id)
        try:
            self.glance.delete(current.id)
        except CloudError as error:
            # 409: something in Glance's store depends on it, such as a clone of a snapshot in Ceph.
            if error.status != 409:
                raise
            return f"not deleted, it is in use ({current.id}): {error}"
        return f"deleted ({current.id})"

    def _create(self, change: Create, copies: list[Update]) -> str:
        with self.imports:
            if self.stop.is_set():
                raise Interrupted("interrupted")

            def recheck(_: Create, fresh: bool) -> Create:
                return self.recheck.create(change, fresh)

            try:
                image = self.importer.import_version(self.recheck.create(change), recheck)
            except AlreadyDoneError as done:
                return str(done)
            finally:
                self.reporter.finished(change.subject)
        try:
            return self._publish(change, image.id, copies)
        except CloudError as error:
            # It is not used before it is published, so a refusal leaves nothing half-done.
            if error.status is not None and 400 <= error.status < 500:
                self.importer.records.give_up(image.id)
            raise

    def _publish(self, change: Create, image_id: str, copies: list[Update]) -> str:
        """Make all changes that publish the imported image in one PATCH, now that Glance knows its sizes."""
        image = self.recheck.publication(change, image_id)
        image = replace(image, members=None if change.wanted.members is None else frozenset())
        carried = change.wanted.members
        wanted = desired.wanted_image(change.definition, change.version, change.role, self.policy.tag, image, carried)
        stores = (FieldChange("stores", image.stores, wanted.stores, "as defined"),)
        published = replace(wanted, stores=image.stores)
        if diff(published, wanted):
            copies.append(Update(change.group, published, wanted, stores, "its stores differ"))
        self.recheck.current.changed(change.group, image.id)
        image_update.apply_changes(self.glance, image, diff(image, published))
        verified = wanted.properties.get(markers.VERIFIED, "")
        return f"imported as {wanted.name} ({image.id}), verified: {verified or 'unknown'}"

    def _update(self, change: Update) -> str:
        message = f"changed {', '.join(field.field for field in change.fields)} ({change.found.id})"
        if change.proof:
            # Reading an image takes long. The check that follows notices changes that others make during that time.
            self._unchanged(change.found, change.wanted)
            with self.imports:
                stored_data.verify_stored_data(
                    self.glance, change, self.importer.options.timeout, self.stop, self.reporter
                )
        change = self.recheck.update(change)
        current = self._unchanged(change.found, change.wanted)
        if not diff(current, change.wanted):
            return f"already up to date ({change.found.id})"
        if change.keeper:
            _refuse_itself(change.keeper, change)
            if not keeps_name(_get(self.glance.get, change.keeper.id), change.keeper, current.name):
                raise CloudError(f"another run gives '{current.name}' to another image; plan again")
        self.recheck.current.changed(change.group, current.id)
        image_update.apply_changes(self.glance, current, change.fields)
        if change.wanted.members is not None and current.visibility != "shared" == change.wanted.visibility:
            image_update.forget_members(self.glance, current.id, change.wanted.members)
        return message + (f", is now {change.wanted.name}" if change.wanted.name != current.name else "")

    def _settle(self, name: str, unapproved: Collection[tuple[object, ...]], done: list[str]) -> None:
        """Check the definition again after its last step. Another run may have given the plain name to another image at
        the same moment: that image gives it up. Or it may have hidden the current image, on which this run relied: that
        image becomes visible again. Raises CloudError where more is left to do."""
        for _ in range(SETTLE_ROUNDS):
            left = self.recheck.left(name, unapproved)
            if not left:
                return
            for change in left:
                if isinstance(change, Update) and change.found.name == name != change.wanted.name and change.keeper:
                    done.append(self._give_up_name(change, change.keeper))
                elif isinstance(change, Update) and change.wanted.name == name:
                    done.append(self._show_again(change))
                else:
                    continue
                self.reporter.line(change.subject, done[-1])
            if self.stop.wait(PAUSE):
                raise Interrupted("interrupted")
        raise CloudError("the cloud changed during this run; run again")

    def _show_again(self, change: Update) -> str:
        """Change the current image as planned, after another run has changed it at the same moment."""
        try:
            return f"{self._update(change)}: another run changed it"
        except AlreadyDoneError as done:
            return str(done)

    def _give_up_name(self, change: Update, keeper: Image) -> str:
        """Take only the plain name from an image that is not the current one."""
        _refuse_itself(keeper, change)
        current = self._unchanged(change.found)
        if not keeps_name(_get(self.glance.get, keeper.id), keeper, current.name):
            raise CloudError(f"another run gives '{current.name}' to another image; plan again")
        fields = [field for field in change.fields if field.field == "name" or field.field not in FIELDS]
        image_update.apply_changes(self.glance, current, fields)
        return f"{change.found.id} is now {change.wanted.name}: another run gave it the name too"

    def _copy(self, change: Update) -> str:
        """Copy the image to the stores where it is missing, and only then remove it from others."""
        current = self._unchanged(change.found, change.wanted)
        wanted = change.wanted.stores or frozenset()
        added, tries = wanted - (current.stores or wanted), self.importer.options.tries
        try:
            if current.status == "deactivated" and (missing := wanted - (current.stores or wanted)):
                # Activating it for the copy would make it available to its users.
                return (
                    f"not copied to {', '.join(sorted(missing))}, because Glance copies active images only "
                    f"({current.id}): set status: active in the definition for one run, or define it as a new version"
                )
            while (missing := wanted - (current.stores or wanted)) and tries:
                with self._unless_done(current.id, partial(_is_in_one_of, missing)):
                    self.glance.import_image(current.id, "copy-image", stores=missing)
                limit = time.monotonic() + self.importer.options.timeout
                current = self.glance.wait(current.id, limit, self.stop, self.importer.task_progress(change.subject))
                if missing == wanted - (current.stores or wanted):
                    tries -= 1
        finally:
            self.reporter.finished(change.subject)
        if missing:
            raise CloudError(f"{current.id} could not be copied to the store {', '.join(sorted(missing))}; run again")
        surplus = (current.stores or wanted) - wanted
        for store in sorted(surplus):
            with self._unless_done(current.id, partial(_is_without, store)):
                self.glance.drop_from_store(current.id, store)
        words = [f"copied to {', '.join(sorted(added))}"] if added else []
        words += [f"removed from {', '.join(sorted(surplus))}"] if surplus else []
        return f"{' and '.join(words) or 'already in its stores'} ({current.id})"

    @contextmanager
    def _unless_done(self, image_id: str, done: Callable[[Image], bool]) -> Iterator[None]:
        """Ignore a refusal when another run has already done it."""
        try:
            yield
        except CloudError:
            if not done(_get(self.glance.get, image_id)):
                raise

    def _unchanged(self, planned: Image, wanted: Image | None = None) -> Image:
        """The image right before it is changed. Raises CloudError if it differs from the planned image, unless another
        run has already made it as `wanted`."""
        current = _get(self.lookahead.get, planned.id)
        if current.import_task:
            self.reporter.line(current.name, "Glance still holds its import: waiting")
            limit = time.monotonic() + self.importer.options.timeout
            current = _get(lambda image_id: self.glance.wait(image_id, limit, self.stop), current.id)
        changed = image_update.changed_fields(planned, current)
        if changed and not (wanted and not diff(current, wanted)):
            raise CloudError(f"{planned.id} was changed by someone since the plan was made ({changed}); plan again")
        return replace(current, members=planned.members)


def _refuse_itself(keeper: Image, change: Update | Delete) -> None:
    """Raise CloudError for a change of an image that relies on the same image."""
    if keeper.id == change.found.id:
        raise CloudError(f"{keeper.id} cannot stand in place of itself; plan again")


def _get(get: Callable[[str], Image], image_id: str) -> Image:
    try:
        return get(image_id)
    except CloudError as error:
        if error.status == 404:
            raise CloudError(image_update.gone_message(image_id), 404) from None
        raise


def _is_in_one_of(stores: frozenset[str], image: Image) -> bool:
    return bool(stores & (image.stores or frozenset()))


def _is_without(store: str, image: Image) -> bool:
    return store not in (image.stores or ())


@dataclass(frozen=True)
class Job:
    """The plan of one cloud and what it was decided on. `elsewhere`: ids that versions have in other clouds, for
    `same_ids`."""

    plan: Plan
    glance: Glance
    policy: Policy
    reporter: Reporter
    replanner: Replanner
    elsewhere: Mapping[Key, Sequence[str]] = field(default_factory=dict)


def apply(jobs: Sequence[Job], options: ImportOptions, workers: int = 4) -> list[list[Result]]:
    """The results of each job, in the order of its plan, one for each definition that changes. Clouds are changed in
    parallel, with `workers` imports at a time in each. Ctrl-C ends it in an orderly way: definitions that were not
    begun are skipped, and a second run continues there."""
    stop = threading.Event()
    with ExitStack() as stack:
        started_jobs = [stack.enter_context(_started(job, options, stop, workers)) for job in jobs]
        futures = [future for job in started_jobs for future in job.values()]
        try:
            wait_for_all(futures)
        except KeyboardInterrupt:
            stop.set()
            jobs[0].reporter.line("interrupted", "finishing the steps under way; Ctrl-C again stops at once")
            with suppress(KeyboardInterrupt):
                wait_for_all(futures, PATIENCE)
    return [
        [future.result() if future.done() else _skipped(name) for name, future in job.items()] for job in started_jobs
    ]


@contextmanager
def _started(
    job: Job, options: ImportOptions, stop: threading.Event, workers: int
) -> Iterator[dict[str, Future[Result]]]:
    """The results of a job by definition, whose steps are under way."""
    changes: dict[str, list[Change]] = {}
    for change in job.plan.changes:
        changes.setdefault(change.group, []).append(change)
    run = _run(job, options, stop, workers, changes)

    def work(name: str) -> Result:
        if stop.is_set():
            return _skipped(name)
        try:
            with about(job.glance.cloud, name):
                return run.definition(name, changes[name])
        except BaseException:  # a crash ends the other definitions too
            stop.set()
            raise

    with started(work, changes, max(workers, CHANGERS)) as futures:
        yield dict(zip(changes, futures, strict=True))


def _skipped(name: str, done: Sequence[str] = ()) -> Result:
    return Result(name, "skipped", tuple(done), "interrupted; the next run goes on from here")


def _run(
    job: Job, options: ImportOptions, stop: threading.Event, workers: int, changes: Mapping[str, Sequence[Change]]
) -> _CloudRun:
    others = OtherRuns(job.glance, options.timeout, stop, job.reporter)
    records = ImageRecords(others, job.policy.tag, job.policy.same_ids, job.elsewhere)
    importer = Importer(job.glance, options, job.plan.converts, stop, job.reporter, records)
    # Only changes of properties come by the hundred; other changes get one request for each image.
    lookahead = ImageLookahead(
        job.glance, [first.found.id for first, *_ in changes.values() if _changes_properties_only(first)]
    )
    recheck = Recheck(CurrentImages(job.glance, job.policy.tag), job.replanner)
    return _CloudRun(
        job.glance, job.policy, importer, threading.Semaphore(workers), stop, job.reporter, lookahead, recheck
    )


def _changes_properties_only(change: Change) -> TypeGuard[Update]:
    return isinstance(change, Update) and change.names.isdisjoint(FIELDS)
