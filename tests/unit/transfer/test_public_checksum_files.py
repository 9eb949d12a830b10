"""Checksum files as public projects publish them: an import and `latest` read each of them alike.

The shapes are facts from the places that stand beside them; names and digests are our own.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.model import Definition, Version
from openstack_image_manager.transfer.checksum_files import with_checksum
from openstack_image_manager.upstreams.latest import UpstreamState, ask_upstreams

IMAGE = "disk.qcow2"
BYTES = b"QFI\xfb" + bytes(60)
A, A512, MD5, SHA1 = (hashlib.new(name, BYTES).hexdigest() for name in ("sha256", "sha512", "md5", "sha1"))
B = hashlib.sha256(b"other").hexdigest()
UTF16 = "utf-16"  # with a byte order mark, as Windows PowerShell writes it

# Where the shape is from; the name of the checksum file; its text; its encoding if it is not UTF-8.
SHAPES = [
    ("openSUSE/MirrorCache#523", f"{IMAGE}.sha256", f"{A}  disk-1.0.1-Build6.63.qcow2\n"),
    ("openSUSE/get-o-o#55", f"{IMAGE}.sha256", f"{A}  disk-without-current.qcow2\n"),
    ("GoogleContainerTools/jib#3584", f"{IMAGE}.sha256", f"{A}  disk-0.9.0.qcow2\n"),
    ("osism/k8s-capi-images#244", f"{IMAGE}.CHECKSUM", f"{A}  ./{IMAGE}\n"),
    ("ublue-os/bazzite#3793", "image-CHECKSUM", f"{A}  /home/runner/work/upload/{IMAGE}\n"),
    ("MichaIng/DietPi#7467", f"{IMAGE}.sha256", f"{A}  /tmp/build/{IMAGE}\n"),
    ("crc-org/crc#2871", f"{IMAGE}.sha256", A),
    ("zzzhouuu/truenas-nvidia-drivers#1", f"{IMAGE}.sha256", f"{A}\n"),
    ("mimblewimble/grin-wallet#359", "sha256sum.txt", f"SHA256(/home/vsts/work/1/a/{IMAGE})= {A}\n"),
    ("OpenSSL 3 dgst", "sums.txt", f"SHA2-256({IMAGE})= {A}\nSHA2-256(other.img)= {B}\n"),
    ("OpenSSL 3 dgst of the standard input", f"{IMAGE}.sha256", f"SHA2-256(stdin)= {A}\n"),
    ("docker/compose#7174", f"{IMAGE}.sha256", f"{A.upper()} *{IMAGE}\r\n", UTF16),
    ("openziti/desktop-edge-win#645", f"{IMAGE}.sha256", f"{A.upper()}\r\n", UTF16),
    (
        "PowerShell/PowerShell#17023, Format-List",
        f"{IMAGE}.txt",
        f"\r\nAlgorithm : SHA256\r\nHash      : {A.upper()}\r\nPath      : C:\\out\\{IMAGE}\r\n",
        UTF16,
    ),
    (
        "PowerShell/PowerShell#25750, a table",
        "hashes.txt",
        f"Algorithm  Hash  Path\r\n---------  ----  ----\r\nSHA256     {A.upper()}  C:\\{IMAGE}\r\n",
        UTF16,
    ),
    ("certutil -hashfile", f"{IMAGE}.txt", f"SHA256 hash of {IMAGE}:\r\n{A}\r\nCertUtil: completed.\r\n"),
    ("ironic.common.checksum_utils, digest last", "sums", f"{IMAGE} {A}\nother.img {B}\n"),
    ("georgboe/checksum", "CHECKSUM", f"-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\nSHA256 ({IMAGE}) = {A}\n"),
    ("iefdev/chksum", "CHECKSUMS.sha256", f"{A} */path/to/{IMAGE}\n{B} */path/to/other.img\n"),
    ("bsdsum, cksum variant", "SUMS", f"{A} {IMAGE}\n{B} other.img\n"),
    ("Flatcar DIGESTS", f"{IMAGE}.DIGESTS", f"# MD5 HASH\n{MD5}  {IMAGE}\n# SHA1 HASH\n{SHA1}  {IMAGE}\n"),
    ("Fedora CHECKSUM", "CHECKSUM", f"# {IMAGE}: {len(BYTES)} bytes\nSHA256 ({IMAGE}) = {A}\n"),
    ("VERSION files: a size behind the name", "SUMS", f"{A}  {IMAGE} {len(BYTES)}\n{B}  other.img 5\n"),
    ("Perl's shasum, portable mode", "SUMS", f"{A} ?{IMAGE}\n"),
    ("digests as container registries write them", "SUMS", f"sha256:{A}  {IMAGE}\nsha256:{B}  other.img\n"),
]


@pytest.fixture(params=SHAPES, ids=[shape[0] for shape in SHAPES])
def version(request: pytest.FixtureRequest, tmp_path: Path) -> Version:
    """A version whose checksum file has the shape."""
    _, name, text, *encoding = request.param
    (tmp_path / IMAGE).write_bytes(BYTES)
    (tmp_path / name).write_bytes(text.encode(*encoding))
    urls = {"url": (tmp_path / IMAGE).as_uri(), "checksums_url": (tmp_path / name).as_uri()}
    return Version.model_validate({"version": "latest", **urls})


def test_an_import_reads_it(version: Version) -> None:
    checksum = Checksum.parse(with_checksum(version).checksum or "")
    assert hashlib.new(checksum.algorithm, BYTES).hexdigest() == checksum.digest


def test_latest_reads_it(version: Version) -> None:
    definition = Definition.model_validate({"name": "Moving", "format": "qcow2", "versions": [version]})
    (answer,) = ask_upstreams([definition])
    assert isinstance(answer, UpstreamState), answer
    assert str(answer.checksum) == with_checksum(version).checksum
