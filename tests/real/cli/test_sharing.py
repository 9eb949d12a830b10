"""With whom images are shared, on a real Glance: members as definitions name them, and by hand with `share`."""

from __future__ import annotations

import json
import re

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule


def members(bench: Bench, image_id: str) -> dict[str, str]:
    answer = bench.admin.image.get(f"/images/{image_id}/members")
    return {each["member_id"]: each["status"] for each in answer.json()["members"]}


def test_members_are_desired_state_and_follow_the_rotation(bench: Bench, member: Connection) -> None:
    project = member.current_project_id
    bench.define(bench.ubuntu("1", visibility="shared", members=["member"]))
    plan = bench.run("plan")
    assert re.search(rf"members +member \({project}\)\n", plan.out)
    (plan,) = json.loads(bench.run("plan", "--output", "json").out)["clouds"]
    assert plan["projects"][project] == "member"
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert members(bench, bench.image("1").id) == {project: "accepted"}
    bench.converged()
    bench.define(bench.ubuntu("1", "2", visibility="shared", members=["member"]))
    assert bench.run().code == 0
    assert {v: members(bench, bench.image(v).id) for v in ("1", "2")} == {
        "1": {project: "accepted"},
        "2": {project: "accepted"},
    }
    bench.converged()
    bench.define(bench.ubuntu("1", "2", visibility="shared", members=[]))
    outcome = bench.run()
    assert (outcome.code, bool(re.search(rf"members +-member \({project}\)", outcome.out))) == (0, True), outcome.text
    assert members(bench, bench.image("2").id) == {}
    bench.converged()


def test_members_that_someone_removed_or_added_or_did_not_accept(bench: Bench, member: Connection) -> None:
    project = member.current_project_id
    service = next(each.id for each in bench.admin.identity.projects() if each.name == "service")
    bench.define(bench.ubuntu("1", visibility="shared", members=[{"project": project}]))
    assert bench.run().code == 0
    path = f"/images/{bench.image('1').id}/members"
    assert bench.admin.image.delete(f"{path}/{project}").status_code == 204
    assert bench.admin.image.post(path, json={"member": service}).status_code == 200
    assert bench.run().code == 0
    assert members(bench, bench.image("1").id) == {project: "accepted"}
    # Who said no is not asked again.
    assert member.image.put(f"{path}/{project}", json={"status": "rejected"}).status_code == 200
    bench.converged()
    assert bench.admin.image.put(f"{path}/{project}", json={"status": "pending"}).status_code == 200
    assert bench.run().code == 0
    assert members(bench, bench.image("1").id) == {project: "accepted"}


@pytest.mark.usefixtures("no_other_projects")
def test_all_projects_of_a_domain(bench: Bench, member: Connection) -> None:
    bench.define(bench.ubuntu("1", visibility="shared", members=[{"domain": "default"}]))
    assert bench.run().code == 0
    shared = members(bench, bench.image("1").id)
    assert member.current_project_id in shared
    assert bench.admin.current_project_id not in shared
    bench.converged()


def test_an_image_that_becomes_shared_gets_its_members(bench: Bench, member: Connection) -> None:
    bench.define(bench.ubuntu("1", visibility="private", members=["member"]))
    outcome = bench.run()
    assert "members: has no effect: only images of visibility shared have members" in outcome.out
    bench.define(bench.ubuntu("1", visibility="shared", members=["member"]))
    assert bench.run().code == 0
    assert members(bench, bench.image("1").id) == {member.current_project_id: "accepted"}
    bench.converged()


def test_sharing_by_hand_is_carried_to_the_next_build(bench: Bench, member: Connection) -> None:
    bench.define(bench.ubuntu("1", visibility="shared"))
    assert bench.run().code == 0
    project = member.current_project_id
    outcome = bench.run("share", bench.image("1").name, "--project", "member")
    assert (outcome.code, outcome.out.endswith(f"shared with member ({project}), accepted\n")) == (0, True)
    bench.converged()
    bench.define(bench.ubuntu("1", "2", visibility="shared"))
    assert re.search(rf"members +{project}", bench.run("plan").out)
    assert bench.run().code == 0
    assert members(bench, bench.image("2").id) == {project: "accepted"}
    bench.converged()
    name = bench.image("2").name
    outcome = bench.run("unshare", name, "--domain", "default")
    assert outcome.code == 0, outcome.text
    # From all builds, the older one too.
    assert [line for line in outcome.out.splitlines() if "no longer" in line] == [
        f"{each}: no longer shared with member ({project})" for each in (name, f"{name} (1)")
    ]
    assert {v: members(bench, bench.image(v).id) for v in ("1", "2")} == {"1": {}, "2": {}}
    bench.converged()
    # Who has said no is asked no more by later builds.
    assert bench.run("share", name, "--project", "member").code == 0
    path = f"/images/{bench.image('2').id}/members/{project}"
    assert member.image.put(path, json={"status": "rejected"}).status_code == 200
    bench.define(bench.ubuntu("1", "2", "3", visibility="shared"))
    assert bench.run().code == 0
    assert members(bench, bench.image("3").id) == {}
    outcome = bench.run("unshare", name, "--project", "member", "--domain", "default")
    # What it has rejected is taken back as well; the newest build it was never asked about.
    assert outcome.out == f"{name} (2): no longer shared with member ({project})\n"
    outcome = bench.run("unshare", name, "--project", "member")
    assert (outcome.code, outcome.out) == (0, f"{name}: was not shared with member ({project})\n")
    assert bench.run("share", name).code == 2


