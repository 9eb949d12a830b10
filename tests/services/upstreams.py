"""Small copies of the sites of distributions on loopback, in the formats that they publish, with their quirks.

Every host is a site of its own. Images are a few bytes that begin like an image; signatures are a stand-in that names
the key, the time, and the digest of what is signed, so that each test can say what is signed by whom.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from openstack_image_manager.errors import VerificationError
from openstack_image_manager.format import Definition
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.upstreams.published import Fetch, Signature
from tests.services.site import Switches, TestSite

SIGNED_AT = "2026-08-01 10:00:00"
BEGIN, END = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA512\n\n", "-----BEGIN PGP SIGNATURE-----\n"


class World:
    """All sites; `with World(directory) as world:`. `mirrors` sends requests for a host to its copy.

    `detached`, `clear` and `rsa` sign for the key of a fingerprint: with stand-ins, unless a test has real keys.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.detached: Callable[[bytes, str], bytes] = signature
        self.clear: Callable[[str, str], str] = clearsigned
        self.rsa: Callable[[bytes], bytes] | None = None
        self.sites: dict[str, TestSite] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> World:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def host(self, name: str) -> TestSite:
        """The copy of a host."""
        if name not in self.sites:
            folder = self.directory / name
            folder.mkdir(parents=True)
            self.sites[name] = self._stack.enter_context(serving(TestSite(folder)))
        return self.sites[name]

    @property
    def mirrors(self) -> dict[str, str]:
        """For Sites."""
        return {f"https://{name}/": f"{site.url}/" for name, site in self.sites.items()}

    def requests(self, method: str) -> list[str]:
        """The paths that were asked for with that method, on all hosts."""
        return [each.path for site in self.sites.values() for each in site.requests if each.method == method]


def image(name: str, size: int = 2000) -> bytes:
    """A file that begins like a qcow2 image; each name has bytes of its own."""
    return (b"QFI\xfb\x00\x00\x00\x03" + name.encode() * size)[:size]


def digest(data: bytes, algorithm: str = "sha256") -> str:
    """The digest in hex."""
    return hashlib.new(algorithm, data).hexdigest()


def coreutils(files: dict[str, bytes], algorithm: str = "sha256", separator: str = "  ") -> str:
    """What sha256sum and its kin write."""
    return "".join(f"{digest(data, algorithm)}{separator}{name}\n" for name, data in files.items())


def bsd(files: dict[str, bytes], sizes: bool = True) -> str:
    """What sha256sum --tag writes, with the sizes that some distributions add."""
    lines = []
    for name, data in files.items():
        lines += [f"# {name}: {len(data)} bytes\n"] * sizes + [f"SHA256 ({name}) = {digest(data)}\n"]
    return "".join(lines)


def pre_listing(names: Sequence[str], quote_mark: str = '"') -> str:
    """An Apache page with <pre>; it cuts the text of links short."""
    rows = "".join(
        f"<a href={quote_mark}{quote(name)}{quote_mark}>{name[:20]}..&gt;</a> 2026-07-05 10:00  600M\n"
        for name in names
    )
    head = '<a href="?C=N;O=D">Name</a> <a href="?C=M;O=A">Last modified</a><hr><a href="/">Parent Directory</a>\n'
    return (
        f"<!DOCTYPE HTML>\n<html><head><title>Index</title></head>\n<body><pre>{head}{rows}<hr></pre></body></html>\n"
    )


def table_listing(names: Sequence[str]) -> str:
    """An Apache page with a table."""
    rows = "".join(
        f'<tr><td class="indexcolname"><a href="{quote(name)}">{name[:20]}..&gt;</a></td><td>-</td></tr>\n'
        for name in names
    )
    head = '<tr><th><a href="?C=N;O=D">Name</a></th></tr><tr><td><a href="../">Parent Directory</a></td></tr>\n'
    return f"<!DOCTYPE HTML>\n<html><body><table id='indexlist'>{head}{rows}</table></body></html>\n"


