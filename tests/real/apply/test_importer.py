"""What others do to an image while it comes in: work on it, delete it, break the calls for it."""

from __future__ import annotations

import hashlib
import threading

import pytest
from tests.support.bench import Bench
from tests.support.imports import ONE_IMAGE, content, define, failed, made
from tests.support.other_clients import OTHER_PROMISE, finish, gone, left_behind, status, until, uploading, web_download
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox import Sandbox


@pytest.mark.parametrize("end", ["it comes to its end", "it was another file"])
def test_an_upload_of_someone_else_is_waited_for(watched: Bench, proxy: Proxy, sandbox: Sandbox, end: str) -> None:
    promise = {markers.VERIFIED: OTHER_PROMISE} if end == "it was another file" else {}
    left = left_behind(watched, **promise)

    with uploading(watched, sandbox.url("glance-one"), left) as upload:
        rule = proxy.add(Rule("GET", f".*/{left}", nth=2, before=lambda: finish(watched, upload)))
        made(watched)
    assert rule.seen >= 2
    assert (watched.image("1").id == left) == (end == "it comes to its end")
    assert len(watched.images()) == 1


@pytest.mark.parametrize("fails", [False, True])
def test_an_import_of_someone_else_is_waited_for(watched: Bench, proxy: Proxy, fails: bool) -> None:
    left = left_behind(watched)
    hold = threading.Event()
    watched.site.put("/theirs.img", content(watched))
    theirs = watched.site.on("/theirs.img", Switches(hold=hold, truncate=1000 if fails else None))
    web_download(watched, left, theirs)
    until(lambda: status(watched, left) == "importing")
    proxy.add(Rule("GET", f".*/{left}", nth=2, before=hold.set))
    assert "another run is importing it: waiting" in made(watched).out
    assert (watched.image("1").id == left) == (not fails)
    assert len(watched.images()) == 1


def test_an_import_of_someone_else_that_cannot_be_looked_at(watched: Bench, proxy: Proxy) -> None:
    left = left_behind(watched)
    proxy.add(Rule("GET", f".*/{left}", status=500, body="no database"))
    assert "Glance answered 500: no database" in failed(watched)
    assert [image.id for image in watched.images()] == [left]


@pytest.mark.parametrize(("method", "path"), [("PUT", ".*/stage"), ("POST", ".*/import"), ("GET", ONE_IMAGE)])
@pytest.mark.parametrize("once", [True, False])
def test_a_record_that_is_deleted_during_the_import(
    watched: Bench, proxy: Proxy, method: str, path: str, once: bool
) -> None:
    """By a run that took it for left behind, or by a person: it is made once more, and not for ever."""
    define(watched)
    proxy.add(Rule(method, path, before=lambda: gone(watched), times=1 if once else None))
    if once:
        assert "was deleted by someone during its import; next try" in made(watched).out
        return
    assert "was deleted by someone during its import, as was the one before: run again" in failed(watched)
    assert watched.images() == []
    proxy.clear()
    made(watched)


@pytest.mark.parametrize(("method", "path"), [("POST", ".*/import"), ("GET", ONE_IMAGE)])
def test_a_web_download_that_breaks_goes_on_through_here(watched: Bench, proxy: Proxy, method: str, path: str) -> None:
    define(watched, checksum=None)
    proxy.add(Rule(method, path, status=500, body="oh"))
    assert "Glance answered 500: oh; now through this machine" in made(watched).out
    assert proxy.count("PUT", ".*/stage") == 1


