"""Whatever stands in the properties of an image: no command ends because of it."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, date, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.offered import knowledge
from tests.support.plans import TODAY, definition, settled

from openstack_image_manager.adopt.adopt import adopt
from openstack_image_manager.adopt.groups import is_secret
from openstack_image_manager.adopt.yaml_writer import text
from openstack_image_manager.definitions import naming
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Image
from openstack_image_manager.plan import explain, markers, retention, serialize
from openstack_image_manager.plan.model import Policy
from openstack_image_manager.plan.planner import plan
from openstack_image_manager.report import compare, status
from openstack_image_manager.report.console import clean
from openstack_image_manager.report.output import as_json
from openstack_image_manager.report.plans import plan_data, plan_markdown
from openstack_image_manager.scs import check
from openstack_image_manager.scs.rules import STANDARDS
from openstack_image_manager.site import writer
from openstack_image_manager.site.pages import pages
from openstack_image_manager.site.survey import survey
from openstack_image_manager.upstreams.follow import _newest, _recorded

DIGITS = "9" * 5000  # Python makes no number of them
NESTED = '{"properties":' + "[" * 60_000
ODD = [
    *("", " ", "\0", "٣", "²", DIGITS, f"1.{DIGITS}", f"last-{DIGITS}", "last-0", "last-", NESTED, "[" * 60_000),
    *(f'{{"properties":[{DIGITS}]}}', '{"tags": 5}', "[]", "null", "9999-12-31", "0001-01-01", "9999-12-31 23:59:59"),
    *("99999999", "20269999", "2026-13-45", "https://[", "https://user:secret@host/%", "\ud800", "😀", "pending ", ":"),
    *("sha512:", "sha256:zz", "yearly", "daily", "none", "notice", "forever", "snapshot", "generic"),
]
NAMES = [
    *("internal_version", "image_name", "image_description", "image_source", "image_build_date", "image_original_user"),
    *("uuid_validity", "provided_until", "replace_frequency", "hotfix_hours", "maintained_until", "license_included"),
    *("os_distro", "os_version", "os_purpose", "architecture", "hw_disk_bus", "hw_scsi_model", "hypervisor_type"),
    *("image_type", "base_image_ref", "upstream_checksum", "os_hash_value", "self", markers.RECORD, markers.VERIFIED),
    *(*markers.MARKS, markers.RUN, markers.SIGNED_BY, markers.CHECKSUMS_URL, markers.BYTES, "trait:X", "hidden"),
]
values = st.sampled_from(ODD) | st.text(max_size=20)
POLICIES = [
    Policy(),
    Policy(outdated="delete", unknown_usage="delete", orphans="delete", use_os_hidden=True, grace=3, project="p"),
]


@st.composite
def clouds(draw: st.DrawFn) -> list[Image]:
    """Images of one definition, some properties of which are odd."""
    images = settled([WANTED])
    for index, image in enumerate(images):
        odd = draw(st.dictionaries(st.sampled_from(NAMES), values, max_size=3))
        images[index] = replace(image, properties={**image.properties, **odd})
    return images


WANTED = definition("Ubuntu 24.04", ["20240416", "20240501", "20240601"], meta={"uuid_validity": "last-2"})


def used(images: list[Image], policy: Policy, today: date) -> None:
    """All that looks at images, as the commands do it."""
    now = datetime(today.year, today.month, today.day, tzinfo=UTC)
    for definitions in ([WANTED], []):
        made = plan(definitions, images, policy, today)
        as_json(plan_data(made, "north"))
        plan_markdown(made, "north")
        status.data(status.rows(made, definitions, images, now, max_age=30))
        compare.table({"north": definitions, "south": definitions}, {"north": images, "south": []}, [])
        check.fixed(check.judge(images, STANDARDS, now), check.judge(check.after(images, made), STANDARDS, now))
        pages(survey("Images", definitions, {"north": images}, knowledge(), now), writer.texts(), 90)
    with suppress(Error):
        explain.data(explain.explain(WANTED, plan([WANTED], images, policy, today), images, policy, today, lambda _: 0))
    found = adopt(images, policy, today)
    text(found.items)


DAYS = [TODAY, date.max, date(1970, 1, 1)]
DECISIVE = ["internal_version", "uuid_validity", "provided_until", "image_build_date", markers.RECORD, *markers.MARKS]


@settings(max_examples=25, deadline=None)
@given(clouds(), st.sampled_from(POLICIES), st.sampled_from(DAYS))
def test_no_property_ends_a_run(images: list[Image], policy: Policy, today: date) -> None:
    used(images, policy, today)


@pytest.mark.parametrize("name", DECISIVE)
def test_nothing_that_decides_ends_a_run(name: str) -> None:
    for value in ODD:
        images = [replace(image, properties={**image.properties, name: value}) for image in settled([WANTED])]
        for policy in POLICIES:
            explain.explain(WANTED, plan([WANTED], images, policy, TODAY), images, policy, TODAY, lambda _: 0)


@pytest.mark.parametrize("today", DAYS)
def test_every_property_may_be_odd_at_once(today: date) -> None:
    for value in (DIGITS, f"last-{DIGITS}", "9999-12-31", "\ud800"):
        odd = {name: value for name in NAMES if name != "image_name"}
        first, *rest = settled([WANTED])
        used([replace(first, properties={**first.properties, **odd}), *rest], POLICIES[0], today)


def test_an_odd_property_takes_no_time() -> None:
    """A text of 60,000 characters without a blank is looked through once, and not once for each of them."""
    began = time.process_time()
    for text_ in ("9" * 60_000, "a:" * 30_000, "BEGIN " * 10_000):
        clean(text_)
        is_secret(text_)
        serialize.plain(text_)
    assert time.process_time() - began < 2


@given(st.text(), st.text())
def test_versions_of_any_length_have_an_order(one: str, other: str) -> None:
    for version in (DIGITS, f"{one}{DIGITS}", f"{DIGITS}{one}", f"{other}.{DIGITS}", one):
        assert naming.version_key(version) <= max(naming.version_key(version), naming.version_key(other))


def test_a_record_that_is_nested_too_deeply_is_none() -> None:
    (image,) = settled([definition()])
    odd = replace(image, properties={**image.properties, markers.RECORD: NESTED})
    assert markers.recorded(odd) == (frozenset(), frozenset())


@pytest.mark.parametrize(("value", "count"), [("last-007", 7), ("last-0", 1), ("last-999999999", 999999999)])
def test_the_last_few_stay(value: str, count: int) -> None:
    assert retention.visible_builds(value, TODAY) == count


def test_a_number_that_is_too_long_keeps_all() -> None:
    assert retention.visible_builds(f"last-{DIGITS}", TODAY) is None
    assert "is not a valid value" in str(retention.promise({"uuid_validity": f"last-{DIGITS}"}, 0, TODAY))


def test_what_no_version_can_be_is_not_followed() -> None:
    images = {version: replace(settled([definition()])[0], id=version[:9]) for version in ("", "1", "9" * 256)}
    assert [version.version for version in _recorded(_newest(images))] == ["1"]
