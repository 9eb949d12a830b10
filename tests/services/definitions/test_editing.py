"""The door through which definition files are changed, with real files and processes."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.privileges import NOBODY, without_rights

from openstack_image_manager.definitions.editing.edit import AddVersion, edit
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
from openstack_image_manager.errors import Error

TEXT = "images:\r\n- name: A # \u00e9\r\n  format: raw\r\n  versions: []"
ADDER = """
import sys
from openstack_image_manager.definitions.editing.edit import AddVersion, edit
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
path, first, last = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, last):
    add = AddVersion("A", {"version": str(number), "url": f"https://x/{number}"})
    assert rewrite(path, lambda text: edit(text, [add], path))
"""
HOLDER = """
import sys
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
def hold(text):
    print("locked", flush=True)
    sys.stdin.readline()
    return text + "# more"
rewrite(sys.argv[1], hold)
print("done", flush=True)
"""
FLIPPER = """
import sys
from openstack_image_manager.definitions.editing.locked_rewrite import rewrite
one, two = "1" * 300_000, "2" * 300_000
while rewrite(sys.argv[1], lambda text: two if text == one else one):
    print("flipped", flush=True)
"""


@contextmanager
def python(code: str, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A process of its own, that ends with the block."""
    command = [sys.executable, "-c", code, *map(str, arguments)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def told(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    return process.stdout.readline().strip()


def go(process: subprocess.Popen[str]) -> None:
    assert process.stdin
    process.stdin.write("go\n")
    process.stdin.flush()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.yml"
    path.write_bytes(b"\xef\xbb\xbf" + TEXT.encode())
    path.chmod(0o640)
    return path


def more(text: str) -> str:
    return text + "# more"


def test_a_file_is_replaced_with_its_mode_and_bytes(file: Path) -> None:
    if os.geteuid() == 0:
        os.chown(file, NOBODY, NOBODY)
    before = file.stat()
    assert rewrite(str(file), more) is True
    assert file.read_bytes() == b"\xef\xbb\xbf" + TEXT.encode() + b"# more"
    after = file.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)
    assert after.st_ino != before.st_ino
    assert os.listdir(file.parent) == ["a.yml"]


def test_nothing_is_written_where_nothing_changes(file: Path) -> None:
    before = file.stat()
    assert rewrite(str(file), lambda text: text) is False
    after = file.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_a_link_stays_and_its_target_is_replaced(file: Path, tmp_path: Path) -> None:
    (tmp_path / "links").mkdir()
    link = tmp_path / "links" / "b.yml"
    link.symlink_to("../a.yml")
    assert rewrite(str(link), more)
    assert os.readlink(link) == "../a.yml"
    assert file.read_text("utf-8").endswith("# more")
    assert os.listdir(link.parent) == ["b.yml"]


def test_the_directory_of_the_process_is_enough(file: Path) -> None:
    here = os.getcwd()
    try:
        os.chdir(file.parent)
        assert rewrite("a.yml", more)
    finally:
        os.chdir(here)
    assert file.read_text("utf-8").endswith("# more")


def test_what_the_edit_raises_passes_and_changes_nothing(file: Path) -> None:
    def fail(text: str) -> str:
        raise Error("no")

    for expected in ("no", "no"):
        before = file.read_bytes()
        with pytest.raises(Error, match=f"^{expected}$"):
            rewrite(str(file), fail)
        assert file.read_bytes() == before
    assert rewrite(str(file), more, wait=0)


def test_what_a_killed_process_left_is_in_no_ones_way(file: Path) -> None:
    (file.parent / ".a.yml.new").write_text("half", "utf-8")
    assert rewrite(str(file), more)
    assert os.listdir(file.parent) == ["a.yml"]


def other_program(file: Path, text: str) -> str:
    file.write_text(text + "# by hand", "utf-8")
    return more(text)


def read_only(file: Path) -> None:
    file.chmod(0o440)


def not_utf8(file: Path) -> None:
    file.write_bytes(b"a\xff")


def directory(file: Path) -> None:
    file.unlink()
    file.mkdir()


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (read_only, "{}: is read-only; chmod u+w lets it be changed"),
        (not_utf8, "{}: byte 0xff at offset 1 is not UTF-8"),
        (directory, "{}: is not a file"),
        (Path.unlink, "{}: cannot be changed: No such file or directory; check its permissions and the disk"),
    ],
)
def test_what_cannot_be_rewritten(file: Path, prepare: Callable[[Path], None], message: str) -> None:
    prepare(file)
    with pytest.raises(Error) as caught:
        rewrite(str(file), more)
    assert str(caught.value) == message.format(file)


