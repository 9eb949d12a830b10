"""Whose image stands for a version, what is believed of images of other projects, and builds that are ahead."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.support.plans import TODAY, by_version, definition, made, settled, withdrawn

from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.errors import Error
from openstack_image_manager.model import Image
from openstack_image_manager.plan import desired, markers
from openstack_image_manager.plan.matching import id_conflicts
from openstack_image_manager.plan.model import Create, Delete, Policy, Update
from openstack_image_manager.plan.ownership import Claim, claim_of
from openstack_image_manager.plan.planner import beyond_limit, one_by_id, plan

NAME = "Ubuntu 24.04"
OURS = Policy(project="ours")
DELETING = replace(OURS, outdated="delete", unknown_usage="delete")
GOOD, BAD = "1" * 128, "2" * 128


def version(name: str, checksum: str | None = f"sha512:{GOOD}", **fields: Any) -> dict[str, Any]:
    return {"version": name, "url": f"https://example.org/{name}.img", "checksum": checksum, **fields}


def own(wanted: Definition, policy: Policy = OURS) -> list[Image]:
    """The cloud after a run, with the bytes of GOOD in each image; the newest version first."""
    images = sorted(settled([wanted], policy), key=lambda image: image.properties["internal_version"], reverse=True)
    return [bytes_of(image, GOOD) for image in images]


def bytes_of(image: Image, digest: str) -> Image:
    return replace(image, hash_algorithm="sha512", hash_value=digest)


def marked(image: Image, **properties: str | None) -> Image:
    """The image with other properties; None: without."""
    values = {**image.properties, **properties}
    return replace(image, properties={key: value for key, value in values.items() if value is not None})


def verified(image: Image, digest: str = GOOD) -> Image:
    return marked(image, **{markers.VERIFIED: f"sha512:{digest} before import"})


def deleted(changes: Any) -> list[str]:
    return [change.found.id for change in changes if isinstance(change, Delete)]


def test_an_image_that_is_listed_twice_is_one() -> None:
    wanted = definition(versions=["1", "2"])
    found = settled([wanted])
    older = [replace(image, name="as it was", updated_at="2020") for image in found]
    now = [replace(image, updated_at="2021") for image in found]
    assert one_by_id([*older, *now, *older]) == now
    result = plan([wanted], [*older, *now, *now], DELETING, TODAY, usage=lambda _: 0)
    assert (result.changes, result.findings) == ((), ())


@pytest.mark.parametrize("visibility", ["public", "private"])
def test_right_bytes_stand_before_wrong_ones_that_are_older_and_seen_by_more(visibility: str) -> None:
    wanted = definition(versions=[version("1")])
    (image,) = own(wanted)
    right = verified(replace(image, id="right", visibility=visibility))
    wrong = bytes_of(replace(image, id="wrong", created_at="2020"), BAD)
    changes = plan([wanted], [wrong, right], DELETING, TODAY, usage=lambda _: 0).changes
    assert deleted(changes) == ["wrong"]
    by_glance = marked(replace(right), **{markers.VERIFIED: None})
    assert deleted(plan([wanted], [wrong, by_glance], DELETING, TODAY, usage=lambda _: 0).changes) == ["wrong"]


def test_ours_stands_before_a_public_one_of_others() -> None:
    wanted = definition(versions=[version("1")], visibility="community")
    (ours,) = own(wanted)
    theirs = replace(ours, id="theirs", owner="them", visibility="public", created_at="2020")
    result = plan([wanted], [theirs, ours], DELETING, TODAY, usage=lambda _: 0)
    assert deleted(result.changes) == []
    after = {image.id: image for image in made(result, [theirs, ours])}
    assert (after["theirs"].visibility, after["theirs"].hidden) == ("public", True)
    assert after[ours.id] == ours


def test_evidence_counts_beside_the_bytes_that_it_names() -> None:
    wanted = definition(versions=[version("1", f"sha256:{'3' * 64}")])
    (image,) = own(wanted)
    said = f"sha256:{'3' * 64} before import"
    there = marked(image, **{markers.VERIFIED: said, markers.BYTES: f"sha512:{GOOD}"})
    assert markers.verified_checksum(there) == f"sha256:{'3' * 64}"
    copied = bytes_of(there, BAD)
    assert markers.verified_checksum(copied) == ""
    (one,) = wanted.versions
    assert claim_of(wanted, one, there, "ours") is Claim.RIGHT
    assert claim_of(wanted, one, copied, "ours") is Claim.OURS
    unbound = marked(there, **{markers.BYTES: None})
    assert claim_of(wanted, one, unbound, "ours") is Claim.OURS
    of_glance = definition(versions=[version("1")])
    assert claim_of(of_glance, of_glance.versions[0], verified(bytes_of(unbound, BAD)), "ours") is Claim.OURS_WRONG
    undefined = [claim_of(wanted, None, each, "ours") for each in (there, unbound)]
    assert undefined == [Claim.RIGHT, Claim.OURS]
    pending = marked(image, **{markers.VERIFIED: markers.PENDING + said})
    role = plan([wanted], [], OURS, TODAY).changes[0]
    assert isinstance(role, Create)
    published = desired.wanted_image(wanted, one, role.role, OURS.tag, pending)
    assert published.properties[markers.BYTES] == f"sha512:{GOOD}"


def test_a_copy_with_other_bytes_is_not_taken_for_the_image_it_was_copied_from() -> None:
    """Its evidence names no bytes, and it is older and seen by more people."""
    wanted = definition(versions=[version("1", f"sha256:{'3' * 64}")])
    (image,) = own(wanted)
    said = {markers.VERIFIED: f"sha256:{'3' * 64} before import"}
    right = marked(image, **said, **{markers.BYTES: f"sha512:{GOOD}"})
    right = replace(right, visibility="community")
    copied = bytes_of(replace(marked(image, **said), id="copied", created_at="2020"), BAD)
    changes = plan([wanted], [copied, right], DELETING, TODAY, usage=lambda _: 0).changes
    assert deleted(changes) == ["copied"]


@pytest.mark.parametrize("checksum", [f"sha256:{'3' * 64}", f"sha512:{GOOD}"])
def test_an_image_of_an_earlier_release_stays_as_it_is(checksum: str) -> None:
    """Releases before this one wrote what was verified, and not which bytes."""
    wanted = definition(versions=[version("1", checksum)])
    cloud = [marked(image, **{markers.VERIFIED: f"{checksum} before import"}) for image in own(wanted)]
    result = plan([wanted], cloud, DELETING, TODAY, usage=lambda _: 0)
    assert (result.changes, result.findings) == ((), ())


@pytest.mark.parametrize(
    ("image", "claim"),
    [
        ({}, Claim.OURS),
        ({"hash_value": GOOD}, Claim.RIGHT),
        ({"hash_value": BAD}, Claim.WRONG),
        ({"hash_value": BAD, "properties": {markers.VERIFIED: "none"}}, Claim.OURS_WRONG),
        ({"hash_value": BAD, "disk_format": "raw"}, Claim.OURS),
        ({"owner": "x"}, Claim.OWNERS),
        ({"owner": "x", "hash_value": GOOD}, Claim.PROVEN),
        ({"owner": "x", "hash_value": BAD}, Claim.WRONG),
        ({"owner": "y"}, Claim.FOREIGN),
        ({"owner": "y", "hash_value": GOOD}, Claim.PROVEN),
        ({"owner": "y", "hash_value": BAD}, Claim.WRONG),
        ({"id": "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"}, Claim.NAMED),
    ],
)
def test_claims(image: Mapping[str, Any], claim: Claim) -> None:
    one = version("1", id="6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f")
    wanted = definition(versions=[one], owner="x")
    algorithm = "sha512" if "hash_value" in image else "sha256"
    found = Image("U", "public", owner="ours", disk_format="qcow2", id="i", hash_algorithm=algorithm, hash_value="0")
    assert claim_of(wanted, wanted.versions[0], replace(found, **image), "ours") is claim
    packed = definition(versions=[{**one, "url": "https://example.org/1.img.xz"}], owner="x")
    if claim in (Claim.OURS_WRONG, Claim.WRONG):
        assert claim_of(packed, packed.versions[0], replace(found, **image), "ours") < claim


def test_right_bytes_of_others_are_no_reason_to_show_them_to_more_people() -> None:
    wanted = definition(versions=[version("1")], owner="x")
    (one,) = wanted.versions
    private = bytes_of(Image("U", "private", owner="x", disk_format="qcow2"), GOOD)
    assert claim_of(wanted, one, private, "ours") is Claim.OWNERS
    public = replace(private, visibility="public", owner="y")
    assert claim_of(wanted, one, public, "ours") is Claim.PROVEN
    assert claim_of(wanted, one, replace(public, disk_format="raw"), "ours") is Claim.WRONG
    # To narrow it would put it out of our hands.
    for narrow in ("community", "shared", "private"):
        kept = wanted.model_copy(update={"visibility": narrow})
        assert claim_of(kept, one, public, "ours") is Claim.FOREIGN


@pytest.mark.parametrize("owner", ["x", None])
def test_what_others_have_hidden_is_not_shown_again(owner: str | None) -> None:
    """Not even with the right bytes: who hid it has a reason, and wrote all else, too."""
    wanted = definition(versions=[version("2"), version("1")], owner=owner)
    two, one = own(wanted)
    theirs = replace(two, id="theirs", owner=owner or "them", hidden=True)
    result = plan([wanted], [theirs, one], OURS, TODAY)
    assert [c.version.version for c in result.changes if isinstance(c, Create)] == ["2"]
    after = [bytes_of(image, GOOD) for image in made(result, [theirs, one])]
    assert [image.hidden for image in after if image.id == "theirs"] == [True]
    assert [image.name for image in after if not image.hidden] == [f"{NAME} (1)", NAME]
    assert plan([wanted], after, OURS, TODAY).changes == ()
    # Also when there is no other one any more.
    left = [image for image in after if image.id in ("theirs", one.id)]
    assert [c.version.version for c in plan([wanted], left, OURS, TODAY).changes if isinstance(c, Create)] == ["2"]
    # Where the definition hides it, or a run did, nobody else has decided.
    hidden = definition(versions=[version("2", hidden=True), version("1")], owner=owner)
    assert not [c for c in plan([hidden], [theirs, one], OURS, TODAY).changes if isinstance(c, Create)]
    by_us = marked(theirs, **{markers.HIDDEN_SINCE: "2026-01-01"})
    result = plan([wanted], [by_us, one], OURS, TODAY)
    assert [image.hidden for image in made(result, [by_us, one])] == [False, False]


def test_an_older_version_comes_in_beside_what_the_owner_keeps_from_others() -> None:
    versions = [version(each, f"sha256:{'3' * 64}") for each in ("1", "2", "3")]
    wanted = definition(versions=versions, owner="x", meta={"uuid_validity": "last-2"})
    cloud = [replace(image, owner="x") for image in own(wanted)]
    by = by_version(cloud)
    assert by["1"].visibility == "community"  # it is outdated, so it stays as it is
    assert plan([wanted], cloud, OURS, TODAY).changes == ()
    private = replace(by["2"], visibility="private")
    result = plan([wanted], [by["1"], private, by["3"]], OURS, TODAY)
    assert [change.version.version for change in result.changes if isinstance(change, Create)] == ["2"]
    undefined = definition(versions=[versions[0], versions[2]], owner="x", meta={"uuid_validity": "last-2"})
    result = plan([undefined], [by["1"], private, by["3"]], OURS, TODAY)
    # What is not defined is not imported: the one before it takes its place.
    assert [change.version.version for change in result.changes if isinstance(change, Create)] == ["1"]


def test_images_of_others_have_a_limit_of_deletes_of_their_own() -> None:
    one = version("3", f"sha256:{'3' * 64}")
    wanted = definition(versions=[one], owner="x", meta={"uuid_validity": "none"})
    (image,) = own(wanted)
    theirs = [
        replace(marked(image, internal_version=each), id=each, owner="x", name=f"{NAME} ({each})")
        for each in ("1", "2")
    ]
    there = [replace(image, owner="x"), *theirs]
    for most, gone in ((2, ["1", "2"]), (1, [])):
        policy = replace(DELETING, max_deletes=most)
        result = plan([wanted], there, policy, TODAY, usage=lambda _: 0)
        assert sorted(deleted(result.changes)) == gone
        assert beyond_limit(result, policy) is None
        told = (
            "2 images of project x would be deleted, and --max-deletes allows 1: they stay; look at them, and give a "
            "larger number to delete them"
        )
        assert any(told == finding.message for finding in result.findings) == (not gone)
    ours = [replace(each, owner="ours") for each in there]
    own_limit = replace(DELETING, max_deletes=1)
    result = plan([wanted.model_copy(update={"owner": None})], ours, own_limit, TODAY, usage=lambda _: 0)
    assert "the plan deletes 2 images, and --max-deletes allows 1" in str(beyond_limit(result, own_limit))


def test_the_digest_at_the_mirror_counts_for_an_unpacked_image() -> None:
    one = version("1", f"sha256:{'3' * 64}", mirror_checksum=f"sha512:{GOOD}")
    found = bytes_of(Image("U", "public", owner="them", disk_format="qcow2"), GOOD)
    for url, claim in (("https://example.org/1.img.xz", Claim.PROVEN), (one["url"], Claim.FOREIGN)):
        wanted = definition(versions=[{**one, "url": url}])
        assert claim_of(wanted, wanted.versions[0], found, "ours") is claim


FORGED = {
    markers.VERIFIED: f"pending sha512:{GOOD} before import",
    markers.PINNED_OVER: "9",
    markers.ROLLED_BACK: "2026-01-01",
    markers.RUN: "x",
}


@pytest.mark.parametrize("checksum", [None, f"sha256:{'3' * 64}", f"sha512:{GOOD}"])
@pytest.mark.parametrize("build", ["1", "1.5", "2", "3"])
def test_a_private_image_of_the_owner_is_not_published_and_hides_nothing(build: str, checksum: str | None) -> None:
    """Its bytes are others, or cannot be compared: the definition's owner could have written all else."""
    wanted = definition(versions=[version("1", checksum), version("2", checksum)], owner="x")
    healthy = [replace(image, owner="x") for image in own(wanted)]
    forged = replace(healthy[0], id="forged", name="whatever", visibility="private", created_at="2020")
    forged = bytes_of(marked(forged, internal_version=build, **FORGED), BAD)
    before = {image.id: image for image in healthy}
    result = plan([wanted], [forged, *healthy], DELETING, TODAY, usage=lambda _: 0)
    after = {image.id: image for image in made(result, [forged, *healthy])}
    assert {key: image for key, image in after.items() if key in before} == before
    if "forged" in after:
        assert after["forged"].visibility == "private"
        assert after["forged"].name != NAME


