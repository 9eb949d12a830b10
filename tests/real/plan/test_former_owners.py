"""Images that change hands: taken from a former owner once their bytes are known, and never on its word."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from openstack.connection import Connection
from tests.support.bench import Bench
from tests.support.proxy import Proxy, Rule
from tests.support.users import projects

from openstack_image_manager.model import Image
from openstack_image_manager.plan.markers import PINNED_OVER, RECORD, VERIFIED
from openstack_image_manager.sandbox import Sandbox


@pytest.fixture
def member(connections: dict[str, Connection]) -> Connection:
    return connections["member"]


@pytest.fixture
def project(bench: Bench, sandbox: Sandbox) -> Iterator[Any]:
    """A project that nobody is in."""
    with projects(sandbox, change=True):
        made = bench.admin.identity.create_project(name=f"shop-{uuid.uuid4().hex[:8]}", domain_id="default")
        yield made
        bench.admin.identity.delete_project(made.id)


def private(bench: Bench, *versions: Any, **fields: Any) -> dict[str, Any]:
    return bench.ubuntu(*versions, visibility="private", **fields)


def sha512(bench: Bench, name: str) -> dict[str, Any]:
    """A version with the digest that Glance has of it as well."""
    version = bench.version(name)
    digest = hashlib.sha512((bench.site.directory / f"{name}.img").read_bytes()).hexdigest()
    return {**version, "checksum": f"sha512:{digest}"}


def ids(bench: Bench, owner: str) -> dict[str, str]:
    """Versions and ids of the images of a project."""
    return {i.properties["internal_version"]: i.id for i in bench.images() if i.owner == owner}


def forged(bench: Bench, content: bytes, owner: str, version: str = "1", **fields: Any) -> str:
    """An image that claims to be of the definition."""
    name = f"Ubuntu {bench.tag}"
    values = {"visibility": "private", "image_name": name, "internal_version": version, **fields}
    return bench.make(content, name=name, owner=owner, **values)


def look(bench: Bench, image_id: str) -> Image:
    (image,) = [image for image in bench.images() if image.id == image_id]
    return image


def test_images_change_hands_with_their_ids_and_without_an_import(
    watched: Bench, proxy: Proxy, member: Connection, project: Any
) -> None:
    """From one project to another, and back to the administrator's own."""
    bench, first, ours = watched, member.current_project_id, watched.admin.current_project_id
    bench.define(private(bench, "1", sha512(bench, "2"), owner="member"))
    assert bench.run().code == 0
    there = ids(bench, first)
    assert there.keys() == {"1", "2"}
    # What its owner does to an image meanwhile does not come along.
    answer = member.image.patch(
        f"/images/{there['1']}",
        json=[{"op": "add", "path": "/os_command_line", "value": "evil"}, {"op": "remove", "path": f"/{RECORD}"}],
        headers={"Content-Type": "application/openstack-images-v2.1-json-patch"},
    )
    assert answer.status_code == 200
    bench.define(private(bench, "1", sha512(bench, "2"), owner=project.name, former_owners=["member"]))
    plan = bench.run("plan")
    assert "0 to import, 2 to change, 0 to delete" in plan.out
    both = f"member ({first}) → {project.name} ({project.id})"
    digest = bench.version("1")["checksum"]
    assert f"{both}  given over: if its bytes are those of {digest}" in plan.out
    assert f"{both}  given over: Glance has the right digest of its bytes" in plan.out
    assert "os_command_line" in plan.out
    proxy.clear()
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert [call.path for call in proxy.calls if call.path.endswith("/file")] == [f"/v2/images/{there['1']}/file"]
    assert [call.method for call in proxy.calls if call.method != "GET"] == ["PATCH", "PATCH"]
    assert ids(bench, project.id) == there
    assert {i.properties[VERIFIED].partition(" ")[2] for i in bench.images()} == {"after import"}
    assert "os_command_line" not in look(bench, there["1"]).properties
    bench.converged()
    bench.define(private(bench, "1", sha512(bench, "2"), former_owners=[project.id]))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert ids(bench, ours) == there
    bench.converged()
    bench.define(private(bench, "1", sha512(bench, "2")))
    bench.converged()


def test_an_image_is_given_away_once_all_its_members_see_it(watched: Bench, proxy: Proxy, member: Connection) -> None:
    """Of an image of its new owner, another run would not believe what lets others see it."""
    bench, owners = watched, list[str | None]()
    bench.define(bench.ubuntu("1", visibility="shared", members=["service"], owner="member"))
    proxy.add(Rule("POST", ".*/members", before=lambda: owners.append(bench.image("1").owner)))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert owners == [bench.admin.current_project_id]
    assert bench.image("1").owner == member.current_project_id
    bench.converged()


def test_an_image_is_shared_with_more_projects_only_once_it_is_taken(
    watched: Bench, proxy: Proxy, member: Connection, project: Any
) -> None:
    """Of its former owner, it would be shared with them by the words of that project alone."""
    bench, owners = watched, list[str | None]()
    ours = bench.admin.current_project_id
    bench.define(bench.ubuntu(sha512(bench, "1"), visibility="shared", members=["service"], owner="member"))
    assert bench.run().code == 0
    shared = ["service", project.name]
    bench.define(bench.ubuntu(sha512(bench, "1"), visibility="shared", members=shared, former_owners=["member"]))
    proxy.add(Rule("POST", ".*/members", before=lambda: owners.append(bench.image("1").owner)))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert owners == [ours]
    bench.converged()


