"""Listings, indexes and pointers of download sites: read as they are published, and then damaged."""

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

from openstack_image_manager import checksums
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.format import Checksum
from openstack_image_manager.upstreams import documents, indexes, listings
from openstack_image_manager.upstreams.candidates import Candidate, is_prerelease, newest_first, order

PRE = """<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 3.2 Final//EN">
<html><head><title>Index of /noble</title></head>
<body><h1>Ubuntu</h1><!-- <a href="20990101/">commented</a> --><ul><li><a href="https://ubuntu.com/">Home</a></ul>
<pre><img src="/icons/blank.gif" alt="Icon "> <a href="?C=N;O=D">Name</a> <a href="/">Parent Directory</a>
<a href="20260703/">20260703/</a>     2026-07-05 10:00    -
<A class='x' HREF='20260712.1/'>20260712..&gt;</a> <a href="../">up</a> <a href="..">up</a> <a href=".">here</a>
<a title="x" href=current/>current/</a> <a href="./SHA256SUMS">SHA256SUMS</a> <a href="a%20b%2B.img">a b</a>
<a href="x&amp;y.img">x</a> <a href="a/b.img">deep</a> <a href="mailto:me@x">me</a> <a href="%2e%2e/">no</a>
<a href="a%2Fb">no</a> <a href="x%00">no</a> <a href="%ff">no</a> <a href="n?C=M">no</a> <a href="n#x">no</a>
<a href="">no</a>
<a name="top">no</a><a href="20260703/">again</a><hr></pre></body></html>
"""
NAMES = ["20260703/", "20260712.1/", "current/", "SHA256SUMS", "a b+.img", "x&y.img"]
TABLE = """<html><body><table id="indexlist">
<tr class="even"><td class="indexcolicon"><a href="13/"><img src="x"></a></td>
<td class="indexcolname"><a href="13/">13/</a></td></tr>
<tr><td class="indexcolname"><a href="12.10/">12..&gt;</a></td></tr></table></body></html>"""
JSONTABLE = json.dumps({"data": [{"name": "a.qcow2", "mtime": 1, "size": 3}, {"name": "d/"}, {"name": "../x"}, {}]})


def test_listings_of_every_dialect() -> None:
    assert listings.names(PRE) == NAMES
    assert listings.names(TABLE) == ["13/", "12.10/"]
    assert listings.names(JSONTABLE) == ["a.qcow2", "d/"]
    assert listings.names("<ul><li><a href='x'>x</a></ul>") == ["x"]
    assert listings.names("<title>no end tags at all</title><a href=x>") == ["x"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is no listing: there is not one link in it"),
        ("<html>Sorry</html>", "is no listing: there is not one link in it"),
        (PRE[: PRE.index("<A class")], "the listing is cut off: its <html> never ends"),
        (PRE[: PRE.index("20260712")], "the listing is cut off in a tag"),
        (PRE[: PRE.index("commented")], "the listing is cut off in a comment"),
        ("<table><a href=x>", "the listing is cut off: its <table> never ends"),
        ("<pre><a href=x>", "the listing is cut off: its <pre> never ends"),
        ("[]", "the table is a list where a mapping is expected"),
        ('{"data": 3}', "its data is a number where a list is expected"),
        ('{"data": [3]}', "a row of it is a number where a mapping is expected"),
        (JSONTABLE[:-5], "is no JSON document, or was cut off: "),
    ],
)
def test_listings_that_can_t_be_trusted(text: str, message: str) -> None:
    with pytest.raises(VerificationError) as caught:
        listings.names(text)
    assert str(caught.value).startswith(message)


def test_addresses_of_names() -> None:
    assert listings.address("https://x/a/", "b c+#?.img") == "https://x/a/b%20c%2B%23%3F.img"
    assert listings.address("https://x/a/?jsontable", "b:c/") == "https://x/a/b%3Ac/"
    assert listings.address("https://x/a/SUMS", "kvm/b") == "https://x/a/kvm/b"
    with pytest.raises(VerificationError, match=r"'https://\[x/' is no address: "):
        listings.address("https://[x/", "b")


