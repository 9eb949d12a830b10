"""The mirror: look at the bucket, copy what is missing or wrong, sweep, prune, and write addresses into definitions."""

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
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.definitions.parser import read
from openstack_image_manager.errors import Error, Interrupted, StorageError
from openstack_image_manager.mirror import unneeded as memo
from openstack_image_manager.mirror.copier import COPIED_BY_ANOTHER_RUN, Copier, delete_object, list_contents
from openstack_image_manager.mirror.location import LATEST, UNNEEDED_FILE, Item, Target, items
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
    """What is to be done, what is there, and since when earlier runs saw that objects are not needed. `others`:
    definitions that are not asked for now, and need their objects all the same. Raises StorageError."""
    known = {item.key for item in items([*chosen, *others], target)}
    contents = list_contents(store, target.prefix, known, READERS)
    before = read_unneeded(store, target)
    definitions, lost = _resolve_latest(chosen, contents)
    everything = [*items([*definitions, *others], target), *lost]
    missing = {item.key for item in everything} - known - set(contents.stored)
    if unseen := missing & contents.keys:  # of versions that have only now got their names
        contents = list_contents(store, target.prefix, known | unseen, READERS)
    asked = {definition.name for definition in chosen if definition.enable}
    wanted = [item for item in everything if item.definition.name in asked]
    moving = frozenset(each.name for each in (*chosen, *others) if _has_latest(each) and each.name not in asked)
    return make_plan(wanted, everything, contents.stored, now, grace, moving, before), contents, before


def with_deletion_guard(
    plan: Plan, contents: Contents, target: Target, whole: bool, loaded: Loaded, known_unneeded: Mapping[str, datetime]
) -> Plan:
    """The plan, with the reason why nothing may be deleted, if there is one. `whole`: the whole bucket was named."""
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
    """Definitions whose version `latest` has the name of what the upstream has now, as an import would call it; and
    versions whose upstream can't be asked."""
    moving = [definition for definition in chosen if definition.enable and _has_latest(definition)]
    answers = dict(zip((definition.name for definition in moving), latest.ask_upstreams(moving), strict=True))
    plan, lost = [], []
    for definition in chosen:
        answer = answers.get(definition.name)
        if isinstance(answer, Error):
            version = next(version for version in definition.versions if version.version == LATEST)
            lost.append(Item(definition, version, "", Error(f"its upstream cannot be queried: {answer}")))
        elif answer is not None:
            there = {
                record.version: record.checksum or ""
                for stored in contents.stored.values()
                if (record := stored.record) and record.name == definition.name
            }
            definition = latest.pin_version(definition, answer, there)  # noqa: PLW2901  in its place
        plan.append(definition)
    return plan, lost


def verify(plan: Plan, copier: Copier, workers: int) -> tuple[Plan, dict[str, Error]]:
    """The plan after the bytes of CURRENT objects were read again, and the errors (by key) of those that could not be
    read. Raises Interrupted."""
    answers = _run_workers(copier.verify, plan.comparisons, copier, workers)
    comparison = tuple(
        old if isinstance(new, Error) else new for old, new in zip(plan.comparisons, answers, strict=True)
    )
    failed = {each.item.key: new for each, new in zip(plan.comparisons, answers, strict=True) if isinstance(new, Error)}
    return replace(plan, comparisons=comparison), failed


def verification_failures(plan: Plan, failed: Mapping[str, Error]) -> list[Outcome]:
    """What became of those whose bytes could not be read again."""
    return [Outcome(each, "failed", str(failed[each.item.key])) for each in plan.comparisons if each.item.key in failed]


def copy(
    plan: Plan,
    copier: Copier,
    workers: int,
    failed: Mapping[str, Error] | None = None,
    bring: Callable[[Comparison], tuple[str, Record]] | None = None,
) -> list[Outcome]:
    """Bring in what is missing, unfinished or wrong; one that fails stops no other. `failed`: what could not be
    verified; `bring`: who brings it in, if not the copier itself."""
    bring = bring or copier.copy_version
    hosts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(PER_HOST))
    limits = {each.item.key: hosts[urlsplit(each.item.version.url).netloc] for each in plan.comparisons}

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
            message, record = bring(comparison)
        copier.reporter.line(comparison.item.subject, message)
        return Outcome(comparison, "ok", message, record, is_read=message != COPIED_BY_ANOTHER_RUN)

    copier.reporter.expect(sum(not (each.is_hopeless or each.verdict is Verdict.CURRENT) for each in plan.comparisons))
    answers = _run_workers(work, plan.comparisons, copier, workers, interruptible=True)
    return [_outcome(each, answer) for each, answer in zip(plan.comparisons, answers, strict=True)]


