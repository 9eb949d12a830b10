"""Checksum files as distributions publish them; one kind after the other, and then damaged."""

from __future__ import annotations

import base64
import hashlib
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.damage import CHANGES, damaged

from openstack_image_manager.checksum import DIGEST_LENGTHS, Checksum
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.transfer.checksum_files import find, find_all, parse, sizes


def digest(seed: str, algorithm: str = "sha256") -> str:
    return (seed * 128)[: DIGEST_LENGTHS[algorithm]]


A, B = digest("a1"), digest("b2")
A512, B512 = digest("a1", "sha512"), digest("b2", "sha512")
SUMS = {
    "coreutils, text": (f"{B}  other.img\n{A}  disk.img\n", A),
    "coreutils, binary": (f"{B} *other.img\n{A} *disk.img\n", A),
    "one space": (f"{A} disk.img\n", A),
    "tab, no end of line": (f"{A}\tdisk.img", A),
    "upper case": (f"{A.upper()}  disk.img\n", A),
    "windows": (f"{B}  other.img\r\n{A}  disk.img\r\n", A),
    "here": (f"{A}  ./disk.img\n", A),
    "in a folder": (f"{B}  other/disk.img.gz\n{A}  images/amd64/disk.img\n", A),
    "in a folder and here": (f"{B}  old/disk.img\n{A}  disk.img\n", A),
    "name that contains it": (f"{B}  ext4-disk.img\n{B}  disk.img.xz\n{A}  disk.img\n", A),
    "bsd": (f"SHA256 (other.img) = {B}\nSHA256 (disk.img) = {A}\n", A),
    "bsd with sizes": (f"# disk.img: 1117913088 bytes\nSHA256 (disk.img) = {A}\n", A),
    "bsd with a dash": (f"SHA-256 (disk.img) = {A}\n", A),
    "bsd, several algorithms": (f"MD5 (disk.img) = {digest('c', 'md5')}\nSHA512 (disk.img) = {A512}\n", A512),
    "longest first": (f"{A512}  disk.img\n{A}  disk.img\n", A512),
    "twice the same": (f"{A}  disk.img\n{A.upper()} *./disk.img\n", A),
    "sections": (
        f"# MD5 HASH\n{digest('c', 'md5')}  disk.img\n# SHA1 HASH\n{digest('c', 'sha1')}  disk.img\n"
        f"# SHA512 HASH\n{A512}  disk.img\n",
        A512,
    ),
    "signed in the text": (
        "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n# disk.img: 3 bytes\n"
        f"SHA256 (disk.img) = {A}\n-----BEGIN PGP SIGNATURE-----\n\niQIzBAEBCAAdFiEE\n=abcd\n"
        "-----END PGP SIGNATURE-----\n",
        A,
    ),
    "openssl": (f"SHA256(other.img)= {B}\nSHA2-256(disk.img)= {A}\n", A),
    "bsd without blanks": (f"sha256(disk.img)={A}\n", A),
    "openssl, two blanks": (f"SHA512(disk.img) = {A512}\n", A512),
    "name first": (f"other.img {B}\ndisk.img {A}\n", A),
    "name first, colon": (f"other.img: {B}\ndisk.img:\t{A}\n", A),
    "name first, equals": (f"disk.img = {A}\n", A),
    "size behind": (f"{B}  other.img 12\n{A}  disk.img 629145600\n", A),
    "algorithm first": (f"sha256:{B}  other.img\nsha256:{A}  disk.img\n", A),
    "table": (f"SHA256  {A.upper()}  C:\\out\\disk.img\n", A),
    "standard input": (f"{A}  -\n", A),
    "standard input, binary": (f"{A} *-\n", A),
    "a name without another": (f"# made on a day\n{A}\n", A),
    "bare": (f"{A512}\n", A512),
    "bare, blank lines": (f"\n  {A}  \r\n\n", A),
}


@pytest.mark.parametrize("kind", SUMS)
def test_every_kind_of_checksum_file_is_read(kind: str) -> None:
    text, wanted = SUMS[kind]
    assert find(text, "disk.img") == Checksum.parse(wanted)


