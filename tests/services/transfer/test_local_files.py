"""Downloads of local files, and what is no file that ends."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from tests.support.downloads import CONTENT, CUT, OTHER, read, refused

from openstack_image_manager.errors import FetchError
from openstack_image_manager.transfer.download import Download, last_modified


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
        ("file:///", "is not a regular file"),
        ("file:///dev/zero", "is not a regular file"),
        ("file:///proc/self/environ", "is not a regular file"),
        ("file:///proc/../proc/self/./environ", "is not a regular file"),
        ("file:///sys/kernel/mm/transparent_hugepage/enabled", "is not a regular file"),
        ("file:///etc%00/a.img", "embedded null byte"),
        ("file://srv/images/a.img", "a file: URL has three slashes: file:///path/to/image"),
        ("gopher://x/a.img", "only http, https, file can be read"),
        ("ftp://u:geheim@x/a.img", "ftp: is not supported; use https"),
    ],
)
def test_local_files_that_cannot_be_read(url: str, message: str) -> None:
    assert refused(url) == f"{url.replace('u:geheim@', '')}: {message}"


def test_pipes_sockets_and_links_to_devices(tmp_path: Path) -> None:
    """None of them is waited for."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    (tmp_path / "kernel").symlink_to("/proc/self/environ")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket"))
        for name in ("pipe", "link", "kernel"):
            assert refused((tmp_path / name).as_uri()).endswith(f"/{name}: is not a regular file")
        assert refused((tmp_path / "socket").as_uri()).endswith("/socket: No such device or address")


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