def test_long_pages_are_read_at_once() -> None:
    begin = time.monotonic()
    for piece in ("<a ", "<a href=", "<!--", "<a href='x'>", "<pre ", "&#1;"):
        try:
            listings.names(piece * (2_000_000 // len(piece)))
        except VerificationError:
            continue
    assert time.monotonic() - begin < 10


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "is no JSON document, or was cut off: "),
        ("", "is no JSON document, or was cut off: "),
        ("[" * 200_000, "the document is nested too deeply"),
        ('{"a": ' * 200_000, "the document is nested too deeply"),
        ("1" * 10_000, "is no JSON document, or was cut off: "),
        ('{"a": 1, "b": 2, "a": 3}', "the document has the key 'a' twice in one place"),
    ],
)
def test_documents_that_are_no_json(text: str, message: str) -> None:
    with pytest.raises(VerificationError) as caught:
        documents.load_json(text)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_values_of_documents() -> None:
    assert [documents.text(value, "x") for value in ("a", 1, 1.5, True, False)] == ["a", "1", "1.5", "true", "false"]
    for wrong in (None, [], {}, "a\nb", "\x1b"):
        with pytest.raises(VerificationError, match=r"x is .* where a plain text is expected"):
            documents.text(wrong, "x")
    assert [documents.size(value) for value in (1, "397475840")] == [1, 397475840]
    for wrong in (0, -1, "0", "1.5", "x", "9" * 19, 10**18, True, None, 1.5, []):
        assert documents.size(wrong) is None
    assert documents.path("a/b c.img", "x") == "a/b c.img"
    for path in ("/a", "a/../b", "..", "a//b", "./a", "", "a\nb", "a/"):
        with pytest.raises(VerificationError, match="x is no path below the root"):
            documents.path(path, "x")
    with pytest.raises(VerificationError, match="x: 'zz' is not a hexadecimal digest"):
        documents.checksum("zz", "x")
    tree = {"a": [{"b": 1}], "c": {"d": {"e": 2}}}
    found = [documents.at(tree, path) for path in ("a.0.b", "c.d.e", "a.1", "a.x", "c.d.e.f", "z", "")]
    assert found == [1, 2, None, None, None, None, tree]
    assert documents.rows(["x", "y"], "") == [("0", "x"), ("1", "y")]
    assert documents.rows({"k": {"n": 1}}, "") == [("k", {"n": 1})]
    assert documents.rows({"k": {"n": 1}}, "k") == [("", {"n": 1})]
    assert documents.rows({"a": {}, "b": 1}, "") == [("", {"a": {}, "b": 1})]
    for path, message in (("x", "the document has nothing at 'x'"), ("", "the document is empty")):
        with pytest.raises(VerificationError, match=message):
            documents.rows({} if path else None, path)


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
        (lambda d: d.update(format="index:1.0"), "is no products file of simplestreams: its format is 'index:1.0'"),
        (lambda d: d.update(products=[]), "products is a list where a mapping is expected"),
        (lambda d: d.update(products={PRODUCT + "x": {}}), f"has no product {PRODUCT}"),
        (lambda d: d["products"].update({PRODUCT: 3}), f"{PRODUCT} is a number where a mapping is expected"),
        (lambda d: d["products"][PRODUCT].update(versions=None), "versions is nothing where a mapping is expected"),
        (lambda d: d["products"][PRODUCT]["versions"].update({"1": 0}), "version 1 is a number where a mapping"),
        (lambda d: disk(d).update(path="/etc/passwd"), "path of version 20260705 is no path below the root"),
        (lambda d: disk(d).update(path="a/../../b"), "path of version 20260705 is no path below the root"),
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
    with pytest.raises(VerificationError, match=r"is no digest in base64$"):
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


