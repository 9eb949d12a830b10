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
    """Who is logged in."""
    access = glance.access()
    user, project = access.username or access.user_id, access.project_name or access.project_id
    return advice.login(user, project, access.role_names, public_url(glance.service("image") or ""))


def clock(glance: Glance) -> Check:
    """How far the clock of the cloud is from ours, which is looked at before and after. Raises CloudError."""
    before = datetime.now(UTC)
    told = glance.call("GET", "/info/import").headers.get("Date", "")
    here = before + (datetime.now(UTC) - before) / 2
    try:
        return advice.clock((parsedate_to_datetime(told) - here).total_seconds())
    except (ValueError, TypeError):  # no date, or one without a time zone
        return advice.clock(None)


def store_kinds(glance: Glance) -> Mapping[str, str] | None:
    """What each store is (file, rbd, s3 …), which only administrators are told; None: not told."""
    try:
        stores = glance.ask("GET", "/info/stores/detail", "stores")["stores"]
    except CloudError as error:
        if error.status is None:
            raise
        return None
    return {store["id"]: store["type"] for store in stores if "type" in store}


def limits(glance: Glance, needs: Needs, workers: int) -> list[Check]:
    """Quota and usage. Raises CloudError."""
    try:
        usage = glance.ask("GET", "/info/usage", "usage")["usage"]
    except CloudError as error:
        if error.status is None:
            raise
        usage = {}
    if usage:
        return advice.limits({name: (each["usage"], each["limit"]) for name, each in usage.items()}, needs, workers)
    return [advice.no_limits(_registered(glance), _used(glance), needs)]


def consumers(glance: Glance) -> list[Check]:
    """Whether it can be checked which images are in use, and what Nova should not copy to snapshots."""
    checks = []
    sights = {"servers": ("compute", check_servers), "volumes": ("block-storage", check_volumes)}
    for what, (service, see) in sights.items():
        try:
            endpoint = glance.service(service)
            if endpoint is not None:
                see(glance, endpoint)
            checks.append(advice.usage(what, None if endpoint is None else True))
        except CloudError as error:
            checks.append(advice.usage(what, False, str(error)))
    return checks if glance.service("compute") is None else [*checks, advice.inheritance()]


def _used(glance: Glance) -> int | None:
    """Bytes of the images of this project; None: they can't be listed."""
    own = {"owner": glance.project or ""}
    try:
        images = [image for hidden in ("false", "true") for image in glance.found({**own, "os_hidden": hidden})]
    except CloudError as error:
        if error.status is None:
            raise
        return None
    return sum(image.size or 0 for image in images)


def _registered(glance: Glance) -> Mapping[str, int] | None:
    """The limits of images that Keystone has for everybody; None: it does not tell."""
    try:
        found = glance.keystone("/registered_limits", "registered_limits")["registered_limits"]
    except CloudError:
        return None
    return {each["resource_name"]: each["default_limit"] for each in found if each["resource_name"].startswith(PREFIX)}
