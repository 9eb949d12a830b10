"""Ends connections at a deadline, or when the user stops, whatever is being read from them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any, TypeVar

from openstack_image_manager.background import BackgroundCall

TICK = 0.2  # seconds between two looks at the clock
GRACE = 1.0  # seconds: a wait that ends by itself at the deadline says better what it waited for
T = TypeVar("T")


class ConnectionWatch:
    """Watches the connections of one download.

    A timeout of a socket counts from the last byte: a site that drips bytes, or answers `100 Continue` for ever, never
    meets one. The watch shuts the connections down, so that every read of them ends. `ended`: it has done so.
    """

    def __init__(self, deadline: float | None, stop: threading.Event) -> None:
        self.ended = False
        self._deadline = deadline
        self._stop = stop
        self._lock = threading.Lock()
        self._connections: list[socket.socket] = []
        self._closed = threading.Event()
        self._guard: threading.Thread | None = None

    def add(self, connection: socket.socket) -> None:
        """Watch this connection too. Raises OSError when it comes too late."""
        # A copy, for the TLS of the standard library takes the connection out of the object it is given.
        copy = connection.dup()
        with self._lock:
            if not self.ended:
                self._connections.append(copy)
                return
        copy.close()
        raise ConnectionAbortedError("it is too late for another connection")

    def run(self, call: Callable[[], T]) -> T:
        """Call it in a thread of its own, and leave it alone when time is up: names are resolved, and many addresses
        are tried, without a connection that could be shut down. Raises TimeoutError."""
        running = BackgroundCall(call)
        while not running.wait(TICK):
            if self._is_over():
                self._end()
                running.future.add_done_callback(_close)
                raise TimeoutError("it did not answer in time")
        answer = running.result()
        if self._guard is None:
            self._guard = threading.Thread(target=self._look, daemon=True)
            self._guard.start()
        return answer

    def release(self) -> None:
        """Shut down the connections there are; others may follow."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            with closing(connection), suppress(OSError):  # the other side may have ended it
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Watch no longer."""
        self._closed.set()
        self.release()

    def _look(self) -> None:
        while not self._closed.wait(TICK):
            if self._is_over():
                self._end()
                return

    def _is_over(self) -> bool:
        late = self._deadline is not None and time.monotonic() > self._deadline + GRACE
        return late or self._stop.is_set()

    def _end(self) -> None:
        with self._lock:
            self.ended = True
        self.release()


def _close(future: Future[Any]) -> None:
    """Close the answer that comes when nobody waits for it any more."""
    if future.exception() is None:
        future.result().close()