def test_an_administrator_shares_images_of_other_projects(bench: Bench, member: Connection) -> None:
    project, admin = member.current_project_id, bench.admin.current_project_id
    service = next(each.id for each in bench.admin.identity.projects() if each.name == "service")
    bench.define(bench.ubuntu("1", visibility="shared", owner="member"))
    assert bench.run().code == 0
    image = bench.image("1")
    name, whose = image.name, f"{image.name}: image {image.id} of project {project}\n"
    outcome = bench.run("share", name, "--project", "service")
    assert (outcome.code, outcome.out) == (0, f"{whose}{name}: shared with service ({service}), accepted\n"), (
        outcome.text
    )
    assert members(bench, image.id) == {service: "accepted"}
    bench.define(bench.ubuntu("1", "2", visibility="shared", owner="member"))
    assert bench.run().code == 0
    bench.converged()
    new = bench.image("2")
    assert members(bench, new.id) == {service: "accepted"}
    # What is our own comes first, and has builds of our own only.
    content = (bench.site.directory / "1.img").read_bytes()
    own = bench.make(content, name=name, visibility="shared", image_name=name)
    assert bench.run("share", name, "--project", "member").out == f"{name}: shared with member ({project}), accepted\n"
    assert (
        bench.run("unshare", name, "--project", "service").out == f"{name}: was not shared with service ({service})\n"
    )
    assert (members(bench, own), members(bench, new.id)) == ({project: "accepted"}, {service: "accepted"})
    # An ordinary user finds what is of their own project, and nothing that is shared with it.
    bench.cloud = "member"
    outcome = bench.run("unshare", name, "--project", service)
    assert outcome.out == "".join(
        f"{each}: no longer shared with {service} ({service})\n" for each in (name, f"{name} (1)")
    )
    assert (members(bench, image.id), members(bench, new.id)) == ({}, {})
    shared = bench.make(content, name=f"{name} ours", visibility="shared")
    bench.admin.image.post(f"/images/{shared}/members", json={"member": project})
    member.image.put(f"/images/{shared}/members/{project}", json={"status": "accepted"})
    outcome = bench.run("share", f"{name} ours", "--project", service)
    assert (outcome.code, "there is no managed image" in outcome.err) == (2, True), outcome.text
    # Of several of other projects, nobody knows which is meant.
    bench.cloud = "openstack"
    two = [bench.make(content, name=f"{name} two", visibility="shared", owner=each) for each in (project, service)]
    outcome = bench.run("share", f"{name} two", "--project", admin)
    assert (outcome.code, all(each in outcome.err for each in (*two, project, service))) == (1, True), outcome.text


def test_older_builds_are_unshared_though_the_newest_is_for_all(bench: Bench, member: Connection) -> None:
    project = member.current_project_id
    bench.define(bench.ubuntu("1", visibility="shared", members=["member"]))
    assert bench.run().code == 0
    old, name = bench.image("1"), bench.image("1").name
    bench.define(bench.ubuntu({**bench.version("1"), "visibility": "shared"}, "2", visibility="private"))
    assert bench.run().code == 0
    outcome = bench.run("share", name, "--project", "member")
    assert (outcome.code, f"{name} is private; only images with the visibility shared" in outcome.err) == (1, True)
    assert members(bench, old.id) == {project: "accepted"}
    outcome = bench.run("unshare", name, "--project", "member")
    assert (outcome.code, outcome.out) == (0, f"{name} (1): no longer shared with member ({project})\n"), outcome.text
    assert members(bench, old.id) == {}
    bench.define(bench.ubuntu("1", "2", visibility="private"))
    assert bench.run().code == 0
    outcome = bench.run("unshare", name, "--project", "member")
    assert (outcome.code, f"{name}: no build has the visibility shared" in outcome.err) == (1, True)


def test_no_one_sees_a_shared_build_before_it_is_verified(watched: Bench, proxy: Proxy, member: Connection) -> None:
    """A run that dies before the members are there is finished by the next one, members included."""
    watched.define(watched.ubuntu("1", visibility="shared", members=["member"]))
    proxy.add(Rule("POST", ".*/members", status=500, times=None))
    outcome = watched.run()
    assert outcome.code == 1
    image = watched.image("1")
    assert (image.visibility, image.name.endswith("(1)"), members(watched, image.id)) == ("shared", True, {})
    proxy.clear()
    assert watched.run().code == 0
    assert members(watched, image.id) == {member.current_project_id: "accepted"}
    watched.converged()


def test_a_name_that_does_not_exist_suggests_a_similar_one(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", visibility="shared"))
    assert bench.run().code == 0
    for command in ("share", "unshare"):
        outcome = bench.run(command, f"Ubunto {bench.tag}", "--project", "member")
        assert (outcome.code, f"; did you mean 'Ubuntu {bench.tag}'?" in outcome.err) == (2, True), outcome.text
