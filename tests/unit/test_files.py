"""Files that are written anew in each run."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openstack_image_manager import files
from openstack_image_manager.errors import Error, UsageError


def test_a_file_is_replaced_with_its_mode_and_through_a_link(tmp_path: Path) -> None:
    real, link = tmp_path / "real.json", tmp_path / "link.json"
    real.write_text("old")
    real.chmod(0o640)
    link.symlink_to(real)
    with real.open() as before:
        files.write(link, "näw")
        assert before.read() == "old"
    assert (link.is_symlink(), files.read(real), real.stat().st_mode & 0o777) == (True, "näw", 0o640)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.json", "real.json"]


def test_a_new_file_has_the_rights_that_the_user_gives_to_files(tmp_path: Path) -> None:
    before = os.umask(0o027)
    try:
        files.write(tmp_path / "x.prom", "1")
    finally:
        os.umask(before)
    assert (tmp_path / "x.prom").stat().st_mode & 0o777 == 0o640


def test_what_can_t_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "x.json").mkdir()
    with pytest.raises(Error, match="cannot be written: Is a directory"):
        files.write(tmp_path / "x.json", "1")
    with pytest.raises(Error, match="cannot be written: No such file"):
        files.write(tmp_path / "no" / "x.json", "1")
    assert [path.name for path in tmp_path.iterdir()] == ["x.json"]


def test_the_check_comes_first(tmp_path: Path) -> None:
    files.check_writable(tmp_path / "x.json", (".json", ".md"), "--report")
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(UsageError, match=r"the name must end in \.json or \.md"):
        files.check_writable(tmp_path / "x", (".json", ".md"), "--report")
    (tmp_path / "d.json").mkdir()
    with pytest.raises(Error, match="exists and is not a file; nothing was done"):
        files.check_writable(tmp_path / "d.json", (".json",), "--report")
    with pytest.raises(Error, match="No such file or directory; nothing was done"):
        files.check_writable(tmp_path / "no" / "x.json", (".json",), "--report")


def test_what_can_t_be_read_was_empty(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(b"\xff")
    assert (files.read(tmp_path / "x"), files.read(tmp_path / "y")) == ("", "")


def test_a_file_keeps_its_permissions_and_a_private_one_is_never_open_to_others(tmp_path):
    path = tmp_path / "file"
    for mode in (0o640, 0o600):
        path.write_text("old")
        path.chmod(mode)
        files.replace(path, b"new")
        assert (path.read_bytes(), path.stat().st_mode & 0o777) == (b"new", mode)
    path.chmod(0o666)
    files.write_private(path, "secret")
    assert path.stat().st_mode & 0o777 == 0o600
    link = tmp_path / "link"
    link.symlink_to(path)
    files.replace(link, b"not a link now")
    assert (link.is_symlink(), path.read_text()) == (False, "secret")
    with pytest.raises(OSError, match="Is a directory"):
        files.replace(tmp_path, b"")
    assert {each.name for each in tmp_path.iterdir()} == {"file", "link"}
