"""What is asked for now and needed later."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait
from contextlib import contextmanager
from contextvars import copy_context
from typing import Any, Generic, TypeVar

# Seconds. A signal that comes just as the main thread begins to wait for a lock does not wake it, for Python looks for
# signals before it asks the kernel to wait; so nothing there waits for longer than this at once.
SLICE = 0.25
T = TypeVar("T")
S = TypeVar("S")


class BackgroundCall(Generic[T]):
    """The result of a function that runs in a thread of its own from now on, with the context variables of who asked.
    Nobody waits for it at the end of the program, as a pool's threads would be waited for."""

    def __init__(self, function: Callable[[], T]) -> None:
        self.future: Future[T] = Future()
        threading.Thread(target=copy_context().run, args=(self._run, function), daemon=True).start()

    def _run(self, function: Callable[[], T]) -> None:
        try:
            self.future.set_result(function())
        except BaseException as error:  # whoever asks for the result gets it
            self.future.set_exception(error)

    def wait(self, seconds: float) -> bool:
        """Give it this long, or until it is done; True if it is."""
        return bool(wait([self.future], seconds).done)

    def result(self) -> T:
        """Wait for it; raises what the function raised."""
        wait_for_all([self.future])
        return self.future.result()


def wait_for_all(futures: Iterable[Future[Any]]) -> None:
    """Wait until all are done. Ctrl-C ends it."""
    left = set(futures)
    while left:
        left = wait(left, _longest_wait()).not_done


def join(threads: Iterable[threading.Thread]) -> None:
    """Wait until all have ended. Ctrl-C ends it."""
    for thread in threads:
        while thread.is_alive():
            thread.join(_longest_wait())


def _longest_wait() -> float | None:
    """How long to wait at once: signals come to the main thread only."""
    return SLICE if threading.current_thread() is threading.main_thread() else None


@contextmanager
def started(function: Callable[[S], T], values: Iterable[S], most: int) -> Iterator[list[Future[T]]]:
    """Begin the function for all values, `most` of them at once; the futures of the results, in the order of the
    values. After the block no further one is begun, and those under way are not waited for."""
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
            try:
                future.set_result(function(value))
            except BaseException as error:  # whoever asks for the result gets it
                future.set_exception(error)

    for _ in range(min(most, len(pairs))):
        BackgroundCall(work)
    try:
        yield [future for _, future in pairs]
    finally:
        stop.set()


def in_parallel(function: Callable[[S], T], values: Iterable[S], most: int) -> list[T]:
    """The results for all values in their order, `most` of them at once; raises what the function raised first. Unlike
    a pool, it does not wait for what is under way when the user stops it."""
    with started(function, values, most) as futures:
        for future in futures:
            wait_for_all([future])
            future.result()
        return [future.result() for future in futures]
