"""Generated situations: definitions, and clouds that have been through runs and other people's hands."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import strategies as st

from openstack_image_manager.model import Image
from openstack_image_manager.plan.model import Policy
from tests.support.plans import definition, settled

KEYS = ["a", "b", "os_purpose", "os_version", "os_distro", "uuid_validity", "image_description"]
VALUES = ["generic", "last-2", "none", "forever", "2025-01-01", "24.04", "x"]
VISIBILITIES = ["public", "community", "shared", "private"]
STATUSES = ["active", "deactivated", "queued", "uploading", "importing", "saving", "killed", "pending_delete"]

metas = st.dictionaries(st.sampled_from(KEYS), st.none() | st.sampled_from(VALUES), max_size=4)
versions = st.lists(st.sampled_from(["1", "2", "9", "10", "11", "20240416"]), min_size=1, max_size=5, unique=True)


@st.composite
def definitions(draw, name="Ubuntu 24.04"):
    listed = [
        {
            "version": version,
            "url": f"https://example.org/{version}.img",
            "visibility": draw(st.none() | st.sampled_from(VISIBILITIES)) if draw(st.booleans()) else None,
            "hidden": draw(st.sampled_from([None, None, True, False])),
            "meta": draw(metas) if draw(st.booleans()) else {},
        }
        for version in draw(versions)
    ]
    return definition(
        name,
        listed,
        multi=draw(st.booleans()),
        visibility=draw(st.sampled_from(VISIBILITIES)),
        status=draw(st.sampled_from(["active", "deactivated"])),
        min_disk=draw(st.sampled_from([0, 1, 10])),
        keep=draw(st.booleans()),
        meta=draw(metas),
        tags=draw(st.lists(st.sampled_from(["x", "y"]), unique=True)),
    )


@st.composite
def drifts(draw, images):
    """The same images after someone has been at them."""
    result = []
    for image in images:
        if draw(st.booleans()):
            result.append(image)
            continue
        properties = {**image.properties, **draw(st.dictionaries(st.sampled_from([*KEYS, "theirs"]), st.just("drift")))}
        for key in draw(st.lists(st.sampled_from(sorted(properties)), max_size=2)):
            if key not in ("image_name", "internal_version"):
                properties.pop(key, None)
        result.append(
            replace(
                image,
                name=draw(st.sampled_from([image.name, "Ubuntu 24.04", "else"])),
                visibility=draw(st.sampled_from([image.visibility, *VISIBILITIES])),
                status=draw(st.sampled_from(["active", "active", *STATUSES])),
                hidden=draw(st.booleans()),
                min_ram=draw(st.sampled_from([0, 5])),
                tags=image.tags | draw(st.frozensets(st.sampled_from(["x", "theirs"]))),
                properties=properties,
            )
        )
    return result


@st.composite
def situations(draw):
    """A policy, and a cloud that has been through some definitions and some drift; then the definition of today."""
    policy = Policy(
        latest=draw(st.booleans()),
        keep=draw(st.booleans()),
        hidden_visibility=draw(st.sampled_from(VISIBILITIES[1:])),
        use_os_hidden=draw(st.booleans()),
        outdated=draw(st.sampled_from(["keep", "hide", "deactivate", "delete"])),
        unknown_usage=draw(st.sampled_from(["keep", "delete"])),
        grace=draw(st.sampled_from([0, 30])),
    )
    found: list[Image] = []
    for _ in range(draw(st.integers(0, 2))):
        found = draw(drifts(settled([draw(definitions())], policy, found)))
    return policy, found, draw(definitions())
