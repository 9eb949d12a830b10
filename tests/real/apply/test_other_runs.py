"""What others do between the plan and its end: an image is gone, changed, protected or still locked."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.support.bench import Bench, elsewhere
from tests.support.imports import failed, made
from tests.support.other_clients import (
    LOCK,
    UNLOCK,
    change,
    gone,
    is_locked,
    is_whole,
    left_behind,
    order,
    stage,
    until,
)
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.sandbox import Sandbox
from openstack_image_manager.sandbox.site import serving


def drifted(bench: Bench, **fields: Any) -> str:
    """Version 1 is in the cloud, and these fields are defined otherwise; the image's id."""
    bench.define(bench.ubuntu("1", visibility="private"))
    assert bench.run().code == 0
    bench.define(bench.ubuntu("1", **{"visibility": "private", **fields}))
    return bench.image("1").id


def act(bench: Bench, image_id: str, action: str) -> None:
    assert bench.admin.image.post(f"/images/{image_id}/actions/{action}").status_code == 204


def test_an_image_that_is_gone_since_the_plan(watched: Bench, proxy: Proxy) -> None:
    found = drifted(watched, min_ram=128)
    proxy.add(Rule("GET", f".*/{found}", before=lambda: gone(watched)))
    assert f"{found} is gone since the plan was made; plan again" in failed(watched)
    made(watched)


@pytest.mark.parametrize("moment", ["before the last look", "after it"])
def test_an_image_that_another_run_is_deleting(watched: Bench, proxy: Proxy, sandbox: Sandbox, moment: str) -> None:
    """Glance writes that an image is deleted before it is gone; who deletes it then is answered 400."""
    meta = {"os_distro": "ubuntu", "uuid_validity": "none"}
    watched.define(watched.ubuntu("1", "2", meta=meta))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("2", meta=meta))
    old = watched.image("1").id
    status = "UPDATE images SET status = ? WHERE id = ?"
    method = "GET" if moment == "before the last look" else "DELETE"
    rule = proxy.add(Rule(method, f".*/{old}", before=lambda: change(sandbox, status, "deleted", old)))
    outcome = watched.run("--outdated", "delete", "--unknown-usage", "delete")
    assert (outcome.code, rule.seen > 0) == (0, True), outcome.text
    refused = [call.status for call in proxy.calls if call.method == "DELETE"]
    assert refused == ([] if method == "GET" else [400])
    assert f"deleted {'by someone else ' if method == 'GET' else ''}({old})" in outcome.text
    assert watched.run("plan", "--outdated", "delete", "--exit-code").code == 0
    change(sandbox, status, "active", old)


@pytest.mark.parametrize("moment", ["it is gone", "it is being deleted"])
@pytest.mark.parametrize("what", [{"min_ram": 128}, {"status": "deactivated"}, {"visibility": "public"}])
def test_an_image_that_another_run_deletes_after_the_last_look(
    watched: Bench, proxy: Proxy, sandbox: Sandbox, moment: str, what: dict[str, Any]
) -> None:
    found = drifted(watched, **what)
    status = "UPDATE images SET status = ? WHERE id = ?"
    first = threading.Event()

    def delete() -> None:
        if first.is_set():
            return
        first.set()
        if moment == "it is gone":
            gone(watched)
        else:
            change(sandbox, status, "deleted", found)

    proxy.add(Rule("(PATCH|POST)", f".*/{found}.*", times=None, before=delete))
    said = failed(watched)
    assert f"{found} is gone since the plan was made; plan again" in said
    assert "Glance answered" not in said
    change(sandbox, status, "active", found)


def test_an_outdated_image_that_another_run_hides_and_deletes(watched: Bench, proxy: Proxy) -> None:
    """What was to be done is done."""
    meta = {"os_distro": "ubuntu", "uuid_validity": "none"}
    watched.define(watched.ubuntu("1", meta=meta))
    assert watched.run().code == 0
    old = watched.image("1").id
    watched.define(watched.ubuntu("2", meta=meta))
    proxy.add(Rule("PATCH", f".*/{old}", before=lambda: watched.admin.image.delete(f"/images/{old}")))
    outcome = watched.run("--outdated", "delete", "--unknown-usage", "delete")
    assert outcome.code == 0, outcome.text
    assert outcome.out.count(f"already deleted by someone else ({old})") == 2
    assert [image.properties["internal_version"] for image in watched.images()] == ["2"]


