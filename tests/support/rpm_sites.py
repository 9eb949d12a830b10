"""Small copies of the sites of distributions of RPM packages: those that are like Fedora, and openSUSE."""

from __future__ import annotations

import json
from collections.abc import Callable

from tests.support.documents import bsd, coreutils, digest, image, json_table, pre_listing
from tests.support.site import Switches
from tests.support.upstreams import World, clearsigned, signature


def almalinux(world: World) -> None:
    """Dated files and their alias in one CHECKSUM; siblings that look alike; the minor release in the lasting path."""
    key = "BF18AC2876178908D6E71267D36CB86CB86B3716"
    site = world.host("repo.almalinux.org")
    newest = "AlmaLinux-9-GenericCloud-9.10-20260526.x86_64.qcow2"
    files = {
        "AlmaLinux-9-GenericCloud-9.9-20260414.x86_64.qcow2": image("old"),
        newest: image("alma"),
        "AlmaLinux-9-GenericCloud-latest.x86_64.qcow2": image("alma"),
        "AlmaLinux-9-GenericCloud-ext4-9.10-20260601.x86_64.qcow2": image("ext4"),
        "AlmaLinux-9-OpenNebula-9.10-20260601.x86_64.qcow2": image("nebula"),
    }
    sums = coreutils(files).encode()
    for minor in ("9", "9.10"):
        folder = f"/almalinux/{minor}/cloud/x86_64/images"
        for name, data in files.items():
            site.put(f"{folder}/{name}", data)
        site.put(f"{folder}/CHECKSUM", sums)
        site.put(f"{folder}/CHECKSUM.asc", signature(sums, key))
    ten = "AlmaLinux-10-GenericCloud-10.2-20260526.0.x86_64.qcow2"
    ten_files = {ten: image("ten"), "AlmaLinux-10-GenericCloud-10.2-20260526.0.x86_64_v2.qcow2": image("v2")}
    sums = coreutils(ten_files).encode()
    site.put("/almalinux/10/cloud/x86_64/images/CHECKSUM", sums)
    site.put(
        "/almalinux/10/cloud/x86_64/images/CHECKSUM.asc",
        signature(sums, "EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572"),
    )
    site.put(f"/almalinux/10.2/cloud/x86_64/images/{ten}", image("ten"))


def amazon(world: World) -> None:
    """`latest` redirects to a directory that can't be listed."""
    site = world.host("cdn.amazonlinux.com")
    version, root = "2023.9.20251105.0", "/al2023/os-images"
    name = f"al2023-kvm-{version}-kernel-6.1-x86_64.xfs.gpt.qcow2"
    site.on(f"{root}/latest/", Switches(redirect=(302, f"{root}/{version}/")))
    site.on(f"{root}/{version}/", Switches(status=403))
    site.put(f"{root}/{version}/kvm/SHA256SUMS", coreutils({name: image("amazon")}).encode())
    site.put(f"{root}/{version}/kvm/{name}", image("amazon"))


def centos(world: World) -> None:
    """Several builds a day, a second family of names, sizes in comments, 403 for those who don't say who they are."""
    site = world.host("cloud.centos.org")
    folder = "/centos/9-stream/x86_64/images"
    names = ["20250930.2", "20250930.10", "20250812.1"]
    files = {f"CentOS-Stream-GenericCloud-9-{name}.x86_64.qcow2": image(name) for name in names}
    files["CentOS-Stream-GenericCloud-9-latest.x86_64.qcow2"] = image("20250930.10")
    files["CentOS-Stream-GenericCloud-x86_64-9-20251001.0.x86_64.qcow2"] = image("other layout")
    for name, data in files.items():
        site.put(f"{folder}/{name}", data)
        site.on(f"{folder}/{name}", Switches(picky=True, head_status=405))
    site.put(f"{folder}/CHECKSUM", bsd(files).encode())
    site.on(f"{folder}/CHECKSUM", Switches(picky=True))


def fedora(world: World) -> None:
    """The checksum file's name has the compose; it is clearsigned; images come by way of a redirector."""
    site, images = world.host("dl.fedoraproject.org"), world.host("download.fedoraproject.org")
    folder = "/pub/fedora/linux/releases/44/Cloud/x86_64/images"
    name = "Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2"
    files = {
        name: image("fedora"),
        "Fedora-Cloud-Base-UEFI-UKI-44-1.7.x86_64.qcow2": image("uki"),
        "Fedora-Cloud-Base-AmazonEC2-44-1.7.x86_64.raw.xz": b"xz",
    }
    text = clearsigned(bsd(files), "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6")
    site.put(f"{folder}/Fedora-Cloud-44-1.7-x86_64-CHECKSUM", text.encode())
    site.on(f"{folder}/", Switches(html=pre_listing([*files, "Fedora-Cloud-44-1.7-x86_64-CHECKSUM"])))
    target = world.host("mirror.example.org").put(f"{folder}/{name}", image("fedora"))
    images.on(f"{folder}/{name}", Switches(redirect=(302, target)))
    # The list of all releases: sizes are texts, and versions may be more than numbers.
    link = f"https://download.fedoraproject.org{folder}/{name}"
    common = {"arch": "x86_64", "variant": "Cloud", "subvariant": "Cloud_Base", "size": "2000"}
    rows = [
        {"version": "44", "link": link, "sha256": digest(image("fedora")), **common},
        {"version": "44", "link": link.replace("Generic", "UEFI-UKI"), "sha256": digest(image("uki")), **common},
        {"version": "45 Beta", "link": link.replace("44", "45"), "sha256": digest(b"beta"), **common},
        {**common, "version": "44", "link": link, "sha256": digest(b"arm"), "arch": "aarch64"},
    ]
    world.host("fedoraproject.org").put("/releases.json", json.dumps(rows).encode())


