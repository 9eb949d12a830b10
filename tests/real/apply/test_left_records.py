"""Records that others left in Glance: taken over and filled, replaced, or in the way of a run."""

from __future__ import annotations

import uuid

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.imports import content, define, failed, made
from tests.support.other_clients import OTHER_PROMISE, change, left_behind, record, stage
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.plan import markers
from openstack_image_manager.sandbox import Sandbox


def test_what_is_staged_is_imported(bench: Bench) -> None:
    left = left_behind(bench)
    stage(bench, left, content(bench))
    made(bench)
    assert bench.image("1").id == left
    assert bench.site.requests == []


@pytest.mark.parametrize("body", [{markers.VERIFIED: OTHER_PROMISE}, {"disk_format": "raw"}], ids=["bytes", "format"])
def test_what_was_staged_for_another_definition(bench: Bench, body: dict[str, str]) -> None:
    left = left_behind(bench, **body)
    stage(bench, left, b"\0" * 4096)
    made(bench)
    assert bench.image("1").id != left
    assert bench.image("1").disk_format == "qcow2"
    assert len(bench.images()) == 1


def test_wrong_bytes_that_were_never_published_are_replaced(bench: Bench) -> None:
    define(bench)
    name = bench.ubuntu()["name"]
    properties = {markers.VERIFIED: f"pending sha512:{'0' * 128} after import", "image_name": name}
    left = bench.make(content(bench), name=f"{name} (1)", internal_version="1", visibility="private", **properties)
    assert "was never published: replaced" in made(bench).out
    assert bench.image("1").id != left


def test_a_left_record_keeps_the_id_that_was_chosen(bench: Bench) -> None:
    chosen = str(uuid.uuid4())
    left_behind(bench, id=chosen)
    define(bench, id=chosen)
    made(bench)
    assert bench.image("1").id == chosen


def test_an_id_that_someone_else_has(bench: Bench) -> None:
    theirs = record(bench, {"name": "theirs", "tags": []})
    define(bench, id=theirs)
    before = bench.admin.image.get(f"/images/{theirs}").json()
    assert "Glance answered 409" in failed(bench)
    assert bench.admin.image.get(f"/images/{theirs}").json() == before
    assert bench.images() == []
    assert bench.admin.image.delete(f"/images/{theirs}").status_code == 204


def test_an_empty_record_of_ours_with_the_id_of_a_version_is_filled(bench: Bench) -> None:
    left = record(bench, {"name": "left"})
    define(bench, id=left)
    assert bench.run().code == 0
    assert bench.image("1").id == left


@pytest.mark.parametrize("status", ["uploading", "saving"])
def test_an_upload_that_glance_forgot_is_replaced_after_two_days(bench: Bench, sandbox: Sandbox, status: str) -> None:
    left = left_behind(bench)
    change(sandbox, f"UPDATE images SET status = '{status}', updated_at = '2020-01-01 00:00:00' WHERE id = ?", left)
    made(bench)
    assert bench.image("1").id != left


def test_a_record_that_cannot_be_deleted_is_no_endless_loop(watched: Bench, proxy: Proxy) -> None:
    """A failed import leaves its record, as it can't be deleted either; then somebody protects it."""
    define(watched)
    proxy.add(Rule("DELETE", status=500))
    proxy.add(Rule("POST", ".*/import", status=400, body="no"))
    assert "Glance answered 400: no" in failed(watched)
    proxy.clear()
    left = watched.image("1")
    watched.patch(
        left,
        {"op": "replace", "path": "/protected", "value": True},
        {"op": "replace", "path": f"/{markers.VERIFIED}", "value": OTHER_PROMISE},
    )
    outcome = watched.run()
    assert outcome.code == 0, outcome.text
    assert {image.status for image in watched.images() if image.id != left.id} == {"active"}
    watched.converged()
    told = f"{left.id} is uploading and was left by an interrupted run; it is protected, so it stays"
    assert told in watched.run().out


@pytest.mark.parametrize("verify", [True, False])
def test_what_was_never_verified_is_not_published_once_there_is_a_checksum(
    watched: Bench, proxy: Proxy, verify: bool
) -> None:
    """The run that imported it without a checksum could not publish it."""
    define(watched, checksum=None)
    proxy.add(Rule("PATCH", status=500))
    failed(watched)
    proxy.clear()
    left = watched.image("1")
    assert (left.status, left.properties[markers.VERIFIED]) == ("active", "pending none")
    define(watched)
    made(watched, *([] if verify else ["--no-verify-checksum"]))
    image = watched.image("1")
    assert (image.id == left.id, image.properties[markers.VERIFIED] == "none") == (not verify, not verify)


def test_an_image_that_was_given_away_today_is_not_taken_for_ours(
    bench: Bench, connections: dict[str, Connection]
) -> None:
    """The id that the next image of this version would have is that of one which is another project's now."""
    define(bench)
    assert bench.run().code == 0
    first = bench.image("1")
    other = connections["member"].current_project_id
    bench.patch(
        first, {"op": "replace", "path": "/owner", "value": other}, {"op": "replace", "path": "/min_ram", "value": 1}
    )
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert {image.owner == other: image.min_ram for image in bench.images()} == {True: 1, False: 64}
    bench.converged()
