"""`update` at its limits: patterns without an end, people who stop it, files and caches that others can write."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from tests.support.bench import run_main
from tests.support.distribution import Distribution, image
from tests.support.documents import pre_listing
from tests.support.privileges import without_rights
from tests.support.signers import made
from tests.support.site import Switches, TestSite

from openstack_image_manager.definitions.loader import load
from openstack_image_manager.sandbox.site import serving
from openstack_image_manager.upstreams.newest import WORKERS

ENDLESS = "(?P<version>(a|aa)+)b"


def test_a_pattern_without_an_end_stops_its_definition_and_no_other(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.site.on("/long/", Switches(html=pre_listing([f"{'a' * 60}{number}" for number in range(500)])))
    step = f"- {{listing: '{distribution.site.url}/long/', match: '{ENDLESS}'}}"
    endless = f"  - name: E\n    format: raw\n    resolve: {{steps: [{step[2:]}]}}\n    versions: []\n"
    distribution.write(distribution.definition(), endless)
    outcome = distribution.run()
    assert outcome.code == 1
    assert "A: nothing → 20240416" in outcome.out
    assert f"E: failed: resolve.steps[0].match: '{ENDLESS}' was stopped after 2 seconds at '{'a' * 60}" in outcome.out


def test_what_was_answered_is_written_when_somebody_stops_it(distribution: Distribution, tmp_path: Path) -> None:
    """As many as are asked at once hang, less one: that one answers, and then the next one in the line is asked."""
    hold = threading.Event()
    (tmp_path / "hanging").mkdir()
    distribution.publish(**{"20240416": image("one")})
    with serving(TestSite(tmp_path / "hanging")) as hanging:
        texts = [distribution.definition()]
        for number in range(1, WORKERS):
            hanging.put(f"/{number}/SUMS", b"?")
            hanging.on(f"/{number}/SUMS", Switches(hold=hold))
            texts.append(
                distribution.definition(f"H{number}", f"/{number}").replace(distribution.site.url, hanging.url)
            )
        distribution.site.put("/last/SUMS", b"?")
        file = distribution.write(*texts, distribution.definition("L", "/last"))
        outcome = distribution.stopped("/last/SUMS", hold, "--output", "json")
    told = json.loads(outcome.out)["definitions"]
    assert {each["image"]: each["error"] for each in told if each["state"] == "failed"} == {}
    states = {each["image"]: each["state"] for each in told}
    assert states.pop("A") == "updated"
    assert set(states.values()) == {"interrupted"}
    assert len(states) == WORKERS
    assert outcome.code == 130
    assert outcome.err == "error: interrupted; all answers so far are written, run again for the rest\n"
    assert {each.name for each in load(str(file)).definitions if each.versions} == {"A"}


def test_files_that_were_written_when_somebody_stops_it_are_told(distribution: Distribution, tmp_path: Path) -> None:
    """The second file waits for another process; a file that is not written is told, and so is one that is."""
    distribution.publish(**{"20240416": image("one")})
    first = distribution.write(distribution.definition())
    second = tmp_path / "images" / "z" / "b.yml"
    second.parent.mkdir()
    second.write_text("images:\n" + distribution.definition("B"))
    third = tmp_path / "images" / "zz.yml"
    third.write_text("images:\n" + distribution.definition("C"))
    distribution.images = tmp_path / "images" / "**"
    outcome = distribution.stopped_at_lock(second.parent)
    assert outcome.code == 130
    lines = outcome.out.splitlines()
    assert lines[0].startswith("A: nothing → 20240416 (")
    assert lines[1:] == [
        f"{name}: interrupted: {file}: stopped, and this file may not be written; run again"
        for name, file in (("B", second), ("C", third))
    ] + ["3 definitions asked: 1 updated, 2 interrupted"]
    assert outcome.err == "error: interrupted; all answers so far are written, run again for the rest\n"
    assert ["20240416.qcow2" in file.read_text() for file in (first, second, third)] == [True, False, False]
    assert [path.name for path in second.parent.iterdir()] == ["b.yml"]


def test_a_filter_that_fits_nothing_is_told(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition())
    outcome = distribution.run("--filter", "^B$")
    assert outcome.out == "0 definitions asked: nothing to ask about\n"
    assert outcome.err == f"warning: {distribution.images}: none of the 1 definitions has a name that matches '^B$'\n"
    outcome = distribution.run("--name", "B")
    assert (outcome.code, outcome.err) == (2, f"error: there is no definition 'B' in {distribution.images}\n")


def test_a_dry_run_tells_that_a_file_can_t_be_written(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    file = distribution.write(distribution.definition())
    file.chmod(0o444)
    real, dry = distribution.run(), distribution.run("--dry-run")
    assert (real.code, dry.code) == (1, 1)
    assert f"A: failed: {file}: is read-only; chmod u+w lets it be changed\n" in dry.out
    assert dry.out == real.out.replace("1 failed\n", "1 failed; no file was changed (--dry-run)\n")
    file.chmod(0o644)
    assert distribution.run().code == 0
    file.chmod(0o444)
    # Where nothing is to be written, it does not matter.
    assert (distribution.run().code, distribution.run("--dry-run").code) == (0, 0)


def test_a_dry_run_tells_that_a_directory_can_t_be_written() -> None:
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        (folder / "site").mkdir()
        with serving(TestSite(folder / "site")) as site:
            distribution = Distribution(site, folder, made())
            distribution.publish(**{"20240416": image("one")})
            file = distribution.write(distribution.definition())
            file.chmod(0o666)
            assert distribution.run("--dry-run").code == 0  # and all modules are loaded, wherever nobody may not look
            distribution.images.chmod(0o555)
            with without_rights():
                real, dry = distribution.run(), distribution.run("--dry-run")
            distribution.images.chmod(0o755)
    expected = f"A: failed: {file}: cannot be changed: Permission denied; check its permissions and the disk\n"
    assert (real.code, dry.code) == (1, 1)
    assert expected in real.out
    assert expected in dry.out


@pytest.mark.parametrize("mode", [0o770, 0o707])
@pytest.mark.parametrize("above", [False, True])
def test_a_cache_that_others_can_write_is_not_trusted(distribution: Distribution, mode: int, above: bool) -> None:
    """Nor is it used for what is fetched meanwhile, or tidied."""
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition())
    assert distribution.run("--cache").code == 0
    cache = distribution.folder / ".cache" / "openstack-image-manager" / "documents"
    (kept,) = [path for path in cache.iterdir() if b"20240416.qcow2" in path.read_bytes()]
    os.utime(kept, (0, 0))
    wrong = cache.parent if above else cache
    wrong.chmod(mode)
    before = len(distribution.site.requests)
    outcome = distribution.run("--cache")
    assert outcome.code == 0
    assert outcome.err == (
        f"warning: {wrong}: mode {mode:04o}, owner {os.geteuid()}: others can write there, so its documents are not "
        f"used and are fetched again; remove it: rm -r {wrong}\n"
    )
    assert not [each for each in distribution.site.requests[before:] if "if-none-match" in each.headers]
    assert kept.stat().st_mtime == 0
    wrong.chmod(0o700)
    assert distribution.run("--cache").err == ""


def test_a_document_that_others_can_write_is_not_trusted(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition())
    assert distribution.run("--cache").code == 0
    for path in (distribution.folder / ".cache" / "openstack-image-manager" / "documents").iterdir():
        path.chmod(0o666)
    before = len(distribution.site.requests)
    assert distribution.run("--cache").code == 0
    assert not [each for each in distribution.site.requests[before:] if "if-none-match" in each.headers]


def test_a_user_without_a_home(distribution: Distribution) -> None:
    """As in containers whose user is none that the system knows: no cache, and no keys of one's own."""
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition())
    update = ["update", "--images", str(distribution.images), "--keys", str(distribution.keys)]
    fetch = ["keys", "fetch", (distribution.keys / "key.asc").as_uri(), distribution.key.fingerprint]
    nowhere = {"PATH": "/usr/bin:/bin", "HOME": "~"}  # what is left when there is nothing that ~ could stand for
    outcome = run_main(update, nowhere)
    assert (outcome.code, outcome.err) == (0, "")
    assert "A: nothing → 20240416" in outcome.out
    outcome = run_main(fetch, nowhere)
    assert outcome.code == 1
    assert outcome.err == "error: no home directory to store keys in; set XDG_DATA_HOME, or add --keys DIR\n"
    # A home that can't be written, as it is a file.
    (distribution.folder / "home").touch()
    nowhere["HOME"] = str(distribution.folder / "home")
    outcome = run_main(update, nowhere)
    assert (outcome.code, outcome.err) == (0, "")
    outcome = run_main(fetch, nowhere)
    path = f"{nowhere['HOME']}/.local/share/openstack-image-manager/keys/{distribution.key.fingerprint}.asc"
    assert (outcome.code, outcome.err) == (1, f"error: {path}: Not a directory\n")
