"""Ask a cloud about itself: user, clock, import methods, stores, limits.

APIs: https://docs.openstack.org/api-ref/image/v2/ (discovery), https://docs.openstack.org/api-ref/identity/v3/
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from openstack_image_manager.cloud.glance import Glance
from openstack_image_manager.cloud.usage import check_servers, check_volumes
from openstack_image_manager.definitions.model import public_url
from openstack_image_manager.doctor import advice
from openstack_image_manager.doctor.needs import Needs
from openstack_image_manager.doctor.report import Check
from openstack_image_manager.errors import CloudError

PREFIX = "image_"  # of the names of Glance's limits


def login(glance: Glance) -> Check:
    """Report the user of the session."""
    access = glance.access()
    user, project = access.username or access.user_id, access.project_name or access.project_id
    return advice.login(user, project, access.role_names, public_url(glance.service("image") or ""))


def clock(glance: Glance) -> Check:
    """Compare the clock of the cloud with ours, halfway between request and answer. Raises CloudError."""
    before = datetime.now(UTC)
    date = glance.request("GET", "/info/import").headers.get("Date", "")
    now = before + (datetime.now(UTC) - before) / 2
    try:
        return advice.clock((parsedate_to_datetime(date) - now).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a time zone
        return advice.clock(None)


def store_kinds(glance: Glance) -> Mapping[str, str] | None:
    """Return the type of each store (file, rbd, s3 …); None: unknown, since only administrators may ask."""
    try:
        stores = glance.request_json("GET", "/info/stores/detail", "stores")["stores"]
    except CloudError as error:
        if error.status is None:
            raise
        return None
    return {store["id"]: store["type"] for store in stores if "type" in store}


def limits(glance: Glance, needs: Needs, workers: int) -> list[Check]:
    """Check quota and usage. Raises CloudError."""
    try:
        usage = glance.request_json("GET", "/info/usage", "usage")["usage"]
    except CloudError as error:
        if error.status is None:
            raise
        usage = {}
    if usage:
        return advice.limits({name: (entry["usage"], entry["limit"]) for name, entry in usage.items()}, needs, workers)
    return [advice.no_limits(_registered(glance), _used(glance), needs)]


def consumers(glance: Glance) -> list[Check]:
    """Check whether images in use can be found, and name the properties that Nova should not copy to snapshots."""
    checks = []
    services = {"servers": ("compute", check_servers), "volumes": ("block-storage", check_volumes)}
    for what, (service, check) in services.items():
        try:
            endpoint = glance.service(service)
            if endpoint is not None:
                check(glance, endpoint)
            checks.append(advice.usage(what, None if endpoint is None else True))
        except CloudError as error:
            checks.append(advice.usage(what, False, str(error)))
    return checks if glance.service("compute") is None else [*checks, advice.inheritance()]


def _used(glance: Glance) -> int | None:
    """Return the bytes of the images of this project; None: they cannot be listed."""
    own = {"owner": glance.project or ""}
    try:
        images = [image for hidden in ("false", "true") for image in glance.find({**own, "os_hidden": hidden})]
    except CloudError as error:
        if error.status is None:
            raise
        return None
    return sum(image.size or 0 for image in images)


def _registered(glance: Glance) -> Mapping[str, int] | None:
    """Return Keystone's registered limits of images; None: unknown."""
    try:
        limits = glance.keystone("/registered_limits", "registered_limits")["registered_limits"]
    except CloudError:
        return None
    return {
        limit["resource_name"]: limit["default_limit"] for limit in limits if limit["resource_name"].startswith(PREFIX)
    }
