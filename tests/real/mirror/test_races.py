"""Runs of two commits at once, listings that lag, several mirrors in one bucket: nothing wrong is published or lost."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.support.bench import Outcome
from tests.support.bucket_mirrors import KEY, Mirror, held, image, sha256
from tests.support.gnupg import Gpg, gnupg
from tests.support.proxy import Rule
from tests.support.s3 import keys

SUMS, SIGNATURE, MEMO = "m/a/SHA256SUMS", "m/a/SHA256SUMS.gpg", "m/.mirror-unneeded.json"
OTHER_RUN = f"{KEY}: another run has changed it, perhaps with other definitions; run again with the newest"
DENIED = "<Error><Code>AccessDenied</Code></Error>"


@pytest.fixture(scope="module")
def gpg() -> Iterator[Gpg]:
    with gnupg() as made:
        yield made


def commit(mirror: Mirror, name: str, *versions: dict[str, Any], shortname: str = "a") -> tuple[str, str]:
    """The option that names a file of its own with these versions."""
    folder = mirror.directory / name
    folder.mkdir(exist_ok=True)
    definition = {"name": shortname.upper(), "shortname": shortname, "format": "raw", "versions": list(versions)}
    (folder / "images.yml").write_text(yaml.safe_dump({"images": [definition]}, sort_keys=False))
    return ("--images", str(folder))


def running(mirror: Mirror, *options: str, code: int = 0, **variables: str) -> Callable[[], None]:
    """Another run, to its end."""

    def run() -> None:
        text, _ = (made := mirror.start(*options, **variables)).communicate(timeout=100)
        assert made.returncode == code, text

    return run


def listed(mirror: Mirror) -> dict[str, str]:
    """Names and digests in SHA256SUMS, which are those of the objects."""
    lines = [each.split("  ") for each in mirror.content(SUMS).decode().splitlines() if not each.startswith("#")]
    for digest, name in lines:
        assert sha256(mirror.content(f"m/a/{name}")) == digest
    return {name: digest for digest, name in lines}


def products(mirror: Mirror) -> set[str]:
    found = json.loads(mirror.content("m/streams/v1/images.json"))["products"].values()
    return {version for product in found for version in product["versions"]}


def moved(mirror: Mirror, seed: str) -> dict[str, Any]:
    """Version 1 with other bytes."""
    return {**mirror.version(seed, image(seed)), "version": "1"}


def put(mirror: Mirror, key: str, data: bytes, **more: Any) -> None:
    """Another program writes."""
    mirror.client.put_object(Bucket=mirror.bucket, Key=key, Body=data, **more)


def assert_is_held(mirror: Mirror, seed: str) -> None:
    """The object of these bytes, its record, and an index that says the same."""
    digest = sha256(image(seed))
    assert held(mirror.client, mirror.bucket) == [KEY, f"{KEY}.mirror.json"]
    assert (sha256(mirror.content(KEY)), mirror.record(KEY)["sha256"]) == (digest, digest)
    assert listed(mirror) == {"1-a.raw": digest}


def assert_signed(mirror: Mirror, gpg: Gpg, folder: Path) -> None:
    for key in (SUMS, SIGNATURE):
        (folder / Path(key).name).write_bytes(mirror.content(key))
    (folder / "ring.gpg").write_bytes(gpg.run("--export"))
    command = ["gpgv", "--keyring", "./ring.gpg", "SHA256SUMS.gpg", "SHA256SUMS"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=60)


def deletes(mirror: Mirror) -> Rule:
    """Counts deletions of images; uploads that are aborted are none."""
    return mirror.proxy.add(Rule("DELETE", ".*[.]raw", query="(?!uploadId).*", times=0))


def test_two_signing_runs_of_two_commits_look_once_more(mirror: Mirror, gpg: Gpg, tmp_path: Path) -> None:
    """The signature of the slower run arrives beside the text of the faster one."""
    sign, home = ("--sign-key", gpg.make("twice")), str(gpg.home)
    one, two = mirror.version("1", image("1")), mirror.version("2", image("2"))
    old, new = commit(mirror, "old", one), commit(mirror, "new", one, two)
    rule = Rule("PUT", f".*{SIGNATURE}", before=running(mirror, *sign, *new, GNUPGHOME=home))
    mirror.proxy.add(rule)
    outcome = mirror.run(*sign, *old, GNUPGHOME=home)
    assert (outcome.code, rule.seen > 2) == (0, True), outcome.text
    assert listed(mirror).keys() == {"1-a.raw", "2-a.raw"}
    assert products(mirror) == {"1", "2"}
    assert_signed(mirror, gpg, tmp_path)


def test_no_text_is_beside_the_signature_of_another_one(mirror: Mirror, gpg: Gpg, tmp_path: Path) -> None:
    """Whenever the run is killed: not only at its end."""
    sign, home = ("--sign-key", gpg.make("killed")), str(gpg.home)
    one, two = mirror.version("1", image("1")), mirror.version("2", image("2"))
    assert mirror.run(*sign, *commit(mirror, "one", one), GNUPGHOME=home).code == 0
    assert_signed(mirror, gpg, tmp_path)
    before, is_signed = mirror.content(SUMS), []

    def look() -> None:
        assert mirror.content(SUMS) != before
        is_signed.append(SIGNATURE in keys(mirror.client, mirror.bucket))

    mirror.proxy.add(Rule("PUT", f".*{SUMS}", after=look))
    mirror.proxy.add(Rule("PUT", f".*{SIGNATURE}", after=look))
    outcome = mirror.run(*sign, *commit(mirror, "both", one, two), GNUPGHOME=home)
    assert (outcome.code, is_signed) == (0, [False, True]), outcome.text
    assert_signed(mirror, gpg, tmp_path)


def test_an_index_that_never_rests_keeps_no_bad_signature(mirror: Mirror, gpg: Gpg, tmp_path: Path) -> None:
    sign, home = ("--sign-key", gpg.make("restless")), str(gpg.home)
    mirror.define(mirror.version("1", image("1")))

    def other() -> None:
        text = b"# made by openstack-image-manager; lines like this are comments\n"
        mirror.client.put_object(Bucket=mirror.bucket, Key=SUMS, Body=text)

    mirror.proxy.add(Rule("PUT", f".*{SUMS}", times=None, after=other))
    outcome = mirror.run(*sign, GNUPGHOME=home)
    assert outcome.code == 1
    assert "index: other runs keep changing it; run again when they have ended\n" in outcome.out
    assert SIGNATURE not in keys(mirror.client, mirror.bucket)
    mirror.proxy.clear()
    assert mirror.run(*sign, GNUPGHOME=home).code == 0
    assert_signed(mirror, gpg, tmp_path)


def test_the_record_of_a_slower_run_is_not_left_beside_other_bytes(mirror: Mirror) -> None:
    old, new = commit(mirror, "old", moved(mirror, "old")), commit(mirror, "new", moved(mirror, "new"))
    mirror.proxy.add(Rule("PUT", f".*{KEY}.mirror.json", before=running(mirror, *new)))
    outcome = mirror.run(*old)
    assert (outcome.code, f"failed: A 1: {OTHER_RUN}" in outcome.out) == (1, True), outcome.text
    assert_is_held(mirror, "new")
    assert "1 CURRENT" in mirror.run("--dry-run", *new).out


def test_a_record_that_is_made_good_is_not_left_beside_other_bytes(mirror: Mirror) -> None:
    old, new = commit(mirror, "old", moved(mirror, "old")), commit(mirror, "new", moved(mirror, "new"))
    assert mirror.run(*old).code == 0
    mirror.client.delete_object(Bucket=mirror.bucket, Key=f"{KEY}.mirror.json")
    mirror.proxy.add(Rule("PUT", f".*{KEY}.mirror.json", before=running(mirror, *new)))
    outcome = mirror.run(*old)
    assert (outcome.code, f"failed: A 1: {OTHER_RUN}" in outcome.out) == (1, True), outcome.text
    assert_is_held(mirror, "new")
    assert "1 CURRENT" in mirror.run("--dry-run", *new).out


@pytest.mark.parametrize("answer", ["lost", "late"])
def test_a_record_of_other_bytes_is_written_over(mirror: Mirror, answer: str) -> None:
    """One that is there is somebody else's, of this object or of one that is gone; or ours, whose answer was lost."""
    mirror.define(mirror.version("1", image("1")))
    rule = Rule("PUT", f".*{KEY}.mirror.json", reset="after")
    if answer == "late":
        rule = Rule("PUT", f".*{KEY}.mirror.json", before=lambda: put(mirror, f"{KEY}.mirror.json", b"{}"))
    mirror.proxy.add(rule)
    outcome = mirror.run()
    assert (outcome.code, rule.seen) == (0, 3 if answer == "lost" else 2), outcome.text
    assert_is_held(mirror, "1")