def test_an_image_that_cannot_be_looked_at_again(watched: Bench, proxy: Proxy) -> None:
    found = drifted(watched, min_ram=128)
    proxy.add(Rule("GET", f".*/{found}", status=500, body="no database"))
    assert "Glance answered 500: no database" in failed(watched)
    assert watched.image("1").min_ram == 64
    made(watched)


def test_a_status_that_someone_changed_since_the_plan(watched: Bench, proxy: Proxy) -> None:
    found = drifted(watched, min_ram=128)
    proxy.add(Rule("GET", f".*/{found}", before=lambda: act(watched, found, "deactivate")))
    assert f"{found} was changed by someone since the plan was made (status); plan again" in failed(watched)
    assert watched.image("1").min_ram == 64
    made(watched)


@pytest.mark.parametrize("end", ["deactivated", "active"])
def test_a_status_that_someone_else_sets_first(watched: Bench, proxy: Proxy, end: str) -> None:
    found = drifted(watched, status="deactivated")
    if end == "active":
        act(watched, found, "deactivate")
        watched.define(watched.ubuntu("1", visibility="private"))
    action = "reactivate" if end == "active" else "deactivate"
    rule = proxy.add(Rule("POST", ".*/actions/.*", before=lambda: act(watched, found, action)))
    outcome = watched.run()
    assert (outcome.code, rule.seen) == (0, 1), outcome.text
    assert watched.image("1").status == end
    watched.converged()


def test_an_image_that_is_gone_before_its_status_is_set(watched: Bench, proxy: Proxy) -> None:
    found = drifted(watched, status="deactivated")
    proxy.add(Rule("POST", ".*/actions/.*", before=lambda: gone(watched)))
    assert f"{found} is gone since the plan was made; plan again" in failed(watched)


def test_an_outdated_image_that_someone_protects(watched: Bench, proxy: Proxy) -> None:
    """After the plan was made, or after the last look at the image: then it is Glance that refuses."""
    meta = {"os_distro": "ubuntu", "uuid_validity": "none"}
    watched.define(watched.ubuntu("1", "2", meta=meta))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("2", meta=meta))
    old = watched.image("1")
    for rule, message in (
        (Rule("GET", f".*/{old.id}"), f"{old.id} was changed by someone since the plan was made (protected)"),
        (Rule("DELETE", f".*/{old.id}"), "Glance answered 403"),
    ):
        proxy.clear()
        rule.before = lambda: watched.patch(old, {"op": "replace", "path": "/protected", "value": True})
        proxy.add(rule)
        assert message in failed(watched, "--outdated", "delete", "--unknown-usage", "delete")
        watched.patch(old, {"op": "replace", "path": "/protected", "value": False})
    proxy.clear()
    assert watched.run("--outdated", "delete", "--unknown-usage", "delete").code == 0
    assert [image.properties["internal_version"] for image in watched.images()] == ["2"]


def test_a_conflict_with_someone_who_was_quicker(watched: Bench, proxy: Proxy) -> None:
    """Glance refuses to remove a property that is gone, and does none of the rest: that is no success."""
    drifted(watched, min_ram=128, meta={"os_distro": "ubuntu"})
    remove = {"op": "remove", "path": "/architecture"}
    proxy.add(Rule("PATCH", before=lambda: watched.patch(watched.image("1"), remove)))
    assert "Glance answered 409" in failed(watched)
    assert watched.image("1").min_ram == 64
    made(watched)
    assert watched.image("1").min_ram == 128


