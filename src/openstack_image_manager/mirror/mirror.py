"""Plan a mirror, copy what is missing or wrong, clean up, and write URLs into definitions."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future, wait
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TypeVar
from urllib.parse import urlsplit

from openstack_image_manager.background import started, wait_for_all
from openstack_image_manager.definitions.diagnostics import Position
from openstack_image_manager.definitions.editing.edit import SetVersionField, edit
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
from openstack_image_manager.definitions.loader import Loaded
from openstack_image_manager.definitions.model import LATEST, Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.errors import Error, Interrupted, StorageError
from openstack_image_manager.mirror import unneeded as memo
from openstack_image_manager.mirror.copier import COPIED_BY_ANOTHER_RUN, Copier, delete_object, list_contents
from openstack_image_manager.mirror.location import UNNEEDED_FILE, Item, Target, items
from openstack_image_manager.mirror.plan import (
    Comparison,
    Contents,
    Plan,
    StoredObject,
    Verdict,
    address_edits,
    keep_reason,
    make_plan,
    without_deletions,
)
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.mirror.report import Outcome
from openstack_image_manager.mirror.store import Store, UnfinishedUpload
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.upstreams import latest

PER_HOST = 4  # downloads from one upstream at a time
STALE = timedelta(days=1)
READERS = 16  # records read at a time
STOP_TIMEOUT = 3.0  # seconds that an interrupted run waits for its copies to end
T = TypeVar("T")


def plan_mirror(
    store: Store,
    target: Target,
    chosen: Sequence[Definition],
    others: Sequence[Definition],
    now: datetime,
    grace: timedelta,
) -> tuple[Plan, Contents, dict[str, datetime]]:
    """Return the plan, the contents of the mirror, and since when earlier runs saw objects unneeded.

    `others`: definitions that this run does not mirror, but whose objects are needed. Raises StorageError.
    """
    known = {item.key for item in items([*chosen, *others], target)}
    contents = list_contents(store, target.prefix, known, READERS)
    before = read_unneeded(store, target)
    definitions, failed = _resolve_latest(chosen, contents)
    everything = [*items([*definitions, *others], target), *failed]
    missing = {item.key for item in everything} - known - set(contents.stored)
    if unseen := missing & contents.keys:  # of versions whose names were unknown before
        contents = list_contents(store, target.prefix, known | unseen, READERS)
    asked = {definition.name for definition in chosen if definition.enable}
    wanted = [item for item in everything if item.definition.name in asked]
    moving = frozenset(
        definition.name for definition in (*chosen, *others) if _has_latest(definition) and definition.name not in asked
    )
    return make_plan(wanted, everything, contents.stored, now, grace, moving, before), contents, before


def with_deletion_guard(
    plan: Plan, contents: Contents, target: Target, whole: bool, loaded: Loaded, known_unneeded: Mapping[str, datetime]
) -> Plan:
    """Return the plan with a reason to delete nothing, if there is one. `whole`: `--bucket` names the whole bucket."""
    if plan.kept or not plan.since:
        return plan
    needed = []
    for definition in (*loaded.definitions, *loaded.left_out):
        for version in definition.versions:
            with suppress(Error):
                needed.append(target.key(definition, version))
    reason = keep_reason(target, whole, contents, needed, loaded.empty)
    return without_deletions(plan, reason, known_unneeded) if reason else plan


def _has_latest(definition: Definition) -> bool:
    return any(version.version == LATEST for version in definition.versions)


def _resolve_latest(chosen: Sequence[Definition], contents: Contents) -> tuple[list[Definition], list[Item]]:
    """Replace the version `latest` by the current version of the upstream, named as an import names it; also return the
    versions whose upstream cannot be queried."""
    moving = [definition for definition in chosen if definition.enable and _has_latest(definition)]
    answers = dict(zip((definition.name for definition in moving), latest.ask_upstreams(moving), strict=True))
    resolved, failed = [], []
    for definition in chosen:
        answer = answers.get(definition.name)
        if isinstance(answer, Error):
            version = next(version for version in definition.versions if version.version == LATEST)
            failed.append(Item(definition, version, "", Error(f"its upstream cannot be queried: {answer}")))
        elif answer is not None:
            checksums = {
                record.version: record.checksum or ""
                for stored in contents.stored.values()
                if (record := stored.record) and record.name == definition.name
            }
            definition = latest.pin_version(definition, answer, checksums)  # noqa: PLW2901  it replaces the definition
        resolved.append(definition)
    return resolved, failed


def verify(plan: Plan, copier: Copier, workers: int) -> tuple[Plan, dict[str, Error]]:
    """Read the bytes of CURRENT objects again; return the new plan, and the errors by key of objects that could not be
    read. Raises Interrupted."""
    answers = _run_workers(copier.verify, plan.comparisons, copier, workers)
    comparison = tuple(
        old if isinstance(new, Error) else new for old, new in zip(plan.comparisons, answers, strict=True)
    )
    failed = {
        comparison.item.key: new
        for comparison, new in zip(plan.comparisons, answers, strict=True)
        if isinstance(new, Error)
    }
    return replace(plan, comparisons=comparison), failed


def verification_failures(plan: Plan, failed: Mapping[str, Error]) -> list[Outcome]:
    """Return an outcome for each object whose bytes could not be read again."""
    return [
        Outcome(comparison, "failed", str(failed[comparison.item.key]))
        for comparison in plan.comparisons
        if comparison.item.key in failed
    ]


def copy(
    plan: Plan,
    copier: Copier,
    workers: int,
    failed: Mapping[str, Error] | None = None,
    copy_version: Callable[[Comparison], tuple[str, Record]] | None = None,
) -> list[Outcome]:
    """Copy what is missing, unfinished or wrong; a failure stops no other copy.

    `failed`: objects that could not be verified. `copy_version`: the function to use instead of
    the copier's.
    """
    copy_version = copy_version or copier.copy_version
    hosts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(PER_HOST))
    limits = {
        comparison.item.key: hosts[urlsplit(comparison.item.version.url).netloc] for comparison in plan.comparisons
    }

    def work(comparison: Comparison) -> Outcome:
        if failed and comparison.item.key in failed:
            return Outcome(comparison, "failed", str(failed[comparison.item.key]))
        if comparison.verdict is Verdict.CURRENT:
            return Outcome(
                comparison, "ok", "", comparison.stored.record if comparison.stored else None, comparison.is_read
            )
        if comparison.is_hopeless:
            return Outcome(comparison, "failed", comparison.reason)
        with limits[comparison.item.key]:
            if copier.stop.is_set():
                raise Interrupted("interrupted")
            message, record = copy_version(comparison)
        copier.reporter.line(comparison.item.subject, message)
        return Outcome(comparison, "ok", message, record, is_read=message != COPIED_BY_ANOTHER_RUN)

    copier.reporter.expect(
        sum(not (comparison.is_hopeless or comparison.verdict is Verdict.CURRENT) for comparison in plan.comparisons)
    )
    answers = _run_workers(work, plan.comparisons, copier, workers, interruptible=True)
    return [_outcome(comparison, answer) for comparison, answer in zip(plan.comparisons, answers, strict=True)]


def _outcome(comparison: Comparison, answer: Outcome | Error) -> Outcome:
    if isinstance(answer, Outcome):
        return answer
    if isinstance(answer, Interrupted):
        return Outcome(comparison, "skipped", "interrupted; the next run continues from here")
    return Outcome(comparison, "failed", str(answer))


def _run_workers(
    work: Callable[[Comparison], T],
    comparisons: Sequence[Comparison],
    copier: Copier,
    workers: int,
    interruptible: bool = False,
) -> list[T | Error]:
    """Return the results or Errors in order.

    After Ctrl-C the workers have a few seconds to abort their uploads. Then Interrupted is raised; with `interruptible`
    it is the result of the workers that did not end.
    """

    def safely(comparison: Comparison) -> T | Error:
        try:
            if copier.stop.is_set():
                raise Interrupted("interrupted")
            return work(comparison)
        except Error as error:
            return error
        finally:
            copier.reporter.finished(comparison.item.subject)

    def result(future: Future[T | Error]) -> T | Error:
        return future.result() if future.done() else Interrupted("interrupted")

    with started(safely, comparisons, workers) as futures:
        try:
            wait_for_all(futures)
        except KeyboardInterrupt:
            copier.stop.set()
            copier.reporter.line("interrupted", "finishing the copies in progress")
            wait(futures, STOP_TIMEOUT)
    if copier.stop.is_set() and not interruptible:
        raise Interrupted("interrupted; nothing was changed")
    return [result(future) for future in futures]


def prune(plan: Plan, store: Store, reporter: Reporter) -> dict[str, Error | None]:
    """Delete unneeded objects; return the error or None by key."""
    results: dict[str, Error | None] = {}
    for stored in plan.unneeded:
        try:
            delete_object(store, stored)
        except Error as error:
            results[stored.key] = error
        else:
            results[stored.key] = None
            reporter.line(stored.key, "deleted")
    return results


def read_unneeded(store: Store, target: Target) -> dict[str, datetime]:
    """Return since when earlier runs saw objects unneeded. Raises StorageError."""
    data = store.get(target.prefix + UNNEEDED_FILE)
    return memo.decode(data or b"") or {}


def write_unneeded(store: Store, target: Target, since: Mapping[str, datetime]) -> None:
    """Write since when objects are unneeded, if it has changed. Raises StorageError."""
    key = target.prefix + UNNEEDED_FILE
    before = store.get(key)
    if before and memo.decode(before) is None:
        raise StorageError(f"{key}: a file of another owner is there; move it, or --grace cannot be counted")
    data = memo.encode(since) if since else None
    if before and data is None:
        store.remove(key)
    elif data is not None and data != before:
        store.put(key, data)


def abort_stale_uploads(
    store: Store, target: Target, known: Iterable[str], now: datetime, others: tuple[str, ...] = ()
) -> list[UnfinishedUpload]:
    """Abort and return the uploads that killed runs left more than a day ago.

    Without a prefix, only uploads of `known` keys are aborted; uploads below `others`, the prefixes of other mirrors,
    never. Raises StorageError.
    """
    keys = set(known)
    stale = [
        upload
        for upload in store.unfinished_uploads(target.prefix)
        if not upload.key.startswith(others)
        and (upload.is_own or (now - upload.since > STALE and (target.prefix or upload.key in keys)))
    ]
    for upload in stale:
        store.abort(upload.key, upload.upload_id)
    return stale


def write_addresses(
    present: Iterable[tuple[Item, Record | None, bool]], target: Target, positions: Mapping[str, Position]
) -> dict[str, int | Error]:
    """Write `mirror_url`, and `mirror_checksum` where it differs from the source's, into the definitions of mirrored
    versions. Return the number or the Error by file; see `address_edits`."""
    files: dict[str, list[SetVersionField]] = defaultdict(list)
    for field_edit in address_edits(present, target):
        files[positions[field_edit.image].file].append(field_edit)
    return {file: _edit_file(file, field_edits) for file, field_edits in files.items()}


def _edit_file(file: str, field_edits: Sequence[SetVersionField]) -> int | Error:
    applied: list[SetVersionField] = []

    def change(text: str) -> str:
        known = {
            (definition.name, version.version, field)
            for definition in read(file, text.encode())[0]
            for version in definition.versions
            for field in ("mirror_url", "mirror_checksum")
            if getattr(version, field) is None
        }
        applied[:] = [
            field_edit
            for field_edit in field_edits
            if (field_edit.image, field_edit.version, field_edit.field) in known
        ]
        return edit(text, applied, file)

    try:
        rewrite(file, change)
    except Error as error:
        return error
    return len({(field_edit.image, field_edit.version) for field_edit in applied})


def known_keys(plan: Plan) -> set[str]:
    """Return the keys of this mirror."""
    unneeded: Iterable[StoredObject] = plan.unneeded
    return {comparison.item.key for comparison in plan.comparisons} | {stored.key for stored in unneeded}