def test_what_the_owner_planted_before_the_import_does_not_replace_it() -> None:
    wanted = definition(versions=[version("1", f"sha256:{'3' * 64}")], owner="x")
    image = replace(own(wanted)[0], id="forged", owner="x", visibility="private")
    result = plan([wanted], [marked(image, **FORGED)], OURS, TODAY)
    assert [change.version.version for change in result.changes if isinstance(change, Create)] == ["1"]
    assert any("forged of project x claims to be version 1: not trusted" in f.message for f in result.findings)
    narrowed = [change.wanted for change in result.changes if isinstance(change, Update)]
    assert [(each.visibility, each.name == NAME) for each in narrowed] == [("private", False)]
    assert not {*FORGED} & narrowed[0].properties.keys()


def test_what_was_given_to_the_owner_is_looked_after() -> None:
    """A sha256 cannot be compared with Glance's sha512, so as many people must see it already."""
    versions = [version(each, f"sha256:{'3' * 64}") for each in ("1", "2")]
    wanted = definition(versions=versions, owner="x", meta={"uuid_validity": "none"})
    given_away = [replace(image, owner="x") for image in own(wanted)]
    assert plan([wanted], given_away, OURS, TODAY).changes == ()
    wider = definition(versions=versions, owner="x", visibility="public", min_ram=5)
    narrow = [replace(image, visibility="community") if image.name == NAME else image for image in given_away]
    changes = plan([wider], narrow, OURS, TODAY).changes
    assert all(c.wanted.visibility == c.found.visibility for c in changes if isinstance(c, Update))


