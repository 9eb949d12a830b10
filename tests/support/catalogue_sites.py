"""What the catalogue follows, as small copies of the sites on loopback: all releases and architectures in it."""

from __future__ import annotations

import base64
import bz2
import hashlib
import json
from collections.abc import Sequence

from openstack_image_manager.definitions.resolvers import shipped
from tests.support.documents import bsd, coreutils, digest, image, json_table, pre_listing, release, sections
from tests.support.site import Switches
from tests.support.upstreams import World

BOTH = ("x86_64", "aarch64")
ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
PACKED = b"\xfd7zXZ\x00" + bytes(700)


def key(resolver: str, os_version: str = "") -> str:
    """The fingerprint that a shipped resolver pins."""
    lookup = shipped.shipped().resolvers[resolver].variables["key"]
    return lookup.values.get(os_version, lookup.otherwise or "")


def almalinux(world: World, name: str, arch: str, sums_key: str | None = None) -> None:
    site, minor = world.host("repo.almalinux.org"), {"8": "8.10", "9": "9.8", "10": "10.2"}[name]
    file = f"AlmaLinux-{name}-GenericCloud-{minor}-20260526{'.0' if name == '10' else ''}.{arch}.qcow2"
    sums = coreutils({file: image(file)}).encode()
    site.put(f"/almalinux/{name}/cloud/{arch}/images/CHECKSUM", sums)
    signed = world.detached(sums, sums_key or key("almalinux", name))
    site.put(f"/almalinux/{name}/cloud/{arch}/images/CHECKSUM.asc", signed)
    site.put(f"/almalinux/{minor}/cloud/{arch}/images/{file}", image(file))


def alpine(world: World) -> None:
    site, folder = world.host("dl-cdn.alpinelinux.org"), "/alpine/v3.23/releases/cloud"
    files = [f"nocloud_alpine-3.23.4-{kind}-cloudinit-r0.qcow2" for kind in ("x86_64-bios", "aarch64-uefi")]
    site.on(f"{folder}/", Switches(html=pre_listing(files)))
    for file in files:
        site.put(f"{folder}/{file}", image(file))
        site.put(f"{folder}/{file}.sha512", f"{digest(image(file), 'sha512')}\n".encode())
        site.put(f"{folder}/{file}.asc", world.detached(image(file), key("alpine")))


def amazon(world: World) -> None:
    site, version, root = world.host("cdn.amazonlinux.com"), "2023.9.20251105.0", "/al2023/os-images"
    site.on(f"{root}/latest/", Switches(redirect=(302, f"{root}/{version}/")))
    for folder, arch in (("kvm", "x86_64"), ("kvm-arm64", "arm64")):
        file = f"al2023-kvm-{version}-kernel-6.1-{arch}.xfs.gpt.qcow2"
        site.put(f"{root}/{version}/{folder}/SHA256SUMS", coreutils({file: image(file)}).encode())
        site.put(f"{root}/{version}/{folder}/{file}", image(file))


def osism(world: World) -> None:
    """The amphora and the nodes of Kubernetes."""
    site = world.host("nbg1.your-objectstorage.com")
    for folder, pointer, path in (
        ("openstack-octavia-amphora-image", "last-2025.2", "octavia-amphora-haproxy-2025.2.20260722.qcow2"),
        ("openstack-k8s-capi-images", "last-1.33", "ubuntu-2404-kube-v1.33/ubuntu-2404-kube-v1.33.9.qcow2"),
    ):
        site.put(f"/osism/{folder}/{pointer}", f"2026-07-22 {path}\n".encode())
        site.put(f"/osism/{folder}/{path}", image(path))
        sums = coreutils({path.rpartition("/")[2]: image(path)})
        site.put(f"/osism/{folder}/{path}.CHECKSUM", sums.encode())


def arch_linux(world: World) -> None:
    site, version = world.host("geo.mirror.pkgbuild.com"), "20260715.556894"
    path = f"/images/v{version}/Arch-Linux-x86_64-cloudimg-{version}.qcow2"
    sums = coreutils({path.rpartition("/")[2]: image("arch")}).encode()
    site.on("/images/", Switches(html=pre_listing(["latest/", f"v{version}/"])))
    site.put(path, image("arch"))
    site.put(f"{path}.SHA256", sums)
    site.put(f"{path}.SHA256.sig", world.detached(sums, key("arch")))


def centos(world: World, stream: str, arch: str) -> None:
    site, folder = world.host("cloud.centos.org"), f"/centos/{stream}-stream/{arch}/images"
    file = f"CentOS-Stream-GenericCloud-{stream}-20260720.0.{arch}.qcow2"
    site.put(f"{folder}/{file}", image(file))
    site.put(f"{folder}/CHECKSUM", bsd({file: image(file)}).encode())


def cirros(world: World) -> None:
    path = "/cirros-dev/cirros/releases/download/0.6.3/cirros-0.6.3-x86_64-disk.img"
    world.host("github.com").put(path, image("cirros"))


