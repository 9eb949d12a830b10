"""What is asked for now and needed later."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future, wait
from contextvars import copy_context
from typing import Generic, TypeVar

T = TypeVar("T")


class Ahead(Generic[T]):
    """The result of a function that runs in a thread of its own from now on, with the context variables of who asked.
    Nobody waits for it at the end of the program, as a pool's threads would be waited for."""

    def __init__(self, function: Callable[[], T]) -> None:
        self._future: Future[T] = Future()
        threading.Thread(target=copy_context().run, args=(self._run, function), daemon=True).start()

    def _run(self, function: Callable[[], T]) -> None:
        try:
            self._future.set_result(function())
        except BaseException as error:  # whoever asks for the result gets it
            self._future.set_exception(error)

    def wait(self, seconds: float) -> None:
        """Give it this long, or until it is done."""
        wait([self._future], seconds)

    def result(self) -> T:
        """Wait for it; raises what the function raised."""
        return self._future.result()
