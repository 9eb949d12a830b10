"""All small copies of upstream sites at once, and the newest build of each."""

from __future__ import annotations

from typing import NamedTuple

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Definition
from tests.support import deb_sites, own_sites, rpm_sites
from tests.support.documents import digest, image
from tests.support.upstreams import World, definition


def publish(world: World) -> None:
    """Everything that the shipped resolvers can be asked for."""
    for site in (*rpm_sites.ALL, *deb_sites.ALL, *own_sites.ALL):
        site(world)


class Newest(NamedTuple):
    """A definition, and what is found for it. `day`: the build date, or "modified", when its file was last changed."""

    wanted: Definition
    version: str
    url: str
    checksum: Checksum | None
    checksums_url: str | None
    day: str
    signed_by: str | None


def sha256(data: bytes) -> Checksum:
    return Checksum("sha256", digest(data))


ALMA = "https://repo.almalinux.org/almalinux"
ROCKY = "https://dl.rockylinux.org/pub/rocky"
FEDORA = "fedoraproject.org/pub/fedora/linux/releases/44/Cloud/x86_64/images"
LEAP = "https://download.opensuse.org/distribution/leap/15.6/appliances"
AMPHORA = "https://nbg1.your-objectstorage.com/osism/openstack-octavia-amphora-image"
NEWEST: dict[str, Newest] = {
    "almalinux 9": Newest(
        definition("almalinux", "9"),
        "20260526",
        f"{ALMA}/9.10/cloud/x86_64/images/AlmaLinux-9-GenericCloud-9.10-20260526.x86_64.qcow2",
        sha256(image("alma")),
        f"{ALMA}/9/cloud/x86_64/images/CHECKSUM",
        "2026-05-26",
        "BF18AC2876178908D6E71267D36CB86CB86B3716",
    ),
    "almalinux 10": Newest(
        definition("almalinux", "10"),
        "20260526.0",
        f"{ALMA}/10.2/cloud/x86_64/images/AlmaLinux-10-GenericCloud-10.2-20260526.0.x86_64.qcow2",
        sha256(image("ten")),
        f"{ALMA}/10/cloud/x86_64/images/CHECKSUM",
        "2026-05-26",
        "EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572",
    ),
    "centos": Newest(
        definition("centos", "9"),
        "20250930.10",
        "https://cloud.centos.org/centos/9-stream/x86_64/images/CentOS-Stream-GenericCloud-9-20250930.10.x86_64.qcow2",
        sha256(image("20250930.10")),
        "https://cloud.centos.org/centos/9-stream/x86_64/images/CHECKSUM",
        "2025-09-30",
        None,
    ),
    "debian": Newest(
        definition("debian", "13"),
        "20260712-2537",
        "https://cloud.debian.org/images/cloud/trixie/20260712-2537/debian-13-genericcloud-amd64-20260712-2537.qcow2",
        Checksum("sha512", digest(image("debian"), "sha512")),
        "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.json",
        "2026-07-12",
        None,
    ),
    "rocky 10": Newest(
        definition("rocky", "10"),
        "20260525.0",
        f"{ROCKY}/10.2/images/x86_64/Rocky-10-GenericCloud-Base-10.2-20260525.0.x86_64.qcow2",
        sha256(image("rocky")),
        f"{ROCKY}/10.2/images/x86_64/CHECKSUM",
        "2026-05-25",
        "FC226859C0860BF0DDB95B085B106C736FEDFC85",
    ),
    "rocky 9, which nobody signed": Newest(
        definition("rocky", "9"),
        "20260525.0",
        f"{ROCKY}/9.8/images/x86_64/Rocky-9-GenericCloud-Base-9.8-20260525.0.x86_64.qcow2",
        sha256(image("nine")),
        f"{ROCKY}/9.8/images/x86_64/CHECKSUM",
        "2026-05-25",
        None,
    ),
    "ubuntu": Newest(
        definition("ubuntu", "24.04"),
        "20260705.1",
        "https://cloud-images.ubuntu.com/releases/noble/release-20260705.1/ubuntu-24.04-server-cloudimg-amd64.img",
        sha256(image("ubuntu")),
        "https://cloud-images.ubuntu.com/releases/streams/v1/com.ubuntu.cloud:released:download.sjson",
        "2026-07-05",
        "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81",
    ),
    **{
        f"ubuntu {stream}": Newest(
            definition("ubuntu", "24.04", resolve=f"ubuntu-{stream}"),
            "20260801",
            f"https://cloud-images.ubuntu.com/{folder}/server/releases/noble/release-20260801/{name}",
            sha256(image(folder)),
            f"https://cloud-images.ubuntu.com/{folder}/streams/v1/com.ubuntu.cloud:{content}:download.sjson",
            "2026-08-01",
            "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81",
        )
        for stream, folder, content, name in (
            ("daily", "daily", "daily", "noble-server-cloudimg-amd64.img"),
            ("minimal", "minimal/releases", "released", "ubuntu-24.04-minimal-cloudimg-amd64.img"),
        )
    },
    "fedora": Newest(
        definition("fedora", "44"),
        "44-1.7",
        f"https://download.{FEDORA}/Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2",
        sha256(image("fedora")),
        f"https://dl.{FEDORA}/Fedora-Cloud-44-1.7-x86_64-CHECKSUM",
        "modified",
        "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6",
    ),
    "fedora, the list of all releases": Newest(
        definition("fedora", "44", resolve="fedora-list"),
        "44-1.7",
        f"https://download.{FEDORA}/Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2",
        sha256(image("fedora")),
        "https://fedoraproject.org/releases.json",
        "modified",
        None,
    ),
    "opensuse leap": Newest(
        definition("opensuse", "15.6"),
        "15.6-19.10",
        f"{LEAP}/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2",
        sha256(image("leap")),
        f"{LEAP}/openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2.sha256",
        "modified",
        "AD485664E901B867051AB15F35A2F86E29B700A4",
    ),
    "opensuse tumbleweed": Newest(
        definition("opensuse", "tumbleweed", resolve={"use": "opensuse-tumbleweed"}),
        "20260629",
        "https://download.opensuse.org/tumbleweed/appliances/"
        "openSUSE-Tumbleweed-Minimal-VM.x86_64-1.0.0-Cloud-Snapshot20260629.qcow2",
        sha256(image("tumbleweed")),
        "https://download.opensuse.org/tumbleweed/appliances/"
        "openSUSE-Tumbleweed-Minimal-VM.x86_64-1.0.0-Cloud-Snapshot20260629.qcow2.sha256",
        "2026-06-29",
        "AD485664E901B867051AB15F35A2F86E29B700A4",
    ),
    "flatcar": Newest(
        definition("flatcar", None),
        "4230.2.4",
        "https://stable.release.flatcar-linux.net/amd64-usr/4230.2.4/flatcar_production_openstack_image.img",
        Checksum("sha512", digest(image("flatcar"), "sha512")),
        "https://stable.release.flatcar-linux.net/amd64-usr/4230.2.4/"
        "flatcar_production_openstack_image.img.DIGESTS.asc",
        "modified",
        "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A",
    ),
    "alpine": Newest(
        definition("alpine", "3.23"),
        "3.23.4-r10",
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/cloud/"
        "nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r10.qcow2",
        Checksum("sha512", digest(image("alpine"), "sha512")),
        "https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/cloud/"
        "nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r10.qcow2.sha512",
        "modified",
        "F26ADFADBAE702EF7AF637459DA7EF23BFFCDF22",
    ),
    "arch": Newest(
        definition("arch", None),
        "20260715.556894",
        "https://geo.mirror.pkgbuild.com/images/v20260715.556894/Arch-Linux-x86_64-cloudimg-20260715.556894.qcow2",
        sha256(image("arch")),
        "https://geo.mirror.pkgbuild.com/images/v20260715.556894/"
        "Arch-Linux-x86_64-cloudimg-20260715.556894.qcow2.SHA256",
        "2026-07-15",
        "1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F",
    ),
    "gardenlinux": Newest(
        definition("gardenlinux", "1877"),
        "1877.10",
        "https://gardenlinux-github-releases.s3.amazonaws.com/objects/"
        "openstack-gardener_prod-amd64-1877.10-3d56ba62/openstack-gardener_prod-amd64-1877.10-3d56ba62.qcow2",
        sha256(image("garden")),
        "https://gardenlinux-github-releases.s3.amazonaws.com/meta/singles/"
        "openstack-gardener_prod-amd64-1877.10-3d56ba62",
        "modified",
        None,
    ),
    "talos": Newest(
        definition("talos", "1.13", format="raw"),
        "1.13.10",
        "https://factory.talos.dev/image/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba/"
        "v1.13.10/openstack-amd64.raw.xz",
        None,
        None,
        "modified",
        None,
    ),
    "freebsd": Newest(
        definition("freebsd", "15.0"),
        "15.0",
        "https://download.freebsd.org/releases/VM-IMAGES/15.0-RELEASE/amd64/Latest/"
        "FreeBSD-15.0-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz",
        sha256(b"\xfd7zXZ\x00" + bytes(700)),
        "https://www.freebsd.org/releases/15.0R/checksums/CHECKSUM.SHA256-FreeBSD-15.0-RELEASE-amd64-vm.asc",
        "modified",
        "82563B84D0620EDC0DFB86413897F2E22E65AD3F",
    ),
    "oracle": Newest(
        definition("oraclelinux", "9"),
        "9.8-b293",
        "https://yum.oracle.com/templates/OracleLinux/OL9/u8/x86_64/OL9U8_x86_64-kvm-b293.qcow2",
        sha256(image("oracle")),
        "https://yum.oracle.com/templates/OracleLinux/ol9-template.json",
        "modified",
        None,
    ),
    "amazon": Newest(
        definition("amazon", "2023"),
        "2023.9.20251105.0",
        "https://cdn.amazonlinux.com/al2023/os-images/2023.9.20251105.0/kvm/"
        "al2023-kvm-2023.9.20251105.0-kernel-6.1-x86_64.xfs.gpt.qcow2",
        sha256(image("amazon")),
        "https://cdn.amazonlinux.com/al2023/os-images/2023.9.20251105.0/kvm/SHA256SUMS",
        "2025-11-05",
        None,
    ),
    "opnsense": Newest(
        definition("opnsense", "26.1", format="raw"),
        "26.1.6",
        "https://pkg.opnsense.org/releases/26.1/OPNsense-26.1.6-nano-amd64.img.bz2",
        sha256(b"BZh9" + bytes(600)),
        "https://pkg.opnsense.org/releases/26.1/OPNsense-26.1.6-checksums-amd64.sha256",
        "modified",
        None,
    ),
    "amphora": Newest(
        definition("ubuntu", "2025.2", resolve="octavia-amphora"),
        "20260722",
        f"{AMPHORA}/octavia-amphora-haproxy-2025.2.20260722.qcow2",
        sha256(image("amphora")),
        f"{AMPHORA}/octavia-amphora-haproxy-2025.2.20260722.qcow2.CHECKSUM",
        "2026-07-22",
        None,
    ),
    "k8s capi": Newest(
        definition("ubuntu", "22.04", resolve={"use": "k8s-capi", "variables": {"series": "1.33"}}),
        "1.33.10",
        "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/"
        "ubuntu-2404-kube-v1.33/ubuntu-2404-kube-v1.33.10.qcow2",
        sha256(image("capi")),
        "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/"
        "ubuntu-2404-kube-v1.33/ubuntu-2404-kube-v1.33.10.qcow2.CHECKSUM",
        "2025-11-15",
        None,
    ),
    "azimuth": Newest(
        definition("ubuntu", "1.33", resolve="azimuth"),
        "0.10.0",
        "https://objects.example.org/azimuth/ubuntu-noble-kube-v1.33.5-260701-1200.qcow2",
        sha256(image("azimuth")),
        "https://github.com/azimuth-cloud/azimuth-images/releases/download/0.10.0/manifest.json",
        "modified",
        None,
    ),
}
