"""The folder of a site: only what is ours is written over or removed, and readers never see half of a file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from openstack_image_manager.errors import Error
from openstack_image_manager.site import writer
from openstack_image_manager.site.writer import LIST, Written

FILES = {"style.css": b"a", "images/x.html": b"x", "images/y.html": b"y", "index.html": b"i"}


def there(site: Path) -> dict[str, bytes]:
    files = [path for path in site.rglob("*") if path.is_file() and path.name != LIST]
    return {path.relative_to(site).as_posix(): path.read_bytes() for path in files}


def test_files_are_added_changed_and_removed(tmp_path):
    site = tmp_path / "new" / "site"
    assert writer.write(site, FILES) == Written(4, 0, 0)
    assert there(site) == FILES
    before = (site / "style.css").stat().st_mtime_ns
    assert writer.write(site, FILES) == Written(0, 4, 0)
    assert (site / "style.css").stat().st_mtime_ns == before
    later = {"style.css": b"b", "index.html": b"i"}
    assert writer.write(site, later) == Written(1, 1, 2)
    assert there(site) == later
    assert not (site / "images").exists()
    umask = os.umask(0)
    os.umask(umask)
    assert (site / "index.html").stat().st_mode & 0o777 == 0o666 & ~umask


def test_other_files_are_kept(tmp_path):
    writer.write(tmp_path, FILES)
    (tmp_path / "robots.txt").write_text("mine")
    (tmp_path / "images" / "logo.png").write_text("mine")
    writer.write(tmp_path, {"index.html": b"i"})
    assert there(tmp_path) == {"index.html": b"i", "robots.txt": b"mine", "images/logo.png": b"mine"}


def test_a_missing_file_is_not_an_error(tmp_path):
    writer.write(tmp_path, FILES)
    (tmp_path / "images" / "x.html").unlink()
    assert writer.write(tmp_path, {"index.html": b"i"}) == Written(0, 1, 2 - 1 + 1)


def test_a_link_is_replaced_and_not_followed(tmp_path):
    site, other = tmp_path / "site", tmp_path / "other"
    writer.write(site, FILES)
    other.write_bytes(b"i")
    (site / "index.html").unlink()
    (site / "index.html").symlink_to(other)
    assert writer.write(site, FILES | {"index.html": b"new"}).written == 1
    assert other.read_bytes() == b"i"
    assert not (site / "index.html").is_symlink()


def test_directories_with_other_content_are_refused(tmp_path):
    (tmp_path / "letter.txt").write_text("dear")
    for use in (writer.check, lambda site: writer.write(site, FILES)):
        with pytest.raises(Error, match="is neither empty nor a site of this command"):
            use(tmp_path)
    assert there(tmp_path) == {"letter.txt": b"dear"}
    with pytest.raises(Error, match="Not a directory"):
        writer.check(tmp_path / "letter.txt")
    with pytest.raises(Error, match="Not a directory"):
        writer.write(tmp_path / "letter.txt" / "site", FILES)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        '{"kind": "x", "files": []}',
        f'{{"kind": "{writer.KIND}"}}',
        f'{{"kind": "{writer.KIND}", "files": [1]}}',
        f'{{"kind": "{writer.KIND}", "files": ["../letter.txt"]}}',
        f'{{"kind": "{writer.KIND}", "files": ["/etc/passwd"]}}',
        f'{{"kind": "{writer.KIND}", "files": [""]}}',
        "[" * 100_000,
    ],
)
def test_a_damaged_list_removes_nothing(tmp_path, text):
    site = tmp_path / "site"
    writer.write(site, FILES)
    (site / LIST).write_text(text)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(Error, match="is damaged"):
        writer.write(site, {"index.html": b"n"})
    assert there(site) == FILES
    assert (tmp_path / "letter.txt").exists()


def test_a_run_that_fails_is_finished_by_the_next_one(tmp_path):
    writer.write(tmp_path, FILES)
    (tmp_path / "images" / "x.html").unlink()
    (tmp_path / "images" / "x.html").mkdir()
    with pytest.raises(Error, match=r"x\.html: Is a directory"):
        writer.write(tmp_path, {"new.html": b"n", "images/x.html": b"z"})
    assert not list(tmp_path.rglob("*.partial"))
    (tmp_path / "images" / "x.html").rmdir()
    writer.write(tmp_path, {"index.html": b"n"})
    assert there(tmp_path) == {"index.html": b"n"}


def test_everything_a_page_needs_comes_with_the_package():
    texts = writer.texts()
    assert set(texts) == {*writer.TEMPLATES, *writer.ASSETS}
    assert all(texts.values())
