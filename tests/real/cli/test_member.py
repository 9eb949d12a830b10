"""An ordinary user's runs, images of other projects, and sharing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy
from tests.support.users import ordinary_user

from openstack_image_manager.model import Image
from openstack_image_manager.sandbox import Sandbox


@pytest.fixture
def member(watched: Bench) -> Bench:
    """The bench of the ordinary user `member`, whose calls go through the proxy."""
    watched.cloud = "member"
    return watched


def ids(bench: Bench) -> set[str]:
    return {image.id for image in bench.images()}


def test_a_member_brings_in_and_rotates(member: Bench, connections: dict[str, Connection]) -> None:
    kinds = ("private", "shared", "community")
    for versions in (["1"], ["1", "2"]):
        member.define(*(member.ubuntu(*versions, name=f"{k} {member.tag}", visibility=k) for k in kinds))
        outcome = member.run()
        assert outcome.code == 0, outcome.text
        member.converged()
    assert {image.name: image.visibility for image in member.images()} == {
        name: kind for kind in kinds for name in (f"{kind} {member.tag}", f"{kind} {member.tag} (1)")
    }
    assert {image.owner for image in member.images()} == {connections["member"].current_project_id}


def test_a_member_deactivates_and_retires(member: Bench) -> None:
    fields = {"visibility": "shared", "meta": {"os_distro": "ubuntu", "uuid_validity": "last-1"}}
    member.define(member.ubuntu("1", "2", **fields))
    assert member.run().code == 0
    assert (member.image("1").status, member.image("1").hidden) == ("active", True)
    member.define(member.ubuntu("2", **fields))
    outcome = member.run("--deactivate")
    assert outcome.code == 0, outcome.text
    old = member.image("1")
    assert (old.status, old.visibility, old.hidden) == ("deactivated", "shared", True)
    assert member.image("2").status == "active"


def test_a_public_image_is_refused_before_it_is_uploaded(member: Bench, proxy: Proxy) -> None:
    private = member.ubuntu("1", visibility="private", name=f"Mine {member.tag}")
    member.define(member.ubuntu("2"), private)
    outcome = member.run()
    assert outcome.code == 1
    assert f"failed: Ubuntu {member.tag}" in outcome.out
    assert "publicize_image" in outcome.out
    assert "1 ok, 1 failed, 0 skipped" in outcome.out
    assert [image.name for image in member.images()] == [f"Mine {member.tag}"]
    assert proxy.count("PUT", ".*/stage") == 1  # that of the private one


def test_an_image_that_may_not_become_public_stays_as_it_is(member: Bench) -> None:
    other = member.ubuntu("2", visibility="private", name=f"Other {member.tag}")
    member.define(member.ubuntu("1", visibility="private"), other)
    assert member.run().code == 0
    before = member.image("1")
    member.define(member.ubuntu("1", min_ram=128), {**other, "min_ram": 256})
    outcome = member.run()
    assert outcome.code == 1
    assert "may not be made public: this user lacks the right publicize_image" in outcome.out
    assert "1 ok, 1 failed, 0 skipped" in outcome.out
    assert member.image("1") == before
    assert member.image("2").min_ram == 256


def test_images_of_other_projects_are_left_alone(member: Bench, proxy: Proxy) -> None:
    """A member sees the administrator's public images: never does it change them or put its own beside them."""
    member.cloud = "openstack"
    member.define(member.ubuntu("1"))
    assert member.run().code == 0
    (theirs,) = member.images()
    member.cloud = "member"
    mine = member.ubuntu("2", visibility="private", name=f"Mine {member.tag}")
    member.define(member.ubuntu("1", "2", visibility="private", min_ram=1), mine)
    proxy.clear()
    outcome = member.run()
    assert outcome.code == 1
    assert f"error: Ubuntu {member.tag}: left alone: the image {theirs.id}" in outcome.out
    assert f"belongs to project {theirs.owner}" in outcome.out
    assert "1 ok, 0 failed, 0 skipped" in outcome.out
    assert {image.name: image for image in member.images()}.keys() == {theirs.name, f"Mine {member.tag}"}
    assert theirs in member.images()
    assert proxy.count("(?!GET).*", f".*{theirs.id}.*") == 0
    assert member.run("plan", "--exit-code").code == 1
    member.define(member.ubuntu("1", enable=False), mine)
    member.converged()


def test_an_administrator_leaves_private_images_of_other_projects_alone(bench: Bench) -> None:
    """An administrator is shown the images of all projects, and could change them; looks after the public ones."""
    bench.cloud = "member"
    bench.define(bench.ubuntu("1", visibility="private"))
    assert bench.run().code == 0
    (theirs,) = bench.images()
    bench.cloud = "openstack"
    bench.define(bench.ubuntu("2", visibility="private"))
    assert bench.run().code == 0
    assert bench.image("1") == theirs
    assert bench.image("2").owner != theirs.owner
    bench.converged()


