"""A signature on a step of a resolver: the document that names the version must be signed, too."""

from __future__ import annotations

from typing import Any

import pytest
from tests.support import own_sites
from tests.support.documents import bsd, coreutils, digest, image, sections
from tests.support.linux_site import BASE, HOST, KEY, refused
from tests.support.site import Switches
from tests.support.upstreams import SIGNED_AT, World, ask, clearsigned, definition, signature

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error, VerificationError
from openstack_image_manager.upstreams.resolve import NothingFoundError

FLATCAR = "stable.release.flatcar-linux.net"
FLATCAR_KEY = "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A"
FOLDER = "/amd64-usr"
FILE = "flatcar_production_openstack_image.img"
VERSION_TXT = f"{FOLDER}/current/version.txt"


def at(when: str, text: str) -> str:
    """The stand-in for a signature, or a clearsigned text, as one that was made at another time."""
    assert SIGNED_AT in text
    return text.replace(SIGNED_AT, when)


def announce(world: World, version: str, when: str = SIGNED_AT, key: str = FLATCAR_KEY) -> None:
    """version.txt and its signature."""
    text = f"FLATCAR_BUILD=1\nFLATCAR_VERSION_ID={version}\n".encode()
    world.host(FLATCAR).put(VERSION_TXT, text)
    world.host(FLATCAR).put(f"{VERSION_TXT}.sig", at(when, signature(text, key).decode()).encode())


def publish(world: World, version: str, when: str = SIGNED_AT, content: str = "flatcar") -> None:
    """The image and its signed digests, which do not name the version."""
    site = world.host(FLATCAR)
    site.put(f"{FOLDER}/{version}/{FILE}", image(content))
    digests = clearsigned(sections(FILE, image(content)), FLATCAR_KEY)
    site.put(f"{FOLDER}/{version}/{FILE}.DIGESTS.asc", at(when, digests).encode())


def flatcar(*versions: dict[str, Any], **variables: str) -> Definition:
    return definition("flatcar", None, versions=list(versions), resolve={"use": "flatcar", "variables": variables})


def test_the_shipped_resolver_of_flatcar(world: World) -> None:
    own_sites.flatcar(world)
    build = ask(world, flatcar())
    assert (build.version, build.signed_by) == ("4230.2.4", FLATCAR_KEY)
    assert str(build.checksum) == f"sha512:{digest(image('flatcar'), 'sha512')}"


def test_a_version_that_nobody_signed(world: World) -> None:
    """An old build is called 9999.2.0: neither is it taken, nor are the true ones refused from then on."""
    own_sites.flatcar(world)
    publish(world, "9999.2.0", "2025-03-01 10:00:00")
    site = world.host(FLATCAR)
    site.put(VERSION_TXT, b"FLATCAR_VERSION_ID=9999.2.0\n")
    url = f"https://{FLATCAR}{VERSION_TXT}"
    assert refused(world, flatcar()) == f"{url}: bad signature"
    announce(world, "9999.2.0", key=KEY)
    assert refused(world, flatcar()) == f"{url}: bad signature"
    (site.directory / f"{VERSION_TXT[1:]}.sig").unlink()
    missing = f"{url}: there is no signature at {url}.sig, and it is required"
    assert refused(world, flatcar()) == missing
    assert ask(world, flatcar(policy="none")).version == "9999.2.0"
    # Where it was recorded all the same, the way out is to remove it.
    announce(world, "4300.2.0")
    publish(world, "4300.2.0")
    recorded = {"version": "9999.2.0", "url": "https://example.org/x"}
    assert "is older than 9999.2.0, which is already recorded" in refused(world, flatcar(recorded), Error)
    assert ask(world, flatcar()).version == "4300.2.0"


@pytest.mark.parametrize(("when", "is_refused"), [("2025-03-01 10:00:00", True), ("2026-07-31 11:00:00", False)])
def test_an_old_image_below_a_version_that_is_signed(world: World, when: str, is_refused: bool) -> None:
    """Also where nothing is recorded that it could be compared with. Its signature comes after that of the version."""
    announce(world, "4300.2.0")
    publish(world, "4300.2.0", when)
    if not is_refused:
        assert ask(world, flatcar()).signed_at == when
        return
    url = f"https://{FLATCAR}{FOLDER}/4300.2.0/{FILE}"
    assert refused(world, flatcar(), Error) == (
        f"possible rollback attack: the site offers an older build: 4300.2.0 ({url}) was signed on {when}, before its "
        f"version was announced: on {SIGNED_AT}; nothing is changed"
    )
    known = {"version": "4300.2.0", "url": url}
    assert ask(world, flatcar(known)).version == "4300.2.0"


