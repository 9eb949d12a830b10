"""Definitions follow their upstreams: the command, real files, sites that fail."""

from __future__ import annotations

import hashlib
import json
import subprocess
import threading

import pytest
from tests.support.distribution import Distribution, image, sums
from tests.support.signers import made
from tests.support.site import Switches


def test_the_newest_build_is_written_with_its_evidence_and_nothing_else_changes(distribution: Distribution) -> None:
    one, two = image("one"), image("two")
    distribution.publish(**{"20240416": one, "20240514": two})
    old = f"\n      - version: '20240416'  # the first\n        url: {distribution.site.url}/a/20240416.qcow2\n"
    file = distribution.write(distribution.definition(versions=old + "    # the end"))
    before = file.read_text()
    dry = distribution.run("--dry-run")
    assert dry.code == 0, dry.text
    assert "A: 20240416 → 20240514 (built 2024-05-14, 1.5 KiB, sha256:" in dry.out
    assert dry.out.endswith("1 definition asked: 1 updated; no file was changed (--dry-run)\n")
    assert file.read_text() == before
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    after = file.read_text()
    url = distribution.site.url
    signed_at = after.partition("signed_at: ")[2].partition("\n")[0]
    assert after == before.replace(
        "      - version: '20240416'",
        f"""\
      - version: '20240514'
        url: {url}/a/20240514.qcow2
        checksum: sha256:{hashlib.sha256(two).hexdigest()}
        checksums_url: {url}/a/SUMS
        size: {len(two)}
        build_date: 2024-05-14
        signed_by: {distribution.key.fingerprint}
        signed_at: {signed_at}
      - version: '20240416'""",
    )
    again = distribution.run()
    assert (again.code, file.read_text()) == (0, after)
    assert "A: 20240514 is the newest build" in again.out


def test_versions_that_retention_needs_stay(distribution: Distribution) -> None:
    names = ["20240101", "20240201", "20240301", "20240401"]
    distribution.publish(**{name: image(name) for name in [*names, "20240501"]})
    listed = "".join(f"\n      - {{version: '{n}', url: {distribution.site.url}/a/{n}.qcow2}}" for n in names)
    file = distribution.write(distribution.definition(versions=listed))
    outcome = distribution.run("--output", "json")
    (told,) = json.loads(outcome.out)["definitions"]
    assert (told["from"], told["to"], told["dropped"]) == ("20240401", "20240501", ["20240201", "20240101"])
    text = file.read_text()
    assert [name for name in [*names, "20240501"] if name in text] == ["20240301", "20240401", "20240501"]
    file = distribution.write(distribution.definition(versions=listed, more="    meta: {uuid_validity: forever}\n"))
    assert json.loads(distribution.run("--output", "json").out)["definitions"][0]["dropped"] == []
    file = distribution.write(distribution.definition(versions=listed))
    (told,) = json.loads(distribution.run("--output", "json", "--keep-versions", "1").out)["definitions"]
    assert len(told["dropped"]) == 4
    assert file.read_text().count("version: '2024") == 1


def test_an_own_image_is_not_replaced_by_the_build_of_its_distribution(distribution: Distribution) -> None:
    golden = f"""\
  - name: Golden
    format: qcow2
    meta: {{architecture: x86_64, os_distro: cirros}}
    versions: [{{version: '0.1', url: {distribution.site.url}/golden.qcow2}}]
"""
    silent = golden.replace("Golden", "Silent").replace("    versions", "    resolve: none\n    versions")
    file = distribution.write(golden, silent)
    before = file.read_text()
    outcome = distribution.run("--mirror", f"https://github.com/={distribution.site.url}/github/")
    assert outcome.code == 0, outcome.text
    assert (file.read_text(), distribution.site.requests) == (before, [])
    assert outcome.err == (
        "note: Golden: not updated: its newest version is not from a site of its distribution; add resolve: cirros to "
        "follow it, or resolve: none\n"
    )
    assert outcome.out == "0 definitions asked: nothing to ask about; 2 without an upstream\n"


