"""What tests know of the catalogue: the image that a definition wants, and what SCS wants of it."""

from __future__ import annotations

from openstack_image_manager.definitions.image_properties import PROPERTIES
from openstack_image_manager.definitions.model import Definition
from openstack_image_manager.model import Image
from openstack_image_manager.plan.desired import wanted_image
from openstack_image_manager.plan.model import Role, Stage

MANDATORY = {name for name, known in PROPERTIES.items() if known.level == "mandatory"}
RECOMMENDED = {name for name, known in PROPERTIES.items() if known.level == "recommended"}
# Files of distributions that sign nothing, or nothing that is verified.
NEVER_SIGNED = {
    "amazon",
    "amphora",
    "centos",
    "cirros",
    "debian",
    "gardenlinux",
    "kubernetes",
    "opnsense",
    "oraclelinux",
    "talos",
}
# SCS-0104: where images of these names must come from.
SOURCES = {
    "Ubuntu 22.04": "https://cloud-images.ubuntu.com/releases/jammy/",
    "Ubuntu 24.04": "https://cloud-images.ubuntu.com/releases/noble/",
    "Debian 12": "https://cloud.debian.org/images/cloud/bookworm/",
    "Debian 13": "https://cloud.debian.org/images/cloud/trixie/",
    "ubuntu-capi-image v1.33": "https://nbg1.your-objectstorage.com/osism/openstack-k8s-capi-images/",
}


def image_of(definition: Definition) -> Image:
    """The image that its one version becomes, as if it was in the cloud."""
    (version,) = definition.versions
    role = Role(True, False, False, Stage.KEEP, "", definition.visibility, False)
    return wanted_image(definition, version, role, "managed_by_us")