def test_a_shared_image_of_the_owner_gets_no_new_members() -> None:
    one = version("1", f"sha256:{'3' * 64}")
    members = [{"project": "a"}, {"project": "b"}]
    wanted = definition(versions=[one], owner="x", visibility="shared", members=members)
    (image,) = own(wanted)
    there = replace(image, owner="x", members=frozenset({"a", "c"}))
    create, change = plan([wanted], [there], OURS, TODAY).changes
    assert isinstance(create, Create)
    assert create.wanted.members == frozenset({"a", "b"})
    assert isinstance(change, Update)
    assert change.wanted.members == frozenset({"a"})
    seen_by_all = replace(there, members=frozenset({"a", "b", "c"}))
    (change,) = plan([wanted], [seen_by_all], OURS, TODAY).changes
    assert isinstance(change, Update)
    assert change.wanted.members == frozenset({"a", "b"})


@pytest.mark.parametrize("checksum", [f"sha256:{'3' * 64}", f"sha512:{GOOD}"])
@pytest.mark.parametrize("build", ["1", "2"])
def test_an_image_of_the_owner_gets_no_members_for_its_right_bytes(checksum: str, build: str) -> None:
    """Its project wrote all else, such as kernel_id, and could not have others boot it by itself."""
    members = [{"project": "a"}, {"project": "b"}]
    versions = [version("1", checksum), version("2", checksum)]
    wanted = definition(versions=versions, owner="x", visibility="shared", members=members)
    cloud = by_version([replace(image, owner="x") for image in own(wanted)])
    assert plan([wanted], list(cloud.values()), OURS, TODAY).changes == ()
    named = frozenset({"a"})
    cloud[build] = marked(replace(cloud[build], members=named), kernel_id="theirs")
    result = plan([wanted], list(cloud.values()), OURS, TODAY)
    assert [change.version.version for change in result.changes if isinstance(change, Create)] == [build]
    for change in result.changes:
        assert isinstance(change, Create) or (change.found.id == cloud[build].id)
        assert isinstance(change, Create) or (isinstance(change, Update) and (change.wanted.members or named) <= named)
    none_named = definition(versions=versions, owner="x", visibility="shared")
    unknown = [replace(image, members=None) for image in cloud.values()]
    assert not any(isinstance(change, Create) for change in plan([none_named], unknown, OURS, TODAY).changes)


