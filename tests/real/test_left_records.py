"""Records in Glance that stand in the way of a run: stuck for days, not to be deleted, or given to another project."""

from __future__ import annotations

import pytest
from openstack.connection import Connection

from openstack_image_manager import desired
from openstack_image_manager.sandbox import Sandbox
from tests.real.bench import Bench
from tests.real.test_importer import OTHER_PROMISE, change, define, failed, left_behind, made
from tests.services.proxy import Proxy, Rule


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
        {"op": "replace", "path": f"/{desired.VERIFIED}", "value": OTHER_PROMISE},
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
    assert (left.status, left.properties[desired.VERIFIED]) == ("active", "pending none")
    define(watched)
    made(watched, *([] if verify else ["--no-verify-checksum"]))
    image = watched.image("1")
    assert (image.id == left.id, image.properties[desired.VERIFIED] == "none") == (not verify, not verify)


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
