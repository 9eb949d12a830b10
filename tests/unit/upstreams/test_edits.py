"""What a newer build changes in a definition, as edits and in words."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.support.plans import TODAY, definition, settled

from openstack_image_manager.checksum import Checksum
from openstack_image_manager.definitions.editing.edit import AddVersion, RemoveVersion, SetVersionField
from openstack_image_manager.errors import Error, Interrupted
from openstack_image_manager.plan import desired, markers
from openstack_image_manager.plan.model import Role, Stage
from openstack_image_manager.upstreams.build import Build
from openstack_image_manager.upstreams.edits import UpdateResult, counts, data, line, markdown, update_result
from openstack_image_manager.upstreams.report import news_markdown

DIGEST = Checksum("sha256", "a" * 64)
BUILD = Build(
    version="5",
    url="https://example.org/5.img",
    checksum=DIGEST,
    checksums_url="https://u:secret@example.org/SUMS",
    size=3 * 1024**2,
    build_date="2026-11-20",
    signed_by="AB" * 20,
    signed_at="2026-11-20 10:00:00",
)
BARE = Build("5", "https://example.org/5.img", None, None, None, None, None, None)


def told(wanted, build=BUILD, keep=None):
    return update_result(wanted, "a.yml", build, keep, TODAY)


def test_a_new_build_comes_with_all_that_is_known_of_it():
    (added,) = told(definition(versions=("4",))).edits
    assert added == AddVersion(
        "Ubuntu 24.04",
        {
            "version": "5",
            "url": "https://example.org/5.img",
            "checksum": str(DIGEST),
            "checksums_url": "https://u:secret@example.org/SUMS",
            "size": 3 * 1024**2,
            "build_date": "2026-11-20",
            "signed_by": "AB" * 20,
            "signed_at": "2026-11-20 10:00:00",
        },
    )
    (added,) = told(definition(versions=("4",)), BARE).edits
    assert added == AddVersion("Ubuntu 24.04", {"version": "5", "url": "https://example.org/5.img"})


@pytest.mark.parametrize(
    ("fields", "keep", "dropped"),
    [
        ({}, None, ("2", "1")),
        ({"meta": {"uuid_validity": "last-2"}}, None, ("3", "2", "1")),
        ({"meta": {"uuid_validity": "none"}}, None, ("4", "3", "2", "1")),
        ({"meta": {"uuid_validity": "forever"}}, None, ()),
        ({"meta": {"uuid_validity": "2099-01-01"}}, None, ()),
        ({"keep": True}, None, ()),
        ({"multi": False}, None, ()),
        ({"multi": False}, 2, ("3", "2", "1")),
        ({"meta": {"uuid_validity": "forever"}}, 4, ("1",)),
    ],
)
def test_what_leaves_the_file(fields, keep, dropped):
    assert told(definition(versions=("1", "2", "3", "4"), **fields), keep=keep).dropped == dropped


def test_what_has_a_visibility_of_its_own_stays():
    own = {"version": "1", "url": "https://example.org/1.img", "visibility": "private"}
    assert told(definition(versions=(own, "2", "3", "4"))).dropped == ("2",)


def test_what_is_missing_at_a_version_is_added_and_nothing_changed():
    there = {"version": "5", "url": BUILD.url, "checksum": str(DIGEST), "checksum_url": "https://example.org/OTHER"}
    edits = told(definition(versions=(there,))).edits
    assert [(each.field, each.value) for each in edits if isinstance(each, SetVersionField)] == [
        ("size", 3 * 1024**2),
        ("build_date", "2026-11-20"),
        ("signed_by", "AB" * 20),
        ("signed_at", "2026-11-20 10:00:00"),
    ]
    assert told(definition(versions=({**there, "url": "https://elsewhere/5.img"},))).edits == ()
    # Of other bytes nothing is said that was verified with these.
    assert told(definition(versions=({**there, "checksum": "sha512:" + "b" * 128},))).edits == ()


def test_a_moving_address_becomes_the_lasting_one():
    moving = "https://example.org/latest.img"
    wanted = definition(versions=({"version": "5", "url": moving},), latest_url=moving)
    assert told(wanted, BARE).edits == (SetVersionField("Ubuntu 24.04", "5", "url", BUILD.url),)


def test_one_that_was_recorded_before_the_build_had_a_name_keeps_its_own():
    moving = "https://example.org/latest.img"
    wanted = definition(versions=({"version": "6", "url": moving, "checksum": str(DIGEST)},), latest_url=moving)
    each = told(wanted)
    assert (each.build and each.build.version, each.state) == ("6", "completed")
    assert each.edits[0] == SetVersionField("Ubuntu 24.04", "6", "url", BUILD.url)
    assert line(each).startswith("Ubuntu 24.04: 6, completed (")
    # With a digest of another algorithm, evidence of this one proves nothing.
    md5 = Checksum("md5", "c" * 32)
    wanted = definition(versions=({"version": "6", "url": moving, "checksum": str(md5)},), latest_url=moving)
    each = told(wanted, replace(BUILD, other_digests=(md5,)))
    assert each.edits == (SetVersionField("Ubuntu 24.04", "6", "url", BUILD.url),)
    assert told(wanted).edits == ()


def test_what_could_not_be_seen_is_told():
    md5 = {"version": "5", "url": BUILD.url, "checksum": "md5:" + "c" * 32}
    each = told(definition(versions=(md5,)))
    why = f"5 is recorded with {md5['checksum']}, but the upstream publishes only {DIGEST}: a replaced file cannot "
    why += "be detected; verify it, and record the published checksum"
    assert (each.state, each.warning) == ("current", why)
    assert line(each) == f"Ubuntu 24.04: 5 is the newest build; signed 2 days ago; warning: {why}"
    assert data(each)["warning"] == why
    assert f"- **warning** Ubuntu 24.04: {why.split(':')[0]}" in news_markdown([each])
    assert told(definition(versions=(md5,)), BARE).warning is None
    assert "warning" not in data(told(definition(versions=("5",))))


def test_who_is_interrupted():
    each = UpdateResult("B", "b.yml", error=Interrupted("not yet"))
    assert (each.state, line(each), counts([each])) == ("interrupted", "B: interrupted: not yet", "1 interrupted")
    assert "- **interrupted** B: not yet" in news_markdown([each])


def test_the_same_bytes_under_another_name_are_nothing_new():
    there = {"version": "five", "url": BUILD.url, "checksum": str(DIGEST)}
    assert told(definition(versions=(there,))).state == "current"


def test_words():
    new = told(definition(versions=("1", "2", "3", "4")))
    same = told(definition(versions=({"version": "5", "url": BUILD.url},)))
    current = told(definition(versions=("5",)), replace(BARE, url="https://x/5"))
    failed = UpdateResult("B", "b.yml", "1", error=Error("b.yml: no"))
    first = told(definition(versions=()), BARE)
    assert [each.state for each in (new, same, current, failed)] == ["updated", "completed", "current", "failed"]
    assert line(new) == (
        f"Ubuntu 24.04: 4 → 5 (built 2026-11-20, 3.0 MiB, {DIGEST}, signed by {'AB' * 20}, signed 2 days ago); "
        "2, 1 dropped"
    )
    assert line(same).startswith("Ubuntu 24.04: 5, completed (")
    assert line(current) == "Ubuntu 24.04: 5 is the newest build"
    assert line(failed) == "B: failed: b.yml: no"
    assert line(first) == "Ubuntu 24.04: nothing → 5 (no checksum is published, not signed)"
    assert line(UpdateResult("C", "c.yml", "3")) == "C: 3 is the newest build"
    assert counts([new, same, current, failed, first]) == "2 updated, 1 completed, 1 current, 1 failed"
    assert counts([]) == "nothing to ask about"
    rows = markdown([new, current, failed, first])
    assert rows[1:] == [
        ["Ubuntu 24.04", "4", "5", "2026-11-20", "3.0 MiB", str(DIGEST), "AB" * 20],
        ["Ubuntu 24.04", "", "5", "", "", "none", "not signed"],
    ]
    assert [each for each in new.edits if isinstance(each, RemoveVersion)]


def test_plain_values_hold_no_secrets():
    known = data(told(definition(versions=("4",))))
    assert (known["from"], known["to"], known["state"]) == ("4", "5", "updated")
    assert known["checksums_url"] == "https://example.org/SUMS"
    assert data(UpdateResult("B", "b.yml", error=Error("no"))) == {
        "image": "B",
        "file": "b.yml",
        "state": "failed",
        "from": None,
        "error": "no",
    }


def test_the_evidence_goes_to_the_image():
    wanted = definition(
        versions=(
            {
                "version": "5",
                "url": BUILD.url,
                "checksum": str(DIGEST),
                "checksums_url": "https://u:secret@example.org/SUMS",
                "signed_by": "AB" * 20,
                "signed_at": "2026-11-20 10:00:00",
            },
            {"version": "4", "url": BUILD.url, "checksum": str(DIGEST), "signed_by": "AB" * 20},
        )
    )
    role = Role(True, False, False, Stage.KEEP, "", "public", False)
    five, four = (desired.wanted_image(wanted, version, role, "tag").properties for version in wanted.versions)
    assert five[markers.SIGNED_BY] == f"{'AB' * 20} 2026-11-20 10:00:00"
    assert five[markers.CHECKSUMS_URL] == "https://example.org/SUMS"
    assert four[markers.SIGNED_BY] == "AB" * 20
    assert markers.CHECKSUMS_URL not in four


def test_the_signer_goes_to_images_of_the_signed_bytes_only():
    """The checksum and the signature may be recorded after the image was imported, with other bytes."""
    signed = {"version": "5", "url": BUILD.url, "checksum": str(DIGEST), "signed_by": "AB" * 20}
    wanted = definition(versions=(signed,))
    (version,) = wanted.versions
    role = Role(True, False, False, Stage.KEEP, "", "public", False)
    (bare,) = settled([definition(versions=({"version": "5", "url": BUILD.url},))])

    def signer(**fields):
        found = replace(bare, **{**fields, "properties": {**bare.properties, **fields.get("properties", {})}})
        return desired.wanted_image(wanted, version, role, "tag", found).properties.get(markers.SIGNED_BY)

    assert signer() is None
    assert signer(properties={markers.SIGNED_BY: "AB" * 20}) is None
    assert signer(properties={markers.VERIFIED: "none"}) is None
    assert signer(properties={markers.VERIFIED: f"sha256:{'b' * 64} before import"}) is None
    verified = {markers.VERIFIED: f"{DIGEST} before import"}
    assert signer(properties=verified) == "AB" * 20
    assert signer(properties={**verified, markers.BYTES: "sha512:00"}) is None
    assert signer(hash_algorithm="sha256", hash_value="a" * 64) == "AB" * 20
    assert signer(properties={markers.VERIFIED: "pending none"}) == "AB" * 20


def test_a_signature_that_is_too_old_is_warned_of():
    """Whether or not there is anything new."""
    old = replace(BUILD, warning="the signature is old")
    for versions in (("5",), ("4",)):
        each = told(definition(versions=versions), old)
        assert each.warning == "the signature is old"
        assert line(each).endswith("; warning: the signature is old")
        assert (data(each)["signed_days"], data(each)["warning"]) == (2, "the signature is old")
    md5 = {"version": "5", "url": BUILD.url, "checksum": "md5:" + "c" * 32}
    assert str(told(definition(versions=(md5,)), old).warning).endswith(
        "record the published checksum; the signature is old"
    )
    assert "signed_days" not in data(told(definition(versions=("4",)), BARE))


def test_the_age_of_a_signature():
    """A site that shows the same signed file for ever (indefinite freeze) is seen by that."""
    for signed_at, words in (
        (f"{TODAY - timedelta(days=334)} 10:00:00", "signed 334 days ago"),
        (f"{TODAY - timedelta(days=1)}", "signed 1 day ago"),
        (f"{TODAY} 10:00:00", ""),
        (f"{TODAY + timedelta(days=1)}", ""),
        (None, ""),
    ):
        build = replace(BUILD, signed_at=signed_at)
        assert line(told(definition(versions=("5",)), build)).count(" ago") == bool(words)
        assert words in line(told(definition(versions=("5",)), build))
        assert words in line(told(definition(versions=("4",)), build))
    same = definition(versions=("5",))
    known = {name: getattr(BUILD, name) for name in ("url", "size", "build_date", "signed_by", "checksums_url")}
    version = same.versions[0].model_copy(update={**known, "checksum": str(DIGEST), "signed_at": BUILD.signed_at})
    current = same.model_copy(update={"versions": [version]})
    days = (TODAY - date(2026, 11, 20)).days
    assert line(told(current)) == f"Ubuntu 24.04: 5 is the newest build; signed {days} days ago"