def test_a_record_of_bytes_that_are_gone_is_taken_away(mirror: Mirror) -> None:
    """The other run has replaced the object, and has not come to its record yet."""
    mirror.define(moved(mirror, "old"))

    def replace() -> None:
        mirror.client.delete_object(Bucket=mirror.bucket, Key=KEY)
        put(mirror, KEY, image("new"), Metadata={"made-by": "openstack-image-manager"})

    mirror.proxy.add(Rule("PUT", f".*{KEY}.mirror.json", after=replace))
    outcome = mirror.run()
    assert (outcome.code, f"failed: A 1: {OTHER_RUN}" in outcome.out) == (1, True), outcome.text
    assert held(mirror.client, mirror.bucket) == [KEY]
    assert SUMS not in keys(mirror.client, mirror.bucket)  # nobody knows now what the object is


@pytest.mark.parametrize("same", [True, False], ids=["the same commit", "another commit"])
def test_what_another_run_has_put_in_place_is_not_replaced(mirror: Mirror, same: bool) -> None:
    new = commit(mirror, "new", moved(mirror, "new"))
    assert mirror.run(*commit(mirror, "first", moved(mirror, "first"))).code == 0
    mine = new if same else commit(mirror, "old", moved(mirror, "old"))
    deleted = deletes(mirror)
    mirror.proxy.add(Rule("PUT", f".*{KEY}", after=running(mirror, *new)))
    outcome = mirror.run(*mine)
    message = "A 1: another run has already copied it\n" if same else f"failed: A 1: {OTHER_RUN}"
    assert (outcome.code, message in outcome.out) == (0 if same else 1, True), outcome.text
    assert mirror.content(KEY) == image("new")
    assert listed(mirror) == {"1-a.raw": sha256(image("new"))}
    assert deleted.seen == 1
    assert "1 CURRENT" in mirror.run("--verify", "--dry-run", *new).out


