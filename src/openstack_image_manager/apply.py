"""Carry a plan out: definitions in parallel, the steps of one in order, a result for each."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from openstack_image_manager import desired
from openstack_image_manager.changes import FIELDS, diff
from openstack_image_manager.errors import CloudError, Error, Interrupted
from openstack_image_manager.glance import Glance
from openstack_image_manager.importer import Importer, explained
from openstack_image_manager.model import Change, Create, Delete, FieldChange, Image, Plan, Policy, Result, Update
from openstack_image_manager.sources import Reporter
from openstack_image_manager.ways import ImportOptions

CHANGERS = 16  # definitions worked on at once; imports among them are limited by `workers`
PATIENCE = 15.0  # seconds that an interrupted run waits for its workers to notice


@dataclass
class _Run:
    glance: Glance
    policy: Policy
    importer: Importer
    imports: threading.Semaphore
    stop: threading.Event
    reporter: Reporter

    def definition(self, name: str, changes: list[Change]) -> Result:
        """Do the changes in order; the first failure ends this definition, and only this one."""
        done: list[str] = []
        try:
            for change in changes:
                if self.stop.is_set():
                    raise Interrupted("interrupted")
                done.append(self._do(change))
                self.reporter.line(change.subject, done[-1])
        except Interrupted:
            return Result(name, "skipped", tuple(done), "interrupted; the next run goes on from here")
        except Error as error:
            self.reporter.line(change.subject, f"failed: {error}")
            at = "" if change.subject == name else f"{change.subject}: "
            return Result(name, "failed", tuple(done), f"{at}{error}")
        return Result(name, "ok", tuple(done))

    def _do(self, change: Change) -> str:
        if isinstance(change, Create):
            return self._create(change)
        return self._update(change) if isinstance(change, Update) else self._delete(change)

    def _delete(self, change: Delete) -> str:
        current = self._unchanged(change.found)
        if current.protected:
            raise CloudError(f"{current.id} is protected: not deleted")
        try:
            self.glance.delete(current.id)
        except CloudError as error:
            # 409: Glance's store has something that hangs on it, such as a clone of a snapshot in Ceph.
            if error.status != 409:
                raise
            return f"not deleted, it is in use ({current.id}): {error}"
        return f"deleted ({current.id})"

    def _create(self, change: Create) -> str:
        with self.imports:
            if self.stop.is_set():
                raise Interrupted("interrupted")
            try:
                image = self.importer.bring_in(change)
            finally:
                self.reporter.finished(change.subject)
        # Now that Glance knows the sizes: everything that differs from what is wanted, in one go.
        wanted = desired.wanted_image(change.definition, change.version, change.role, self.policy.tag, image)
        try:
            self._change(image, diff(image, wanted))
        except CloudError as error:
            # Not published, so no one uses it: a run that may not publish leaves nothing half-done.
            if error.status == 403 and desired.is_pending(image):
                with suppress(CloudError):
                    self.glance.delete(image.id)
            raise
        promise = wanted.properties.get(desired.VERIFIED, "")
        return f"imported as {wanted.name} ({image.id}), verified: {promise or 'unknown'}"

    def _update(self, change: Update) -> str:
        current = self._unchanged(change.found, change.wanted)
        if not diff(current, change.wanted):
            return f"is as it shall be meanwhile ({change.found.id})"
        self._change(current, change.fields)
        renamed = f", is now {change.wanted.name}" if change.wanted.name != current.name else ""
        return f"changed {', '.join(field.field for field in change.fields)} ({change.found.id}){renamed}"

    def _unchanged(self, planned: Image, wanted: Image | None = None) -> Image:
        """The image right before it is changed. Raises CloudError if it is not what the plan was made for; that another
        run made it as `wanted` is fine."""
        try:
            current = self.glance.get(planned.id)
        except CloudError as error:
            if error.status == 404:
                raise CloudError(f"{planned.id} is gone since the plan was made; plan again") from None
            raise
        if current.import_task:
            limit = time.monotonic() + self.importer.options.timeout
            current = self.glance.wait(current.id, limit, self.stop)
        moved = _moved(planned, current)
        if moved and not (wanted and not diff(current, wanted)):
            raise CloudError(f"{planned.id} was changed by someone since the plan was made ({moved}); plan again")
        return current

    def _change(self, image: Image, fields: Iterable[FieldChange]) -> None:
        fields = tuple(fields)
        status = next((field.after for field in fields if field.field == "status"), None)
        try:
            # What is to be deactivated must not be seen active first.
            if status == "deactivated":
                self.glance.set_status(image.id, status)
            if any(field.field != "status" for field in fields):
                self._patch(image, fields)
            if status == "active":
                self.glance.set_status(image.id, status)
        except CloudError as error:
            visibility = next((field.after for field in fields if field.field == "visibility"), "")
            raise explained(error, visibility) from None

    def _patch(self, image: Image, fields: tuple[FieldChange, ...]) -> None:
        """One request; when its answer was lost, its second try is a conflict although the first one did it all."""
        try:
            self.glance.patch(image.id, fields)
        except CloudError as error:
            wanted = {field.field: field.after for field in fields if field.field != "status"}
            if error.status != 409 or any(
                change.field in wanted for change in diff(self.glance.get(image.id), _with(image, wanted))
            ):
                raise


def _with(image: Image, values: dict[str, Any]) -> Image:
    """The image with these fields and properties; None: without."""
    properties = {**image.properties, **{key: value for key, value in values.items() if key not in FIELDS}}
    kept = {key: value for key, value in properties.items() if value is not None}
    return replace(image, properties=kept, **{key: value for key, value in values.items() if key in FIELDS})


def _moved(planned: Image, current: Image) -> str:
    """What someone else changed since; empty when nothing did."""
    return ", ".join(change.field for change in diff(planned, current))


def apply(
    plan: Plan,
    glance: Glance,
    policy: Policy,
    options: ImportOptions,
    reporter: Reporter,
    workers: int = 4,
) -> list[Result]:
    """Results in the order of the plan, one for each definition that changes. Ctrl-C ends it in an orderly way: what
    was not begun is skipped, and a second run goes on from there."""
    stop = threading.Event()
    importer = Importer(glance, options, plan.converts, stop, reporter, policy.tag)
    run = _Run(glance, policy, importer, threading.Semaphore(workers), stop, reporter)
    todo: dict[str, list[Change]] = {}
    for change in plan.changes:
        todo.setdefault(change.group, []).append(change)
    results = {name: Result(name, "skipped", (), "interrupted; the next run goes on from here") for name in todo}
    _work(run, todo, results, max(workers, CHANGERS))
    return list(results.values())


def _work(run: _Run, todo: dict[str, list[Change]], results: dict[str, Result], threads: int) -> None:
    waiting: queue.SimpleQueue[str] = queue.SimpleQueue()
    for name in todo:
        waiting.put(name)
    crashes: list[BaseException] = []

    def work() -> None:
        with suppress(queue.Empty):
            while not run.stop.is_set():
                name = waiting.get_nowait()
                try:
                    results[name] = run.definition(name, todo[name])
                except BaseException as crash:  # handed to the main thread, which raises it
                    crashes.append(crash)
                    run.stop.set()

    pool = [threading.Thread(target=work, daemon=True) for _ in range(min(threads, len(todo)))]
    _each(pool, threading.Thread.start)
    try:
        _each(pool, threading.Thread.join)
    except KeyboardInterrupt:
        run.stop.set()
        run.reporter.line("interrupted", "finishing the steps under way; Ctrl-C again stops at once")
        with suppress(KeyboardInterrupt):
            _each(pool, lambda thread: thread.join(PATIENCE / len(pool)))
    if crashes:
        raise crashes[0]


def _each(threads: Iterable[threading.Thread], do: Callable[[threading.Thread], None]) -> None:
    for thread in threads:
        do(thread)