def json_table(names: Sequence[str]) -> str:
    """MirrorCache's ?jsontable."""
    return json.dumps({"data": [{"name": name, "mtime": 1751702400, "size": 2000} for name in names]})


def signature(data: bytes, key: str) -> bytes:
    """The stand-in for a detached signature."""
    return f"{key.upper()} {digest(data)} {SIGNED_AT}\n".encode()


def clearsigned(text: str, key: str) -> str:
    """The stand-in for a text with its signature."""
    return BEGIN + text + END + signature(text.encode(), key).decode() + "-----END PGP SIGNATURE-----\n"


def verify(wanted: Signature, data: bytes, fetch: Fetch) -> tuple[bytes, str | None, str | None]:
    """The verifier of these tests: it believes what the stand-ins say."""
    if wanted.kind == "clearsigned":
        text, _, rest = data.decode().partition(BEGIN)[2].partition(END)
        data, told = text.encode(), rest.partition("\n")[0]
    else:
        if wanted.over in ("image", "unpacked-image"):
            data = fetch(wanted.subject)
        told = fetch(wanted.url or "").decode()
    key, signed, *moment = told.split()
    if signed != digest(data) or key not in wanted.keys:
        raise VerificationError("bad signature")
    return data, key, " ".join(moment)


def definition(distro: str, version: str | None, **fields: Any) -> Definition:
    """A definition without resolve, unless the fields have one."""
    meta = {"os_distro": distro, "os_version": version, "architecture": fields.pop("architecture", "x86_64")}
    meta = {key: value for key, value in meta.items() if value}
    fields = {"name": f"{distro} {version}", "format": "qcow2", "versions": [], "meta": meta, **fields}
    return Definition.model_validate(fields)


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


def products(
    builds: dict[str, bytes],
    name: str = "ubuntu-24.04-server-cloudimg-amd64.img",
    product: str = "com.ubuntu.cloud:server:24.04:amd64",
) -> str:
    """A products file of simplestreams: `release` stands at the product, `sha256` at the items."""
    versions = {}
    for serial, data in builds.items():
        path = f"server/releases/noble/release-{serial}/{name}"
        item = {"ftype": "disk1.img", "path": path, "md5": digest(data, "md5"), "size": len(data)}
        item["sha256"] = digest(data)
        other = {"ftype": "lxd.tar.xz", "path": f"{path}-lxd.tar.xz", "sha256": digest(b"lxd"), "size": 3}
        versions[serial] = {
            "label": "release",
            "pubname": f"ubuntu-{serial}",
            "items": {"disk1.img": item, "lxd": other},
        }
    about = {"arch": "amd64", "os": "ubuntu", "release": "noble", "version": "24.04", "versions": versions}
    return json.dumps(
        {
            "format": "products:1.0",
            "datatype": "image-downloads",
            "content_id": "com.ubuntu.cloud:released:download",
            "products": {product: about},
        },
        indent=1,
    )


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


def sections(name: str, data: bytes) -> str:
    """Flatcar's .DIGESTS."""
    return "".join(
        f"# {algorithm.upper()} HASH\n{coreutils({name: data}, algorithm)}" for algorithm in ("md5", "sha1", "sha512")
    )


def flatcar(world: World) -> None:
    """version.txt in `current` tells the directory; digests in sections, clearsigned."""
    site = world.host("stable.release.flatcar-linux.net")
    name, folder = "flatcar_production_openstack_image.img", "/amd64-usr"
    text = 'FLATCAR_BUILD=4230\nFLATCAR_BRANCH=2\nFLATCAR_VERSION_ID=4230.2.4\nFLATCAR_BUILD_ID="2026-07-01-1200"\n'
    site.put(f"{folder}/current/version.txt", text.encode())
    for directory in ("4230.2.4", "current"):
        site.put(f"{folder}/{directory}/{name}", image("flatcar"))
        site.put(f"{folder}/{directory}/{name}.DIGESTS", sections(name, image("flatcar")).encode())
    signed = clearsigned(sections(name, image("flatcar")), "F88CFEDEFF29A5B4D9523864E25D9AED0593B34A")
    site.put(f"{folder}/4230.2.4/{name}.DIGESTS.asc", signed.encode())
    site.on(f"{folder}/", Switches(html=pre_listing(["4230.2.3/", "4230.2.4/", "current/"])))


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