@pytest.mark.parametrize("algorithm", DIGEST_LENGTHS)
def test_the_length_tells_the_algorithm(algorithm: str) -> None:
    assert find(f"{digest('0', algorithm)}  x\n", "x") == Checksum(algorithm, digest("0", algorithm))
    assert find(f"{algorithm.upper()} (x) = {digest('0', algorithm)}\n", "x").algorithm == algorithm


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n\n",
        "no digest here\n",
        f"{A}  other.img\n",
        f"{A[:-1]}  disk.img\n",
        f"{A}0  disk.img\n",
        f"{A[:-1]}g  disk.img\n",
        f"{A}disk.img\n",
        f"SHA512 (disk.img) = {A}\n",
        f"CRC (disk.img) = {A}\n",
        f"# SHA512 HASH\n{A}  disk.img\n",
        f"# {A}  disk.img\n",
        f"\\{A}  disk.img\n",
        f"{A}\n{B}  other.img\n",
        f"{A}  -\n{B}  other.img\n",
        f"SHA3-256 (disk.img) = {A}\n",
        f"{A}  disk.img.sig 12\n",
        f"{A}  disk.img 12 \u0663x\n",
        f"{A[:-1]}\n",
        f"{A}  ./\n",
        f"{A}  old\x0cdisk.img\n{B}  old\x85disk.img\n",
    ],
)
def test_what_has_no_digest_of_the_file_is_refused(text: str) -> None:
    with pytest.raises(VerificationError, match=r"^the checksum file has no digest of disk\.img; it has .*: give the "):
        find(text, "disk.img")


@pytest.mark.parametrize(
    "text",
    [
        f"{A}  disk.img\n{B}  disk.img\n",
        f"{A}  ./disk.img\nSHA256 (disk.img) = {B}\n",
        f"{A512}  x\n{A}  disk.img\n{B} *disk.img\n",
        f"{A}  disk.img\ndisk.img: {B}\n",
    ],
)
def test_two_different_digests_of_one_file_are_an_error(text: str) -> None:
    with pytest.raises(VerificationError, match=r"two different sha256 digests of disk\.img"):
        find(text, "disk.img")


def test_two_digests_without_a_name_are_an_error() -> None:
    with pytest.raises(VerificationError, match="two different sha256 digests and no names"):
        find(f"{A}\n{B}\n", "disk.img")


OTHER = f"{A}  disk-Build16.31.qcow2\n"


def test_a_file_that_is_called_like_the_image_may_name_another_one() -> None:
    for url in ("https://x/disk.qcow2.sha256", "file:///x/disk.qcow2.CHECKSUM", "https://x/disk.qcow2.sha256?x=/y"):
        assert find(OTHER, "disk.qcow2", url=url) == Checksum("sha256", A)
    for url, text in (
        ("https://x/SHA256SUMS", OTHER),
        ("https://x/disk.sha256", OTHER),
        ("https://x/disk.qcow2.sha256", OTHER + f"{B}  other.img\n"),
        ("", OTHER),
    ):
        with pytest.raises(VerificationError, match=r"no digest of disk\.qcow2"):
            find(text, "disk.qcow2", url=url)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("<html>", "it has no digests at all: give the version a checksum, or the checksums_url of a file that has it"),
        (OTHER, "it has 'disk-Build16.31.qcow2': give"),
        (f"{A}\n{B}  b.img\n", "it has a digest without a name, 'b.img': give"),
        ("".join(f"{A}  {n}.img\n" for n in range(9)), "it has '0.img', '1.img', '2.img' and 6 more: give"),
        (f"{A}  {'x' * 9999}\n", f"it has '{'x' * 100}': give"),
    ],
)
def test_a_missing_digest_says_where_what_there_is_and_what_to_write(text: str, said: str) -> None:
    with pytest.raises(VerificationError) as error:
        find(text, "disk.img", url="https://user:secret@x/SUMS?token=1")
    assert str(error.value).startswith(f"https://x/SUMS: the checksum file has no digest of disk.img; {said}")


def test_all_digests_of_a_file() -> None:
    text = f"MD5 (disk.img) = {digest('c', 'md5').upper()}\nSHA512 (disk.img) = {A512}\n{B}  other.img\n"
    assert find_all(text, "disk.img") == {
        "md5": Checksum("md5", digest("c", "md5")),
        "sha512": Checksum("sha512", A512),
    }


