"""How versions stand, as values."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest
from tests.support.plans import DEFAULT, NOW, TODAY, definition, made, settled

from openstack_image_manager.plan import age, markers
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.report import status
from openstack_image_manager.scs import recency
from openstack_image_manager.scs.rules import V1

META = {"replace_frequency": "monthly", "provided_until": "2030-06-30"}


def rows(wanted, found, policy=DEFAULT, max_age=None, now=NOW):
    made = plan([wanted], found, policy, TODAY, usage=lambda _: 0)
    return {row.version: row for row in status.rows(made, [wanted], found, now, max_age)}


def test_a_row_for_every_version():
    wanted = definition(versions=("20240416", "20261101"), meta=META)
    found = settled([wanted])
    stands = rows(wanted, found)
    assert list(stands) == ["20261101", "20240416"]
    newest, older = stands.values()
    assert (newest.current, newest.age, newest.due, newest.overdue, newest.state) == (
        True,
        21,
        "2026-12-05",
        False,
        "ok",
    )
    assert (older.current, older.due, older.overdue, older.verified) == (False, None, False, "no")


def test_drift():
    wanted = definition(versions=("1", "2"), meta=META)
    one, two = settled([wanted])
    assert rows(wanted, [one])[next(v for v in "12" if v != one.properties["internal_version"])].state == "missing"
    queued = replace(two, status="queued")
    assert {row.state for row in rows(wanted, [one, queued]).values()} == {"ok", "unfinished"}
    pending = replace(two, properties={**two.properties, markers.VERIFIED: markers.PENDING + "none"})
    assert rows(wanted, [one, pending])[two.properties["internal_version"]].state == "unfinished"
    drifted = replace(two, min_ram=7, properties={**two.properties, "replace_frequency": "daily"})
    row = rows(wanted, [one, drifted])[two.properties["internal_version"]]
    assert (row.state, row.drift) == ("differs", ("min_ram", "replace_frequency"))
    off = wanted.model_copy(update={"enable": False})
    assert {row.state for row in rows(off, [one, two]).values()} == {"disabled"}
    assert rows(wanted, [replace(one, properties={}, name="else")])["1"].state == "missing"


def test_a_verification_of_other_bytes_is_not_shown():
    """Nova copies properties to snapshots of servers."""
    wanted = definition(versions=("1",), meta=META)
    (image,) = settled([wanted])
    said = {markers.VERIFIED: "sha256:0 before import", markers.BYTES: "sha512:1"}
    image = replace(image, properties={**image.properties, **said}, hash_algorithm="sha512")
    assert rows(wanted, [replace(image, hash_value="1")])["1"].verified == "sha256:0 before import"
    assert rows(wanted, [replace(image, hash_value="2")])["1"].verified == "unknown"


def test_a_newest_version_that_newer_builds_keep_from_the_cloud_is_missing():
    found = settled([definition(versions=("20261115", "20261122"))])
    stands = rows(definition(versions=("1.1", "1.2")), found)
    assert list(stands) == ["20261122", "20261115", "1.2"]
    assert (stands["1.2"].lacks, stands["1.2"].words) == (True, "missing: the current build")
    assert stands["20261122"].lacks is False
    known = definition(versions=("1", "20261115"))
    assert list(rows(known, found)) == ["20261122", "20261115"]


def test_a_current_build_that_is_not_there():
    """Of builds that stand side by side each one is current."""
    wanted = definition(versions=("1", "2"), meta=META)
    found = {image.properties["internal_version"]: image for image in settled([wanted])}
    stands = rows(wanted, [found["1"]])
    assert (stands["2"].lacks, status.cells(stands["2"])[5]) == (True, "missing: the current build")
    assert not stands["1"].lacks
    stands = rows(wanted, [found["2"]])
    assert (stands["1"].lacks, status.cells(stands["1"])[5]) == (False, "missing")
    assert rows(wanted, [found["1"], replace(found["2"], status="queued")])["2"].lacks
    both = definition(versions=("1", "2"), multi=False)
    (image, _) = settled([both])
    stands = rows(both, [image])
    assert sorted(row.lacks for row in stands.values()) == [False, True]


def test_a_current_build_that_is_not_published():
    wanted = definition(versions=("1",), meta=META)
    (image,) = settled([wanted])
    pending = replace(image, properties={**image.properties, markers.VERIFIED: markers.PENDING + "none"})
    row = rows(wanted, [pending])["1"]
    assert (row.lacks, row.words) == (True, "unfinished: the current build")


def test_builds_side_by_side_that_are_retired_are_not_overdue():
    """Versions without a definition and duplicates are hidden."""
    both = definition(versions=("20240416", "20261101"), multi=False, meta=META)
    newest = definition(versions=("20261101",), multi=False, meta=META)
    found = settled([newest], found=settled([both]))
    stands = rows(newest, found)
    assert {version: (row.current, row.overdue) for version, row in stands.items()} == {
        "20240416": (False, False),
        "20261101": (True, False),
    }
    old = definition(versions=("20240416",), multi=False, meta=META)
    (image,) = settled([old])
    duplicates = settled([old], found=[image, replace(image, id="duplicate", created_at="2030-01-01T00:00:00Z")])
    made = plan([old], duplicates, DEFAULT, TODAY, usage=lambda _: 0)
    assert sorted(row.overdue for row in status.rows(made, [old], duplicates, NOW)) == [False, True]


def test_why_a_build_is_overdue():
    wanted = definition(versions=("20261001",), meta=META)
    (row,) = rows(wanted, settled([wanted])).values()
    assert row.late == "overdue: built 2026-10-01, a newer build was due on 2026-11-04"
    (row,) = rows(definition(versions=("20261101",)), settled([definition(versions=("20261101",))]), max_age=5).values()
    assert row.late == "overdue: built 2026-11-01, which is older than --max-age"
    (row,) = rows(definition(versions=("20261101",)), settled([definition(versions=("20261101",))])).values()
    assert row.late == ""


def test_a_previous_build_that_still_has_the_name_can_be_overdue():
    before = settled([definition(versions=("20240416",), meta=META)])
    row = rows(definition(versions=("20240416", "20261101"), meta=META), before)["20240416"]
    assert (row.current, row.due, row.overdue) == (False, "2024-05-20", True)


def test_images_to_be_deleted():
    found = settled([definition(versions=("1", "2"), meta={"uuid_validity": "none"})])
    wanted = definition(versions=("2",), meta={"uuid_validity": "none"})
    assert rows(wanted, found, Policy(outdated="delete"))["1"].state == "to be deleted"


def test_max_age_and_unknown_ages():
    wanted = definition(versions=("20261101",))
    found = settled([wanted])
    assert not rows(wanted, found, max_age=21)["20261101"].overdue
    assert rows(wanted, found, max_age=20)["20261101"].overdue
    unknown = definition(versions=("x",))
    row = rows(unknown, settled([unknown]), max_age=1)["x"]
    assert (row.built, row.age, row.overdue) == (None, None, False)


def test_words():
    wanted = definition(versions=("20240416", "20240514", "x"), meta=META)
    found = [replace(image, min_ram=3) for image in settled([wanted])]
    made = plan([wanted], found[:2], Policy(), TODAY)
    table = status.table(status.rows(made, [wanted], found[:2], NOW))
    assert table[0] == status.HEAD
    assert len({len(row) for row in table}) == 1
    assert any("differs: " in cell for row in table for cell in row)
    assert {row["state"] for row in status.data(status.rows(made, [wanted], found, NOW))} >= {"differs", "missing"}


@pytest.mark.parametrize("until", ["none", "notice", "2026-11-02", "2026-11-22", "2026-11-23", "2030-01-01"])
@pytest.mark.parametrize("frequency", [*age.HOURS, "never", "critical_bug"])
def test_overdue_is_what_the_conformance_test_calls_outdated(frequency, until):
    meta = {"replace_frequency": frequency, "provided_until": until}
    hours = timedelta(hours=age.HOURS.get(frequency, 0) * age.SLACK)
    for built in (NOW - hours, NOW - hours - timedelta(days=1), NOW - hours + timedelta(days=1)):
        version = {"version": "1", "url": "https://x/1", "build_date": f"{built:%F %T}"}
        wanted = definition(versions=(version,), meta=meta)
        # An expired definition is not imported anew.
        (image,) = settled([wanted.model_copy(update={"meta": {**meta, "provided_until": "none"}})])
        image = replace(image, properties={**image.properties, "provided_until": until})
        for second in (-1, 1):
            now = NOW + timedelta(seconds=second)
            (row,) = rows(wanted, [image], now=now).values()
            judged = [each for each in recency.judge([image], [V1], now) if each.key == "image_build_date"]
            assert row.overdue == bool(judged), (built, now)


def test_days_of_builds():
    assert age.built("x", "nonsense") is None
    assert age.built("x", "2026-01-02 10:00") == date(2026, 1, 2)
    assert age.built("20260102.3", None) == date(2026, 1, 2)


def test_how_old_a_signature_is():
    signed = {"version": "1", "url": "https://x/1", "checksum": f"sha256:{'1' * 64}", "signed_by": "AB" * 20}
    wanted = definition(versions=({**signed, "signed_at": f"{TODAY - timedelta(days=334)} 10:00:00"}, "2"))
    found = settled([wanted])
    one = next(image for image in found if image.properties["internal_version"] == "1")
    two = next(image for image in found if image is not one)

    def shown(**properties):
        image = replace(one, properties={**one.properties, **properties})
        made = plan([wanted], [image, two], DEFAULT, TODAY, usage=lambda _: 0)
        its = status.rows(made, [wanted], [image, two], NOW)
        return next(row for row in its if row.version == "1"), status.table(its)

    verified = f"sha256:{'1' * 64} before import"
    row, table = shown(**{markers.VERIFIED: verified})
    assert (row.signed_by, row.signed_days) == ("AB" * 20, 334)
    assert row.signed_at == f"{TODAY - timedelta(days=334)} 10:00:00"
    assert [each[-1] for each in table] == ["Signed", "", "334 d ago"]
    row, table = shown(**{markers.VERIFIED: verified, markers.SIGNED_BY: "AB" * 20})
    assert (row.signed_by, row.signed_at, row.signed_days, table[-1][-1]) == ("AB" * 20, None, None, "yes")
    row, table = shown(**{markers.VERIFIED: verified, markers.SIGNED_BY: f"{'AB' * 20} yesterday"})
    assert (row.signed_days, table[-1][-1]) == (None, "yes")
    # It is about the bytes that were verified, and those alone.
    for verification in ({markers.VERIFIED: "none"}, {markers.VERIFIED: verified, markers.BYTES: "sha512:00"}):
        row, table = shown(**verification)
        assert (row.signed_by, row.signed_at, row.signed_days, table[0][-1]) == (None, None, None, "Verified")


def test_effects_of_rollback_and_retention():
    wanted = definition(versions=("1", "2", "3"), meta={"uuid_validity": "last-1"})
    before = settled([wanted])
    assert {version: row.words for version, row in rows(wanted, before).items()} == {
        "3": "ok",
        "2": "ok (hidden)",
        "1": "ok (hidden)",
    }
    after = made(plan([wanted], before, DEFAULT, TODAY, roll_back={wanted.name: "2"}), before)
    stands = rows(wanted, after)
    assert stands["3"].words == "ok (rolled back)"
    assert stands["2"].words == "ok (in place of 3)"
    assert (stands["2"].state, stands["2"].standing, stands["2"].current) == ("ok", "in place of 3", True)