def debian(world: World, name: str, arch: str, build: str = "20260712-2537", content: bytes | None = None) -> None:
    """`content`: the image, if it shall be a real one."""
    site, codename = world.host("cloud.debian.org"), {"12": "bookworm", "13": "trixie"}[name]
    path = f"{codename}/{build}/debian-{name}-genericcloud-{ARCH[arch]}-{build}.qcow2"
    data = content or image(path)
    encoded = base64.b64encode(hashlib.sha512(data).digest()).decode().rstrip("=")
    labels = {
        "upload.cloud.debian.org/image-format": "qcow2",
        "upload.cloud.debian.org/type": "release",
        "cloud.debian.org/version": build,
    }
    upload = {
        "kind": "Upload",
        "metadata": {"labels": labels, "annotations": {"cloud.debian.org/digest": f"sha512:{encoded}"}},
        "data": {"provider": "cloud.debian.org", "ref": path},
    }
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [upload]}).encode()
    site.put(f"/images/cloud/{path}", data)
    site.put(f"/images/cloud/{codename}/latest/debian-{name}-genericcloud-{ARCH[arch]}.json", manifest)


def fedora(world: World, arch: str) -> None:
    folder = f"/pub/fedora/linux/releases/44/Cloud/{arch}/images"
    file, sums = f"Fedora-Cloud-Base-Generic-44-1.7.{arch}.qcow2", f"Fedora-Cloud-44-1.7-{arch}-CHECKSUM"
    site = world.host("dl.fedoraproject.org")
    site.on(f"{folder}/", Switches(html=pre_listing([file, sums])))
    site.put(f"{folder}/{sums}", world.clear(bsd({file: image(file)}), key("fedora", "44")).encode())
    world.host("download.fedoraproject.org").put(f"{folder}/{file}", image(file))


def flatcar(world: World, arch: str) -> None:
    site = world.host("stable.release.flatcar-linux.net")
    name, folder = "flatcar_production_openstack_image.img", f"/{ARCH[arch]}-usr"
    version = b"FLATCAR_BUILD=4230\nFLATCAR_VERSION_ID=4230.2.4\n"
    site.put(f"{folder}/current/version.txt", version)
    site.put(f"{folder}/current/version.txt.sig", world.detached(version, key("flatcar")))
    site.put(f"{folder}/4230.2.4/{name}", image(arch))
    text = world.clear(sections(name, image(arch)), key("flatcar"))
    site.put(f"{folder}/4230.2.4/{name}.DIGESTS.asc", text.encode())


def freebsd(world: World, arch: str) -> None:
    long = "amd64" if arch == "x86_64" else "arm64-aarch64"
    name = f"FreeBSD-15.0-RELEASE-{long}-BASIC-CLOUDINIT-ufs.qcow2.xz"
    path = f"/releases/15.0R/checksums/CHECKSUM.SHA256-FreeBSD-15.0-RELEASE-{long}-vm.asc"
    text = world.clear(bsd({name: PACKED}, sizes=False), key("freebsd", "15.0"))
    world.host("www.freebsd.org").put(path, text.encode())
    folder = "amd64" if arch == "x86_64" else "aarch64"
    world.host("download.freebsd.org").put(f"/releases/VM-IMAGES/15.0-RELEASE/{folder}/Latest/{name}", PACKED)


def gardenlinux(world: World) -> None:
    url = "https://github.com/gardenlinux/gardenlinux/releases/download"
    names = [f"openstack-gardener_prod-{arch}-2150.8.0-3d56ba62" for arch in ARCH.values()]
    releases = [release("2150.8.0", "2026-07-30", {f"{name}.tar.xz": b"tar" for name in names}, url)]
    path = "/repos/gardenlinux/gardenlinux/releases?per_page=100"
    world.host("api.github.com").on(path, Switches(html=json.dumps(releases)))
    store = world.host("gardenlinux-github-releases.s3.amazonaws.com")
    for name in names:
        key_of_s3, sha256 = f"objects/{name}/{name}.qcow2", digest(image(name))
        store.put(f"/meta/singles/{name}", f"paths:\n- s3_key: {key_of_s3}\n  sha256sum: {sha256}\n".encode())
        store.put(f"/{key_of_s3}", image(name))


def opensuse(world: World, arch: str) -> None:
    site = world.host("download.opensuse.org")
    port = "/tumbleweed" if arch == "x86_64" else "/ports/aarch64/tumbleweed"
    for folder, file in (
        ("/distribution/leap/16.0/appliances", f"Leap-16.0-Minimal-VM.{arch}-Cloud-Build18.7.qcow2"),
        (f"{port}/appliances", f"openSUSE-Tumbleweed-Minimal-VM.{arch}-1.0.0-Cloud-Snapshot20260629.qcow2"),
    ):
        others = [file.replace(arch, other) for other in BOTH]
        site.on(f"{folder}/?jsontable", Switches(html=json_table(others)))
        sums = coreutils({file: image(file)}).encode()
        site.put(f"{folder}/{file}", image(file))
        site.put(f"{folder}/{file}.sha256", sums)
        site.put(f"{folder}/{file}.sha256.asc", world.detached(sums, key("opensuse-leap")))