@pytest.fixture
def publisher(bench: Bench, sandbox: Sandbox, connections: dict[str, Connection]) -> Iterator[Bench]:
    """A bench of an ordinary user whom Glance's policy lets publish images."""
    with ordinary_user(bench, sandbox, connections) as (user, policy):
        policy.write_text(f'publicize_image: "role:admin or user_id:{user}"\n')
        yield bench


def test_who_is_no_administrator_but_may_publish(publisher: Bench) -> None:
    publisher.define(publisher.ubuntu("1"))
    outcome = publisher.run()
    assert outcome.code == 0, outcome.text
    image = publisher.image("1")
    assert (image.visibility, image.hidden, image.status) == ("public", False, "active")
    publisher.converged()


@pytest.fixture
def shared(bench: Bench) -> Image:
    """An image of visibility shared that nobody shares yet."""
    bench.define(bench.ubuntu("1", visibility="shared"))
    assert bench.run().code == 0
    return bench.image("1")


def seen(member: Connection, image: Image) -> bool:
    """Is it among the images that the member finds in a listing? Only accepted ones are."""
    return image.id in {found["id"] for found in member.image.get("/images?limit=1000").json()["images"]}


def test_share_with_a_project(bench: Bench, shared: Image, connections: dict[str, Connection]) -> None:
    def share(action: str, *more: str) -> str:
        options = ("--share-image", shared.name, "--share-action", action, "--share-target", "member", *more)
        outcome = bench.run(*options)
        assert outcome.code == 0, outcome.text
        return outcome.out

    member = connections["member"]
    project = member.current_project_id
    assert not seen(member, shared)
    assert share("add") == f"{shared.name}: shared with member ({project}), accepted\n"
    assert seen(member, shared)
    assert share("add", "--share-domain", "default", "--share-type", "project") == (
        f"{shared.name}: shared with member ({project}), accepted\n"
    )
    assert bench.run("plan", "--exit-code").code == 0
    assert share("del") == f"{shared.name}: no longer shared with member ({project})\n"
    assert not seen(member, shared)
    assert share("del") == f"{shared.name}: was not shared with member ({project})\n"


@pytest.mark.usefixtures("no_other_projects")
def test_share_with_a_domain(bench: Bench, shared: Image, connections: dict[str, Connection]) -> None:
    """With all of its projects but the image's own."""
    options = ("--share-image", shared.name, "--share-target", "default", "--share-type", "domain")
    outcome = bench.run(*options)
    assert outcome.code == 0, outcome.text
    assert "shared with member" in outcome.out
    assert "shared with service" in outcome.out
    assert "shared with admin" not in outcome.out
    assert seen(connections["member"], shared)
    outcome = bench.run(*options, "--share-action", "del")
    assert outcome.out.count("no longer shared with") == 2
    assert not seen(connections["member"], shared)


def test_wrong_shares(bench: Bench, shared: Image) -> None:
    for options, code, said in [
        ((), 2, "needs --share-target"),
        (("--share-target", "nobody"), 2, "no project 'nobody' in domain 'default' of cloud 'openstack'"),
        (("--share-target", "member", "--share-domain", "nowhere"), 2, "no domain 'nowhere' in cloud 'openstack'"),
        (("--share-target", "nowhere", "--share-type", "domain"), 2, "no domain 'nowhere'"),
        (("--share-target", "member", "--share-image", "Nothing"), 2, "there is no managed image 'Nothing'"),
        (("--share-target", "member", "--tag", "other"), 2, "there is no managed image"),
        (("--share-target", "member", "--share-action", "steal"), 2, "steal"),
        (("--share-target", "member", "--dry-run"), 2, "--share-image and --dry-run exclude each other"),
    ]:
        outcome = bench.run("--share-image", shared.name, *options)
        assert (options, outcome.code, outcome.out, said in outcome.err) == (options, code, "", True), outcome.text


def test_a_target_without_an_image_shares_nothing_and_applies_nothing(bench: Bench) -> None:
    bench.define(bench.ubuntu("1"))
    outcome = bench.run("--share-target", "member")
    assert (outcome.code, "--share-target needs --share-image" in outcome.err) == (2, True)
    assert bench.images() == []


def test_only_shared_images_have_members(bench: Bench) -> None:
    bench.define(bench.ubuntu("1", visibility="private"))
    assert bench.run().code == 0
    outcome = bench.run("--share-image", bench.image("1").name, "--share-target", "member")
    assert (outcome.code, "is private; only images with the visibility shared have members" in outcome.err) == (1, True)


def test_a_member_may_invite_but_not_accept(bench: Bench) -> None:
    """An ordinary user may not look for projects: they are given by id."""
    bench.cloud = "member"
    bench.define(bench.ubuntu("1", visibility="shared"))
    assert bench.run().code == 0
    project = bench.admin.current_project_id
    name = bench.image("1").name
    outcome = bench.run("--share-image", name, "--share-target", project)
    assert (outcome.code, outcome.out) == (0, f"{name}: shared with {project} ({project}), invited\n"), outcome.text
    for more in (("admin",), ("default", "--share-type", "domain")):
        outcome = bench.run("--share-image", name, "--share-target", *more)
        assert (outcome.code, "may not look up projects; give the id" in outcome.err) == (1, True), outcome.text