def edited(wanted: Definition) -> Definition:
    """The definition with another checksum of its first version than that with which it was imported."""
    first, *rest = wanted.versions
    other = first.model_copy(update={"checksum": f"sha512:{BAD}"})
    return wanted.model_copy(update={"versions": [other, *rest]})


NARROW = [{"visibility": "private"}, {"visibility": "community"}, {"hidden": True}]


@pytest.mark.parametrize("seen", NARROW)
def test_bytes_that_are_known_to_be_wrong_are_shown_to_no_more_people(seen: dict[str, Any]) -> None:
    wanted = definition(versions=[version("2"), version("1")])
    two, one = (verified(replace(image, owner="ours")) for image in own(wanted))
    kept = edited(wanted)
    # What is in sight stays there, with a warning.
    result = plan([kept], [two, one], DELETING, TODAY, usage=lambda _: 0)
    assert result.changes == ()
    assert any(f"but {two.id} was verified with" in finding.message for finding in result.findings)
    out_of_sight = marked(replace(two, name=f"{NAME} (2)", **seen), **{markers.HIDDEN_SINCE: "2026-01-01"})
    current = replace(one, name=NAME)
    for images in ([out_of_sight], [out_of_sight, current], [replace(out_of_sight, name=NAME), current]):
        result = plan([kept], images, OURS, TODAY)
        assert [c.version.version for c in result.changes if isinstance(c, Create)][:1] == ["2"]
        after = next(image for image in made(result, images) if image.id == two.id)
        assert (after.visibility, after.hidden, after.name) == (*seen_as(out_of_sight), f"{NAME} (2)")


def test_wrong_bytes_in_sight_are_narrowed_once() -> None:
    wanted = definition(versions=[version("1")])
    images = [replace(verified(replace(image, owner="ours")), members=frozenset()) for image in own(wanted)]
    narrow = definition(versions=[version("1")], visibility="shared", members=["shop"])
    result = plan([edited(narrow)], images, OURS, TODAY)
    after = made(result, images)
    assert [(image.visibility, image.members) for image in after] == [("shared", frozenset({"shop"}))]
    assert plan([edited(narrow)], after, OURS, TODAY).changes == ()


def seen_as(image: Image) -> tuple[str, bool]:
    return image.visibility, image.hidden


def test_wrong_bytes_that_are_to_stay_out_of_sight_are_not_imported_anew() -> None:
    versions = [version("1"), version("2"), version("3")]
    wanted = definition(versions=versions, meta={"uuid_validity": "last-2"})
    for use_os_hidden in (False, True):
        policy = replace(OURS, use_os_hidden=use_os_hidden)
        cloud = [verified(replace(image, owner="ours")) for image in own(wanted, policy)]
        assert by_version(cloud)["1"].hidden == use_os_hidden
        assert plan([edited(wanted)], cloud, policy, TODAY).changes == ()
    kept_private = definition(versions=[version("1", visibility="private", hidden=True), version("2")])
    cloud = [verified(replace(image, owner="ours")) for image in own(kept_private)]
    assert plan([edited(kept_private)], cloud, OURS, TODAY).changes == ()
    withdrawn_one = definition(versions=[version("1", withdrawn=True), version("2")])
    after = by_version(made(plan([edited(withdrawn_one)], cloud, OURS, TODAY), cloud))
    assert seen_as(after["1"]) == ("private", True)


def test_a_rollback_does_not_choose_wrong_bytes_that_nobody_sees() -> None:
    wanted = definition(versions=[version("1"), version("2")], meta={"uuid_validity": "none"})
    cloud = [verified(replace(image, owner="ours")) for image in own(wanted)]
    with pytest.raises(Error, match="no good build is before 2"):
        plan([edited(wanted)], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""})


RELABELLED = [("99999991", "99999992", "99999993"), ("2.1", "2.2", "2.3"), ("1.1", "2.1", "99999993")]


@pytest.mark.parametrize("builds", RELABELLED)
@pytest.mark.parametrize("visibility", ["public", "community"])
@pytest.mark.parametrize("project", ["ours", "x"])
def test_what_the_owner_relabels_takes_no_place_of_ours(builds: tuple[str, ...], visibility: str, project: str) -> None:
    """Of a project with rights for images that it was given: ours, and those of it with the right bytes, stay."""
    before = by_version(own(definition(versions=[version(each) for each in ("1", "2", "3")], visibility=visibility)))
    if project == "x":
        del before["1"]  # not defined: its bytes cannot be compared either
    wanted = definition(versions=[version("2"), version("3")], owner="x", visibility=visibility)
    healthy = [replace(image, owner=project) for image in before.values()]
    forged = [bytes_of(marked(healthy[0], internal_version=build), BAD) for build in builds]
    forged = [replace(image, id=f"x{n}", owner="x", name=NAME) for n, image in enumerate(forged)]
    alone = plan([wanted], healthy, DELETING, TODAY, usage=lambda _: 0)
    result = plan([wanted], [*forged, *healthy], DELETING, TODAY, usage=lambda _: 0)
    kept = {image.id for image in healthy}
    changes = [c for c in result.changes if isinstance(c, Create) or c.found.id in kept]
    assert [replace(c, keeper=None) if isinstance(c, Update) else c for c in changes] == list(alone.changes)


