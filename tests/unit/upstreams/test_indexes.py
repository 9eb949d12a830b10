"""Indexes, manifests and pointers of download sites: read as they are published, and then damaged."""

from __future__ import annotations

import base64
import hashlib
import json
import time
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.damage import CHANGES, TOKENS, answered, damaged

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.upstreams import indexes
from openstack_image_manager.upstreams.candidates import Candidate


def digest(text: str, algorithm: str = "sha256") -> str:
    return hashlib.new(algorithm, text.encode()).hexdigest()


def streams(**product: Any) -> dict[str, Any]:
    """Digests and sizes follow from the paths, so that every pair can be checked."""
    versions = {
        serial: {
            "label": "release",
            "items": {
                "disk1.img": {
                    "ftype": "disk1.img",
                    "path": f"releases/{serial}/disk.img",
                    "sha256": digest(f"releases/{serial}/disk.img"),
                    "md5": digest("x", "md5"),
                    "size": 100 + number,
                },
                "root.tar.xz": {"ftype": "root.tar.xz", "path": "x", "sha256": digest("x")},
            },
        }
        for number, serial in enumerate(("20260705", "20260705.1", "20260225"))
    }
    products = {"com.ubuntu.cloud:server:24.04:amd64": {"release": "noble", "versions": versions, **product}}
    return {"format": "products:1.0", "products": products}


PRODUCT, ROOT = "com.ubuntu.cloud:server:24.04:amd64", "https://x/releases/"


def read_streams(document: Any, item: str = "disk1.img", product: str = PRODUCT) -> list[Candidate]:
    return indexes.simplestreams(json.dumps(document), product, item, ROOT)


def test_simplestreams() -> None:
    found = {each.name: each for each in read_streams(streams())}
    assert list(found) == ["20260705", "20260705.1", "20260225"]
    one = found["20260705.1"]
    assert one.checksum == Checksum("sha256", digest("releases/20260705.1/disk.img"))
    assert one.size == 101
    assert one.variables == {
        "version": "20260705.1",
        "file": "disk.img",
        "url": "https://x/releases/releases/20260705.1/disk.img",
        "release": "noble",
        "label": "release",
        "pubname": "",
    }


def test_attributes_of_simplestreams_are_inherited() -> None:
    """From the product, the version and the item; the nearest counts."""
    document = streams(path="everywhere.img", sha512=digest("everywhere.img", "sha512"), label="product")
    version = document["products"][PRODUCT]["versions"]["20260705"]
    version["items"]["disk1.img"] = {"ftype": "disk1.img"}
    version["label"] = "version"
    found = {each.name: each for each in read_streams(document)}["20260705"]
    assert found.checksum == Checksum("sha512", digest("everywhere.img", "sha512"))
    assert (found.variables["url"], found.variables["label"]) == ("https://x/releases/everywhere.img", "version")
    version["items"]["disk1.img"] = {"path": "own.img", "sha512": None, "label": "item"}
    with pytest.raises(VerificationError, match="sha512 of version 20260705 is nothing where a plain text is expected"):
        read_streams(document)


