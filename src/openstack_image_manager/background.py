"""Run functions in threads and hand their results, or what they raise, to the caller."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, TypeVar

from openstack_image_manager.errors import Error

# Seconds. A signal that arrives just as the main thread begins to wait for a lock does not wake it, because Python
# checks for signals before it asks the kernel to wait. So the main thread never waits longer than this at a time.
SLICE = 0.25
T = TypeVar("T")
S = TypeVar("S")


class BackgroundCall(Generic[T]):
    """A function that runs in a thread of its own from now on, with the context variables of the caller. The end of
    the program does not wait for it, as it would for the threads of a pool."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        threading.Thread(target=copy_context().run, args=(_run, self.future, function), daemon=True).start()

    def wait(self, seconds: float) -> bool:
        """Wait this long, or until it is done; True if it is done."""
        return bool(wait([self.future], seconds).done)

    def result(self) -> T:
        """Wait for the result; raises what the function raised."""
        wait_for_all([self.future])
        return self.future.result()


def _run(future: Future[T], function: Callable[[], T]) -> None:
    try:
        future.set_result(function())
    except BaseException as error:  # the caller gets it with the result
        future.set_exception(error)


def wait_for_all(futures: Iterable[Future[Any]], seconds: float = float("inf")) -> None:
    """Wait until all are done, or this long. Ctrl-C ends it."""
    left = set(futures)
    deadline = time.monotonic() + seconds
    longest = SLICE if threading.current_thread() is threading.main_thread() else None
    while left and (rest := deadline - time.monotonic()) > 0:
        left = wait(left, min(longest or rest, rest) if rest < float("inf") else longest).not_done


@contextmanager
def started(function: Callable[[S], T], values: Iterable[S], most: int) -> Iterator[list[Future[T]]]:
    """Start the function for all values, `most` of them at a time, and give the futures of the results in the order of
    the values. After the block no further call is started, and those under way are not waited for."""
    pairs = [(value, Future[T]()) for value in values]
    waiting = iter(pairs)
    lock, stop = threading.Lock(), threading.Event()

    def work() -> None:
        while not stop.is_set():
            with lock:
                pair = next(waiting, None)
            if pair is None:
                return
            value, future = pair
            _run(future, lambda: function(value))  # noqa: B023  it runs at once

    for _ in range(min(most, len(pairs))):
        BackgroundCall(work)
    try:
        yield [future for _, future in pairs]
    finally:
        stop.set()


def in_parallel(function: Callable[[S], T], values: Iterable[S], most: int) -> list[T]:
    """The results for all values in their order, `most` of them at a time; raises what the first of them raised. Unlike
    a pool, it does not wait for calls under way when the user stops it."""
    with started(function, values, most) as futures:
        for future in futures:
            wait_for_all([future])
            future.result()
        return [future.result() for future in futures]


def results_or_errors(function: Callable[[S], T], values: Collection[S], most: int | None = None) -> list[T | Error]:
    """The result for each value, or the Error that it raised, in the order of the values; all at a time by default."""

    def attempt(value: S) -> T | Error:
        try:
            return function(value)
        except Error as error:
            return error

    return in_parallel(attempt, values, most or len(values))
