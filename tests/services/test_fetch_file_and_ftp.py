"""Downloads by other ways than HTTP: local files, and FTP from a real server on loopback."""

from __future__ import annotations

import logging
import threading
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from openstack_image_manager.errors import FetchError
from openstack_image_manager.fetch import Download, last_modified
from tests.services.downloads import CONTENT, CUT, OTHER, read, refused

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # Python 3.11 says that its asyncore will go
    from pyftpdlib.authorizers import DummyAuthorizer
    from pyftpdlib.handlers import DTPHandler, FTPHandler
    from pyftpdlib.servers import ThreadedFTPServer


def test_local_files(tmp_path: Path) -> None:
    path = tmp_path / "größe 1%.img"
    path.write_bytes(CONTENT)
    assert path.as_uri().startswith("file:///")
    assert read(path.as_uri()) == CONTENT
    assert read(path.as_uri().replace("file:///", "FILE://localhost/")) == CONTENT
    assert last_modified(path.as_uri()) is None


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("file:///nowhere/a.img", "No such file or directory"),
        ("file:///", "Is a directory"),
        ("file:///etc%00/a.img", "embedded null byte"),
        ("file://srv/images/a.img", "a file: URL has three slashes: file:///path/to/image"),
        ("gopher://x/a.img", "only http, https, ftp, file can be read"),
    ],
)
def test_local_files_that_cannot_be_read(url: str, message: str) -> None:
    assert refused(url) == f"{url}: {message}"


@pytest.mark.parametrize(("size", "after"), [(CUT - 1, OTHER), (CUT + 1, CONTENT)])
def test_a_local_file_that_shrinks_and_another_that_is_whole_again(tmp_path: Path, size: int, after: bytes) -> None:
    path = tmp_path / "a.img"
    path.write_bytes(CONTENT)
    with Download(path.as_uri()) as download:
        head = download.read(CUT)
        with path.open("r+b") as file:
            file.truncate(size)
        if after == OTHER:
            with pytest.raises(FetchError, match="it changed at the upstream"):
                download.readall()
            return
        replacement = tmp_path / "b.img"
        replacement.write_bytes(after)
        replacement.replace(path)
        assert head is not None
        assert head + download.readall() == CONTENT


class FtpData(DTPHandler):
    """Data connections of which the next break off after so many bytes, the last number first."""

    cuts: ClassVar[list[int]] = []

    def send(self, data: bytes) -> int:
        if not FtpData.cuts:
            return int(super().send(data))
        sent: int = super().send(data[: FtpData.cuts.pop()])
        self.close()
        return sent


@pytest.fixture
def ftp(tmp_path: Path) -> Iterator[str]:
    """The address of an FTP server with the content as /dir/größe 1.img, for one user only."""
    folder = tmp_path / "ftp" / "dir"
    folder.mkdir(parents=True)
    (folder / "größe 1.img").write_bytes(CONTENT)
    (folder / "empty.img").write_bytes(b"")
    logging.getLogger("pyftpdlib").setLevel(logging.CRITICAL)

    class Handler(FTPHandler):
        authorizer = DummyAuthorizer()
        dtp_handler = FtpData
        use_sendfile = False
        auth_failed_timeout = 0

    Handler.authorizer.add_user("me", "geheim", str(tmp_path / "ftp"))
    FtpData.cuts = []
    server = ThreadedFTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"timeout": 0.05, "handle_exit": False})
    thread.start()
    yield f"ftp://me:geheim@127.0.0.1:{server.address[1]}/dir"
    server.close_all()
    thread.join()


def test_ftp(ftp: str) -> None:
    assert read(f"{ftp}/gr%C3%B6%C3%9Fe%201.img") == CONTENT
    assert read(f"{ftp}/empty.img") == b""
    assert last_modified(f"{ftp}/empty.img") is None
    with Download(f"{ftp}/gr%C3%B6%C3%9Fe%201.img") as download:
        assert download.size == len(CONTENT)
        assert download.read(10) == CONTENT[:10]


@pytest.mark.parametrize("cuts", [[1000], [500, 1000]], ids=["once", "and again, earlier"])
def test_ftp_that_breaks_off_is_read_again(ftp: str, cuts: list[int]) -> None:
    FtpData.cuts = cuts
    assert read(f"{ftp}/gr%C3%B6%C3%9Fe%201.img") == CONTENT


@pytest.mark.parametrize(
    ("path", "message"), [("nothing.img", "550"), ("a%0d%0aDELE%20b", "illegal newline character")]
)
def test_ftp_that_refuses(ftp: str, path: str, message: str) -> None:
    said = refused(f"{ftp}/{path}")
    assert message in said
    assert "geheim" not in said


def test_ftp_that_refuses_the_user(ftp: str) -> None:
    assert "530" in refused(f"{ftp.replace('geheim', 'falsch')}/a.img")
