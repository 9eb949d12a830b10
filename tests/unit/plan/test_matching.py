"""Images of other projects that look like ours."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from tests.support.plans import definition, settled

from openstack_image_manager.model import Image
from openstack_image_manager.plan.markers import PENDING, VERIFIED
from openstack_image_manager.plan.matching import foreign_image_errors, identify, namesake_findings


@pytest.mark.parametrize(("enable", "force", "told"), [(True, False, 1), (False, False, 0), (False, True, 1)])
def test_a_definition_with_images_of_another_project_is_an_error(enable: bool, force: bool, told: int) -> None:
    theirs = [
        replace(image, owner="theirs") for image in settled([definition(versions=["1", "2"]), definition("Other")])
    ]
    findings = foreign_image_errors(theirs, [definition(enable=enable)], force)
    assert len(findings) == told
    for finding in findings:
        assert (finding.level, finding.subject) == ("error", "Ubuntu 24.04")
        assert "belongs to project theirs (there are 2)" in finding.message


@pytest.mark.parametrize(
    ("properties", "key"),
    [
        ({}, ("B", "2")),
        ({"image_name": "gone", "internal_version": "7"}, ("B", "2")),
        ({"image_name": "A"}, ("B", "2")),
        ({"image_description": "A", "internal_version": "7"}, ("B", "2")),
        # What an image of ours says of itself goes before an id that was moved to another version.
        ({"image_name": "A", "internal_version": "7"}, ("A", "7")),
        ({"image_name": "B", "internal_version": "1"}, ("B", "1")),
    ],
)
def test_an_id_in_a_definition_says_which_image_is_meant(properties: dict[str, str], key: tuple[str, str]) -> None:
    chosen = "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
    version = {"version": "2", "url": "https://example.org/2.img", "id": chosen}
    known = {each.name: each for each in (definition("A", ["1"]), definition("B", ["1", version]))}
    assert identify(Image("A", "public", id=chosen, properties=properties), known) == key
    assert identify(Image("x", "public", id="", properties={}), known) is None


@pytest.mark.parametrize(
    ("source", "version"),
    [
        ("https://example.org/a?k=1", "1"),  # as other tools keep it
        ("https://example.org/b?j=2", "2"),  # as older releases kept it, without the user
        ("https://example.org/b", "2"),
        ("https://example.org/a", None),  # of two versions
        ("private", None),
        ("", None),
    ],
)
def test_an_image_is_known_by_its_source_whatever_is_kept_of_the_query(source: str, version: str | None) -> None:
    urls = {"1": "https://example.org/a?k=1", "2": "https://u:p@example.org/b?j=2", "3": "https://example.org/a?k=3"}
    known = definition("A", [{"version": each, "url": url} for each, url in urls.items()])
    image = Image("A", "public", id="1", properties={"image_source": source})
    assert identify(image, {"A": known}) == (("A", version) if version else None)


def test_no_word_about_a_record_that_another_run_is_just_making() -> None:
    """Glance writes its tags after all else."""
    made = Image("Ubuntu", "private", status="queued", owner="ours", id="1", properties={VERIFIED: PENDING + "none"})
    assert namesake_findings([made], "tag", "ours") == []
    (finding,) = namesake_findings([replace(made, status="active")], "tag", "ours")
    assert finding.message.startswith("1 has the same name, but not the tag tag: not changed")


@pytest.mark.parametrize("visibility", ["public", "community"])
def test_an_image_of_another_project_that_everybody_finds_under_the_name_is_told(visibility: Any) -> None:
    (finding,) = namesake_findings([Image("Ubuntu", visibility, owner="theirs", id="1")], "tag", "ours")
    assert (finding.level, finding.subject) == ("note", "Ubuntu")
    assert finding.message == f"the {visibility} image 1 of project theirs has the same name: not changed"


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (["a", "a"], "2 community images of project a have the same name (00, 01): not changed"),
        (["a"] * 39 + ["b"], "40 community images of 2 projects have the same name (00, 01, 02, …): not changed"),
    ],
)
def test_many_images_of_others_are_one_line(owners: list[str], said: str) -> None:
    images = [Image("Ubuntu", "community", owner=owner, id=f"{n:02}") for n, owner in enumerate(owners)]
    one = Image("Ubuntu", "public", owner="b", id="99")
    assert [each.message for each in namesake_findings([*images, one], "tag", "ours")] == [
        said,
        "the public image 99 of project b has the same name: not changed",
    ]


@pytest.mark.parametrize("visibility", ["shared", "private"])
def test_no_word_about_an_image_of_another_project_that_few_find_under_the_name(visibility: Any) -> None:
    assert namesake_findings([Image("Ubuntu", visibility, owner="theirs", id="1")], "tag", "ours") == []
