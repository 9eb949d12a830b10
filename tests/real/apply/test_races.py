"""One step of a run meets the same step of another one: made to happen between two requests of Glance's."""

from __future__ import annotations

import threading
import time
import uuid
from contextlib import closing

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.imports import content, define, failed, made
from tests.support.other_clients import (
    LOCK,
    UNLOCK,
    change,
    finish,
    is_whole,
    left_behind,
    now,
    order,
    stage,
    status,
    until,
    uploading,
    web_download,
)
from tests.support.proxy import Proxy, Rule
from tests.support.site import Switches

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.errors import ImportFailedError
from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox import Sandbox

pytestmark = pytest.mark.timeout(300)  # other runs are processes of their own
OTHER_RUN = {markers.RUN: "another"}


def other_run(bench: Bench) -> None:
    """Another run, from its beginning to its end."""
    with bench.start() as process:
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said


@pytest.mark.parametrize("owned", [False, True])
def test_another_run_makes_the_image_after_this_one_has_listed(
    watched: Bench, proxy: Proxy, member: Connection, owned: bool
) -> None:
    """It has given it to its owner, too."""
    owner = member.current_project_id if owned else None
    watched.define(watched.ubuntu("1", visibility="private", **({"owner": owner} if owner else {})))
    proxy.add(Rule("POST", "/v2/images", before=lambda: other_run(watched)))
    made(watched)
    assert watched.image("1").owner == (owner or watched.admin.current_project_id)
    assert proxy.count("PUT", ".*/stage") == 1


@pytest.mark.parametrize("refused", [False, True])
def test_a_chosen_id_that_two_runs_take_over(watched: Bench, proxy: Proxy, refused: bool) -> None:
    """Both found the same empty record: the one that Glance heard last has it, or the only one that it heard."""
    chosen = str(uuid.uuid4())
    left = left_behind(watched, id=chosen)
    define(watched, id=chosen)

    taken, done = threading.Event(), threading.Event()

    def another() -> None:
        watched.patch(watched.image("1"), {"op": "add", "path": f"/{markers.RUN}", "value": "another"})
        taken.set()

    def its_import() -> None:
        if taken.is_set() and not done.is_set():
            done.set()
            stage(watched, left, content(watched))
            assert order(watched, left) == 202

    refusal = Rule("PATCH", f".*/{left}", before=another, status=409, body="Property a does not exist.")
    proxy.add(refusal if refused else Rule("PATCH", f".*/{left}", after=another))
    proxy.add(Rule("GET", f".*/{left}", times=None, before=its_import))
    made(watched)
    assert watched.image("1").id == chosen
    assert proxy.count("PUT", ".*/stage") == 0


def test_an_upload_that_takes_its_time_is_left_to_its_run(watched: Bench, proxy: Proxy, sandbox: Sandbox) -> None:
    """A run that has waited for long sees the bytes come, and does not order the import that moment."""
    left = left_behind(watched)

    def looked(times: int) -> None:
        looks = proxy.count("GET", f".*/{left}")
        until(lambda: proxy.count("GET", f".*/{left}") > looks + times)

    proxy.add(Rule("GET", f".*/{left}", nth=5, times=2, status=500, body="for a moment"))
    with uploading(watched, sandbox.url("glance-one"), left) as upload, watched.start() as process:
        looked(15)
        finish(watched, upload)
        looked(3)
        assert proxy.count("POST") == 0
        assert order(watched, left) == 202
        said, _ = process.communicate(timeout=100)
    assert (process.returncode, proxy.count("POST")) == (0, 0), said
    assert "another run is uploading it: waiting" in said
    watched.converged()


def test_an_upload_whose_run_would_have_given_up_is_replaced(bench: Bench, sandbox: Sandbox) -> None:
    """Glance itself died in the middle of it."""
    left = left_behind(bench)
    before = "UPDATE images SET status = 'uploading', updated_at = datetime('now', '-2 minutes') WHERE id = ?"
    change(sandbox, before, left)
    made(bench, "--import-timeout", "90")
    assert bench.image("1").id != left


def test_bytes_that_were_staged_are_no_hindrance_for_a_web_download(bench: Bench) -> None:
    left = left_behind(bench, **{markers.VERIFIED: f"{markers.PENDING}none"})
    define(bench, checksum=None)
    stage(bench, left, content(bench))
    made(bench, "--import-method", "web-download")
    assert bench.image("1").id != left


def test_an_import_that_can_not_be_looked_at_for_a_moment(watched: Bench, proxy: Proxy, sandbox: Sandbox) -> None:
    """That says nothing about the import: what another run is at is not cleared away."""
    left = left_behind(watched, **OTHER_RUN)

    def finish() -> None:
        stage(watched, left, content(watched))
        assert order(watched, left) == 202
        until(lambda: is_whole(watched, left))
        change(sandbox, LOCK, left)

    proxy.add(Rule("GET", f".*/{left}", before=finish))
    proxy.add(Rule("GET", f".*/{left}", nth=2, times=2, status=500, body="oh"))
    proxy.add(Rule("GET", f".*/{left}", nth=3, before=lambda: change(sandbox, UNLOCK, left)))
    made(watched)
    assert watched.image("1").id == left