def release(
    tag: str, day: str, assets: dict[str, bytes], url: str, digests: bool = True, **more: Any
) -> dict[str, Any]:
    """A release in GitHub's answer."""
    files = [
        {
            "name": name,
            "size": len(data),
            "digest": f"sha256:{digest(data)}" if digests else None,
            "browser_download_url": f"{url}/{tag}/{name}",
        }
        for name, data in assets.items()
    ]
    return {
        "tag_name": tag,
        "draft": False,
        "prerelease": False,
        "published_at": f"{day}T08:00:00Z",
        "assets": files,
        **more,
    }


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


def talos(world: World) -> None:
    """A list of versions with pre-releases; no digest; the image may come from storage whose addresses expire."""
    site = world.host("factory.talos.dev")
    versions = ["v1.13.4", "v1.13.10", "v1.13.9", "v1.13.11-beta.0", "v1.14.0", "v1.14.1-alpha.1"]
    site.put("/versions", json.dumps(versions).encode())
    schematic = "376567988ad370138ad8b2698212367b8edcb69b5fd68c80be1f2ec7d603b4ba"
    target = world.host("storage.example.org").put("/blob", b"\xfd7zXZ\x00" + bytes(500))
    path = f"/image/{schematic}/v1.13.10/openstack-amd64.raw.xz"
    site.on(path, Switches(redirect=(302, f"{target}?X-Amz-Signature=secret&X-Amz-Expires=300"), head_status=405))


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


def oracle(world: World) -> None:
    """One JSON document for a release."""
    site = world.host("yum.oracle.com")
    name = "OL9U8_x86_64-kvm-b293.qcow2"
    folder = "/templates/OracleLinux/OL9/u8/x86_64"
    kvm = {"image": name, "sha256": digest(image("oracle"))}
    template = {"base_url": folder, "kvm": kvm, "vagrant": {"image": "x.box", "sha256": digest(b"box")}}
    site.put("/templates/OracleLinux/ol9-template.json", json.dumps(template).encode())
    site.put(f"{folder}/{name}", image("oracle"))


def amazon(world: World) -> None:
    """`latest` redirects to a directory that can't be listed."""
    site = world.host("cdn.amazonlinux.com")
    version, root = "2023.9.20251105.0", "/al2023/os-images"
    name = f"al2023-kvm-{version}-kernel-6.1-x86_64.xfs.gpt.qcow2"
    site.on(f"{root}/latest/", Switches(redirect=(302, f"{root}/{version}/")))
    site.on(f"{root}/{version}/", Switches(status=403))
    site.put(f"{root}/{version}/kvm/SHA256SUMS", coreutils({name: image("amazon")}).encode())
    site.put(f"{root}/{version}/kvm/{name}", image("amazon"))


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


def cirros(world: World) -> None:
    """A release at GitHub: the files come from storage whose addresses expire."""
    target = world.host("storage.example.org").put("/cirros", image("cirros"))
    path = "/cirros-dev/cirros/releases/download/0.6.3/cirros-0.6.3-x86_64-disk.img"
    world.host("github.com").on(path, Switches(redirect=(302, f"{target}?sig=secret&se=2026")))


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


ALL: tuple[Callable[[World], None], ...] = (
    *(almalinux, centos, debian, rocky, ubuntu, fedora, opensuse, flatcar, alpine, arch),
    *(gardenlinux, talos, freebsd, oracle, amazon, opnsense, cirros, amphora, azimuth),
)