def test_one_that_fails_stops_no_other(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.publish("/b", **{"20240416": image("two")})
    distribution.site.put("/b/SUMS.asc", made("Somebody <else@example.org>").sign(sums(**{"20240416": image("two")})))
    texts = [distribution.definition(), distribution.definition("B", "/b"), distribution.definition("C", "/c")]
    file = distribution.write(*texts, "  - {name: D, format: raw, versions: []}\n")
    outcome = distribution.run("--output", "markdown")
    assert outcome.code == 1
    assert "1 updated, 2 failed" in outcome.out
    assert "| A |  | 20240416 | 2024-04-16 | 1.5 KiB | sha256:" in outcome.out
    assert "- **failed** B: " in outcome.out
    assert "not by a pinned key" in outcome.out
    assert "- **failed** C: " in outcome.out
    assert file.read_text().count("version: '2024") == 1
    outcome = distribution.run()
    assert outcome.out.endswith("3 definitions asked: 1 current, 2 failed; 1 without an upstream\n")
    assert distribution.run("--name", "A").code == 0
    assert distribution.run("--name", "E").code == 2
    assert distribution.run("--name", "A", "--filter", "A").code == 2
    assert distribution.run("--filter", "^B$").out.count("failed") == 2


def test_a_build_older_than_the_recorded_one_is_refused(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    file = distribution.write(distribution.definition(versions="[{version: '20240514', url: 'https://x/1'}]"))
    before = file.read_text()
    outcome = distribution.run()
    assert (outcome.code, "is older than 20240514, which is already recorded" in outcome.out) == (1, True), outcome.text
    assert file.read_text() == before


def test_a_lagging_mirror_is_refused_though_the_definition_has_its_build(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    site = distribution.site.url
    listed = "".join(f"\n      - {{version: '{n}', url: {site}/a/{n}.qcow2}}" for n in ("20240514", "20240416"))
    file = distribution.write(distribution.definition(versions=listed))
    before = file.read_text()
    outcome = distribution.run()
    assert (outcome.code, "is older than 20240514" in outcome.out) == (1, True), outcome.text
    assert file.read_text() == before


def test_a_site_that_hangs_does_not_hold_whoever_wants_to_stop(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition())
    outcome = distribution.stopped("/a/SUMS", threading.Event())
    assert (outcome.code, outcome.err) == (130, "error: interrupted; nothing was written, run again for the rest\n")


def test_a_file_that_cannot_be_edited_is_told(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.publish("/b", **{"20240416": image("two")})
    shared = "&v [{version: '20240101', url: 'https://x/1'}]"
    file = distribution.write(
        distribution.definition(versions=shared),
        distribution.definition("A2", versions="*v"),
        distribution.definition("B", "/b"),
    )
    outcome = distribution.run()
    assert outcome.code == 1
    assert outcome.out.count("A: failed: ") + outcome.out.count("A2: failed: ") == 2
    assert "B: nothing → 20240416" in outcome.out
    assert file.read_text().count("20240416") > 0
    file.chmod(0o444)
    distribution.images.chmod(0o555)
    distribution.images.chmod(0o755)


def test_evidence_is_added_to_a_version_that_is_there(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    old = f"[{{version: '20240416', url: {distribution.site.url}/a/20240416.qcow2}}]"
    file = distribution.write(distribution.definition(versions=old))
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    assert "A: 20240416, completed (" in outcome.out
    assert f"checksum: sha256:{hashlib.sha256(image('one')).hexdigest()}, " in file.read_text()
    assert "is the newest build" in distribution.run().out


@pytest.mark.parametrize("runs", [2, 8])
def test_updates_at_the_same_moment_lose_nothing(distribution: Distribution, runs: int) -> None:
    texts = []
    for number in range(runs):
        distribution.publish(f"/{number}", **{"20240416": image(str(number))})
        texts.append(distribution.definition(f"I{number}", f"/{number}"))
    file = distribution.write(*texts)
    processes = [
        subprocess.Popen(
            distribution.command("--name", f"I{n}"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
        )
        for n in range(runs)
    ]
    said = [process.communicate(timeout=60)[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * runs, said
    assert file.read_text().count("version: '20240416'") == runs


def test_sites_are_asked_with_conditions(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition())
    assert distribution.run("--cache").code == 0
    before = len(distribution.site.requests)
    assert distribution.run("--cache").code == 0
    asked = distribution.site.requests[before:]
    assert all("if-none-match" in request.headers for request in asked if request.path.endswith("SUMS"))


def test_a_mirror_is_asked_and_the_upstream_written(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    text = distribution.definition().replace(distribution.site.url, "https://images.example.org")
    file = distribution.write(text)
    outcome = distribution.run("--mirror", f"https://images.example.org/={distribution.site.url}/")
    assert outcome.code == 0, outcome.text
    assert "url: https://images.example.org/a/20240416.qcow2" in file.read_text()
    assert distribution.run("--mirror", "https://x/").code == 2


def test_the_moving_address_of_old_definitions_becomes_a_lasting_one(distribution: Distribution) -> None:
    site, data = distribution.site, image("one")
    for name in ("x-20240416.qcow2", "x-latest.qcow2"):
        site.put(f"/m/{name}", data)
    digest = hashlib.sha256(data).hexdigest()
    site.put("/m/SUMS", f"{digest}  x-20240416.qcow2\n{digest}  x-latest.qcow2\n".encode())
    file = distribution.write(f"""\
  - name: M
    format: qcow2
    multi: true
    latest_url: {site.url}/m/x-latest.qcow2
    latest_checksum_url: {site.url}/m/SUMS
    versions: []
""")
    outcome = distribution.run()
    assert outcome.code == 0, outcome.text
    assert f"url: {site.url}/m/x-20240416.qcow2" in file.read_text()
    assert "version: '20240416'" in file.read_text()


def test_disabled_definitions_are_asked_by_name_only(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.write(distribution.definition(more="    enable: false\n"))
    assert distribution.run().out == "0 definitions asked: nothing to ask about\n"
    assert "A: nothing → 20240416" in distribution.run("--name", "A").out


def test_a_site_that_answers_with_a_page(distribution: Distribution) -> None:
    distribution.publish(**{"20240416": image("one")})
    distribution.site.on("/a/SUMS", Switches(html="<html>we are sorry"))
    distribution.write(distribution.definition())
    assert "a web page came instead of the file" in distribution.run().out
