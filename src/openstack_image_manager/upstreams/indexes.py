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
    """Return the builds of a product (format products:1.0).

    An attribute may be in the product, the version or the item; the most specific one applies. Paths are relative to
    `root`. Versions without such an item are skipped. Raises VerificationError.
    """
    document = documents.mapping(documents.load_json(text), "the document")
    if document.get("format") != "products:1.0":
        raise VerificationError(f"is not a simplestreams products file: its format is {document.get('format')!r:.40}")
    products = documents.mapping(document.get("products"), "products")
    if product not in products:
        raise VerificationError(f"has no product {product}{suggestion(product, products)}")
    attributes = documents.mapping(products[product], product)
    candidates = []
    for serial, value in documents.mapping(attributes.get("versions"), "versions").items():
        version = documents.mapping(value, f"version {documents.shown(serial)}")
        chosen = _item(documents.mapping(version.get("items"), f"the items of {documents.shown(serial)}"), item)
        if chosen is not None:
            candidates.append(_streamed(serial, {**attributes, **version, **chosen}, root))
    return candidates


def _item(items: Mapping[str, Any], wanted: str) -> Mapping[str, Any] | None:
    """Return the item of that name, or else the only one with that ftype."""
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
    """Return the image of a Debian cloud image manifest, with its permanent URL below `root` and its digest (base64
    without padding). Raises VerificationError."""
    document = documents.mapping(documents.load_json(text), "the manifest")
    candidates = []
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
        candidates.append(Candidate(version, variables, checksum))
    return candidates


def _digest(text: str) -> Checksum:
    """Parse `sha512:` and base64 with or without padding."""
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
    """A release of a project: its tag, its publication date, and its files."""

    tag: str
    published: str
    assets: tuple[Candidate, ...]


def github_releases(text: str, prereleases: bool) -> list[Release]:
    """Return the releases in GitHub's answer (REST API, "List releases"), without drafts; pre-releases only on request.

    Files of releases before mid-2025 have no digest. Raises VerificationError.
    """
    releases = []
    for value in documents.sequence(documents.load_json(text), "the answer"):
        release = documents.mapping(value, "a release")
        if release.get("draft") or (release.get("prerelease") and not prereleases):
            continue
        tag = documents.text(release.get("tag_name"), "a tag")
        published = documents.text(release.get("published_at") or "", f"the date of {tag}")
        assets = documents.sequence(release.get("assets"), f"the files of {tag}")
        releases.append(
            Release(tag, published, tuple(_asset(documents.mapping(asset, "a file"), tag) for asset in assets))
        )
    return releases


def _asset(asset: Mapping[str, Any], tag: str) -> Candidate:
    name = documents.text(asset.get("name"), f"a file of {tag}")
    url = documents.text(asset.get("browser_download_url"), f"the address of {name}")
    digest = asset.get("digest")
    checksum = documents.checksum(digest, f"the digest of {name}") if digest else None
    return Candidate(name, {"file": name, "url": url}, checksum, documents.size(asset.get("size")))


def json_items(
    document: Any, items: str, where: Mapping[str, str], fields: Mapping[str, str]
) -> Iterator[tuple[str, dict[str, str], Checksum | None, int | None]]:
    """Yield name, variables, checksum and size of each item at the path `items` that matches `where`.

    Items that lack a field are skipped. The name is the field `file`, the last segment of the field `url`, the item
    itself if it is a text, or else its key. Raises VerificationError.
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
    """Return the variables of a file of KEY=VALUE lines, whose values may be quoted. Raises VerificationError for a
    missing key, and for a key with two values."""
    values: dict[str, str] = {}
    for line in text.split("\n"):
        key, equals, rest = line.partition("=")
        name, value = key.strip(), rest.strip()
        if not equals or not _KEY.fullmatch(name):
            continue
        if len(value) >= 2 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        if values.setdefault(name, value) != value:
            raise VerificationError(f"has two values of {name}")
    missing = [key for key in keys.values() if not values.get(key)]
    if missing:
        raise VerificationError(f"has no value of {', '.join(missing)}")
    return {name: documents.text(values[key], key) for name, key in keys.items()}


def lines(text: str) -> Sequence[str]:
    """Return the printable lines of a small text, stripped."""
    return [line for raw_line in text.split("\n") if (line := raw_line.strip()) and line.isprintable()]
