"""Addresses that move from build to build are followed to lasting names of the same bytes, and never back."""

from __future__ import annotations

import pytest
from tests.support.documents import bsd, coreutils, digest, image, pre_listing
from tests.support.linux_site import ALIAS, BASE, HOST, moving, put, refused
from tests.support.newest_builds import ALMA, AMPHORA, LEAP, ROCKY
from tests.support.site import Switches
from tests.support.upstreams import World, ask, definition

from openstack_image_manager.errors import Error, FetchError
from openstack_image_manager.upstreams.build import is_new

MOVING: dict[str, tuple[str, str, str, str, str]] = {
    "almalinux": (
        f"{ALMA}/9/cloud/x86_64/images/AlmaLinux-9-GenericCloud-latest.x86_64.qcow2",
        f"{ALMA}/9/cloud/x86_64/images/CHECKSUM",
        f"{ALMA}/9/cloud/x86_64/images/AlmaLinux-9-GenericCloud-9.10-20260526.x86_64.qcow2",
        "20260526",
        digest(image("alma")),
    ),
    "centos": (
        "https://cloud.centos.org/centos/9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2",
        "https://cloud.centos.org/centos/9-stream/x86_64/images/CHECKSUM",
        "https://cloud.centos.org/centos/9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-20250930.10.x86_64.qcow2",
        "20250930.10",
        digest(image("20250930.10")),
    ),
    "rocky": (
        f"{ROCKY}/10/images/x86_64/Rocky-10-GenericCloud-Base.latest.x86_64.qcow2",
        f"{ROCKY}/10/images/x86_64/CHECKSUM",
        f"{ROCKY}/10/images/x86_64/Rocky-10-GenericCloud-Base-10.2-20260525.0.x86_64.qcow2",
        "20260525.0",
        digest(image("rocky")),
    ),
    "debian": (
        "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.qcow2",
        "https://cloud.debian.org/images/cloud/trixie/latest/SHA512SUMS",
        "https://cloud.debian.org/images/cloud/trixie/20260712-2537/debian-13-genericcloud-amd64-20260712-2537.qcow2",
        "20260712-2537",
        digest(image("debian"), "sha512"),
    ),
    "ubuntu": (
        "https://cloud-images.ubuntu.com/noble/current/noble-server-cloudimg-amd64.img",
        "https://cloud-images.ubuntu.com/noble/current/SHA256SUMS",
        "https://cloud-images.ubuntu.com/noble/20260710/noble-server-cloudimg-amd64.img",
        "20260710",
        digest(image("noble")),
    ),
    "flatcar": (
        "https://stable.release.flatcar-linux.net/amd64-usr/current/flatcar_production_openstack_image.img",
        "https://stable.release.flatcar-linux.net/amd64-usr/current/flatcar_production_openstack_image.img.DIGESTS",
        "https://stable.release.flatcar-linux.net/amd64-usr/4230.2.4/flatcar_production_openstack_image.img",
        "4230.2.4",
        digest(image("flatcar"), "sha512"),
    ),
    "arch": (
        "https://geo.mirror.pkgbuild.com/images/latest/Arch-Linux-x86_64-cloudimg.qcow2",
        "https://geo.mirror.pkgbuild.com/images/latest/Arch-Linux-x86_64-cloudimg.qcow2.SHA256",
        "https://geo.mirror.pkgbuild.com/images/v20260715.556894/Arch-Linux-x86_64-cloudimg-20260715.556894.qcow2",
        "20260715.556894",
        digest(image("arch")),
    ),
    "opensuse, whose lasting name is gone": (
        f"{LEAP}/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2",
        f"{LEAP}/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256",
        f"{LEAP}/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2",
        "19.10",
        digest(image("leap")),
    ),
    "amphora": (
        f"{AMPHORA}/octavia-amphora-haproxy-2025.2.qcow2",
        f"{AMPHORA}/octavia-amphora-haproxy-2025.2.qcow2.CHECKSUM",
        f"{AMPHORA}/octavia-amphora-haproxy-2025.2.qcow2",
        "",
        digest(image("amphora")),
    ),
}


@pytest.mark.parametrize("name", MOVING)
def test_moving_addresses_are_followed_to_lasting_names_of_the_same_bytes(whole_world: World, name: str) -> None:
    url, sums, lasting, version, hexdigest = MOVING[name]
    wanted = definition("ubuntu", "24.04", latest_url=url, latest_checksum_url=sums)
    build = ask(whole_world, wanted)
    assert (build.url, build.checksum and build.checksum.digest) == (lasting, hexdigest)
    assert build.signed_by is None
    if version:
        assert build.version == version
    else:
        assert build.build_date
        assert build.version == build.build_date[:10].replace("-", "")
        # The bytes that the definition has already keep their version.
        known = definition(
            "ubuntu",
            "24.04",
            latest_url=url,
            latest_checksum_url=sums,
            versions=[{"version": "20200101", "url": "https://x/1", "checksum": str(build.checksum)}],
        )
        assert ask(whole_world, known).version == "20200101"
        assert not is_new(known, ask(whole_world, known))