def test_what_another_run_needs_by_now_is_not_pruned(mirror: Mirror) -> None:
    one, two, three = (mirror.version(each, image(each)) for each in "123")
    assert mirror.run(*commit(mirror, "both", one, two)).code == 0
    without, rolled_back = commit(mirror, "without", two, three), commit(mirror, "back", one, two)
    ago = (datetime.now(UTC) - timedelta(days=9)).isoformat()
    memo = {"made-by": "openstack-image-manager", "unneeded": {KEY: ago}}
    mirror.client.put_object(Bucket=mirror.bucket, Key=MEMO, Body=json.dumps(memo).encode())
    mirror.proxy.add(Rule("PUT", ".*/3-a.raw", before=running(mirror, *rolled_back)))
    outcome = mirror.run("--prune", *without)
    assert (outcome.code, f"{KEY}: not deleted: another run needs it now\n" in outcome.out) == (0, True), outcome.text
    assert listed(mirror).keys() == {"1-a.raw", "2-a.raw", "3-a.raw"}
    assert MEMO not in keys(mirror.client, mirror.bucket)  # its days of grace begin again
    assert mirror.run("--prune", *without).code == 0
    assert list(json.loads(mirror.content(MEMO))["unneeded"]) == [KEY]


def test_what_is_deleted_is_named_by_no_index_whatever_others_write(mirror: Mirror) -> None:
    one, two = (mirror.version(each, image(each)) for each in "12")
    both, without = commit(mirror, "both", one, two), commit(mirror, "without", two)
    assert mirror.run(*both).code == 0
    named: list[set[str]] = []

    def other() -> None:
        named.append(set(listed(mirror)))
        running(mirror, *both)()
        named.append(set(listed(mirror)))

    mirror.proxy.add(Rule("DELETE", f".*{KEY}", before=other))
    outcome = mirror.run("--prune", "--grace", "0", *without)
    assert outcome.code == 0, outcome.text
    assert named == [
        {"2-a.raw"},
        {"1-a.raw", "2-a.raw"},
    ]  # the index is written first; then the other run writes its own
    assert (listed(mirror).keys(), products(mirror)) == ({"2-a.raw"}, {"2"})
    assert mirror.run(*both).code == 0
    assert products(mirror) == {"1", "2"}


