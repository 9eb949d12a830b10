"""Rollback, mix and freeze: an old signature under a new name, no signature any more, a signature of long ago."""

from __future__ import annotations

import pytest
from tests.support.documents import bsd, image
from tests.support.linux_site import BASE, DETACHED, HOST, KEY, NAME, linux, put, refused
from tests.support.upstreams import SIGNED_AT, World, ask, signature, verify

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Image
from openstack_image_manager.upstreams.follow import Follower
from openstack_image_manager.upstreams.sites import Sites

OLD = {"version": "20260501", "url": f"{BASE}/linux-20260501.qcow2", "checksum": f"sha256:{'0' * 64}"}
OVER_IMAGE = {"kind": "detached", "over": "image", "url": "{url}.sig", "keys": KEY}


def publish(world: World) -> None:
    text = put(world, {NAME: image("new")})
    world.host(HOST).put("/SUMS.asc", signature(text.encode(), KEY))
    world.host(HOST).put(f"/{NAME}.sig", signature(image("new"), KEY))


@pytest.mark.parametrize("rule", [DETACHED, OVER_IMAGE], ids=["checksum", "image"])
def test_a_new_build_that_was_signed_before_the_recorded_one(world: World, rule: dict[str, object]) -> None:
    publish(world)
    for recorded in ("2026-08-01 10:00:01", "2026-08-02"):
        before = {**OLD, "signed_by": KEY, "signed_at": recorded}
        assert refused(world, linux(before, signature=rule), Error) == (
            f"possible rollback attack: the site offers an older build: 20260701 ({BASE}/{NAME}) was signed on "
            f"{SIGNED_AT}, and 20260501, which is already recorded, on {recorded}; nothing is changed"
        )
    for recorded in ("2026-08-01 10:00:00", "2026-08-01", "2026-07-31"):
        before = {**OLD, "signed_by": KEY, "signed_at": recorded}
        assert ask(world, linux(before, signature=rule)).signed_at == SIGNED_AT


def test_the_same_build_with_an_older_signature(world: World) -> None:
    """Indexes are signed anew each day, and a mirror may lag behind."""
    publish(world)
    same = {"version": "20260701", "url": f"{BASE}/{NAME}", "signed_by": KEY, "signed_at": "2026-08-09"}
    assert ask(world, linux(same, signature=DETACHED)).signed_at == SIGNED_AT


@pytest.mark.parametrize("rule", [DETACHED, OVER_IMAGE], ids=["checksum", "image"])
def test_once_signed_always_signed(world: World, rule: dict[str, object]) -> None:
    put(world, {NAME: image("new")})
    optional = {**rule, "policy": "optional"}
    before = {**OLD, "signed_by": KEY, "signed_at": "2026-05-01"}
    assert refused(world, linux(before, signature=optional), Error) == (
        f"20260701 ({BASE}/{NAME}) is not signed, and 20260501, which is already recorded, was signed by {KEY}: "
        "somebody may have removed the signature; set policy: none if the upstream has stopped signing"
    )
    assert ask(world, linux(OLD, signature=optional)).signed_by is None
    assert ask(world, linux(before, signature={**rule, "policy": "none"})).signed_by is None
    assert ask(world, linux(before)).signed_by is None


def test_a_newer_name_in_an_old_signed_file(world: World) -> None:
    """The version comes from the name, and the name is in what was signed: it is the time that tells."""
    text = bsd({NAME: image("new")})
    put(world, {NAME: image("new")}, text=text)
    world.host(HOST).put("/SUMS.asc", signature(text.encode(), KEY))
    before = {**OLD, "signed_at": "2026-09-01"}
    assert ask(world, linux(before, signature={**DETACHED, "policy": "none"})).signed_at is None


@pytest.mark.parametrize(
    ("signed", "words"),
    [
        (f"{KEY} 2026-08-01 10:00:01", "possible rollback attack"),
        (f"{KEY} 2026-08-01 10:00:00", ""),
        (KEY, ""),
        (f"{KEY} once", ""),
        ("nobody", ""),
        ("", ""),
    ],
)
def test_what_the_image_in_the_cloud_says_counts_for_those_that_are_followed(
    world: World, signed: str, words: str
) -> None:
    publish(world)
    wanted = linux(signature=DETACHED)
    properties = {"image_manager_verified": f"sha256:{'0' * 64} before import"}
    properties |= {"image_manager_signed_by": signed} if signed else {}
    there = {wanted.name: {"20260501": Image(wanted.name, "public", status="active", properties=properties)}}
    newest, _ = Follower(Sites(mirrors=world.mirrors), verify).resolve([wanted], there)
    found = newest[wanted.name]
    if words:
        assert words in str(found)
    else:
        assert isinstance(found, Definition), found
        assert found.versions[0].signed_at == SIGNED_AT
