"""Small copies of the sites of Debian, of Ubuntu, and of images that others make of their packages."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from typing import Any

from tests.support.documents import coreutils, digest, image, pre_listing, products, release, table_listing
from tests.support.site import Switches
from tests.support.upstreams import World, clearsigned


def debian(world: World) -> None:
    """The manifest in `latest`; images are redirected to a mirror; dated directories with dated names."""
    site, mirror = world.host("cloud.debian.org"), world.host("saimei.ftp.acc.umu.se")
    build, root = "20260712-2537", "/images/cloud/trixie"
    name = f"debian-13-genericcloud-amd64-{build}.qcow2"
    path = f"{root}/{build}/{name}"
    site.on(path, Switches(redirect=(302, mirror.put(path, image("debian")))))
    encoded = base64.b64encode(hashlib.sha512(image("debian")).digest()).decode().rstrip("=")

    def upload(disk_format: str, ref: str, sha512: str) -> dict[str, Any]:
        labels = {
            "upload.cloud.debian.org/image-format": disk_format,
            "upload.cloud.debian.org/type": "release",
            "cloud.debian.org/version": build,
        }
        annotations = {"cloud.debian.org/digest": f"sha512:{sha512}"}
        return {
            "kind": "Upload",
            "metadata": {"labels": labels, "annotations": annotations},
            "data": {"provider": "cloud.debian.org", "ref": ref},
        }

    items = [
        {"kind": "Build", "data": {"packages": [{"name": "apt", "version": "3.0.3"}]}},
        upload("internal", f"trixie/{build}/debian-13-genericcloud-amd64-{build}.tar.xz", encoded),
        upload("qcow2", f"trixie/{build}/{name}", encoded),
    ]
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": items}).encode()
    site.put(f"{root}/latest/debian-13-genericcloud-amd64.json", manifest)
    # For definitions that know `latest` only.
    alias = {"debian-13-genericcloud-amd64.qcow2": image("debian")}
    site.put(f"{root}/latest/debian-13-genericcloud-amd64.qcow2", image("debian"))
    site.put(f"{root}/latest/SHA512SUMS", coreutils(alias, "sha512").encode())
    site.put(f"{root}/{build}/SHA512SUMS", coreutils({name: image("debian")}, "sha512").encode())
    older = "debian-13-genericcloud-amd64-20260615-2510.qcow2"
    site.put(f"{root}/20260615-2510/SHA512SUMS", coreutils({older: image("older")}, "sha512").encode())
    site.on(f"{root}/", Switches(html=table_listing(["20260615-2510/", f"{build}/", "daily/", "latest/"])))


def ubuntu(world: World) -> None:
    """Clearsigned simplestreams; a second build of a day; paths that are redirected to where the files are."""
    site = world.host("cloud-images.ubuntu.com")
    builds = {"20260705": image("first"), "20260705.1": image("ubuntu"), "20260225": image("old")}
    text = clearsigned(products(builds), "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81")
    site.put("/releases/streams/v1/com.ubuntu.cloud:released:download.sjson", text.encode())
    real = "/releases/noble/release-20260705.1/ubuntu-24.04-server-cloudimg-amd64.img"
    site.put(real, image("ubuntu"))
    path = "/releases/server/releases/noble/release-20260705.1/ubuntu-24.04-server-cloudimg-amd64.img"
    site.on(path, Switches(redirect=(301, real)))
    for stream, content, product, name in (
        ("daily", "daily", "com.ubuntu.cloud.daily:server:24.04:amd64", "noble-server-cloudimg-amd64.img"),
        (
            "minimal/releases",
            "released",
            "com.ubuntu.cloud:minimal:24.04:amd64",
            "ubuntu-24.04-minimal-cloudimg-amd64.img",
        ),
    ):
        text = clearsigned(
            products({"20260801": image(stream)}, name, product), "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81"
        )
        site.put(f"/{stream}/streams/v1/com.ubuntu.cloud:{content}:download.sjson", text.encode())
        site.put(f"/{stream}/server/releases/noble/release-20260801/{name}", image(stream))
    # For definitions that know `current` only: the newest directory is not always what it stands for.
    name = "noble-server-cloudimg-amd64.img"
    for folder, data in (("current", "noble"), ("20260710", "noble"), ("20260712", "newer"), ("20260703", "older")):
        site.put(f"/noble/{folder}/{name}", image(data))
        site.put(f"/noble/{folder}/SHA256SUMS", coreutils({name: image(data)}, separator=" *").encode())
    site.on("/noble/", Switches(html=pre_listing(["20260703/", "20260710/", "20260712/", "current/"])))


def gardenlinux(world: World) -> None:
    """Releases of several series in the order of their days; metadata as YAML beside the image."""
    api = world.host("api.github.com")
    url = "https://github.com/gardenlinux/gardenlinux/releases/download"

    def assets(version: str) -> dict[str, bytes]:
        names = ("openstack-gardener_prod-amd64", "openstack-gardener_prod_usi-amd64", "openstack-gardener_prod-arm64")
        return {f"{name}-{version}-3d56ba62.tar.xz": b"tar" for name in names}

    days = [("1592.15", "2026-09-01"), ("1877.10", "2026-08-01"), ("2150.8.0", "2026-07-30"), ("1877.9", "2026-07-01")]
    releases = [release(version, day, assets(version), url) for version, day in days]
    releases.append(release("1877.11", "2026-09-02", assets("1877.11"), url, prerelease=True))
    releases.append(release("1877.12", "2026-09-03", assets("1877.12"), url, draft=True))
    api.on("/repos/gardenlinux/gardenlinux/releases?per_page=100", Switches(html=json.dumps(releases)))
    store = world.host("gardenlinux-github-releases.s3.amazonaws.com")
    cname = "openstack-gardener_prod-amd64-1877.10-3d56ba62"
    meta = (
        f"platform: openstack\narchitecture: amd64\nversion: 1877.10\nbuild_timestamp: 2026-08-01T07:00:00\npaths:\n"
        f"- name: {cname}.tar.xz\n  s3_key: objects/{cname}/{cname}.tar.xz\n  sha256sum: {digest(b'tar')}\n"
        f"- name: {cname}.qcow2\n  s3_key: objects/{cname}/{cname}.qcow2\n  sha256sum: {digest(image('garden'))}\n"
    )
    store.put(f"/meta/singles/{cname}", meta.encode())
    store.put(f"/objects/{cname}/{cname}.qcow2", image("garden"))


def amphora(world: World) -> None:
    """A pointer of one line; a checksum file for each image."""
    site = world.host("nbg1.your-objectstorage.com")
    folder = "/osism/openstack-octavia-amphora-image"
    name, alias = "octavia-amphora-haproxy-2025.2.20260722.qcow2", "octavia-amphora-haproxy-2025.2.qcow2"
    site.put(f"{folder}/last-2025.2", f"2026-07-22 {name}\n".encode())
    for file in (name, alias):
        site.put(f"{folder}/{file}", image("amphora"))
        site.put(f"{folder}/{file}.CHECKSUM", coreutils({file: image("amphora")}).encode())
    folder = "/osism/openstack-k8s-capi-images"
    path = "ubuntu-2404-kube-v1.33/ubuntu-2404-kube-v1.33.10.qcow2"
    site.put(f"{folder}/last-1.33", f"2025-11-15 {path}\n".encode())
    site.put(f"{folder}/{path}", image("capi"))
    site.put(f"{folder}/{path}.CHECKSUM", coreutils({path.rpartition("/")[2]: image("capi")}).encode())


def azimuth(world: World) -> None:
    """A manifest among the files of a release, which come from storage whose addresses expire."""
    url = "https://github.com/azimuth-cloud/azimuth-images/releases/download"
    name = "ubuntu-noble-kube-v1.33.5-260701-1200.qcow2"
    target = world.host("objects.example.org").put(f"/azimuth/{name}", image("azimuth"))
    address = f"https://objects.example.org/azimuth/{name}"
    manifest = {
        "kubernetes-1-33-noble": {
            "name": name.removesuffix(".qcow2"),
            "url": address,
            "checksum": f"sha256:{digest(image('azimuth'))}",
            "checksum_sha512": digest(image("azimuth"), "sha512"),
        },
        "workstation": {
            "name": "x",
            "url": address.replace("kube-v1.33.5", "desktop"),
            "checksum": f"sha256:{digest(b'x')}",
        },
    }
    assert target.endswith(name)
    data = json.dumps(manifest).encode()
    releases = [release(tag, "2026-07-01", {"manifest.json": data}, url) for tag in ("0.9.0", "0.10.0")]
    api = world.host("api.github.com")
    api.on("/repos/azimuth-cloud/azimuth-images/releases?per_page=100", Switches(html=json.dumps(releases)))
    blob = world.host("storage.example.org").put("/manifest", data)
    path = "/azimuth-cloud/azimuth-images/releases/download/0.10.0/manifest.json"
    world.host("github.com").on(path, Switches(redirect=(302, f"{blob}?sig=secret")))


ALL: tuple[Callable[[World], None], ...] = (debian, ubuntu, gardenlinux, amphora, azimuth)