def test_what_is_replaced_is_out_of_the_index_before(mirror: Mirror) -> None:
    assert mirror.run(*commit(mirror, "old", moved(mirror, "old"), mirror.version("2", image("2")))).code == 0
    named: list[set[str]] = []
    mirror.proxy.add(Rule("DELETE", f".*{KEY}", before=lambda: named.append({*listed(mirror), *products(mirror)})))
    outcome = mirror.run(*commit(mirror, "new", moved(mirror, "new"), mirror.version("2", image("2"))))
    assert (outcome.code, named) == (0, [{"2-a.raw", "2"}]), outcome.text
    assert listed(mirror)["1-a.raw"] == sha256(image("new"))
    mirror.proxy.add(Rule("PUT", ".*/images.json", status=403, body=DENIED))
    outcome = mirror.run(*commit(mirror, "newer", moved(mirror, "newer"), mirror.version("2", image("2"))))
    assert (outcome.code, "not replaced: the index cannot be written first: " in outcome.out) == (1, True), outcome.text
    assert mirror.content(KEY) == image("new")


def test_nothing_is_deleted_while_an_index_names_it(mirror: Mirror) -> None:
    one, two = (mirror.version(each, image(each)) for each in "12")
    assert mirror.run(*commit(mirror, "both", one, two)).code == 0
    mirror.proxy.add(Rule("PUT", ".*/images.json", status=403, body=DENIED))
    outcome = mirror.run("--prune", "--grace", "0", *commit(mirror, "one", one))
    assert (outcome.code, "prune: nothing was deleted: the index could not be" in outcome.out) == (1, True)
    assert mirror.content("m/a/2-a.raw") == image("2")
    mirror.proxy.clear()
    mirror.proxy.add(Rule("GET", f".*{MEMO}", nth=2, status=403, body=DENIED))
    outcome = mirror.run("--prune", "--grace", "0", *commit(mirror, "one", one))
    assert "prune: nothing was deleted: s3://" in outcome.out, outcome.text
    assert listed(mirror).keys() == {"1-a.raw", "2-a.raw"}


def lagging(mirror: Mirror, alter: Callable[[bytes], bytes]) -> None:
    """From now on, lists of objects are those of an earlier time."""
    mirror.proxy.add(Rule("GET", f"/{mirror.bucket}", query=".*list-type=2.*", times=None, alter=alter))


def none(listing: bytes) -> bytes:
    return re.sub(rb"<Contents>.*</Contents>", b"", listing, flags=re.DOTALL)


def smaller(listing: bytes) -> bytes:
    return listing.replace(b"<Size>1048576</Size>", b"<Size>7</Size>")


def without_records(listing: bytes) -> bytes:
    entries = re.findall(rb"<Contents>.*?</Contents>", listing, flags=re.DOTALL)
    for entry in entries:
        listing = listing.replace(entry, b"") if b".mirror.json" in entry else listing
    return listing