def test_items_by_ftype_and_versions_without_them() -> None:
    document = streams()
    versions = document["products"][PRODUCT]["versions"]
    versions["20260225"]["items"] = {"a": {"ftype": "disk1.img", "path": "a.img"}}
    versions["20260705"]["items"] = {}
    found = {each.name: each for each in read_streams(document)}
    assert list(found) == ["20260705.1", "20260225"]
    assert found["20260225"].checksum is None
    versions["20260225"]["items"]["b"] = {"ftype": "disk1.img", "path": "b.img"}
    with pytest.raises(VerificationError, match=r"several items have the ftype disk1\.img"):
        read_streams(document)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda d: d.update(format="index:1.0"), "is not a simplestreams products file: its format is 'index:1.0'"),
        (lambda d: d.update(products=[]), "products is a list where a mapping is expected"),
        (lambda d: d.update(products={PRODUCT + "x": {}}), f"has no product {PRODUCT}"),
        (lambda d: d["products"].update({PRODUCT: 3}), f"{PRODUCT} is a number where a mapping is expected"),
        (lambda d: d["products"][PRODUCT].update(versions=None), "versions is nothing where a mapping is expected"),
        (lambda d: d["products"][PRODUCT]["versions"].update({"1": 0}), "version 1 is a number where a mapping"),
        (lambda d: disk(d).update(path="/etc/passwd"), "path of version 20260705 is not a path below the root"),
        (lambda d: disk(d).update(path="a/../../b"), "path of version 20260705 is not a path below the root"),
        (lambda d: disk(d).update(path=None), "path of version 20260705 is nothing where a plain text is expected"),
        (lambda d: disk(d).update(sha256="12"), "sha256 of version 20260705: '12' names no known algorithm"),
        (lambda d: disk(d).update(sha256="a" * 32), "sha256 of version 20260705 has the length of md5"),
    ],
)
def test_simplestreams_that_can_t_be_trusted(change: Callable[[Any], None], message: str) -> None:
    document = streams()
    change(document)
    with pytest.raises(VerificationError) as caught:
        read_streams(document)
    assert str(caught.value).startswith(message)


def disk(document: Any) -> Any:
    return document["products"][PRODUCT]["versions"]["20260705"]["items"]["disk1.img"]


def manifest(**upload: Any) -> dict[str, Any]:
    ref = "trixie/20250814-2204/debian-13-genericcloud-amd64-20250814-2204.qcow2"
    encoded = base64.b64encode(hashlib.sha512(ref.encode()).digest()).decode().rstrip("=")
    item = {
        "kind": "Upload",
        "metadata": {
            "labels": {
                "upload.cloud.debian.org/image-format": "qcow2",
                "upload.cloud.debian.org/type": "release",
                "cloud.debian.org/version": "20250814-2204",
            },
            "annotations": {"cloud.debian.org/digest": f"sha512:{encoded}"},
        },
        "data": {"ref": ref},
        **upload,
    }
    raw = {**item, "metadata": {"labels": {"upload.cloud.debian.org/image-format": "raw"}}}
    return {"items": [{"kind": "Build"}, raw, item]}


def test_debian_manifests() -> None:
    (found,) = indexes.debian_manifest(json.dumps(manifest()), "https://x/cloud/", "qcow2")
    ref = "trixie/20250814-2204/debian-13-genericcloud-amd64-20250814-2204.qcow2"
    assert found.variables == {
        "version": "20250814-2204",
        "file": ref.rpartition("/")[2],
        "url": f"https://x/cloud/{ref}",
    }
    assert found.checksum == Checksum("sha512", digest(ref, "sha512"))
    assert indexes.debian_manifest(json.dumps(manifest(kind="Else")), "https://x/", "qcow2") == []


@pytest.mark.parametrize(
    "told", ["", "sha512", "sha512:", "sha512:abc!", "sha512:YQ", "md5:YQ", "crc:YQ==", "sha512:é", "sha512:A"]
)
def test_digests_of_manifests_that_are_none(told: str) -> None:
    document = manifest()
    document["items"][2]["metadata"]["annotations"]["cloud.debian.org/digest"] = told
    with pytest.raises(VerificationError, match=r"is not a base64 digest$"):
        indexes.debian_manifest(json.dumps(document), "https://x/", "qcow2")


def releases() -> list[dict[str, Any]]:
    def asset(tag: str, name: str, **more: Any) -> dict[str, Any]:
        url = f"https://github.com/a/b/releases/download/{tag}/{name}"
        return {"name": name, "browser_download_url": url, "digest": f"sha256:{digest(tag + name)}", "size": 3, **more}

    return [
        {"tag_name": "2.0", "published_at": "2026-07-01T08:00:00Z", "assets": [asset("2.0", "a"), asset("2.0", "b")]},
        {"tag_name": "2.1-rc", "prerelease": True, "published_at": None, "assets": [asset("2.1-rc", "a")]},
        {"tag_name": "2.1", "draft": True, "assets": []},
        {"tag_name": "1.9", "published_at": "2026-08-01T08:00:00Z", "assets": [asset("1.9", "a", digest=None)]},
    ]


