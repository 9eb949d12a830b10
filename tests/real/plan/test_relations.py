"""What definitions say of others, on a real Glance: owner, protection, stores; and images of others with our names."""

from __future__ import annotations

from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule


def stores(bench: Bench, version: str) -> set[str]:
    return set(bench.image(version).stores or ())


def test_who_is_unknown_leaves_the_definition_alone_and_no_other(bench: Bench) -> None:
    bench.define(
        bench.ubuntu("1", visibility="shared", members=["nobody"]),
        bench.ubuntu("1", name=f"{bench.tag} other", visibility="private"),
        bench.ubuntu("1", name=f"{bench.tag} third", owner="nobody"),
        bench.ubuntu("1", name=f"{bench.tag} fourth", stores=["tape"]),
    )
    outcome = bench.run()
    assert outcome.code == 1
    assert "left alone: there is no project 'nobody' in domain 'default' of cloud 'openstack'" in outcome.out
    assert "left alone: this cloud has no store tape; it has fast, slow" in outcome.out
    assert [image.name for image in bench.images()] == [f"{bench.tag} other"]


def test_protection_is_desired_state(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", protected=True))
    assert bench.run().code == 0
    assert bench.image("1").protected
    bench.converged()
    bench.define(bench.ubuntu("1", "2", protected=True))
    assert bench.run().code == 0
    assert {image.protected for image in bench.images()} == {True}
    bench.define(bench.ubuntu("1", "2", protected=False))
    outcome = bench.run()
    assert (outcome.code, "True → False  as defined" in outcome.out) == (0, True), outcome.text
    assert {image.protected for image in bench.images()} == {False}
    bench.converged()


def test_owner_is_desired_state_for_an_administrator(bench: Bench, member: Connection) -> None:
    project = member.current_project_id
    bench.define(bench.ubuntu("1", visibility="private", owner="member"))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert bench.image("1").owner == project
    assert member.image.get(f"/images/{bench.image('1').id}").status_code == 200
    bench.converged()
    bench.define(bench.ubuntu("1", "2", visibility="private", owner="member"))
    assert bench.run().code == 0
    assert {image.owner for image in bench.images()} == {project}
    bench.converged()
    # They are looked after in that project as well as from the administrator's.
    bench.define(bench.ubuntu("1", "2", visibility="private", owner=project, min_ram=128))
    bench.cloud = "member"
    assert bench.run().code == 0
    assert {image.min_ram for image in bench.images()} == {128}
    bench.converged()
    bench.cloud = "openstack"
    bench.converged()


def test_outdated_images_of_the_owner_stay_in_our_hands(bench: Bench, member: Connection) -> None:
    """Public ones become community ones of another project, which no ordinary listing shows."""
    meta = {"uuid_validity": "none"}
    bench.define(bench.ubuntu("1", "2", owner="member", meta=meta))
    assert bench.run().code == 0
    assert {(i.owner, i.visibility) for i in bench.images()} == {
        (member.current_project_id, "public"),
        (member.current_project_id, "community"),
    }
    bench.converged()
    bench.define(bench.ubuntu("2", "3", owner="member", meta=meta))
    assert bench.run("--outdated", "delete", "--unknown-usage", "delete").code == 0
    assert len(bench.images()) == 2
    bench.converged()


def test_an_ordinary_user_can_give_nothing_away(bench: Bench, member: Connection) -> None:
    bench.cloud = "member"
    bench.define(bench.ubuntu("1", visibility="private", owner=bench.admin.current_project_id))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert "owner is left as it is: only an administrator can give images to another project" in outcome.out
    assert bench.image("1").owner == member.current_project_id
    bench.converged()


def test_stores_are_desired_state(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", stores=["slow"]))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert stores(bench, "1") == {"slow"}
    bench.converged()
    bench.define(bench.ubuntu("1", stores=["fast", "slow"]))
    outcome = bench.run()
    assert (outcome.code, "copied to fast" in outcome.out) == (0, True), outcome.text
    assert stores(bench, "1") == {"fast", "slow"}
    bench.converged()
    bench.define(bench.ubuntu("1", "2", stores=["fast"]))
    outcome = bench.run()
    assert (outcome.code, "removed from slow" in outcome.out) == (0, True), outcome.text
    assert (stores(bench, "1"), stores(bench, "2")) == ({"fast"}, {"fast"})
    assert bench.image("1").name.endswith("(1)")
    bench.converged()
    bench.define(bench.ubuntu("2", "3", stores=["slow", "fast"]))
    assert bench.run().code == 0
    assert (stores(bench, "2"), stores(bench, "3")) == ({"fast", "slow"}, {"fast", "slow"})
    bench.converged()


def test_a_copy_that_fails_is_tried_again_and_comes_after_the_names(watched: Bench, proxy: Proxy) -> None:
    watched.define(watched.ubuntu("1", stores=["fast"]))
    assert watched.run().code == 0
    watched.define(watched.ubuntu("1", "2", stores=["fast", "slow"]))
    broken = proxy.add(Rule("POST", f".*/{watched.image('1').id}/import", status=500, body="store is away", times=None))
    outcome = watched.run()
    assert outcome.code == 1
    assert "store is away" in outcome.out
    assert broken.seen
    assert watched.names() == {f"Ubuntu {watched.tag}": "2", f"Ubuntu {watched.tag} (1)": "1"}
    proxy.clear()
    assert watched.run().code == 0
    assert stores(watched, "1") == {"fast", "slow"}
    watched.converged()


def test_images_of_our_names_that_are_not_ours_are_told_and_left(bench: Bench, member: Connection) -> None:
    bench.version("1")
    content = (bench.site.directory / "1.img").read_bytes()
    name = f"Ubuntu {bench.tag}"
    ids = [
        bench.make(content, name=name, tags=[]),
        bench.make(content, name=name, tags=[], visibility="public", owner=member.current_project_id),
        bench.make(content, name=name, tags=[], visibility="private", owner=member.current_project_id),
        bench.make(content, name=name, tags=[], visibility="community", owner=member.current_project_id),
    ]
    try:
        bench.define(bench.ubuntu("1"))
        outcome = bench.run("plan")
        assert f"{ids[0]} has the same name, but not the tag {bench.tag}: not changed" in outcome.out
        assert f"the public image {ids[1]} of project {member.current_project_id} has the same name" in outcome.out
        assert f"the community image {ids[3]} of project {member.current_project_id} has the same name" in outcome.out
        assert ids[2] not in outcome.out
        before = [bench.admin.image.get(f"/images/{each}").json() for each in ids]
        assert bench.run().code == 0
        assert [bench.admin.image.get(f"/images/{each}").json() for each in ids] == before
    finally:
        for each in ids:
            bench.admin.image.delete(f"/images/{each}")


def test_names_with_marks_are_found_too(bench: Bench) -> None:
    name = f'a, "b" \\ c:{bench.tag}'
    bench.version("1")
    other = bench.make((bench.site.directory / "1.img").read_bytes(), name=name, tags=[])
    try:
        bench.define(bench.ubuntu("1", name=name))
        assert f"{other} has the same name" in bench.run("plan").out
    finally:
        bench.admin.image.delete(f"/images/{other}")
