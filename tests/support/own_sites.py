"""Small copies of the sites of systems with packages of their own, or with none: Alpine, Arch, Flatcar and others."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.documents import bsd, coreutils, digest, image, pre_listing, sections
from tests.support.site import Switches
from tests.support.upstreams import World, clearsigned, signature


def alpine(world: World) -> None:
    """Bare digests; r10 comes after r9; a signature over the image."""
    site = world.host("dl-cdn.alpinelinux.org")
    folder = "/alpine/v3.23/releases/cloud"
    name = "nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r10.qcow2"
    names = [name, name.replace("r10", "r9"), name.replace("3.23.4", "3.23.3"), name.replace("cloudinit", "tiny")]
    names += [name.replace("bios", "uefi"), name.replace("nocloud", "aws"), f"{name}.sha512", f"{name}.asc"]
    site.on(f"{folder}/", Switches(html=pre_listing(names)))
    site.put(f"{folder}/{name}", image("alpine"))
    site.put(f"{folder}/{name}.sha512", f"{digest(image('alpine'), 'sha512')}\n".encode())
    site.put(f"{folder}/{name}.asc", signature(image("alpine"), "F26ADFADBAE702EF7AF637459DA7EF23BFFCDF22"))


def arch(world: World) -> None:
    """Dated directories with a `v` and a link called latest; a signature over the checksum file."""
    site = world.host("geo.mirror.pkgbuild.com")
    site.on("/images/", Switches(html=pre_listing(["latest/", "v20260701.549000/", "v20260715.556894/"])))
    name = "Arch-Linux-x86_64-cloudimg-20260715.556894.qcow2"
    folder = "/images/v20260715.556894"
    sums = coreutils({name: image("arch")}).encode()
    site.put(f"{folder}/{name}", image("arch"))
    site.put(f"{folder}/{name}.SHA256", sums)
    site.put(f"{folder}/{name}.SHA256.sig", signature(sums, "1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F"))
    alias = "Arch-Linux-x86_64-cloudimg.qcow2"
    site.put(f"/images/latest/{alias}", image("arch"))
    site.put(f"/images/latest/{alias}.SHA256", coreutils({alias: image("arch")}).encode())


def cirros(world: World) -> None:
    """A release at GitHub: the files come from storage whose addresses expire."""
    target = world.host("storage.example.org").put("/cirros", image("cirros"))
    path = "/cirros-dev/cirros/releases/download/0.6.3/cirros-0.6.3-x86_64-disk.img"
    world.host("github.com").on(path, Switches(redirect=(302, f"{target}?sig=secret&se=2026")))


def flatcar(world: World) -> None:
    """version.txt in `current` tells the directory; digests in sections, clearsigned."""
    site = world.host("stable.release.flatcar-linux.net")
    name, folder = "flatcar_production_openstack_image.img", "/amd64-usr"
    text = 'FLATCAR_BUILD=4230\nFLATCAR_BRANCH=2\nFLATCAR_VERSION_ID=4230.2.4\nFLATCAR_BUILD_ID="2026-07-01-1200"\n'
    key = "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A"
    site.put(f"{folder}/current/version.txt", text.encode())
    site.put(f"{folder}/current/version.txt.sig", signature(text.encode(), key))
    for directory in ("4230.2.4", "current"):
        site.put(f"{folder}/{directory}/{name}", image("flatcar"))
        site.put(f"{folder}/{directory}/{name}.DIGESTS", sections(name, image("flatcar")).encode())
    signed = clearsigned(sections(name, image("flatcar")), key)
    site.put(f"{folder}/4230.2.4/{name}.DIGESTS.asc", signed.encode())
    site.on(f"{folder}/", Switches(html=pre_listing(["4230.2.3/", "4230.2.4/", "current/"])))


def freebsd(world: World) -> None:
    """The signed checksum file is on another host than the images; digests are of the packed files."""
    name = "FreeBSD-15.0-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz"
    files = {
        name: b"\xfd7zXZ\x00" + bytes(700),
        name.replace("ufs", "zfs"): b"zfs",
        name.replace("qcow2", "raw"): b"raw",
    }
    path = "/releases/15.0R/checksums/CHECKSUM.SHA256-FreeBSD-15.0-RELEASE-amd64-vm.asc"
    text = clearsigned(bsd(files, sizes=False), "82563B84D0620EDC0DFB86413897F2E22E65AD3F")
    world.host("www.freebsd.org").put(path, text.encode())
    world.host("download.freebsd.org").put(f"/releases/VM-IMAGES/15.0-RELEASE/amd64/Latest/{name}", files[name])


def opnsense(world: World) -> None:
    """Some respins have images; digests are of the packed files, the signature is over the unpacked one."""
    site = world.host("pkg.opnsense.org")
    folder, data = "/releases/26.1", b"BZh9" + bytes(600)
    names = {version: f"OPNsense-{version}-nano-amd64.img.bz2" for version in ("26.1", "26.1.6")}
    sums = ["OPNsense-26.1-checksums-amd64.sha256", "OPNsense-26.1.6-checksums-amd64.sha256"]
    site.on(f"{folder}/", Switches(html=pre_listing([*names.values(), *sums, "OPNsense-26.1.pub"])))
    for version, name in names.items():
        files = {name: data, name.replace("nano", "dvd"): b"dvd"}
        site.put(f"{folder}/OPNsense-{version}-checksums-amd64.sha256", bsd(files, sizes=False).encode())
        site.put(f"{folder}/{name}", data)


def talos(world: World) -> None:
    """A list of versions with pre-releases; no digest; the image may come from storage whose addresses expire."""
    site = world.host("factory.talos.dev")
    versions = ["v1.13.4", "v1.13.10", "v1.13.9", "v1.13.11-beta.0", "v1.14.0", "v1.14.1-alpha.1"]
    site.put("/versions", json.dumps(versions).encode())
    schematic = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"
    target = world.host("storage.example.org").put("/blob", b"\xfd7zXZ\x00" + bytes(500))
    path = f"/image/{schematic}/v1.13.10/openstack-amd64.raw.xz"
    site.on(path, Switches(redirect=(302, f"{target}?X-Amz-Signature=secret&X-Amz-Expires=300"), head_status=405))


ALL: tuple[Callable[[World], None], ...] = (alpine, arch, cirros, flatcar, freebsd, opnsense, talos)
