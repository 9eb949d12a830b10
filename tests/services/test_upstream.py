"""Every upstream is asked by the resolvers that are shipped, at small copies of its site on loopback."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from openstack_image_manager.definitions import load
from openstack_image_manager.errors import Error
from openstack_image_manager.format import Checksum, Definition
from openstack_image_manager.upstreams import shipped
from openstack_image_manager.upstreams.sites import Sites
from openstack_image_manager.upstreams.upstream import Build, can_be_asked, check_all, is_new, newest
from tests.services import upstreams
from tests.services.site import Switches
from tests.services.upstreams import SIGNED_AT, World, definition, digest, image, signature, verify


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with World(tmp_path / "world") as running:
        yield running


def ask(world: World, wanted: Definition, **options: Any) -> Build:
    return newest(wanted, Sites(mirrors=world.mirrors, **options), verify)


def refused(world: World, wanted: Definition, kind: type[Error] = Error, **options: Any) -> str:
    """What is said when there is no answer: one line."""
    with pytest.raises(kind) as caught:
        ask(world, wanted, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


def sha256(data: bytes) -> Checksum:
    return Checksum("sha256", digest(data))


ALMA = "https://repo.almalinux.org/almalinux"
ROCKY = "https://dl.rockylinux.org/pub/rocky"
NEWEST: dict[str, tuple[Definition, tuple[Any, ...]]] = {
    "almalinux 9": (
        definition("almalinux", "9"),
        (
            "20260526",
            f"{ALMA}/9.10/cloud/x86_64/images/AlmaLinux-9-GenericCloud-9.10-20260526.x86_64.qcow2",
            sha256(image("alma")),
            f"{ALMA}/9/cloud/x86_64/images/CHECKSUM",
            "2026-05-26",
            "BF18AC2876178908D6E71267D36CB86CB86B3716",
        ),
    ),
    "almalinux 10": (
        definition("almalinux", "10"),
        (
            "20260526.0",
            f"{ALMA}/10.2/cloud/x86_64/images/AlmaLinux-10-GenericCloud-10.2-20260526.0.x86_64.qcow2",
            sha256(image("ten")),
            f"{ALMA}/10/cloud/x86_64/images/CHECKSUM",
            "2026-05-26",
            "EE6DB7B98F5BF5EDD9DA0DE5DEE5C11CC2A1E572",
        ),
    ),
    "centos": (
        definition("centos", "9"),
        (
            "20250930.10",
            "https://cloud.centos.org/centos/9-stream/x86_64/images/"
            "CentOS-Stream-GenericCloud-9-20250930.10.x86_64.qcow2",
            sha256(image("20250930.10")),
            "https://cloud.centos.org/centos/9-stream/x86_64/images/CHECKSUM",
            "2025-09-30",
            None,
        ),
    ),
    "debian": (
        definition("debian", "13"),
        (
            "20260712-2537",
            "https://cloud.debian.org/images/cloud/trixie/20260712-2537/"
            "debian-13-genericcloud-amd64-20260712-2537.qcow2",
            Checksum("sha512", digest(image("debian"), "sha512")),
            "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-genericcloud-amd64.json",
            "2026-07-12",
            None,
        ),
    ),
    "rocky 10": (
        definition("rocky", "10"),
        (
            "20260525.0",
            f"{ROCKY}/10.2/images/x86_64/Rocky-10-GenericCloud-Base-10.2-20260525.0.x86_64.qcow2",
            sha256(image("rocky")),
            f"{ROCKY}/10.2/images/x86_64/CHECKSUM",
            "2026-05-25",
            "FC226859C0860BF0DDB95B085B106C736FEDFC85",
        ),
    ),
    "rocky 9, which nobody signed": (
        definition("rocky", "9"),
        (
            "20260525.0",
            f"{ROCKY}/9.8/images/x86_64/Rocky-9-GenericCloud-Base-9.8-20260525.0.x86_64.qcow2",
            sha256(image("nine")),
            f"{ROCKY}/9.8/images/x86_64/CHECKSUM",
            "2026-05-25",
            None,
        ),
    ),
    "ubuntu": (
        definition("ubuntu", "24.04"),
        (
            "20260705.1",
            "https://cloud-images.ubuntu.com/releases/noble/release-20260705.1/ubuntu-24.04-server-cloudimg-amd64.img",
            sha256(image("ubuntu")),
            "https://cloud-images.ubuntu.com/releases/streams/v1/com.ubuntu.cloud:released:download.sjson",
            "2026-07-05",
            "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81",
        ),
    ),
    **{
        f"ubuntu {stream}": (
            definition("ubuntu", "24.04", resolve=f"ubuntu-{stream}"),
            (
                "20260801",
                f"https://cloud-images.ubuntu.com/{folder}/server/releases/noble/release-20260801/{name}",
                sha256(image(folder)),
                f"https://cloud-images.ubuntu.com/{folder}/streams/v1/com.ubuntu.cloud:{content}:download.sjson",
                "2026-08-01",
                "D2EB44626FDDC30B513D5BB71A5D6C4C7DB87C81",
            ),
        )
        for stream, folder, content, name in (
            ("daily", "daily", "daily", "noble-server-cloudimg-amd64.img"),
            ("minimal", "minimal/releases", "released", "ubuntu-24.04-minimal-cloudimg-amd64.img"),
        )
    },
    "fedora": (
        definition("fedora", "44"),
        (
            "44-1.7",
            "https://download.fedoraproject.org/pub/fedora/linux/releases/44/Cloud/x86_64/images/"
            "Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2",
            sha256(image("fedora")),
            "https://dl.fedoraproject.org/pub/fedora/linux/releases/44/Cloud/x86_64/images/"
            "Fedora-Cloud-44-1.7-x86_64-CHECKSUM",
            "modified",
            "36F612DCF27F7D1A48A835E4DBFCF71C6D9F90A6",
        ),
    ),
    "fedora, the list of all releases": (
        definition("fedora", "44", resolve="fedora-list"),
        (
            "44-1.7",
            "https://download.fedoraproject.org/pub/fedora/linux/releases/44/Cloud/x86_64/images/"
            "Fedora-Cloud-Base-Generic-44-1.7.x86_64.qcow2",
            sha256(image("fedora")),
            "https://fedoraproject.org/releases.json",
            "modified",
            None,
        ),
    ),
    "opensuse leap": (
        definition("opensuse", "15.6"),
        (
            "15.6-19.10",
            "https://download.opensuse.org/distribution/leap/15.6/appliances/"
            "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2",
            sha256(image("leap")),
            "https://download.opensuse.org/distribution/leap/15.6/appliances/"
            "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2.sha256",
            "modified",
            "AD485664E901B867051AB15F35A2F86E29B700A4",
        ),
    ),
    "opensuse tumbleweed": (
        definition("opensuse", "tumbleweed", resolve={"use": "opensuse-tumbleweed"}),
        (
            "20260629",
            "https://download.opensuse.org/tumbleweed/appliances/"
            "openSUSE-Tumbleweed-Minimal-VM.x86_64-1.0.0-Cloud-Snapshot20260629.qcow2",
            sha256(image("tumbleweed")),
            "https://download.opensuse.org/tumbleweed/appliances/"
            "openSUSE-Tumbleweed-Minimal-VM.x86_64-1.0.0-Cloud-Snapshot20260629.qcow2.sha256",
            "2026-06-29",
            "AD485664E901B867051AB15F35A2F86E29B700A4",
        ),
    ),
    "flatcar": (
        definition("flatcar", None),
        (
            "4230.2.4",
            "https://stable.release.flatcar-linux.net/amd64-usr/4230.2.4/flatcar_production_openstack_image.img",
            Checksum("sha512", digest(image("flatcar"), "sha512")),
            "https://stable.release.flatcar-linux.net/amd64-usr/4230.2.4/"
            "flatcar_production_openstack_image.img.DIGESTS.asc",
            "modified",
            "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A",
        ),
    ),
    "alpine": (
        definition("alpine", "3.23"),
        (
            "3.23.4-r10",
            "https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/cloud/"
            "nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r10.qcow2",
            Checksum("sha512", digest(image("alpine"), "sha512")),
            "https://dl-cdn.alpinelinux.org/alpine/v3.23/releases/cloud/"
            "nocloud_alpine-3.23.4-x86_64-bios-cloudinit-r10.qcow2.sha512",
            "modified",
            "F26ADFADBAE702EF7AF637459DA7EF23BFFCDF22",
        ),
    ),
    "arch": (
        definition("arch", None),
        (
            "20260715.556894",
            "https://geo.mirror.pkgbuild.com/images/v20260715.556894/Arch-Linux-x86_64-cloudimg-20260715.556894.qcow2",
            sha256(image("arch")),
            "https://geo.mirror.pkgbuild.com/images/v20260715.556894/"
            "Arch-Linux-x86_64-cloudimg-20260715.556894.qcow2.SHA256",
            "2026-07-15",
            "1B9A16984A4E8CB448712D2AE0B78BF4326C6F8F",
        ),
    ),
    "gardenlinux": (
        definition("gardenlinux", "1877"),
        (
            "1877.10",
            "https://gardenlinux-github-releases.s3.amazonaws.com/objects/"
            "openstack-gardener_prod-amd64-1877.10-3d56ba62/openstack-gardener_prod-amd64-1877.10-3d56ba62.qcow2",
            sha256(image("garden")),
            "https://gardenlinux-github-releases.s3.amazonaws.com/meta/singles/"
            "openstack-gardener_prod-amd64-1877.10-3d56ba62",
            "modified",
            None,
        ),
    ),
    "talos": (
        definition("talos", "1.13", format="raw"),
        (
            "1.13.10",
            "https://factory.talos.dev/image/376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba/"
            "v1.13.10/openstack-amd64.raw.xz",
            None,
            None,
            "modified",
            None,
        ),
    ),
    "freebsd": (
        definition("freebsd", "15.0"),
        (
            "15.0",
            "https://download.freebsd.org/releases/VM-IMAGES/15.0-RELEASE/amd64/Latest/"
            "FreeBSD-15.0-RELEASE-amd64-BASIC-CLOUDINIT-ufs.qcow2.xz",
            sha256(b"\xfd7zXZ\x00" + bytes(700)),
            "https://www.freebsd.org/releases/15.0R/checksums/CHECKSUM.SHA256-FreeBSD-15.0-RELEASE-amd64-vm.asc",
            "modified",
            "82563B84D0620EDC0DFB86413897F2E22E65AD3F",
        ),
    ),
    "oracle": (
        definition("oraclelinux", "9"),
        (
            "9.8-b293",
            "https://yum.oracle.com/templates/OracleLinux/OL9/u8/x86_64/OL9U8_x86_64-kvm-b293.qcow2",
            sha256(image("oracle")),
            "https://yum.oracle.com/templates/OracleLinux/ol9-template.json",
            "modified",
            None,
        ),
    ),
    "amazon": (
        definition("amazon", "2023"),
        (
            "2023.9.20251105.0",
            "https://cdn.amazonlinux.com/al2023/os-images/2023.9.20251105.0/kvm/"
            "al2023-kvm-2023.9.20251105.0-kernel-6.1-x86_64.xfs.gpt.qcow2",
            sha256(image("amazon")),
            "https://cdn.amazonlinux.com/al2023/os-images/2023.9.20251105.0/kvm/SHA256SUMS",
            "2025-11-05",
            None,
        ),
    ),
    "opnsense": (
        definition("opnsense", "26.1", format="raw"),
        (
            "26.1.6",
            "https://pkg.opnsense.org/releases/26.1/OPNsense-26.1.6-nano-amd64.img.bz2",
            sha256(b"BZh9" + bytes(600)),
            "https://pkg.opnsense.org/releases/26.1/OPNsense-26.1.6-checksums-amd64.sha256",
            "modified",
            None,
        ),
    ),
    "amphora": (
        definition("ubuntu", "2025.2", resolve="octavia-amphora"),
        (
            "20260722",
            "https://nbg1.your-objectstorage.com/osism/openstack-octavia-amphora-image/"
            "octavia-amphora-haproxy-2025.2.20260722.qcow2",
            sha256(image("amphora")),
            "https://nbg1.your-objectstorage.com/osism/openstack-octavia-amphora-image/"
            "octavia-amphora-haproxy-2025.2.20260722.qcow2.CHECKSUM",
            "2026-07-22",
            None,
        ),
    ),
    "k8s capi": (
        definition("ubuntu", "22.04", resolve={"use": "k8s-capi", "variables": {"series": "1.33"}}),
        (
            "1.33.10",
            "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/"
            "ubuntu-2404-kube-v1.33/ubuntu-2404-kube-v1.33.10.qcow2",
            sha256(image("capi")),
            "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/"
            "ubuntu-2404-kube-v1.33/ubuntu-2404-kube-v1.33.10.qcow2.CHECKSUM",
            "2025-11-15",
            None,
        ),
    ),
    "azimuth": (
        definition("ubuntu", "1.33", resolve="azimuth"),
        (
            "0.10.0",
            "https://objects.example.org/azimuth/ubuntu-noble-kube-v1.33.5-260701-1200.qcow2",
            sha256(image("azimuth")),
            "https://github.com/azimuth-cloud/azimuth-images/releases/download/0.10.0/manifest.json",
            "modified",
            None,
        ),
    ),
}
# The digest of cirros is pinned in the shipped data, which no small file of a test has.
PINNED = Checksum("sha256", "7d6355852aeb6dbcd191bcda7cd74f1536cfe5cbf8a10495a7283a8396e4b75b")


@pytest.fixture(scope="module")
def whole_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """All upstreams at once; tests only ask."""
    with World(tmp_path_factory.mktemp("world")) as world:
        for publish in upstreams.ALL:
            publish(world)
        yield world


@pytest.mark.parametrize("name", NEWEST)
def test_the_newest_build_of_every_upstream(whole_world: World, name: str) -> None:
    wanted, (version, url, checksum, checksums_url, day, signed_by) = NEWEST[name]
    build = ask(whole_world, wanted)
    assert (build.version, build.url, build.checksum, build.checksums_url) == (version, url, checksum, checksums_url)
    assert build.signed_by == signed_by
    assert build.signed_at == (SIGNED_AT if signed_by else None)
    assert build.size in (2000, 706, 604, 506)
    assert build.build_date is not None
    assert day in ("modified", build.build_date)
    assert is_new(wanted, build)


def test_cirros_is_pinned(whole_world: World) -> None:
    build = ask(whole_world, definition("cirros", "0.6.3"))
    name = "cirros-0.6.3-x86_64-disk.img"
    assert build.url == f"https://github.com/cirros-dev/cirros/releases/download/0.6.3/{name}"
    assert (build.version, build.checksum, build.checksums_url) == ("0.6.3", PINNED, None)


def test_every_shipped_resolver_is_tried_here(whole_world: World) -> None:
    used = {wanted.resolve.use for wanted, _ in NEWEST.values() if wanted.resolve}
    used |= {shipped.shipped().defaults[wanted.meta["os_distro"] or ""] for wanted, _ in NEWEST.values()}
    assert set(shipped.shipped().resolvers) - used == {"cirros"}


def test_no_one_is_asked_with_head_and_each_document_once(whole_world: World) -> None:
    sites = Sites(mirrors=whole_world.mirrors)
    before = {name: len(site.requests) for name, site in whole_world.sites.items()}
    answers = check_all([wanted for wanted, _ in NEWEST.values()] * 2, sites, verify)
    assert not [answer for _, answer in answers if isinstance(answer, Error)]
    assert whole_world.requests("HEAD") == []
    for name, site in whole_world.sites.items():
        documents = [each.path for each in site.requests[before[name] :] if "range" not in each.headers]
        assert len(documents) == len(set(documents)), name


OWN = """\
images:
  - name: My Linux 7
    format: qcow2
    meta: {architecture: x86_64, os_distro: mylinux, os_version: '7'}
    resolve:
      variables:
        site: https://images.example.org
      steps:
        - listing: '{site}/{os_version}/'
          match: 'build-(?P<date>[0-9]{8})-(?P<number>[0-9]+)/'
          order: '{number}'
        - checksum-file: '{site}/{os_version}/build-{date}-{number}/SHA512SUMS'
          match: 'mylinux-{os_version}-{architecture}\\.(?P<kind>qcow2)'
          algorithm: sha512
          encoding: base64
      version: '{date}.{number}'
      build_date: '{date}'
      exclude: '20260101\\..*'
      signature:
        {kind: detached, over: checksum, url: '{checksum_url}.sig', keys: 'ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD'}
    versions: []
