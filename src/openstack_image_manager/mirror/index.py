"""Build the index of a mirror from its records: a simplestreams tree, and a SHA256SUMS in each directory.

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
SIGNED = {".json": ".sjson", SUMS: f"{SUMS}.gpg"}  # suffix of the unsigned and of the signed file
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64", "ppc64le": "ppc64el"}
# OpenStack's simplestreams clients look for this name; other formats have their own names.
FTYPES = {"qcow2": "disk1.img"}
Entry = tuple[str, str, str, str, str, str]  # key, name, version, sha256, sha512 or nothing, md5 or nothing
_MARK = f"# made by {MAKER}; lines like this are comments"


def build_index(objects: Mapping[str, Record], prefix: str) -> dict[str, str]:
    """Return the texts of the whole index by key, in write order: a file comes before the files that refer to it.

    `objects`: complete objects by key, all below the prefix.
    """
    folders: dict[str, dict[str, Record]] = defaultdict(dict)
    for key, record in sorted(objects.items()):
        folder, slash, name = key.rpartition("/")
        folders[folder + slash][name] = record
    texts = {f"{folder}{SUMS}": _sums(records) for folder, records in folders.items()}
    products = _products({key.removeprefix(prefix): record for key, record in sorted(objects.items())})
    updated = _updated(objects.values())
    common = {"creator": MAKER, "updated": updated}
    about = {"content_id": CONTENT, "datatype": "image-downloads", "format": "products:1.0"}
    texts[prefix + PRODUCTS] = _json({**about, **common, "products": products})
    stream = {"datatype": "image-downloads", "format": "products:1.0", "path": PRODUCTS, "products": sorted(products)}
    texts[prefix + INDEX] = _json(
        {"format": "index:1.0", **common, "index": {CONTENT: {**stream, "updated": updated}}},
    )
    return texts


def signed_key(key: str) -> str:
    """Return the key of the signed form: clearsigned for JSON, a detached signature for checksums."""
    suffix = next(suffix for suffix in SIGNED if key.endswith(suffix))
    return key.removesuffix(suffix) + SIGNED[suffix]


def signable_text(key: str, text: str) -> str:
    """Return the text to sign: the signed index refers to the signed products."""
    return text.replace(PRODUCTS, signed_key(PRODUCTS)) if key.endswith(INDEX) else text


def is_own(text: str) -> bool:
    """Return True for index files that this program wrote, clearsigned ones included."""
    return text.startswith(_MARK) or f'"creator": "{MAKER}"' in text


def parse_products(text: str, prefix: str) -> set[Entry]:
    """Return the entries of a published products file; nothing if it is not valid."""
    try:
        return {
            (
                *(prefix + item["path"], product["release_title"], version),
                *(item["sha256"], item.get("sha512", ""), item.get("md5", "")),
            )
            for product in json.loads(text)["products"].values()
            for version, entry in product["versions"].items()
            for item in entry["items"].values()
        }
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return set()


def obsolete_checksum_files(names: Iterable[str], texts: Mapping[str, str]) -> list[str]:
    """Return the checksum files of directories that have no objects any more."""
    return sorted(name for name in names if name.rpartition("/")[2] == SUMS and name not in texts)


def _updated(records: Iterable[Record]) -> str:
    """Return the time of the newest object, so that an unchanged index is not written again."""
    newest = max((record.time for record in records), default=None)
    return format_datetime(newest.astimezone(UTC)) if newest else "Thu, 01 Jan 1970 00:00:00 +0000"


def _json(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=1, sort_keys=True) + "\n"


def _sums(files: Mapping[str, Record]) -> str:
    """Return the lines that sha256sum writes and checks. Comments contain sizes, as Fedora's checksum files do."""
    lines = [_MARK]
    for name, record in files.items():
        escaped = name.replace("\\", "\\\\")
        lines.append(f"# {name}: {record.size} bytes")
        lines.append(f"{'' if escaped == name else chr(92)}{record.sha256}  {escaped}")
    return "\n".join(lines) + "\n"


def _products(objects: Mapping[str, Record]) -> dict[str, Any]:
    """Return the products by name. If a version has two objects, the newer one counts."""
    newest: dict[tuple[str, str, str], tuple[str, Record]] = {}
    for path, record in objects.items():
        identity = (record.name, _arch(record), record.version)
        if identity not in newest or newest[identity][1].time < record.time:
            newest[identity] = (path, record)
    names = {name for name, _, _ in newest}
    products: dict[str, Any] = {}
    for (name, arch, version), (path, record) in sorted(newest.items()):
        # Names that differ only in special characters would be one product; these keep their characters.
        is_ambiguous = sum(slug(other.lower()) == slug(name.lower()) for other in names) > 1
        product_name = f"{MAKER}:{name if is_ambiguous else slug(name.lower())}:{arch}"
        product = products.setdefault(product_name, {"versions": {}})
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
        **({"md5": record.md5} if record.md5 else {}),
        "size": record.size,
        "source": record.source,
    }
    return {"pubname": f"{record.name} {record.version}", "label": "release", "items": {ftype: item}}