@pytest.mark.parametrize(("build", "kept"), [("1", False), ("99999999", True)])
def test_an_older_public_image_of_others_gives_the_plain_name_up(build: str, kept: bool) -> None:
    """Its version is not defined any more, so nothing proves it; users would find two images of that name."""
    wanted = definition(versions=[version("2")])
    theirs = replace(marked(own(wanted)[0], internal_version=build), id="theirs", owner="them")
    for cloud in ([theirs], [theirs, *own(wanted)]):
        result = plan([wanted], cloud, DELETING, TODAY, usage=lambda _: 0)
        after = {image.id: image for image in made(result, cloud)}
        assert (after["theirs"].name == NAME) == kept
        assert replace(after["theirs"], name=NAME) == replace(theirs, properties=after["theirs"].properties)
        assert [image.properties["internal_version"] for image in after.values() if image.name == NAME][-1] == "2"
        assert plan([wanted], list(after.values()), DELETING, TODAY, usage=lambda _: 0).changes == ()
    aside = definition(versions=[version("2")], multi=False)
    result = plan([aside], [replace(theirs, name=f"{NAME} 1"), *own(aside)], DELETING, TODAY, usage=lambda _: 0)
    assert result.changes == ()


def test_what_the_owner_relabels_stops_no_import() -> None:
    wanted = definition(versions=[version("1"), version("2")], owner="x")
    forged = replace(own(wanted)[0], id="forged", owner="x", name=NAME)
    forged = bytes_of(marked(forged, internal_version="99999999"), BAD)
    result = plan([wanted], [forged], OURS, TODAY)
    assert [c.version.version for c in result.changes if isinstance(c, Create)] == ["2", "1"]
    assert len(result.changes) == 2
    assert any("forged of project x claims to be version 99999999" in f.message for f in result.findings)


def test_where_all_was_rolled_back_from_what_the_owner_relabels_is_not_the_current_one() -> None:
    cloud = settled([definition(versions=["1", "2"])])
    two = definition(versions=["2"])
    cloud = made(plan([two], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), cloud)
    cloud = [replace(marked(image, **{markers.PINNED_OVER: None}), owner="ours") for image in cloud]
    wanted = two.model_copy(update={"owner": "x"})
    forged = replace(marked(by_version(cloud)["1"], internal_version="1.5"), id="forged", owner="x")
    after = by_version(made(plan([wanted], [forged, *cloud], OURS, TODAY), [forged, *cloud]))
    assert {build: image.name for build, image in after.items() if image.name == NAME} == {"1": NAME}


def test_what_the_owner_was_given_makes_place_for_what_is_newer() -> None:
    """It counts among its own kind, and what is defined counts for all."""
    wanted = definition(versions=[version("5")], owner="x", meta={"uuid_validity": "last-3"})
    given_away = own(definition(versions=["1", "2", "3", "4", "5"], meta={"uuid_validity": "forever"}))
    cloud = [replace(image, owner="x") for image in given_away]
    after = by_version(made(plan([wanted], cloud, OURS, TODAY), cloud))
    assert {build for build, image in after.items() if image.visibility == "public"} == {"3", "4", "5"}


def test_a_rollback_from_an_image_of_another_project_is_planned_once() -> None:
    """Its mark is not trusted, so each plan wants to write it; it is there already."""
    wanted = definition(versions=[version("1"), version("2"), version("3")])
    cloud = [
        replace(image, owner="theirs" if name == "3" else "ours") for name, image in by_version(own(wanted)).items()
    ]
    cloud = made(plan([wanted], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), cloud)
    assert by_version(cloud)["3"].properties[markers.ROLLED_BACK] == TODAY.isoformat()
    assert not plan([wanted], cloud, OURS, TODAY).changes


def test_what_is_taken_from_another_project_is_hidden_as_ours_at_once() -> None:
    """Once it is ours, a later run would hide it once more in another way."""
    wanted = definition(
        versions=[version("1"), version("2")], owner="ours", former_owners=["x"], meta={"uuid_validity": "none"}
    )
    cloud = [replace(image, owner="x", visibility="public") for image in own(wanted)]
    cloud = made(plan([wanted], cloud, OURS, TODAY), cloud)
    assert {(image.owner, image.visibility) for image in cloud} == {("ours", "public"), ("ours", "community")}
    assert plan([wanted], cloud, OURS, TODAY).changes == ()


def test_what_was_hidden_before_it_was_given_away_is_not_imported_again() -> None:
    meta = {"uuid_validity": "none"}
    wanted = definition(versions=[version("1"), version("2")], owner="x", meta=meta)
    cloud = [replace(image, owner="x") for image in own(wanted)]
    assert {image.visibility for image in cloud} == {"public", "community"}
    assert plan([wanted], cloud, replace(OURS, outdated="keep"), TODAY).changes == ()


def test_a_withdrawn_version_is_not_taken_from_a_former_owner() -> None:
    ours = definition(versions=[version("1"), version("2")])
    now = definition(versions=[version("1", withdrawn=True), version("2")], owner="ours", former_owners=["x"])
    cloud = by_version(own(ours))
    one, two = replace(cloud["1"], owner="x", visibility="private"), replace(cloud["2"], owner="ours")
    result = plan([now], [two], DELETING, TODAY, usage=lambda _: 0, given=[one])
    assert result.changes == ()
    assert [finding.message for finding in result.findings] == [
        f"{one.id} stays with its former owner x: version {one.properties['internal_version']} is withdrawn"
    ]


def test_what_a_rollback_is_kept_on_is_not_given_away() -> None:
    """Its marks would no longer be trusted, and what was rolled back from would be current again."""
    ours = definition(versions=[version("1"), version("2"), version("3")])
    cloud = [replace(image, owner="ours") for image in own(ours)]
    cloud = made(plan([ours], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), cloud)
    given = ours.model_copy(update={"owner": "x"})
    result = plan([given], cloud, OURS, TODAY)
    after = by_version(made(result, cloud))
    assert {build: image.owner for build, image in after.items()} == {"1": "x", "2": "ours", "3": "ours"}
    assert after["2"].name == NAME
    assert plan([given], list(after.values()), OURS, TODAY).changes == ()
    kept = [finding.message for finding in result.findings if "stays with this project" in finding.message]
    assert len(kept) == 2
    assert after["3"].id in kept[-1]


