"""Door to image members: with which projects an image is shared. Projects come from Keystone.

API: https://docs.openstack.org/api-ref/image/v2/#sharing
"""

from __future__ import annotations

import re

from openstack_image_manager.errors import CloudError, UsageError
from openstack_image_manager.glance import Glance
from openstack_image_manager.login import translated


def projects(glance: Glance, target: str, kind: str, domain: str) -> dict[str, str]:
    """Ids and names of the project `target` of the `domain`, or (kind 'domain') of all projects of the domain `target`.

    Raises UsageError when there is none of that name or id. An ordinary user may not look for projects: an id is taken
    as it is then."""
    try:
        return _projects(glance, target, kind, domain)
    except CloudError as error:
        if error.status != 403:
            raise
        if kind == "project" and re.fullmatch("[0-9a-f]{32}", target.replace("-", "")):
            return {target: target}
        raise CloudError(
            f"cloud '{glance.cloud}': this user may not look up projects; give the ids of projects",
            403,
        ) from None


def _projects(glance: Glance, target: str, kind: str, domain: str) -> dict[str, str]:
    identity = glance.identity
    with translated(glance.cloud):
        wanted_domain = target if kind == "domain" else domain
        found = identity.find_domain(wanted_domain)
        if found is None:
            raise UsageError(f"there is no domain '{wanted_domain}' in cloud '{glance.cloud}'")
        if kind == "domain":
            return {project.id: project.name for project in identity.projects(domain_id=found.id)}
        project = identity.find_project(target, domain_id=found.id)
        if project is None:
            raise UsageError(f"there is no project '{target}' in domain '{wanted_domain}' of cloud '{glance.cloud}'")
        return {project.id: project.name}


def members(glance: Glance, image_id: str) -> dict[str, str]:
    """Project ids the image is shared with, and whether they are pending, accepted or rejected."""
    answer = glance.ask("GET", f"/images/{image_id}/members", "members")
    return {member["member_id"]: member["status"] for member in answer["members"]}


def add(glance: Glance, image_id: str, project: str) -> bool:
    """Invite the project and accept for it where this user may; True when it was accepted."""
    if members(glance, image_id).get(project) is None:
        try:
            glance.ask("POST", f"/images/{image_id}/members", "member_id", json={"member": project})
        except CloudError as error:
            # 409: another run was quicker.
            if error.status != 409:
                raise
    try:
        glance.ask("PUT", f"/images/{image_id}/members/{project}", "member_id", json={"status": "accepted"})
    except CloudError as error:
        # By default only the invited project itself and administrators may accept.
        if error.status not in (403, 404):
            raise
        return False
    return True


def remove(glance: Glance, image_id: str, project: str) -> bool:
    """End the sharing; False when there was none."""
    try:
        glance.call("DELETE", f"/images/{image_id}/members/{project}")
    except CloudError as error:
        if error.status == 404:
            return False
        raise
    return True