def test_items_of_any_json() -> None:
    rows = [
        {"v": "44", "link": "https://x/a-44.img?x=1", "d": digest("a"), "n": "397475840"},
        {"v": 45, "link": "https://x/b-45.img", "d": digest("b"), "n": 7, "beta": True},
        {"v": "46", "link": ""},
        {"v": "47"},
        "no mapping",
    ]
    fields = {"url": "link", "checksum": "d", "size": "n", "release": "v"}
    found = list(indexes.json_items({"all": rows}, "all", {}, fields))
    assert [(name, size) for name, _, _, size in found] == [("a-44.img", 397475840), ("b-45.img", 7)]
    assert found[1][1] == {"url": "https://x/b-45.img", "file": "b-45.img", "release": "45"}
    assert found[1][2] == Checksum("sha256", digest("b"))
    assert [name for name, *_ in indexes.json_items(rows, "", {"v": "45", "beta": "true"}, {"url": "link"})] == [
        "b-45.img"
    ]
    assert list(indexes.json_items(rows, "", {"v": "99"}, {})) == []
    assert [name for name, *_ in indexes.json_items(["v1", "v2"], "", {}, {})] == ["v1", "v2"]
    assert [name for name, *_ in indexes.json_items({"k": {"a": 1}}, "", {}, {"n": "a"})] == ["k"]
    (found_file,) = indexes.json_items({"key": "objects/a/a.img"}, "", {}, {"file": "key"})
    assert found_file[:2] == ("a.img", {"file": "a.img"})
    for wrong in ({"d": "x"}, {"d": []}):
        with pytest.raises(VerificationError, match="a checksum"):
            list(indexes.json_items([wrong], "", {}, {"checksum": "d"}))


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


@pytest.mark.parametrize(
    "versions",
    [
        ["9.9", "9.10"],
        ["20250930.2", "20250930.10"],
        ["3.23.4-r9", "3.23.4-r10"],
        ["1.33.9", "1.33.10"],
        ["20250814-2204", "20260101-9", "20260101-2204"],
        ["1.14.0-alpha.1", "1.14.0-beta.0", "1.14.0-rc.2", "1.14.0-rc.10", "1.14.0"],
        ["41 Beta", "41", "42"],
    ],
)
def test_versions_are_sorted_as_people_do(versions: list[str]) -> None:
    backwards = versions[::-1]
    assert sorted(backwards, key=order) == versions


def test_pre_releases() -> None:
    assert [
        v for v in ("1.0-rc1", "1.0rc1", "41 Beta", "v1-alpha", "1-PREVIEW-2", "1.dev3") if not is_prerelease(v)
    ] == []
    assert [v for v in ("1.0", "arch", "march", "alphabet", "20260101", "source-1", "devel") if is_prerelease(v)] == []


def test_the_newest_first() -> None:
    old, new = (Candidate(name, {"url": f"https://x/{name}"}) for name in ("1.9", "1.10"))
    assert newest_first([("1.9", old), ("1.10", new), ("1.9", old)]) == [("1.10", new), ("1.9", old)]
    assert newest_first([]) == []
    with pytest.raises(VerificationError, match=r"two different builds are called 1: 1\.9 https://x/1\.9 and "):
        newest_first([("1", old), ("1", new)])


def test_the_sizes_of_checksum_files() -> None:
    assert checksums.sizes(
        "# a b.img: 12 bytes\r\n#x: 3 bytes\n# a b.img: 12 bytes\n# y: many bytes\nx: 1 bytes\n"
    ) == {
        "a b.img": 12,
        "x": 3,
    }
    with pytest.raises(VerificationError, match="two different sizes of a"):
        checksums.sizes("# a: 1 bytes\n# a: 2 bytes\n")


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_checksum_files_in_base64(algorithm: str) -> None:
    raw = hashlib.new(algorithm, b"x").digest()
    for text in (base64.b64encode(raw).decode(), base64.b64encode(raw).decode().rstrip("=")):
        for line in (f"{text}  x\n", f"{algorithm.upper()} (x) = {text}\n", f"{text}\n"):
            assert checksums.find(line, "x", encoding="base64") == Checksum(algorithm, raw.hex())
            assert checksums.find(line, "x", algorithm, "base64").algorithm == algorithm
            assert checksums.parse(line, "sha1", "base64") == {}
    assert checksums.parse(f"{'A' * 30}  x\n{'A' * 25}  y\n{raw.hex()[:32]}  z", encoding="base64") == {}


