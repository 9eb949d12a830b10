"""Find out what Glance allows this user, with a record without bytes that is private, hidden and deleted at once.

Glance's policy can't be read, and by what it answers to a request that would do nothing it can be told. A PATCH is all
or nothing, and checks the policy of each operation in order: one that also removes a property that is not there is
refused with 403 (not allowed) or 409 (allowed, and nothing happens).
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
STALE = 600.0  # seconds after which a record was left behind
FETCH_TIMEOUT = 20.0  # seconds for Glance to say what became of a fetch


@dataclass(frozen=True, slots=True)
class Probe:
    """A cloud to be asked. `tag`: that of managed images, by which the record is told from those of other runs."""

    glance: Glance
    tag: str
    stale: float = STALE


def rights(probe: Probe, methods: Collection[str], stores: Collection[str], needs: Needs) -> list[Check]:
    """What this user may do, and whether a byte can be staged. Leaves nothing behind."""
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
    """A record that nobody else sees, for as long as it is needed, whatever happens meanwhile."""
    _sweep(probe)
    glance = probe.glance
    wanted = Image(
        name=f"doctor of {probe.tag}",
        visibility="private",
        hidden=True,
        tags=frozenset({TAG}),
        disk_format="raw",
        id=str(uuid.uuid4()),
    )
    try:
        yield glance.create(wanted)
    except BaseException:
        # Even when the answer to the creation was lost: the id is ours.
        with suppress(CloudError):
            glance.delete(wanted.id)
        raise
    try:
        glance.delete(wanted.id)
    except CloudError as error:
        raise _DeleteError(f"{error}; the empty record {wanted.id} is left", error.status) from None


def _sweep(probe: Probe) -> None:
    """Delete what a killed run left. What is new may belong to one that is alive."""
    now = datetime.now(UTC)
    with suppress(CloudError):
        query = {"tag": TAG, "os_hidden": "true", "owner": probe.glance.project or ""}
        for image in list(probe.glance.found(query)):
            made = datetime.fromisoformat(image.created_at)
            if image.name == f"doctor of {probe.tag}" and (now - made).total_seconds() >= probe.stale:
                probe.glance.delete(image.id)


def _visibility(glance: Glance, image_id: str, name: str, visibility: str, needs: Needs) -> Check:
    changes = [
        {"op": "replace", "path": "/visibility", "value": visibility},
        {"op": "remove", "path": f"/{NOTHING}"},
    ]
    try:
        glance.call("PATCH", f"/images/{image_id}", json=changes, headers=PATCH_TYPE)
    except CloudError as error:
        allowed = {403: False, 409: True}.get(error.status or 0)
        return advice.right(name, allowed, needs, str(error))
    return advice.right(name, None, needs, "Glance did what it should have refused")


def _deactivate(glance: Glance, image_id: str, needs: Needs) -> Check:
    """Glance looks at the policy first, and then at the status, which must not be queued."""
    try:
        glance.call("POST", f"/images/{image_id}/actions/deactivate")
    except CloudError as error:
        said = str(error)
        allowed = True if "in status" in said else False if "not authorized" in said else None
        return advice.right("deactivate", allowed if error.status == 403 else None, needs, said)
    return advice.right("deactivate", None, needs, "Glance did what it should have refused")


def _copy(glance: Glance, needs: Needs) -> Check:
    """Asked of an image that has bytes, for a copy into a store that does not exist."""
    query = {"owner": glance.project or "", "status": "active", "limit": "1"}
    found = next(glance.pages(query), None)
    if found is None:
        return advice.right("copy_image", None, needs, "this project has no active image yet to ask about")
    body = {"method": {"name": "copy-image"}, "stores": [NOTHING]}
    try:
        glance.call("POST", f"/images/{found['id']}/import", json=body)
    except CloudError as error:
        allowed = {403: False, 409: True}.get(error.status or 0)
        return advice.right("copy_image", allowed, needs, str(error))
    return advice.right("copy_image", None, needs, "Glance did what it should have refused")


def _stage(glance: Glance, image_id: str) -> Check:
    try:
        glance.stage(image_id, iter((b"\0",)))
    except CloudError as error:
        return advice.staging(str(error))
    return advice.staging(None)


def fetches(probe: Probe, origins: Iterable[str]) -> dict[str, Fetch]:
    """Let Glance fetch a file that is not there from each origin. It keeps the tasks of these fetches for two days.
    Raises CloudError."""
    told: dict[str, Fetch] = {}
    for origin in origins:
        with _record(probe) as record:
            told[origin] = _fetch(probe.glance, record.id, f"{origin}/{NOTHING}-{uuid.uuid4()}")
    return told


def _fetch(glance: Glance, image_id: str, url: str) -> Fetch:
    try:
        glance.import_image(image_id, "web-download", url)
    except CloudError as error:
        return Fetch(False, str(error))
    begun = time.monotonic()
    try:
        glance.wait(image_id, begun + FETCH_TIMEOUT, threading.Event())
    except CloudError:
        # That there is no such file is what it should find out; its task often says no more than "Internal Error".
        if time.monotonic() - begun > FETCH_TIMEOUT / 2:
            return Fetch(False, f"its filter takes the address, and no answer came to Glance in {FETCH_TIMEOUT:.0f} s")
    return Fetch(True, "its filter takes the address; what came of the fetch, Glance does not tell")
