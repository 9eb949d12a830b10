"""What download sites publish: small images, checksum files, listings, and indexes of releases, in their formats."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote


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


def sections(name: str, data: bytes) -> str:
    """Flatcar's .DIGESTS."""
    return "".join(
        f"# {algorithm.upper()} HASH\n{coreutils({name: data}, algorithm)}" for algorithm in ("md5", "sha1", "sha512")
    )


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
