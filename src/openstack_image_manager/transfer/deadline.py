"""End connections at a deadline or when the user stops, whatever is being read from them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import closing, suppress
from typing import Any, TypeVar

from openstack_image_manager.background import BackgroundCall

TICK = 0.2  # seconds between two checks of the clock
GRACE = 1.0  # seconds: a wait that ends by itself at the deadline has the better message
T = TypeVar("T")


class ConnectionWatch:
    """Watches the connections of one download.

    The timeout of a socket counts from the last byte, so a site that sends single bytes, or `100 Continue` for ever,
    never meets it. The watch shuts the connections down, so that every read ends. `ended`: it has done so.
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
        """Watch this connection, too. Raises OSError after the end of the watch."""
        # A copy, because the TLS of the standard library detaches the connection from the object that it gets.
        copy = connection.dup()
        with self._lock:
            if not self.ended:
                self._connections.append(copy)
                return
        copy.close()
        raise ConnectionAbortedError("it is too late for another connection")

    def run(self, call: Callable[[], T]) -> T:
        """Call it in a thread, and leave it alone when time is up: the resolver and the attempts at many addresses have
        no connection that could be shut down. Raises TimeoutError."""
        running = BackgroundCall(call)
        while not running.wait(TICK):
            if self._is_over():
                self._end()
                running.future.add_done_callback(_close)
                raise TimeoutError("it did not answer in time")
        answer = running.result()
        if self._guard is None:
            self._guard = threading.Thread(target=self._watch, daemon=True)
            self._guard.start()
        return answer

    def release(self) -> None:
        """Shut down the current connections; others may follow."""
        with self._lock:
            connections, self._connections = self._connections, []
        for connection in connections:
            with closing(connection), suppress(OSError):  # the other side may have ended it
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End the watch."""
        self._closed.set()
        self.release()

    def _watch(self) -> None:
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
    """Close an answer that comes after the deadline."""
    if future.exception() is None:
        future.result().close()
