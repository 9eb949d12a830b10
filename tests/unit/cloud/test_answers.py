"""Which answers can be Glance's: images, pages, dates."""

from __future__ import annotations

from typing import Any

import pytest

from openstack_image_manager.cloud import image_api
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import Image

IMAGE = {"id": "abc", "status": "active", "visibility": "public"}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("id", "../x"),
        ("id", None),
        ("name", "x" * 256),
        ("visibility", "everybody"),
        ("status", 3),
        ("os_hidden", 1),
        ("min_ram", -1),
        ("min_disk", 2**31),
        ("size", True),
        ("tags", "abc"),
        ("updated_at", "2026"),
    ],
)
def test_an_image_that_can_not_be_one(key: str, value: Any) -> None:
    with pytest.raises(ValueError, match=f"not described as Glance describes images: {key}"):
        image_api.as_image({**IMAGE, key: value})


def test_an_image_without_what_may_be_missing() -> None:
    image = image_api.as_image({**IMAGE, "tags": None, "min_disk": None, "size": 2**63 - 1, "odd": 3})
    assert (image.tags, image.min_disk, image.size, image.properties) == (frozenset(), 0, 2**63 - 1, {})
    image_api.refuse_deleted(image)
    with pytest.raises(CloudError, match="pending_delete"):
        image_api.refuse_deleted(image_api.as_image({**IMAGE, "status": "pending_delete"}))


@pytest.mark.parametrize(
    ("data", "key", "is_fine"),
    [
        ([], "images", False),
        ({}, "images", False),
        ({"images": [3]}, "images", False),
        ({"images": [{}]}, "images", True),
        ({"members": [{"member_id": "a"}]}, "members", False),
        ({"members": [{"member_id": "a", "status": "pending"}]}, "members", True),
        ({"import-methods": {"value": [3]}}, "import-methods", False),
        ({"import-methods": {"value": ["copy-image"]}}, "import-methods", True),
        ({"id": "a/b"}, "id", False),
        ({"usage": 3}, "usage", False),
        ({"usage": {"image_size_total": {"usage": 3, "limit": "many"}}}, "usage", False),
        ({"usage": {"image_size_total": {"usage": 3, "limit": -1}}}, "usage", True),
        ({"projects": [{"id": "abc", "name": None}]}, "projects", False),
        ({"project": {"id": "abc", "name": "shop"}}, "project", True),
        ({"project": []}, "project", False),
        ({"volumes": 3}, "volumes", True),
    ],
)
def test_shapes(data: object, key: str, is_fine: bool) -> None:
    assert image_api.is_shaped(data, key) == is_fine


@pytest.mark.parametrize(
    ("link", "page"),
    [
        ("/v2/images?limit=1&marker=abc", ("/images?limit=1&marker=abc", "abc")),
        ("/v2/images?limit=1", None),
        ("/v2/images?marker=a&marker=b", None),
        ("//other/v2/images?marker=a", None),
        ("/v2/tasks?marker=a", None),
        ("http://[", None),
        (3, None),
    ],
)
def test_the_next_page_is_one_of_the_same_listing(link: object, page: tuple[str, str] | None) -> None:
    assert image_api.next_page(link) == page


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("DELETE", "/images/abc", (204,)),
        ("PUT", "/images/abc/stage", (204,)),
        ("PUT", "/images/abc/members/x", (200,)),
        ("POST", "/images/abc/actions/deactivate", (204,)),
        ("POST", "/images/abc/import", (202,)),
        ("POST", "/images", (201,)),
        ("GET", "/images/abc/file", (200, 204)),
        ("GET", "/images", (200,)),
    ],
)
def test_what_is_said_of_a_deed(method: str, path: str, statuses: tuple[int, ...]) -> None:
    assert image_api.success_statuses(method, path) == statuses


def test_the_clock_of_the_cloud() -> None:
    moment = image_api.server_time("Mon, 30 Nov 2026 06:50:05 GMT", 2.0)
    assert moment is not None
    assert f"{moment:%H:%M:%S}" == "06:49:53"
    assert image_api.server_time("", 2.0) is None


def test_of_two_answers_the_newer_one_is_kept() -> None:
    old, new = (image_api.as_image({**IMAGE, "updated_at": f"2026-11-30T06:50:0{second}Z"}) for second in (1, 2))
    images: dict[str, Image] = {}
    for image, kept in ((old, old), (new, new), (old, new)):
        image_api.keep_newer(images, image)
        assert images == {"abc": kept}
