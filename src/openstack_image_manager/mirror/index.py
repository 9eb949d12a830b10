"""Make the index of a mirror from its records: a simplestreams tree, and a SHA256SUMS in each directory.

Simplestreams: https://canonical-simplestreams.readthedocs-hosted.com/ (index:1.0, products:1.0).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import UTC
from email.utils import format_datetime
from typing import Any

from openstack_image_manager.mirror.location import INDEX_FILE, STREAMS, SUMS, slug
from openstack_image_manager.mirror.record import MAKER, Record

INDEX, PRODUCTS = INDEX_FILE, f"{STREAMS}images.json"
CONTENT = f"{MAKER}:mirror:download"
SIGNED = {".json": ".sjson", SUMS: f"{SUMS}.gpg"}  # what the name ends with: unsigned, signed
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
# What OpenStack's consumers of simplestreams look for; other formats have their own names.
FTYPES = {"qcow2": "disk1.img"}
Entry = tuple[str, str, str, str, str]  # key, name, version, sha256, sha512 or nothing
_MARK = f"# made by {MAKER}; lines like this are comments"


def build_index(objects: Mapping[str, Record], prefix: str) -> dict[str, str]:
    """Keys and texts of the whole index, in the order in which they are to be written: what is referred to comes first.
    `objects`: whole objects by their keys, all below the prefix."""
    folders: dict[str, dict[str, Record]] = defaultdict(dict)
    for key, record in sorted(objects.items()):
        folder, slash, name = key.rpartition("/")
        folders[folder + slash][name] = record
    made = {f"{folder}{SUMS}": _sums(its) for folder, its in folders.items()}
    products = _products({key.removeprefix(prefix): record for key, record in sorted(objects.items())})
    updated = _updated(objects.values())
    common = {"creator": MAKER, "updated": updated}
    about = {"content_id": CONTENT, "datatype": "image-downloads", "format": "products:1.0"}
    made[prefix + PRODUCTS] = _json({**about, **common, "products": products})
    stream = {"datatype": "image-downloads", "format": "products:1.0", "path": PRODUCTS, "products": sorted(products)}
    made[prefix + INDEX] = _json(
        {"format": "index:1.0", **common, "index": {CONTENT: {**stream, "updated": updated}}},
    )
    return made


def signed_key(key: str) -> str:
    """Where the signed form of a text of the index is: clearsigned for JSON, the bare signature for checksums."""
    suffix = next(suffix for suffix in SIGNED if key.endswith(suffix))
    return key.removesuffix(suffix) + SIGNED[suffix]


def signable_text(key: str, text: str) -> str:
    """What is signed: the signed index leads to signed products."""
    return text.replace(PRODUCTS, signed_key(PRODUCTS)) if key.endswith(INDEX) else text


def is_own(text: str) -> bool:
    """True for texts of an index that we wrote, also clearsigned ones."""
    return text.startswith(_MARK) or f'"creator": "{MAKER}"' in text


def parse_products(text: str, prefix: str) -> set[Entry]:
    """What published products say; nothing where the text is not valid."""
    try:
        return {
            (prefix + item["path"], product["release_title"], version, item["sha256"], item.get("sha512", ""))
            for product in json.loads(text)["products"].values()
            for version, each in product["versions"].items()
            for item in each["items"].values()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def obsolete_checksum_files(names: Iterable[str], made: Mapping[str, str]) -> list[str]:
    """Checksum files of directories in which nothing is held any more."""
    return sorted(name for name in names if name.rpartition("/")[2] == SUMS and name not in made)


def _updated(records: Iterable[Record]) -> str:
    """The time of the newest object, so that what has not changed is not written again."""
    newest = max((record.time for record in records), default=None)
    return format_datetime(newest.astimezone(UTC)) if newest else "Thu, 01 Jan 1970 00:00:00 +0000"


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _sums(files: Mapping[str, Record]) -> str:
    """As sha256sum writes and checks it; sizes are told in comments, as Fedora's distributions do."""
    lines = [_MARK]
    for name, record in files.items():
        escaped = name.replace("\\", "\\\\")
        lines.append(f"# {name}: {record.size} bytes")
        lines.append(f"{'' if escaped == name else chr(92)}{record.sha256}  {escaped}")
    return "\n".join(lines) + "\n"


def _products(objects: Mapping[str, Record]) -> dict[str, Any]:
    """Products by their names. Of two objects of one version, one of which nobody needs any more, the newer counts."""
    newest: dict[tuple[str, str, str], tuple[str, Record]] = {}
    for path, record in objects.items():
        identity = (record.name, _arch(record), record.version)
        if identity not in newest or newest[identity][1].time < record.time:
            newest[identity] = (path, record)
    names = {name for name, _, _ in newest}
    products: dict[str, Any] = {}
    for (name, arch, version), (path, record) in sorted(newest.items()):
        # Two names that differ in signs only would be one product; these keep their signs.
        alike = sum(slug(other.lower()) == slug(name.lower()) for other in names) > 1
        called = f"{MAKER}:{name if alike else slug(name.lower())}:{arch}"
        product = products.setdefault(called, {"versions": {}})
        product |= _attributes(record, arch)
        product["versions"][version] = _version(path, record)
    return products


def _arch(record: Record) -> str:
    return ARCHITECTURES.get(record.architecture or "", record.architecture or "unknown")


def _attributes(record: Record, arch: str) -> dict[str, str]:
    known = {
        "arch": arch,
        "os": record.os_distro,
        "release": record.os_version,
        "version": record.os_version,
        "release_title": record.name,
    }
    return {name: value for name, value in known.items() if value}


def _version(path: str, record: Record) -> dict[str, Any]:
    disk_format = record.disk_format or path.rpartition(".")[2]
    ftype = FTYPES.get(disk_format, f"disk.{disk_format}")
    item = {
        "ftype": ftype,
        "path": path,
        "sha256": record.sha256,
        **({"sha512": record.sha512} if record.sha512 else {}),
        "size": record.size,
        "source": record.source,
    }
    return {"pubname": f"{record.name} {record.version}", "label": "release", "items": {ftype: item}}
