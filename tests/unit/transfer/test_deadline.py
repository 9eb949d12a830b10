"""Connections under watch end at a deadline, or when somebody stops, whatever is being read from them."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator

import pytest

from openstack_image_manager.transfer.deadline import GRACE, ConnectionWatch


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A connection and its other side, whose reads give up after a minute."""
    one, other = socket.socketpair()
    with one, other:
        for each in (one, other):
            each.settimeout(60)
        yield one, other


class Late:
    """An answer that somebody may close."""

    def __init__(self) -> None:
        self.closed = threading.Event()

    def close(self) -> None:
        self.closed.set()


def test_every_read_ends_when_somebody_stops_also_after_several_answers(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    stop = threading.Event()
    watch = ConnectionWatch(None, stop)
    assert [watch.run(lambda answer=answer: answer) for answer in (1, 2)] == [1, 2]
    watch.add(pair[0])
    stop.set()
    assert [each.recv(1) for each in pair] == [b"", b""]
    assert watch.ended


def test_every_read_ends_at_the_deadline(pair: tuple[socket.socket, socket.socket]) -> None:
    watch = ConnectionWatch(time.monotonic() - GRACE, threading.Event())
    watch.add(pair[0])
    watch.run(lambda: None)
    assert pair[0].recv(1) == b""


def test_an_answer_that_comes_too_late_is_closed_and_no_connection_is_taken_any_more(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    stop, go_on, late = threading.Event(), threading.Event(), Late()
    stop.set()
    watch = ConnectionWatch(None, stop)

    def answer() -> Late:
        go_on.wait(60)
        return late

    with pytest.raises(TimeoutError, match="did not answer in time"):
        watch.run(answer)
    with pytest.raises(ConnectionAbortedError, match="too late for another connection"):
        watch.add(pair[0])
    pair[0].sendall(b"x")  # the connection itself is the caller's to close
    assert pair[1].recv(1) == b"x"
    go_on.set()
    assert late.closed.wait(60)


def test_a_released_connection_ends_and_others_may_follow(pair: tuple[socket.socket, socket.socket]) -> None:
    watch = ConnectionWatch(None, threading.Event())
    watch.add(pair[0])
    watch.release()
    assert pair[1].recv(1) == b""
    assert not watch.ended
    watch.close()


def test_what_a_call_raises_is_raised() -> None:
    def fail() -> None:
        raise LookupError("no such host")

    with pytest.raises(LookupError, match="no such host"):
        ConnectionWatch(None, threading.Event()).run(fail)
