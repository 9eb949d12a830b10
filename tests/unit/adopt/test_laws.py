"""Clouds that were filled by hand and by runs stay as they are, whatever is in them."""

from __future__ import annotations

from dataclasses import replace
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.adopted import POLICY, check, image
from tests.support.plans import GIB, TAG, TODAY, definition, settled

from openstack_image_manager.adopt.adopt import adopt
from openstack_image_manager.plan import markers
from openstack_image_manager.plan.planner import plan

NAMES = [
    *("Ubuntu 24.04", "Ubuntu 24.04 (20240416)", "Ubuntu 24.04 (20240422)", "Ubuntu 24.04-(old)", "Ubuntu"),
    *("Flatcar 1.0", "Flatcar 1.1", "Flatcar-2", "no", "null", " blank", "a: b # c", "'\"\\", "ü(1)", "ü", "(x)", ""),
]
KEYS = [
    *("os_distro", "os_version", "os_purpose", "uuid_validity", "image_name", "image_description", "internal_version"),
    *(
        "image_build_date",
        "image_source",
        "image_original_user",
        "hw:x/~",
        "no",
        "y",
        "<<",
        "db_password",
        "image_type",
    ),
    *(
        "trait:COMPUTE",
        "owner_specified.openstack.sha256",
        "provided_until",
        markers.HIDDEN_SINCE,
        markers.CHECKSUMS_URL,
    ),
]
VALUES = [
    *(
        "generic",
        "ubuntu",
        "24.04",
        "1.0",
        "20240416",
        "last-2",
        "none",
        "last-x",
        "forever",
        "2024-05-06",
        "2025-01-01",
    ),
    *("https://example.org/a.qcow2.xz", "https://u:hunter2@example.org/a.img", "https://example.org/?token=hunter2"),
    *("private", "", " a\n b ", "Ubuntu 24.04", "Flatcar", "file:///a.img", "07", "1:30", "no", "snapshot"),
]


@st.composite
def by_hand(draw):
    images = []
    for number, name in enumerate(draw(st.lists(st.sampled_from(NAMES), max_size=6)), 1):
        images.append(
            image(
                name,
                number,
                visibility=draw(st.sampled_from(["public", "public", "private", "community", "shared"])),
                status=draw(st.sampled_from(["active", "active", "active", "deactivated", "queued"])),
                hidden=draw(st.sampled_from([False, False, True])),
                min_disk=draw(st.sampled_from([0, 1, 10])),
                min_ram=draw(st.sampled_from([0, 0, 512])),
                protected=draw(st.booleans()),
                tags=draw(st.frozensets(st.sampled_from([TAG, "os:ubuntu", "x", "it's"]))),
                properties=draw(st.dictionaries(st.sampled_from(KEYS), st.sampled_from(VALUES), max_size=6)),
                disk_format=draw(st.sampled_from(["qcow2", "raw", "raw", None])),
                created_at=draw(st.sampled_from(["2024-05-06T01:02:03Z", "2023-01-01T00:00:00Z", ""])),
                virtual_size=draw(st.sampled_from([None, 3 * GIB])),
            )
        )
    return images


@st.composite
def by_a_run(draw):
    """Images that this tool made, retired and all, of definitions that nobody has any more."""
    versions = draw(st.lists(st.sampled_from(["1", "2", "9", "10", "11"]), min_size=1, max_size=5, unique=True))
    meta = draw(
        st.dictionaries(st.sampled_from(["os_distro", "uuid_validity", "a"]), st.sampled_from(["none", "last-2"]))
    )
    fields = {"multi": draw(st.booleans()), "meta": meta, "tags": draw(st.sampled_from([[], ["x"]])), "login": "me"}
    first = settled([definition("Debian 13", versions, **fields)], POLICY)
    kept = draw(st.lists(st.sampled_from(versions), min_size=1, unique=True))
    images = settled([definition("Debian 13", kept, **fields)], POLICY, first)
    ids = {each.id: str(UUID(int=1000 + number)) for number, each in enumerate(images)}
    return [replace(each, id=ids[each.id]) for each in images]


@settings(max_examples=100)
@given(by_hand())
def test_a_cloud_that_was_filled_by_hand_stays_as_it_is(images):
    check(images)


@settings(max_examples=60)
@given(by_a_run(), by_hand())
def test_a_cloud_that_was_filled_by_runs_stays_as_it_is(ours, others):
    found = adopt(ours, POLICY, TODAY)
    # What stands side by side is in sight as long as it is defined, and a later build would have the plain name.
    for each, _ in found.left_out:
        assert markers.HIDDEN_SINCE in each.properties or each.name.endswith(")"), each
    if not found.left_out:
        assert found.written == ()
        assert plan(found.definitions, ours, POLICY, TODAY).changes == ()
    check([*ours, *others])
