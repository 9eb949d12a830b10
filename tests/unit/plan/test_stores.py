"""Copies between the stores of a Glance: steps of their own, after all names."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.plans import definition, fields, made, only, planned, settled

FAST, BOTH = frozenset({"fast"}), frozenset({"fast", "slow"})


def in_store(*definitions: Any) -> list[Any]:
    """The images of the definitions, in the store `fast`."""
    return [replace(image, stores=FAST) for image in settled(list(definitions))]


def test_where_only_the_stores_differ_only_they_change() -> None:
    found = in_store(definition())
    copy = only(planned([definition(stores=["fast", "slow"])], found))
    assert fields(copy) == {"stores": (FAST, BOTH)}
    assert copy.reason == "its stores differ"
    assert planned([definition(stores=["fast", "slow"])], [copy.wanted]).changes == ()


def test_an_image_changes_at_once_and_is_copied_after_the_names_of_all_images() -> None:
    """A store may be down for days; nobody waits for it who looks for an image by its name."""
    found = in_store(definition(versions=["1"]))
    rotated = planned([definition(versions=["1", "2"], stores=["fast", "slow"], min_ram=1)], found)
    create, renamed, copied = rotated.changes
    assert (create.wanted.name, create.wanted.stores) == ("Ubuntu 24.04", BOTH)
    assert (renamed.wanted.name, renamed.wanted.stores, "stores" in fields(renamed)) == (
        "Ubuntu 24.04 (1)",
        FAST,
        False,
    )
    assert [change.is_copy for change in (renamed, copied)] == [False, True]
    assert (copied.found, fields(copied)) == (renamed.wanted, {"stores": (FAST, BOTH)})
    assert made(rotated, found)[0].stores == BOTH


def test_a_definition_without_stores_leaves_images_where_they_are() -> None:
    found = in_store(definition())
    assert "stores" not in fields(only(planned([definition(min_ram=1)], found)))
