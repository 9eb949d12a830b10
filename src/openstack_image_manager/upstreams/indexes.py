"""Read the indexes of upstreams: simplestreams, Debian's manifests, GitHub releases, other JSON, pointers."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from openstack_image_manager.checksum import DIGEST_LENGTHS, Checksum
from openstack_image_manager.definitions.diagnostics import suggestion
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.upstreams import documents
from openstack_image_manager.upstreams.candidates import Candidate
from openstack_image_manager.upstreams.listings import address

_KEY = re.compile(r"[A-Za-z_][\w.-]*")


def simplestreams(text: str, product: str, item: str, root: str) -> list[Candidate]:
    """The builds of a product (format products:1.0): attributes may stand at the product, the version or the item, and
    the nearest counts. Paths begin at `root`. Versions without such an item are left out. Raises VerificationError."""
    document = documents.mapping(documents.load_json(text), "the document")
    if document.get("format") != "products:1.0":
        raise VerificationError(f"is not a simplestreams products file: its format is {document.get('format')!r:.40}")
    products = documents.mapping(document.get("products"), "products")
    if product not in products:
        raise VerificationError(f"has no product {product}{suggestion(product, products)}")
    attributes = documents.mapping(products[product], product)
    found = []
    for serial, value in documents.mapping(attributes.get("versions"), "versions").items():
        version = documents.mapping(value, f"version {documents.shown(serial)}")
        chosen = _item(documents.mapping(version.get("items"), f"the items of {documents.shown(serial)}"), item)
        if chosen is not None:
            found.append(_streamed(serial, {**attributes, **version, **chosen}, root))
    return found


def _item(items: Mapping[str, Any], wanted: str) -> Mapping[str, Any] | None:
    """The item of that name, or else the only one of that ftype."""
    if wanted in items:
        return documents.mapping(items[wanted], f"item {wanted}")
    typed = [item for item in items.values() if documents.mapping(item, "an item").get("ftype") == wanted]
    if len(typed) > 1:
        raise VerificationError(f"several items have the ftype {wanted}; give the name of one")
    return typed[0] if typed else None


def _streamed(serial: str, attributes: Mapping[str, Any], root: str) -> Candidate:
    what = f"of version {documents.shown(serial)}"
    place = documents.path(documents.text(attributes.get("path"), f"path {what}"), f"path {what}")
    known = {
        key: documents.text(attributes[key], f"{key} {what}")
        for key in ("label", "pubname", "release")
        if key in attributes
    }
    algorithm = next((name for name in ("sha512", "sha256", "sha1", "md5") if name in attributes), None)
    checksum = documents.checksum(attributes[algorithm], f"{algorithm} {what}") if algorithm else None
    if checksum and checksum.algorithm != algorithm:
        raise VerificationError(f"{algorithm} {what} has the length of {checksum.algorithm}")
    variables = {
        **{"label": "", "pubname": "", "release": ""},
        **known,
        "version": documents.text(serial, "a version"),
        "file": place.rpartition("/")[2],
        "url": address(root, place),
    }
    return Candidate(serial, variables, checksum, documents.size(attributes.get("size")))


def debian_manifest(text: str, root: str, disk_format: str) -> list[Candidate]:
    """The image of a manifest of Debian's cloud images, under its lasting name below `root`, with its digest (base64
    without padding). Raises VerificationError."""
    document = documents.mapping(documents.load_json(text), "the manifest")
    found = []
    for value in documents.sequence(document.get("items"), "items"):
        item = documents.mapping(value, "an item")
        if item.get("kind") != "Upload":
            continue
        metadata = documents.mapping(item.get("metadata"), "metadata")
        labels = documents.mapping(metadata.get("labels"), "labels")
        if labels.get("upload.cloud.debian.org/image-format") != disk_format:
            continue
        version = documents.text(labels.get("cloud.debian.org/version"), "the version")
        annotations = documents.mapping(metadata.get("annotations"), "annotations")
        checksum = _digest(documents.text(annotations.get("cloud.debian.org/digest"), "the digest"))
        data = documents.mapping(item.get("data"), "data")
        place = documents.path(documents.text(data.get("ref"), "the ref"), "the ref")
        variables = {"version": version, "file": place.rpartition("/")[2], "url": address(root, place)}
        found.append(Candidate(version, variables, checksum))
    return found


def _digest(text: str) -> Checksum:
    """`sha512:` and base64 with or without padding."""
    algorithm, _, encoded = text.partition(":")
    try:
        raw = base64.b64decode(encoded.rstrip("=") + "=" * (-len(encoded.rstrip("=")) % 4), validate=True)
        if DIGEST_LENGTHS.get(algorithm) == 2 * len(raw):
            return Checksum(algorithm, raw.hex())
    except (binascii.Error, ValueError):
        pass
    raise VerificationError(f"'{documents.shown(text)}' is not a base64 digest")


@dataclass(frozen=True, slots=True)
class Release:
    """A release of a project: its tag, the day it was published, and its files."""

    tag: str
    published: str
    assets: tuple[Candidate, ...]


def github_releases(text: str, prereleases: bool) -> list[Release]:
    """The releases in GitHub's answer (REST API, "List releases"), without drafts; those that GitHub knows as
    pre-releases only on request. Files of releases before mid-2025 have no digest. Raises VerificationError."""
    found = []
    for value in documents.sequence(documents.load_json(text), "the answer"):
        release = documents.mapping(value, "a release")
        if release.get("draft") or (release.get("prerelease") and not prereleases):
            continue
        tag = documents.text(release.get("tag_name"), "a tag")
        published = documents.text(release.get("published_at") or "", f"the date of {tag}")
        assets = documents.sequence(release.get("assets"), f"the files of {tag}")
        found.append(Release(tag, published, tuple(_asset(documents.mapping(each, "a file"), tag) for each in assets)))
    return found


def _asset(asset: Mapping[str, Any], tag: str) -> Candidate:
    name = documents.text(asset.get("name"), f"a file of {tag}")
    url = documents.text(asset.get("browser_download_url"), f"the address of {name}")
    digest = asset.get("digest")
    checksum = documents.checksum(digest, f"the digest of {name}") if digest else None
    return Candidate(name, {"file": name, "url": url}, checksum, documents.size(asset.get("size")))


def json_items(
    document: Any, items: str, where: Mapping[str, str], fields: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str], Checksum | None, int | None]]:
    """For each item at the path `items` that is equal to `where`: its name, variables, checksum and size.

    Items that lack a field are left out. The name is the field `file`, the last segment of the field `url`, the item
    itself where it is a text, or else its key. Raises VerificationError.
    """
    for key, row in documents.rows(document, items):
        if any(_plain(documents.value_at(row, path)) != value for path, value in where.items()):
            continue
        values = {name: documents.value_at(row, path) for name, path in fields.items()}
        if any(value is None or value == "" for value in values.values()):
            continue
        checksum = documents.checksum(values.pop("checksum"), "a checksum") if "checksum" in values else None
        size = documents.size(values.pop("size")) if "size" in values else None
        variables = {name: documents.text(value, f"the field {name}") for name, value in values.items()}
        if "url" in variables or "file" in variables:
            whole = variables.get("file") or variables["url"].partition("?")[0]
            variables["file"] = whole.rpartition("/")[2]
        itself = documents.text(row, "an item") if isinstance(row, str) else key
        yield variables.get("file") or itself, variables, checksum, size


def _plain(value: Any) -> str | None:
    return documents.text(value, "a value") if isinstance(value, str | int | float) else None


def key_values(text: str, keys: Mapping[str, str]) -> dict[str, str]:
    """Variables of a file of KEY=VALUE lines, whose values may be quoted. Raises VerificationError for a key that is
    missing, or that has two values."""
    found: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, rest = line.partition("=")
        name, value = key.strip(), rest.strip()
        if not equals or not _KEY.fullmatch(name):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if found.setdefault(name, value) != value:
            raise VerificationError(f"has two values of {name}")
    missing = [key for key in keys.values() if not found.get(key)]
    if missing:
        raise VerificationError(f"has no value of {', '.join(missing)}")
    return {name: documents.text(found[key], key) for name, key in keys.items()}


def lines(text: str) -> Sequence[str]:
    """The lines of a small text, without blanks around them, and without lines that can't be shown."""
    return [line for each in text.split("\n") if (line := each.strip()) and line.isprintable()]
