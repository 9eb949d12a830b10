"""Find out the rights of this user in Glance, with a private, hidden record without data that is deleted at once.

Glance's policy cannot be read, but the answer to a request without effect shows it. A PATCH is atomic, and Glance
checks the policy of each operation in order. So a PATCH that also removes a missing property is refused with 403 (not
allowed) or 409 (allowed, but nothing happens).
API: https://docs.openstack.org/api-ref/image/v2/
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime

from openstack_image_manager.cloud.glance import PATCH_TYPE, Glance
from openstack_image_manager.doctor import advice
from openstack_image_manager.doctor.needs import Needs
from openstack_image_manager.doctor.report import Check
from openstack_image_manager.doctor.sites import Fetch
from openstack_image_manager.errors import CloudError
from openstack_image_manager.model import Image

TAG = "image_manager_doctor"
NOTHING = "image_manager_doctor_nothing"  # a property that no image has, a store that no cloud has
STALE = 600.0  # seconds after which a record counts as abandoned
_MEMBER_RIGHTS = ("get_members", "add_member", "delete_member")
FETCH_TIMEOUT = 20.0  # seconds for Glance to finish a download


@dataclass(frozen=True, slots=True)
class Probe:
    """The cloud to check. `tag`: the managed tag, which distinguishes the record from those of other runs."""

    glance: Glance
    tag: str
    stale: float = STALE


def rights(probe: Probe, methods: Collection[str], stores: Collection[str], needs: Needs) -> list[Check]:
    """Check the rights of this user, and whether a byte can be staged. The record is always deleted."""
    glance = probe.glance
    checks: list[Check] = []
    try:
        with _record(probe) as record:
            checks.append(advice.right("add_image", True, needs))
            for name, visibility in (("publicize_image", "public"), ("communitize_image", "community")):
                checks.append(_visibility(glance, record.id, name, visibility, needs))
            checks.append(_deactivate(glance, record.id, needs))
            if "copy-image" in methods and stores:
                checks.append(_copy(glance, needs))
            checks += _members(glance, record.id, needs)
            if "glance-direct" in methods:
                checks.append(_stage(glance, record.id))
    except _DeleteError as error:
        checks.append(advice.right("delete_image", False if error.status == 403 else None, needs, str(error)))
    except CloudError as error:
        if error.status == 413:
            checks.append(advice.full(str(error)))
        else:
            allowed = False if error.status == 403 else None
            checks.append(advice.right("add_image", allowed, needs, str(error)))
    else:
        checks.append(advice.right("delete_image", True, needs))
    return checks


class _DeleteError(CloudError):
    """The record could not be deleted."""


@contextmanager
def _record(probe: Probe) -> Iterator[Image]:
    """Create a record that no other user sees, and delete it on every exit."""
    _sweep(probe)
    glance = probe.glance
    new = Image(
        name=f"doctor of {probe.tag}",
        visibility="private",
        hidden=True,
        tags=frozenset({TAG}),
        disk_format="raw",
        id=str(uuid.uuid4()),
    )
    try:
        yield glance.create(new)
    except BaseException:
        # Even when the answer to the creation was lost: the id is ours.
        with suppress(CloudError):
            glance.delete(new.id)
        raise
    try:
        glance.delete(new.id)
    except CloudError as error:
        raise _DeleteError(f"{error}; the empty record {new.id} remains", error.status) from None


def _sweep(probe: Probe) -> None:
    """Delete records of killed runs. Newer records may belong to a running one."""
    now = datetime.now(UTC)
    with suppress(CloudError):
        query = {"tag": TAG, "os_hidden": "true", "owner": probe.glance.project or ""}
        for image in list(probe.glance.find(query)):
            created = datetime.fromisoformat(image.created_at)
            if image.name == f"doctor of {probe.tag}" and (now - created).total_seconds() >= probe.stale:
                probe.glance.delete(image.id)


def _visibility(glance: Glance, image_id: str, name: str, visibility: str, needs: Needs) -> Check:
    changes = [
        {"op": "replace", "path": "/visibility", "value": visibility},
        {"op": "remove", "path": f"/{NOTHING}"},
    ]
    try:
        glance.request("PATCH", f"/images/{image_id}", json=changes, headers=PATCH_TYPE)
    except CloudError as error:
        allowed = {403: False, 409: True}.get(error.status or 0)
        return advice.right(name, allowed, needs, str(error))
    return advice.right(name, None, needs, "Glance accepted a request that it should refuse")


def _deactivate(glance: Glance, image_id: str, needs: Needs) -> Check:
    """Glance checks the policy first, and then the status, which must not be queued."""
    try:
        glance.request("POST", f"/images/{image_id}/actions/deactivate")
    except CloudError as error:
        message = str(error)
        allowed = True if "in status" in message else False if "not authorized" in message else None
        return advice.right("deactivate", allowed if error.status == 403 else None, needs, message)
    return advice.right("deactivate", None, needs, "Glance accepted a request that it should refuse")


def _copy(glance: Glance, needs: Needs) -> Check:
    """Ask for a copy of an active image into a store that does not exist."""
    query = {"owner": glance.project or "", "status": "active", "limit": "1"}
    image = next(glance.pages(query), None)
    if image is None:
        return advice.right("copy_image", None, needs, "this project has no active image to check with")
    body = {"method": {"name": "copy-image"}, "stores": [NOTHING]}
    try:
        glance.request("POST", f"/images/{image['id']}/import", json=body)
    except CloudError as error:
        allowed = {403: False, 409: True}.get(error.status or 0)
        return advice.right("copy_image", allowed, needs, str(error))
    return advice.right("copy_image", None, needs, "Glance accepted a request that it should refuse")


def _members(glance: Glance, image_id: str, needs: Needs) -> Iterator[Check]:
    """Share the record with nobody but its own project, which sees it anyway."""
    try:
        change = {"op": "replace", "path": "/visibility", "value": "shared"}
        glance.request("PATCH", f"/images/{image_id}", json=[change], headers=PATCH_TYPE)
    except CloudError as error:
        yield from (advice.right(name, None, needs, str(error)) for name in _MEMBER_RIGHTS)
        return
    path = f"/images/{image_id}/members"
    member = {"member": glance.project}
    requests = (("GET", path, None), ("POST", path, member), ("DELETE", f"{path}/{glance.project}", None))
    for name, (method, url, body) in zip(_MEMBER_RIGHTS, requests, strict=True):
        try:
            glance.request(method, url, json=body)
        except CloudError as error:
            # 404: the member that was not added cannot be removed, which is allowed.
            allowed = {403: False, 404: True if method == "DELETE" else None}.get(error.status or 0)
            yield advice.right(name, allowed, needs, str(error))
        else:
            yield advice.right(name, True, needs)


def _stage(glance: Glance, image_id: str) -> Check:
    try:
        glance.stage(image_id, iter((b"\0",)))
    except CloudError as error:
        return advice.staging(str(error))
    return advice.staging(None)


def fetches(probe: Probe, origins: Iterable[str]) -> dict[str, Fetch]:
    """Let Glance download a missing file from each origin. Glance keeps the tasks of these downloads for two days.
    Raises CloudError."""
    results: dict[str, Fetch] = {}
    for origin in origins:
        with _record(probe) as record:
            results[origin] = _fetch(probe.glance, record.id, f"{origin}/{NOTHING}-{uuid.uuid4()}")
    return results


def _fetch(glance: Glance, image_id: str, url: str) -> Fetch:
    try:
        glance.import_image(image_id, "web-download", url)
    except CloudError as error:
        return Fetch(False, str(error))
    start = time.monotonic()
    try:
        glance.wait(image_id, start + FETCH_TIMEOUT, threading.Event())
    except CloudError:
        # The failure is expected: the file is missing. The message of the task is often only "Internal Error".
        if time.monotonic() - start > FETCH_TIMEOUT / 2:
            return Fetch(False, f"its filter allows the URL, but Glance got no answer in {FETCH_TIMEOUT:.0f} s")
    return Fetch(True, "its filter allows the URL; Glance does not report the result of the download")