@pytest.mark.parametrize("seen", [{"hidden": True}, {"visibility": "private"}])
def test_what_users_find_under_the_plain_name_stays_where_the_newer_build_is_hidden(seen: dict[str, Any]) -> None:
    """A run that is behind does not know why somebody has hidden the newest build."""
    meta = {"uuid_validity": "last-2"}
    cloud = by_version(settled([definition(versions=["1", "2", "3"], meta={"uuid_validity": "last-3"})]))
    cloud["3"] = replace(cloud["3"], **seen)
    cloud["1"] = replace(cloud["1"], name=NAME)
    behind = definition(versions=["1", "2"], meta=meta)
    for policy in (OURS, replace(OURS, outdated="delete")):
        result = plan([behind], list(cloud.values()), policy, TODAY, usage=lambda _: 0)
        after = by_version(made(result, list(cloud.values())))
        assert after["1"] == cloud["1"]
    cloud["1"] = replace(cloud["1"], **seen)
    assert by_version(made(plan([behind], list(cloud.values()), OURS, TODAY), list(cloud.values())))["1"].name != NAME


def test_what_stays_for_users_is_seen_by_no_more_people_than_is_defined() -> None:
    """A newer build that is not defined is hidden, so the older one keeps the plain name."""
    cloud = by_version(settled([definition(versions=["1", "2"], visibility="public")]))
    cloud["1"] = replace(cloud["1"], name=NAME)
    behind = definition(versions=["1"], visibility="community")
    cloud["2"] = replace(cloud["2"], hidden=True)
    after = by_version(made(plan([behind], list(cloud.values()), OURS, TODAY), list(cloud.values())))
    assert (after["1"].name, after["1"].visibility) == (NAME, "community")
    assert after["2"] == cloud["2"]
    assert plan([behind], list(after.values()), OURS, TODAY).changes == ()
    # As many see both once it is narrowed, so that it need not keep the name.
    cloud["2"] = replace(cloud["2"], hidden=False, visibility="community")
    after = by_version(made(plan([behind], list(cloud.values()), OURS, TODAY), list(cloud.values())))
    assert (after["1"].name, after["1"].visibility) == (f"{NAME} (1)", "community")
    assert plan([behind], list(after.values()), OURS, TODAY).changes == ()


def test_bytes_that_are_known_to_be_wrong_are_not_given_away() -> None:
    """Of another project they would count for nothing, and be imported again."""
    ours = definition(versions=[version("1"), version("2")])
    given = edited(ours).model_copy(update={"owner": "x"})
    cloud = [verified(replace(image, owner="ours")) for image in own(ours)]
    after = by_version(made(plan([given], cloud, OURS, TODAY), cloud))
    assert {build: image.owner for build, image in after.items()} == {"1": "ours", "2": "x"}
    assert plan([given], list(after.values()), OURS, TODAY).changes == ()


def test_our_own_interrupted_import_is_continued_beside_what_is_not_trusted() -> None:
    wanted = definition(versions=[version("1"), version("2")], owner="x")
    one, two = (replace(image, owner="x") for image in by_version(own(wanted)).values())
    theirs = replace(one, visibility="private")
    record = replace(one, id="ours", owner="ours", status="importing", visibility="private", hash_value=None)
    record = marked(record, **{markers.VERIFIED: f"pending sha512:{GOOD} before import"})
    result = plan([wanted], [theirs, record, two], OURS, TODAY)
    (create,) = [change for change in result.changes if isinstance(change, Create)]
    assert (create.leftover and create.leftover.id, create.reason) == (
        "ours",
        "ours is importing: an interrupted run left it",
    )
    assert [finding.message.partition(" ")[0] for finding in result.findings] == [theirs.id]


def test_a_withdrawn_version_of_the_owner_loses_the_plain_name_however_few_see_it() -> None:
    wanted = definition(versions=[version("1"), version("2")], owner="x", meta={"uuid_validity": "none"})
    cloud = by_version([replace(image, owner="x", visibility="public") for image in own(wanted)])
    cloud["2"] = replace(cloud["2"], visibility="shared", members=frozenset())
    now = definition(versions=[version("1"), version("2", withdrawn=True)], owner="x", meta={"uuid_validity": "none"})
    after = by_version(made(plan([now], list(cloud.values()), OURS, TODAY), list(cloud.values())))
    assert {build: image.name for build, image in after.items()} == {"1": NAME, "2": f"{NAME} (2)"}


def test_a_rollback_is_not_kept_where_others_could_write_it() -> None:
    wanted = definition(versions=["1", "2"], owner="x")
    with pytest.raises(Error, match="say 'withdrawn: true' on the version instead"):
        plan([wanted], settled([wanted]), OURS, TODAY, roll_back={NAME: ""})


@pytest.mark.parametrize("build", ["0", "1", "2"])
def test_an_empty_image_of_others_is_not_deleted(build: str) -> None:
    wanted = definition(versions=[version("1"), version("2")])
    healthy = [replace(image, owner="ours") for image in own(wanted)]
    empty = replace(healthy[0], id="empty", owner="them", status="queued", updated_at="2026-01-01")
    for digest in (None, GOOD):
        stranger = marked(replace(empty, hash_value=digest), internal_version=build)
        result = plan([wanted], [stranger, *healthy], DELETING, TODAY, usage=lambda _: 0)
        assert result.changes == ()
        result = plan([], [stranger], replace(DELETING, orphans="delete"), TODAY, names=["Other"], usage=lambda _: 0)
        assert result.changes == ()
        assert any("it belongs to project them, so it stays" in finding.message for finding in result.findings)


def test_an_orphan_of_others_is_hidden_and_stays_public() -> None:
    theirs = replace(settled([definition("Gone", versions=["1"])])[0], owner="them")
    policy = replace(OURS, orphans="hide")
    (change,) = plan([], [theirs], policy, TODAY, names=["Other"]).changes
    assert isinstance(change, Update)
    assert (change.wanted.visibility, change.wanted.hidden) == ("public", True)