def test_releases_of_github() -> None:
    found = indexes.github_releases(json.dumps(releases()), prereleases=False)
    assert [each.tag for each in found] == ["2.0", "1.9"]
    asset = found[0].assets[1]
    assert (asset.name, asset.size, asset.checksum) == ("b", 3, Checksum("sha256", digest("2.0b")))
    assert found[1].assets[0].checksum is None
    found = indexes.github_releases(json.dumps(releases()), prereleases=True)
    assert [(each.tag, each.published) for each in found][1] == ("2.1-rc", "")


def test_key_value_files() -> None:
    text = '# comment\nA=1\n B = \'two words\' \nC="3"\nD=\nA=1\nno line\r\nE=x=y\r\nF="\n'
    assert indexes.key_values(text, {"a": "A", "b": "B", "c": "C", "e": "E", "f": "F"}) == {
        "a": "1",
        "b": "two words",
        "c": "3",
        "e": "x=y",
        "f": '"',
    }
    for keys, message in (({"d": "D", "z": "Z"}, "has no value of D, Z"), ({"a": "A"}, "has two values of A")):
        with pytest.raises(VerificationError, match=message):
            indexes.key_values(text + ("A=2" if "a" in keys else ""), keys)
    assert indexes.lines("\n a \r\n\n b\x0cc\n d e\n") == ["a", "d e"]


@given(CHANGES | TOKENS)
def test_damaged_simplestreams_never_pair_a_wrong_digest(changes: list[tuple[float, int, str]]) -> None:
    text = damaged(json.dumps(streams()), changes)
    found = answered(lambda: indexes.simplestreams(text, PRODUCT, "disk1.img", ROOT)) or ()
    original = {each.checksum: each for each in read_streams(streams())}
    for each in found:
        # One that was told right is told of the path that stood beside it, unless that path itself was changed.
        before = original.get(each.checksum)
        if before and each.variables["url"] != before.variables["url"]:
            assert each.variables["url"] not in {known.variables["url"] for known in original.values()}


@given(CHANGES | TOKENS)
def test_damaged_manifests_give_a_build_or_an_error(changes: list[tuple[float, int, str]]) -> None:
    text = damaged(json.dumps(manifest()), changes)
    for each in answered(lambda: indexes.debian_manifest(text, "https://x/", "qcow2")) or ():
        assert each.variables["url"].startswith("https://x/")
        assert each.checksum


@given(CHANGES | TOKENS)
def test_damaged_releases_never_pair_a_wrong_digest(changes: list[tuple[float, int, str]]) -> None:
    whole = json.dumps(releases())
    files = [asset for each in indexes.github_releases(whole, True) for asset in each.assets]
    names = {asset.checksum: asset.variables["url"] for asset in files if asset.checksum}
    for one in answered(lambda: indexes.github_releases(damaged(whole, changes), True)) or ():
        for asset in one.assets:
            url = asset.variables["url"]
            assert names.get(asset.checksum, url) == url or url not in names.values()


@given(st.text(), st.dictionaries(st.sampled_from(["v", "w"]), st.sampled_from(["A", "B"]), min_size=1))
def test_any_text_is_a_pointer_or_an_error(text: str, keys: dict[str, str]) -> None:
    try:
        found = indexes.key_values(text + "\nA=1\nB=2", keys)
    except VerificationError:
        return
    assert found.keys() == keys.keys()


def test_a_line_without_an_end_takes_no_long_time() -> None:
    begun = time.process_time()
    assert indexes.key_values("A=" + " " * 200_000 + "1\n" + "B " * 100_000, {"a": "A"}) == {"a": "1"}
    assert time.process_time() - begun < 1
