"""What the door to download sites keeps of documents: validators, damage, age, several processes at once."""

from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest
from tests.support.scripted import DAY, Script, answer, whole
from tests.support.site import TestSite

from openstack_image_manager.errors import FetchError
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.upstreams.cache import KEEP, Cache, default_directory
from openstack_image_manager.upstreams.sites import Sites, sites_from_environment


@pytest.fixture
def cache(tmp_path: Path) -> Cache:
    return Cache(tmp_path / "cache" / "documents")


def test_what_did_not_change_comes_from_the_cache(cache: Cache) -> None:
    first = whole(b"one", ETag='W/"a"', Last_Modified=DAY)
    with serving(Script(first, answer(304, b""), answer(304, b""), whole(b"two"), whole(b"three"))) as server:
        assert Sites(cache=cache).document(server.url).data == b"one"
        assert "If-None-Match" not in server.asked[0]
        for _ in range(2):
            document = Sites(cache=cache).document(server.url)
            assert (document.data, document.last_modified) == (b"one", DAY)
            assert server.asked[-1]["If-None-Match"] == 'W/"a"'
            assert server.asked[-1]["If-Modified-Since"] == DAY
        assert Sites(cache=cache).document(server.url).data == b"two"
        assert Sites(cache=cache).document(server.url, fresh=True).data == b"three"
        assert "If-None-Match" not in server.asked[-1]
        Sites().document(server.url)
        assert "If-None-Match" not in server.asked[-1]


def test_a_site_without_validators_is_asked_anew(cache: Cache) -> None:
    with serving(Script(whole(b"one"), whole(b"two"))) as server:
        assert Sites(cache=cache).document(server.url).data == b"one"
        assert Sites(cache=cache).document(server.url).data == b"two"
        assert not cache.directory.exists()


def test_304_that_no_one_asked_for(cache: Cache) -> None:
    with serving(Script(answer(304, b""))) as server, pytest.raises(FetchError, match="304 Not Modified"):
        Sites(cache=cache).document(server.url)


@pytest.mark.parametrize("damage", ["cut", "changed", "no head", "of another", "a list", "gone", "directory", "nested"])
def test_a_damaged_cache_is_none(cache: Cache, damage: str) -> None:
    cache.put("https://x/a", b"one\ntwo", {"ETag": '"a"'})
    (path,) = cache.directory.iterdir()
    data = path.read_bytes()
    assert cache.get("https://x/a") is not None
    assert b"https://x/a" not in data
    assert path.stat().st_mode & 0o777 == 0o600
    path.unlink()
    if damage == "directory":
        path.mkdir()
    elif damage == "of another":
        cache.put("https://x/b", b"one\ntwo", {"ETag": '"a"'})
        next(cache.directory.iterdir()).rename(path)
    elif damage != "gone":
        changed = {"cut": data[:-1], "changed": data.replace(b"one", b"two"), "no head": b"one", "a list": b"[1]\none"}
        path.write_bytes(changed.get(damage, b"[" * 100_000))
    assert cache.get("https://x/a") is None


def test_a_cache_that_can_t_be_written_is_none(tmp_path: Path, site: TestSite) -> None:
    (tmp_path / "file").write_text("")
    url = site.put("/a", b"one")
    cache = Cache(tmp_path / "file" / "documents")
    assert Sites(cache=cache).document(url).data == b"one"
    cache.tidy()
    cache = Cache(tmp_path / "cache")
    cache.put(url, b"one", {"ETag": '"a"'})
    (path,) = cache.directory.iterdir()
    path.unlink()
    path.mkdir()
    cache.put(url, b"one", {"ETag": '"a"'})
    assert list(cache.directory.iterdir()) == [path]


def test_what_was_not_asked_for_in_a_long_time_goes(cache: Cache) -> None:
    for name in "abc":
        cache.put(f"https://x/{name}", name.encode(), {"ETag": '"a"'})
    for path in cache.directory.iterdir():
        os.utime(path, (time.time() - KEEP - 60,) * 2)
    assert cache.get("https://x/b") is not None
    (cache.directory / "folder").mkdir()
    os.utime(cache.directory / "folder", (0, 0))
    cache.tidy()
    assert cache.get("https://x/a") is None
    assert cache.get("https://x/b") is not None


def _write(directory: str, letter: str) -> None:
    cache = Cache(Path(directory))
    for _ in range(200):
        cache.put("https://x/a", letter.encode() * 50_000, {"ETag": f'"{letter}"'})
        kept = cache.get("https://x/a")
        assert kept is not None
        assert kept.validators["ETag"] == f'"{chr(kept.data[0])}"'
        assert kept.data == kept.data[:1] * 50_000


def test_several_processes_use_one_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    workers = [context.Process(target=_write, args=(str(tmp_path), letter)) for letter in "ab"]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    assert len(list(tmp_path.iterdir())) == 1


def test_the_cache_of_the_user(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, site: TestSite) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert default_directory() == tmp_path / "cache" / "openstack-image-manager" / "documents"
    url = site.put("/a", b"one")
    sites_from_environment(use_cache=False).document(url)
    assert not (tmp_path / "cache").exists()
    sites_from_environment().document(url)
    assert len(list(default_directory().iterdir())) == 1
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert default_directory() == Path.home() / ".cache" / "openstack-image-manager" / "documents"