def test_what_someone_does_while_the_bytes_are_read_is_not_overwritten(
    watched: Bench, proxy: Proxy, member: Connection, project: Any
) -> None:
    bench, first = watched, member.current_project_id
    bench.define(private(bench, "1", owner="member"))
    assert bench.run().code == 0
    image = bench.image("1")
    bench.define(private(bench, "1", owner=project.name, former_owners=["member"]))
    change = {"op": "replace", "path": "/min_disk", "value": 7}
    rule = proxy.add(Rule("GET", ".*/file", after=lambda: bench.patch(image, change)))
    outcome = bench.run()
    assert (outcome.code, rule.seen) == (1, 1), outcome.text
    assert f"{image.id} was changed by someone since the plan was made (min_disk); plan again" in outcome.out
    now = look(bench, image.id)
    assert (now.owner, now.min_disk) == (first, 7)
    proxy.clear()
    assert bench.run().code == 0
    assert look(bench, image.id).owner == project.id
    bench.converged()


def test_a_forged_image_is_taken_from_nobody(bench: Bench, member: Connection, project: Any) -> None:
    former, third = member.current_project_id, project.id
    bench.publish("/evil.img", "evil")
    evil = (bench.site.directory / "evil.img").read_bytes()
    right = sha512(bench, "1")
    false = [forged(bench, evil, former, **{PINNED_OVER: "9", VERIFIED: f"{right['checksum']} before import"})]
    false.append(forged(bench, evil, third))
    false.append(forged(bench, evil, former, "7"))
    before = [look(bench, each) for each in false]
    bench.define(bench.ubuntu(right, former_owners=["member"]))
    outcome = bench.run("plan")
    assert "1 to import, 0 to change, 0 to delete" in outcome.out
    stored = f"sha512:{hashlib.sha512(evil).hexdigest()}"
    left = f"{false[0]} stays with its former owner {former}: wrong bytes: {stored} instead of {right['checksum']}"
    assert left in outcome.out
    assert f"{false[2]} stays with its former owner {former}: version 7 is not defined" in outcome.out
    assert false[1] not in outcome.out
    assert bench.run("--orphans", "delete", "--outdated", "delete", "--unknown-usage", "delete").code == 0
    assert [look(bench, each) for each in false] == before
    (ours,) = ids(bench, bench.admin.current_project_id).values()
    assert look(bench, ours).visibility == "public"
    bench.converged()


def test_bytes_that_only_reading_can_tell_are_read_before_anything_changes(bench: Bench, member: Connection) -> None:
    version = bench.version("1")
    content = (bench.site.directory / "1.img").read_bytes()
    false = forged(bench, content[:-1] + bytes([content[-1] ^ 1]), member.current_project_id)
    before = look(bench, false)
    bench.define(bench.ubuntu(version, former_owners=["member"]))
    outcome = bench.run()
    assert outcome.code == 1, outcome.text
    assert f"{false} of project {member.current_project_id} has other bytes than version 1: sha256:" in outcome.out
    assert look(bench, false) == before
    # Of two that claim the same, one must be forged: neither is read.
    second = forged(bench, content, member.current_project_id)
    outcome = bench.run("plan")
    assert "1 to import, 0 to change" in outcome.out
    assert outcome.out.count("2 claim to be version 1") == 2
    bench.admin.image.delete(f"/images/{false}")
    assert bench.run().code == 0
    assert (look(bench, second).owner, look(bench, second).visibility) == (bench.admin.current_project_id, "public")
    bench.converged()


def test_reading_that_breaks_off_changes_nothing(watched: Bench, proxy: Proxy, member: Connection) -> None:
    bench = watched
    bench.define(private(bench, "1", owner="member"))
    assert bench.run().code == 0
    before = bench.image("1")
    bench.define(private(bench, "1", former_owners=["member"]))
    proxy.add(Rule("GET", f"/v2/images/{before.id}/file", status=403, body="not for you"))
    outcome = bench.run()
    assert (outcome.code, "Glance answered 403" in outcome.out) == (1, True), outcome.text
    proxy.add(Rule("GET", f"/v2/images/{before.id}/file", cut=1000))
    outcome = bench.run()
    assert (outcome.code, f"{before.id} could not be read: the connection broke" in outcome.out) == (1, True)
    assert bench.image("1") == before
    assert bench.run().code == 0
    bench.converged()


def test_an_ordinary_user_takes_nothing(bench: Bench, member: Connection) -> None:
    bench.publish("/evil.img", "evil")
    false = forged(bench, (bench.site.directory / "evil.img").read_bytes(), bench.admin.current_project_id)
    before = look(bench, false)
    bench.cloud = "member"
    bench.define(private(bench, "1", former_owners=[bench.admin.current_project_id]))
    outcome = bench.run()
    assert outcome.code == 0, outcome.text
    assert "former_owners has no effect: only an administrator can take images of other projects" in outcome.out
    assert look(bench, false) == before
    assert ids(bench, member.current_project_id).keys() == {"1"}
    bench.converged()