def test_only_the_digests_of_one_algorithm() -> None:
    text = f"{digest('a')}  x\n{digest('a', 'sha512')}  x\n{digest('b', 'sha512')}  y\n"
    assert checksums.parse(text, "sha256") == {"x": Checksum("sha256", digest("a"))}
    assert set(checksums.parse(text)) == {"x", "y"}


def answered(read: Callable[[], Any]) -> Any:
    """What is read; None for what is refused, which is told in one line."""
    try:
        return read()
    except VerificationError as error:
        message = str(error)
    assert message
    assert "\n" not in message
    return None


CHANGES = st.lists(st.tuples(st.floats(0, 1), st.integers(0, 12), st.text(max_size=4)), max_size=6)
TOKENS = st.lists(
    st.tuples(
        st.floats(0, 1),
        st.integers(0, 8),
        st.sampled_from(
            ["{", "}", "[", "]", '"', ",", ":", "null", "1", "<", ">", "<a href=", "/", "..", "\x00", "\\u"]
        ),
    ),
    max_size=6,
)


def damaged(text: str, changes: list[tuple[float, int, str]]) -> str:
    for where, length, instead in changes:
        at = int(where * len(text))
        text = text[:at] + instead + text[at + length :]
    return text


@given(st.sampled_from([PRE, TABLE, JSONTABLE]), CHANGES | TOKENS)
def test_damaged_listings_give_names_that_stand_there_or_an_error(
    text: str, changes: list[tuple[float, int, str]]
) -> None:
    page = damaged(text, changes)
    for name in answered(lambda: listings.names(page)) or ():
        assert name.removesuffix("/") not in ("", ".", "..")
        assert "/" not in name.removesuffix("/")
        assert name.isprintable()
        assert listings.address("https://x/dir/", name).startswith("https://x/dir/")


@given(st.text())
def test_any_text_is_a_listing_or_an_error(text: str) -> None:
    answered(lambda: listings.names(text))


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


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.text(max_size=5) | st.sampled_from(list("abc")), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON_VALUES, st.sampled_from(["", "a", "a.b", "0", "0.a"]))
def test_any_json_gives_items_or_an_error(value: Any, path: str) -> None:
    text = json.dumps(value)
    for read in (
        lambda: list(indexes.json_items(documents.load_json(text), path, {"a": "1"}, {"url": "b", "checksum": "c"})),
        lambda: list(indexes.json_items(documents.load_json(text), path, {}, {"version": "a"})),
        lambda: indexes.simplestreams(text, "a", "b", ROOT),
        lambda: indexes.debian_manifest(text, ROOT, "qcow2"),
        lambda: indexes.github_releases(text, True),
        lambda: listings.names(text),
    ):
        answered(read)


@given(st.text(), st.dictionaries(st.sampled_from(["v", "w"]), st.sampled_from(["A", "B"]), min_size=1))
def test_any_text_is_a_pointer_or_an_error(text: str, keys: dict[str, str]) -> None:
    try:
        found = indexes.key_values(text + "\nA=1\nB=2", keys)
    except VerificationError:
        return
    assert found.keys() == keys.keys()


@given(CHANGES)
def test_damaged_checksum_files_in_base64(changes: list[tuple[float, int, str]]) -> None:
    files = {f"file-{number}.img": hashlib.sha512(bytes([number])).digest() for number in range(4)}
    text = "".join(f"{base64.b64encode(raw).decode()}  {name}\n" for name, raw in files.items())
    try:
        found = checksums.parse(damaged(text, changes), encoding="base64")
    except VerificationError:
        return
    digests = {raw.hex(): name for name, raw in files.items()}
    for name, checksum in found.items():
        assert name not in files or digests.get(checksum.digest, name) == name
