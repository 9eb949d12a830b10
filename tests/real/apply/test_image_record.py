"""The record that a version is imported into: which id it gets when ids are taken, and what Glance may refuse."""

from __future__ import annotations

import threading
import uuid
from contextlib import closing
from datetime import date

import pytest
from tests.real.apply.test_reporter import Watcher
from tests.support.bench import Bench
from tests.support.imports import ONE_IMAGE, content, define, failed, made, refused
from tests.support.other_clients import is_whole, left_behind, order, stage, until
from tests.support.proxy import Proxy, Rule

from openstack_image_manager.apply.image_record import MOST_IDS, SHARED_IDS, ImageRecords
from openstack_image_manager.apply.import_method import ChosenMethod
from openstack_image_manager.apply.other_runs import OtherRuns
from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.definitions.loader import load
from openstack_image_manager.errors import Error
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.model import Create, Policy
from openstack_image_manager.plan.planner import plan

TAKEN = "Image ID is already taken"


def whole(bench: Bench, **body: object) -> str:
    """Version 1 as another run has imported it, unpublished, with another id than all runs agree on."""
    image_id = left_behind(bench, **{markers.RUN: "another", **body})
    stage(bench, image_id, content(bench))
    assert order(bench, image_id) == 202
    until(lambda: is_whole(bench, image_id))
    return image_id


def test_a_run_whose_ids_are_all_taken_goes_on_with_the_image_that_another_run_has_made(
    watched: Bench, proxy: Proxy
) -> None:
    """After the agreed ids both runs take random ones: only the search for the version keeps them apart."""
    theirs: list[str] = []
    define(watched)
    refusals = Rule("POST", "/v2/images", times=SHARED_IDS, status=409, body=TAKEN)
    refusals.before = lambda: theirs.append(whole(watched)) if refusals.seen == SHARED_IDS else None
    proxy.add(refusals)
    outcome = made(watched)
    assert [watched.image("1").id] == theirs
    assert outcome.out.count("that this user may not see: a random one") == 1
    assert proxy.count("POST", "/v2/images") == SHARED_IDS


def test_a_version_for_which_no_id_is_free_fails_after_a_bounded_number_of_requests(
    watched: Bench, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    define(watched)
    proxy.add(Rule("POST", "/v2/images", times=None, status=409, body=TAKEN))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(watched.clouds))
    definitions = load(str(watched.directory / "images")).definitions
    with closing(Glance.connect("openstack")) as glance:
        (create,) = plan(definitions, [], Policy(tag=watched.tag), date(2026, 11, 22)).changes
        assert isinstance(create, Create)
        claims = ImageRecords(OtherRuns(glance, 60.0, threading.Event(), Watcher()), watched.tag)
        with pytest.raises(Error, match=f"found no free id for version 1: {MOST_IDS} are taken"):
            claims.record(create, ChosenMethod("glance-direct", "none"), lambda change, _: change)
    assert proxy.count("POST", "/v2/images") == MOST_IDS


def test_a_refusal_to_take_an_empty_record_over_ends_the_definition(watched: Bench, proxy: Proxy) -> None:
    """Whether the record is this run's own is unknown then: nothing is uploaded to it."""
    chosen = str(uuid.uuid4())
    left_behind(watched, id=chosen)
    define(watched, id=chosen)
    proxy.add(Rule("PATCH", ONE_IMAGE, status=403, body="Forbidden by policy"))
    assert "Forbidden by policy" in failed(watched)
    assert [image.status for image in watched.images()] == ["queued"]
    assert proxy.count("PUT") == 0


@pytest.mark.parametrize("late", [True, False])
def test_a_record_with_the_chosen_id_counts_once_it_has_the_tag(watched: Bench, proxy: Proxy, late: bool) -> None:
    """Glance writes the tags of a new record after all else; one that never gets the tag is not ours."""
    chosen = str(uuid.uuid4())
    define(watched, id=chosen)

    def another() -> None:
        left_behind(watched, id=chosen, tags=[], **{markers.RUN: "another"})

    def come() -> None:
        answer = watched.admin.image.put(f"/images/{chosen}/tags/{watched.tag}")
        assert answer.status_code == 204

    proxy.add(Rule("POST", "/v2/images", before=another))
    if late:
        proxy.add(Rule("GET", f".*/{chosen}", nth=4, before=come))
        made(watched)
        assert watched.image("1").id == chosen
    else:
        assert f"its id {chosen} is taken by another image of this project; choose another id" in refused(watched)
        watched.admin.image.delete(f"/images/{chosen}")


def test_a_whole_image_without_the_tag_is_not_taken_over_in_the_middle_of_a_run(watched: Bench, proxy: Proxy) -> None:
    chosen = str(uuid.uuid4())
    define(watched, id=chosen)
    proxy.add(Rule("POST", "/v2/images", before=lambda: whole(watched, id=chosen, tags=[])))
    try:
        assert f"its id {chosen} is taken by another image of this project" in refused(watched)
        assert proxy.count("PATCH") == 0
    finally:
        watched.admin.image.delete(f"/images/{chosen}")


def test_a_refusal_that_is_not_about_the_right_to_publish_is_shown_as_it_is(watched: Bench, proxy: Proxy) -> None:
    """A user who may not do everything asks Glance's policy with a public record first."""
    watched.cloud = "member"
    watched.define(watched.ubuntu("1"))
    proxy.add(Rule("POST", "/v2/images", status=413, body="Quota exceeded: image count"))
    said = refused(watched)
    assert "Quota exceeded: image count" in said
    assert "publicize_image" not in said
