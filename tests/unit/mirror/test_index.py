"""The index of a mirror as text: what it says, in which form, and which files it is made of."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.mirror import index
from openstack_image_manager.mirror.record import Record
from openstack_image_manager.transfer import checksum_files
from openstack_image_manager.upstreams import indexes

RECORD = Record(
    "Debian 12",
    "1",
    "https://example.org/1",
    "md5:" + "1" * 32,
    7,
    None,
    "computed",
    None,
    None,
    "2" * 64,
    "3" * 128,
    9,
    "2026-06-01T10:00:00+02:00",
    disk_format="qcow2",
    architecture="x86_64",
    os_distro="debian",
    os_version="12",
)
DEBIAN = "openstack-image-manager:debian-12:amd64"


def products(made: dict[str, str], prefix: str = "p/") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(made[f"{prefix}streams/v1/images.json"])["products"]
    return found


def test_the_whole_tree_in_the_order_of_writing() -> None:
    made = index.build_index({"p/b/1.qcow2": RECORD, "p/top.qcow2": replace(RECORD, version="2")}, "p/")
    assert list(made) == ["p/b/SHA256SUMS", "p/SHA256SUMS", "p/streams/v1/images.json", "p/streams/v1/index.json"]
    mark = "# made by openstack-image-manager; lines like this are comments"
    assert made["p/b/SHA256SUMS"] == f"{mark}\n# 1.qcow2: 9 bytes\n{'2' * 64}  1.qcow2\n"
    document = json.loads(made["p/streams/v1/index.json"])
    assert document["format"] == "index:1.0"
    assert document["updated"] == "Mon, 01 Jun 2026 08:00:00 +0000"
    assert document["index"] == {
        "openstack-image-manager:mirror:download": {
            "datatype": "image-downloads",
            "format": "products:1.0",
            "path": "streams/v1/images.json",
            "products": [DEBIAN],
            "updated": "Mon, 01 Jun 2026 08:00:00 +0000",
        }
    }
    product = products(made)[DEBIAN]
    assert {key: value for key, value in product.items() if key != "versions"} == {
        "arch": "amd64",
        "os": "debian",
        "release": "12",
        "version": "12",
        "release_title": "Debian 12",
    }
    assert product["versions"]["1"] == {
        "pubname": "Debian 12 1",
        "label": "release",
        "items": {
            "disk1.img": {
                "ftype": "disk1.img",
                "path": "b/1.qcow2",
                "sha256": "2" * 64,
                "sha512": "3" * 128,
                "size": 9,
                "source": "https://example.org/1",
            }
        },
    }


def test_an_md5_is_published_where_it_is_known() -> None:
    made = index.build_index({"b/1.qcow2": replace(RECORD, md5="4" * 32)}, "")
    assert products(made, "")[DEBIAN]["versions"]["1"]["items"]["disk1.img"]["md5"] == "4" * 32
    (entry,) = index.parse_products(made["streams/v1/images.json"], "")
    assert entry[-1] == "4" * 32


def test_an_empty_tree() -> None:
    made = index.build_index({}, "")
    assert (list(made), products(made, "")) == (["streams/v1/images.json", "streams/v1/index.json"], {})


def test_of_two_objects_of_one_version_the_newer_counts() -> None:
    newer = replace(RECORD, at="2026-07-01T00:00:00+00:00")
    for one, other in (("a/x.qcow2", "a/y.qcow2"), ("a/y.qcow2", "a/x.qcow2")):
        versions = products(index.build_index({one: RECORD, other: newer}, ""), "")[DEBIAN]["versions"]
        assert versions["1"]["items"]["disk1.img"]["path"] == other


def test_names_that_differ_in_signs_only_stay_apart() -> None:
    both = {"a/1.raw": replace(RECORD, name="Debian-12"), "b/1.raw": replace(RECORD, architecture="aarch64")}
    assert set(products(index.build_index(both, ""), "")) == {
        "openstack-image-manager:Debian-12:amd64",
        "openstack-image-manager:Debian 12:arm64",
    }


def test_a_record_may_lack_what_the_index_is_made_of() -> None:
    bare = replace(RECORD, disk_format=None, architecture=None, os_distro=None, os_version=None)
    (product,) = products(index.build_index({"a/1.raw": bare}, ""), "").items()
    assert product[0] == "openstack-image-manager:debian-12:unknown"
    assert product[1] == {"arch": "unknown", "release_title": "Debian 12", "versions": product[1]["versions"]}
    assert list(product[1]["versions"]["1"]["items"]) == ["disk.raw"]


def test_signed_forms() -> None:
    made = index.build_index({"p/a/1": RECORD}, "p/")
    keys = [index.signed_key(key) for key in made]
    assert keys == ["p/a/SHA256SUMS.gpg", "p/streams/v1/images.sjson", "p/streams/v1/index.sjson"]
    texts = {key: index.signable_text(key, text) for key, text in made.items()}
    assert [texts[key] == text for key, text in made.items()] == [True, True, False]
    assert '"path": "streams/v1/images.sjson"' in texts["p/streams/v1/index.json"]
    assert all(index.is_own(text) for text in [*made.values(), *texts.values()])
    assert not any(index.is_own(text) for text in ("", "{}", '{"creator": "x"}', f"{'2' * 64}  1.qcow2\n"))


def test_checksum_files_of_empty_directories_are_outlived() -> None:
    made = index.build_index({"a/1": RECORD}, "")
    names = ["a/SHA256SUMS", "b/SHA256SUMS", "b/SHA256SUMS.gpg", "b/x", "SHA256SUMS", "NOSHA256SUMS"]
    assert index.obsolete_checksum_files(names, made) == ["SHA256SUMS", "b/SHA256SUMS"]


def test_a_backslash_is_written_as_sha256sum_does() -> None:
    line = index.build_index({"a\\b": RECORD}, "")["SHA256SUMS"].splitlines()[-1]
    assert line == f"\\{'2' * 64}  a\\\\b"


names = st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF, exclude_characters="/\\"), min_size=1).filter(
    lambda name: (
        name.isprintable() and name == name.strip() and not name.startswith(("*", "./")) and bool(name.strip("."))
    )
)


@given(st.dictionaries(names, st.binary(min_size=32, max_size=32), min_size=1))
def test_our_parsers_read_every_name_and_digest(files: dict[str, bytes]) -> None:
    held = {
        f"d/{name}": replace(RECORD, version=name, sha256=digest.hex(), sha512=digest.hex() * 2, size=len(name))
        for name, digest in files.items()
    }
    made = index.build_index(held, "")
    found = checksum_files.parse(made["d/SHA256SUMS"])
    assert {name: checksum.digest for name, checksum in found.items()} == {n: d.hex() for n, d in files.items()}
    assert checksum_files.sizes(made["d/SHA256SUMS"]) == {name: len(name) for name in files}
    candidates = indexes.simplestreams(made["streams/v1/images.json"], DEBIAN, "disk1.img", "https://h/")
    assert {each.variables["version"]: each.size for each in candidates} == {name: len(name) for name in files}


@pytest.mark.parametrize("order", [1, -1])
def test_the_text_depends_on_nothing_but_what_is_held(order: int) -> None:
    held = {f"d/{number}": replace(RECORD, version=str(number)) for number in range(3)}
    assert index.build_index(dict(list(held.items())[::order]), "") == index.build_index(held, "")


def test_the_keys_that_an_index_names() -> None:
    made = index.build_index({"p/b/1.qcow2": RECORD, "p/top.qcow2": replace(RECORD, version="2")}, "p/")
    found = index.parse_products(made["p/streams/v1/images.json"], "p/")
    assert sorted(key for key, *_ in found) == ["p/b/1.qcow2", "p/top.qcow2"]
    for text in (
        "",
        "[]",
        "{}",
        '{"products": {"a": {"versions": {"1": {"items": {"x": {"path": 3}}}}}}}',
        "[" * 100_000,
    ):
        assert index.parse_products(text, "p/") == set()