"""


def test_a_new_distribution_takes_yaml_alone(world: World, tmp_path: Path) -> None:
    site = world.host("images.example.org")
    site.on("/7/", Switches(html=upstreams.table_listing(["build-20260601-9/", "build-20260602-10/", "latest/"])))
    folder, name = "/7/build-20260602-10", "mylinux-7-x86_64.qcow2"
    site.put(f"{folder}/{name}", image("mine"))
    encoded = base64.b64encode(hashlib.sha512(image("mine")).digest()).decode()
    sums = f"{encoded}  {name}\n{encoded[::-1].replace('=', '')}==  other.qcow2\n".encode()
    site.put(f"{folder}/SHA512SUMS", sums)
    site.put(f"{folder}/SHA512SUMS.sig", signature(sums, "abcdefabcdefabcdefabcdefabcdefabcdefabcd"))
    (tmp_path / "mine.yml").write_text(OWN)
    (wanted,) = load(str(tmp_path / "mine.yml")).definitions
    assert can_be_asked(wanted)
    assert ask(world, wanted) == Build(
        "20260602.10",
        f"https://images.example.org{folder}/{name}",
        Checksum("sha512", digest(image("mine"), "sha512")),
        f"https://images.example.org{folder}/SHA512SUMS",
        2000,
        "2026-06-02",
        "ABCDEFABCDEFABCDEFABCDEFABCDEFABCDEFABCD",
        SIGNED_AT,
    )


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
        "https://download.opensuse.org/distribution/leap/15.6/appliances/"
        "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2",
        "https://download.opensuse.org/distribution/leap/15.6/appliances/"
        "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud.qcow2.sha256",
        "https://download.opensuse.org/distribution/leap/15.6/appliances/"
        "openSUSE-Leap-15.6-Minimal-VM.x86_64-Cloud-Build19.10.qcow2",
        "19.10",
        digest(image("leap")),
    ),
    "amphora": (
        "https://nbg1.your-objectstorage.com/osism/openstack-octavia-amphora-image/octavia-amphora-haproxy-2025.2.qcow2",
        "https://nbg1.your-objectstorage.com/osism/openstack-octavia-amphora-image/"
        "octavia-amphora-haproxy-2025.2.qcow2.CHECKSUM",
        "https://nbg1.your-objectstorage.com/osism/openstack-octavia-amphora-image/octavia-amphora-haproxy-2025.2.qcow2",
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