def test_a_directory_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(Error, match=r"none/a.yml: cannot be changed: No such file or directory"):
        rewrite(str(tmp_path / "none" / "a.yml"), more)


def test_a_program_that_does_not_lock_is_not_overwritten(file: Path) -> None:
    with pytest.raises(
        Error, match="was changed by another program at the same time, so this change was not made; try again"
    ):
        rewrite(str(file), partial(other_program, file))
    assert file.read_text("utf-8").endswith("# by hand")
    assert os.listdir(file.parent) == ["a.yml"]


def test_directories_and_files_that_may_not_be_written() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "a.yml"
        path.write_text("a", "utf-8")
        path.chmod(0o666)
        folder.chmod(0o555)
        with without_rights(), pytest.raises(Error, match=r"a.yml: cannot be changed: Permission denied; check its"):
            rewrite(str(path), more)
        folder.chmod(0o777)
        path.chmod(0o444)
        with without_rights(), pytest.raises(Error, match=r"a.yml: is read-only; chmod u\+w"):
            rewrite(str(path), more)
        assert path.read_text("utf-8") == "a"
        assert os.listdir(folder) == ["a.yml"]
        path.chmod(0o666)
        with without_rights():
            assert rewrite(str(path), more)
        assert path.read_text("utf-8") == "a# more"
        assert stat.S_IMODE(path.stat().st_mode) == 0o666


@pytest.mark.parametrize("count", [2, 8])
def test_processes_at_the_same_moment_lose_nothing(file: Path, count: int) -> None:
    each = 3
    with ExitStack() as stack:
        ranges = [(number * each, (number + 1) * each) for number in range(count)]
        processes = [stack.enter_context(python(ADDER, file, *numbers)) for numbers in ranges]
        assert [told(process) for process in processes] == ["ready"] * count
        for process in processes:
            go(process)
        assert [process.wait(60) for process in processes] == [0] * count
    text = file.read_bytes().decode("utf-8")
    assert {f"https://x/{number}" in text for number in range(count * each)} == {True}
    assert text.count("- version:") == count * each
    assert os.listdir(file.parent) == ["a.yml"]


def test_the_wait_for_the_lock_is_bounded_and_says_why(file: Path) -> None:
    other = file.parent / "b.yml"
    other.write_text("b", "utf-8")
    with python(HOLDER, file) as process:
        assert told(process) == "locked"
        began = time.monotonic()
        with pytest.raises(Error, match=r"b.yml: another process has been changing files in .* for 0.1 seconds; wait"):
            rewrite(str(other), more, wait=0.1)
        assert 0.1 <= time.monotonic() - began < 10
        go(process)
        assert told(process) == "done"
    assert rewrite(str(other), more, wait=0)
    assert file.read_text("utf-8").endswith("# more")


def test_a_process_killed_under_the_lock_leaves_the_old_file_and_no_lock(file: Path) -> None:
    before = file.read_bytes()
    with python(HOLDER, file) as process:
        assert told(process) == "locked"
        process.kill()
        process.wait(60)
    assert file.read_bytes() == before
    assert rewrite(str(file), more, wait=0)


def test_a_process_killed_at_any_moment_leaves_one_whole_text(file: Path) -> None:
    for flips in range(1, 6):
        with python(FLIPPER, file) as process:
            assert [told(process) for _ in range(flips)] == ["flipped"] * flips
            process.kill()
            process.wait(60)
        assert file.read_text("utf-8") in ("1" * 300_000, "2" * 300_000)
    assert rewrite(str(file), lambda text: text[:1], wait=0)
    assert os.listdir(file.parent) == ["a.yml"]


def test_edits_go_through_the_door(file: Path) -> None:
    add = AddVersion("A", {"version": "1", "url": "https://x/1"})
    assert rewrite(str(file), lambda text: edit(text, [add], str(file)))
    added = "\r\n  - version: '1'\r\n    url: https://x/1"
    assert file.read_bytes().decode("utf-8-sig") == TEXT.replace("versions: []", "versions:" + added)
