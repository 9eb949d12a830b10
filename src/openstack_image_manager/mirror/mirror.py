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
from openstack_image_manager.mirror import plan
from openstack_image_manager.mirror import unneeded as memo
from openstack_image_manager.mirror.copier import BY_OTHERS, Copier, drop, found
from openstack_image_manager.mirror.location import MEMO, MOVING, Item, Target, items
from openstack_image_manager.mirror.plan import Holding, Judged, Plan, Stored, Verdict
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.mirror.report import Outcome
from openstack_image_manager.mirror.store import Begun, Store
from openstack_image_manager.reporter import Reporter
from openstack_image_manager.upstreams import latest

PER_HOST = 4  # downloads from one upstream at a time
STALE = timedelta(days=1)
LOOKERS = 16  # records read at a time
PATIENCE = 3.0  # seconds that an interrupted run waits for its copies to end
T = TypeVar("T")


def look(
    store: Store,
    where: Target,
    chosen: Sequence[Definition],
    others: Sequence[Definition],
    now: datetime,
    grace: timedelta,
) -> tuple[Plan, Holding, dict[str, datetime]]:
    """What is to be done, what is there, and since when earlier runs saw that objects are not needed. `others`:
    definitions that are not asked for now, and need their objects all the same. Raises StorageError."""
    known = {item.key for item in items([*chosen, *others], where)}
    holding = found(store, where.prefix, known, LOOKERS)
    before = noted(store, where)
    definitions, lost = _without_latest(chosen, holding)
    everything = [*items([*definitions, *others], where), *lost]
    missing = {item.key for item in everything} - known - set(holding.stored)
    if unseen := missing & holding.names:  # of versions that have only now got their names
        holding = found(store, where.prefix, known | unseen, LOOKERS)
    asked = {definition.name for definition in chosen if definition.enable}
    wanted = [item for item in everything if item.definition.name in asked]
    moving = frozenset(each.name for each in (*chosen, *others) if _moves(each) and each.name not in asked)
    return plan.plan(wanted, everything, holding.stored, now, grace, moving, before), holding, before


def guarded(
    made: Plan, holding: Holding, where: Target, whole: bool, loaded: Loaded, noted: Mapping[str, datetime]
) -> Plan:
    """The plan, with the reason why nothing may be deleted, if there is one. `whole`: the whole bucket was named."""
    if made.kept or not made.since:
        return made
    needed = []
    for definition in (*loaded.definitions, *loaded.left_out):
        for version in definition.versions:
            with suppress(Error):
                needed.append(where.key(definition, version))
    reason = plan.keep_reason(where, whole, holding, needed, loaded.empty)
    return plan.keeping(made, reason, noted) if reason else made


def _moves(definition: Definition) -> bool:
    return any(version.version == MOVING for version in definition.versions)


def _without_latest(chosen: Sequence[Definition], holding: Holding) -> tuple[list[Definition], list[Item]]:
    """Definitions whose version `latest` has the name of what the upstream has now, as an import would call it; and
    versions whose upstream can't be asked."""
    moving = [definition for definition in chosen if definition.enable and _moves(definition)]
    answers = dict(zip((definition.name for definition in moving), latest.ask(moving), strict=True))
    made, lost = [], []
    for definition in chosen:
        answer = answers.get(definition.name)
        if isinstance(answer, Error):
            version = next(version for version in definition.versions if version.version == MOVING)
            lost.append(Item(definition, version, "", Error(f"its upstream can't be asked: {answer}")))
        elif answer is not None:
            there = {
                record.version: record.checksum or ""
                for stored in holding.stored.values()
                if (record := stored.record) and record.name == definition.name
            }
            definition = latest.named(definition, answer, there)  # noqa: PLW2901  in its place
        made.append(definition)
    return made, lost


def verify(made: Plan, copier: Copier, workers: int) -> tuple[Plan, dict[str, Error]]:
    """The plan after the bytes of CURRENT objects were read again, and the errors (by key) of those that could not be
    read. Raises Interrupted."""
    answers = _side_by_side(copier.verified, made.judged, copier, workers)
    judged = tuple(old if isinstance(new, Error) else new for old, new in zip(made.judged, answers, strict=True))
    failed = {each.item.key: new for each, new in zip(made.judged, answers, strict=True) if isinstance(new, Error)}
    return replace(made, judged=judged), failed


def unverified(made: Plan, failed: Mapping[str, Error]) -> list[Outcome]:
    """What became of those whose bytes could not be read again."""
    return [Outcome(each, "failed", str(failed[each.item.key])) for each in made.judged if each.item.key in failed]