def opensuse(world: World) -> None:
    """MirrorCache's table; a checksum file for each file, with one blank; the alias lags behind on mirrors."""
    site = world.host("download.opensuse.org")
    key = "AD485664E901B867051AB15F35A2F86E29B700A4"
    folder = "/distribution/leap/15.6/appliances"
    name = "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2"
    alias = "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2"
    names = [name, name.replace("19.10", "19.9"), f"{name}.sha256", alias, name.replace("Cloud", "kvm-and-xen")]
    site.on(f"{folder}/?jsontable", Switches(html=json_table(names)))
    mirror = world.host("ftp.gwdg.de")
    site.on(f"{folder}/{name}", Switches(redirect=(302, mirror.put(f"{folder}/{name}", image("leap")))))
    for file in (name, alias):
        sums = coreutils({name: image("leap")}, separator=" ").encode()
        site.put(f"{folder}/{file}.sha256", sums)
        site.put(f"{folder}/{file}.sha256.asc", signature(sums, key))
    site.on(f"{folder}/{alias}", Switches(redirect=(302, mirror.put(f"{folder}/{alias}", image("leap")))))
    folder = "/tumbleweed/appliances"
    name = "openSUSE-Tumbleweed-Minimal-VM.x86_64-1.0.0-Cloud-Snapshot20260629.qcow2"
    sums = coreutils({name: image("tumbleweed")}).encode()
    site.on(
        f"{folder}/?jsontable", Switches(html=json_table([name, "openSUSE-Tumbleweed-Minimal-VM.x86_64-Cloud.qcow2"]))
    )
    site.put(f"{folder}/{name}", image("tumbleweed"))
    site.put(f"{folder}/{name}.sha256", sums)
    site.put(f"{folder}/{name}.sha256.asc", signature(sums, key))


def oracle(world: World) -> None:
    """One JSON document for a release."""
    site = world.host("yum.oracle.com")
    name = "OL9U8_x86_64-kvm-b293.qcow2"
    folder = "/templates/OracleLinux/OL9/u8/x86_64"
    kvm = {"image": name, "sha256": digest(image("oracle"))}
    template = {"base_url": folder, "kvm": kvm, "vagrant": {"image": "x.box", "sha256": digest(b"box")}}
    site.put("/templates/OracleLinux/ol9-template.json", json.dumps(template).encode())
    site.put(f"{folder}/{name}", image("oracle"))


def rocky(world: World) -> None:
    """The minor release is in the listing; 9.10 comes after 9.9, and its directory is there before its images are."""
    site = world.host("dl.rockylinux.org")
    site.on("/pub/rocky/", Switches(html=pre_listing(["10.0/", "10.2/", "10.10/", "9/", "9.8/", "RPM-GPG-KEY"], "'")))
    newest = "Rocky-10-GenericCloud-Base-10.2-20260525.0.x86_64.qcow2"
    files = {
        newest: image("rocky"),
        "Rocky-10-GenericCloud-Base.latest.x86_64.qcow2": image("rocky"),
        "Rocky-10-GenericCloud-LVM-10.2-20260526.0.x86_64.qcow2": image("lvm"),
    }
    folder = "/pub/rocky/10.2/images/x86_64"
    for name, data in files.items():
        site.put(f"{folder}/{name}", data)
    sums = bsd(files).encode()
    site.put(f"{folder}/CHECKSUM", sums)
    site.put(f"{folder}/CHECKSUM.asc", signature(sums, "FC226859C0860BF0DDB95B085B106C736FEDFC85"))
    # 9 is not signed.
    name = "Rocky-9-GenericCloud-Base-9.8-20260525.0.x86_64.qcow2"
    site.put(f"/pub/rocky/9.8/images/x86_64/{name}", image("nine"))
    site.put("/pub/rocky/9.8/images/x86_64/CHECKSUM", bsd({name: image("nine")}).encode())
    # The alias and the dated name, for definitions that know the alias only.
    site.put("/pub/rocky/10/images/x86_64/CHECKSUM", sums)
    for name, data in files.items():
        site.put(f"/pub/rocky/10/images/x86_64/{name}", data)


ALL: tuple[Callable[[World], None], ...] = (almalinux, amazon, centos, fedora, opensuse, oracle, rocky)
