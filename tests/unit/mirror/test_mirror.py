"""The mirror's decisions: keys, records, verdicts, what is pruned, what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from openstack_image_manager.definitions.editing.edit import SetVersionField
from openstack_image_manager.definitions.loader import Loaded
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error, UsageError
from openstack_image_manager.mirror import report, unneeded
from openstack_image_manager.mirror.location import LONGEST_KEY, Item, Target, items, parse_target, split_bucket
from openstack_image_manager.mirror.mirror import with_deletion_guard
from openstack_image_manager.mirror.plan import (
    Contents,
    Plan,
    StoredObject,
    Verdict,
    address_edits,
    beyond_limit,
    compare,
    defined_digests,
    has_known_digest,
    keep_reason,
    make_plan,
)
from openstack_image_manager.mirror.record import VALUE_BYTES, Record, decode, encode, object_metadata
from openstack_image_manager.mirror.report import Outcome

HERE = parse_target("s3://b/p", "https://s3.example.org")
NOW = datetime(2026, 7, 1, tzinfo=UTC)
SUM = "sha256:" + "1" * 64
URL = "https://example.org/1.qcow2"
RECORD = Record(
    "A", "1", URL, SUM, 7, SUM, "definition", None, None, "2" * 64, "3" * 128, 9, "2026-06-01T00:00:00+00:00"
)


def definition(*versions: dict[str, Any], **fields: Any) -> Definition:
    given = [{"url": URL, **version} for version in versions]
    return Definition.model_validate({"name": "A", "format": "qcow2", "versions": given, **fields})


def item(**version: Any) -> Item:
    (made,) = items([definition({"version": "1", **version})], HERE)
    return made


def stored(key: str = "p/a/1-a.qcow2", size: int | None = 9, record: Record | None = RECORD) -> StoredObject:
    return StoredObject(key, size, NOW - timedelta(days=30), record)


@pytest.mark.parametrize(
    ("bucket", "public", "made"),
    [
        ("s3://b", None, Target("b", "", "https://s3.example.org/b")),
        ("s3://b/", None, Target("b", "", "https://s3.example.org/b")),
        ("s3://b/x/y z/", None, Target("b", "x/y z/", "https://s3.example.org/b/x/y%20z")),
        ("s3://b/x", "https://cdn.example.org/i/", Target("b", "x/", "https://cdn.example.org/i")),
        ("file:///srv/m", None, Target("/srv/m", "", "file:///srv/m", "file")),
        ("file:///srv/m/", "file:///mnt/m", Target("/srv/m", "", "file:///mnt/m", "file")),
        ("file:///srv/m", "https://cdn.example.org/i/", Target("/srv/m", "", "https://cdn.example.org/i", "file")),
    ],
)
def test_targets(bucket: str, public: str | None, made: Target) -> None:
    assert parse_target(bucket, "https://s3.example.org/", public) == made
    assert str(made) == bucket.rstrip("/")


@pytest.mark.parametrize(
    "bucket", ["file://srv/m", "file:///", "file:///a/..", "file:///a%00", "file:/srv", "file:///a?b"]
)
def test_what_names_no_directory_is_refused(bucket: str) -> None:
    with pytest.raises(UsageError, match="write it like file:///srv/mirror"):
        split_bucket(bucket)


def test_the_path_of_a_directory_is_decoded() -> None:
    made = parse_target("file:///srv//my%20mirror/./x", "")
    assert (made.bucket, made.public) == ("/srv/my mirror/x", "file:///srv/my%20mirror/x")


@pytest.mark.parametrize("bucket", ["b", "s3://", "https://b/x", "s3:///x"])
def test_what_names_no_bucket_is_refused(bucket: str) -> None:
    with pytest.raises(UsageError, match="write it like s3://NAME"):
        split_bucket(bucket)


@pytest.mark.parametrize(
    "public", ["example.org", "ftp://example.org", "https://u:p@example.org", "https://h/?a=b", "file://h/x"]
)
def test_what_is_no_plain_address_is_refused(public: str) -> None:
    with pytest.raises(UsageError, match="not a plain URL") as caught:
        parse_target("s3://b", "https://s3.example.org", public)
    assert "u:p" not in str(caught.value)


def test_no_password_gets_into_addresses() -> None:
    with pytest.raises(UsageError, match="remove the user and password") as caught:
        parse_target("s3://b", "https://user:geheim@s3.example.org")
    assert "geheim" not in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "version", "key"),
    [
        ({}, "1", "p/a/1-a.qcow2"),
        ({"shortname": "noble"}, "20240416", "p/noble/20240416-noble.qcow2"),
        ({"name": "AlmaLinux 9 (Beta)"}, "9.4 / x", "p/almalinux-9-beta/9.4-x-almalinux-9-beta.qcow2"),
        ({"shortname": "../x"}, "..1", "p/x/1-x.qcow2"),
    ],
)
def test_keys_by_the_template(fields: dict[str, Any], version: str, key: str) -> None:
    (made,) = items([definition({"version": version}, **fields)], HERE)
    assert (made.key, made.error) == (key, None)


def test_keys_by_mirror_url() -> None:
    assert item(mirror_url="https://s3.example.org/b/p/x/y%20%2B.img").key == "p/x/y +.img"


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("https://example.org/x?token=secret", r"mirror_url https://example.org/x is not below .* --public-url"),
        ("https://s3.example.org/b/p2/x", "is not below"),
        ("https://s3.example.org/b/p/x?a=b", "is not below"),
        ("https://s3.example.org/b/p/", "is not a valid object key"),
        ("https://s3.example.org/b/p/a/../x", "is not a valid object key"),
        ("https://s3.example.org/b/p/a//x", "is not a valid object key"),
        ("https://s3.example.org/b/p/a%0A", "is not a valid object key"),
        ("https://s3.example.org/b/p/a.mirror.json", "does not end with"),
        ("https://s3.example.org/b/p/streams/v1/x.json", "this name is reserved for the index"),
        ("https://s3.example.org/b/p/a/SHA256SUMS", "this name is reserved for the index"),
        ("https://s3.example.org/b/p/SHA256SUMS.gpg", "this name is reserved for the index"),
        ("https://s3.example.org/b/p/" + "a" * LONGEST_KEY, "has at most"),
    ],
)
def test_addresses_that_make_no_key(url: str, message: str) -> None:
    made = item(mirror_url=url)
    with pytest.raises(Error, match=message):
        raise made.error or AssertionError
    assert compare(made, None).verdict is Verdict.INVALID


def test_a_name_without_a_letter_makes_no_key() -> None:
    (made,) = items([definition({"version": "1"}, name="~")], HERE)
    assert str(made.error) == "'p//1-.qcow2' is not a valid object key"


@given(name=st.text(min_size=1, max_size=30), version=st.text(min_size=1, max_size=30))
def test_the_address_of_a_key_leads_back_to_it(name: str, version: str) -> None:
    try:
        one = definition({"version": version}, name="A", shortname=name)
    except ValueError:
        return
    for made in items([one], HERE):
        if not made.error:
            (again,) = items([definition({"version": version, "mirror_url": HERE.url(made.key)}, shortname=name)], HERE)
            assert again.key == made.key
            assert made.key.startswith("p/")


def test_one_key_for_two_versions_is_an_error_of_both() -> None:
    made = items([definition({"version": "1+2"}, {"version": "1 2"}, {"version": "3"}, {"version": "latest"})], HERE)
    assert [bool(each.error) for each in made] == [True, True, False]  # what moves has no copy
    assert "'p/a/1-2-a.qcow2' would also be the key of A 1 2; set another" in str(made[0].error)


def test_records_are_read_as_they_were_written() -> None:
    assert decode(encode(RECORD)) == RECORD
    assert RECORD.digests == (SUM, "sha256:" + "2" * 64, "sha512:" + "3" * 128)


@pytest.mark.parametrize(
    "change",
    [{"made-by": "x"}, {"size": "9"}, {"sha256": None}, {"at": "never"}, {"at": "2026-06-01T00:00:00"}, {"at": None}],
)
def test_what_is_no_record_of_ours_says_nothing(change: dict[str, Any]) -> None:
    assert decode(json.dumps({**json.loads(encode(RECORD)), **change}).encode()) is None


def test_a_record_may_lack_what_later_versions_added() -> None:
    told = json.loads(encode(replace(RECORD, signature="verified", os_distro="debian")))
    assert decode(json.dumps(told).encode()) == replace(RECORD, signature="verified", os_distro="debian")
    for name in ("signature", "disk_format", "architecture", "os_distro", "os_version"):
        del told[name]
    assert decode(json.dumps(told).encode()) == RECORD
    assert decode(json.dumps({**told, "os_distro": 3}).encode()) is None


@pytest.mark.parametrize("data", [b"", b"{}", b"[]", b"3", b"\xff", b'{"made-by": "openstack-image-manager"}'])
def test_what_is_no_record_at_all_says_nothing(data: bytes) -> None:
    assert decode(data) is None


def test_metadata_hold_what_is_known_before_and_fits() -> None:
    signed = {"signed_by": "A" * 40, "signed_at": "2026-01-01 10:00:00"}
    version = item(url="https://u:p@example.org/1", checksum=SUM, **signed).version
    common = {"made-by": "openstack-image-manager", "source-checksum": SUM, "signed-by": "A" * 40}
    common["signed-at"] = "2026-01-01 10:00:00"
    assert object_metadata(version) == {**common, "source": "https://example.org/1"}
    for url in ("https://example.org/" + "x" * VALUE_BYTES, "https://example.org/ü"):
        assert object_metadata(version.model_copy(update={"url": url})) == common


@pytest.mark.parametrize(
    ("version", "there", "verdict", "reason"),
    [
        ({}, None, Verdict.MISSING, "not there"),
        ({}, stored(size=None), Verdict.MISSING, "not there"),
        ({}, stored(record=None), Verdict.FOREIGN, "an object of another owner is there"),
        ({}, replace(stored(record=None), is_own=True), Verdict.UNFINISHED, "it has no record yet"),
        ({}, replace(stored(record=None), is_own=True, damaged=True), Verdict.UNFINISHED, "its record is damaged"),
        (
            {},
            replace(stored(record=None), damaged=True),
            Verdict.FOREIGN,
            "its record p/a/1-a.qcow2.mirror.json is damaged",
        ),
        (
            {"checksum": SUM},
            stored(record=replace(RECORD, damaged="2026-06-30T00:00:00+00:00")),
            Verdict.MISMATCH,
            "its bytes were damaged when they were verified at 2026-06-30",
        ),
        ({}, stored(size=8), Verdict.MISMATCH, "it has 8 bytes, and had 9 when it was written"),
        ({"checksum": "md5:" + "4" * 32}, stored(), Verdict.MISMATCH, "the definition says md5:4444"),
        ({"size": 8}, stored(), Verdict.MISMATCH, "the definition says 8 bytes, its source had 7"),
        ({"url": "https://example.org/2"}, stored(), Verdict.MISMATCH, f"it came from {URL}, and"),
        ({"url": "https://example.org/2.xz", "checksum": SUM}, stored(), Verdict.CURRENT, "sha256:2222"),
        ({"checksum": "sha512:" + "3" * 128, "size": 7}, stored(), Verdict.CURRENT, "sha256:2222"),
        ({}, stored(record=replace(RECORD, checksum=None)), Verdict.CURRENT, f"sha256:{'2' * 64}, without a promised"),
    ],
)
def test_verdicts(version: dict[str, Any], there: StoredObject | None, verdict: Verdict, reason: str) -> None:
    judged = compare(item(**version), there)
    assert judged.verdict is verdict
    assert judged.reason.startswith(reason)
    assert judged.is_hopeless == (verdict is Verdict.FOREIGN)


DIGEST = f"sha512:{'4' * 128}"


@pytest.mark.parametrize(
    ("version", "told", "verdict", "vouched_for"),
    [
        ({"checksum": DIGEST}, {}, Verdict.MISMATCH, True),  # whatever else the record says
        ({"checksum": DIGEST}, {"sha512": "4" * 128}, Verdict.CURRENT, True),
        ({"checksum": DIGEST, "mirror_checksum": f"sha256:{'2' * 64}"}, {}, Verdict.MISMATCH, True),
        ({"checksum": DIGEST, "url": f"{URL}.xz"}, {}, Verdict.CURRENT, False),
        ({"checksum": DIGEST, "url": f"{URL}.xz"}, {"sha512": "4" * 128}, Verdict.CURRENT, True),
        ({"checksum": DIGEST, "url": f"{URL}.xz", "mirror_checksum": f"sha256:{'2' * 64}"}, {}, Verdict.CURRENT, True),
        ({"checksum": DIGEST, "url": f"{URL}.xz", "mirror_checksum": f"sha256:{'3' * 64}"}, {}, Verdict.MISMATCH, True),
        ({"mirror_checksum": f"sha256:{'3' * 64}"}, {}, Verdict.MISMATCH, True),
        ({}, {}, Verdict.CURRENT, False),
    ],
)
def test_a_record_is_believed_only_where_its_digests_are_those_of_the_definition(
    version: dict[str, Any], told: dict[str, Any], verdict: Verdict, vouched_for: bool
) -> None:
    forged = replace(RECORD, checksum=DIGEST, source_digest=DIGEST, **told)
    given = item(**version)
    judged = compare(given, stored(record=forged))
    assert (judged.verdict, has_known_digest(given.version, forged)) == (verdict, vouched_for)
    if verdict is Verdict.MISMATCH:
        assert judged.reason.endswith(f", its bytes have sha256:{'2' * 64}, sha512:{'3' * 128}")
    # What may be signed as this version of this name.
    whole = {given.key: forged}
    signed = verdict is Verdict.CURRENT and vouched_for
    told_by = {version.get("checksum"), version.get("mirror_checksum")} & set(forged.stored)
    assert defined_digests([given], whole) == ({given.key: told_by} if signed else {})
    assert defined_digests([given], {given.key: replace(forged, version="2")}) == defined_digests([given], {}) == {}


def planned(*there: StoredObject, grace: int = 7, more: tuple[Item, ...] = ()) -> Plan:
    chosen = [item()]
    noted = {each.key: each.modified for each in there if each.key != "p/young"}
    return make_plan(
        chosen, [*chosen, *more], {each.key: each for each in there}, NOW, timedelta(days=grace), known_unneeded=noted
    )


def test_only_old_objects_of_ours_that_nobody_needs_are_unneeded() -> None:
    old, theirs = stored("p/old"), stored("p/theirs", record=None)
    young = stored("p/young")  # an old object that was needed until today
    touched = replace(stored("p/touched"), modified=NOW)
    needed, alone = replace(item(), key="p/needed"), stored("p/alone", size=None)
    made = planned(old, theirs, young, touched, alone, stored(), stored("p/needed"), more=(needed,))
    assert ([each.key for each in made.unneeded], made.kept) == (["p/alone", "p/old"], "")
    assert [each.verdict for each in made.comparisons] == [Verdict.CURRENT]
    mine = make_plan([], [], {"p/old": old}, NOW, timedelta(days=7), frozenset({"A"}))
    assert mine.unneeded == ()  # its version latest is not asked about now
    empty = make_plan([], [], {"p/old": old}, NOW, timedelta(days=7), known_unneeded={"p/old": old.modified})
    assert empty.kept == "the definitions have no versions; an empty file never empties a mirror"
    ahead = replace(stored("p/ahead"), modified=NOW + timedelta(seconds=1))
    assert planned(ahead, grace=0).unneeded == (ahead,)
    assert beyond_limit(made, 2) is None
    assert str(beyond_limit(made, 1)).startswith("2 objects would be deleted, more than --max-deletes 1; nothing")
    broken = replace(item(), key="", error=Error("x"))
    assert planned(old, more=(broken,)).kept == "the object of some versions is unknown"
    assert planned(more=(broken,)).kept == ""


def test_days_of_grace_count_only_in_runs_that_could_delete() -> None:
    old, more = stored("p/old"), stored("p/more")
    there, noted = {"p/old": old, "p/more": more}, {"p/old": NOW - timedelta(days=3), "p/needed": NOW}
    week = timedelta(days=7)
    sure = make_plan([item()], [item()], there, NOW, week, known_unneeded=noted)
    assert (sure.since, sure.unneeded) == ({"p/old": NOW - timedelta(days=3), "p/more": NOW}, ())
    broken = replace(item(), key="", error=Error("x"))
    unsure = make_plan([item()], [item(), broken], there, NOW, week, known_unneeded=noted)
    assert unsure.since == {"p/old": NOW - timedelta(days=3)}  # what is needed again is forgotten all the same
    assert make_plan([], [], there, NOW, week).since == {}
    ahead = make_plan([item()], [item()], there, NOW, week, known_unneeded={"p/old": NOW + timedelta(days=9)})
    assert ahead.since["p/old"] == NOW


ROOT = parse_target("s3://b", "https://s3.example.org")


@pytest.mark.parametrize(
    ("where", "whole", "names", "reason"),
    [
        (
            ROOT,
            False,
            ["noble/1-noble.raw", "SHA256SUMS", "SHA256SUMS.gpg", "streams/v1/x", ".mirror-unneeded.json"],
            "",
        ),
        (
            ROOT,
            False,
            ["noble/x", "team/x"],
            "the bucket's root also holds team/; if the whole bucket is this mirror's",
        ),
        (ROOT, True, ["noble/x", "team/x"], ""),
        (HERE, False, ["p/noble/x", "p/team/x"], ""),
        (parse_target("file:///srv/m", ""), False, ["team/x"], ""),
    ],
)
def test_a_bucket_with_more_in_it_is_kept(where: Target, whole: bool, names: list[str], reason: str) -> None:
    kept = keep_reason(where, whole, Contents({}, frozenset(names)), ["noble/1-noble.raw"], [])
    assert (kept.startswith(reason), bool(kept)) == (True, bool(reason))


def test_a_file_without_definitions_is_named() -> None:
    reason = keep_reason(HERE, True, Contents({}, frozenset()), [], ["b.yml", "c.yml"])
    assert reason == "b.yml has no definitions; delete the file if that is right"


def test_what_moves_belongs_to_the_root_of_a_bucket_too() -> None:
    moving = definition({"version": "latest"}, shortname="noble")
    loaded = Loaded((moving,), (), {}, left_out=(definition({"version": "1"}, name="B", shortname="b"),))
    made = Plan((), (), "", {"noble/old": NOW})
    holding = Contents({}, frozenset({"noble/old", "noble/20260101-noble.qcow2", "b/1-b.qcow2"}))
    assert with_deletion_guard(made, holding, ROOT, False, loaded, {}) == made
    more = Contents({}, holding.keys | {"team/x"})
    kept = with_deletion_guard(made, more, ROOT, False, loaded, {})
    assert (kept.kept.startswith("the bucket's root also holds team/"), kept.since) == (True, {})
    assert with_deletion_guard(replace(made, since={}), more, ROOT, False, loaded, {}).kept == ""
    wrong = replace(loaded, definitions=(definition({"version": "1"}, name="~"), moving))
    assert with_deletion_guard(made, holding, ROOT, False, wrong, {}) == made


def test_the_note_of_unneeded_objects_is_read_as_it_was_written() -> None:
    since = {"p/b": NOW, "p/a": NOW - timedelta(days=1)}
    assert unneeded.decode(unneeded.encode(since)) == since
    told = {"made-by": "openstack-image-manager", "unneeded": {"a": "never", "b": "2026-01-01", "c": NOW.isoformat()}}
    assert unneeded.decode(json.dumps(told).encode()) == {"c": NOW}


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"[]",
        b"{}",
        b'{"made-by": "others", "unneeded": {}}',
        b'{"made-by": "openstack-image-manager"}',
        b'{"made-by": "openstack-image-manager", "unneeded": []}',
        b"[" * 100_000,
    ],
)
def test_what_is_no_note_of_ours_says_nothing(data: bytes) -> None:
    assert unneeded.decode(data) is None


def test_addresses_are_written_where_there_are_none() -> None:
    there = item(mirror_url="https://s3.example.org/b/p/x")
    url = "https://s3.example.org/b/p/a/1-a.qcow2"
    plain = replace(RECORD, size=RECORD.source_size)
    assert address_edits([(item(checksum=SUM), plain, True), (there, None, True)], HERE) == [
        SetVersionField("A", "1", "mirror_url", url)
    ]
    # The checksum is that of the packed file, and the bucket has what was in it.
    digest = f"sha256:{RECORD.sha256}"
    # Without a checksum the digest is all that tells a copy from what somebody put in its place.
    assert address_edits([(there, plain, True)], HERE) == [SetVersionField("A", "1", "mirror_checksum", digest)]
    known = item(mirror_url="https://s3.example.org/b/p/x", mirror_checksum=digest)
    assert address_edits([(there, RECORD, True), (known, RECORD, True)], HERE) == [
        SetVersionField("A", "1", "mirror_checksum", digest)
    ]
    # A digest that only the bucket tells is not written, and no address that nothing vouches for.
    packed = item(url=f"{URL}.xz", checksum=SUM)
    assert address_edits([(packed, RECORD, False), (item(), RECORD, False), (there, RECORD, False)], HERE) == []
    assert [each.field for each in address_edits([(packed, RECORD, True)], HERE)] == ["mirror_url", "mirror_checksum"]
    of_image = item(url=f"{URL}.xz", checksum=f"sha256:{RECORD.sha256}")
    assert [each.field for each in address_edits([(of_image, RECORD, False)], HERE)] == ["mirror_url"]
    assert [each.field for each in address_edits([(of_image, plain, True)], HERE)] == ["mirror_url"]


def test_what_is_told() -> None:
    made = planned(stored("p/old"), stored())
    broken = replace(made, comparisons=(*made.comparisons, compare(item(mirror_url="https://example.org/x"), None)))
    assert report.line(made.comparisons[0]) == f"CURRENT     A 1  p/a/1-a.qcow2: sha256:{'2' * 64}"
    assert report.line(broken.comparisons[1]).startswith(
        "INVALID     A 1  (no key): mirror_url https://example.org/x is not"
    )
    line = report.unneeded_line(made.unneeded[0], made.since["p/old"], NOW)
    assert line == "UNNEEDED    p/old: no definition has needed it for 30 days (--prune)"
    assert report.counts(broken) == "1 CURRENT, 1 INVALID, 1 UNNEEDED"
    assert report.counts(Plan((), ())) == "nothing to mirror"
    done = [Outcome(broken.comparisons[0], "ok", "copied", RECORD), Outcome(broken.comparisons[1], "failed", "no")]
    assert report.result_counts(done) == "1 ok, 1 failed, 0 skipped"
    assert [row[0] for row in report.rows(broken, done)] == ["Verdict", "CURRENT", "INVALID", "UNNEEDED"]
    assert [row[4] for row in report.rows(broken, done)] == ["Became", "ok copied", "failed no", ""]
    told = report.data(broken, HERE, done)
    assert told["unneeded"] == [{"key": "p/old", "size": 9}]
    assert [each["state"] for each in told["versions"]] == ["ok", "failed"]
    assert (told["versions"][0]["size"], told["versions"][1]["mirror_url"]) == (9, None)
    assert "state" not in report.data(planned(), HERE)["versions"][0]
    assert "sha256" not in report.data(planned(), HERE)["versions"][0]
