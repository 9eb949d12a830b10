"""Threads that take turns: one at a time goes on, and which call comes next is a choice that can be made again.

Programs under it run with Python's own means of waiting (`Thread.start`, `Thread.join`, `Condition.wait`, on which
events, semaphores, futures and queues stand, and `Lock`) and its monotonic clock replaced. So no time passes while they
wait, and a history is the same whenever the same choices are made. Threads that are not under it notice nothing.
"""

from __future__ import annotations

import os
import queue
import random
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

REAL_LOCK = threading.Lock
REAL_WAIT = threading.Condition.wait
REAL_START, REAL_JOIN = threading.Thread.start, threading.Thread.join
STUCK = 60.0  # real seconds after which a thread is blocked by something that the schedule knows nothing of
MOST_STEPS = 20_000


class Ended(BaseException):
    """This history is over, or this run is killed: the thread goes no further."""


@dataclass(eq=False)
class Strand:
    """A thread under the schedule: free to go on, before a call, or waiting (`until`, and `due` at the latest)."""

    number: int
    run: int
    baton: Any = field(default_factory=REAL_LOCK)
    call: Any = None
    until: Callable[[], bool] | None = None
    due: float | None = None
    woken: bool = False
    done: bool = False
    starting: bool = False

    def __post_init__(self) -> None:
        self.baton.acquire()

    @property
    def napping(self) -> bool:
        """True while it waits for time to pass."""
        return self.until is not None and self.due is not None


# Told the strands that can go on next (before a call, or napping); says which.
Choose = Callable[["Schedule", Sequence[Strand]], Strand]


class Schedule:
    """One history."""

    def __init__(self, choose: Choose, now: float = 1000.0, kill_at: int | None = None) -> None:
        self.choose = choose
        self.now = now
        self.kill_at = kill_at  # the first run is killed at this step
        self.steps = 0
        self.over = self.ended = False
        self.killed: set[int] = set()
        self.crashes: list[BaseException] = []
        self._strands: list[Strand] = []
        self._own: dict[int, Strand] = {}
        self._main = REAL_LOCK()
        self._main.acquire()

    def me(self) -> Strand | None:
        """The strand that the calling thread is; None: it is none."""
        return self._own.get(threading.get_ident())

    def go(self, programs: Sequence[Callable[[], None]]) -> None:
        """Run them together until all have ended. Raises what one of them raised, and what `choose` raised."""
        with _instead(self):
            for number, program in enumerate(programs):
                thread = threading.Thread(target=program, daemon=True)
                self._adopt(thread, number)
                REAL_START(thread)
            self._pass_on(None)
            if not self._main.acquire(timeout=STUCK * 4):
                raise AssertionError(f"the threads are stuck: {self._strands}")
        if self.crashes:
            raise self.crashes[0]
        if self.ended:
            raise Ended

    def call(self, request: Any) -> None:
        """Wait for the turn of a call that the program is about to make."""
        me = self._mine()
        self._mine_or_ended(me)
        me.call = request
        self._pass_on(me)
        me.call = None
        self._mine_or_ended(me)

    def block(self, until: Callable[[], bool], timeout: float | None) -> bool:
        """Wait for something another thread does, or until the time has come; false then."""
        me = self._mine()
        if until():
            return True
        if timeout is not None and timeout <= 0:
            return False
        if timeout is not None:
            self._mine_or_ended(me)
        me.until, me.due, me.woken = until, None if timeout is None else self.now + timeout, False
        self._pass_on(me)
        me.until = me.due = None
        if timeout is not None:
            self._mine_or_ended(me)
        return until()

    def _mine(self) -> Strand:
        me = self.me()
        assert me is not None
        return me

    def _mine_or_ended(self, me: Strand) -> None:
        if self.over or me.run in self.killed:
            raise Ended

    def _adopt(self, thread: threading.Thread, run: int) -> Strand:
        strand, body = Strand(len(self._strands), run), thread.run
        self._strands.append(strand)

        def whole() -> None:
            self._own[threading.get_ident()] = strand
            self._await(strand)
            try:
                if not self.over:
                    body()
            except Ended:
                pass
            except BaseException as crash:  # handed to who waits for all of them
                self._crash(crash)
            finally:
                del self._own[threading.get_ident()]
                strand.done = True
                self._pass_on(strand)

        thread.run = whole  # type: ignore[method-assign]  # the thread itself, and no other one
        thread.strand = strand  # type: ignore[attr-defined]
        return strand

    def _crash(self, crash: BaseException) -> None:
        self.crashes.append(crash)
        self.over = True

    def _pass_on(self, me: Strand | None) -> None:
        """Let the next one go on, and wait for the own turn."""
        try:
            following = self._next()
        except Ended:
            self.ended = self.over = True
            following = self._next()
        except BaseException as crash:
            self._crash(crash)
            following = self._next()
        if following is me and me is not None and not me.done:
            return
        (following.baton if following else self._main).release()
        if me is not None and not me.done:
            self._await(me)

    def _await(self, strand: Strand) -> None:
        if not strand.baton.acquire(timeout=STUCK):
            raise AssertionError(f"thread {strand.number} never had its turn: something blocks outside the schedule")

    def _next(self) -> Strand | None:
        alive = [strand for strand in self._strands if not strand.done]
        for strand in alive:
            ended = self.over or strand.run in self.killed
            if strand.call is None and (strand.until is None or strand.until() or (ended and strand.due is not None)):
                return strand
            if ended and strand.call is not None:
                return strand
        able = [strand for strand in alive if strand.call is not None or strand.napping]
        if not able:
            assert not alive, f"all threads wait for each other: {alive}"
            return None
        self.steps += 1
        assert self.steps < MOST_STEPS, "the runs never come to an end"
        if self.steps == self.kill_at:
            self.killed.add(0)
            return self._next()
        chosen = self.choose(self, able)
        if chosen.napping:
            assert chosen.due is not None
            self.now = max(self.now, chosen.due)
            chosen.until = None
        return chosen