def test_a_conflict_with_our_own_first_try(watched: Bench, proxy: Proxy) -> None:
    drifted(watched, min_ram=128, meta={"os_distro": "ubuntu"})
    proxy.clear()
    proxy.add(Rule("PATCH", reset="after"))
    made(watched)
    assert [call.status for call in proxy.calls if call.method == "PATCH"] == [None, 409]
    assert watched.image("1").min_ram == 128
    assert "architecture" not in watched.image("1").properties


@contextmanager
def locked(sandbox: Sandbox, image_id: str) -> Iterator[Callable[[], None]]:
    """Glance's import holds its lock on an image that is active already; yields what ends that."""
    until(lambda: not is_locked(sandbox, image_id))  # else the end of the import would take this one away, too
    change(sandbox, LOCK, image_id)
    try:
        yield lambda: change(sandbox, UNLOCK, image_id)
    finally:
        change(sandbox, UNLOCK, image_id)


def test_an_import_that_still_holds_its_lock(watched: Bench, proxy: Proxy, sandbox: Sandbox) -> None:
    found = drifted(watched, min_ram=128)
    with locked(sandbox, found) as unlock:
        rule = proxy.add(Rule("GET", f".*/{found}", nth=3, before=unlock))
        made(watched)
    assert rule.seen > 2
    assert watched.image("1").min_ram == 128


def test_a_left_import_that_ends_now_and_still_holds_its_lock(watched: Bench, proxy: Proxy, sandbox: Sandbox) -> None:
    """Glance saves the image once more before it lets go of it, and would take back what was changed by then."""
    left = left_behind(watched)

    def finish() -> None:
        stage(watched, left, (watched.site.directory / "1.img").read_bytes())
        assert order(watched, left) == 202
        until(lambda: is_whole(watched, left))
        change(sandbox, LOCK, left)

    proxy.add(Rule("GET", f".*/{left}", before=finish))
    rule = proxy.add(Rule("GET", f".*/{left}", nth=3, before=lambda: change(sandbox, UNLOCK, left)))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert rule.seen >= 3
    assert watched.image("1").id == left
    watched.converged()


def test_an_import_that_never_gives_its_lock_back(bench: Bench, sandbox: Sandbox) -> None:
    found = drifted(bench, min_ram=128)
    with locked(sandbox, found):
        said = failed(bench, "--import-timeout", "1")
    assert "did not finish in time: the image is still active (--import-timeout)" in said
    assert bench.image("1").min_ram == 64
    made(bench)


def test_an_import_whose_glance_is_dead(bench: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has all bytes, and nobody will ever take the lock away."""
    found = drifted(bench, min_ram=128)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(bench.clouds))
    with locked(sandbox, found), closing(Glance.connect("openstack")) as glance:
        limit = time.monotonic() + 60
        assert glance.wait(found, limit, threading.Event(), abandoned=0.3).id == found


def test_sharing_that_glance_refuses(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", visibility="shared"))
    assert watched.run().code == 0
    options = ("--share-image", watched.image("1").name, "--share-target", "member")
    for method, action in (("POST", "add"), ("PUT", "add"), ("DELETE", "del"), ("GET", "add")):
        proxy.clear()
        proxy.add(Rule(method, ".*/members.*", status=500, body="oh"))
        outcome = watched.run(*options, "--share-action", action)
        assert (outcome.code, outcome.err) == (1, "error: Glance answered 500: oh\n"), method


def test_projects_that_keystone_does_not_tell(bench: Bench, sandbox: Sandbox, tmp_path: Path) -> None:
    bench.define(bench.ubuntu("1", visibility="shared"))
    assert bench.run().code == 0
    with serving(Proxy(sandbox.url("keystone"))) as keystone:
        keystone.add(Rule("GET", "/v3/domains.*", times=None, status=500, body="oh"))
        path = tmp_path / "other-keystone.yaml"
        path.write_text(elsewhere(bench.clouds.read_text(), identity=f"{keystone.url}/v3"))
        bench.clouds = path
        outcome = bench.run("--share-image", bench.image("1").name, "--share-target", "member")
    assert (outcome.code, outcome.err) == (1, "error: Keystone answered 500: oh\n")