def test_a_web_download_that_breaks_and_may_not_go_on(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    proxy.add(Rule("POST", ".*/import", status=403, body="no"))
    said = failed(watched, "--prefetch", "never", "--stuck-retry", "3")
    assert "Glance answered 403: no" in said
    assert "next try" not in said
    assert watched.images() == []


def test_a_mirror_that_glance_may_not_ask(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    mirror = f"{watched.site.url}/1.img".replace("127.0.0.1", "localhost")
    define(watched, checksum=None, mirror_url=mirror)
    made(watched)
    assert [call.status for call in proxy.calls if call.method == "POST"] == [201, 400, 202]


def test_a_failed_import_whose_reason_is_secret(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    watched.site.on("/1.img", Switches(status=404))
    proxy.add(Rule("GET", ".*/tasks", times=None, status=403))
    said = failed(watched, "--import-method", "web-download")
    assert "Glance could not import it: the image is queued" in said
    assert watched.images() == []


@pytest.mark.parametrize("mirror", ["a page", "stale bytes"])
def test_a_mirror_that_has_something_else_for_glance(watched: Bench, proxy: Proxy, mirror: str) -> None:
    """Then Glance fetches from the upstream."""
    define(watched)
    made(watched)  # shows that this cloud does not convert
    other = watched.publish("/other.img", "other")
    wrong = watched.site.put("/page.img", b"<html>a listing</html>") if mirror == "a page" else other
    url = watched.publish("/2.img", "2")
    bytes_2 = (watched.site.directory / "2.img").read_bytes()
    checksum = f"sha512:{hashlib.sha512(bytes_2).hexdigest()}"
    two = {"version": "2", "url": url, "mirror_url": wrong, "checksum": checksum}
    watched.define(watched.ubuntu("1", two, visibility="private"))
    proxy.clear()
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert f"taken from {url}" in outcome.out
    assert watched.image("2").properties[markers.VERIFIED] == f"{checksum} after import"
    assert proxy.count("PUT", ".*/stage") == 0
    watched.converged()


def test_wrong_bytes_at_every_address_are_told_and_leave_nothing(watched: Bench) -> None:
    define(watched)
    made(watched)
    two = watched.version("2", checksum="sha512:" + "0" * 128)
    watched.define(watched.ubuntu("1", two, visibility="private"))
    said = failed(watched)
    assert "now through this machine" in said
    assert "wrong checksum: expected sha512:000" in said
    assert [image.properties["internal_version"] for image in watched.images()] == ["1"]


def test_a_web_download_that_hangs_leaves_time_for_the_other_way(watched: Bench, proxy: Proxy) -> None:
    define(watched, checksum=None)
    hold = threading.Event()
    hold.set()
    watched.site.on("/1.img", Switches(hold=hold))
    proxy.add(Rule("POST", ".*/import", before=hold.clear))
    proxy.add(Rule("DELETE", before=hold.set))
    said = made(watched, "--import-timeout", "8").out
    assert "did not finish in time" in said
    assert "now through this machine" in said


@pytest.mark.parametrize("part", ["query", "user"])
def test_a_secret_in_a_url_is_not_given_to_glance(watched: Bench, proxy: Proxy, part: str) -> None:
    """Glance would show it to the whole project in the tasks of the image."""
    url = f"{watched.site.url}/1.img?X-Amz-Signature=c4n4ry"
    if part == "user":
        url = f"{watched.site.url}/1.img".replace("://", "://robot:c4n4ry@")
    define(watched, checksum=None, url=url)
    said = failed(watched, "--import-method", "web-download")
    assert "its URL holds a user, a password, or a query that may hold a secret" in said
    assert "c4n4ry" not in said
    assert proxy.count("POST") == 0
    made(watched)
    assert proxy.count("PUT", ".*/stage") == 1
    tasks = watched.admin.image.get(f"/images/{watched.image('1').id}/tasks").text
    assert "c4n4ry" not in tasks


def test_glance_has_an_absurd_size_that_we_could_not_see(watched: Bench) -> None:
    """The site answers 404 to us and then has the image for Glance, whose word is all there is."""
    define(watched, checksum=None)
    huge = bytearray(content(watched))
    huge[24:32] = (2**60).to_bytes(8, "big")
    watched.site.put("/1.img", bytes(huge))
    watched.site.on("/1.img", Switches(status=404, times=1))
    said = failed(watched, "--import-method", "web-download")
    assert [request.headers["user-agent"].partition("/")[0] for request in watched.site.requests] == [
        "openstack-image-manager",
        "Python-urllib",
    ]
    assert f"it claims to be a disk of {2**60} bytes; no disk is that large" in said
    assert watched.images() == []
