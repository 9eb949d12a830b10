"""Bounds on answers, against services that never come to an end."""

from __future__ import annotations

import contextlib
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from botocore.awsrequest import AWSRequest
from botocore.exceptions import HTTPClientError
from botocore.httpsession import URLLib3Session
from requests.adapters import HTTPAdapter

from openstack_image_manager.cloud.answers import BoundedAdapter, RefusedAnswerError
from openstack_image_manager.errors import StorageError
from openstack_image_manager.mirror import s3_answers

HEAD = b"HTTP/1.1 200 OK\r\n"
Talk = Callable[[Any, threading.Event], None]


@contextmanager
def talking(talk: Talk) -> Iterator[str]:
    """The address of a service that answers each connection so."""
    end = threading.Event()

    class Handler(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with contextlib.suppress(OSError):
                talk(self.request, end)

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            end.set()
            server.shutdown()
            thread.join()


def repeating(head: bytes, piece: bytes) -> Talk:
    """Read the request's head, then send this for ever."""

    def talk(connection: Any, end: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(head)
        while not end.wait(0.05):
            connection.sendall(piece)

    return talk


def complete(connection: Any, _end: threading.Event) -> None:
    """Read an upload of one piece to its end, then answer."""
    received = b""
    while not received.endswith(b"\r\n0\r\n\r\n"):
        received += connection.recv(65536)
    connection.sendall(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")


@contextmanager
def bounded(longest: float) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.mount("http://", BoundedAdapter(HTTPAdapter(), longest))
        yield session


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD + b"X-Odd: ", b"x"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b"x"),
    ],
    ids=["header", "100 Continue", "body"],
)
@pytest.mark.parametrize("method", ["GET", "PUT"])
def test_an_answer_that_drips(head: bytes, piece: bytes, method: str) -> None:
    """No pause between two bytes is long enough for a timeout of the socket; an upload has a clock of its own."""
    data = iter([b"x"]) if method == "PUT" else None
    with talking(repeating(head, piece)) as url, bounded(0.3) as session, pytest.raises(RefusedAnswerError) as refused:
        session.request(method, f"{url}/x?token=a", data=data, timeout=(1, 1))
    assert str(refused.value) == f"the answer of {url}/x takes longer than 1 s"


def test_a_service_that_takes_nothing_of_an_upload() -> None:
    def talk(_connection: Any, end: threading.Event) -> None:
        end.wait(60)

    def pieces() -> Iterator[bytes]:
        while True:
            yield b"x" * 1024**2

    with (
        talking(talk) as url,
        bounded(0.3) as session,
        pytest.raises(RefusedAnswerError, match="takes longer than 2 s"),
    ):
        session.put(url, data=pieces(), timeout=(30, 2))


def test_an_upload_may_wait_for_its_source() -> None:
    ready = threading.Event()

    def pieces() -> Iterator[bytes]:
        assert not ready.wait(1.5)  # far longer than an answer may take
        yield b"x"

    with talking(complete) as url, bounded(0.3) as session:
        assert session.put(url, data=pieces()).text == "ok"


def test_what_an_upload_raises_is_raised() -> None:
    def pieces() -> Iterator[bytes]:
        yield b"x"
        raise KeyError("source")

    with talking(complete) as url, bounded(5) as session, pytest.raises(KeyError, match="source"):
        session.put(url, data=pieces())


def test_an_answer_that_breaks_off() -> None:
    def talk(connection: Any, _end: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Content-Length: 9\r\n\r\nx")

    with talking(talk) as url, bounded(5) as session, pytest.raises(requests.exceptions.ChunkedEncodingError):
        session.get(url)


def test_an_answer_that_stops() -> None:
    def talk(connection: Any, end: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Content-Length: 9\r\n\r\nx")
        end.wait(60)

    with talking(talk) as url, bounded(5) as session, pytest.raises(requests.ConnectionError, match="timed out"):
        session.get(url, timeout=0.2)


def stored(url: str, longest: float, is_object: bool = False, **headers: str) -> Any:
    """The answer of an object storage, whose botocore sends what boto3 would."""
    session = s3_answers.BoundedSession(URLLib3Session(timeout=(5, 5)), longest)
    request = AWSRequest("GET", f"{url}/bucket?X-Amz-Signature=secret", headers, stream_output=is_object).prepare()
    try:
        return session.send(request)
    finally:
        session.close()


@pytest.mark.parametrize(
    ("head", "piece"),
    [
        (HEAD + b"Content-Length: 1000000\r\n\r\n", b" "),
        (HEAD, b"X: x\r\n"),
        (b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    ],
    ids=["body", "headers", "100 Continue"],
)
def test_an_answer_of_a_storage_takes_no_longer_than_allowed(head: bytes, piece: bytes) -> None:
    with talking(repeating(head, piece)) as url, pytest.raises(StorageError) as failed:
        stored(url, 0.5)
    assert str(failed.value) == f"{url}/bucket: the answer takes longer than 0 s"


@pytest.mark.parametrize(("is_object", "status"), [(False, b"200 OK"), (True, b"404 Not Found")])
def test_an_answer_of_a_storage_is_no_larger_than_allowed(is_object: bool, status: bytes) -> None:
    with (
        talking(repeating(b"HTTP/1.1 " + status + b"\r\n\r\n", bytes(8 * 1024**2))) as url,
        pytest.raises(StorageError, match="/bucket: the answer is larger than 64 MiB"),
    ):
        stored(url, 30, is_object)


def test_the_bytes_of_an_object_are_given_as_they_come() -> None:
    with talking(repeating(HEAD + b"Content-Length: 1000000\r\n\r\n", b" ")) as url:
        answer = stored(url, 30, is_object=True)
        assert 0 < len(answer.raw.read(1000)) < 1000
        answer.raw.close()


def test_a_broken_answer_of_a_storage_is_told_in_words_of_botocore() -> None:
    def talk(connection: Any, _end: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Transfer-Encoding: chunked\r\n\r\n5\r\nab")

    with talking(talk) as url, pytest.raises(HTTPClientError):
        stored(url, 30)


def test_a_whole_answer_of_a_storage() -> None:
    def talk(connection: Any, _end: threading.Event) -> None:
        connection.recv(65536)
        connection.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")

    with talking(talk) as url:
        assert stored(url, 30).content == b"ok"


def test_more_bytes_may_take_longer() -> None:
    assert s3_answers.is_late(301, 0)
    assert not s3_answers.is_late(301, 2 * s3_answers.SLOWEST)
