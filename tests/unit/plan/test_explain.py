"""What `explain` says is what the plan is made of."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from tests.support.plans import DEFAULT, TAG, TODAY, definition, settled, withdrawn
from tests.support.situations import situations

from openstack_image_manager.model import Finding, Image
from openstack_image_manager.plan import markers, retention
from openstack_image_manager.plan.explain import Explanation, data, explain
from openstack_image_manager.plan.model import Policy, Stage
from openstack_image_manager.plan.planner import plan


def explained(wanted, found, policy=DEFAULT, roll_back=None, findings=(), usage=lambda _: 0) -> Explanation:
    made = plan([wanted], found, policy, TODAY, findings, usage=usage)
    return explain(wanted, made, found, policy, TODAY, usage)


def said(explanation: Explanation, version: str | None = None) -> dict[str, str]:
    if version is None:
        return dict(explanation.said)
    return dict(next(build.said for build in explanation.builds if build.version == version))


@settings(max_examples=60)
@given(situations())
def test_every_change_of_the_plan_is_explained_once_and_with_its_stage(situation):
    policy, found, today = situation
    made = plan([today], found, policy, TODAY)
    explanation = explain(today, made, found, policy, TODAY, lambda _: None)
    told = [change for build in explanation.builds for change in build.changes]
    assert sorted(map(repr, told)) == sorted(map(repr, made.changes))
    assert {stage.name.lower() for stage in Stage} >= {
        text.partition(":")[0] for build in explanation.builds for about, text in build.said if about == "stage"
    }
    assert len(data(explanation)["builds"]) == len(explanation.builds)


def test_the_current_build_and_those_before_and_after_it():
    wanted = definition(versions=["2", "3", "4", withdrawn("5")], meta={"uuid_validity": "last-2"})
    found = settled([definition(versions=["1", "2", "3", "5"], meta={"uuid_validity": "last-2"})])
    explanation = explained(wanted, found)
    assert said(explanation) == {
        "names": "multi: the newest build has the plain name",
        "current": "4: the newest version that is defined",
        "retention": "uuid_validity last-2: the newest 2 builds stay visible",
        "outdated": "older builds are handled by --outdated hide",
    }
    assert [build.version for build in explanation.builds] == ["4", "3", "2", "1", "5"]
    assert said(explanation, "4") == {
        "place": "the current build",
        "is": "defined, and not in the cloud",
        "name": "Ubuntu 24.04: the newest build has the plain name",
        "visibility": "public: as the definition says",
        "stage": "keep: not outdated",
    }
    assert said(explanation, "3")["place"] == "1 build before it"
    assert said(explanation, "2") == {
        "place": "2 builds before it",
        "is": "defined, and active in the cloud",
        "name": "Ubuntu 24.04 (2): superseded by 4",
        "visibility": "community: older than the visible builds",
        "stage": "hide: older than the visible builds",
    }
    assert said(explanation, "1")["is"] == "no longer defined, and active in the cloud"
    assert said(explanation, "5")["place"] == "withdrawn in the definition: not counted"


def test_a_build_that_is_ahead_says_so():
    found = settled([definition(versions=["1", "2"])])
    explanation = explained(definition(versions=["1"]), found)
    assert said(explanation)["current"] == "2: it is in the cloud, and newer than every defined version"
    assert said(explanation, "2")["place"] == "the current build"
    three = settled([definition(versions=["1", "2", "3"])])
    explanation = explained(definition(versions=["1"]), three)
    assert said(explanation, "2")["place"] == "newer than every defined version: left as it is"
    marked = [replace(i, properties={**i.properties, markers.ROLLED_BACK: "2026-01-01"}) for i in found]
    assert explained(definition(versions=["1", "2"]), marked).builds == ()


def test_a_rollback_says_so():
    wanted = definition(versions=["1", "2"])
    first = settled([wanted])
    rolled = plan([wanted], first, Policy(), TODAY, roll_back={wanted.name: ""})
    found = [change.wanted for change in rolled.changes]
    explanation = explained(wanted, found)
    assert said(explanation)["current"] == "1: a rollback made it current in place of 2"
    assert said(explanation, "2")["place"] == f"rolled back on {TODAY}: not counted"
    # The bad one stays bad when its successor in the line is gone.
    unpinned = [
        replace(each, properties={k: v for k, v in each.properties.items() if k != markers.PINNED_OVER})
        for each in found
    ]
    assert said(explained(wanted, unpinned))["current"] == "1: 2 is newer, but was rolled back"


def test_versions_side_by_side_and_one_with_a_visibility_of_its_own():
    own = {"version": "1", "url": "https://example.org/1.img", "visibility": "private"}
    explanation = explained(definition(versions=[own, "2"], multi=False), [])
    assert said(explanation)["names"] == "each version has its own"
    assert said(explanation)["current"] == "2: the newest version"
    assert said(explanation, "1")["visibility"] == "private: as the version says"
    assert said(explanation, "1")["name"] == "Ubuntu 24.04 1: as defined"


def test_second_images_and_what_was_left_are_there_too():
    wanted = definition(versions=["1"])
    (one,) = settled([wanted])
    twin = replace(one, id="twin", created_at="2026-12-01", name="other")
    left = replace(one, id="left", status="queued", properties={**one.properties, "internal_version": "0"})
    gone = replace(one, id="gone", status="deleted")
    explanation = explained(wanted, [one, twin, left, gone])
    places = {build.id: dict(build.said)["place"] for build in explanation.builds}
    assert places == {
        one.id: "the current build",
        "twin": f"duplicate of {one.id}",
        "left": "it is queued, and was left by an interrupted run",
    }
    pending = replace(one, properties={**one.properties, markers.VERIFIED: "pending sha256:1 after import"})
    assert said(explained(wanted, [pending]), "1")["is"] == "defined, and active, and not to be published in the cloud"


def test_what_is_left_alone():
    wanted = definition(enable=False)
    found = settled([definition()])
    assert "enable is false" in said(explained(wanted, found))["disabled"]
    assert "disabled" not in said(explained(wanted, found, Policy(force=True)))
    trouble = Finding("error", wanted.name, "its project is not known")
    explanation = explained(definition(), found, findings=[trouble])
    assert (explanation.builds, said(explanation)["error"]) == ((), "its project is not known")
    assert said(explanation)["left alone"] == "nothing is changed, whatever it is"
    assert "update adds the newest build" in said(explained(definition(versions=[]), found))["no versions"]


def test_images_of_others_are_none_of_it():
    wanted = definition(visibility="private")
    (one,) = settled([wanted])
    other = Image("Ubuntu 24.04", "private", owner="theirs", id="x", tags=frozenset({TAG}), properties=one.properties)
    explanation = explained(wanted, [other], Policy(project="ours"))
    assert [build.id for build in explanation.builds] == [None]


@pytest.mark.parametrize(
    ("validity", "words"),
    [
        (None, "no uuid_validity: the newest 3 builds stay visible"),
        ("none", "uuid_validity none: only the current build stays visible"),
        ("last-1", "uuid_validity last-1: only the current build stays visible"),
        ("last-4", "uuid_validity last-4: the newest 4 builds stay visible"),
        ("forever", "uuid_validity forever: all builds stay visible"),
        ("2030-01-01", "uuid_validity 2030-01-01: all builds stay visible until 2030-01-01"),
        ("2020-01-01", "uuid_validity 2020-01-01, a day that has passed: the newest 3 builds stay visible"),
    ],
)
def test_the_rule_of_retention_in_words(validity, words):
    assert retention.describe_rule(validity, TODAY) == words


def test_an_image_of_a_former_owner_says_where_it_comes_from():
    digest = f"sha512:{'2' * 128}"
    builds = [{"version": "1", "url": "https://example.org/x.img", "checksum": digest}]
    wanted = definition(versions=builds, visibility="private", owner="b", former_owners=["a"])
    properties = {"image_name": "Ubuntu 24.04", "internal_version": "1"}
    theirs = Image("x", "private", owner="a", id="theirs", disk_format="qcow2", properties=properties, size=1)
    theirs = replace(theirs, tags=frozenset({TAG}), hash_algorithm="sha512", hash_value="2" * 128)
    policy = Policy(project="ours")
    made = plan([wanted], [], policy, TODAY, given=[theirs])
    explanation = explain(wanted, made, [theirs], policy, TODAY, lambda _: 0)
    (build,) = explanation.builds
    assert (build.name, build.id, build.changes) == ("x", "theirs", made.changes)
    assert dict(build.said)["owner"] == "transferred from its former owner a"
