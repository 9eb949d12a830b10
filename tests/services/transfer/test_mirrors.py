"""Mirrors of the environment: requests of every command go to them, and only to them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.support import lifespans
from tests.support.bench import Outcome, run_main
from tests.support.downloads import CONTENT, read, refused
from tests.support.scripted import Script, answer, whole
from tests.support.signers import HAND
from tests.support.site import Switches, TestSite

from openstack_image_manager.apply.sources import glance_url
from openstack_image_manager.definitions.model import Version
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.transfer.checksum_files import with_checksum
from openstack_image_manager.transfer.download import last_modified
from openstack_image_manager.transfer.mirrors import MIRRORS

UPSTREAM = "https://upstream.invalid"


@pytest.fixture
def mirrored(monkeypatch: pytest.MonkeyPatch, site: TestSite) -> TestSite:
    """A site that stands for an upstream that does not exist."""
    monkeypatch.setenv(MIRRORS, f"{UPSTREAM}/={site.url}/m/ https://other.invalid/={site.url}/o/")
    return site


def test_files_of_all_kinds(mirrored: TestSite) -> None:
    mirrored.put("/m/a.img", CONTENT)
    mirrored.put("/m/SHA256SUMS", f"{'a' * 64}  a.img\n".encode())
    assert read(f"{UPSTREAM}/a.img") == CONTENT
    assert last_modified(f"{UPSTREAM}/a.img")
    version = Version(version="1", url=f"{UPSTREAM}/a.img", checksums_url=f"{UPSTREAM}/SHA256SUMS")
    assert with_checksum(version).checksum == f"sha256:{'a' * 64}"
    assert f"{mirrored.url}/m/b.img: 404" in refused(f"{UPSTREAM}/b.img")


def test_the_target_of_a_redirect_comes_from_its_mirror(mirrored: TestSite) -> None:
    mirrored.put("/o/b.img", CONTENT)
    mirrored.on("/m/a.img", Switches(redirect=(302, "https://other.invalid/b.img")))
    assert read(f"{UPSTREAM}/a.img") == CONTENT
    mirrored.on("/o/b.img", Switches(redirect=(302, f"{UPSTREAM}/a.img")))
    assert "redirected 10 times, without an end" in refused(f"{UPSTREAM}/a.img")


def test_credentials_are_not_sent_to_the_mirror_of_a_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(Script(whole())) as other, serving(Script(answer(302, b"", Location=f"{UPSTREAM}/a"))) as first:
        monkeypatch.setenv(MIRRORS, f"{UPSTREAM}/={other.url.removesuffix('/a.img')}/")
        assert read(first.url, headers={"Authorization": "Bearer geheim"}) == CONTENT
        assert "Authorization" not in other.asked[0]


def test_glance_is_sent_to_a_mirror_that_it_can_reach(monkeypatch: pytest.MonkeyPatch, mirrored: TestSite) -> None:
    assert glance_url(f"{UPSTREAM}/a.img") == f"{mirrored.url}/m/a.img"
    assert glance_url("https://elsewhere.invalid/a.img") == "https://elsewhere.invalid/a.img"
    monkeypatch.setenv(MIRRORS, f"{UPSTREAM}/=file:///srv/mirror/")
    assert glance_url(f"{UPSTREAM}/a.img") == f"{UPSTREAM}/a.img"


def command(site: TestSite, folder: Path, *arguments: str) -> Outcome:
    environment = {"HOME": str(folder), "NO_COLOR": "1", MIRRORS: f"{UPSTREAM}/={site.url}/m/"}
    return run_main(list(arguments), environment)


def test_the_commands_without_a_cloud(site: TestSite, tmp_path: Path) -> None:
    raw = b"\0" * 65536
    site.put("/m/key", HAND.certificate)
    site.put("/m/a.raw", raw)
    site.on("/m/eol/debian/", Switches(html=json.dumps(lifespans.document("debian"))))
    path = tmp_path / "images.yml"
    meta = "{os_distro: debian, os_version: '13', provided_until: none}"
    version = f"{{version: '1', url: '{UPSTREAM}/a.raw'}}"
    path.write_text(f"images: [{{name: A, format: raw, meta: {meta}, versions: [{version}]}}]\n")
    fetched = command(site, tmp_path, "keys", "fetch", f"{UPSTREAM}/key", HAND.fingerprint)
    assert (fetched.code, fetched.err) == (0, ""), fetched.text
    checked = command(site, tmp_path, "check-updates", "--images", str(path), "--eol-url", f"{UPSTREAM}/eol")
    assert "failed" not in checked.text
    assert checked.code in (0, 3), checked.text
    (tmp_path / "tree").mkdir()
    copied = command(site, tmp_path, "mirror", "--images", str(path), "--bucket", (tmp_path / "tree").as_uri())
    assert copied.code == 0, copied.text
    assert [file.read_bytes() for file in (tmp_path / "tree").rglob("*.raw")] == [raw]
    assert {request.path for request in site.requests} == {"/m/key", "/m/a.raw", "/m/eol/debian/"}


def test_an_invalid_value_is_an_error_of_the_command_line(tmp_path: Path) -> None:
    outcome = run_main(["keys", "list"], {"HOME": str(tmp_path), MIRRORS: f"{UPSTREAM}/"})
    assert (outcome.code, f"{MIRRORS} needs two URLs" in outcome.err) == (2, True)
    assert run_main(["keys", "list", "--help"], {"HOME": str(tmp_path), MIRRORS: f"{UPSTREAM}/"}).code == 0