def test_two_files_of_one_name_in_different_folders_are_an_error() -> None:
    with pytest.raises(VerificationError, match=r"several files called disk\.img: amd64/disk\.img, arm64/disk\.img"):
        find(f"{A}  arm64/disk.img\n{B}  amd64/disk.img\n", "disk.img")


def test_all_entries_are_kept_under_their_names() -> None:
    assert parse(f"{A}  a b.img\n{B} *./b.img\nSHA512 (c (1).img) = {A512}\n") == {
        "a b.img": Checksum("sha256", A),
        "b.img": Checksum("sha256", B),
        "c (1).img": Checksum("sha512", A512),
    }


def test_a_long_file_without_digests_is_read_at_once() -> None:
    begin = time.thread_time()
    assert parse("nothing\n" * 200_000) == {}
    assert parse("x" + " " * 2_000_000 + "y\n" + "a" * 64 + " " * 2_000_000) == {"": Checksum("sha256", "a" * 64)}
    assert parse("x (" + ")" * 2_000_000) == {}
    assert time.thread_time() - begin < 30


TEXTS = st.sampled_from([text for text, _ in SUMS.values()])


@given(TEXTS, TEXTS, CHANGES)
def test_a_damaged_file_gives_a_digest_from_the_line_of_the_name_or_an_error(
    text: str, more: str, changes: list[tuple[float, int, str]]
) -> None:
    text = damaged(text + more, changes)
    try:
        entries = parse(text)
    except VerificationError:
        return
    lines = text.split("\n")
    for name, checksum in entries.items():
        assert len(checksum.digest) == DIGEST_LENGTHS[checksum.algorithm]
        having = [line for line in lines if checksum.digest in line.lower() and name in line]
        # The name is all that the line holds beside the digest and its marks.
        starts, inside = (name, f"./{name}"), (f"({name})", f"(./{name})")
        assert any(
            line.strip().endswith(name) or line.strip().startswith(starts) or any(form in line for form in inside)
            for line in having
        )
        assert not name or find(text, name) == checksum


@given(st.text(), st.text())
def test_any_text_gives_a_digest_or_an_error(text: str, name: str) -> None:
    try:
        found = find(text, name)
    except VerificationError:
        return
    assert found.digest in text.lower()


def test_the_sizes_of_checksum_files() -> None:
    assert sizes("# a b.img: 12 bytes\r\n#x: 3 bytes\n# a b.img: 12 bytes\n# y: many bytes\nx: 1 bytes\n") == {
        "a b.img": 12,
        "x": 3,
    }
    with pytest.raises(VerificationError, match="two different sizes of a"):
        sizes("# a: 1 bytes\n# a: 2 bytes\n")


@pytest.mark.parametrize("algorithm", ["md5", "sha256", "sha512"])
def test_checksum_files_in_base64(algorithm: str) -> None:
    raw = hashlib.new(algorithm, b"x").digest()
    for text in (base64.b64encode(raw).decode(), base64.b64encode(raw).decode().rstrip("=")):
        for line in (f"{text}  x\n", f"{algorithm.upper()} (x) = {text}\n", f"{text}\n"):
            assert find(line, "x", encoding="base64") == Checksum(algorithm, raw.hex())
            assert find(line, "x", algorithm, "base64").algorithm == algorithm
            assert parse(line, "sha1", "base64") == {}
    assert parse(f"{'A' * 30}  x\n{'A' * 25}  y\n{raw.hex()[:32]}  z", encoding="base64") == {}


def test_only_the_digests_of_one_algorithm() -> None:
    text = f"{digest('a')}  x\n{digest('a', 'sha512')}  x\n{digest('b', 'sha512')}  y\n"
    assert parse(text, "sha256") == {"x": Checksum("sha256", digest("a"))}
    assert set(parse(text)) == {"x", "y"}


@given(CHANGES)
def test_damaged_checksum_files_in_base64(changes: list[tuple[float, int, str]]) -> None:
    files = {f"file-{number}.img": hashlib.sha512(bytes([number])).digest() for number in range(4)}
    text = "".join(f"{base64.b64encode(raw).decode()}  {name}\n" for name, raw in files.items())
    try:
        found = parse(damaged(text, changes), encoding="base64")
    except VerificationError:
        return
    digests = {raw.hex(): name for name, raw in files.items()}
    for name, checksum in found.items():
        assert name not in files or digests.get(checksum.digest, name) == name