class _Lock:
    """A lock for threads under the schedule, whose holder may have to wait for its turn."""

    def __init__(self) -> None:
        self._lock = REAL_LOCK()
        self.locked = self._lock.locked
        self.release = self._lock.release

    def acquire(self, blocking: bool = True, timeout: float = -1) -> bool:
        schedule = _CURRENT[-1] if _CURRENT else None
        if not blocking or schedule is None or schedule.me() is None:
            return self._lock.acquire(blocking, timeout)
        while not self._lock.acquire(False):
            if not schedule.block(lambda: not self._lock.locked(), None if timeout < 0 else timeout):
                return False
        return True

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *_: object) -> None:
        self.release()


_CURRENT: list[Schedule] = []


def _start(self: threading.Thread) -> None:
    schedule = _CURRENT[-1]
    if me := schedule.me():
        schedule._adopt(self, me.run)
        me.starting = True
        try:
            REAL_START(self)
        finally:
            me.starting = False
    else:
        REAL_START(self)


def _join(self: threading.Thread, timeout: float | None = None) -> None:
    schedule = _CURRENT[-1]
    strand = getattr(self, "strand", None)
    if schedule.me() and strand is not None and not schedule.block(lambda: strand.done, timeout):
        return
    REAL_JOIN(self, timeout)


def _wait(self: Any, timeout: float | None = None) -> bool:
    """As Condition.wait, whose waiters are locks that notify() releases."""
    schedule = _CURRENT[-1]
    me = schedule.me()
    if me is None or me.starting:
        return REAL_WAIT(self, timeout)
    waiter = REAL_LOCK()
    waiter.acquire()
    self._waiters.append(waiter)
    saved = self._release_save()
    notified = False
    try:
        notified = schedule.block(lambda: not waiter.locked(), timeout)
    finally:
        self._acquire_restore(saved)
        if not notified and waiter in self._waiters:
            self._waiters.remove(waiter)
    return notified


@contextmanager
def _instead(schedule: Schedule) -> Iterator[None]:
    """Python's clock and its means of waiting, replaced. The names are Python's own, and none of the program's."""
    monotonic = time.monotonic
    chance = random.Random(0)

    def clock() -> float:
        return schedule.now if schedule.me() else monotonic()

    def entropy(size: int) -> bytes:  # what uuid4 takes
        return chance.randbytes(size)

    before = threading.Lock, queue.SimpleQueue, os.urandom, random.getstate()
    _CURRENT.append(schedule)
    threading.Thread.start, threading.Thread.join = _start, _join  # type: ignore[method-assign]
    threading.Condition.wait = _wait  # type: ignore[method-assign]
    threading.Lock, queue.SimpleQueue = _Lock, queue._PySimpleQueue  # type: ignore[misc, assignment, attr-defined]
    time.monotonic, os.urandom = clock, entropy
    random.seed(0)
    try:
        yield
    finally:
        threading.Thread.start, threading.Thread.join = REAL_START, REAL_JOIN  # type: ignore[method-assign]
        threading.Condition.wait = REAL_WAIT  # type: ignore[method-assign]
        threading.Lock, queue.SimpleQueue, os.urandom, state = before  # type: ignore[misc]
        time.monotonic = monotonic
        random.setstate(state)
        _CURRENT.pop()