def test_an_import_that_is_tried_from_another_address(watched: Bench, proxy: Proxy) -> None:
    """Between two addresses Glance shows the record empty again."""
    left = left_behind(watched, **OTHER_RUN)
    hold = threading.Event()
    watched.site.put("/theirs.img", content(watched))
    web_download(watched, left, watched.site.on("/theirs.img", Switches(hold=hold, truncate=1000, times=1)))
    with watched.start() as process:
        until(lambda: proxy.count("GET", f".*/{left}") > 1)
        hold.set()
        until(lambda: status(watched, left) == "queued")
        looks = proxy.count("GET", f".*/{left}")
        until(lambda: proxy.count("GET", f".*/{left}") > looks + 2)
        web_download(watched, left, f"{watched.site.url}/theirs.img")
        said, _ = process.communicate(timeout=100)
    assert process.returncode == 0, said
    assert [image.id for image in watched.images()] == [left]


def test_an_import_whose_lock_another_order_broke(
    bench: Bench, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The task has failed, and nothing will ever happen to the image again."""
    left = left_behind(bench)
    bench.site.put("/page.img", b"<html>")
    web_download(bench, left, bench.site.on("/page.img", Switches(truncate=1)))
    until(lambda: now(bench, left).get("os_glance_failed_import"))
    change(sandbox, "UPDATE images SET status = 'importing' WHERE id = ?", left)
    change(sandbox, "DELETE FROM image_properties WHERE name = 'os_glance_failed_import' AND image_id = ?", left)
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(bench.clouds))
    with closing(Glance.connect("openstack")) as glance, pytest.raises(ImportFailedError):
        glance.wait(left, time.monotonic() + 60, threading.Event(), abandoned=0.3)


def test_an_order_that_crossed_another_one(watched: Bench, proxy: Proxy) -> None:
    """Glance carried out neither: the record is looked at once more."""
    left = left_behind(watched)
    stage(watched, left, content(watched))
    proxy.add(Rule("POST", ".*/import", status=409, body="prior operation is still in progress"))
    assert "prior operation is still in progress; next try" in made(watched).out
    assert watched.image("1").id == left


def test_an_image_that_another_run_has_deactivated_already(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", status="deactivated"))

    def another() -> None:
        (image,) = watched.images()
        assert order(watched, image.id) == 202
        until(lambda: is_whole(watched, image.id))
        assert watched.admin.image.post(f"/images/{image.id}/actions/deactivate").status_code == 204

    proxy.add(Rule("POST", ".*/import", before=another))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert watched.image("1").status == "deactivated"
    watched.converged()


def test_a_member_that_another_run_has_added(watched: Bench, proxy: Proxy, member: Connection) -> None:
    project = member.current_project_id
    watched.define(watched.ubuntu("1", visibility="shared", members=[project]))

    def another() -> None:
        (image,) = watched.images()
        path = f"/images/{image.id}/members"
        assert watched.admin.image.post(path, json={"member": project}).status_code == 200

    proxy.add(Rule("POST", ".*/members", before=another))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    watched.converged()


def test_stores_that_another_run_has_filled_and_left(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", stores=["fast"]))
    assert watched.run().code == 0
    image = watched.image("1").id

    def copied() -> None:
        assert order(watched, image, "copy-image", stores=["slow"]) == 202
        until(lambda: "slow" in now(watched, image)["stores"] and is_whole(watched, image))

    def removed() -> None:
        assert watched.admin.image.delete(f"/stores/fast/{image}").status_code == 204

    watched.define(watched.ubuntu("1", stores=["slow"]))
    proxy.add(Rule("POST", ".*/import", before=copied))
    proxy.add(Rule("DELETE", ".*/stores/.*", before=removed))
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert now(watched, image)["stores"] == "slow"
    assert [call.status for call in proxy.calls if call.method in ("POST", "DELETE")][-2:] == [400, 403]
    watched.converged()


def test_a_change_that_glance_fails_at_because_another_run_made_it(watched: Bench, proxy: Proxy) -> None:
    """Two runs add one property: some databases let the second one fail, with status 500."""
    define(watched)
    made(watched)
    watched.define(watched.ubuntu("1", visibility="private", min_ram=128))
    rams = {"op": "replace", "path": "/min_ram", "value": 128}
    proxy.add(Rule("PATCH", before=lambda: watched.patch(watched.image("1"), rams), status=500, body="duplicate"))
    made(watched)


def test_a_run_that_may_not_publish_deletes_only_its_own(watched: Bench, proxy: Proxy) -> None:
    left = left_behind(watched, **OTHER_RUN)
    stage(watched, left, content(watched))
    proxy.add(Rule("PATCH", status=403, body="not authorized"))
    assert "not authorized" in failed(watched)
    assert watched.image("1").id == left
    made(watched)


@pytest.mark.parametrize("what", ["deleted", "private"])
def test_a_twin_is_not_deleted_without_the_one_that_stands(watched: Bench, proxy: Proxy, what: str) -> None:
    """Else two runs that see the cloud at different moments could delete one each."""
    name = watched.ubuntu()["name"]
    watched.define(watched.ubuntu("1", meta={"os_distro": "ubuntu", "uuid_validity": "none"}))
    assert watched.run().code == 0
    standing = watched.image("1")
    twin = watched.make(content(watched), name=f"{name} (1)", image_name=name, internal_version="1", os_hidden=True)
    assert watched.run().code == 0

    def meanwhile() -> None:
        if what == "deleted":
            watched.admin.image.delete(f"/images/{standing.id}")
        else:
            watched.patch(standing, {"op": "replace", "path": "/visibility", "value": "private"})

    proxy.add(Rule("GET", f".*/{twin}", after=meanwhile))
    said = failed(watched, "--outdated", "delete", "--unknown-usage", "delete")
    gone = f"{standing.id} is gone since the plan was made; plan again"
    narrower = f"{standing.id} is no longer the image that the plan keeps in its place; plan again"
    assert (gone if what == "deleted" else narrower) in said
    assert twin in [image.id for image in watched.images()]
    assert watched.run().code == 0
