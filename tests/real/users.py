"""Users of one test alone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import yaml
from openstack.connection import Connection

from openstack_image_manager.sandbox import Sandbox
from tests.real.bench import Bench


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
    policy.unlink()
    keystone.delete_user(user)