def _outcome(comparison: Comparison, answer: Outcome | Error) -> Outcome:
    if isinstance(answer, Outcome):
        return answer
    if isinstance(answer, Interrupted):
        return Outcome(comparison, "skipped", "interrupted; the next run continues from here")
    return Outcome(comparison, "failed", str(answer))


def _run_workers(
    work: Callable[[Comparison], T],
    all_: Sequence[Comparison],
    copier: Copier,
    workers: int,
    interruptible: bool = False,
) -> list[T | Error]:
    """The results, or the Errors they ended with, in order. After Ctrl-C all have a few seconds to stop, to abort what
    they upload; then Interrupted is raised, or with `interruptible` is the result of those that had not ended."""

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

    with started(safely, all_, workers) as futures:
        try:
            wait_for_all(futures)
        except KeyboardInterrupt:
            copier.stop.set()
            copier.reporter.line("interrupted", "finishing the copies in progress")
            wait(futures, STOP_TIMEOUT)
    if copier.stop.is_set() and not interruptible:
        raise Interrupted("interrupted; nothing was changed")
    return [result(each) for each in futures]


def prune(plan: Plan, store: Store, reporter: Reporter) -> dict[str, Error | None]:
    """Delete what nobody needs; what became of each key."""
    gone: dict[str, Error | None] = {}
    for stored in plan.unneeded:
        try:
            delete_object(store, stored)
        except Error as error:
            gone[stored.key] = error
        else:
            gone[stored.key] = None
            reporter.line(stored.key, "deleted")
    return gone


def read_unneeded(store: Store, target: Target) -> dict[str, datetime]:
    """Since when earlier runs saw that an object is not needed. Raises StorageError."""
    data = store.get(target.prefix + UNNEEDED_FILE)
    return memo.decode(data or b"") or {}


def write_unneeded(store: Store, target: Target, since: Mapping[str, datetime]) -> None:
    """Write that down, if it has changed. Raises StorageError."""
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
    """Abort the uploads that killed runs left more than a day ago; which they were. Without a prefix of ours only those
    of keys that are `known` to be ours; never those of `others`, prefixes of other mirrors. Raises StorageError."""
    keys = set(known)
    stale = [
        each
        for each in store.unfinished_uploads(target.prefix)
        if not each.key.startswith(others)
        and (each.is_own or (now - each.since > STALE and (target.prefix or each.key in keys)))
    ]
    for each in stale:
        store.abort(each.key, each.upload_id)
    return stale


def write_addresses(
    present: Iterable[tuple[Item, Record | None, bool]], target: Target, positions: Mapping[str, Position]
) -> dict[str, int | Error]:
    """Put `mirror_url` into the definitions of what is in the bucket (and `mirror_checksum`, where it is another than
    that of the source): how many, for each file, or its Error. See `edits`."""
    files: dict[str, list[SetVersionField]] = defaultdict(list)
    for each in address_edits(present, target):
        files[positions[each.image].file].append(each)
    return {file: _edit_file(file, its) for file, its in files.items()}


def _edit_file(file: str, wanted: Sequence[SetVersionField]) -> int | Error:
    done: list[SetVersionField] = []

    def change(text: str) -> str:
        known = {
            (definition.name, version.version, field)
            for definition in read(file, text.encode())[0]
            for version in definition.versions
            for field in ("mirror_url", "mirror_checksum")
            if getattr(version, field) is None
        }
        done[:] = [each for each in wanted if (each.image, each.version, each.field) in known]
        return edit(text, done, file)

    try:
        rewrite(file, change)
    except Error as error:
        return error
    return len({(each.image, each.version) for each in done})


def known_keys(plan: Plan) -> set[str]:
    """Keys that are ours."""
    unneeded: Iterable[StoredObject] = plan.unneeded
    return {each.item.key for each in plan.comparisons} | {each.key for each in unneeded}