def test_a_run_that_is_behind_changes_nothing_about_what_is_newer() -> None:
    cloud = settled([definition(versions=["1", "2", "3"], meta={"uuid_validity": "last-2"})])
    behind = definition(versions=["1", "2"], meta={"uuid_validity": "last-2"})
    result = plan([behind], cloud, DELETING, TODAY, usage=lambda _: 0)
    assert result.changes == ()
    assert [f.message.partition(":")[0] for f in result.findings] == ["the cloud is ahead of these definitions"]
    without_old = [image for image in cloud if image.properties["internal_version"] != "1"]
    assert plan([behind], without_old, DELETING, TODAY, usage=lambda _: 0).changes == ()
    twin = replace(by_version(cloud)["3"], id="twin", created_at="2030")
    assert plan([behind], [*cloud, twin], DELETING, TODAY, usage=lambda _: 0).changes == ()


def test_a_bad_build_that_is_ahead_is_hidden_and_not_deleted() -> None:
    cloud = settled([definition(versions=["1", "2"])])
    two = definition(versions=["1", "2"])
    cloud = made(plan([two], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), cloud)
    result = plan([definition(versions=["1"])], cloud, DELETING, TODAY, usage=lambda _: 0)
    assert result.changes == ()
    assert "is kept: newer than every defined version" in str(result.findings)


def test_a_run_that_is_behind_knows_it_after_a_rollback() -> None:
    """Retention has deleted what the old definitions know, and the newest build was rolled back from."""
    now = definition(versions=["3", "4"])
    cloud = settled([now])
    cloud = made(plan([now], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), cloud)
    four = by_version(cloud)["4"].id
    ahead = f"the cloud is ahead of these definitions: 4 ({four}) is newer than every defined version and stays;"
    for versions in (["1", "2", "3"], ["1", "2"]):
        result = plan([definition(versions=versions)], cloud, OURS, TODAY)
        assert result.changes == ()
        told = [finding.message for finding in result.findings if finding.level == "warning"]
        assert told[0].startswith(ahead if versions[2:] else "the cloud is ahead of these definitions: 3 (")
        assert f"4 ({four}" in told[0]
    assert [finding.level for finding in plan([now], cloud, OURS, TODAY).findings] == ["note"]  # of the rollback
    # Without any other build the newest that is defined has to be the current one.
    (bad,) = [image for image in cloud if image.id == four]
    result = plan([definition(versions=["1", "2"])], [bad], OURS, TODAY)
    assert [change.version.version for change in result.changes if isinstance(change, Create)] == ["2"]


def test_a_newest_version_that_is_not_imported_for_newer_builds_is_reported() -> None:
    """Somebody has renamed the versions of a definition."""
    cloud = settled([definition(versions=["20261115", "20261122"])])
    renamed = definition(versions=["1.1", "1.2"])
    result = plan([renamed], cloud, DELETING, TODAY, usage=lambda _: 0)
    assert result.changes == ()
    ahead, missing = (finding.message for finding in result.findings)
    assert ahead.startswith("the cloud is ahead of these definitions: 20261115 (")
    assert missing == (
        "version 1.2 is defined but not imported, for the cloud has newer builds: 20261115, 20261122; if the versions "
        "were renamed, keep these in the definition, too, with 'withdrawn: true'"
    )
    assert [(b.definition, b.missing and b.missing.version) for b in result.behind] == [(NAME, "1.2")]
    both = definition(versions=["1.1", "1.2", withdrawn("20261115"), withdrawn("20261122")])
    result = plan([both], cloud, OURS, TODAY)
    assert (result.findings, result.behind) == ((), ())
    after = by_version(made(result, cloud))
    assert {build: image.name for build, image in after.items() if image.visibility == "public"} == {
        "1.2": NAME,
        "1.1": f"{NAME} (1.1)",
    }


def test_what_is_ahead_and_was_hidden_before_is_not_shown_again() -> None:
    cloud = settled([definition(versions=["1", withdrawn("2")])], found=settled([definition(versions=["1", "2"])]))
    now = definition(versions=["1"])
    assert plan([now], cloud, DELETING, TODAY, usage=lambda _: 0).changes == ()


def test_a_withdrawn_version_is_hidden_or_deleted_and_never_imported() -> None:
    now = definition(versions=["1", "2", withdrawn("3")])
    assert {c.version.version for c in plan([now], [], OURS, TODAY).changes if isinstance(c, Create)} == {"1", "2"}
    cloud = settled([definition(versions=["1", "2", "3"])])
    for policy, kept in (
        (OURS, {"1", "2", "3"}),
        (replace(OURS, outdated="keep"), {"1", "2", "3"}),
        (DELETING, {"1", "2"}),
    ):
        after = by_version(made(plan([now], cloud, policy, TODAY, usage=lambda _: 0), cloud))
        assert (after.keys(), after["2"].name) == (kept, NAME)
        if "3" in after:
            assert after["3"].visibility == "community"
            (reason,) = {
                f.reason for c in plan([now], cloud, policy, TODAY).changes for f in c.fields if f.field == "visibility"
            }
            assert reason == "withdrawn in the definition"
    forever = definition(versions=["1", "2", withdrawn("3")], meta={"uuid_validity": "forever"})
    result = plan([forever], cloud, DELETING, TODAY, usage=lambda _: 0)
    assert not deleted(result.changes)
    assert "withdrawn in the definition, but its id is promised to stay" in str(result.findings)
    assert plan([definition(versions=[withdrawn("3")])], cloud, DELETING, TODAY, usage=lambda _: 0).changes == ()


def test_the_reason_of_a_withdrawn_version_is_not_that_it_is_undefined() -> None:
    now = definition(versions=["1", withdrawn("2"), "3"])
    cloud = settled([definition(versions=["1", "2", "3"])])
    reasons = {plan([now], cloud, each, TODAY, usage=lambda _: 0).changes[-1].reason for each in (OURS, DELETING)}
    assert reasons == {"withdrawn in the definition"}


def test_a_definition_without_wanted_versions_says_that_its_images_stay() -> None:
    cloud = settled([definition(versions=["1", "2"])])
    for versions in ([], [withdrawn("2")]):
        result = plan([definition(versions=versions)], cloud, DELETING, TODAY, usage=lambda _: 0)
        assert result.changes == ()
        assert [(f.level, f.subject, f.message) for f in result.findings] == [
            (
                "note",
                NAME,
                "no version is wanted: what the cloud has (2 images) stays as it is; to remove it, remove the "
                "definition and use --orphans hide or delete",
            )
        ]
        assert plan([definition(versions=versions)], [], DELETING, TODAY).findings == ()