def test_an_old_version_document(world: World) -> None:
    announce(world, "4230.2.4", "2025-03-01 10:00:00")
    publish(world, "4230.2.4")
    newer = {"version": "4300.2.0", "url": "https://example.org/x"}
    assert "is older than 4300.2.0, which is already recorded" in refused(world, flatcar(newer), Error)


@pytest.mark.parametrize(("version", "channel"), [("4300.0.0", "alpha"), ("4300.1.0", "beta"), ("4300.3.12", "lts")])
def test_another_channel_in_the_place_of_stable(world: World, version: str, channel: str) -> None:
    """All that is signed is genuine; its version says which channel it is of."""
    announce(world, version)
    publish(world, version)
    assert "only builds that are never taken" in refused(world, flatcar(), NothingFoundError)
    mirror = f"https://{FLATCAR}"
    assert ask(world, flatcar(channel=channel, mirror=mirror)).version == version
    publish(world, "4300.2.1")
    announce(world, "4300.2.1")
    assert ask(world, flatcar()).version == "4300.2.1"


def steps(rule: dict[str, Any] | None, **more: Any) -> Definition:
    """A pointer to a directory, and a checksum file in it."""
    pointer = {"pointer": f"{BASE}/last", "match": r"(?P<folder>\d+)", **({"signature": rule} if rule else {})}
    sums = {"checksum-file": f"{BASE}/{{folder}}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2"}
    return definition("linux", "1", resolve={"steps": [pointer, sums], **more}, versions=[])


def put(world: World) -> None:
    site = world.host(HOST)
    site.put("/last", b"7\n")
    site.put("/7/linux-1.qcow2", image("one"))
    site.put("/7/SUMS", coreutils({"linux-1.qcow2": image("one")}).encode())


def test_policies_of_steps(world: World) -> None:
    put(world)
    rule = {"kind": "detached", "url": f"{BASE}/last.sig", "keys": KEY}
    assert "there is no signature at" in refused(world, steps(rule))
    assert ask(world, steps({**rule, "policy": "optional"})).version == "1"
    world.host(HOST).put("/last.sig", signature(b"8\n", KEY))
    for policy in ("required", "optional"):
        assert refused(world, steps({**rule, "policy": policy})) == f"{BASE}/last: bad signature"
    assert ask(world, steps({**rule, "policy": "none"})).version == "1"
    world.host(HOST).put("/last.sig", signature(b"7\n", KEY))
    # It tells of the way, and nothing of the image.
    assert ask(world, steps(rule)).signed_by is None


def test_of_a_clearsigned_step_only_what_is_signed_is_read(world: World) -> None:
    put(world)
    rule = {"kind": "clearsigned", "keys": KEY}
    assert refused(world, steps(rule)) == f"{BASE}/last: is not signed, and its signature is required"
    world.host(HOST).put("/last", f"8\n{clearsigned(chr(10) + '7' + chr(10), KEY)}8\n".encode())
    assert ask(world, steps(rule)).version == "1"
    with pytest.raises(VerificationError):
        ask(world, steps({**rule, "keys": "A" * 40}))


def test_a_signature_of_a_step_counts_for_images_that_are_signed_themselves(world: World) -> None:
    put(world)
    site = world.host(HOST)
    site.put("/last.sig", signature(b"7\n", KEY))
    rule = {"kind": "detached", "url": f"{BASE}/last.sig", "keys": KEY}
    over = {"kind": "detached", "over": "image", "url": "{url}.sig", "keys": KEY}
    own = signature(image("one"), KEY).decode()
    site.put("/7/linux-1.qcow2.sig", at("2026-07-01 10:00:00", own).encode())
    assert "before its version was announced" in refused(world, steps(rule, signature=over), Error)
    site.put("/7/linux-1.qcow2.sig", own.encode())
    assert ask(world, steps(rule, signature=over)).signed_at == SIGNED_AT
    site.on("/last.sig", Switches(contents=[f"{KEY} {digest(b'7' + bytes([10]))} ".encode()]))
    assert ask(world, steps(rule, signature=over)).signed_at == SIGNED_AT


def test_the_checksum_file_of_the_last_step_with_two_rules(world: World) -> None:
    """One document has one rule."""
    put(world)
    text = bsd({"linux-1.qcow2": image("one")})
    world.host(HOST).put("/SUMS", text.encode())
    rule = {"kind": "detached", "url": f"{BASE}/SUMS.sig", "keys": KEY}
    step = {"checksum-file": f"{BASE}/SUMS", "match": r"linux-(?P<version>\d+)\.qcow2", "signature": rule}
    over = {**rule, "over": "checksum"}
    wanted = definition("linux", "1", resolve={"steps": [step], "signature": over}, versions=[])
    said = "resolve.steps[0].signature: signature: over: checksum is about this document already; remove one of them"
    assert refused(world, wanted, Error) == said
