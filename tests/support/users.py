"""Users of one test alone."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from openstack.connection import Connection

from openstack_image_manager.sandbox import Sandbox
from tests.support.bench import Bench


@contextmanager
def projects(sandbox: Sandbox, *, change: bool) -> Iterator[None]:
    """Several tests may have projects of their own in the domain, but not while another one counts them all."""
    with (sandbox.state / "projects").open("a") as file:
        fcntl.flock(file, fcntl.LOCK_SH if change else fcntl.LOCK_EX)
        yield


@contextmanager
def ordinary_user(bench: Bench, sandbox: Sandbox, connections: dict[str, Connection]) -> Iterator[tuple[str, Path]]:
    """The bench's runs are those of a user of its own in the project of `member`; the user's id, and a file for rules
    of the first Glance's policy, which goes with the user."""
    keystone = bench.admin.identity
    user = keystone.create_user(name=f"user-{bench.tag}", password=bench.tag, domain_id="default")
    project = connections["member"].current_project_id
    keystone.assign_project_role_to_user(project, user, keystone.find_role("member"))
    clouds = yaml.safe_load(bench.clouds.read_text())
    clouds["clouds"]["member"]["auth"] |= {"username": user.name, "password": bench.tag}
    bench.clouds = bench.directory / "clouds-of-user.yaml"
    bench.clouds.write_text(yaml.safe_dump(clouds))
    bench.cloud = "member"
    policy = sandbox.state / "data" / "glance-one" / "policy.d" / f"{bench.tag}.yaml"
    yield user.id, policy
    # Not deleted: Glance lists the folder and then looks at its files, and answers 500 where one is gone by then.
    policy.write_text("{}\n")
    keystone.delete_user(user)
