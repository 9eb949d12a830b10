"""The index of a mirror: read by our own resolvers and by sha256sum, signed, and written only when it differs."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.support.gnupg import Gpg, gnupg
from tests.support.mirrors import KEY, Carried, carried, image, sha256

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import VerificationError
from openstack_image_manager.sandbox.site import Site, serving
from openstack_image_manager.signatures.evidence import SignatureVerifier
from openstack_image_manager.signatures.keyring import Keyring
from openstack_image_manager.upstreams.build import Build
from openstack_image_manager.upstreams.newest import newest
from openstack_image_manager.upstreams.sites import Sites

META = {"architecture": "x86_64", "os_distro": "debian", "os_version": "12"}
PRODUCT = "openstack-image-manager:a:amd64"
SIGNED = ["a/SHA256SUMS.gpg", "streams/v1/images.sjson", "streams/v1/index.sjson"]


@pytest.fixture
def mirror(tmp_path: Path) -> Iterator[Carried]:
    with carried(tmp_path) as made:
        made.define(made.version("20260101", image("1")), made.version("20260102", image("2", 2)), meta=META)
        yield made


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gnupg() as made:
        yield made


@pytest.fixture(scope="module")
def key(gpg: Gpg) -> str:
    return gpg.make("mirror")


def resolved(steps: str, value: str, keys: Path, signature: dict[str, object] | None, **options: str) -> Build:
    """What a definition of somebody else finds in the mirror."""
    resolve = {"steps": [{steps: value, **options}], "signature": signature}
    given = {"name": "B", "format": "raw", "versions": [], "resolve": {k: v for k, v in resolve.items() if v}}
    return newest(Definition.model_validate(given), Sites(), SignatureVerifier(Keyring([keys])))


def streams(url: str, key: str, keys: Path) -> Build:
    signature: dict[str, object] = {"kind": "clearsigned", "over": "index", "keys": [key]}
    where = {"product": PRODUCT, "item": "disk.raw", "root": f"{url}/"}
    return resolved("simplestreams", f"{url}/streams/v1/images.sjson", keys, signature, **where)


def test_our_resolvers_and_sha256sum_read_it(mirror: Carried, gpg: Gpg, key: str, tmp_path: Path) -> None:
    code, text = mirror.run("--sign-key", "mirror@example.org", GNUPGHOME=str(gpg.home))
    assert (code, "index: 6 files written" in text) == (0, True), text
    keys = gpg.export(tmp_path / "keys")
    with serving(Site(mirror.tree)) as site:
        build = streams(site.url, key, keys)
        assert (build.version, build.url) == ("20260102", f"{site.url}/a/20260102-a.raw")
        assert (build.size, build.signed_by) == (2 * 2**20, key)
        assert str(build.checksum) == f"sha512:{mirror.record('a/20260102-a.raw')['sha512']}"
        detached: dict[str, object] = {
            "kind": "detached",
            "over": "checksum",
            "url": "{checksum_url}.gpg",
            "keys": [key],
        }
        names = r"(?P<version>\d+)-a\.raw"
        build = resolved("checksum-file", f"{site.url}/a/SHA256SUMS", keys, detached, match=names)
        assert (build.version, build.size, build.signed_by) == ("20260102", 2 * 2**20, key)
        assert str(build.checksum) == f"sha256:{sha256(image('2', 2))}"
        sums = mirror.tree / "a/SHA256SUMS"
        sums.write_text(sums.read_text().replace(sha256(image("2", 2)), "0" * 64))
        with pytest.raises(VerificationError, match="BAD signature"):
            resolved("checksum-file", f"{site.url}/a/SHA256SUMS", keys, detached, match=names)
    index = json.loads((mirror.tree / "streams/v1/index.json").read_text())["index"]
    assert [entry["path"] for entry in index.values()] == ["streams/v1/images.json"]
    assert "streams/v1/images.sjson" in (mirror.tree / "streams/v1/index.sjson").read_text()
    # what was changed is mended, and then sha256sum agrees
    code, text = mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))
    assert (code, "index: 1 files written" in text) == (0, True), text
    checked = subprocess.run(
        ["sha256sum", "--strict", "-c", "SHA256SUMS"],
        cwd=mirror.tree / "a",
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert checked.stdout == "20260101-a.raw: OK\n20260102-a.raw: OK\n"
    gpg.run("--verify", str(mirror.tree / "a/SHA256SUMS.gpg"), str(mirror.tree / "a/SHA256SUMS"))
    (product,) = mirror.products().values()
    assert {name: product[name] for name in ("arch", "os", "release", "version", "release_title")} == {
        "arch": "amd64",
        "os": "debian",
        "release": "12",
        "version": "12",
        "release_title": "A",
    }
    assert product["versions"]["20260101"]["items"]["disk.raw"]["path"] == "a/20260101-a.raw"


def test_signatures_are_made_again_only_when_they_must(mirror: Carried, gpg: Gpg, key: str) -> None:
    sign = {"OPENSTACK_IMAGE_MANAGER_SIGN_KEY": key, "GNUPGHOME": str(gpg.home)}
    assert mirror.run(**sign)[0] == 0
    before = {name: (mirror.tree / name).read_bytes() for name in mirror.files()}
    assert "index:" not in mirror.run(**sign)[1]
    assert {name: (mirror.tree / name).read_bytes() for name in mirror.files()} == before
    assert mirror.run()[0] == 0  # nothing changes, so that no key is needed
    other = gpg.make("other")
    code, text = mirror.run("--verify", "--sign-key", other, GNUPGHOME=str(gpg.home))
    assert (code, "index: 3 files written" in text) == (0, True), text
    (mirror.tree / "streams/v1/index.sjson").write_bytes(before["streams/v1/index.json"])
    assert "index: 1 files written" in mirror.run("--sign-key", other, GNUPGHOME=str(gpg.home))[1]
    mirror.define(mirror.version("3", image("3")), meta=META)
    code, text = mirror.run()
    assert (code, "must change, and is signed: nothing was written; add --sign-key, or delete" in text) == (1, True)
    assert (mirror.tree / "a/SHA256SUMS").read_bytes() == before["a/SHA256SUMS"]
    for name in SIGNED:
        (mirror.tree / name).unlink()
    assert re.search("index: [23] files written", mirror.run()[1])  # index.json has a time, in whole seconds
    assert "3-a.raw" in (mirror.tree / "a/SHA256SUMS").read_text()


def test_what_can_not_sign_is_told_before_anything_is_done(mirror: Carried, gpg: Gpg, key: str) -> None:
    home = str(gpg.home)
    code, text = mirror.run("--sign-key", "nobody@example.org", GNUPGHOME=home)
    assert (code, mirror.files()) == (1, [])
    assert text == (
        "error: --sign-key nobody@example.org is not a secret key in gpg's keyring (GNUPGHOME, or ~/.gnupg)\n"
    )
    gpg.make("mirror2")
    assert (
        "matches 2 secret keys in gpg's keyring; give the fingerprint of one"
        in mirror.run("--sign-key", "mirror", GNUPGHOME=home)[1]
    )
    code, text = mirror.run("--sign-key", key, PATH="")
    assert (code, text) == (
        1,
        "error: signing needs gpg; install it (Debian and Ubuntu: apt install gpg)\n",
    )
    locked = gpg.make("locked", passphrase="secret")
    subprocess.run(["gpgconf", "--homedir", home, "--kill", "all"], check=True, timeout=60)
    code, text = mirror.run("--sign-key", locked, GNUPGHOME=home, GPG_TTY="", DISPLAY="")
    assert (code, f"index: gpg cannot sign with {locked}: " in text) == (1, True), text
    assert (mirror.tree / "a/20260101-a.raw").exists()


def test_what_others_wrote_is_left_alone(mirror: Carried, gpg: Gpg, key: str) -> None:
    sums = mirror.tree / "a/SHA256SUMS"
    sums.parent.mkdir()
    sums.write_text("theirs\n")
    code, text = mirror.run()
    assert (code, "index: a/SHA256SUMS: a file of another owner is there, and is never changed; move it" in text) == (
        1,
        True,
    )
    assert (sums.read_text(), mirror.run("--no-index")[0]) == ("theirs\n", 0)
    sums.rename(f"{sums}.gpg")
    code, text = mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))
    assert (code, "index: a/SHA256SUMS.gpg: a file of another owner" in text) == (1, True), text
    Path(f"{sums}.gpg").unlink()
    theirs = mirror.tree / "streams/v1/index.sjson"
    theirs.parent.mkdir(parents=True)
    theirs.write_text("theirs\n")
    code, text = mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))
    assert (code, "index: streams/v1/index.sjson: a file of another owner" in text) == (1, True), text
    assert theirs.read_text() == "theirs\n"


def test_an_empty_file_is_no_index(mirror: Carried, gpg: Gpg, key: str) -> None:
    for name in ("a/SHA256SUMS", "b/SHA256SUMS", "streams/v1/index.json", "streams/v1/index.sjson"):
        (mirror.tree / name).parent.mkdir(parents=True, exist_ok=True)
        (mirror.tree / name).touch()
    code, text = mirror.run("--sign-key", key, GNUPGHOME=str(gpg.home))
    assert (code, "index: 6 files written" in text) == (0, True), text
    assert "20260101-a.raw" in (mirror.tree / "a/SHA256SUMS").read_text()
    assert (mirror.tree / "b/SHA256SUMS").read_text() == ""


def test_it_follows_what_is_held(mirror: Carried) -> None:
    assert mirror.run()[0] == 0
    (mirror.tree / "b").mkdir()
    (mirror.tree / "b/SHA256SUMS").write_text("theirs\n")
    mirror.define(mirror.version("9", image("9")), name="Z", shortname="z")
    assert mirror.run("--prune", "--grace", "0")[0] == 0
    assert list(mirror.products()) == ["openstack-image-manager:z:unknown"]
    assert [name for name in mirror.files() if "SHA" in name] == ["b/SHA256SUMS", "z/SHA256SUMS"]
    # what is known to be wrong and can't be replaced is not published
    (mirror.tree / "z/9-z.raw").write_bytes(image("8"))
    mirror.site.put("/9.raw", image("7"))
    code, text = mirror.run("--verify")
    assert (code, "failed: Z 9: " in text, mirror.products()) == (1, True, {}), text
    assert not (mirror.tree / "z/SHA256SUMS").exists()
    shutil.rmtree(mirror.tree / "z")
    mirror.site.put("/9.raw", image("9"))
    assert mirror.run()[0] == 0
    assert list(mirror.products()) == ["openstack-image-manager:z:unknown"]
    assert (mirror.tree / KEY).exists() is False
