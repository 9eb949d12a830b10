"""Read the regions of a cloud in clouds.yaml, and find the line of a mistake, which openstacksdk does not report.

A cloud with several regions is one cloud for each of them, named `NAME:REGION`.
"""

from __future__ import annotations

import os
import re
from typing import Any

MOST = 4 * 1024 * 1024  # bytes of a clouds.yaml
_UNEXPECTED = re.compile(r"unexpected keyword argument '(\w+)'")


def region_names(config: Any, cloud: str) -> list[str]:
    """The regions that the entry of a cloud or its profile lists, in that order. `config`: OpenStackConfig."""
    # There is no public method without a login for each region; older openstacksdk returns None where there is none.
    return [str(region["name"]) for region in config._get_known_regions(cloud) or ()]


def find(clouds: Any, name: str) -> tuple[str, str | None]:
    """The cloud in clouds.yaml, and the region of `NAME:REGION`; None: the name has none."""
    if name in clouds:
        return name, None
    cloud, separator, region = name.rpartition(":")
    return (cloud, region) if separator and region and cloud in clouds else (name, None)


def qualified(cloud: str, region: str) -> str:
    """The name of a region of a cloud."""
    return f"{cloud}:{region}"


def path() -> str:
    """The clouds.yaml that openstacksdk reads; empty: none."""
    from openstack.config.loader import CONFIG_FILES

    paths = [os.environ.get("OS_CLIENT_CONFIG_FILE") or "", *CONFIG_FILES]
    return next((path for path in paths if os.path.isfile(path)), "")


def place(*keys: str) -> str:
    """`PATH:LINE` of a key, or of the last one of its parents that there is."""
    from openstack_image_manager.definitions.nodes import line_of

    file = path()
    try:
        with open(file, "rb") as opened:
            line = line_of(opened.read(MOST), keys)
    except OSError:
        return file or "clouds.yaml"
    return f"{file}:{line}" if line else file


def mistake(error: Exception, cloud: str, auth_type: str) -> str | None:
    """Explain the entry of a cloud whose login plugin does not know a value of `auth`; None: the error is
    another one. openstacksdk shows the message of a Python constructor."""
    if not (match := _UNEXPECTED.search(str(error))):
        return None
    field = match[1]
    where = place("clouds", cloud, "auth", field)
    if field.startswith("application_credential_"):
        return (
            f"{where}: '{field}' needs the line 'auth_type: v3applicationcredential' in the entry of the cloud, "
            "next to auth and not below it"
        )
    hint = "write 'default_domain_id' or 'default_domain_name'" if field == "default_domain" else "remove or correct it"
    return f"{where}: '{field}' below auth is not known to auth_type '{auth_type}'; {hint}"