def opnsense(world: World) -> None:
    site, folder, data = world.host("pkg.opnsense.org"), "/releases/26.7", bz2.compress(image("opnsense"))
    name, sums = "OPNsense-26.7-nano-amd64.img.bz2", "OPNsense-26.7-checksums-amd64.sha256"
    site.on(f"{folder}/", Switches(html=pre_listing([name, sums])))
    site.put(f"{folder}/{sums}", bsd({name: data}, sizes=False).encode())
    site.put(f"{folder}/{name}", data)
    if world.rsa:
        site.put(f"{folder}/{name.removesuffix('.bz2')}.sig", world.rsa(image("opnsense")))


def oracle(world: World, name: str, arch: str) -> None:
    site, folder = world.host("yum.oracle.com"), f"/templates/OracleLinux/OL{name}/u1/{arch}"
    file = f"OL{name}U1_{arch}-kvm{'' if arch == 'x86_64' else '-cloud'}-b293.qcow2"
    template = {"base_url": folder, "kvm": {"image": file, "sha256": digest(image(file))}}
    more = "" if arch == "x86_64" else "_aarch64-cloud"
    site.put(f"/templates/OracleLinux/ol{name}{more}-template.json", json.dumps(template).encode())
    site.put(f"{folder}/{file}", image(file))


def rocky(world: World, name: str, minor: str, arch: str, signed: Sequence[str] = ("10",)) -> None:
    site, folder = world.host("dl.rockylinux.org"), f"/pub/rocky/{minor}/images/{arch}"
    file = f"Rocky-{name}-GenericCloud-Base-{minor}-20260525.0.{arch}.qcow2"
    sums = bsd({file: image(file)}).encode()
    site.put(f"{folder}/{file}", image(file))
    site.put(f"{folder}/CHECKSUM", sums)
    if name in signed:
        site.put(f"{folder}/CHECKSUM.asc", world.detached(sums, key("rocky", name)))


def talos(world: World) -> None:
    site = world.host("factory.talos.dev")
    schematic = shipped.shipped().resolvers["talos"].variables["schematic"].otherwise
    site.put("/versions", json.dumps(["v1.13.10", "v1.14.0", "v1.14.1-alpha.1", "v1.9.9"]).encode())
    for arch in ARCH.values():
        site.put(f"/image/{schematic}/v1.14.0/openstack-{arch}.raw.xz", PACKED)


def ubuntu(world: World) -> None:
    site = world.host("cloud-images.ubuntu.com")
    releases = {"22.04": "jammy", "24.04": "noble", "26.04": "resolute"}
    streams = (("releases", "server", ("amd64", "arm64")), ("minimal/releases", "minimal", ("amd64",)))
    for stream, kind, architectures in streams:
        found = {}
        for name, codename in releases.items():
            for arch in architectures:
                file = f"ubuntu-{name}-{kind}-cloudimg-{arch}.img"
                path = f"server/releases/{codename}/release-20260705/{file}"
                item = {"ftype": "disk1.img", "path": path, "size": 2000, "sha256": digest(image(file))}
                builds = {"20260705": {"label": "release", "items": {"disk1.img": item}}}
                found[f"com.ubuntu.cloud:{kind}:{name}:{arch}"] = {"release": codename, "versions": builds}
                real = path.removeprefix("server/") if kind == "server" else f"{stream}/{path}"
                site.put(f"/{real}", image(file))
        text = json.dumps({"format": "products:1.0", "datatype": "image-downloads", "products": found}, indent=1)
        path = f"/{stream}/streams/v1/com.ubuntu.cloud:released:download.sjson"
        site.put(path, world.clear(text, key("ubuntu")).encode())


def publish(world: World, rocky_signed: Sequence[str] = ("10",)) -> None:
    """Everything that the catalogue follows. `rocky_signed`: sources disagree on which ones are."""
    single = (alpine, amazon, osism, arch_linux, cirros, gardenlinux, opnsense, talos, ubuntu)
    for one in single:
        one(world)
    minors: Sequence[tuple[str, str]] = (("8", "8.10"), ("9", "9.8"), ("10", "10.2"))
    for arch in BOTH:
        for name, minor in minors:
            almalinux(world, name, arch)
            rocky(world, name, minor, arch, rocky_signed)
        for name in ("9", "10"):
            centos(world, name, arch)
        for name in ("12", "13"):
            debian(world, name, arch)
        for each in (fedora, flatcar, freebsd, opensuse):
            each(world, arch)
    world.host("dl.rockylinux.org").on("/pub/rocky/", Switches(html=pre_listing([f"{minor}/" for _, minor in minors])))
    for name, arch in (("8", "x86_64"), ("9", "x86_64"), ("9", "aarch64"), ("10", "x86_64")):
        oracle(world, name, arch)
