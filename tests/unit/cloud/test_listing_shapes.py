"""What is accepted of Glance's answers, and what is sent: images, patches, pages, statuses, times."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from openstack_image_manager.cloud import image_api
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import FieldChange, Image

IMAGE: dict[str, Any] = {
    "id": "5b1e7a3c-0000-4000-8000-000000000000",
    "name": "Ubuntu",
    "visibility": "public",
    "status": "active",
    "os_hidden": True,
    "protected": True,
    "min_disk": 1,
    "min_ram": 2,
    "size": 3,
    "virtual_size": 4,
    "tags": ["one", "two"],
    "disk_format": "qcow2",
    "owner": "project",
    "stores": "fast,,slow",
    "created_at": "2026-11-22T10:00:00Z",
    "updated_at": "2026-11-22T10:00:00.123456+01:00",
    "os_hash_algo": "sha512",
    "os_hash_value": "0" * 128,
    "os_glance_import_task": "task",
    "os_glance_failed_import": "fast",
    "os_distro": "ubuntu",
    "hw_numbers": 7,
    "checksum": "a base attribute that nothing here needs",
}


def test_an_image_keeps_its_base_attributes_and_its_properties_apart() -> None:
    assert image_api.as_image(IMAGE) == Image(
        name="Ubuntu",
        visibility="public",
        status="active",
        hidden=True,
        protected=True,
        min_disk=1,
        min_ram=2,
        size=3,
        virtual_size=4,
        tags=frozenset({"one", "two"}),
        properties={"os_distro": "ubuntu"},
        disk_format="qcow2",
        owner="project",
        stores=frozenset({"fast", "slow"}),
        created_at=IMAGE["created_at"],
        updated_at=IMAGE["updated_at"],
        hash_algorithm="sha512",
        hash_value="0" * 128,
        import_task="task",
        id=IMAGE["id"],
    )


def test_an_image_needs_no_more_than_id_visibility_and_status() -> None:
    """A record without bytes has null in nearly all other attributes."""
    least = {"id": "a", "visibility": "private", "status": "queued"}
    image = Image("", "private", id="a", status="queued")
    assert image_api.as_image(least) == image
    assert image_api.as_image(dict.fromkeys(IMAGE, None) | least) == image


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("id", "../tasks"),
        ("id", None),
        ("name", "x" * 256),
        ("name", 7),
        ("visibility", "everyone"),
        ("visibility", None),
        ("status", "ACTIVE"),
        ("status", 1),
        ("os_hidden", "false"),
        ("protected", 0),
        ("min_disk", -1),
        ("min_ram", True),
        ("min_ram", 2**31),
        ("size", "3"),
        ("virtual_size", 2**63),
        ("tags", "one"),
        ("tags", ["one", None]),
        ("disk_format", []),
        ("owner", {}),
        ("stores", ["fast"]),
        ("created_at", "yesterday"),
        ("updated_at", 1700000000),
        ("os_hash_algo", "x" * 65),
        ("os_hash_value", "x" * 129),
        ("os_glance_import_task", "x" * 256),
    ],
)
def test_a_base_attribute_that_glance_cannot_have_written_is_refused_with_its_name(attribute: str, value: Any) -> None:
    who = "an image" if attribute == "id" else IMAGE["id"]
    with pytest.raises(ValueError, match=f"{who} is not described as Glance describes images: {attribute}$"):
        image_api.as_image(IMAGE | {attribute: value})


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_an_image_that_glance_is_deleting_counts_as_gone(status: str) -> None:
    with pytest.raises(CloudError, match=f"Glance says that it is {status}") as caught:
        image_api.refuse_deleted(Image("Ubuntu", "public", status=status))
    assert caught.value.status == 404
    image_api.refuse_deleted(Image("Ubuntu", "public", status="deactivated"))


def test_a_new_record_is_made_with_all_that_glance_takes_at_once() -> None:
    assert image_api.creation_body(image_api.as_image(IMAGE), "bare") == {
        "id": IMAGE["id"],
        "name": "Ubuntu",
        "visibility": "public",
        "os_hidden": True,
        "min_disk": 1,
        "min_ram": 2,
        "tags": ["one", "two"],
        "disk_format": "qcow2",
        "container_format": "bare",
        "os_distro": "ubuntu",
    }


def test_an_import_names_its_address_and_its_stores_only_where_there_are_some() -> None:
    assert image_api.import_body("glance-direct", None, None) == {"method": {"name": "glance-direct"}}
    assert image_api.import_body("web-download", "https://example.org/x", {"slow", "fast"}) == {
        "method": {"name": "web-download", "uri": "https://example.org/x"},
        "stores": ["fast", "slow"],
        "all_stores_must_succeed": False,
    }


@pytest.mark.parametrize(
    ("change", "operation"),
    [
        (FieldChange("hidden", False, True, "why"), {"op": "add", "path": "/os_hidden", "value": True}),
        (FieldChange("os_distro", "ubuntu", None, "why"), {"op": "remove", "path": "/os_distro"}),
        (FieldChange("tags", frozenset(), frozenset("ba"), "why"), {"op": "add", "path": "/tags", "value": ["a", "b"]}),
        # RFC 6901: ~ and / in the name of a property
        (FieldChange("a/b~c", None, "x", "why"), {"op": "add", "path": "/a~1b~0c", "value": "x"}),
    ],
)
def test_a_change_is_one_json_patch_operation(change: FieldChange, operation: dict[str, Any]) -> None:
    assert image_api.patch_operation(change) == operation


def test_filters_find_all_of_many_ids_in_short_questions() -> None:
    ids = [f"id{number:03}" for number in range(2 * image_api.NAMES + 1)]
    filters = image_api.id_filters(ids[::-1])
    assert [len(each.split(",")) for each in filters] == [image_api.NAMES, image_api.NAMES, 1]
    assert [name for each in filters for name in each.removeprefix("in:").split(",")] == ids


def test_a_name_that_glance_takes_no_quotes_around_has_a_question_of_its_own() -> None:
    assert image_api.name_filters({"b, c", 'a "1"', "d\\e"}) == ['in:"b, c"', 'eq:a "1"', "eq:d\\e"]


@pytest.mark.parametrize(
    ("key", "value", "fits"),
    [
        ("images", [{}], True),
        ("images", [[]], False),
        ("images", {}, False),
        ("members", [{"member_id": "a", "status": "accepted"}], True),
        ("members", [{"member_id": "a"}], False),
        ("registered_limits", [{"resource_name": "image_count_total", "default_limit": 7}], True),
        ("registered_limits", [{"resource_name": "image_count_total", "default_limit": True}], False),
        ("usage", {"image_size_total": {"usage": 1, "limit": 2}}, True),
        ("usage", {"image_size_total": {"usage": 1}}, False),
        ("usage", [], False),
        ("project", {"id": "a", "name": "b"}, True),
        ("project", {"id": "a"}, False),
        ("project", "a", False),
        ("import-methods", {"value": ["glance-direct"]}, True),
        ("import-methods", {"value": "glance-direct"}, False),
        ("import-methods", {}, False),
        ("import-methods", [], False),
        ("id", "a", True),
        ("id", "a/b", False),
        ("versions", None, True),
    ],
)
def test_an_answer_is_believed_only_in_the_shape_of_its_service(key: str, value: Any, fits: bool) -> None:
    assert image_api.is_shaped({key: value}, key) is fits


@pytest.mark.parametrize("answer", [[], None, "images", {}])
def test_an_answer_without_the_key_that_was_asked_for_is_not_believed(answer: Any) -> None:
    assert not image_api.is_shaped(answer, "images")


@pytest.mark.parametrize(
    ("method", "path", "statuses"),
    [
        ("DELETE", "/images/a", (204,)),
        ("PUT", "/images/a/stage", (204,)),
        ("POST", "/images/a/actions/deactivate", (204,)),
        ("POST", "/images/a/import", (202,)),
        ("POST", "/images", (201,)),
        ("GET", "/images/a/file", (200, 204)),
        ("GET", "/images/a", (200,)),
        ("PATCH", "/images/a", (200,)),
        ("POST", "/images/a/members", (200,)),
    ],
)
def test_only_the_statuses_of_the_api_reference_are_a_success(
    method: str, path: str, statuses: tuple[int, ...]
) -> None:
    assert image_api.success_statuses(method, path) == statuses


def test_the_next_page_is_a_page_of_the_same_listing() -> None:
    assert image_api.next_page("/v2/images?limit=2&marker=b") == ("/images?limit=2&marker=b", "b")


@pytest.mark.parametrize(
    "link",
    [
        None,
        7,
        "/v2/images",
        "/v2/images?marker=a&marker=b",
        "/v2/tasks?marker=a",
        "/v2/images?marker=a#b",
        "https://elsewhere.example/v2/images?marker=a",
        "//elsewhere.example/v2/images?marker=a",
        "//[::1/v2/images?marker=a",
        "/v2/images?" + "&".join(f"a{number}=1" for number in range(101)),
    ],
)
def test_a_link_that_leads_elsewhere_is_not_followed(link: object) -> None:
    assert image_api.next_page(link) is None


def test_the_newer_state_of_an_image_counts_and_of_one_second_the_later_answer() -> None:
    def image(name: str, second: int) -> Image:
        return Image(name, "public", id="a", updated_at=f"2026-11-22T10:00:0{second}Z")

    images: dict[str, Image] = {}
    for name, second, kept in (("first", 1, "first"), ("older", 0, "first"), ("same", 1, "same"), ("new", 2, "new")):
        image_api.keep_newer(images, image(name, second))
        assert images["a"].name == kept


def test_an_answer_began_before_its_date_by_what_it_took_and_what_clocks_may_differ() -> None:
    date = "Sun, 22 Nov 2026 10:00:00 GMT"
    assert (
        image_api.server_time(date, 5.0)
        == datetime(2026, 11, 22, 10, tzinfo=UTC) - timedelta(seconds=5) - image_api.MARGIN
    )


@pytest.mark.parametrize("date", ["", "soon", "Sun, 99 Nov 2026 10:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2300"])
def test_an_answer_without_a_date_that_can_be_read_began_at_no_known_time(date: str) -> None:
    assert image_api.server_time(date, 5.0) is None