def test_a_bad_build_does_not_come_back_with_older_definitions() -> None:
    three = definition(versions=["2", "3"])
    cloud = settled([definition(versions=["1", "2"])])
    two = definition(versions=["2"])
    cloud = made(plan([two], cloud, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), cloud)
    cloud = settled([three], OURS, cloud)
    assert by_version(cloud)["3"].name == NAME
    assert plan([two], cloud, OURS, TODAY).changes == ()
    without = [image for image in cloud if image.properties["internal_version"] != "3"]
    after = by_version(settled([two], OURS, without))
    assert (after["1"].name, after["2"].visibility) == (NAME, "community")


def test_a_rollback_to_a_build_that_only_its_name_tells_lasts() -> None:
    wanted = definition(versions=["2"])
    cloud = settled([definition(versions=["1", "2"])])
    bare = [
        marked(i, internal_version=None, image_name=None) if i.properties["internal_version"] == "1" else i
        for i in cloud
    ]
    after = made(plan([wanted], bare, replace(OURS, latest=True), TODAY, roll_back={NAME: ""}), bare)
    assert {v: i.name for v, i in by_version(after).items()} == {"1": NAME, "2": f"{NAME} (2)"}
    assert plan([wanted], after, OURS, TODAY).changes == ()


def test_only_what_users_can_use_takes_a_place() -> None:
    meta = {"uuid_validity": "last-3"}
    cloud = settled([definition(versions=["1", "2", "3", "4"], meta=meta)])
    private = version("4", None, visibility="private")
    now = definition(versions=["1", "2", "3", private, "5"], meta=meta)
    seen = {v: i.visibility for v, i in by_version(settled([now], OURS, cloud)).items()}
    assert {v for v in seen if seen[v] == "public"} == {"2", "3", "5"}
    left = marked(cloud[0], internal_version="2.5", **{markers.VERIFIED: "pending none"})
    left = replace(left, id="left", visibility="private", updated_at="2026-01-01")
    three = definition(versions=["1", "2", "3"], meta=meta)
    result = plan([three], [*settled([three]), left], OURS, TODAY)
    assert [(type(change), change.found.id) for change in result.changes] == [(Delete, "left")]


def test_builds_are_hidden_for_missing_ones_after_these_were_imported() -> None:
    cloud = settled([definition(versions=["1", "2", "3"])])
    changes = plan([definition(versions=["1", "2", "3", "4", "5"])], cloud, OURS, TODAY).changes
    order = [c.version.version if isinstance(c, Create) else f"{c.found.name}: {c.wanted.visibility}" for c in changes]
    assert order == ["5", f"{NAME}: public", f"{NAME} (1): community", "4", f"{NAME} (2): community"]


def test_an_id_of_another_image_than_the_managed_one_is_reported() -> None:
    one = version("1", None, id="6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f")
    wanted = definition(versions=[one])
    (image,) = settled([wanted])
    managed = replace(image, id="managed", owner="ours")
    (finding,) = id_conflicts([managed], [wanted], {"ours"}).values()
    assert "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f, but managed is that version: neither is touched" in finding.message
    named = replace(image, id="6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f", owner="ours")
    assert id_conflicts([managed, named], [wanted], {"ours"}) == {}
    assert id_conflicts([managed], [wanted], {"theirs"}) == {}
    result = plan([wanted], [managed, named], DELETING, TODAY, usage=lambda _: 0)
    assert deleted(result.changes) == ["managed"]


def test_an_id_of_the_managed_image_of_another_version_is_reported() -> None:
    named = "6d1b3c1e-0f5a-4c0e-9a36-0a1b2c3d4e5f"
    cloud = by_version(settled([definition(versions=["1", "2"])]))
    one, two = replace(cloud["1"], id="managed"), replace(cloud["2"], id=named)
    wanted = definition(versions=[version("1", None, id=named), version("2", None)])
    assert [finding.message for finding in id_conflicts([one, two], [wanted], {"ours"}).values()] == [
        f"version 1 is defined with the id {named}, but managed is that version, and {named} is version 2 of {NAME}: "
        "neither is touched for it; correct the id in the definition"
    ]


marks = st.dictionaries(
    st.sampled_from(
        [*FORGED, markers.RECORD, markers.HIDDEN_SINCE, "uuid_validity", "upstream_checksum", "provided_until"]
    ),
    st.sampled_from(["9", "2026-01-01", "last-2", f"sha512:{GOOD} before import", "pending none", "forever", "0"]),
)


@given(
    marks,
    st.sampled_from(["1", "2", "2.5", "3", "9"]),
    st.sampled_from(["x", "them"]),
    st.sampled_from(["private", "shared", "community"]),
    st.sampled_from([NAME, "else"]),
)
def test_nothing_that_a_project_writes_changes_what_becomes_of_others(
    properties: dict[str, str], build: str, owner: str, visibility: str, name: str
) -> None:
    """Of whoever has no right to publish: ours are changed exactly as without them, and theirs are never widened."""
    wanted = definition(versions=[version("2"), version("3")], owner="x", meta={"uuid_validity": "last-2"})
    cloud = own(definition(versions=[version("1"), version("2")], meta={"uuid_validity": "last-2"}))
    ours = [replace(image, owner="ours") for image in cloud]
    forged = replace(cloud[0], id="forged", owner=owner, visibility=visibility, name=name, created_at="2020")
    forged = bytes_of(marked(forged, internal_version=build, **properties), BAD)

    def changed(images: list[Image]) -> set[str]:
        changes = plan([wanted], images, DELETING, TODAY, usage=lambda _: 0).changes
        for change in changes:
            if not isinstance(change, Create) and change.found.id == "forged" and isinstance(change, Update):
                assert change.wanted.visibility in (visibility, "private", "shared")
                assert change.wanted.name != NAME or name == NAME
        return {repr(change) for change in changes if isinstance(change, Create) or change.found.id != "forged"}

    assert changed([forged, *ours]) == changed(ours)
