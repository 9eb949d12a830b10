"""Fetch end-of-life data: from endoflife.date or a mirror of it, a file, a directory, and the built-in catalogue."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from importlib import resources
from pathlib import Path
from urllib.parse import urlsplit

from openstack_image_manager.background import in_parallel
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.endoflife import check
from openstack_image_manager.endoflife.releases import Product, Release, by_product, decode, releases
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.transfer.download import fetch_text

REQUESTS = 4  # at the same time
TIMEOUT = 60.0  # seconds for one document, retries and all
LARGEST = 64 * 1024 * 1024  # bytes; the dump of all products has about six

Source = Callable[[Product], tuple[Release, ...]]


@cache
def catalogue() -> check.Catalogue:
    """Return the catalogue of catalogue/endoflife.json."""
    file = resources.files("openstack_image_manager") / "catalogue" / "endoflife.json"
    return check.catalogue(json.loads(file.read_text(encoding="utf-8")))


def load(products: Iterable[Product], source: Source) -> tuple[dict[str, tuple[Release, ...]], dict[str, Error]]:
    """Return the releases by product, and an error for each product whose releases cannot be fetched; a few run in
    parallel."""
    listed = list(products)
    loaded: dict[str, tuple[Release, ...]] = {}
    failed: dict[str, Error] = {}

    def load_one(product: Product) -> tuple[Release, ...] | Error:
        try:
            return source(product)
        except Error as error:
            return error

    for product, answer in zip(listed, in_parallel(load_one, listed, REQUESTS), strict=True):
        if isinstance(answer, Error):
            failed[product.name] = answer
        else:
            loaded[product.name] = answer
    return loaded, failed


def from_url(url: str) -> Source:
    """Read one document for each product, at URL/PRODUCT/. Raises UsageError for an invalid URL."""
    if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
        raise UsageError(f"--eol-url '{public_url(url)}' is not a URL that begins with http:// or https://")
    base = url.rstrip("/")

    def get(product: Product) -> tuple[Release, ...]:
        address = f"{base}/{product.name}/"
        return _read(fetch_text(address, timeout=TIMEOUT), product, public_url(address))

    return get


def from_files(path: Path) -> Source:
    """Read a directory with PRODUCT.json files, or one file with the documents of several products. Raises Error."""
    if path.is_dir():
        return lambda product: _read(_text(path / f"{product.name}.json"), product, str(path / f"{product.name}.json"))
    if not path.exists():
        raise UsageError(f"{path}: there is no such file or directory; give end-of-life data with --eol-data PATH")
    text = _text(path)
    with _located(str(path)):
        documents = by_product(decode(text))

    def get(product: Product) -> tuple[Release, ...]:
        if product.name not in documents:
            raise Error(f"{path}: contains nothing about '{product.name}'")
        with _located(str(path)):
            return releases(documents[product.name], product)

    return get


def _read(text: str, product: Product, where: str) -> tuple[Release, ...]:
    with _located(where):
        return releases(decode(text), product)


@contextmanager
def _located(where: str) -> Iterator[None]:
    """Put the place of the document in front of errors."""
    try:
        yield
    except Error as error:
        raise Error(f"{where}: {error}") from None


def _text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise Error(f"{path}: {error.strerror}") from None
    if len(data) > LARGEST:
        raise Error(f"{path}: larger than {LARGEST} bytes")
    return data.decode("utf-8-sig", "replace")