@pytest.mark.parametrize("alter", [none, smaller, without_records])
def test_a_listing_that_lags_takes_nothing_out_of_the_index(mirror: Mirror, alter: Callable[[bytes], bytes]) -> None:
    one, two = (mirror.version(each, image(each)) for each in "12")
    assert mirror.run(*commit(mirror, "both", one, two)).code == 0
    before = mirror.content(SUMS), mirror.content("m/streams/v1/images.json")
    deleted = deletes(mirror)
    lagging(mirror, alter)
    outcome = mirror.run("--prune", "--grace", "30", *commit(mirror, "one", one))
    assert outcome.code == 0, outcome.text
    assert (mirror.content(SUMS), mirror.content("m/streams/v1/images.json")) == before
    assert deleted.seen == 0
    outcome = mirror.run(*commit(mirror, "more", one, mirror.version("3", image("3"))))
    assert (outcome.code, listed(mirror).keys()) == (0, {"1-a.raw", "2-a.raw", "3-a.raw"}), outcome.text


def test_a_listing_that_still_has_what_is_gone(mirror: Mirror) -> None:
    mirror.define(mirror.version("1", image("1")))
    assert mirror.run().code == 0
    listings: list[bytes] = []

    def first(listing: bytes) -> bytes:
        listings.append(listing)
        return listings[0]

    lagging(mirror, first)
    assert "1 CURRENT" in mirror.run("--dry-run").out
    for key in (KEY, f"{KEY}.mirror.json"):
        mirror.client.delete_object(Bucket=mirror.bucket, Key=key)
    outcome = mirror.run()
    assert (outcome.code, f"MISSING     A 1  {KEY}: not there" in outcome.out) == (0, True), outcome.text
    assert listed(mirror) == {"1-a.raw": sha256(image("1"))}


def test_who_may_not_list_uploads_copies_and_hears_of_it_once(mirror: Mirror) -> None:
    mirror.define(mirror.version("1", image("1")), mirror.version("2", image("2")))
    mirror.proxy.add(Rule("GET", f"/{mirror.bucket}", query="uploads.*", times=None, status=403, body=DENIED))
    outcome = mirror.run()
    assert (outcome.code, outcome.text.count("listing uploads: 403 AccessDenied")) == (0, 1), outcome.text
    assert outcome.out.endswith("2 ok, 0 failed, 0 skipped\n")
    outcome = mirror.run("--output", "json")
    assert (outcome.code, json.loads(outcome.out)["failed"]) == (0, {}), outcome.text


def root(mirror: Mirror, *options: str, slash: str = "") -> Outcome:
    return mirror.run("--bucket", f"s3://{mirror.bucket}{slash}", *options)


def test_the_root_of_a_bucket_with_more_in_it_asks_for_a_word(mirror: Mirror) -> None:
    """`team` has no index of its own, and `other` has one."""
    for name, options in (("team", ["--no-index"]), ("other", [])):
        theirs = commit(mirror, name, mirror.version(name, image(name)), shortname=name)
        assert mirror.run("--bucket", f"s3://{mirror.bucket}/{name}", *options, *theirs).code == 0
    others = {key for key in keys(mirror.client, mirror.bucket) if key.startswith("other/")}
    ours = commit(mirror, "ours", mirror.version("1", image("1")))
    outcome = root(mirror, "--prune", "--grace", "0", *ours)
    message = (
        "prune: nothing was deleted: the bucket's root also holds team/; if the whole bucket is this mirror's, write "
        f"--bucket s3://{mirror.bucket}/\n"
    )
    assert (outcome.code, message in outcome.out) == (0, True), outcome.text
    left = keys(mirror.client, mirror.bucket)
    assert {"team/team/team-team.raw", "a/1-a.raw", *others} < set(left)
    assert ".mirror-unneeded.json" not in left
    outcome = root(mirror, "--prune", "--grace", "0", *ours, slash="/")
    assert outcome.code == 0, outcome.text
    left = [key for key in keys(mirror.client, mirror.bucket) if not key.startswith(("a/", "streams/"))]
    assert left == sorted(others)
