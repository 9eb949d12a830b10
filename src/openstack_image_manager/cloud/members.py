"""Read and write image members: the projects that an image is shared with. Projects come from Keystone.

APIs: https://docs.openstack.org/api-ref/image/v2/#sharing, https://docs.openstack.org/api-ref/identity/v3/
"""

from __future__ import annotations

import re

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.image_api import is_id
from openstack_image_manager.errors import CloudError, UsageError


def projects(glance: Glance, target: str, kind: str, domain: str) -> dict[str, str]:
    """Ids and names of the project `target` of the `domain`, or (kind 'domain') of all projects of the domain `target`.

    Raises UsageError when none has that name or id. An ordinary user may not look up projects: then an id is used as it
    is."""
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
    wanted_domain = target if kind == "domain" else domain
    domain_id, _ = _find(glance, "domain", wanted_domain) or ("", "")
    if not domain_id:
        raise UsageError(f"there is no domain '{wanted_domain}' in cloud '{glance.cloud}'")
    if kind == "domain":
        return {project["id"]: project["name"] for project in _rows(glance, "projects", domain_id=domain_id)}
    project = _find(glance, "project", target, domain_id=domain_id)
    if project is None:
        raise UsageError(f"there is no project '{target}' in domain '{wanted_domain}' of cloud '{glance.cloud}'")
    return dict([project])


def _find(glance: Glance, kind: str, target: str, **query: str) -> tuple[str, str] | None:
    """Id and name of the domain or project with this id, or with this name among those that `query` finds."""
    if is_id(target):
        try:
            answer = glance.keystone(f"/{kind}s/{target}", kind)[kind]
        except CloudError as error:
            if error.status not in (400, 403, 404):
                raise
        else:
            return answer["id"], answer["name"]
    # Some databases ignore the case of names.
    named = [row for row in _rows(glance, f"{kind}s", name=target, **query) if row["name"] == target]
    return (named[0]["id"], named[0]["name"]) if named else None


def _rows(glance: Glance, kinds: str, **query: str) -> list[dict[str, str]]:
    answer = glance.keystone(f"/{kinds}", kinds, **query)
    links = answer.get("links")
    if answer.get("truncated") or (isinstance(links, dict) and links.get("next")):
        raise CloudError(f"cloud '{glance.cloud}': Keystone does not list all {kinds} at once; name them one by one")
    rows: list[dict[str, str]] = answer[kinds]
    return rows


def members(glance: Glance, image_id: str) -> dict[str, str]:
    """Project ids the image is shared with, and whether they are pending, accepted or rejected."""
    answer = glance.request_json("GET", f"/images/{image_id}/members", "members")
    return {member["member_id"]: member["status"] for member in answer["members"]}


def add(glance: Glance, image_id: str, project: str) -> bool:
    """Add the project as a member and accept for it where this user may; True when it is accepted."""
    if members(glance, image_id).get(project) is None:
        try:
            glance.request_json("POST", f"/images/{image_id}/members", "member_id", json={"member": project})
        except CloudError as error:
            # 409: another run has added it.
            if error.status != 409:
                raise
    try:
        glance.request_json("PUT", f"/images/{image_id}/members/{project}", "member_id", json={"status": "accepted"})
    except CloudError as error:
        # By default only the invited project itself and administrators may accept.
        if error.status not in (403, 404):
            raise
        return False
    return True


def remove(glance: Glance, image_id: str, project: str) -> bool:
    """Remove the member; False when there was none."""
    try:
        glance.request("DELETE", f"/images/{image_id}/members/{project}")
    except CloudError as error:
        if error.status == 404:
            return False
        raise
    return True