def copy(
    made: Plan,
    copier: Copier,
    workers: int,
    failed: Mapping[str, Error] | None = None,
    bring: Callable[[Judged], tuple[str, Record]] | None = None,
) -> list[Outcome]:
    """Bring in what is missing, unfinished or wrong; one that fails stops no other. `failed`: what could not be
    verified; `bring`: who brings it in, if not the copier itself."""
    bring = bring or copier.bring
    hosts: dict[str, threading.Semaphore] = defaultdict(lambda: threading.Semaphore(PER_HOST))
    limits = {each.item.key: hosts[urlsplit(each.item.version.url).netloc] for each in made.judged}

    def work(judged: Judged) -> Outcome:
        if failed and judged.item.key in failed:
            return Outcome(judged, "failed", str(failed[judged.item.key]))
        if judged.verdict is Verdict.CURRENT:
            return Outcome(judged, "ok", "", judged.stored.record if judged.stored else None, judged.is_read)
        if judged.is_hopeless:
            return Outcome(judged, "failed", judged.reason)
        with limits[judged.item.key]:
            if copier.stop.is_set():
                raise Interrupted("interrupted")
            message, record = bring(judged)
        copier.reporter.line(judged.item.subject, message)
        return Outcome(judged, "ok", message, record, is_read=message != BY_OTHERS)

    copier.reporter.expect(sum(not (each.is_hopeless or each.verdict is Verdict.CURRENT) for each in made.judged))
    answers = _side_by_side(work, made.judged, copier, workers, interruptible=True)
    return [_outcome(each, answer) for each, answer in zip(made.judged, answers, strict=True)]


def _outcome(judged: Judged, answer: Outcome | Error) -> Outcome:
    if isinstance(answer, Outcome):
        return answer
    if isinstance(answer, Interrupted):
        return Outcome(judged, "skipped", "interrupted; the next run goes on from here")
    return Outcome(judged, "failed", str(answer))


def _side_by_side(
    work: Callable[[Judged], T], all_: Sequence[Judged], copier: Copier, workers: int, interruptible: bool = False
) -> list[T | Error]:
    """The results, or the Errors they ended with, in order. After Ctrl-C all have a few seconds to stop, to abort what
    they upload; then Interrupted is raised, or with `interruptible` is the result of those that had not ended."""

    def safely(judged: Judged) -> T | Error:
        try:
            if copier.stop.is_set():
                raise Interrupted("interrupted")
            return work(judged)
        except Error as error:
            return error
        finally:
            copier.reporter.finished(judged.item.subject)

    def result(future: Future[T | Error]) -> T | Error:
        return future.result() if future.done() else Interrupted("interrupted")

    with started(safely, all_, workers) as futures:
        try:
            wait_for_all(futures)
        except KeyboardInterrupt:
            copier.stop.set()
            copier.reporter.line("interrupted", "finishing what is under way")
            wait(futures, PATIENCE)
    if copier.stop.is_set() and not interruptible:
        raise Interrupted("interrupted; nothing was changed")
    return [result(each) for each in futures]


def prune(made: Plan, store: Store, reporter: Reporter) -> dict[str, Error | None]:
    """Delete what nobody needs; what became of each key."""
    gone: dict[str, Error | None] = {}
    for stored in made.unneeded:
        try:
            drop(store, stored)
        except Error as error:
            gone[stored.key] = error
        else:
            gone[stored.key] = None
            reporter.line(stored.key, "deleted")
    return gone


def noted(store: Store, where: Target) -> dict[str, datetime]:
    """Since when earlier runs saw that an object is not needed. Raises StorageError."""
    data = store.get(where.prefix + MEMO)
    return memo.parsed(data or b"") or {}


def note(store: Store, where: Target, since: Mapping[str, datetime]) -> None:
    """Write that down, if it has changed. Raises StorageError."""
    key = where.prefix + MEMO
    before = store.get(key)
    if before and memo.parsed(before) is None:
        raise StorageError(f"{key}: somebody else's file is there; move it, so that --grace can count")
    data = memo.written(since) if since else None
    if before and data is None:
        store.remove(key)
    elif data is not None and data != before:
        store.put(key, data)


def sweep(
    store: Store, where: Target, known: Iterable[str], now: datetime, others: tuple[str, ...] = ()
) -> list[Begun]:
    """Abort the uploads that killed runs left more than a day ago; which they were. Without a prefix of ours only those
    of keys that are `known` to be ours; never those of `others`, prefixes of other mirrors. Raises StorageError."""
    keys = set(known)
    stale = [
        each
        for each in store.begun(where.prefix)
        if not each.key.startswith(others)
        and (each.ours or (now - each.since > STALE and (where.prefix or each.key in keys)))
    ]
    for each in stale:
        store.abort(each.key, each.upload_id)
    return stale


def write(
    present: Iterable[tuple[Item, Record | None, bool]], where: Target, positions: Mapping[str, Position]
) -> dict[str, int | Error]:
    """Put `mirror_url` into the definitions of what is in the bucket (and `mirror_checksum`, where it is another than
    that of the source): how many, for each file, or its Error. See `edits`."""
    files: dict[str, list[SetVersionField]] = defaultdict(list)
    for each in plan.edits(present, where):
        files[positions[each.image].file].append(each)
    return {file: _write(file, its) for file, its in files.items()}


def _write(file: str, wanted: Sequence[SetVersionField]) -> int | Error:
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


def known_keys(made: Plan) -> set[str]:
    """Keys that are ours."""
    unneeded: Iterable[Stored] = made.unneeded
    return {each.item.key for each in made.judged} | {each.key for each in unneeded}