def test_a_lasting_name_is_one_of_the_same_bytes(world: World) -> None:
    """Never the newest one: the alias may lag behind, or be another image altogether."""
    old, new = "linux-20260601.qcow2", "linux-20260701.0.qcow2"
    put(
        world, {old: image("a"), new: image("b"), ALIAS: image("a"), "linux.qcow2": image("a"), "x-1.5.img": image("a")}
    )
    build = ask(world, moving())
    assert (build.version, build.url, build.build_date) == ("20260601", f"{BASE}/{old}", "2026-06-01")
    # It is pruned already: the moving address with its digest, as a build of the day on which it was changed.
    (world.host(HOST).directory / old).unlink()
    build = ask(world, moving())
    assert build.url == f"{BASE}/{ALIAS}"
    assert build.build_date
    assert build.version == build.build_date[:10].replace("-", "")
    assert build.checksum
    assert build.checksum.digest == digest(image("a"))
    (world.host(HOST).directory / ALIAS).unlink()
    assert refused(world, moving(), FetchError) == f"{BASE}/{ALIAS}: is not there"


def test_a_moving_address_without_a_date(world: World) -> None:
    put(world, {ALIAS: image("a")}, text=coreutils({ALIAS: image("a")}))
    world.host(HOST).on(f"/{ALIAS}", Switches(bare=True))
    build = ask(world, moving())
    assert build.build_date == f"{build.version[:4]}-{build.version[4:6]}-{build.version[6:]}"


def test_a_moving_checksum_file_that_does_not_fit(world: World) -> None:
    put(world, {"else.qcow2": image("a"), "more.qcow2": image("b"), ALIAS: image("c")}, text="")
    put(world, {}, text=coreutils({"else.qcow2": image("a"), "more.qcow2": image("b")}))
    assert refused(world, moving()).startswith(f"{BASE}/SUMS: the checksum file has no digest of {ALIAS}; it has ")
    put(world, {}, text=bsd({ALIAS: image("c", 3000)}))
    assert refused(world, moving()) == f"{BASE}/{ALIAS}: has 2000 bytes, {BASE}/SUMS says 3000"
    assert world.host(HOST).count("/SUMS") == 4
    world.host(HOST).on(f"/{ALIAS}", Switches(status=403))
    assert "403" in refused(world, moving(), FetchError)


def test_directories_beside_the_one_that_moves(world: World) -> None:
    site = world.host(HOST)
    folders = ["20260601", "release-20260602", "20260603", "20260604", "20260605", "trash"]
    site.on("/x/", Switches(html=pre_listing([f"{name}/" for name in folders])))
    put(world, {"x/current/a.img": image("a")}, "/x/current/SUMS", coreutils({"a.img": image("a")}))
    put(world, {"x/20260603/a.img": image("a")}, "/x/20260603/SUMS", coreutils({"a.img": image("a")}))
    put(world, {"x/20260605/a.img": image("b")}, "/x/20260605/SUMS", coreutils({"a.img": image("b")}))
    url, sums = f"{BASE}/x/current/a.img", f"{BASE}/x/current/SUMS"
    assert ask(world, moving(url, sums)).url == f"{BASE}/x/20260603/a.img"
    # What is older than the three newest is not looked for.
    (site.directory / "x" / "20260603" / "SUMS").unlink()
    assert ask(world, moving(url, sums)).url == url
    site.on("/x/20260604/SUMS", Switches(status=403))
    assert "403" in refused(world, moving(url, sums), FetchError)
    # Not every site shows its directories, but one that is cut off is no site without builds.
    site.on("/x/20260604/SUMS", Switches())
    put(world, {}, "/x/20260604/SUMS", coreutils({"a.img": b"1"}) + coreutils({"a.img": b"2"}))
    assert refused(world, moving(url, sums)).startswith(f"{BASE}/x/20260604/SUMS: the checksum file has two different")
    listing = pre_listing(["20260603/"])
    site.on("/x/", Switches(html=listing[:-10]))
    assert refused(world, moving(url, sums)) == f"{BASE}/x/: the listing is cut off in a tag"
    site.on("/x/", Switches(status=403))
    assert ask(world, moving(url, sums)).url == url
    site.on("/x/", Switches(status=400))
    assert "400" in refused(world, moving(url, sums), FetchError)
    # A checksum file of another place tells nothing about these directories.
    put(world, {}, "/SUMS", coreutils({"a.img": image("a")}))
    assert ask(world, moving(url, f"{BASE}/SUMS")).url == url


def test_a_bare_digest_beside_the_image(world: World) -> None:
    site = world.host(HOST)
    site.on("/x/", Switches(html=pre_listing(["1.2.3/", "1.2.4/"])))
    bare = f"{digest(image('a'), 'sha512')}\n".encode()
    for folder in ("latest", "1.2.4"):
        site.put(f"/x/{folder}/a.img", image("a"))
        site.put(f"/x/{folder}/a.img.sha512", bare)
    build = ask(world, moving(f"{BASE}/x/latest/a.img", f"{BASE}/x/latest/a.img.sha512"))
    assert (build.version, build.url) == ("1.2.4", f"{BASE}/x/1.2.4/a.img")


def test_a_moving_address_never_leads_back(world: World) -> None:
    put(world, {"linux-20260601.qcow2": image("a"), ALIAS: image("a")})
    later = {"version": "20260701", "url": f"{BASE}/1"}
    assert "is older than 20260701" in refused(world, moving(f"{BASE}/{ALIAS}", f"{BASE}/SUMS", later), Error)
