"""Signatures of upstreams: which ones a definition needs, what of a document they cover, and who verifies them."""

from __future__ import annotations

import pytest
from tests.support.documents import bsd, image
from tests.support.linux_site import BASE, DETACHED, HOST, KEY, NAME, linux, put, refused
from tests.support.site import Switches
from tests.support.upstreams import SIGNED_AT, World, ask, clearsigned, signature

from openstack_image_manager.errors import Error, FetchError, VerificationError
from openstack_image_manager.upstreams.build import Fetch, Signature, is_new
from openstack_image_manager.upstreams.newest import newest
from openstack_image_manager.upstreams.sites import Sites

OTHER_KEY = "FEDCBA9876543210FEDCBA9876543210FEDCBA98"
CLEARSIGNED = {"kind": "clearsigned", "over": "checksum", "keys": KEY}


@pytest.mark.parametrize("policy", ["required", "optional", "none"])
def test_policies_of_detached_signatures(world: World, policy: str) -> None:
    wanted = linux(signature={**DETACHED, "policy": policy})
    text = put(world, {NAME: image("new")})
    site = world.host(HOST)
    missing = f"{BASE}/SUMS: there is no signature at {BASE}/SUMS.asc, and it is required"
    if policy == "required":
        assert refused(world, wanted) == missing
    else:
        assert ask(world, wanted).signed_by is None
    site.put("/SUMS.asc", signature(b"something else", KEY))
    if policy == "none":
        assert ask(world, wanted).signed_by is None
    else:
        assert refused(world, wanted) == f"{BASE}/SUMS: bad signature"
    site.put("/SUMS.asc", signature(text.encode(), OTHER_KEY))
    if policy != "none":
        assert refused(world, wanted) == f"{BASE}/SUMS: bad signature"
    site.put("/SUMS.asc", signature(text.encode(), KEY.lower()))
    build = ask(world, wanted)
    assert (build.signed_by, build.signed_at) == ((None, None) if policy == "none" else (KEY, SIGNED_AT))


def test_a_signature_that_can_t_be_fetched_is_not_a_missing_one(world: World) -> None:
    put(world, {NAME: image("new")})
    world.host(HOST).on("/SUMS.asc", Switches(status=403))
    wanted = linux(signature={**DETACHED, "policy": "optional"})
    assert "403 Forbidden" in refused(world, wanted, FetchError)


def test_a_signature_behind_its_checksum_file_is_fetched_once_more(world: World) -> None:
    text = put(world, {NAME: image("new")})
    site = world.host(HOST)
    contents = [signature(b"of yesterday", KEY), signature(text.encode(), KEY)]
    site.on("/SUMS.asc", Switches(contents=contents))
    assert ask(world, linux(signature=DETACHED)).signed_by == KEY
    assert (site.count("/SUMS"), site.count("/SUMS.asc")) == (2, 2)


def test_of_clearsigned_texts_only_what_is_signed_is_read(world: World) -> None:
    """Lines around the signed block leave the signature good."""
    forged = bsd({"linux-20260901.qcow2": image("forged")})
    put(world, {NAME: image("new"), "linux-20260901.qcow2": image("forged")}, text="")
    signed = clearsigned(bsd({NAME: image("new")}), KEY)
    for text in (forged + signed, signed + forged):
        put(world, {}, text=text)
        build = ask(world, linux(signature=CLEARSIGNED))
        assert (build.version, build.signed_by) == ("20260701", KEY)
    put(world, {}, text=clearsigned(bsd({NAME: image("new")}), KEY).replace("bytes", "Bytes"))
    assert refused(world, linux(signature=CLEARSIGNED)) == f"{BASE}/SUMS: bad signature"


def test_policies_of_clearsigned_texts(world: World) -> None:
    put(world, {NAME: image("new")})
    message = refused(world, linux(signature=CLEARSIGNED))
    assert message == f"{BASE}/SUMS: is not signed, and its signature is required"
    assert ask(world, linux(signature={**CLEARSIGNED, "policy": "optional"})).signed_by is None
    assert ask(world, linux(signature={**CLEARSIGNED, "policy": "none"})).signed_by is None


def test_a_policy_that_is_none(world: World) -> None:
    put(world, {NAME: image("new")})
    wanted = linux(signature={**DETACHED, "policy": "{policy}"}, variables={"policy": "sometimes"})
    message = refused(world, wanted, Error)
    assert message == "'sometimes' is not a valid signature policy; use one of required, optional, none"


def test_signatures_over_images_are_verified_for_new_builds_only(world: World) -> None:
    put(world, {NAME: image("new")})
    site = world.host(HOST)
    rule = {"kind": "detached", "over": "image", "url": "{url}.sig", "keys": [KEY, OTHER_KEY]}
    site.put(f"/{NAME}.sig", signature(image("other"), KEY))
    assert refused(world, linux(signature=rule)) == f"{BASE}/{NAME}: bad signature"
    assert refused(world, linux(signature={**rule, "policy": "optional"})) == f"{BASE}/{NAME}: bad signature"
    known = {"version": "20260701", "url": f"{BASE}/{NAME}"}
    assert not is_new(linux(known, signature=rule), ask(world, linux(known, signature=rule)))
    site.put(f"/{NAME}.sig", signature(image("new"), OTHER_KEY))
    build = ask(world, linux(signature=rule))
    assert (build.signed_by, build.signed_at) == (OTHER_KEY, SIGNED_AT)
    (site.directory / f"{NAME}.sig").unlink()
    assert ask(world, linux(signature={**rule, "policy": "optional"})).signed_by is None
    assert f"{NAME}: there is no signature at {BASE}/{NAME}.sig, and it is required" in refused(
        world, linux(signature=rule)
    )
    assert ask(world, linux(signature={**rule, "policy": "none"})).signed_by is None


def test_what_the_verifier_is_told(world: World) -> None:
    text = put(world, {NAME: image("new")})
    told: list[tuple[Signature, bytes]] = []

    def look(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
        told.append((wanted, data))
        return data, "AB" * 20, None

    keys = ("ab" * 32, "cd" * 32)
    rule = {"kind": "openssl-rsa", "over": "unpacked-image", "url": "{url}.sig", "keys": "{key}"}
    build = newest(linux(signature=rule, variables={"key": " ".join(keys)}), Sites(mirrors=world.mirrors), look)
    url = f"{BASE}/{NAME}"
    image_signature = Signature(
        "openssl-rsa", "unpacked-image", url, f"{url}.sig", ("ab" * 32, "cd" * 32), build.checksum
    )
    assert told.pop() == (image_signature, b"")
    newest(linux(signature={**CLEARSIGNED, "kind": "detached", "url": f"{BASE}/x"}), Sites(mirrors=world.mirrors), look)
    assert told.pop() == (Signature("detached", "checksum", f"{BASE}/SUMS", f"{BASE}/x", (KEY,)), text.encode())


def test_a_verifier_that_names_no_signer(world: World) -> None:
    """Whatever way led to a build: where a signed document is required, one was read."""
    put(world, {NAME: image("new")})
    rule = {**CLEARSIGNED, "kind": "detached", "url": f"{BASE}/x"}
    with pytest.raises(VerificationError, match="no signed checksum was read, and its signature is required"):
        newest(linux(signature=rule), Sites(mirrors=world.mirrors), lambda _wanted, data, _fetch: (data, None, None))
